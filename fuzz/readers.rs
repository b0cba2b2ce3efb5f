//! The ways in which origins read a path: naive, and shared with nothing of the gateway.

/// One way in which an origin may read a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    /// How often it decodes escapes.
    pub(crate) decodes: usize,
    /// `\` is `/` to it.
    pub(crate) backslash: bool,
    /// It leaves out parameters before it decodes, or after.
    pub(crate) parameters: Option<Before>,
    /// It takes several slashes for one.
    pub(crate) merges: bool,
}

/// Whether before decoding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Before(bool);

impl Reader {
    pub(crate) fn all() -> Vec<Reader> {
        let mut all = Vec::new();
        for decodes in 0..=2 {
            for (backslash, merges) in [(false, false), (false, true), (true, false), (true, true)] {
                for parameters in [None, Some(Before(true)), Some(Before(false))] {
                    all.push(Reader { decodes, backslash, parameters, merges });
                }
            }
        }
        all
    }

    /// The segments that it sees.
    pub(crate) fn segments(self, path: &str) -> Vec<Vec<u8>> {
        let bare = |bytes: Vec<u8>, now: bool| -> Vec<u8> {
            if self.parameters != Some(Before(now)) {
                return bytes;
            }
            let segments = bytes.split(|b| *b == b'/' || self.backslash && *b == b'\\');
            segments.map(|s| s.split(|b| *b == b';').next().unwrap()).collect::<Vec<_>>().join(&b'/')
        };
        let mut bytes = bare(path.as_bytes().to_vec(), true);
        for _ in 0..self.decodes {
            bytes = decoded(&bytes);
        }
        let bytes = bare(bytes, false);
        let segments = bytes.split(|b| *b == b'/' || self.backslash && *b == b'\\').skip(1).map(<[u8]>::to_vec);
        let mut segments: Vec<_> = segments.filter(|s| !self.merges || !s.is_empty()).collect();
        while segments.last().is_some_and(Vec::is_empty) {
            segments.pop(); // a slash at the end makes no difference
        }
        segments
    }
}

/// Decodes what is an escape, and leaves what isn't.
pub(crate) fn decoded(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|d| std::str::from_utf8(d).ok());
        match digits.filter(|d| bytes[at] == b'%' && d.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(digits) => {
                out.push(u8::from_str_radix(digits, 16).unwrap());
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}
