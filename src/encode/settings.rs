//! `compress`: which answers are encoded, and in what.

use crate::rfc9110::accept_encoding::Coding;

/// The checked form of `compress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `encodings`, the one that is liked best first. Default zstd, br, gzip.
    pub encodings: Vec<Coding>,
    /// `min`: bytes below which a content isn't worth it. Default 1 KiB.
    pub min: u64,
    /// `types`: media types in lower case, each with at most one `*`, which stands for any rest.
    pub types: Vec<String>,
}

/// The default of `types`: text, whatever it is called. Images, archives and the like are compressed already.
const TYPES: [&str; 11] = [
    "application/json",
    "application/*+json",
    "application/x-ndjson",
    "application/xml",
    "application/*+xml",
    "application/javascript",
    "application/yaml",
    "application/graphql",
    "application/wasm",
    "image/svg+xml",
    "text/*",
];

impl Default for Settings {
    fn default() -> Self {
        Settings {
            encodings: vec![Coding::Zstd, Coding::Brotli, Coding::Gzip],
            min: 1 << 10,
            types: TYPES.map(String::from).into(),
        }
    }
}

impl Settings {
    /// Whether contents of this `Content-Type` are encoded.
    pub fn takes(&self, content_type: &[u8]) -> bool {
        let essence = content_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        !is_stream(&essence) && self.types.iter().any(|pattern| matches(pattern.as_bytes(), &essence))
    }
}

/// Types that a piece of must come at once, whatever the operator says: an encoder may hold it back on either side.
fn is_stream(essence: &[u8]) -> bool {
    essence == b"text/event-stream"
        || essence == b"multipart/x-mixed-replace"
        || essence.starts_with(b"application/grpc")
}

fn matches(pattern: &[u8], essence: &[u8]) -> bool {
    let Some(star) = pattern.iter().position(|b| *b == b'*') else { return pattern == essence };
    let (begin, end) = (&pattern[..star], &pattern[star + 1..]);
    essence.len() > begin.len() + end.len() && essence.starts_with(begin) && essence.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_name_and_by_pattern() {
        let cases: [(&str, bool); 14] = [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("application/+json", false),
            ("application/jsonx", false),
            ("text/html", true),
            ("text/", false),
            ("image/svg+xml", true),
            ("image/png", false),
            ("application/octet-stream", false),
            ("text/event-stream", false),
            ("multipart/x-mixed-replace; boundary=x", false),
            ("application/grpc+proto", false),
            ("", false),
        ];
        let any = Settings { types: vec!["application/*".into(), "multipart/*".into()], ..Settings::default() };
        for (content_type, taken) in cases {
            assert_eq!(Settings::default().takes(content_type.as_bytes()), taken, "{content_type}");
        }
        assert!(
            any.takes(b"application/x") && !any.takes(b"multipart/x-mixed-replace") && !any.takes(b"application/grpc")
        );
    }
}
