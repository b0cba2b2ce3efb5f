//! `POST /v1/events`: somebody says what has changed behind the gateway.

use super::body;
use super::guard::Peer;
use super::problem::Problem;
use super::read::TheHouse;
use super::schema::schema;
use super::tokens::Caller;
use crate::audit::Act;
use crate::events::{Refused, Told};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A CloudEvent 1.0 in JSON, as it is described.
pub(super) struct CloudEvent;

impl ToSchema for CloudEvent {}

impl PartialSchema for CloudEvent {
    fn schema() -> RefOr<Schema> {
        let text = json!({ "type": ["string", "null"], "minLength": 1, "pattern": PLAIN });
        let needed = json!({ "type": "string", "minLength": 1, "pattern": PLAIN });
        schema(json!({
            "type": "object",
            "required": ["specversion", "id", "source", "type"],
            "properties": {
                "specversion": { "type": "string", "enum": ["1.0"] },
                "id": needed,
                "source": needed,
                "type": needed,
                "subject": text,
                "time": text,
                "datacontenttype": text,
                "dataschema": text,
                "data": { "type": ["null", "boolean", "number", "string", "array", "object"], "description": "Any JSON." },
            },
            "propertyNames": { "type": "string", "pattern": "^[a-z0-9]+$" },
            "additionalProperties": {
                "type": ["string", "boolean", "integer", "null"],
                "pattern": PLAIN,
                "minimum": f64::from(i32::MIN),
                "maximum": f64::from(i32::MAX),
            },
        }))
    }
}

/// No control characters.
const PLAIN: &str = "^[^\\x00-\\x1f\\x7f-\\x9f]*$";

/// What was done about the events of a request.
#[derive(Serialize, ToSchema)]
pub(super) struct Acted {
    /// In the order in which they came.
    events: Vec<Told>,
}

/// Takes CloudEvents, and does what the rules of the file say.
///
/// Structured, in batches, or binary (the attributes as `ce-` fields, and any other media type). All that they mean is invalidated when it is answered, or
/// nothing was done.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    extensions(("x-role" = json!("operator"))),
    request_body(content(
        (CloudEvent = "application/cloudevents+json"),
        (Vec<CloudEvent> = "application/cloudevents-batch+json"),
    )),
    responses(
        (status = 200, description = "It is done", body = Acted),
        (status = 400, description = "Not a CloudEvent, or one that no rule is for"),
        (status = 415, description = "No CloudEvents"),
        (status = 500, description = "They could not be acted on"),
    ),
)]
// They are carried to their end whether or not their sender waits for that, on a thread that may be kept: there may
// be many, and many rules.
pub(super) async fn take(
    State(house): TheHouse,
    by: Extension<Caller>,
    peer: Extension<Peer>,
    request: Request,
) -> Result<Json<Acted>, Problem> {
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
        Ok(Ok(told)) => Ok(Json(Acted { events: told })),
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

/// Lets somebody send events (CloudEvents webhooks, §4).
#[utoipa::path(
    options,
    path = "/v1/events",
    tag = "events",
    extensions(("x-role" = json!("operator"))),
    params(("webhook-request-origin" = String, Header, description = "Who will send events")),
    responses(
        (status = 200, description = "He may", headers(
            ("webhook-allowed-origin" = String, description = "The same"),
            ("webhook-allowed-rate" = String, description = "`*`: as fast as he likes"),
        )),
        (status = 400, description = "It isn't said who"),
    ),
)]
// It says that whoever asks may send events here, as fast as he likes (CloudEvents webhooks §4). That he has shown a token is what he is asked for.
pub(super) async fn handshake(headers: HeaderMap) -> Result<[(HeaderName, HeaderValue); 2], Problem> {
    let origin = headers.get("webhook-request-origin");
    let origin = origin.ok_or_else(|| Problem::bad_request("WebHook-Request-Origin must say who will send events"))?;
    Ok([
        (HeaderName::from_static("webhook-allowed-origin"), origin.clone()),
        (HeaderName::from_static("webhook-allowed-rate"), HeaderValue::from_static("*")),
    ])
}
