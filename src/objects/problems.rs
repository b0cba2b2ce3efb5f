//! What is refused at the object cache, and why; each says what was expected.

use crate::admin::Unheard;
use crate::gateway::Problem;
use http::header::{ALLOW, ETAG, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"freshgate objects\"");

pub(super) fn bad_key(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-key", detail)
}

pub(super) fn bad_query(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-query", detail)
}

pub(super) fn bad_batch(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-batch", detail)
}

pub(super) fn no_namespace(name: &str) -> Problem {
    let name: String = name.chars().take(64).collect();
    Problem::new(StatusCode::NOT_FOUND, "no-namespace", format!("there is no namespace `{name}`"))
}

pub(super) fn exists(etag: Option<HeaderValue>) -> Problem {
    let problem =
        Problem::new(StatusCode::CONFLICT, "object-exists", "there is an object with this key; PUT replaces it");
    match etag {
        Some(etag) => problem.field(ETAG, etag),
        None => problem,
    }
}

pub(super) fn precondition(etag: Option<HeaderValue>) -> Problem {
    let detail = "the object isn't what If-Match or If-None-Match wants it to be";
    let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", detail);
    match etag {
        Some(etag) => problem.field(ETAG, etag),
        None => problem,
    }
}

pub(super) fn too_large(limit: u64) -> Problem {
    let detail = format!("an object has at most {limit} bytes (cache.max_object_size)");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "object-too-large", detail).closing()
}

pub(super) fn not_allowed(allow: &'static str) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-refused", format!("what is here takes {allow}"))
        .field(ALLOW, HeaderValue::from_static(allow))
}

pub(super) fn unheard(why: Unheard) -> Problem {
    let unauthorized =
        |name, detail| Problem::new(StatusCode::UNAUTHORIZED, name, detail).field(WWW_AUTHENTICATE, BEARER);
    match why {
        Unheard::Locked(seconds) => {
            let detail = "too many wrong tokens came from this address; try again later";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", detail)
                .field(http::header::RETRY_AFTER, HeaderValue::from(seconds))
        }
        Unheard::Missing => unauthorized("credentials-missing", "send `Authorization: Bearer <token>`"),
        Unheard::Malformed => {
            unauthorized("credentials-malformed", "there must be one Authorization field with one token")
        }
        Unheard::Unknown => unauthorized("credentials-unknown", "the token is none of [[objects.tokens]]"),
    }
}

pub(super) fn role() -> Problem {
    let detail = "a viewer reads; to write needs an operator's token";
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

pub(super) fn other_site() -> Problem {
    let detail = "without [[objects.tokens]] a web page may not ask, and a Host must be an address or localhost";
    Problem::new(StatusCode::FORBIDDEN, "other-site", detail)
}

/// The source has answered what is no object.
pub(super) fn of_source(status: StatusCode) -> Problem {
    let detail = format!("the source answered {} where an object was expected", status.as_u16());
    Problem::new(StatusCode::BAD_GATEWAY, "source-answered", detail)
}

/// The tags of an object can't be read; `why` is the name that a response's would be refused by.
pub(super) fn bad_tags(why: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-tags", format!("the tags of the object are refused: {why}"))
}

/// The source's answer broke off.
pub(super) fn source_broke() -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "source-broke", "the source broke its answer off")
}

/// It alone is more than its namespace may hold.
pub(super) fn no_room(limit: u64) -> Problem {
    let detail =
        format!("with its key and bookkeeping the object has more than the {limit} bytes of its namespace (max_size)");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "object-too-large", detail)
}

/// Something younger is there, though nothing should be.
pub(super) fn overtaken() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overtaken", "the object could not be put just now; try again")
}
