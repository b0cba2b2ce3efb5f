//! A reader of requests that takes nothing but what everybody reads alike. It shares no code with the gateway, nor with hyper.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "several tests use parts of it")]

/// A request that was wholly there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl Whole {
    /// `METHOD target`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// The lines of a field as text.
    pub fn all(&self, name: &str) -> Vec<String> {
        let lines = self.fields.iter().filter(|(n, _)| n == name);
        lines.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }
}

/// What bytes begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A request, and how many bytes it has.
    Whole(Whole, usize),
    /// The beginning of one, well-formed as far as it goes.
    Unfinished,
    /// No request that everybody reads alike.
    Malformed(String),
}

/// How strictly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taste {
    /// As an origin may ask of a gateway.
    Gateways,
    /// As a gateway has to be with clients: also empty lines before, HTTP/1.0, absolute-form, `chunked` in any case, zeros before a
    /// length, and extensions of chunks.
    Clients,
}

/// Reads the request that `bytes` begin with.
pub fn read(bytes: &[u8]) -> Read {
    read_as(bytes, Taste::Gateways)
}

pub fn read_as(bytes: &[u8], taste: Taste) -> Read {
    match request(bytes, taste) {
        Ok(Some((whole, end))) => Read::Whole(whole, end),
        Ok(None) => Read::Unfinished,
        Err(fault) => {
            Read::Malformed(format!("{fault}: {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(400)])))
        }
    }
}

type Found<T> = Result<Option<(T, usize)>, String>;

fn request(bytes: &[u8], taste: Taste) -> Found<Whole> {
    let mut at = 0;
    while taste == Taste::Clients && bytes[at..].starts_with(b"\r\n") {
        at += 2;
    }
    let Some((first, mut at)) = line(bytes, at)? else { return Ok(None) };
    let first = std::str::from_utf8(first).map_err(|_| "high bytes in the request line")?;
    let [method, target, version] = first.split(' ').collect::<Vec<_>>()[..] else {
        return Err("a request line that isn't three words".to_owned());
    };
    let is_version = version == "HTTP/1.1" || version == "HTTP/1.0" && taste == Taste::Clients;
    let absolute = taste == Taste::Clients && (target.starts_with("http://") || target.starts_with("https://"));
    let target_ok = (target.starts_with('/') || absolute)
        && is_version
        && target.bytes().all(|b| b.is_ascii_graphic() && !b"\\#".contains(&b));
    if !is_token(method.as_bytes()) || !target_ok {
        return Err("a bad method or target".to_owned());
    }
    let Some((fields, end)) = fields(bytes, at)? else { return Ok(None) };
    at = end;
    if fields.iter().filter(|(name, _)| name == "host").count() != 1 {
        return Err("not exactly one Host".to_owned());
    }
    let Some(((body, trailers), end)) = content(bytes, at, &fields, taste)? else { return Ok(None) };
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Some((Whole { method, target, fields, body, trailers }, end)))
}

/// A line without its CRLF.
fn line(bytes: &[u8], at: usize) -> Found<&[u8]> {
    let rest = &bytes[at..];
    let Some(end) = rest.iter().position(|b| matches!(b, b'\r' | b'\n' | 0)) else { return Ok(None) };
    match rest.get(end..end + 2) {
        Some(b"\r\n") => Ok(Some((&rest[..end], at + end + 2))),
        None if rest[end] == b'\r' => Ok(None),
        _ => Err("a bare CR, a bare LF or a NUL".to_owned()),
    }
}

type Fields = Vec<(String, Vec<u8>)>;

fn fields(bytes: &[u8], mut at: usize) -> Found<Fields> {
    let mut fields = Vec::new();
    loop {
        let Some((text, end)) = line(bytes, at)? else { return Ok(None) };
        at = end;
        if text.is_empty() {
            return Ok(Some((fields, at)));
        }
        let colon = text.iter().position(|&b| b == b':').ok_or("a field without a colon")?;
        let (name, value) = (&text[..colon], text[colon + 1..].trim_ascii());
        if !is_token(name) {
            return Err("a field name that is no token, or a folded line".to_owned());
        }
        if value.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
            return Err("a control byte in a field".to_owned());
        }
        fields.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()));
    }
}

type Content = (Vec<u8>, Fields);

fn content(bytes: &[u8], at: usize, fields: &Fields, taste: Taste) -> Found<Content> {
    let lines = |name: &str| fields.iter().filter(|(n, _)| n == name).map(|(_, v)| &v[..]).collect::<Vec<_>>();
    match (&lines("content-length")[..], &lines("transfer-encoding")[..]) {
        ([], []) => Ok(Some(((Vec::new(), Vec::new()), at))),
        ([length], []) => {
            let text = std::str::from_utf8(length).unwrap_or_default();
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let plain = digits && (text == "0" || !text.starts_with('0') || taste == Taste::Clients);
            let length: usize = text.parse().ok().filter(|_| plain).ok_or("a bad Content-Length")?;
            let Some(body) = bytes.get(at..at.saturating_add(length)) else { return Ok(None) };
            Ok(Some(((body.to_vec(), Vec::new()), at + length)))
        }
        ([], [b"chunked"]) => chunks(bytes, at, taste),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && taste == Taste::Clients => {
            chunks(bytes, at, taste)
        }
        _ => Err("two framings, or one that isn't known".to_owned()),
    }
}

fn chunks(bytes: &[u8], mut at: usize, taste: Taste) -> Found<Content> {
    let mut body = Vec::new();
    loop {
        let Some((size, end)) = line(bytes, at)? else { return Ok(None) };
        let text = std::str::from_utf8(size).unwrap_or_default();
        let text = if taste == Taste::Clients { without_extensions(text).unwrap_or_default() } else { text };
        if text.is_empty() || text.len() > 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("a chunk of size {text:?}"));
        }
        let size = usize::from_str_radix(text, 16).unwrap();
        at = end;
        if size == 0 {
            let Some((trailers, end)) = fields(bytes, at)? else { return Ok(None) };
            return Ok(Some(((body, trailers), end)));
        }
        let Some(chunk) = bytes.get(at..at.saturating_add(size)) else { return Ok(None) };
        body.extend_from_slice(chunk);
        at += size;
        match line(bytes, at)? {
            None => return Ok(None),
            Some((b"", end)) => at = end,
            Some(_) => return Err("a chunk that is longer than it says".to_owned()),
        }
    }
}

/// A chunk's size without extensions, if those are what they should be: words, alone or with a word or a quoted string.
fn without_extensions(text: &str) -> Option<&str> {
    if text.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
        return None;
    }
    let (size, mut rest) = text.split_at(text.find([';', ' ', '\t']).unwrap_or(text.len()));
    while !rest.is_empty() {
        rest = rest.trim_start_matches([' ', '\t']).strip_prefix(';')?.trim_start_matches([' ', '\t']);
        rest = without_word(rest)?;
        if let Some(value) = rest.trim_start_matches([' ', '\t']).strip_prefix('=') {
            let value = value.trim_start_matches([' ', '\t']);
            rest = match value.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').map(|(_, rest)| rest)?,
                None => without_word(value)?,
            };
        }
    }
    Some(size)
}

fn without_word(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii() && is_token(&[c as u8]));
    (rest.len() < text.len()).then_some(rest)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

#[test]
fn the_reader_is_strict() {
    let whole = |text: &str| matches!(read(text.as_bytes()), Read::Whole(_, n) if n == text.len());
    assert!(whole("GET /x HTTP/1.1\r\nhost: a\r\n\r\n"));
    assert!(whole("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nt: 1\r\n\r\n"));
    for text in [
        "GET /x HTTP/1.1\nhost: a\r\n\r\n",
        "GET /x HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        "GET x HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /x HTTP/1.1\r\nhost: a\r\n b\r\n\r\n",
        "GET /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        "GET /x HTTP/1.1\r\nhost: a\r\ncontent-length: 01\r\n\r\na",
        "GET /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n",
    ] {
        assert!(matches!(read(text.as_bytes()), Read::Malformed(_)), "{text:?}");
    }
}
