//! `POST /NAMESPACE/_get`: several objects at a time, each read as alone.
//!
//! What comes of it is at most as long as one object may be (`cache.max_object_size`), and a few are read at a time, so that a small request
//! can't ask for more than the memory has. JSON is put in letter by letter: to read it and to write it anew would change numbers.

use super::answer::{as_json, as_object};
use super::space::{Space, object};
use super::{Objects, problems, target};
use crate::body::Body;
use crate::client::Client;
use crate::gateway::{Answered, Kind, Outcome, Problem, Step};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, Method, StatusCode, request};
use http_body::Body as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use std::sync::Arc;

/// How many are read at a time.
const AT_A_TIME: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    keys: Vec<String>,
}

/// Which ones.
#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    List(Vec<String>),
    Named(Named),
}

/// What describes an object.
#[derive(Serialize)]
struct One<'a> {
    key: &'a str,
    status: u16,
    etag: Option<&'a str>,
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<&'a str>,
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
        let expected = "expected JSON: {\"keys\": [\"AT\", \"CH\"]}, or the list alone";
        let wanted = serde_json::from_slice(&content).map_err(|_| problems::bad_batch(expected))?;
        let (Wanted::List(keys) | Wanted::Named(Named { keys })) = wanted;
        if keys.is_empty() || keys.len() > self.batch {
            let found = keys.len();
            return Err(problems::bad_batch(format!(
                "found {found} keys, expected 1 to {} (objects.batch)",
                self.batch
            )));
        }
        keys.iter().try_for_each(|key| target::checked(key))?;
        let most = self.around.max_object_size;
        let (mut answer, mut missing) = (String::from("{\"objects\":["), Vec::new());
        for some in keys.chunks(AT_A_TIME) {
            let room = most.saturating_sub(answer.len() as u64);
            let all = join_all(some.iter().map(|key| self.one(space, key, client, room))).await;
            for (key, (one, is_missing)) in some.iter().zip(all) {
                let fits = (answer.len() + one.len()) as u64 <= most;
                answer += if answer.ends_with('[') { "" } else { "," };
                answer += &if fits { one } else { full(key) };
                missing.extend(is_missing.then_some(key));
            }
            tokio::task::yield_now().await;
        }
        answer += &format!("],\"missing\":{}}}", json!(missing));
        let api = Some(Arc::clone(&space.mounted.id));
        Ok((as_json(answer), Outcome { api, kind: Kind::Pass, ..Outcome::default() }))
    }

    /// One of them as JSON, and whether there is none. Its content is read only if there is room for it.
    async fn one(self: &Arc<Self>, space: &Space, key: &str, client: &Client, room: u64) -> (String, bool) {
        if room == 0 {
            return (full(key), false);
        }
        let (gateway, now) = (&self.around.gateway, self.around.clock.now());
        let answered = match gateway.object(object(space, key), Method::GET, &HeaderMap::new(), client, now, None) {
            Step::Now(answered) => answered,
            Step::Later(rest, _) => self.tagged(rest.await).await,
        };
        let (response, outcome) = as_object(answered, None);
        let (parts, body) = response.into_parts();
        let status = parts.status;
        if status != StatusCode::OK {
            let one = json!({ "key": key, "status": status.as_u16(), "reason": outcome.reason });
            return (one.to_string(), status == StatusCode::NOT_FOUND);
        }
        if body.size_hint().lower() > room {
            return (full(key), false);
        }
        let Ok(content) = self.content(body).await else {
            return (json!({ "key": key, "status": 502, "reason": "source-broke" }).to_string(), false);
        };
        let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let coding = text(CONTENT_ENCODING);
        let (form, value) = shown(&content, text(CONTENT_TYPE).filter(|_| coding.is_none()));
        let (etag, content_type) = (text(ETAG), text(CONTENT_TYPE));
        let one = One { key, status: 200, etag, content_type, content_encoding: coding };
        let mut one = serde_json::to_string(&one).unwrap_or_default();
        one.pop();
        (format!("{one},\"{form}\":{value}}}"), false)
    }
}

/// There is no room for it in this answer.
fn full(key: &str) -> String {
    json!({ "key": key, "status": 413, "reason": "batch-full" }).to_string()
}

/// A content within JSON: as what it is where it is JSON, letter by letter; as a text where it is one, else in Base64.
fn shown(content: &[u8], media_type: Option<&str>) -> (&'static str, String) {
    let essence = media_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json");
    if is_json && let Ok(value) = serde_json::from_slice::<&RawValue>(content) {
        return ("json", value.get().to_owned());
    }
    match std::str::from_utf8(content) {
        Ok(text) if media_type.is_some() => ("text", json!(text).to_string()),
        Ok(_) | Err(_) => ("base64", json!(STANDARD.encode(content)).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_within_json() {
        let rows: [(&[u8], Option<&str>, &str, &str); 7] = [
            (b"{\"a\":1.10,\"a\":2}", Some("application/json; charset=utf-8"), "json", "{\"a\":1.10,\"a\":2}"),
            (b" [12345678901234567890123] ", Some("application/vnd.x+JSON"), "json", "[12345678901234567890123]"),
            (b"{", Some("application/json"), "text", "\"{\""),
            (b"a\"", Some("text/plain"), "text", "\"a\\\"\""),
            (b"a", None, "base64", "\"YQ==\""),
            (b"\xff", Some("text/plain"), "base64", "\"/w==\""),
            (b"\xff", Some("application/json"), "base64", "\"/w==\""),
        ];
        for (content, media_type, form, value) in rows {
            assert_eq!(shown(content, media_type), (form, value.to_owned()));
        }
    }
}
