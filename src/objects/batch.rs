//! `POST /NAMESPACE/_get`: several objects at a time, each read as alone.

use super::answer::as_object;
use super::space::{Space, object};
use super::{Objects, problems, target};
use crate::body::Body;
use crate::client::Client;
use crate::clock::Now;
use crate::gateway::{Answered, Kind, Outcome, Problem, Step};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VIA};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, request};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Which ones.
#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    List(Vec<String>),
    #[serde(rename_all = "snake_case")]
    Named {
        keys: Vec<String>,
    },
}

impl Objects {
    pub(super) async fn batch(
        self: &Arc<Self>,
        space: &Space,
        parts: request::Parts,
        body: Body,
        client: &Client,
    ) -> Result<Answered, Problem> {
        super::query::none(parts.uri.query())?;
        let content = self.content(body).await?;
        let expected = "expected JSON: {\"keys\": [\"AT\", \"CH\"]}";
        let wanted =
            serde_json::from_slice(&content).map_err(|error| problems::bad_batch(format!("{expected}; {error}")))?;
        let (Wanted::List(keys) | Wanted::Named { keys }) = wanted;
        if keys.is_empty() || keys.len() > self.batch {
            let found = keys.len();
            return Err(problems::bad_batch(format!(
                "found {found} keys, expected 1 to {} (objects.batch)",
                self.batch
            )));
        }
        keys.iter().try_for_each(|key| target::checked(key))?;
        let now = self.around.clock.now();
        let all = join_all(keys.iter().map(|key| self.one(space, key, client, now))).await;
        let missing: Vec<&String> =
            keys.iter().zip(&all).filter(|(_, one)| one["status"] == 404).map(|(key, _)| key).collect();
        let answer = json!({ "objects": all, "missing": missing }).to_string();
        let mut response = Response::new(Body::full(answer));
        told_as_json(response.headers_mut());
        let api = Some(Arc::clone(&space.mounted.id));
        Ok((response, Outcome { api, kind: Kind::Pass, ..Outcome::default() }))
    }

    async fn one(self: &Arc<Self>, space: &Space, key: &str, client: &Client, now: Now) -> Value {
        let gateway = &self.around.gateway;
        let step = gateway.object(object(space, key), Method::GET, &HeaderMap::new(), client, now);
        let (response, outcome) = as_object(
            match step {
                Step::Now(answered) => answered,
                Step::Later(rest, _) => rest.await,
            },
            None,
        );
        let (parts, body) = response.into_parts();
        let status = parts.status;
        if status != StatusCode::OK {
            return json!({ "key": key, "status": status.as_u16(), "reason": outcome.reason });
        }
        let Ok(content) = self.content(body).await else {
            return json!({ "key": key, "status": 502, "reason": "source-broke" });
        };
        let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let mut one = json!({ "key": key, "status": 200, "etag": text(ETAG), "content_type": text(CONTENT_TYPE) });
        let coded = parts.headers.contains_key(CONTENT_ENCODING);
        if coded {
            one["content_encoding"] = json!(text(CONTENT_ENCODING));
        }
        let (form, value) = shown(&content, text(CONTENT_TYPE).filter(|_| !coded));
        one[form] = value;
        one
    }
}

/// A content within JSON: as what it is where it is JSON, as a text where it is one, else in Base64.
fn shown(content: &[u8], media_type: Option<&str>) -> (&'static str, Value) {
    let essence = media_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json");
    if is_json && let Ok(value) = serde_json::from_slice(content) {
        return ("json", value);
    }
    match std::str::from_utf8(content) {
        Ok(text) if media_type.is_some() => ("text", text.into()),
        Ok(_) | Err(_) => ("base64", STANDARD.encode(content).into()),
    }
}

/// What every answer that is made here says.
pub(super) fn told_as_json(fields: &mut HeaderMap) {
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert("cache-status", HeaderValue::from_static("freshgate"));
    fields.insert(VIA, HeaderValue::from_static("1.1 freshgate"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_within_json() {
        let rows: [(&[u8], Option<&str>, &str, Value); 6] = [
            (b"{\"a\":1}", Some("application/json; charset=utf-8"), "json", json!({"a": 1})),
            (b"[1]", Some("application/vnd.x+JSON"), "json", json!([1])),
            (b"{", Some("application/json"), "text", json!("{")),
            (b"a", Some("text/plain"), "text", json!("a")),
            (b"a", None, "base64", json!("YQ==")),
            (b"\xff", Some("text/plain"), "base64", json!("/w==")),
        ];
        for (content, media_type, form, value) in rows {
            assert_eq!(shown(content, media_type), (form, value));
        }
    }
}
