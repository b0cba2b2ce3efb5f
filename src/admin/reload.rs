//! The call that reads the configuration again, with its line in the audit.

use super::guard::Peer;
use super::house::NotReloaded;
use super::problem::Problem;
use super::read::TheHouse;
use super::tokens::Caller;
use crate::audit::Act;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::{Value, json};

/// Reads the configuration again and takes it over, all of it or nothing.
#[utoipa::path(
    post,
    path = "/v1/config/reload",
    tag = "configuration",
    extensions(("x-role" = json!("administrator"))),
    responses(
        (status = 200, description = "It is in force; what has changed", body = Object),
        (status = 409, description = "This gateway has no file, or stops"),
        (status = 422, description = "The configuration has faults, in `faults`; nothing has changed"),
        (status = 500, description = "The reload could not be run"),
    ),
)]
// It is carried to its end whether or not its client waits for that.
pub(super) async fn reload(
    State(house): TheHouse,
    by: Extension<Caller>,
    peer: Extension<Peer>,
) -> Result<Json<Value>, Problem> {
    let who = by.at(peer.address);
    let reload = tokio::task::spawn_blocking(move || {
        let outcome = house.reload();
        let result = match &outcome {
            Ok(report) => report["result"].as_str().unwrap_or_default(),
            Err(_) => "refused",
        };
        house.audit().record(&who, Act::Reload { result: result.to_owned() });
        outcome
    });
    match reload.await {
        Ok(Ok(report)) => Ok(Json(report)),
        Ok(Err(refused)) => Err(problem(refused)),
        Err(_) => {
            let detail = "the reload could not be run; try again";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "reload-failed", "The reload failed", detail))
        }
    }
}

fn problem(refused: NotReloaded) -> Problem {
    match refused {
        NotReloaded::Never(why) => Problem::new(StatusCode::CONFLICT, "no-reload", "This gateway can't reload", why),
        NotReloaded::Faults { number, told } => {
            let faults = if number == 1 { "fault" } else { "faults" };
            let detail = format!("the configuration has {number} {faults}; what was in force stays in force");
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "bad-configuration",
                "The configuration is not valid",
                detail,
            )
            .member("faults", json!(told))
        }
    }
}
