//! `GET /v1/traffic`: the last hour at once, or step by step as server-sent events (HTML Standard, §9.2).
//!
//! A stream ends with the lifetime of its connection; browsers then come back by themselves and say in `Last-Event-ID` what they
//! have seen. Behind what the connection has room for nothing is kept for one who doesn't read (see [`History`](crate::telemetry::History)).

use super::leaving::Leaving;
use super::problem::Problem;
use super::read::TheHouse;
use crate::telemetry::{Follower, Hour};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use std::convert::Infallible;
use std::time::Duration;

/// After so long without an event there is a comment, so that nobody on the way takes the connection for dead: what is idle for a quarter of a
/// minute hasn't to be.
const HEARTBEAT: Duration = Duration::from_secs(14);
/// How soon a browser is to come back when a stream has ended, in milliseconds; and how soon one that was refused.
const RETRY: &str = "retry: 2000\n\n";
const COMMENT: &str = ":\n\n";
const LATER: u16 = 30;
/// Asks proxies like nginx to hand on what comes as it comes.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const EVENTS: &str = "text/event-stream";

/// The traffic of the last hour; with `Accept: text/event-stream` as server-sent events, `sample` each, as it comes.
///
/// A client that comes back with the `Last-Event-ID` of the last one gets what it has missed.
#[utoipa::path(
    get,
    path = "/v1/traffic",
    tag = "look",
    extensions(("x-role" = json!("viewer"))),
    responses(
        (status = 200, description = "The last hour, the oldest first", content(
            (Hour = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = 400, description = "Last-Event-ID is none"),
        (status = 503, description = "As many streams are open as may be, or the call took too long"),
    ),
)]
pub(super) async fn traffic(
    State(house): TheHouse,
    Extension(leaving): Extension<Leaving>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let history = house.history();
    if !wants_events(&headers) {
        return Ok(Json(history.hour()).into_response());
    }
    let follower = history.follow(since(&headers)?).ok_or_else(|| {
        let detail =
            "as many streams of this kind are open as may be; try again shortly, or ask without `text/event-stream`";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", "Too many streams", detail)
            .field(header::RETRY_AFTER, LATER)
    })?;
    let fields =
        [(header::CONTENT_TYPE, HeaderValue::from_static(EVENTS)), (UNBUFFERED, HeaderValue::from_static("no"))];
    Ok((fields, Body::from_stream(events(follower, leaving))).into_response())
}

/// Whether one of the types that the client takes is that of events.
fn wants_events(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let mut types = lines.flat_map(|line| line.split(',')).map(|one| one.split(';').next().unwrap_or_default().trim());
    types.any(|one| one.eq_ignore_ascii_case(EVENTS))
}

/// What the client has seen last.
fn since(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(id) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let number = id.to_str().ok().and_then(|id| id.trim().parse().ok());
    number
        .map(Some)
        .ok_or_else(|| Problem::bad_request("`Last-Event-ID` must be the id of an event: seconds since 1970"))
}

fn events(follower: Follower, Leaving(leaving): Leaving) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let first = stream::once(async { Ok(Bytes::from_static(RETRY.as_bytes())) });
    let rest = stream::unfold((follower, leaving), |(mut follower, leaving)| async move {
        let text = tokio::select! {
            biased;
            () = leaving.cancelled() => return None,
            sample = follower.next() => {
                let data = serde_json::to_string(&sample).unwrap_or_default();
                Bytes::from(format!("event: sample\nid: {}\ndata: {data}\n\n", sample.t))
            }
            () = tokio::time::sleep(HEARTBEAT) => Bytes::from_static(COMMENT.as_bytes()),
        };
        Some((Ok(text), (follower, leaving)))
    });
    stream::StreamExt::chain(first, rest)
}
