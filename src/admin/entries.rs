//! `GET /v1/entries`: what is stored, page by page.

use super::problem::Problem;
use super::read::TheHouse;
use crate::gateway::{Bad, Filter, LARGEST_PAGE, Listed, PAGE, Wanted};
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Looks run one at a time, also those whose client has left.
static LOOKS: Semaphore = Semaphore::const_new(1);

/// What is stored, in the order of host and path; never contents or credentials.
#[utoipa::path(
    get,
    path = "/v1/entries",
    tag = "look",
    extensions(("x-role" = json!("viewer"))),
    params(
        ("api" = Option<String>, Query, min_length = 1, description = "Only of this API (`name/version`)"),
        ("host" = Option<String>, Query, min_length = 1, description = "Only on this host"),
        ("prefix" = Option<String>, Query, pattern = "^/", description = "Only what lies below this public path"),
        ("tag" = Option<String>, Query, min_length = 1, description = "Only what has this tag"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000, description = "Entries of a page; 100 where it isn't said"),
        ("cursor" = Option<String>, Query, min_length = 1, description = "What the page before gave"),
    ),
    responses(
        (status = 200, description = "A page of them", body = Listed),
        (status = 400, description = "A parameter that isn't one; `member` names it"),
        (status = 500, description = "The scan failed"),
    ),
)]
pub(super) async fn list(State(house): TheHouse, RawQuery(query): RawQuery) -> Result<Json<Listed>, Problem> {
    let wanted = wanted(query.as_deref().unwrap_or_default()).map_err(|bad| refused(&bad))?;
    let failed = || {
        let detail = "the look at what is stored could not be run; try again";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "scan-failed", "The scan failed", detail)
    };
    let turn = LOOKS.acquire().await.map_err(|_| failed())?;
    let house = Arc::clone(&house);
    let look = tokio::task::spawn_blocking(move || {
        let listed = house.entries(&wanted);
        drop(turn);
        listed
    });
    look.await.map_err(|_| failed())?.map(Json).map_err(|bad| refused(&bad))
}

/// 400, naming the member.
pub(super) fn refused(bad: &Bad) -> Problem {
    Problem::bad_request(bad.to_string()).member("member", bad.member.into())
}

/// The parameters of the query, each at most once.
fn wanted(query: &str) -> Result<Wanted, Bad> {
    let mut wanted = Wanted { filter: Filter::default(), limit: PAGE, cursor: None };
    let mut seen = [false; 6];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded("query", name)?;
        let members = ["api", "host", "prefix", "tag", "limit", "cursor"];
        let Some(at) = members.iter().position(|member| *member == name) else {
            let found: String = name.chars().take(40).collect();
            return Err(Bad { member: "query", why: format!("found `{found}`, expected {}", members.join(", ")) });
        };
        let member = members[at];
        if std::mem::replace(&mut seen[at], true) {
            return Err(Bad { member, why: "given twice".into() });
        }
        let value = decoded(member, value)?;
        if value.is_empty() {
            return Err(Bad { member, why: "must not be empty".into() });
        }
        let filter = &mut wanted.filter;
        match member {
            "api" => filter.api = Some(value),
            "host" => filter.host = Some(value),
            "prefix" => filter.prefix = Some(value),
            "tag" => filter.tag = Some(value),
            "cursor" => wanted.cursor = Some(value),
            _ => wanted.limit = limit(&value)?,
        }
    }
    Ok(wanted)
}

fn limit(value: &str) -> Result<usize, Bad> {
    let limit = value.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
    let found = || value.chars().take(40).collect::<String>();
    limit.ok_or_else(|| Bad { member: "limit", why: format!("found `{}`, expected 1 to {LARGEST_PAGE}", found()) })
}

fn decoded(member: &'static str, text: &str) -> Result<String, Bad> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| Bad { member, why: "must be percent-encoded UTF-8".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_which_entries() {
        let all = wanted("").unwrap();
        assert_eq!((all.limit, all.filter, all.cursor), (PAGE, Filter::default(), None));
        let some = wanted("api=a%2Fv1&prefix=%2Fbooks&tag=a+b&limit=7&cursor=xyz&host=a.example").unwrap();
        assert_eq!((some.limit, some.cursor.as_deref()), (7, Some("xyz")));
        let Filter { api, host, prefix, tag } = some.filter;
        let texts = [api, host, prefix, tag].map(Option::unwrap);
        assert_eq!(texts, ["a/v1", "a.example", "/books", "a b"]);
        for (query, member) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=x", "limit"),
            ("limit=-1", "limit"),
            ("limit=", "limit"),
            ("limit=1&limit=2", "limit"),
            ("api=", "api"),
            ("tag=%ff", "tag"),
            ("nothing=1", "query"),
            ("%ff=1", "query"),
        ] {
            assert_eq!(wanted(query).unwrap_err().member, member, "{query}");
        }
    }
}
