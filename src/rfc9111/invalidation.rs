//! What a write makes invalid (RFC 9111 §4.4): the target URI, and what `Location` and `Content-Location` name on the same origin.
//!
//! References are resolved by RFC 3986 §5.2. Another origin's are left alone, or one site could empty another's cache;
//! where it is doubtful whose a reference is (user information, an odd scheme), it isn't ours.

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use std::fmt::Write;

/// Whether a method is known to change nothing (RFC 9110 §9.2.1). Unknown ones are not safe (§4.4).
pub fn is_safe(method: &Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE" | "QUERY")
}

/// Whether a write with this answer invalidates: a non-error response is one with a 2xx or 3xx status (§4.4).
pub fn invalidates(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection()
}

/// The paths, with their queries, that `Location` and `Content-Location` of the answer name on the same origin as the
/// request for `scheme`://`authority``target`; each once. `target` is the request's path and query. The paths are
/// free of dot segments, and bytes that no URI may hold are percent-encoded; they are otherwise as written.
pub fn targets(scheme: &str, authority: &str, target: &str, answer: &HeaderMap) -> Vec<String> {
    let base = Base { scheme, authority, target };
    let lines = answer.get_all(LOCATION).into_iter().chain(answer.get_all(CONTENT_LOCATION));
    let mut found: Vec<String> = Vec::new();
    for path in lines.filter_map(|line| base.resolve(&printable(line.as_bytes().trim_ascii()))) {
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// Whether `Content-Location` says that the answer's content is what a GET of the request's own target would get
/// (RFC 9110 §8.7, §9.3.3). One that is repeated says nothing.
pub fn is_of_target(scheme: &str, authority: &str, target: &str, answer: &HeaderMap) -> bool {
    let mut lines = answer.get_all(CONTENT_LOCATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let base = Base { scheme, authority, target };
    base.resolve(&printable(line.as_bytes().trim_ascii())) == Some(joined(target))
}

struct Base<'a> {
    scheme: &'a str,
    authority: &'a str,
    target: &'a str,
}

impl Base<'_> {
    /// The path and query of a reference (RFC 3986 §5.2.2); `None` if it is another origin's.
    fn resolve(&self, reference: &str) -> Option<String> {
        let reference = reference.split('#').next().unwrap_or_default();
        let (scheme, rest) = split_scheme(reference);
        if let Some(scheme) = scheme
            && !(scheme.eq_ignore_ascii_case(self.scheme) && rest.starts_with("//"))
        {
            return None;
        }
        if let Some(rest) = rest.strip_prefix("//") {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            return self.is_own(authority).then(|| joined(path));
        }
        Some(self.relative(rest))
    }

    fn relative(&self, reference: &str) -> String {
        let base_path = self.target.split('?').next().unwrap_or_default();
        match reference.chars().next() {
            None => joined(self.target),
            Some('/') => joined(reference),
            Some('?') => joined(&format!("{base_path}{reference}")),
            Some(_) => {
                let folder = base_path.rfind('/').map_or("", |at| &base_path[..at]);
                joined(&format!("{folder}/{reference}"))
            }
        }
    }

    /// Host without case, and the same port, the scheme's own where none is given (RFC 9110 §4.3.1).
    fn is_own(&self, authority: &str) -> bool {
        let own = host_and_port(self.authority, self.scheme);
        let other = host_and_port(authority, self.scheme);
        match (own, other) {
            (Some((host, port)), Some((other, other_port))) => host.eq_ignore_ascii_case(other) && port == other_port,
            (Some(_) | None, _) => false,
        }
    }
}

/// The scheme, if the reference has one, and what follows its colon.
fn split_scheme(reference: &str) -> (Option<&str>, &str) {
    let end = reference.find([':', '/', '?']).unwrap_or(reference.len());
    match reference[end..].strip_prefix(':') {
        Some(rest) => (Some(&reference[..end]), rest),
        None => (None, reference),
    }
}

/// `None` for an authority without a host, or with a port that is no number. User information counts as part of the
/// host, so that it never equals ours.
fn host_and_port<'a>(authority: &'a str, scheme: &str) -> Option<(&'a str, u16)> {
    let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let after_host = authority.rfind(']').unwrap_or(0);
    let (host, port) = match authority[after_host..].find(':') {
        Some(at) => (&authority[..after_host + at], &authority[after_host + at + 1..]),
        None => (authority, ""),
    };
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let port = if port.is_empty() { default } else { port.parse().ok().filter(|_| digits)? };
    (!host.is_empty()).then_some((host, port))
}

/// A path and query without dot segments (RFC 3986 §5.2.4), beginning with a slash.
fn joined(path_and_query: &str) -> String {
    let (path, query) = match path_and_query.find('?') {
        Some(at) => path_and_query.split_at(at),
        None => (path_and_query, ""),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/"))
}

/// The reference with every byte that no URI may hold percent-encoded (RFC 3986 §2), as clients do with it.
fn printable(reference: &[u8]) -> String {
    let mut text = String::with_capacity(reference.len());
    for &b in reference {
        if b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b) {
            text.push(char::from(b));
        } else {
            // Writing to a string can't fail.
            let _ = write!(text, "%{b:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::fields_of;

    fn of(reference: &str) -> Vec<String> {
        targets("http", "Shop.example:80", "/v1/books/7?x=1", &fields_of(&[("location", reference)]))
    }

    #[test]
    fn references_of_the_same_origin() {
        let cases: &[(&str, &str, Option<&str>)] = &[
            ("absolute", "http://shop.example/v1/books/8", Some("/v1/books/8")),
            ("host and scheme without case, default port", "HTTP://SHOP.example:80/a", Some("/a")),
            ("empty port", "http://shop.example:/a", Some("/a")),
            ("no path", "http://shop.example", Some("/")),
            ("no path, a query", "http://shop.example?a=1", Some("/?a=1")),
            ("network path", "//shop.example/a", Some("/a")),
            ("absolute path", "/a/b?c=d#e", Some("/a/b?c=d")),
            ("relative", "8", Some("/v1/books/8")),
            ("relative, up", "../authors/1", Some("/v1/authors/1")),
            ("relative, beyond the root", "../../../../x", Some("/x")),
            ("dots at the end", "/a/b/..", Some("/a/")),
            ("dots in an absolute one", "http://shop.example/a/./../b", Some("/b")),
            ("query only", "?y=2", Some("/v1/books/7?y=2")),
            ("fragment only", "#top", Some("/v1/books/7?x=1")),
            ("a colon later on", "/a:b", Some("/a:b")),
            ("dots in a query stay", "/a?b=/../c", Some("/a?b=/../c")),
            ("not ASCII", "/caf\u{e9} x", Some("/caf%C3%A9%20x")),
            ("encoded stays", "/a%2Fb", Some("/a%2Fb")),
            ("§4.4 another host", "http://other.example/a", None),
            ("§4.4 another port", "http://shop.example:8080/a", None),
            ("§4.4 another scheme", "https://shop.example/a", None),
            ("§4.4 another host, network path", "//other.example/a", None),
            ("user information", "http://shop.example@other.example/a", None),
            ("user information that looks like a port", "http://shop.example:80@other.example/a", None),
            ("user information of our own", "http://me@shop.example/a", None),
            ("scheme without authority", "http:a", None),
            ("no hierarchy", "mailto:me@shop.example", None),
            ("port without end", "http://shop.example:99999999/a", None),
            ("signed port", "http://shop.example:+80/a", None),
            ("no host", "http:///a", None),
        ];
        for (why, reference, want) in cases {
            assert_eq!(of(reference), want.iter().map(ToString::to_string).collect::<Vec<_>>(), "{why}: {reference}");
        }
    }

    #[test]
    fn both_fields_and_every_line_each_once() {
        let answer = fields_of(&[("location", "/a"), ("content-location", "/b"), ("content-location", "/a")]);
        assert_eq!(targets("https", "[::1]:8443", "/", &answer), ["/a", "/b"]);
        let v6 = fields_of(&[("location", "https://[::1]:8443/c"), ("content-location", "https://[::1]/d")]);
        assert_eq!(targets("https", "[::1]:8443", "/", &v6), ["/c"]);
        assert!(targets("https", "a", "/", &fields_of(&[])).is_empty());
    }

    #[test]
    fn whether_an_answer_is_that_of_its_target() {
        let here = |lines: &[(&str, &str)]| is_of_target("http", "a", "/v1/books?x=1", &fields_of(lines));
        for same in ["/v1/books?x=1", "?x=1", "http://A:80/v1/books?x=1", "/v1/./books?x=1#top", ""] {
            assert!(here(&[("content-location", same)]), "RFC 9110 §8.7: {same}");
        }
        for other in ["/v1/books", "/v1/books?x=2", "/v1/books/?x=1", "http://b/v1/books?x=1", "https://a/v1/books?x=1"]
        {
            assert!(!here(&[("content-location", other)]), "{other}");
        }
        assert!(!here(&[]) && !here(&[("location", "/v1/books?x=1")]), "only Content-Location says so");
        assert!(!here(&[("content-location", "?x=1"), ("content-location", "?x=1")]), "one, not two");
    }

    #[test]
    fn which_writes_invalidate() {
        assert!(["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"].iter().all(|m| is_safe(&m.parse().unwrap())));
        assert!(["POST", "PUT", "PATCH", "DELETE", "PURGE", "get"].iter().all(|m| !is_safe(&m.parse().unwrap())));
        let yes = [200, 201, 204, 299, 301, 303, 304, 307];
        assert!(yes.iter().all(|&s| invalidates(StatusCode::from_u16(s).unwrap())), "§4.4");
        assert!([100, 400, 404, 500, 503].iter().all(|&s| !invalidates(StatusCode::from_u16(s).unwrap())), "§4.4");
    }

    proptest::proptest! {
        #[test]
        fn a_path_without_dots_or_nothing(reference in "[a-z./:?#@\\[\\]é -]{0,24}", target in "/[a-z./?]{0,12}") {
            for path in targets("http", "a", &target, &fields_of(&[("location", &reference)])) {
                proptest::prop_assert!(path.starts_with('/') && path.is_ascii());
                let only = path.split('?').next().unwrap();
                proptest::prop_assert!(only.split('/').all(|segment| segment != "." && segment != ".."), "{}", path);
            }
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(0x20u8..=0xff, 0..40)) {
            if let Ok(value) = http::HeaderValue::from_bytes(&bytes) {
                let mut answer = HeaderMap::new();
                answer.insert(LOCATION, value);
                targets("http", "a:b:c]", "", &answer);
            }
        }
    }
}
