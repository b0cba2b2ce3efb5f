//! Parts of answers: what they are good for, and how they become more (RFC 9111 §3.3, §3.4; RFC 9110 §15.3.7.3).
//!
//! A part lies in the store under a key of its own ([`part_key`](crate::policy::part_key)), so that nobody who wants the whole can find it by mistake. A request
//! for a range within it is answered from it while it is fresh. Two parts become one when they touch and carry the same strong
//! entity tag; when nothing is missing any more they are the whole. Who wants the whole while its beginning is there asks
//! for the rest, `If-Range` its tag: a 206 is put behind the beginning, anything else is an answer of its own.
//!
//! What is put together is as old as the oldest question among its parts.

use super::candidates::MOST_SCOPES;
use crate::body::Body;
use crate::rfc9110::fields::{OF_ONE_CONTENT, remove_all};
use crate::rfc9110::range::ContentRange;
use crate::rfc9111;
use crate::store::{Content, Entry, Names, Standing};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use std::sync::{Arc, OnceLock};

/// What a question is after.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// The one part that the client asked for.
    Part,
    /// What follows this part, which is stored.
    Rest(Arc<Entry>),
}

/// Which bytes a stored answer has, if it is a part.
pub fn span(entry: &Entry) -> Option<ContentRange> {
    // The status first: every hit asks, and few are parts.
    (entry.status == StatusCode::PARTIAL_CONTENT).then_some(())?;
    ContentRange::parse(entry.fields.get(&CONTENT_RANGE)?)
}

/// Whether the rest of this part can be asked for: it is the beginning of an answer with a strong entity tag.
pub fn can_be_completed(entry: &Entry) -> bool {
    let begins = span(entry).is_some_and(|span| span.part.first == 0);
    let bounded = entry.held.len() <= MOST_SCOPES;
    begins && bounded && entry.etag().is_some_and(rfc9111::is_strong) && entry.content.get().is_some()
}

/// Makes a request one for the rest of a part.
pub(super) fn ask_for_rest(request: &mut HeaderMap, of: &Entry) {
    let tag = of.etag().and_then(|tag| HeaderValue::from_bytes(tag).ok());
    let next =
        span(of).map(|span| format!("bytes={}-", span.part.last + 1)).and_then(|r| HeaderValue::try_from(r).ok());
    if let (Some(tag), Some(range)) = (tag, next) {
        request.insert(RANGE, range);
        request.insert(IF_RANGE, tag);
    }
}

/// What the answer to a question for the rest is.
pub(super) enum Completed {
    /// The whole: the beginning and the answer behind it.
    Whole(Response<Body>),
    /// An answer to the request as such.
    Other(Response<Body>),
    /// Nothing that could be used; the whole has to be asked for.
    Nothing,
}

/// Puts the rest behind its beginning.
pub(super) fn completed(of: &Entry, rest: Response<Body>) -> Completed {
    match rest.status() {
        StatusCode::PARTIAL_CONTENT => behind(of, rest).map_or(Completed::Nothing, Completed::Whole),
        StatusCode::RANGE_NOT_SATISFIABLE => Completed::Nothing,
        _ => Completed::Other(rest),
    }
}

fn behind(of: &Entry, rest: Response<Body>) -> Option<Response<Body>> {
    let (had, got) = (span(of)?, ContentRange::of(rest.headers())?);
    let follows = got.part.first == had.part.last + 1 && got.part.last + 1 == got.complete;
    let length =
        rest.headers().get(CONTENT_LENGTH).is_none_or(|v| v.as_bytes() == got.part.len().to_string().as_bytes());
    // An invalidation since it was found says that the beginning may be another version's, whatever the tag.
    let holds = of.standing() == Standing::Current;
    if !(follows && length && holds && got.complete == had.complete && same_version(of, rest.headers())) {
        return None;
    }
    let (mut parts, body) = rest.into_parts();
    parts.headers =
        together(&of.fields.unpack(parts.headers.len()), &parts.headers, &ContentRange::whole(got.complete)?);
    parts.status = StatusCode::OK;
    Some(Response::from_parts(parts, Body::chained(of.content.get()?.body.clone(), body)))
}

fn same_version(had: &Entry, got: &HeaderMap) -> bool {
    let tag = had.etag().filter(|tag| rfc9111::is_strong(tag));
    tag.is_some() && got.get_all(ETAG).iter().count() == 1 && got.get(ETAG).map(HeaderValue::as_bytes) == tag
}

/// The fields of what is put together: those of the newer part in the place of the older one's (RFC 9111 §3.4), and none that
/// is about one part only.
fn together(had: &HeaderMap, got: &HeaderMap, span: &ContentRange) -> HeaderMap {
    let mut fields = rfc9111::freshen(had, got);
    remove_all(&mut fields, &OF_ONE_CONTENT);
    fields.remove(CONTENT_RANGE);
    fields.insert(CONTENT_LENGTH, HeaderValue::from(span.part.len()));
    let range = format!("bytes {}-{}/{}", span.part.first, span.part.last, span.complete);
    if let Some(range) = HeaderValue::try_from(range).ok().filter(|_| !span.is_whole()) {
        fields.insert(CONTENT_RANGE, range);
    }
    fields
}

/// A part that is all there is, as the whole.
pub(super) fn as_whole(names: &Names, part: &Entry) -> Option<Entry> {
    let span = span(part).filter(ContentRange::is_whole)?;
    let fields = part.fields.unpack(0);
    let content = OnceLock::new();
    drop(content.set(part.content.get()?.clone()));
    Some(Entry {
        status: StatusCode::OK,
        reason: None,
        fields: names.pack(&together(&fields, &HeaderMap::new(), &span)),
        facts: part.facts,
        sharing: part.sharing,
        selection: part.selection.clone(),
        held: part.held.clone(),
        asked_at: part.asked_at,
        confirmed_at: part.confirmed_at,
        asked_time: part.asked_time,
        hits: Default::default(),
        content,
        tally: part.tally.again(),
    })
}

/// Both parts as one of at most `most` bytes, or as the whole; `None` where they don't touch, or aren't known to be of one version.
pub(super) fn joined(names: &Names, had: &Entry, got: &Entry, most: u64) -> Option<Entry> {
    let (first, second) = (span(had)?, span(got)?);
    let (mut fields, had_fields) = (got.fields.unpack(2), had.fields.unpack(2));
    if first.complete != second.complete || !same_version(had, &fields) || had.standing() != Standing::Current {
        return None;
    }
    let (body, span) = joined_bytes((&had.content.get()?.body, first), (&got.content.get()?.body, second))?;
    (span.part.len() <= most && had.held.len() <= MOST_SCOPES).then_some(())?;
    fields = together(&had_fields, &fields, &span);
    let content = OnceLock::new();
    drop(content.set(Content { body, ..Content::default() }));
    Some(Entry {
        status: if span.is_whole() { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT },
        reason: None,
        fields: names.pack(&fields),
        facts: got.facts,
        sharing: got.sharing.min(had.sharing),
        selection: got.selection.and(&had.selection),
        held: had.held.union(&got.held),
        asked_at: had.asked_at.min(got.asked_at),
        confirmed_at: had.confirmed_at.min(got.confirmed_at),
        asked_time: got.asked_time,
        hits: Default::default(),
        content,
        tally: got.tally.again(),
    })
}

type Piece<'a> = (&'a Bytes, ContentRange);

/// The bytes of two parts of one representation that overlap or lie side by side. Where both have a byte it has to be the same.
fn joined_bytes(a: Piece<'_>, b: Piece<'_>) -> Option<(Bytes, ContentRange)> {
    let (low, high) = if a.1.part.first <= b.1.part.first { (a, b) } else { (b, a) };
    let shift = usize::try_from(high.1.part.first - low.1.part.first).ok()?;
    let common = low.0.len().checked_sub(shift)?.min(high.0.len());
    if low.0[shift..shift + common] != high.0[..common] {
        return None;
    }
    let mut span = low.1;
    span.part.last = span.part.last.max(high.1.part.last);
    let mut all = Vec::with_capacity(low.0.len() + high.0.len() - common);
    all.extend_from_slice(low.0);
    all.extend_from_slice(&high.0[common..]);
    Some((all.into(), span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::range::Part;

    /// The first byte's place, and the bytes.
    type At = (u64, &'static str);

    fn piece(first: u64, bytes: &'static str) -> (Bytes, ContentRange) {
        let last = first + bytes.len() as u64 - 1;
        (Bytes::from_static(bytes.as_bytes()), ContentRange { part: Part { first, last }, complete: 10 })
    }

    #[test]
    fn bytes_are_joined_where_they_touch_and_agree() {
        let rows: &[(&str, At, At, Option<At>)] = &[
            ("side by side", (0, "012"), (3, "345"), Some((0, "012345"))),
            ("turned", (3, "345"), (0, "012"), Some((0, "012345"))),
            ("overlapping", (0, "0123"), (2, "2345"), Some((0, "012345"))),
            ("one within the other", (0, "012345"), (2, "23"), Some((0, "012345"))),
            ("the same", (2, "23"), (2, "23"), Some((2, "23"))),
            ("one begins where the other does", (2, "23"), (2, "2345"), Some((2, "2345"))),
            ("a gap of one", (0, "012"), (4, "45"), None),
            ("they differ where both have it", (0, "0123"), (2, "xx45"), None),
        ];
        for (why, a, b, want) in rows {
            let (a, b) = (piece(a.0, a.1), piece(b.0, b.1));
            let got = joined_bytes((&a.0, a.1), (&b.0, b.1));
            assert_eq!(got.as_ref().map(|(bytes, _)| &bytes[..]), want.map(|(_, bytes)| bytes.as_bytes()), "{why}");
            if let Some((bytes, span)) = got {
                assert_eq!((Some(span.part.first), span.part.len()), (want.map(|w| w.0), bytes.len() as u64), "{why}");
            }
        }
    }

    #[test]
    fn what_is_about_one_part_only_does_not_outlive_it() {
        let had = crate::rfc9110::fields_of(&[
            ("content-range", "bytes 0-1/4"),
            ("content-digest", "a"),
            ("x", "1"),
            ("y", "1"),
        ]);
        let got = crate::rfc9110::fields_of(&[("content-range", "bytes 2-3/4"), ("content-md5", "b"), ("x", "2")]);
        let want = crate::rfc9110::fields_of(&[("content-length", "4"), ("x", "2"), ("y", "1")]);
        assert_eq!(together(&had, &got, &ContentRange::whole(4).unwrap()), want, "RFC 9111 §3.4");
    }
}
