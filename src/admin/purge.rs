//! The calls that purge, each with its line in the audit.

use super::guard::Peer;
use super::house::House;
use super::problem::Problem;
use super::read::{Named, TheHouse, named_api, no_such_api};
use super::settings::Role;
use super::tokens::Caller;
use crate::purge::{BadSelector, Purged, Selector, Target};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Bytes of a request's body.
const BODY_LIMIT: usize = 64 << 10;
/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Scans run one at a time, also those whose client has left.
static SCANS: Semaphore = Semaphore::const_new(1);

type Answer = Result<Json<Value>, Problem>;

/// `DELETE /v1/apis/{name}/{version}/cache`.
pub(super) async fn api(State(house): TheHouse, by: Extension<Caller>, peer: Extension<Peer>, named: Named) -> Answer {
    let (name, version) = named_api(named)?;
    let target = Target::Api(format!("{name}/{version}"));
    let selector = Selector { target, api: None, soft: false, dry_run: false };
    applied(house, By(by.0, peer.0.0), selector).await
}

/// `DELETE /v1/cache`.
pub(super) async fn everything(State(house): TheHouse, by: Extension<Caller>, peer: Extension<Peer>) -> Answer {
    let selector = Selector { target: Target::All, api: None, soft: false, dry_run: false };
    applied(house, By(by.0, peer.0.0), selector).await
}

/// `POST /v1/purge`.
pub(super) async fn selected(
    State(house): TheHouse,
    by: Extension<Caller>,
    peer: Extension<Peer>,
    request: Request,
) -> Answer {
    let (head, body) = request.into_parts();
    must_be_json(&head.headers)?;
    let Object(asked): Object<Asked> =
        serde_json::from_slice(&read(body).await?).map_err(|error| Problem::bad_request(error.to_string()))?;
    let selector = asked.selector().map_err(Problem::bad_request)?;
    if selector.target == Target::All {
        by.needs(Role::Administrator)?;
    }
    applied(house, By(by.0, peer.0.0), selector).await
}

fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let kind = kinds.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if kinds.next().is_none() && essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "Content-Type must be application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "The body must be JSON", detail))
}

async fn read(body: Body) -> Result<bytes::Bytes, Problem> {
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("a body may have {BODY_LIMIT} bytes");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large", detail))
        }
        Ok(Err(_)) => Err(Problem::bad_request("the body broke off")),
        Err(_) => {
            let detail = format!("the body took longer than {} s", BODY_TIMEOUT.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", "The body came too slowly", detail))
        }
    }
}

/// Something written as a JSON object; by itself serde takes an array of a struct's values as well.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// The body of `POST /v1/purge`, as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    api: Option<String>,
    path: Option<String>,
    prefix: Option<String>,
    tag: Option<String>,
    user: Option<String>,
    all: Option<bool>,
    host: Option<String>,
    #[serde(default)]
    soft: bool,
    #[serde(default)]
    dry_run: bool,
}

impl Asked {
    /// As meant. `api` is a target when it stands alone, and narrows when it doesn't.
    fn selector(self) -> Result<Selector, String> {
        let Asked { mut api, path, prefix, tag, user, all, host, soft, dry_run } = self;
        not_empty("api", api.as_deref())?;
        not_empty("tag", tag.as_deref())?;
        not_empty("user", user.as_deref())?;
        not_empty("host", host.as_deref())?;
        let narrows = host.is_some();
        let target = match (path, prefix, tag, user, all) {
            (None, None, None, None, None) => match api.take() {
                Some(api) => Target::Api(api),
                None => return Err("one of path, prefix, tag, user, api and all must be given".into()),
            },
            (Some(path), None, None, None, None) => Target::Path { host, path: public("path", path)? },
            (None, Some(path), None, None, None) => Target::Prefix { host, path: public("prefix", path)? },
            (None, None, Some(tag), None, None) => Target::Tag(tag),
            (None, None, None, Some(user), None) => Target::User(user),
            (None, None, None, None, Some(true)) => Target::All,
            (None, None, None, None, Some(false)) => return Err("`all` can only be true".into()),
            _ => return Err("only one of path, prefix, tag, user and all can be given".into()),
        };
        if target == Target::All && api.is_some() {
            return Err("`all` can't be narrowed by `api`; give `api` alone to clear one API".into());
        }
        if narrows && !matches!(target, Target::Path { .. } | Target::Prefix { .. }) {
            return Err("`host` only goes with path or prefix".into());
        }
        Ok(Selector { target, api, soft, dry_run })
    }
}

fn not_empty(member: &str, value: Option<&str>) -> Result<(), String> {
    if value == Some("") { Err(format!("`{member}` must not be empty")) } else { Ok(()) }
}

fn public(member: &str, path: String) -> Result<String, String> {
    if path.starts_with('/') { Ok(path) } else { Err(format!("`{member}` must begin with /")) }
}

/// Who purges, from where.
struct By(Caller, SocketAddr);

async fn applied(house: Arc<dyn House>, by: By, selector: Selector) -> Answer {
    let purged = if selector.dry_run { scanned(house, by, selector).await? } else { purged(&*house, &by, &selector) };
    match purged {
        Ok(Purged { invalidated, epoch }) => Ok(Json(json!({ "invalidated": invalidated, "epoch": epoch }))),
        Err(bad) => Err(refused(&bad)),
    }
}

/// A scan may take long: it runs on a thread that may block, and takes its turn and its audit line with it.
async fn scanned(house: Arc<dyn House>, by: By, selector: Selector) -> Result<Result<Purged, BadSelector>, Problem> {
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

fn purged(house: &dyn House, By(caller, peer): &By, selector: &Selector) -> Result<Purged, BadSelector> {
    let purged = house.purge(selector);
    let (token, selector) = (&caller.name, Said(selector));
    match &purged {
        Ok(Purged { invalidated, epoch }) => {
            tracing::info!(target: "audit", token, %peer, %selector, epoch, invalidated, "purge");
        }
        Err(bad) => tracing::info!(target: "audit", token, %peer, %selector, refused = %bad, "purge"),
    }
    purged
}

/// A selector as its JSON says it.
struct Said<'a>(&'a Selector);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Selector { target, api, soft, dry_run } = self.0;
        let mut said = match target {
            Target::All => json!({ "all": true }),
            Target::Api(api) => json!({ "api": api }),
            Target::Path { host: None, path } => json!({ "path": path }),
            Target::Path { host, path } => json!({ "path": path, "host": host }),
            Target::Prefix { host: None, path } => json!({ "prefix": path }),
            Target::Prefix { host, path } => json!({ "prefix": path, "host": host }),
            Target::Tag(tag) => json!({ "tag": tag }),
            Target::User(user) => json!({ "user": user }),
        };
        if let Some(api) = api {
            said["api"] = json!(api);
        }
        for (name, set) in [("soft", soft), ("dry_run", dry_run)] {
            if *set {
                said[name] = json!(true);
            }
        }
        said.fmt(f)
    }
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
