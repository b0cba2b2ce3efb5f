//! The calls that only look.

use super::house::{ApiView, House};
use super::problem::Problem;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) type TheHouse = State<Arc<dyn House>>;

/// The `{name}/{version}` of a path.
pub(super) type Named = Result<Path<(String, String)>, PathRejection>;

pub(super) async fn livez() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

pub(super) async fn readyz(State(house): TheHouse) -> Result<Json<Value>, Problem> {
    let Err(reasons) = house.ready() else {
        let mut status = json!({ "status": "ready" });
        if let Some(reload) = house.last_reload() {
            status["reload"] = reload;
        }
        return Ok(Json(status));
    };
    let detail = reasons.join("; ");
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready", detail)
        .member("reasons", json!(reasons)))
}

/// With many APIs they are some megabytes, which are put together where no request has to wait for it.
pub(super) async fn metrics(State(house): TheHouse) -> Response {
    let text = tokio::task::spawn_blocking(move || house.metrics()).await.unwrap_or_default();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

pub(super) async fn apis(State(house): TheHouse) -> Json<Value> {
    Json(json!({ "apis": house.apis() }))
}

pub(super) async fn api(State(house): TheHouse, named: Named) -> Result<Json<ApiView>, Problem> {
    let (name, version) = named_api(named)?;
    house.api(&name, &version).map(Json).ok_or_else(|| no_such_api(&format!("{name}/{version}")))
}

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
