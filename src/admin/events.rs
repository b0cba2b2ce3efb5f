//! `POST /v1/events`: somebody says what has changed behind the gateway.

use super::body;
use super::guard::Peer;
use super::problem::Problem;
use super::read::TheHouse;
use super::tokens::Caller;
use crate::events::{Refused, Told};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::{Extension, Json};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Takes events. They are carried to their end whether or not their sender waits for that, on a thread that may be kept: there may
/// be many, and many rules.
pub(super) async fn take(
    State(house): TheHouse,
    by: Extension<Caller>,
    peer: Extension<Peer>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let (head, content) = request.into_parts();
    let limit = usize::try_from(house.event_body()).unwrap_or(usize::MAX);
    let content = body::read(content, limit).await?;
    let (token, peer) = (by.0.name, peer.0.address);
    let acting = tokio::task::spawn_blocking(move || {
        let told = house.events(&head.headers, &content);
        audit(&token, peer, &told);
        told
    });
    match acting.await {
        Ok(Ok(told)) => Ok(Json(json!({ "events": told }))),
        Ok(Err(refused)) => Err(problem(&refused)),
        Err(_) => {
            let detail = "the events could not be acted on; send them again";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "events-failed", "Acting on events failed", detail))
        }
    }
}

fn audit(token: &str, peer: SocketAddr, told: &Result<Vec<Told>, Refused>) {
    match told {
        Err(refused) => tracing::info!(target: "audit", token, %peer, %refused, "event"),
        Ok(told) => {
            for Told { id, source, duplicate, rules } in told {
                let (id, source, did) = (id.as_deref(), source.as_deref(), json!(rules));
                tracing::info!(target: "audit", token, %peer, id, source, duplicate, %did, "event");
            }
        }
    }
}

fn problem(refused: &Refused) -> Problem {
    let (status, name, title) = match refused {
        Refused::Unsupported => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-cloudevents", "The request must hold CloudEvents")
        }
        Refused::TooMany { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "batch-too-large", "The batch has too many events"),
        Refused::Bad { .. } => (StatusCode::BAD_REQUEST, "bad-event", "Not a valid CloudEvent"),
        Refused::NoRule { .. } => (StatusCode::BAD_REQUEST, "no-rule", "No rule is for this event"),
    };
    let problem = Problem::new(status, name, title, refused.to_string());
    match refused.index() {
        Some(index) => problem.member("index", json!(index)),
        None => problem,
    }
}

/// Says that whoever asks may send events here, as fast as he likes (CloudEvents webhooks §4). That he has shown a token is what he is asked for.
pub(super) async fn handshake(headers: HeaderMap) -> Result<[(HeaderName, HeaderValue); 2], Problem> {
    let origin = headers.get("webhook-request-origin");
    let origin = origin.ok_or_else(|| Problem::bad_request("WebHook-Request-Origin must say who will send events"))?;
    Ok([
        (HeaderName::from_static("webhook-allowed-origin"), origin.clone()),
        (HeaderName::from_static("webhook-allowed-rate"), HeaderValue::from_static("*")),
    ])
}
