//! The calls that purge, each with its line in the audit.

use super::body;
use super::guard::Peer;
use super::house::House;
use super::problem::Problem;
use super::read::{Named, TheHouse, named_api, no_such_api};
use super::selector;
use super::settings::Role;
use super::tokens::Caller;
use crate::audit::{Act, Who};
use crate::purge::{BadSelector, Purged, Selector, Target};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

/// Bytes of a request's body.
const BODY_LIMIT: usize = 64 << 10;
/// Scans run one at a time, also those whose client has left.
static SCANS: Semaphore = Semaphore::const_new(1);

/// What a purge has done.
#[derive(Serialize, ToSchema)]
pub(super) struct Done {
    /// How many stored answers that was, or would have been; `null` where counting would cost a scan.
    invalidated: Option<u64>,
    /// Its place among all invalidations of this process.
    epoch: u64,
}

type Answer = Result<Json<Done>, Problem>;

/// Clears one API and version.
#[utoipa::path(
    delete,
    path = "/v1/apis/{name}/{version}/cache",
    tag = "purge",
    extensions(("x-role" = json!("operator"))),
    params(
        ("name" = String, Path, description = "The API's name"),
        ("version" = String, Path, description = "The API's version"),
    ),
    responses(
        (status = 200, description = "It is cleared", body = Done),
        (status = 400, description = "Not UTF-8"),
        (status = 404, description = "There is none"),
    ),
)]
pub(super) async fn api(State(house): TheHouse, by: Extension<Caller>, peer: Extension<Peer>, named: Named) -> Answer {
    let (name, version) = named_api(named)?;
    let target = Target::Api(format!("{name}/{version}"));
    let selector = Selector { target, api: None, soft: false, dry_run: false };
    applied(house, by.at(peer.address), selector).await
}

/// Clears everything.
#[utoipa::path(
    delete,
    path = "/v1/cache",
    tag = "purge",
    extensions(("x-role" = json!("administrator"))),
    responses((status = 200, description = "It is cleared", body = Done)),
)]
pub(super) async fn everything(State(house): TheHouse, by: Extension<Caller>, peer: Extension<Peer>) -> Answer {
    let selector = Selector { target: Target::All, api: None, soft: false, dry_run: false };
    applied(house, by.at(peer.address), selector).await
}

/// Purges what a selector names.
///
/// Exactly one of `path`, `prefix`, `tag`, `user`, `api` and `all` (which needs an administrator) says what; `api` beside another one narrows that
/// to one API. Complete when it is answered.
#[utoipa::path(
    post,
    path = "/v1/purge",
    tag = "purge",
    extensions(("x-role" = json!("operator"))),
    request_body = selector::Purge,
    responses(
        (status = 200, description = "It is invalidated", body = Done),
        (status = 400, description = "No selector"),
        (status = 404, description = "No such API, or none on that path"),
        (status = 415, description = "Not JSON"),
        (status = 500, description = "The scan failed"),
    ),
)]
pub(super) async fn selected(
    State(house): TheHouse,
    by: Extension<Caller>,
    peer: Extension<Peer>,
    request: Request,
) -> Answer {
    let (head, body) = request.into_parts();
    body::must_be_json(&head.headers, "application/json")?;
    let selector = selector::parsed(&body::read(body, BODY_LIMIT).await?).map_err(Problem::bad_request)?;
    if selector.target == Target::All {
        by.needs(Role::Administrator)?;
    }
    applied(house, by.at(peer.address), selector).await
}

async fn applied(house: Arc<dyn House>, by: Who, selector: Selector) -> Answer {
    let purged = if selector.dry_run { scanned(house, by, selector).await? } else { purged(&*house, &by, &selector) };
    match purged {
        Ok(Purged { invalidated, epoch }) => Ok(Json(Done { invalidated, epoch })),
        Err(bad) => Err(refused(&bad)),
    }
}

/// A scan may take long: it runs on a thread that may block, and takes its turn and its audit line with it.
async fn scanned(house: Arc<dyn House>, by: Who, selector: Selector) -> Result<Result<Purged, BadSelector>, Problem> {
    let failed = || {
        let detail = "the scan could not be run; try again";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "scan-failed", "The scan failed", detail)
    };
    let turn = SCANS.acquire().await.map_err(|_| failed())?;
    let scan = tokio::task::spawn_blocking(move || {
        let purged = purged(&*house, &by, &selector);
        drop(turn);
        purged
    });
    scan.await.map_err(|_| failed())
}

fn purged(house: &dyn House, by: &Who, selector: &Selector) -> Result<Purged, BadSelector> {
    let purged = house.purge(selector);
    let outcome = match &purged {
        Ok(Purged { invalidated, epoch }) => Ok((*invalidated, *epoch)),
        Err(bad) => Err(bad.to_string()),
    };
    house.audit().record(by, Act::Purge { selector: selector.json(), outcome });
    purged
}

fn refused(bad: &BadSelector) -> Problem {
    match bad {
        BadSelector::NoSuchApi(api) => no_such_api(api),
        BadSelector::NoSuchPath(_) => {
            Problem::new(StatusCode::NOT_FOUND, "no-such-path", "No API answers on this path", bad.to_string())
        }
        BadSelector::BadPath(_) => Problem::bad_request(bad.to_string()),
    }
}
