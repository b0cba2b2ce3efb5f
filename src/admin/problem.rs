//! Errors as RFC 9457 has them: `application/problem+json` with a stable `type`.
//!
//! A detail says what was wrong with the request; it never repeats a token or anything that came in a header.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// An error (RFC 9457). Some have more members, which say where the fault is.
#[derive(ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:freshgate:problem:no-such-api", "title": "No such API", "status": 404,
    "detail": "there is no API `shop/v2`; write it as name/version",
}))]
#[expect(dead_code, reason = "it is read by its description only")]
pub(super) struct Shape {
    /// Which kind of problem it is, as a name that stays.
    #[schema(pattern = "^urn:freshgate:problem:[a-z-]+$")]
    r#type: String,
    /// The same for every problem of that kind.
    title: String,
    /// The answer's status.
    status: u16,
    /// What was wrong this time.
    detail: String,
}

/// One error on its way to a client.
#[derive(Debug)]
pub(super) struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    name: &'static str,
    title: &'static str,
    detail: String,
    field: Option<(HeaderName, HeaderValue)>,
    member: Option<(&'static str, Value)>,
}

impl Problem {
    /// `name` is the last part of the `type`; `title` is the same for every problem of that name.
    pub(super) fn new(
        status: StatusCode,
        name: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Problem {
        Problem(Box::new(Parts { status, name, title, detail: detail.into(), field: None, member: None }))
    }

    /// Adds a response field.
    pub(super) fn field(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Problem {
        self.0.field = Some((name, value.into()));
        self
    }

    /// The same problem in other words.
    pub(super) fn says(mut self, detail: impl Into<String>) -> Problem {
        self.0.detail = detail.into();
        self
    }

    /// Adds an extension member (RFC 9457 §3.2).
    pub(super) fn member(mut self, name: &'static str, value: Value) -> Problem {
        self.0.member = Some((name, value));
        self
    }

    /// 400: the request can't be understood; `detail` says which member and why.
    pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad-request", "The request can't be understood", detail)
    }

    /// 404: there is no such call and no such file.
    pub(super) fn not_found() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "No such call", "there is nothing on this path")
    }

    /// 401, with the challenge that RFC 9110 §11.6.1 wants.
    pub(super) fn unauthorized(detail: &str) -> Problem {
        let name = "unauthorized";
        Problem::new(StatusCode::UNAUTHORIZED, name, "A token is needed", detail)
            .field(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Parts { status, name, title, detail, field, member } = *self.0;
        let mut members = Map::new();
        members.insert("type".into(), json!(format!("urn:freshgate:problem:{}", name)));
        members.insert("title".into(), json!(title));
        members.insert("status".into(), json!(status.as_u16()));
        members.insert("detail".into(), json!(detail));
        members.extend(member.map(|(name, value)| (name.to_owned(), value)));
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let mut response = (status, kind, Value::Object(members).to_string()).into_response();
        if let Some((name, value)) = field {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
