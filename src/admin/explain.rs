//! `POST /v1/explain`: what would happen to a request, and why.
//!
//! The body is read member by member, so that what is wrong is told by its name and never by its value: it may hold a credential.

use super::body;
use super::entries::refused;
use super::problem::Problem;

use super::read::TheHouse;
use super::schema::schema;
use crate::gateway::{Bad, Explainable, Explained};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Bytes of a request's body.
const BODY_LIMIT: usize = 128 << 10;

/// What would happen to a request, and why; nothing happens.
#[utoipa::path(
    post,
    path = "/v1/explain",
    tag = "look",
    extensions(("x-role" = json!("viewer"))),
    request_body = Asked,
    responses(
        (status = 200, description = "What would happen", body = Explained),
        (status = 400, description = "No part of a request; `member` names it"),
        (status = 415, description = "Not JSON"),
        (status = 500, description = "The explanation could not be made"),
    ),
)]
pub(super) async fn explain(State(house): TheHouse, request: Request) -> Result<Json<Explained>, Problem> {
    let (head, content) = request.into_parts();
    body::must_be_json(&head.headers, "application/json")?;
    let asked = parsed(&body::read(content, BODY_LIMIT).await?).map_err(|bad| refused(&bad))?;
    let house = Arc::clone(&house);
    // To verify a token takes a processor for a moment.
    let explaining = tokio::task::spawn_blocking(move || house.explain(&asked)).await;
    let explained = explaining.map_err(|_| {
        let detail = "the explanation could not be made; try again";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "explain-failed", "The explanation failed", detail)
    })?;
    explained.map(Json).map_err(|bad| refused(&bad))
}

/// A request, as it is described.
pub(super) struct Asked;

impl ToSchema for Asked {}

impl PartialSchema for Asked {
    fn schema() -> RefOr<Schema> {
        let field = json!({ "type": "string", "pattern": "^[ -~]*$" });
        schema(json!({
            "type": "object",
            "required": ["url"],
            "additionalProperties": false,
            "properties": {
                "method": { "type": ["string", "null"], "pattern": "^[A-Z]+$", "description": "GET where it isn't said." },
                "url": { "type": "string", "description": "`/path?query` or `http://host/path?query`, as a client would ask." },
                "headers": {
                    "type": ["object", "array", "null"],
                    "description": "`{name: value}`, or `[[name, value], …]`; credentials aren't repeated in the answer.",
                    "propertyNames": { "type": "string", "pattern": "^[a-z][a-z0-9-]*$" },
                    "additionalProperties": field,
                },
                "content": { "type": ["string", "null"], "description": "Of a QUERY." },
                "caller": {
                    "type": ["object", "null"],
                    "description": "As if the check had found this caller.",
                    "required": ["user"],
                    "additionalProperties": false,
                    "properties": {
                        "user": { "type": "string" },
                        "rights": { "type": "array", "items": { "type": "string" } },
                        "claims": { "type": "object" },
                    },
                },
                "address": { "type": ["string", "null"], "description": "The client's IP address." },
            },
        }))
    }
}

fn parsed(body: &[u8]) -> Result<Explainable, Bad> {
    let bad = |member, why: &str| Bad { member, why: why.to_owned() };
    let not_json =
        |_| bad("body", "must be a JSON object with url, and perhaps method, headers, content, caller, address");
    let mut members: Map<String, Value> = serde_json::from_slice(body).map_err(not_json)?;
    let url = taken(&mut members, "url", "expected a text: /path?query or http://host/path?query")?;
    let asked = Explainable {
        url: url.ok_or_else(|| bad("url", "must be given"))?,
        method: taken(&mut members, "method", "expected a text")?.unwrap_or_else(|| "GET".into()),
        headers: taken(&mut members, "headers", "expected [[name, value], …] or {name: value}, all texts")?
            .unwrap_or_default(),
        content: taken(&mut members, "content", "expected a text")?,
        caller: taken(&mut members, "caller", "expected {user, rights?: [text], claims?: {}}")?,
        address: taken(&mut members, "address", "expected an IP address")?,
    };
    match members.keys().next() {
        None => Ok(asked),
        Some(name) => {
            let name: String = name.chars().take(40).collect();
            let expected = "url, method, headers, content, caller, address";
            Err(Bad { member: "body", why: format!("found `{name}`, expected {expected}") })
        }
    }
}

/// A member; `null` is none.
fn taken<T: DeserializeOwned>(
    members: &mut Map<String, Value>,
    name: &'static str,
    expected: &str,
) -> Result<Option<T>, Bad> {
    let value = members.remove(name).filter(|value| !value.is_null());
    value.map(serde_json::from_value).transpose().map_err(|_| Bad { member: name, why: expected.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_by_name_and_not_by_value() {
        for (body, member) in [
            ("", "body"),
            ("[]", "body"),
            ("{\"url\":\"/s3cret\"", "body"),
            ("{}", "url"),
            ("{\"url\":7}", "url"),
            ("{\"url\":\"/\",\"method\":[]}", "method"),
            ("{\"url\":\"/\",\"headers\":\"authorization: s3cret\"}", "headers"),
            ("{\"url\":\"/\",\"headers\":[[\"authorization\"]]}", "headers"),
            ("{\"url\":\"/\",\"headers\":{\"cookie\":[\"s3cret\"]}}", "headers"),
            ("{\"url\":\"/\",\"caller\":\"s3cret\"}", "caller"),
            ("{\"url\":\"/\",\"caller\":{\"user\":\"a\",\"token\":\"s3cret\"}}", "caller"),
            ("{\"url\":\"/\",\"address\":\"s3cret\"}", "address"),
            ("{\"url\":\"/\",\"color\":\"s3cret\"}", "body"),
        ] {
            let bad = parsed(body.as_bytes()).unwrap_err();
            assert_eq!(bad.member, member, "{body}");
            assert!(!bad.to_string().contains("s3cret"), "{bad}");
        }
        let asked = parsed(b"{\"url\":\"/a\",\"headers\":{\"Accept\":\"b\"},\"caller\":null}").unwrap();
        assert_eq!((asked.method.as_str(), asked.caller), ("GET", None));
    }
}
