//! What a request names: a namespace, and perhaps a key in it.
//!
//! A key is one segment of the path: text, decoded, of up to [`LONGEST_KEY`] bytes, without control characters. Two ways to encode one key name
//! one object, so it goes on in one of them ([`path`]).

use super::problems::bad_key;
use crate::gateway::Problem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Bytes that a key may have, decoded.
pub const LONGEST_KEY: usize = 512;

/// What stands for itself in a key (RFC 3986 §2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// `/`: all namespaces.
    Everything,
    /// `/NAMESPACE`: what is in it.
    Namespace(&'a str),
    /// `/NAMESPACE/_get`: several at a time.
    Batch(&'a str),
    /// `/NAMESPACE/KEY`, the key decoded.
    Object(&'a str, String),
}

/// Reads the path of a request.
pub(super) fn target(path: &str) -> Result<Target<'_>, Problem> {
    let Some(rest) = path.strip_prefix('/') else { return Err(bad_key("the path begins with a slash")) };
    let (namespace, key) = match rest.split_once('/') {
        None => (rest, ""),
        Some(both) => both,
    };
    match key {
        "" if namespace.is_empty() => Ok(Target::Everything),
        "" => Ok(Target::Namespace(namespace)),
        "_get" => Ok(Target::Batch(namespace)),
        key if key.contains('/') => Err(bad_key("a key is one segment; a slash in it is written %2F")),
        key => Ok(Target::Object(namespace, decoded(key)?)),
    }
}

/// A key as it stands in a path.
fn decoded(key: &str) -> Result<String, Problem> {
    let whole = |at: usize| key.as_bytes().get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    if key.match_indices('%').any(|(at, _)| !whole(at)) {
        return Err(bad_key("a percent sign is followed by two hexadecimal digits"));
    }
    let text = percent_decode_str(key).decode_utf8().map_err(|_| bad_key("a key is UTF-8"))?;
    checked(&text)?;
    Ok(text.into_owned())
}

/// Whether a text may be a key.
pub(super) fn checked(key: &str) -> Result<(), Problem> {
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(bad_key(format!("a key has 1 to {LONGEST_KEY} bytes, this one has {}", key.len())));
    }
    if key.chars().any(char::is_control) {
        return Err(bad_key("a key has no control characters"));
    }
    if key.starts_with('_') {
        return Err(bad_key("keys that begin with _ are reserved"));
    }
    if key.split(['/', '\\']).any(|part| matches!(part, "." | "..")) {
        return Err(bad_key("`.` and `..` are no part of a key: to many a source they mean another folder"));
    }
    Ok(())
}

/// The one path of an object.
pub(super) fn path(namespace: &str, key: &str) -> String {
    let mut path = String::with_capacity(namespace.len() + key.len() + 8);
    path.push('/');
    path.push_str(namespace);
    path.push('/');
    path.extend(utf8_percent_encode(key, ENCODED));
    path
}

/// The key in such a path.
pub(super) fn key_of(path: &str) -> Option<String> {
    let key = path.strip_prefix('/')?.split_once('/')?.1;
    Some(percent_decode_str(key).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_names() {
        let object = |key: &str| Target::Object("codes", key.to_owned());
        let rows = [
            ("/", Target::Everything),
            ("/codes", Target::Namespace("codes")),
            ("/codes/", Target::Namespace("codes")),
            ("/codes/_get", Target::Batch("codes")),
            ("/codes/AT", object("AT")),
            ("/codes/a%2Fb", object("a/b")),
            ("/codes/%41T", object("AT")),
            ("/codes/a;b=c,d", object("a;b=c,d")),
            ("/codes/%C3%A9", object("é")),
            ("/codes/..a", object("..a")),
        ];
        for (path, want) in rows {
            assert_eq!(target(path).unwrap(), want, "{path}");
        }
        let (long, longest) = ("x".repeat(LONGEST_KEY + 1), "x".repeat(LONGEST_KEY));
        assert!(target(&format!("/codes/{longest}")).is_ok());
        for bad in [
            "codes/AT",
            "/codes/a/b",
            "/codes/_x",
            "/codes/%5Fget",
            "/codes/a%0Ab",
            "/codes/a%00",
            "/codes/%7f",
            "/codes/%c2%85",
            "/codes/%ff",
            "/codes/a%2",
            "/codes/a%zz",
            "/codes/.",
            "/codes/%2e%2e",
            "/codes/a%2F..%2Fb",
            "/codes/..%5Ca",
            &format!("/codes/{long}"),
        ] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_key_has_one_path() {
        for key in ["AT", "a/b", "a b", "é", "a;b", "100%", "~a-b_c.d"] {
            let path = path("codes", key);
            assert_eq!(target(&path).unwrap(), Target::Object("codes", key.into()), "{path}");
            assert_eq!(key_of(&path).unwrap(), key);
        }
        assert_eq!(path("codes", "a/b é"), "/codes/a%2Fb%20%C3%A9");
    }
}
