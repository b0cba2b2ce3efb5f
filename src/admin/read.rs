//! The calls that only look.

use super::house::House;
use super::problem::Problem;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) type TheHouse = State<Arc<dyn House>>;

/// The `{name}/{version}` of a path.
pub(super) type Named = Result<Path<(String, String)>, PathRejection>;

/// It is there.
#[derive(Serialize, ToSchema)]
pub(super) struct Alive {
    /// `alive`.
    status: &'static str,
}

/// Whether the process lives.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "health",
    security(()),
    responses((status = 200, description = "It does", body = Alive)),
)]
pub(super) async fn livez() -> Json<Alive> {
    Json(Alive { status: "alive" })
}

/// It takes requests.
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    /// `ready`.
    status: &'static str,
    /// What came of the last reload, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    reload: Option<Value>,
}

/// Whether requests may be sent here.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "They may", body = Ready),
        (status = 503, description = "Not yet, or no more"),
    ),
)]
pub(super) async fn readyz(State(house): TheHouse) -> Result<Json<Ready>, Problem> {
    let Err(reasons) = house.ready() else {
        return Ok(Json(Ready { status: "ready", reload: house.last_reload() }));
    };
    let detail = reasons.join("; ");
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready", detail)
        .member("reasons", json!(reasons)))
}

/// All metrics, in Prometheus' text format (0.0.4).
///
/// Public where `admin.metrics_public` says so.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "look",
    extensions(("x-role" = json!("viewer"))),
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain")),
)]
// With many APIs they are some megabytes, which are put together where no request has to wait for it.
pub(super) async fn metrics(State(house): TheHouse) -> Response {
    let text = tokio::task::spawn_blocking(move || house.metrics()).await.unwrap_or_default();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// The configuration in force, in the file's own terms, secrets left out.
#[utoipa::path(
    get,
    path = "/v1/config",
    tag = "configuration",
    extensions(("x-role" = json!("viewer"))),
    responses((status = 200, description = "The configuration", body = Object)),
)]
pub(super) async fn config(State(house): TheHouse) -> Json<Value> {
    Json(house.config())
}

pub(super) fn named_api(named: Named) -> Result<(String, String), Problem> {
    match named {
        Ok(Path(named)) => Ok(named),
        Err(_) => Err(Problem::bad_request("name and version of an API must be percent-encoded UTF-8")),
    }
}

pub(super) fn no_such_api(api: &str) -> Problem {
    let detail = format!("there is no API `{api}`; write it as name/version");
    Problem::new(StatusCode::NOT_FOUND, "no-such-api", "No such API", detail)
}
