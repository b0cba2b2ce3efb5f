//! The canonical form of a request target: the one place that turns what a client wrote into what is matched, keyed
//! and forwarded, so that the three never differ.
//!
//! Escapes of unreserved characters are decoded, the others written in upper case (RFC 3986 §6.2.2); dot segments are
//! resolved (§5.2.4) and runs of slashes become one. What could mean two things to two readers is refused: a way above
//! the root, escaped control bytes, a broken escape, bytes that don't belong into a target, and dots that are a segment only to
//! some: to who takes `%2F`, `%5C` or a second escape for what they stand for, or drops `;parameters` first.
//!
//! Beside that `%2F`, `%5C`, `%25…` and `;…` stay what they are, since names may hold them; `scope` takes paths for one
//! that only some origins do. A query is kept byte by byte: it names no place, and origins agree about `&` and `=` only.
//!
//! A Host's port stays: `a`, `a:80` and `a:8080` are three hosts, for an origin that is told the name as well.

use std::borrow::Cow;
use std::fmt;

/// Why a target or a Host was refused; the client's fault, 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTarget {
    /// The target isn't a path, or holds bytes that don't belong there.
    Malformed,
    /// A `%` without two hexadecimal digits, or the escape of a control byte.
    BadEscape,
    /// `..` beyond the root.
    AboveRoot,
    /// `.` or `..` that is a segment to some readers only.
    HiddenDots,
    /// An escaped slash behind `;`: who splits first takes it for a parameter's, who decodes first for another segment's.
    HiddenSlash,
    /// No Host, several, or one that isn't `name` or `name:port`.
    BadHost,
    /// The target's authority and Host differ.
    HostMismatch,
}

impl BadTarget {
    /// The name that logs, metrics and `Cache-Status` use.
    pub fn name(self) -> &'static str {
        match self {
            BadTarget::Malformed => "bad-target",
            BadTarget::BadEscape => "bad-escape",
            BadTarget::AboveRoot => "above-root",
            BadTarget::HiddenDots => "hidden-dots",
            BadTarget::HiddenSlash => "hidden-slash",
            BadTarget::BadHost => "bad-host",
            BadTarget::HostMismatch => "host-mismatch",
        }
    }
}

impl fmt::Display for BadTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadTarget::Malformed => {
                "the request target must be an absolute path of printable ASCII without `\\` or `#`"
            }
            BadTarget::BadEscape => {
                "`%` in the path must be followed by two hexadecimal digits, and not be a control character"
            }
            BadTarget::AboveRoot => "the path has more `..` than segments before them",
            BadTarget::HiddenDots => {
                "`.` and `..` in the path must stand between plain slashes, without escaped ones, `;` or a second escape"
            }
            BadTarget::HiddenSlash => "the path has an escaped slash behind a `;` in the same segment",
            BadTarget::BadHost => "the request needs exactly one Host field, a name or address with an optional port",
            BadTarget::HostMismatch => "the authority of the request target and the Host field differ",
        })
    }
}

/// The canonical form of a path; borrowed when it is canonical already.
pub fn canonical_path(path: &str) -> Result<Cow<'_, str>, BadTarget> {
    if path.as_bytes().first() != Some(&b'/') {
        return Err(BadTarget::Malformed);
    }
    let (mut plain, mut before) = (true, b' ');
    for byte in path.bytes() {
        if !is_target_byte(byte) || byte == b'?' {
            return Err(BadTarget::Malformed);
        }
        plain &= byte != b'%' && !(before == b'/' && matches!(byte, b'/' | b'.'));
        before = byte;
    }
    let unescaped = if plain { Cow::Borrowed(path) } else { Cow::Owned(normal_escapes(path)?) };
    if unescaped.contains(['%', ';']) {
        unescaped.split('/').try_for_each(is_one_segment)?;
    }
    Ok(if plain { unescaped } else { Cow::Owned(resolve_dots(&unescaped)?) })
}

/// Checks a query: it is kept byte by byte, so only bytes that don't belong into a target are refused.
pub fn check_query(query: &str) -> Result<(), BadTarget> {
    if query.bytes().all(is_target_byte) { Ok(()) } else { Err(BadTarget::Malformed) }
}

/// The canonical form of a Host or authority: lower case, without a final dot in the name and without an empty port. A name has no
/// empty label, a port is a number without zeros before it.
pub fn canonical_host(host: &str) -> Result<Cow<'_, str>, BadTarget> {
    let (name, port) = split_port(host).ok_or(BadTarget::BadHost)?;
    let digits = port.bytes().all(|b| b.is_ascii_digit()) && port.len() <= 5 && !port.starts_with('0');
    let port_ok = port.is_empty() || digits && port.parse::<u16>().is_ok();
    if !port_ok || !is_host_name(name) {
        return Err(BadTarget::BadHost);
    }
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.is_empty() || bare.ends_with('.') {
        return Err(BadTarget::BadHost);
    }
    let ends = host.as_bytes().last() == Some(&b':');
    let same = bare.len() == name.len() && !ends && !host.bytes().any(|b| b.is_ascii_uppercase());
    if same {
        return Ok(Cow::Borrowed(host));
    }
    let lower = bare.to_ascii_lowercase();
    Ok(Cow::Owned(if port.is_empty() { lower } else { format!("{lower}:{port}") }))
}

/// The name of a canonical host, without its port.
pub fn without_port(host: &str) -> &str {
    split_port(host).map_or(host, |(name, _)| name)
}

fn split_port(host: &str) -> Option<(&str, &str)> {
    if host.as_bytes().first() == Some(&b'[') {
        let end = host.find(']')? + 1;
        let (name, rest) = host.split_at(end);
        return if rest.is_empty() { Some((name, "")) } else { rest.strip_prefix(':').map(|port| (name, port)) };
    }
    let colon = host.bytes().position(|b| b == b':');
    Some(colon.map_or((host, ""), |at| (&host[..at], &host[at + 1..])))
}

fn is_host_name(name: &str) -> bool {
    if name.as_bytes().first() == Some(&b'[') {
        let address = name[1..].strip_suffix(']');
        return address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    }
    !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && !name.starts_with('.')
        && !name.contains("..")
}

/// Printable ASCII but `\` and `#`.
fn is_target_byte(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'\\' | b'#')
}

fn normal_escapes(path: &str) -> Result<String, BadTarget> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let digits = after.get(..2).ok_or(BadTarget::BadEscape)?;
        let byte = u8::from_str_radix(digits, 16).map_err(|_| BadTarget::BadEscape)?;
        let twice = after.get(..4).filter(|twice| twice.starts_with("25"));
        if byte.is_ascii_control() || digits.starts_with('+') || twice == Some("2500") {
            return Err(BadTarget::BadEscape);
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&digits.to_ascii_uppercase());
        }
        rest = &after[2..];
    }
    out.push_str(rest);
    Ok(out)
}

fn resolve_dots(path: &str) -> Result<String, BadTarget> {
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for segment in path.split('/').skip(1) {
        open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop().ok_or(BadTarget::AboveRoot)?),
            _ => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if open || kept.is_empty() {
        out.push('/');
    }
    Ok(out)
}

/// Escapes that some readers take for a dot or for a slash: among them the forms of two bytes that no UTF-8 may have,
/// and the wide ones that are made narrow.
const DOTS: [&str; 3] = ["2E", "C0%AE", "EF%BC%8E"];
const SLASHES: [&str; 6] = ["2F", "5C", "C0%AF", "C1%9C", "EF%BC%8F", "EF%BC%BC"];

/// Whether a segment is read alike by who decodes its escapes once or twice and takes `\` for `/`, or leaves out `;parameters` or blanks
/// at its end: to none of them it is a dot segment, or has one in it, but for a plain `.` or `..`.
fn is_one_segment(segment: &str) -> Result<(), BadTarget> {
    if matches!(segment, "." | "..") || !segment.contains(['%', ';']) {
        return Ok(());
    }
    // A `%25` that begins no escape stands for itself, and is none of the bytes that are looked for.
    let once = segment.replace("%25", "%").to_ascii_uppercase();
    let mut pieces = vec![once.as_str()];
    for slash in SLASHES {
        pieces = pieces.iter().flat_map(|piece| Pieces { rest: Some(piece), slash }).collect();
    }
    let has_parameters = |piece: &str| piece.contains(';') || piece.contains("%3B");
    if pieces.iter().any(|piece| is_dots(piece)) {
        return Err(BadTarget::HiddenDots);
    }
    let behind = pieces.split_last().is_some_and(|(_, before)| before.iter().any(|piece| has_parameters(piece)));
    if behind { Err(BadTarget::HiddenSlash) } else { Ok(()) }
}

/// What stands between the escapes of a slash.
struct Pieces<'a> {
    rest: Option<&'a str>,
    slash: &'static str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let at = rest.match_indices('%').map(|(at, _)| at).find(|at| rest[at + 1..].starts_with(self.slash));
        self.rest = at.map(|at| &rest[at + 1 + self.slash.len()..]);
        Some(at.map_or(rest, |at| &rest[..at]))
    }
}

/// Whether a segment is one or two dots, however they are written, and perhaps parameters or blanks.
fn is_dots(segment: &str) -> bool {
    let (mut rest, mut dots) = (segment, 0);
    while let Some(after) = after_dot(rest) {
        (rest, dots) = (after, dots + 1);
    }
    while let Some(after) = rest.strip_prefix("%20").or_else(|| rest.strip_prefix("%3B").map(|_| "")) {
        rest = after;
    }
    (1..=2).contains(&dots) && (rest.is_empty() || rest.starts_with(';'))
}

fn after_dot(text: &str) -> Option<&str> {
    let escaped = || text.strip_prefix('%').and_then(|text| DOTS.iter().find_map(|dot| text.strip_prefix(dot)));
    text.strip_prefix('.').or_else(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let rows: [(&str, Result<&str, BadTarget>); 31] = [
            ("/", Ok("/")),
            ("/a/b", Ok("/a/b")),
            ("/a/b/", Ok("/a/b/")),
            ("//a///b", Ok("/a/b")),
            ("/a/./b", Ok("/a/b")),
            ("/a/../b", Ok("/b")),
            ("/a/b/..", Ok("/a/")),
            ("/a/%2e%2E/b", Ok("/b")),
            ("/..", Err(BadTarget::AboveRoot)),
            ("/a/../../b", Err(BadTarget::AboveRoot)),
            ("/%7euser/%41", Ok("/~user/A")),
            ("/a%2fb", Ok("/a%2Fb")),
            ("/a%252fb", Ok("/a%252fb")),
            ("/%c3%a9", Ok("/%C3%A9")),
            ("/%00", Err(BadTarget::BadEscape)),
            ("/%zz", Err(BadTarget::BadEscape)),
            ("/%+1", Err(BadTarget::BadEscape)),
            ("/%4", Err(BadTarget::BadEscape)),
            ("/a\\b", Err(BadTarget::Malformed)),
            ("/é", Err(BadTarget::Malformed)),
            ("/a b", Err(BadTarget::Malformed)),
            ("a", Err(BadTarget::Malformed)),
            ("/.hidden/..x", Ok("/.hidden/..x")),
            ("/books;v=1/x", Ok("/books;v=1/x")),
            ("/a%0d%0ab", Err(BadTarget::BadEscape)),
            ("/a%7f", Err(BadTarget::BadEscape)),
            ("/a%2500", Err(BadTarget::BadEscape)),
            ("/a%5cb", Ok("/a%5Cb")),
            ("/100%25/%2525", Ok("/100%25/%2525")),
            ("/%25", Ok("/%25")),
            ("/a/%C3%A9%EF%BC%8Ex", Ok("/a/%C3%A9%EF%BC%8Ex")),
        ];
        for (path, expected) in rows {
            assert_eq!(canonical_path(path).as_deref(), expected.as_ref().copied(), "{path}");
        }
    }

    #[test]
    fn dots_that_only_some_take_for_a_segment() {
        for path in [
            "/a/..%2fb",
            "/a%2f..%2fb",
            "/a%2F%2e%2e",
            "/a/%2e%2e%5cb",
            "/a%5c../b",
            "/a%5c.",
            "/a/.%2f/b",
            "/a/..;/b",
            "/a/..;x=y/b",
            "/a/.;/b",
            "/a/..;",
            "/a/%2e%2e%3b/b",
            "/a/..%3bx/b",
            "/a/%252e%252e%252fb",
            "/a/%252e%252e/b",
            "/a/..%252fb",
            "/a/..%255cb",
            "/a/%252E./b",
            "/a/%c0%ae%c0%ae/b",
            "/a/..%c0%afb",
            "/a/..%c1%9cb",
            "/a/%ef%bc%8e%ef%bc%8e/b",
            "/a/..%ef%bc%8fb",
            "/a/..%20/b",
            "/a/.%20;x/b",
            "/a/%25c0%25ae./b",
            "/a/..%20;/b",
        ] {
            assert_eq!(canonical_path(path), Err(BadTarget::HiddenDots), "{path}");
        }
        for path in ["/a;x%2Fb", "/a%3Bx%5Cb", "/a;%252Fb", "/a;/b%3b%255c"] {
            assert_eq!(canonical_path(path), Err(BadTarget::HiddenSlash), "{path}");
        }
        for path in [
            "/a%2Fb;x",
            "/a/...",
            "/a/..b%2Fc",
            "/a/.b;x",
            "/a/x..%2Fb",
            "/a/%2Fb",
            "/a;x=../b",
            "/a/;/b",
            "/a%252Fb",
            "/%20",
        ] {
            assert_eq!(canonical_path(path).as_deref(), Ok(path));
        }
    }

    #[test]
    fn hosts() {
        let good = [
            ("Example.ORG:8080", "example.org:8080"),
            ("a.", "a"),
            ("a:", "a"),
            ("[::1]:80", "[::1]:80"),
            ("127.0.0.1", "127.0.0.1"),
        ];
        for (host, expected) in good {
            assert_eq!(canonical_host(host).as_deref(), Ok(expected), "{host}");
        }
        let bad =
            ["", "a b", "a@b", "a/b", "a:x", "a:123456", "a:65536", "a:080", "a:0", ":80", "[::1", "[x]", "a?b", ".."];
        for host in bad.into_iter().chain(["a#b", "é", "a..b", ".a", "a:+1", "[::1]x", "a%2eb", "a:80:80", "::1"]) {
            assert_eq!(canonical_host(host), Err(BadTarget::BadHost), "{host}");
        }
        assert_eq!(without_port("[::1]:80"), "[::1]");
        assert_eq!(without_port("a:80"), "a");
    }

    proptest::proptest! {
        #[test]
        fn canonical_is_a_fixed_point(path in "/([a-c./;%2eEfF1]|%2[eEfF]|%4[0-9a-fA-F]){0,24}") {
            if let Ok(once) = canonical_path(&path) {
                let once = once.into_owned();
                // A decoded escape may make a new escape only if `%25` were decoded, and it isn't.
                let twice = canonical_path(&once).map(std::borrow::Cow::into_owned);
                proptest::prop_assert_eq!(twice, Ok(once));
            }
        }
    }
}
