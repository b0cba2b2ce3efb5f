//! Preconditions as a cache evaluates them (RFC 9110 §13, RFC 9111 §4.3.2).

use super::date::{self, DateField};
use super::etag::{self, EntityTag};
use super::fields::has_any;
use super::validators::Validators;
use crate::clock::Now;
use http::HeaderMap;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};

/// Whether a GET or HEAD with these fields is answered 304 from a stored 200 with these validators (§13.2.2, steps 3
/// and 4). `If-None-Match` is compared weakly and makes `If-Modified-Since` count for nothing; the latter falls back on
/// the stored `Date` where there is no `Last-Modified` (RFC 9111 §4.3.2).
pub fn not_modified(request: &HeaderMap, stored: &Validators<'_>, now: Now) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let lines = || request.get_all(IF_NONE_MATCH).into_iter().map(http::HeaderValue::as_bytes);
        return match stored.etag.map(|raw| (raw, EntityTag::parse(raw))) {
            // Many an origin leaves the quotes out. Its clients send back what they got, and that is compared byte for byte.
            Some((raw, None)) if !raw.is_empty() => lines().any(|line| line.trim_ascii() == raw || etag::is_any(line)),
            tag => etag::named(lines(), tag.and_then(|(_, tag)| tag), |a, b| a.weak_match(b)),
        };
    }
    let DateField::At(since) = date::field(request, &IF_MODIFIED_SINCE, now.unix) else { return false };
    let modified = stored.last_modified.or(stored.date).and_then(|value| date::parse(value, now.unix));
    modified.is_some_and(|modified| modified <= since)
}

/// Whether a request carries a precondition that only the origin may evaluate: it is not for a cache (RFC 9111 §4.3.2).
pub fn has_precondition_for_origin(request: &HeaderMap) -> bool {
    has_any(request, &[IF_MATCH, IF_UNMODIFIED_SINCE])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::{Lines, fields_of};

    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    #[test]
    fn not_modified_by_section_13_2_2() {
        let cases: &[(&str, Lines<'_>, Lines<'_>, bool)] = &[
            ("unconditional", &[], &[("etag", "\"a\"")], false),
            ("§13.1.2 same", &[("if-none-match", "\"a\"")], &[("etag", "\"a\"")], true),
            ("§13.1.2 weakly", &[("if-none-match", "W/\"a\"")], &[("etag", "\"a\"")], true),
            ("§13.1.2 in a list", &[("if-none-match", "\"x\", \"a\"")], &[("etag", "W/\"a\"")], true),
            (
                "§5.3 in a second line",
                &[("if-none-match", "\"x\""), ("if-none-match", "\"a\"")],
                &[("etag", "\"a\"")],
                true,
            ),
            ("§13.1.2 any", &[("if-none-match", "*")], &[], true),
            ("§13.1.2 other", &[("if-none-match", "\"b\"")], &[("etag", "\"a\"")], false),
            ("unquoted on both sides", &[("if-none-match", "a")], &[("etag", "a")], true),
            ("unquoted on one side", &[("if-none-match", "a")], &[("etag", "\"a\"")], false),
            ("unquoted on the other", &[("if-none-match", "\"a\"")], &[("etag", "a")], false),
            ("unquoted, another", &[("if-none-match", "b")], &[("etag", "a")], false),
            ("unquoted, any", &[("if-none-match", "*")], &[("etag", "a")], true),
            ("no tag at all", &[("if-none-match", "")], &[("etag", "")], false),
            (
                "§13.1.3 If-None-Match counts, the date doesn't",
                &[("if-none-match", "\"b\""), ("if-modified-since", NEW)],
                &[("etag", "\"a\""), ("last-modified", OLD)],
                false,
            ),
            ("§13.1.3 not since", &[("if-modified-since", NEW)], &[("last-modified", OLD)], true),
            ("§13.1.3 same", &[("if-modified-since", OLD)], &[("last-modified", OLD)], true),
            ("§13.1.3 since", &[("if-modified-since", OLD)], &[("last-modified", NEW)], false),
            ("§13.1.3 no date", &[("if-modified-since", "0")], &[("last-modified", OLD)], false),
            (
                "§13.1.3 two dates",
                &[("if-modified-since", NEW), ("if-modified-since", NEW)],
                &[("last-modified", OLD)],
                false,
            ),
            ("RFC 9111 §4.3.2 Date instead", &[("if-modified-since", NEW)], &[("date", OLD)], true),
            ("RFC 9111 §4.3.2 Date instead, later", &[("if-modified-since", OLD)], &[("date", NEW)], false),
            (
                "stored Last-Modified is no date",
                &[("if-modified-since", NEW)],
                &[("last-modified", "x"), ("date", OLD)],
                false,
            ),
        ];
        for (why, request, stored, want) in cases {
            let stored = fields_of(stored);
            let got = not_modified(&fields_of(request), &Validators::of(&stored), Now::default());
            assert_eq!(got, *want, "{why}");
        }
    }

    #[test]
    fn if_match_is_for_the_origin() {
        assert!(has_precondition_for_origin(&fields_of(&[("if-match", "*")])));
        assert!(has_precondition_for_origin(&fields_of(&[("if-unmodified-since", OLD)])));
        assert!(!has_precondition_for_origin(&fields_of(&[("if-none-match", "*")])));
    }
}
