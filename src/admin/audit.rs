//! `GET /v1/audit`: who did what.

use super::page::Page;
use super::problem::Problem;
use super::read::TheHouse;
use crate::audit::Record;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use utoipa::ToSchema;

/// Records of a page, where its reader says nothing.
const LIMIT: usize = 100;

/// A page of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Records {
    /// The newest first.
    records: Vec<Record>,
    /// For the next page; `null` where there is none.
    cursor: Option<String>,
}

/// Who did what, the newest first: the last 1,000 records.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "look",
    extensions(("x-role" = json!("administrator"))),
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000, description = "Records of a page; 100 where it isn't said"),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{1,18}$", description = "What the page before gave"),
    ),
    responses(
        (status = 200, description = "A page of them", body = Records),
        (status = 400, description = "Another query"),
    ),
)]
pub(super) async fn list(State(house): TheHouse, uri: Uri) -> Result<Json<Records>, Problem> {
    let page = Page::of(&uri, LIMIT)?;
    let before = page.cursor.map(|cursor| cursor.parse().map_err(|_| Page::bad_cursor())).transpose()?;
    let (records, more) = house.audit().page(before, page.limit);
    let cursor = records.last().filter(|_| more).map(|record| record.id.to_string());
    Ok(Json(Records { records, cursor }))
}
