//! What a reader is told of an object.

use super::problems;
use crate::body::Body;
use crate::gateway::{Answered, Kind, Outcome};
use crate::rfc9110::etag::{self, EntityTag};
use http::header::{ETAG, IF_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

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
        StatusCode::NOT_FOUND | StatusCode::GONE => Some(problems::no_object()),
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
