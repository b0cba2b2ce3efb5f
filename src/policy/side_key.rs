//! Keys of what isn't found by its URL alone.
//!
//! Each is an ordinary key ([`write_key`](super::write_key)) with a mark where a partition has the length of its first text, or ends. No
//! text is as long as a mark says, so no side key is the key of a URL, or of another kind.

use super::key::measured;
use crate::rfc9111::UrlVariation;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName};

/// Kinds of side keys.
#[derive(Clone, Copy)]
pub(super) enum Side {
    /// Requests in flight for one variant.
    Variant = 0,
    /// Parts of an answer.
    Part = 1,
    /// The content of a QUERY.
    Query = 2,
    /// What was last said of a path's query.
    Rule = 3,
    /// An answer under what its origin minds of its query.
    Equivalent = 4,
    /// What a trusted proxy says that changes what is asked.
    Claims = 5,
    /// Which of the APIs that have been here it is.
    Generation = 6,
}

impl Side {
    pub(super) fn mark(self) -> [u8; 8] {
        (u64::MAX - self as u64).to_le_bytes()
    }
}

/// The key of those who wait for one variant of an answer; `write` adds what makes it one.
pub fn variant_key(key: &[u8], write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut variant = [key, &Side::Variant.mark()].concat();
    write(&mut variant);
    variant
}

/// The key under which parts lie.
pub fn part_key(key: &[u8]) -> Vec<u8> {
    [key, &Side::Part.mark()].concat()
}

/// Makes the key of a GET, still without a partition, that of a QUERY with this content.
///
/// What describes the content counts with it: its type, its codings, its language.
pub fn write_query(key: &mut Vec<u8>, fields: &HeaderMap, content: &[u8]) {
    key.extend_from_slice(&Side::Query.mark());
    let describes = |name: &&HeaderName| name.as_str().starts_with("content-") && **name != CONTENT_LENGTH;
    let mut names: Vec<&HeaderName> = fields.keys().filter(describes).collect();
    names.sort_unstable_by_key(|name| name.as_str());
    for name in names {
        for value in fields.get_all(name) {
            measured(key, name.as_str().as_bytes());
            measured(key, value.as_bytes());
        }
    }
    measured(key, b"");
    measured(key, content);
}

/// Makes the key of a GET, still without anything behind its URL, that of an API of this generation. The first ones have none to write, so
/// that it costs nothing as long as nothing has changed.
pub fn write_generation(key: &mut Vec<u8>, generation: u64) {
    if generation != 0 {
        key.extend_from_slice(&Side::Generation.mark());
        key.extend_from_slice(&generation.to_le_bytes());
    }
}

/// Makes the key of a GET, still without content and partition, that of one about which a trusted proxy says this.
pub fn write_claims<'a>(key: &mut Vec<u8>, claims: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
    key.extend_from_slice(&Side::Claims.mark());
    for (name, value) in claims {
        measured(key, name.as_bytes());
        measured(key, value);
    }
    measured(key, b"");
}

/// The key under which lies what was last said of the query of this key's path.
pub fn rule_key(key: &[u8]) -> Vec<u8> {
    let (base, _, rest) = split(key);
    [base, &[0], &Side::Rule.mark(), rest].concat()
}

/// The key of all URLs that are equivalent to this key's by `rule`, which is part of it: an answer is used by its own rule only.
pub fn equivalent_key(key: &[u8], rule: &UrlVariation) -> Vec<u8> {
    let (base, query, rest) = split(key);
    let mut equivalent = [base, &[0], &Side::Equivalent.mark()].concat();
    let mut text = Vec::new();
    rule.write(&mut text);
    measured(&mut equivalent, &text);
    measured(&mut equivalent, &rule.minded(query.unwrap_or_default()));
    equivalent.extend_from_slice(rest);
    equivalent
}

/// Whether an answer lies under this key that lies under its own as well, or none at all: who counts answers passes it over.
pub fn is_second_key(key: &[u8]) -> bool {
    let (.., rest) = split(key);
    [Side::Rule, Side::Equivalent].iter().any(|side| rest.starts_with(&side.mark()))
}

/// Host and path of a key under which a GET's answer lies for everybody, and the generation of its API: no caller's partition, no content of
/// a QUERY, no part. What a trusted proxy claims may be part of it.
pub fn shared_place(key: &[u8]) -> Option<(&str, &str, u64)> {
    let (base, _, rest) = split(key);
    let (generation, rest) = behind_generation(rest)?;
    let rest = rest.strip_prefix(&Side::Claims.mark()[..]).map_or(Some(rest), behind_claims)?;
    let base = std::str::from_utf8(base).ok().filter(|_| rest.is_empty() && key.contains(&0))?;
    let (host, path) = base.split_at(base.find('/')?);
    Some((host, path, generation))
}

/// The key of the same for an API of this generation; `None` where it can't be read.
pub fn of_generation(key: &[u8], generation: u64) -> Option<Vec<u8>> {
    let (.., rest) = split(key);
    let (_, behind) = behind_generation(rest)?;
    let mut other = key[..key.len() - rest.len()].to_vec();
    write_generation(&mut other, generation);
    other.extend_from_slice(behind);
    Some(other)
}

/// The generation that follows a URL, and what follows that.
pub(super) fn behind_generation(rest: &[u8]) -> Option<(u64, &[u8])> {
    let Some(marked) = rest.strip_prefix(&Side::Generation.mark()[..]) else { return Some((0, rest)) };
    let (generation, behind) = marked.split_first_chunk()?;
    Some((u64::from_le_bytes(*generation), behind))
}

/// What follows the claims of a key.
fn behind_claims(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (name, after) = unmeasured(rest)?;
        if name.is_empty() {
            return Some(after);
        }
        rest = unmeasured(after)?.1;
    }
}

/// A text that was written with its length, and what follows it.
pub(super) fn unmeasured(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// The query of a key.
pub fn query_of(key: &[u8]) -> Option<&[u8]> {
    split(key).1
}

/// Host and path, the query, and what follows the NUL.
pub(super) fn split(key: &[u8]) -> (&[u8], Option<&[u8]>, &[u8]) {
    let nul = key.iter().position(|&b| b == 0).unwrap_or(key.len());
    let (url, rest) = (&key[..nul], key.get(nul + 1..).unwrap_or_default());
    match url.iter().position(|&b| b == b'?') {
        Some(at) => (&url[..at], Some(&url[at + 1..]), rest),
        None => (url, None, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::super::write_key;
    use super::*;
    use crate::rfc9110::fields_of;

    #[test]
    fn no_two_kinds_look_alike() {
        let rule = UrlVariation::of(&fields_of(&[("no-vary-search", "params=(\"b\")")])).unwrap();
        let (mut all, mut seconds) = (Vec::<Vec<u8>>::new(), Vec::new());
        for partition in [&b""[..], b"\x05\0\0\0\0\0\0\0alice"] {
            for query in [None, Some("a=1"), Some("a=1&b=2")] {
                let mut key = Vec::new();
                write_key(&mut key, "a.example", "/x", query, partition);
                let mut with_content = Vec::new();
                write_key(&mut with_content, "a.example", "/x", query, b"");
                write_query(&mut with_content, &fields_of(&[("content-type", "text/plain")]), b"q");
                with_content.extend_from_slice(partition);
                let mut claimed = Vec::new();
                write_key(&mut claimed, "a.example", "/x", query, b"");
                write_claims(&mut claimed, [("x-forwarded-host", &b"b"[..])]);
                claimed.extend_from_slice(partition);
                let later = [1, 2, u64::MAX].map(|generation| {
                    let mut later = Vec::new();
                    write_key(&mut later, "a.example", "/x", query, b"");
                    write_generation(&mut later, generation);
                    later.extend_from_slice(partition);
                    later
                });
                let parts = later.each_ref().map(|key| part_key(key));
                all.extend(later.into_iter().chain(parts));
                all.extend([variant_key(&key, |_| ()), part_key(&key), with_content, claimed, key]);
            }
            let mut key = Vec::new();
            write_key(&mut key, "a.example", "/x", Some("b=1"), partition);
            assert!(all.iter().all(|key| !is_second_key(key)));
            let mut later = Vec::new();
            write_key(&mut later, "a.example", "/x", Some("b=1"), b"");
            write_generation(&mut later, 1);
            later.extend_from_slice(partition);
            let second = [rule_key(&key), equivalent_key(&key, &rule), rule_key(&later), equivalent_key(&later, &rule)];
            assert!(second.iter().all(|key| is_second_key(key)));
            seconds.extend(second);
        }
        all.extend(seconds);
        for (i, key) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other != key), "{i}: {:?}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn what_lies_there_for_everybody_is_told_by_its_key() {
        let mut key = Vec::new();
        write_key(&mut key, "a.example:1", "/x/y", Some("a=1"), b"");
        assert_eq!(shared_place(&key), Some(("a.example:1", "/x/y", 0)));
        let mut claimed = key.clone();
        write_claims(&mut claimed, [("x-forwarded-host", &b"b"[..]), ("x-forwarded-proto", b"")]);
        assert_eq!(shared_place(&claimed), Some(("a.example:1", "/x/y", 0)));
        let later = of_generation(&claimed, 7).unwrap();
        assert_eq!(shared_place(&later), Some(("a.example:1", "/x/y", 7)));
        assert_eq!(of_generation(&later, 0).as_ref(), Some(&claimed));
        assert_eq!(of_generation(&later, 7).as_ref(), Some(&later));
        assert_eq!(shared_place(&[&later[..], b"\x05\0\0\0\0\0\0\0alice"].concat()), None);
        for partition in [&b"\x05\0\0\0\0\0\0\0alice"[..], b"\0\0\0\0\0\0\0\0"] {
            assert_eq!(shared_place(&[&key[..], partition].concat()), None);
            assert_eq!(shared_place(&[&claimed[..], partition].concat()), None);
        }
        let mut query = key.clone();
        write_query(&mut query, &HeaderMap::new(), b"q");
        let rule = UrlVariation::of(&fields_of(&[("no-vary-search", "params=(\"b\")")])).unwrap();
        for other in [query, part_key(&key), part_key(&claimed), rule_key(&key), equivalent_key(&key, &rule)] {
            assert_eq!(shared_place(&other), None);
        }
        for broken in [&b"a.example/x"[..], b"a.example\0", b"\0", b"", &claimed[..claimed.len() - 1]] {
            assert_eq!(shared_place(broken), None);
        }
    }

    #[test]
    fn a_query_is_known_by_its_content_and_what_describes_it() {
        let of = |fields: &[(&str, &str)], content: &str| {
            let mut key = Vec::new();
            write_query(&mut key, &fields_of(fields), content.as_bytes());
            key
        };
        let json = ("content-type", "application/json");
        let all = [
            of(&[], ""),
            of(&[], "a"),
            of(&[json], "a"),
            of(&[("content-type", "text/plain")], "a"),
            of(&[json, ("content-encoding", "gzip")], "a"),
            of(&[json, ("content-language", "de")], "a"),
            of(&[json, json], "a"),
        ];
        for (i, key) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other != key), "{i}");
        }
        assert_eq!(of(&[json, ("accept", "x"), ("content-length", "1")], "a"), of(&[json], "a"));
    }

    #[test]
    fn equivalent_urls_have_one_key_and_callers_their_own() {
        let rule = UrlVariation::of(&fields_of(&[("no-vary-search", "params=(\"utm\")")])).unwrap();
        let of = |query: Option<&str>, partition: &[u8]| {
            let mut key = Vec::new();
            write_key(&mut key, "a.example", "/x", query, partition);
            (rule_key(&key), equivalent_key(&key, &rule))
        };
        assert_eq!(of(Some("a=1&utm=2"), b"p"), of(Some("utm=3&a=1"), b"p"));
        assert_eq!(of(None, b"p"), of(Some("utm=3"), b"p"));
        assert_ne!(of(None, b"p").1, of(Some("a=1"), b"p").1);
        assert_ne!(of(None, b"p"), of(None, b"q"));
    }
}
