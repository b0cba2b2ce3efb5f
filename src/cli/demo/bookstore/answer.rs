//! Answers: JSON with a strong `ETag`, conditions on it, and refusals that say what was expected.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What goes back to the client.
pub(super) type Answer = Response<Full<Bytes>>;

/// A request that isn't done, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    detail: String,
    allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: StatusCode, detail: String) -> Self {
        Refusal { status, detail, allow: None }
    }

    /// 400: the request says something we can't take.
    pub(super) fn bad(detail: String) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404: there is no such thing.
    pub(super) fn absent(what: &str, id: u32) -> Self {
        Refusal::new(StatusCode::NOT_FOUND, format!("there is no {what} {id}"))
    }

    /// 404: nothing lives at this path.
    pub(super) fn nowhere(path: &str) -> Self {
        Refusal::new(StatusCode::NOT_FOUND, format!("nothing lives at {path}; try /books or /authors"))
    }

    /// 405: `allow` lists what can be done here.
    pub(super) fn method(allow: &'static str) -> Self {
        let detail = format!("this can't be done here; allowed: {allow}");
        Refusal { allow: Some(allow), ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    /// 413: the body has more than `limit` bytes.
    pub(super) fn too_large(limit: usize) -> Self {
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))
    }

    /// 412: the client's copy is not the present one (RFC 9110 §13.1.1).
    fn changed() -> Self {
        Refusal::new(StatusCode::PRECONDITION_FAILED, "it has changed since; read it again".to_owned())
    }

    /// 507: a bound is reached.
    pub(super) fn full(detail: String) -> Self {
        Refusal::new(StatusCode::INSUFFICIENT_STORAGE, detail)
    }

    /// The refusal as problem+json (RFC 9457).
    pub(super) fn answer(&self) -> Answer {
        #[derive(Serialize)]
        struct Problem<'a> {
            title: &'a str,
            status: u16,
            detail: &'a str,
        }
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = bytes(&Problem { title, status: self.status.as_u16(), detail: &self.detail });
        let mut answer = with(self.status, body);
        set(&mut answer, CONTENT_TYPE, "application/problem+json");
        if let Some(allow) = self.allow {
            set(&mut answer, ALLOW, allow);
        }
        answer
    }
}

/// 200 with `value`, or 304 when the client has it already (RFC 9110 §13.1.2).
pub(super) fn read(request: &HeaderMap, value: &impl Serialize) -> Answer {
    let body = bytes(value);
    let etag = etag(&body);
    let known = lists(request, &IF_NONE_MATCH, &etag, false);
    let mut answer = if known { with(StatusCode::NOT_MODIFIED, Bytes::new()) } else { json(StatusCode::OK, body) };
    set(&mut answer, ETAG, &etag);
    answer
}

/// 200 with the new state after a change. Its `ETag` is the one that a read would show (RFC 9110 §8.8.3).
pub(super) fn changed(value: &impl Serialize) -> Answer {
    let body = bytes(value);
    let etag = etag(&body);
    let mut answer = json(StatusCode::OK, body);
    set(&mut answer, ETAG, &etag);
    answer
}

/// 201 with the new state and where it lives.
pub(super) fn created(location: &str, value: &impl Serialize) -> Answer {
    let mut answer = json(StatusCode::CREATED, bytes(value));
    set(&mut answer, LOCATION, location);
    answer
}

/// 204.
pub(super) fn done() -> Answer {
    with(StatusCode::NO_CONTENT, Bytes::new())
}

/// 200 with `value`, never to be kept: the demo's own switches.
pub(super) fn unkept(value: &impl Serialize) -> Answer {
    let mut answer = json(StatusCode::OK, bytes(value));
    set(&mut answer, CACHE_CONTROL, "no-store");
    answer
}

/// Refuses a change under `If-Match` when `present` isn't what the client has (RFC 9110 §13.1.1, strong comparison).
pub(super) fn unchanged(request: &HeaderMap, present: &impl Serialize) -> Result<(), Refusal> {
    let holds = !request.contains_key(IF_MATCH) || lists(request, &IF_MATCH, &etag(&bytes(present)), true);
    if holds { Ok(()) } else { Err(Refusal::changed()) }
}

/// Whether a field lists `etag` or says `*`. Our tags hold no comma, so cutting at commas finds each of them.
fn lists(request: &HeaderMap, name: &HeaderName, etag: &str, strong: bool) -> bool {
    let listed = request.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    listed.map(str::trim).any(|tag| tag == "*" || tag == etag || (!strong && tag.strip_prefix("W/") == Some(etag)))
}

/// A strong validator: equal bytes, equal tag.
fn etag(body: &[u8]) -> String {
    let digest: String = Sha256::digest(body).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digest}\"")
}

/// A value as JSON, with a line end for those who read it in a terminal.
fn bytes(value: &impl Serialize) -> Bytes {
    // Serialising our own structs fails only for maps with odd keys; there are none.
    let mut json = serde_json::to_vec(value).unwrap_or_default();
    json.push(b'\n');
    json.into()
}

fn json(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = with(status, body);
    set(&mut answer, CONTENT_TYPE, "application/json");
    answer
}

fn with(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer
}

fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}
