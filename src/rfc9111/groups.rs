//! Cache groups (RFC 9875): an origin puts answers into groups, and a write's answer names those that it invalidates.

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{List, ListEntry, Parser};

/// The groups that an answer belongs to (§2).
pub const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");

/// The groups that a write's answer invalidates (§3). It means nothing in the answer to a safe request.
pub const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// The strings of a list of strings. A field that isn't one counts as absent (RFC 9651 §4.2); parameters are ignored.
pub fn groups(answer: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines: Vec<&[u8]> = answer.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let Ok(list) = Parser::new(&lines.join(&b", "[..])).parse::<List>() else { return Vec::new() };
    let text = |entry: &ListEntry| match entry {
        ListEntry::Item(item) => item.bare_item.as_string().map(|s| s.as_str().to_owned()),
        ListEntry::InnerList(_) => None,
    };
    list.iter().map(text).collect::<Option<_>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::fields_of;

    #[test]
    fn a_list_of_strings_or_nothing() {
        let cases: &[(&[&str], &[&str])] = &[
            (&["\"a\""], &["a"]),
            (&["\"a\", \"b c\"", "\"d,\\\"e\""], &["a", "b c", "d,\"e"]),
            (&["\"a\";x=1;y, \"b\""], &["a", "b"]),
            (&["\"A\", \"a\""], &["A", "a"]),
            (&[""], &[]),
            (&["a"], &[]),
            (&["\"a\", b"], &[]),
            (&["\"a\", (\"b\")"], &[]),
            (&["\"a"], &[]),
            (&["\"a\",", "\"b\""], &[]),
            (&["\"caf\u{e9}\""], &[]),
            (&[], &[]),
        ];
        for (lines, want) in cases {
            let lines: Vec<_> = lines.iter().map(|line| ("cache-groups", *line)).collect();
            assert_eq!(groups(&fields_of(&lines), &CACHE_GROUPS), *want, "{lines:?}");
        }
    }
}
