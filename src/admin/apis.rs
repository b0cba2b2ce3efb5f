//! APIs: what there is, and how it is registered, changed and removed.
//!
//! A change is carried to its end whether or not its client waits for that, on a thread that may be kept: it reads, checks and writes the
//! file. Lost updates are what `If-Match` is for: the entity tag is of the `[[api]]` as the file has it, so that it outlives a restart and
//! changes with what isn't shown.

use super::body;
use super::guard::Peer;
use super::house::{ApiView, Change, Changed, Condition, FieldFault, House, NotChanged, Place};
use super::page::Page;
use super::problem::Problem;
use super::read::{Named, TheHouse, named_api, no_such_api};
use super::schema::schema;
use super::settings::Role;
use super::strict::Strict;
use super::tokens::Caller;
use crate::audit::{Act, OfApi, Who};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Bytes of a body.
const BODY_LIMIT: usize = 256 << 10;
/// APIs of a page, where its reader says nothing.
const LIMIT: usize = 1000;
/// Objects and lists in one another: more than an `[[api]]` has.
const DEEPEST: usize = 32;
/// Of the members of a refused request so many are told, of each so many characters: more than an `[[api]]` has.
const MOST_NAMES: usize = 100;
const LONGEST_NAME: usize = 64;
/// The keys that an operator may change.
const OPERATORS: [&str; 3] = ["ttl", "grace", "keep_on_error"];

/// A page of the list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Apis)]
pub(super) struct List {
    /// In the order of the file.
    apis: Vec<ApiView>,
    /// For the next page; `null` where there is none.
    cursor: Option<String>,
}

/// An API that was registered or changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Written {
    /// As it is now.
    #[serde(flatten)]
    api: ApiView,
    /// What became of what it had stored: `kept`, `outdated` or `cleared`.
    cache: &'static str,
    /// What is probably not meant.
    warnings: Vec<FieldFault>,
}

/// The keys of an `[[api]]`, as they are described.
pub(super) struct Draft;

impl ToSchema for Draft {}

impl PartialSchema for Draft {
    fn schema() -> RefOr<Schema> {
        schema(json!({
            "type": "object",
            "description": "Every key that an [[api]] of the file may have, as in the file. What a duration or a size may be is what the file says.",
            "properties": {
                "path": { "type": ["string", "null"], "pattern": "^/", "description": "The public prefix." },
                "host": { "type": ["string", "null"], "description": "The public host." },
                "upstream": { "type": ["array", "null"], "minItems": 1, "items": {}, "description": "URLs, or objects of url and weight." },
                "ttl": { "type": ["string", "integer", "null"], "description": "The cache interval: a duration, or \"forever\"." },
                "grace": { "type": ["string", "integer", "null"] },
                "keep_on_error": { "type": ["string", "integer", "null"] },
            },
            "examples": [{ "path": "/shop/v2", "upstream": ["http://127.0.0.1:9000"], "ttl": "10m", "grace": "1m" }],
        }))
    }
}

/// Every API and version, with its settings and what the cache does for it.
#[utoipa::path(
    get,
    path = "/v1/apis",
    tag = "apis",
    extensions(("x-role" = json!("viewer"))),
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000, description = "APIs of a page"),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{1,18}:", description = "What the page before gave"),
    ),
    responses(
        (status = 200, description = "A page of them", body = List),
        (status = 400, description = "Another query"),
    ),
)]
pub(super) async fn list(State(house): TheHouse, uri: Uri) -> Result<Json<List>, Problem> {
    let page = Page::of(&uri, LIMIT)?;
    let after = page.cursor.map(|cursor| place(&cursor).ok_or_else(Page::bad_cursor)).transpose()?;
    let (apis, last) = house.page(after.as_ref(), page.limit);
    Ok(Json(List { apis, cursor: last.map(|last| format!("{}:{}", last.number, last.id)) }))
}

fn place(cursor: &str) -> Option<Place> {
    let (number, id) = cursor.split_once(':')?;
    Some(Place { number: number.parse().ok()?, id: id.to_owned() })
}

/// One API and version.
#[utoipa::path(
    get,
    path = "/v1/apis/{name}/{version}",
    tag = "apis",
    extensions(("x-role" = json!("viewer"))),
    params(
        ("name" = String, Path, description = "The API's name", pattern = "^[A-Za-z0-9._-]{1,64}$"),
        ("version" = String, Path, description = "The API's version", pattern = "^[A-Za-z0-9._-]{1,64}$"),
    ),
    responses(
        (status = 200, description = "The API", body = ApiView, headers(("etag" = String, description = "For `If-Match`"))),
        (status = 304, description = "It is as its reader has it"),
        (status = 400, description = "Not UTF-8"),
        (status = 404, description = "There is none"),
    ),
)]
pub(super) async fn one(State(house): TheHouse, named: Named, headers: HeaderMap) -> Result<Response, Problem> {
    let (name, version) = named_api(named)?;
    let api = house.api(&name, &version).ok_or_else(|| no_such_api(&format!("{name}/{version}")))?;
    let etag = [(header::ETAG, tag(&api)?)];
    let condition = Condition { if_match: Vec::new(), ..condition(&headers) };
    if condition.holds(Some(&api.etag)) {
        Ok((etag, Json(api)).into_response())
    } else {
        Ok((StatusCode::NOT_MODIFIED, etag).into_response())
    }
}

/// Registers an API, or replaces its `[[api]]`.
#[utoipa::path(
    put,
    path = "/v1/apis/{name}/{version}",
    tag = "apis",
    extensions(("x-role" = json!("administrator"))),
    params(
        ("name" = String, Path, description = "The API's name", pattern = "^[A-Za-z0-9._-]{1,64}$"),
        ("version" = String, Path, description = "The API's version", pattern = "^[A-Za-z0-9._-]{1,64}$"),
        ("if-match" = Option<String>, Header, description = "Only if it is as it was read"),
        ("if-none-match" = Option<String>, Header, description = "`*`: only if there is none"),
    ),
    request_body(content = Draft, content_type = "application/json"),
    responses(
        (status = 200, description = "It is replaced, in force and in the file", body = Written, headers(("etag" = String, description = "For `If-Match`"))),
        (status = 201, description = "It is registered, in force and in the file", body = Written, headers(("etag" = String, description = "For `If-Match`"))),
        (status = 400, description = "Not understood: a name that isn't UTF-8, no JSON object"),
        (status = 409, description = "The file can't be written, was changed by hand, or the API isn't one of an [[api]]"),
        (status = 412, description = "It isn't as it was read; `etag` is its tag by now"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "The configuration would have faults; `faults` has the key of each and what is wrong"),
        (status = 500, description = "The change could not be made"),
    ),
)]
pub(super) async fn put(
    State(house): TheHouse,
    by: Extension<Caller>,
    peer: Extension<Peer>,
    named: Named,
    request: Request,
) -> Result<Response, Problem> {
    let (head, content) = request.into_parts();
    body::must_be_json(&head.headers, "application/json")?;
    let said = object(&body::read(content, BODY_LIMIT).await?)?;
    let asked = Asked { api: named_api(named)?, change: Change::Put(said), condition: condition(&head.headers) };
    changed(house, by.at(peer.address), asked).await
}

/// Changes keys of an `[[api]]` (RFC 7396: `null` takes one out).
///
/// An operator may change `ttl`, `grace` and `keep_on_error`; the rest needs an administrator.
#[utoipa::path(
    patch,
    path = "/v1/apis/{name}/{version}",
    tag = "apis",
    extensions(("x-role" = json!("operator"))),
    params(
        ("name" = String, Path, description = "The API's name", pattern = "^[A-Za-z0-9._-]{1,64}$"),
        ("version" = String, Path, description = "The API's version", pattern = "^[A-Za-z0-9._-]{1,64}$"),
        ("if-match" = Option<String>, Header, description = "Only if it is as it was read"),
        ("if-none-match" = Option<String>, Header, description = "`*`: only if there is none"),
    ),
    request_body(content((Draft = "application/json"), (Draft = "application/merge-patch+json"))),
    responses(
        (status = 200, description = "It is changed, in force and in the file", body = Written, headers(("etag" = String, description = "For `If-Match`"))),
        (status = 400, description = "Not understood: a name that isn't UTF-8, no JSON object"),
        (status = 404, description = "There is none"),
        (status = 409, description = "The file can't be written, was changed by hand, or the API isn't one of an [[api]]"),
        (status = 412, description = "It isn't as it was read; `etag` is its tag by now"),
        (status = 415, description = "Not JSON"),
        (status = 422, description = "The configuration would have faults; `faults` has the key of each and what is wrong"),
        (status = 500, description = "The change could not be made"),
    ),
)]
pub(super) async fn patch(
    State(house): TheHouse,
    by: Extension<Caller>,
    peer: Extension<Peer>,
    named: Named,
    request: Request,
) -> Result<Response, Problem> {
    let (head, content) = request.into_parts();
    if body::must_be_json(&head.headers, "application/json").is_err() {
        body::must_be_json(&head.headers, "application/merge-patch+json")?;
    }
    let said = object(&body::read(content, BODY_LIMIT).await?)?;
    let (api, who) = (named_api(named)?, by.at(peer.address));
    if let Some(key) = said.keys().find(|key| !OPERATORS.contains(&key.as_str()))
        && let Err(forbidden) = by.needs(Role::Administrator)
    {
        let id = format!("{}/{}", api.0, api.1);
        told(&*house, &who, (OfApi::Change, id), names(&said), Err("forbidden"));
        let key = shown(key);
        return Err(forbidden.says(format!(
            "to change `{key}` needs the role administrator; an operator may change ttl, grace and keep_on_error"
        )));
    }
    let asked = Asked { api, change: Change::Patch(said), condition: condition(&head.headers) };
    changed(house, who, asked).await
}

/// Takes an API out of what is in force and of the file.
#[utoipa::path(
    delete,
    path = "/v1/apis/{name}/{version}",
    tag = "apis",
    extensions(("x-role" = json!("administrator"))),
    params(
        ("name" = String, Path, description = "The API's name", pattern = "^[A-Za-z0-9._-]{1,64}$"),
        ("version" = String, Path, description = "The API's version", pattern = "^[A-Za-z0-9._-]{1,64}$"),
        ("if-match" = Option<String>, Header, description = "Only if it is as it was read"),
        ("if-none-match" = Option<String>, Header, description = "`*`: only if there is none"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 400, description = "Not UTF-8"),
        (status = 404, description = "There is none"),
        (status = 409, description = "The file can't be written, was changed by hand, or the API isn't one of an [[api]]"),
        (status = 412, description = "It isn't as it was read; `etag` is its tag by now"),
        (status = 422, description = "The configuration would have faults; `faults` has the key of each and what is wrong"),
        (status = 500, description = "The change could not be made"),
    ),
)]
pub(super) async fn remove(
    State(house): TheHouse,
    by: Extension<Caller>,
    peer: Extension<Peer>,
    named: Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked { api: named_api(named)?, change: Change::Remove, condition: condition(&headers) };
    changed(house, by.at(peer.address), asked).await
}

/// What somebody wants.
struct Asked {
    api: (String, String),
    change: Change,
    condition: Condition,
}

async fn changed(house: Arc<dyn House>, who: Who, asked: Asked) -> Result<Response, Problem> {
    let id = format!("{}/{}", asked.api.0, asked.api.1);
    let name = id.clone();
    let changing = tokio::task::spawn_blocking(move || {
        let Asked { api: (name, version), change, condition } = asked;
        let outcome = house.change((&name, &version), &change, &condition);
        tell(&*house, &who, &id, &change, &outcome);
        outcome
    });
    match changing.await {
        Ok(Ok(changed)) => answer(changed),
        Ok(Err(refused)) => Err(problem(refused, &name)),
        Err(_) => {
            let detail = "the change could not be made; look whether it was, and try again";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "change-failed", "The change failed", detail))
        }
    }
}

fn answer(changed: Changed) -> Result<Response, Problem> {
    let Changed { view: Some(api), created, cache, warnings, .. } = changed else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let etag = [(header::ETAG, tag(&api)?)];
    let place: Option<HeaderValue> = format!("/v1/apis/{}/{}", api.name, api.version).parse().ok().filter(|_| created);
    let place: HeaderMap = place.into_iter().map(|place| (header::LOCATION, place)).collect::<HeaderMap>();
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, etag, place, Json(Written { api, cache, warnings })).into_response())
}

/// A line in the audit: of values only those that are nobody's secret.
fn tell(house: &dyn House, who: &Who, id: &str, change: &Change, outcome: &Result<Changed, NotChanged>) {
    let of = match (change, outcome) {
        (Change::Remove, _) => OfApi::Remove,
        (Change::Put(_), Ok(Changed { created: true, .. })) => OfApi::Register,
        (Change::Put(_) | Change::Patch(_), _) => OfApi::Change,
    };
    match outcome {
        Ok(Changed { keys, values, .. }) => {
            let act =
                Act::Api { what: of, api: id.into(), keys: keys.clone(), values: values.clone(), outcome: Ok(()) };
            house.audit().record(who, act);
        }
        Err(refused) => {
            let keys = match change {
                Change::Put(said) | Change::Patch(said) => names(said),
                Change::Remove => Vec::new(),
            };
            told(house, who, (of, id.to_owned()), keys, Err(refused.name()));
        }
    }
}

/// The members that somebody has sent, as they may be told: whatever they are, they fill no log.
fn names(said: &Map<String, Value>) -> Vec<String> {
    said.keys().take(MOST_NAMES).map(|key| shown(key)).collect()
}

fn shown(key: &str) -> String {
    let mut shown: String = key.chars().take(LONGEST_NAME).collect();
    if shown.len() < key.len() {
        shown.push('…');
    }
    shown
}

fn told(house: &dyn House, who: &Who, (what, api): (OfApi, String), keys: Vec<String>, outcome: Result<(), &str>) {
    let outcome = outcome.map_err(str::to_owned);
    house.audit().record(who, Act::Api { what, api, keys, values: Map::new(), outcome });
}

fn tag(api: &ApiView) -> Result<HeaderValue, Problem> {
    api.etag.parse().map_err(|_| {
        let detail = "the API has no entity tag";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no-etag", "No entity tag", detail)
    })
}

fn condition(headers: &HeaderMap) -> Condition {
    let lines = |name: HeaderName| headers.get_all(name).iter().map(|line| line.as_bytes().to_vec()).collect();
    Condition { if_match: lines(header::IF_MATCH), if_none_match: lines(header::IF_NONE_MATCH) }
}

/// The members of a body.
fn object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_slice(body) {
        Ok(Strict(said)) if depth(&said) > DEEPEST => {
            Err(Problem::bad_request(format!("the body is nested more than {DEEPEST} deep")))
        }
        Ok(Strict(Value::Object(members))) => Ok(members),
        Ok(_) => Err(Problem::bad_request("the body must be a JSON object with the keys of an [[api]]")),
        Err(error) => Err(Problem::bad_request(format!("the body can't be read as JSON: {error}"))),
    }
}

/// How many objects and lists stand in one another; what has read it has bounded that.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn problem(refused: NotChanged, api: &str) -> Problem {
    let name = refused.name();
    match refused {
        NotChanged::NoSuchApi => no_such_api(api),
        NotChanged::Conflict(_, why) => Problem::new(StatusCode::CONFLICT, name, "It can't be changed here", why),
        NotChanged::Condition(current) => {
            let detail = match &current {
                Some(tag) => format!("`{api}` has the entity tag {tag} by now; read it again"),
                None => format!("there is no API `{api}`"),
            };
            Problem::new(StatusCode::PRECONDITION_FAILED, name, "The condition doesn't hold", detail)
                .member("etag", json!(current))
        }
        NotChanged::Faults(number, told) => {
            let faults = if number == 1 { "fault" } else { "faults" };
            let detail = format!("`{api}` would have {number} {faults}; nothing has changed");
            let title = "The configuration is not valid";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, name, title, detail).member("faults", json!(told))
        }
    }
}
