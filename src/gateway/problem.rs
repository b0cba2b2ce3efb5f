//! What a client is told when there is no answer to pass on: `application/problem+json` (RFC 9457).
//!
//! The `type` is `urn:freshgate:problem:NAME` with the name that logs and metrics use. Texts say whose fault it is and
//! never hold an address or name from behind the gateway.

use super::outcome::{Answered, Kind, Outcome};
use super::status::{Status, VIA_VALUE};
use crate::auth::Denied;
use crate::body::{Body, BodyError};
use crate::limit::{Exceeded, Share};
use crate::policy::BadTarget;
use crate::upstream::{AskError, AskErrorKind, Whose};
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, VIA, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use std::sync::Arc;

/// A refusal or a failure of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) status: StatusCode,
    pub(super) name: &'static str,
    pub(super) detail: String,
    /// The connection can't be trusted any more, or a body is still on its way.
    pub(super) close: bool,
    pub(super) retry_after: Option<u32>,
    /// Fields that this one has beside those of all.
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// `name` is the last part of its type, `detail` says whose fault it is and what was expected.
    pub fn new(status: StatusCode, name: &'static str, detail: impl Into<String>) -> Self {
        Problem { status, name, detail: detail.into(), close: false, retry_after: None, fields: Vec::new() }
    }

    /// The connection ends with it.
    pub fn closing(self) -> Self {
        Problem { close: true, ..self }
    }

    /// With one more field.
    #[must_use]
    pub fn field(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.fields.push((name, value));
        self
    }

    /// The answer, and what became of a request to `api` that gets it.
    pub fn told(self, api: Option<Arc<str>>) -> Answered {
        (self.response(Status::default()), self.outcome(Kind::Refused, api))
    }

    pub(super) fn bad_target(why: BadTarget) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, why.name(), why.to_string()).closing()
    }

    /// The caller isn't known, or mayn't.
    pub(super) fn denied(why: Denied, challenges: Vec<HeaderValue>) -> Self {
        let detail = match why {
            Denied::Missing => "this API wants to know who is calling",
            Denied::Malformed => "the credentials are given twice or can't be read",
            Denied::Incomplete => "the token lacks a claim that is needed: exp, or the one that names its caller",
            Denied::Unknown => "nobody is known by these credentials",
            Denied::Expired => "the token, or the certificate, no longer counts",
            Denied::NotYet => "the token isn't valid yet",
            Denied::Issuer => "the token isn't from the issuer that is asked for",
            Denied::Audience => "the token is for another audience than this API's",
            Denied::Scope | Denied::Forbidden => "this caller may not do that",
            Denied::Refused => "these credentials let nobody in",
            Denied::NoKeys | Denied::NoAnswer => "nobody can tell who is calling just now; try again shortly",
        };
        let status = match why {
            Denied::Scope | Denied::Forbidden => StatusCode::FORBIDDEN,
            Denied::NoKeys | Denied::NoAnswer => StatusCode::SERVICE_UNAVAILABLE,
            Denied::Missing
            | Denied::Malformed
            | Denied::Incomplete
            | Denied::Unknown
            | Denied::Expired
            | Denied::NotYet
            | Denied::Issuer
            | Denied::Audience
            | Denied::Refused => StatusCode::UNAUTHORIZED,
        };
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(5);
        let fields = challenges.into_iter().map(|challenge| (WWW_AUTHENTICATE, challenge)).collect();
        Problem { fields, retry_after, ..Problem::new(status, why.name(), detail) }
    }

    /// The caller, or all of them, asked too often.
    pub(super) fn too_many(exceeded: Exceeded) -> Self {
        let (name, detail) = match exceeded.of {
            Share::Caller => ("rate-of-caller", "this caller has asked as often as it may for now"),
            Share::Api => ("rate-of-api", "this API has been asked as often as it may for now"),
        };
        let seconds = u32::try_from(exceeded.wait.as_secs_f64().ceil() as u64).unwrap_or(u32::MAX).max(1);
        let quota = exceeded.quota;
        let policy = format!("\"{name}\";q={};w={}", quota.requests, quota.per.as_secs().max(1));
        let left = format!("\"{name}\";r=0;t={seconds}");
        let field =
            |(name, text): (_, String)| Some((HeaderName::from_static(name), HeaderValue::try_from(text).ok()?));
        let fields = [("ratelimit-policy", policy), ("ratelimit", left)].into_iter().filter_map(field).collect();
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, name, detail);
        Problem { retry_after: Some(seconds), fields, ..problem }
    }

    /// Too many wrong tokens came from where this one comes from.
    pub(super) fn guessing(seconds: u64) -> Self {
        let detail = "too many wrong tokens came from this address; try again later";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", detail);
        Problem { retry_after: Some(u32::try_from(seconds).unwrap_or(u32::MAX)), ..problem.closing() }
    }

    pub(super) fn unsendable() -> Self {
        let detail = "the gateway could not send this request on";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "request-unsendable", detail)
    }

    pub(super) fn overloaded() -> Self {
        let detail = "too many requests wait for the origin; try again shortly";
        Problem { retry_after: Some(1), ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-waiting", detail) }
    }

    pub(super) fn not_cached() -> Self {
        let detail = "only-if-cached, and there is no stored answer that may be used";
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "only-if-cached", detail)
    }

    /// It isn't there, and there is nobody to ask for it.
    pub fn no_object() -> Self {
        Problem::new(StatusCode::NOT_FOUND, "no-object", "there is no object with this key")
    }

    pub(super) fn broken(name: &'static str) -> Self {
        Problem::new(StatusCode::BAD_GATEWAY, name, "the origin could not be reached or broke its answer")
    }

    /// What a client hears of its own body that broke off, or is too much.
    pub fn of_body(error: BodyError) -> Self {
        let too_large = error == BodyError::TooLarge;
        let status = if too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
        Problem::new(status, error.name(), "the request's body broke off, was too slow or too large").closing()
    }

    /// What is wrong, in words.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What a client hears of a question that got no answer.
    pub(super) fn of(error: &AskError) -> Self {
        let name = error.kind.name();
        if error.kind.is_refusal() {
            let detail = if error.kind == AskErrorKind::NoEndpoint {
                "no server of the origin is well enough to be asked; try again shortly"
            } else if error.kind == AskErrorKind::BreakerOpen {
                "the origin has failed too often to be asked just now; try again shortly"
            } else if error.kind == AskErrorKind::OutOfSockets {
                "the gateway has no connection left on which to ask the origin; try again shortly"
            } else {
                "too many requests are under way to the origin; try again shortly"
            };
            let seconds = error.wait.map_or(1, |wait| wait.as_secs_f64().ceil().clamp(1.0, 3600.0) as u32);
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, name, detail);
            return Problem { retry_after: Some(seconds), ..problem };
        }
        match error.kind.whose() {
            Whose::Client => {
                let body = if let AskErrorKind::ClientBody(body) = error.kind { body } else { BodyError::Client };
                Problem::of_body(body)
            }
            Whose::Origin if error.kind.is_timeout() => {
                Problem::new(StatusCode::GATEWAY_TIMEOUT, name, "the origin took too long to answer")
            }
            Whose::Origin => Problem::broken(name),
            Whose::Ours => {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, name, "the gateway could not send this request on")
            }
        }
    }

    /// The answer; `status` is what the cache has to say, if it was asked.
    pub(super) fn response(&self, status: Status) -> Response<Body> {
        let body = serde_json::json!({
            "type": format!("urn:freshgate:problem:{}", self.name),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = Response::new(Body::full(body.to_string()));
        *response.status_mut() = self.status;
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.insert(VIA, VIA_VALUE);
        Status { detail: Some(self.name), ..status }.write(fields);
        if self.close {
            fields.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(seconds) = self.retry_after {
            fields.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        for (name, value) in &self.fields {
            fields.append(name, value.clone());
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED && !fields.contains_key(ALLOW) {
            fields.insert(ALLOW, HeaderValue::from_static("GET, HEAD, QUERY, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        response
    }

    pub(super) fn outcome(&self, kind: Kind, api: Option<Arc<str>>) -> Outcome {
        Outcome { api, kind, reason: Some(self.name), ..Outcome::default() }
    }
}
