//! Asking whether a stored answer still holds, and bringing it up to date (RFC 9111 §4.3).

use crate::rfc9110::Validators;
use crate::rfc9110::etag::EntityTag;
use crate::rfc9110::fields::strip_hop_by_hop;
use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    LAST_MODIFIED, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

pub use crate::rfc9110::etag::is_strong;

/// Takes the client's own conditions and ranges out of a request that is to fill or validate the cache, so that the answer is
/// a whole one and a 304 is about the stored answer only. `If-Match` and `If-Unmodified-Since` stay: a request
/// with those is for the origin and is not to be used for filling
/// ([`has_precondition_for_origin`](crate::rfc9110::conditional::has_precondition_for_origin)).
pub fn strip_conditionals(request: &mut HeaderMap) {
    const OF_THE_CLIENT: [HeaderName; 5] =
        [IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE, RANGE, HeaderName::from_static("a-im")];
    for name in OF_THE_CLIENT {
        request.remove(name);
    }
}

/// Makes a request conditional on a stored answer (§4.3.1): its entity tag must be sent, its date should be. Conditions
/// that were there are replaced. Returns whether there was anything to send; a malformed entity tag isn't sent.
pub fn add_validators(request: &mut HeaderMap, etag: Option<&[u8]>, last_modified: Option<&[u8]>) -> bool {
    let etag = etag.filter(|etag| EntityTag::parse(etag).is_some());
    let mut sent = false;
    for (name, value) in [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)] {
        request.remove(&name);
        if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value).ok()) {
            request.insert(name, value);
            sent = true;
        }
    }
    sent
}

/// Makes a request conditional on several stored answers at once (§4.3.1), by their strong entity tags.
pub fn offer<'a>(request: &mut HeaderMap, etags: impl Iterator<Item = &'a [u8]>) {
    let list = etags.collect::<Vec<_>>().join(&b", "[..]);
    if let Some(value) = HeaderValue::from_bytes(&list).ok().filter(|_| !list.is_empty()) {
        request.insert(IF_NONE_MATCH, value);
    }
}

/// Whether a 304 may bring this stored answer up to date (§4.3.4), which must be the one that was asked about, by
/// [`add_validators`]. A validator in the 304 must be the stored answer's. A 304 without one can only mean the
/// single answer whose validators were sent, and counts; origins that leave them out are many.
pub fn identifies(not_modified: &HeaderMap, stored: &HeaderMap) -> bool {
    if not_modified.get_all(ETAG).iter().count() > 1 {
        return false;
    }
    let (new, old) = (Validators::of(not_modified), Validators::of(stored));
    if new.etag.is_some() {
        let (Some(new), Some(old)) = (new.etag.and_then(EntityTag::parse), old.etag.and_then(EntityTag::parse)) else {
            return false;
        };
        return if new.weak { new.weak_match(&old) } else { new.strong_match(&old) };
    }
    new.last_modified.is_none() || new.last_modified == old.last_modified
}

/// The stored fields, brought up to date by those of a 304 or a HEAD (§3.2): each field in it replaces all stored lines of
/// that name. Stored `Age` and `Date` don't outlive it, since age is counted from the last validation (§4.2.3).
///
/// Left as stored: fields that aren't to be stored (§3.1), `Content-Length`, and what is about the bytes that are kept: how
/// they have to be read (`Content-Encoding`, `Content-Range`), and their digests.
pub fn freshen(stored: &HeaderMap, update: &HeaderMap) -> HeaderMap {
    let mut fields = stored.clone();
    fields.remove(AGE);
    fields.remove(DATE);
    let mut update = update.clone();
    strip_hop_by_hop(&mut update);
    for name in update.keys().filter(|name| !is_kept_as_stored(name)) {
        fields.remove(name);
        for value in update.get_all(name) {
            fields.append(name.clone(), value.clone());
        }
    }
    fields
}

fn is_kept_as_stored(name: &HeaderName) -> bool {
    const KEPT: [HeaderName; 8] = [
        CONTENT_LENGTH,
        CONTENT_ENCODING,
        CONTENT_RANGE,
        HeaderName::from_static("content-digest"),
        HeaderName::from_static("content-md5"),
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        HeaderName::from_static("proxy-authentication-info"),
    ];
    KEPT.contains(name)
}

/// What a 200 to HEAD says about a stored GET answer (§4.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is the same version: its fields bring the stored ones up to date.
    Same,
    /// It is another one: what is stored is stale.
    Other,
    /// Nothing that tells versions apart.
    Nothing,
}

/// Compares a 200 to HEAD with a stored GET answer whose content has `length` bytes. A length alone makes no two versions the
/// same.
pub fn heard(head: &HeaderMap, stored: &HeaderMap, length: usize) -> Heard {
    let has = |name: &HeaderName| head.contains_key(name);
    let same = |name: &HeaderName| head.get_all(name).iter().eq(stored.get_all(name).iter());
    let other_length = head.get(CONTENT_LENGTH).is_some_and(|value| value.as_bytes() != length.to_string().as_bytes());
    let other = |name: &HeaderName| has(name) && !same(name);
    match (has(&ETAG) || has(&LAST_MODIFIED), other(&ETAG) || other(&LAST_MODIFIED) || other_length) {
        (_, true) => Heard::Other,
        (true, false) => Heard::Same,
        (false, false) => Heard::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::{Lines, fields_of};

    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    #[test]
    fn a_validating_request_asks_about_the_stored_answer_only() {
        let mut request = fields_of(&[
            ("if-none-match", "\"client\""),
            ("if-modified-since", NEW),
            ("if-range", "\"client\""),
            ("range", "bytes=0-1"),
            ("a-im", "vcdiff"),
            ("if-match", "\"x\""),
            ("accept", "*/*"),
        ]);
        strip_conditionals(&mut request);
        assert_eq!(request, fields_of(&[("if-match", "\"x\""), ("accept", "*/*")]));
        assert!(add_validators(&mut request, Some(b"W/\"a\""), Some(OLD.as_bytes())));
        assert_eq!(request["if-none-match"], "W/\"a\"", "§4.3.1 MUST");
        assert_eq!(request["if-modified-since"], OLD, "§4.3.1 SHOULD");
        assert!(!add_validators(&mut request, Some(b"unquoted"), None));
        assert!(!request.contains_key("if-none-match") && !request.contains_key("if-modified-since"));
    }

    #[test]
    fn which_answer_a_304_is_about() {
        let cases: &[(&str, Lines<'_>, Lines<'_>, bool)] = &[
            ("§4.3.4 same strong", &[("etag", "\"a\"")], &[("etag", "\"a\"")], true),
            ("§4.3.4 other strong", &[("etag", "\"b\"")], &[("etag", "\"a\"")], false),
            ("§4.3.4 strong for a weak one", &[("etag", "\"a\"")], &[("etag", "W/\"a\"")], false),
            ("§4.3.4 same weak", &[("etag", "W/\"a\"")], &[("etag", "\"a\"")], true),
            ("§4.3.4 other weak", &[("etag", "W/\"b\"")], &[("etag", "\"a\"")], false),
            ("§4.3.4 a tag where none is stored", &[("etag", "\"a\"")], &[("last-modified", OLD)], false),
            ("§4.3.4 same date", &[("last-modified", OLD)], &[("last-modified", OLD)], true),
            ("§4.3.4 other date", &[("last-modified", NEW)], &[("last-modified", OLD)], false),
            (
                "the tag decides",
                &[("etag", "\"a\""), ("last-modified", NEW)],
                &[("etag", "\"a\""), ("last-modified", OLD)],
                true,
            ),
            ("nothing said", &[], &[("etag", "\"a\"")], true),
            ("two tags", &[("etag", "\"a\""), ("etag", "\"a\"")], &[("etag", "\"a\"")], false),
            ("malformed tag", &[("etag", "a")], &[("etag", "a")], false),
        ];
        for (why, new, stored, want) in cases {
            assert_eq!(identifies(&fields_of(new), &fields_of(stored)), *want, "{why}");
        }
    }

    #[test]
    fn freshening_replaces_all_but_what_describes_the_bytes() {
        let stored = fields_of(&[
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("content-md5", "old"),
            ("content-type", "text/plain"),
            ("cache-control", "max-age=1"),
            ("cache-control", "public"),
            ("date", OLD),
            ("age", "100"),
            ("x-kept", "1"),
        ]);
        let update = fields_of(&[
            ("content-length", "0"),
            ("content-encoding", "br"),
            ("content-range", "bytes 0-1/2"),
            ("content-md5", "of nothing"),
            ("content-digest", "sha-256=:of nothing:"),
            ("content-type", "text/html"),
            ("cache-control", "max-age=2"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("proxy-authenticate", "Basic"),
            ("x-new", "a"),
            ("x-new", "b"),
        ]);
        let want = fields_of(&[
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("content-md5", "old"),
            ("content-type", "text/html"),
            ("cache-control", "max-age=2"),
            ("x-kept", "1"),
            ("x-new", "a"),
            ("x-new", "b"),
        ]);
        assert_eq!(freshen(&stored, &update), want, "§3.2, §4.2.3");
    }

    #[test]
    fn what_a_head_says() {
        let stored = fields_of(&[("etag", "\"a\""), ("transfer-encoding", "chunked")]);
        let rows: &[(&str, Lines<'_>, Heard)] = &[
            ("§4.3.5 same tag", &[("etag", "\"a\"")], Heard::Same),
            ("§4.3.5 same tag and length", &[("etag", "\"a\""), ("content-length", "5")], Heard::Same),
            ("§4.3.5 other tag", &[("etag", "\"b\""), ("content-length", "5")], Heard::Other),
            ("§4.3.5 other length", &[("etag", "\"a\""), ("content-length", "6")], Heard::Other),
            ("§4.3.5 other length alone", &[("content-length", "6")], Heard::Other),
            ("§4.3.5 a date where none is stored", &[("last-modified", OLD)], Heard::Other),
            ("same length alone", &[("content-length", "5")], Heard::Nothing),
            ("nothing", &[], Heard::Nothing),
        ];
        for (why, head, want) in rows {
            assert_eq!(heard(&fields_of(head), &stored, 5), *want, "{why}");
        }
    }
}
