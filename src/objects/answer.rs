//! What a reader is told of an object.

use super::problems;
use crate::body::Body;
use crate::clock::Now;
use crate::gateway::{Answered, Kind, Outcome, Problem};
use crate::rfc9110::etag::{self, EntityTag};
use crate::store::{Entry, Standing};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, VIA};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

/// The answer to GET, or to HEAD, with these conditions of a kind that the store leaves to whoever has the object.
pub(super) fn as_asked(answered: Answered, head: bool, wanted: Option<&HeaderMap>) -> Answered {
    let (mut response, outcome) = as_object(answered, wanted);
    if head {
        *response.body_mut() = Body::empty();
    }
    (response, outcome)
}

/// Of what a source says only what it has is an object, and that it has none; the rest is its trouble.
pub(super) fn as_object((response, outcome): Answered, wanted: Option<&HeaderMap>) -> Answered {
    let status = response.status();
    let ours = matches!(outcome.kind, Kind::Failed | Kind::Refused);
    let problem = match status {
        _ if ours => None,
        StatusCode::NOT_FOUND | StatusCode::GONE => Some(Problem::no_object()),
        _ if outcome.reason == Some("no-object") => Some(problems::of_source(status)),
        StatusCode::RANGE_NOT_SATISFIABLE => None,
        _ if status.is_success() || status == StatusCode::NOT_MODIFIED => {
            let etag = response.headers().get(ETAG);
            let other = wanted.is_some_and(|fields| !matches_one(fields, etag));
            other.then(|| problems::precondition(etag.cloned()))
        }
        _ => Some(problems::of_source(status)),
    };
    let Some(problem) = problem else { return (response, outcome) };
    let (mut told, refused) = problem.told(outcome.api.clone());
    for name in ["cache-status", "age"] {
        if let Some(value) = response.headers().get(name) {
            told.headers_mut().insert(name, value.clone());
        }
    }
    let reason = refused.reason;
    (told, Outcome { reason, ..outcome })
}

/// Whether one of `If-Match` is this entity tag (RFC 9110 §13.1.1).
pub(super) fn matches_one(fields: &HeaderMap, etag: Option<&HeaderValue>) -> bool {
    let lines = fields.get_all(IF_MATCH).into_iter().map(HeaderValue::as_bytes);
    let tag = etag.and_then(|etag| EntityTag::parse(etag.as_bytes()));
    etag::named(lines, tag, |a, b| a.strong_match(b))
}

/// Whether this is an object that may be given, not a source's "there is none", nor one that has been purged or has ended.
pub(super) fn is_there(entry: &Entry, now: Now) -> bool {
    entry.status.is_success() && entry.standing() == Standing::Current && entry.facts.is_fresh(now)
}

/// An answer of this cache itself, without content.
pub(super) fn answer(status: StatusCode, cache_status: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert("cache-status", cache_status);
    response.headers_mut().insert(VIA, HeaderValue::from_static("1.1 freshgate"));
    response
}

/// One whose content is this JSON. Its length is said to HEAD too.
pub(super) fn as_json(text: String) -> Response<Body> {
    let mut response = answer(StatusCode::OK, HeaderValue::from_static("freshgate"));
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    *response.body_mut() = Body::full(text);
    response
}
