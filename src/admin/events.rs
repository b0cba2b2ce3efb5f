//! `POST /v1/events`: somebody says what has changed behind the gateway.

use super::body;
use super::guard::Peer;
use super::problem::Problem;
use super::read::TheHouse;
use super::tokens::Caller;
use crate::audit::Act;
use crate::events::Refused;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::{Extension, Json};
use serde_json::{Value, json};

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
    let who = by.at(peer.address);
    let acting = tokio::task::spawn_blocking(move || {
        let told = house.events(&head.headers, &content);
        match &told {
            Err(refused) => house.audit().record(&who, Act::EventsRefused(refused.to_string())),
            Ok(told) => told.iter().for_each(|told| house.audit().record(&who, told.act())),
        }
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
