//! Applies a selector: which scopes are meant, here and now.
//!
//! Whatever it covers, a purge raises a cell or two for each API that is meant. Only a dry run looks at what is stored. The purge of a
//! caller also makes us forget that it was let in: a right that was taken away is gone with its next request.

use crate::policy::{Apis, BadTarget, Mounted, Place, Scope, canonical_host, canonical_path, is_second_key};
use crate::store::{Held, Severity, Standing, Store};
use http::Method;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// What to invalidate, as `POST /v1/purge` and `freshgate purge` say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// What is meant.
    pub target: Target,
    /// `"api"` beside another selector: only within this API (`name/version`).
    pub api: Option<String>,
    /// `"soft"`: mark stale instead of invalidating.
    pub soft: bool,
    /// `"dry_run"`: count by scanning, change nothing.
    pub dry_run: bool,
}

impl Selector {
    /// As its JSON says it.
    pub fn json(&self) -> Value {
        let Selector { target, api, soft, dry_run } = self;
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
        said
    }
}

/// What is meant by a [`Selector`]. Paths are public ones; `host` narrows to APIs of that host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everything.
    All,
    /// One API, `name/version`.
    Api(String),
    /// One path with every query, for every caller and every variant.
    Path {
        /// Only APIs that answer on this host.
        host: Option<String>,
        /// A public path.
        path: String,
    },
    /// A path and everything below it, by whole segments.
    Prefix {
        /// Only APIs that answer on this host.
        host: Option<String>,
        /// A public path; may be above the path of an API.
        path: String,
    },
    /// A tag.
    Tag(String),
    /// An authenticated caller.
    User(String),
}

/// What a purge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// How many stored answers it covers; `None` where counting would cost a scan.
    pub invalidated: Option<u64>,
    /// The epoch it took; 0 for a dry run.
    pub epoch: u64,
}

/// Why a selector can't be applied; the client's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadSelector {
    /// No API has this `name/version`.
    NoSuchApi(String),
    /// No API answers on this path.
    NoSuchPath(String),
    /// The path can't be made canonical; why.
    BadPath(String),
}

impl fmt::Display for BadSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadSelector::NoSuchApi(api) => write!(f, "there is no API `{api}`; write it as name/version"),
            BadSelector::NoSuchPath(path) => write!(f, "no API answers on `{path}`; a path here is the public one"),
            BadSelector::BadPath(why) => f.write_str(why),
        }
    }
}

/// What a purge needs of an API: itself, and how many answers it has stored.
pub type Counted<'a> = dyn Fn(&Mounted) -> u64 + 'a;

/// Applies `selector`. Everything it names is invalidated when this returns. `stored` says how many answers an API has.
///
/// # Errors
/// When the selector names no API that there is, or a path that none answers on.
pub fn apply(apis: &Apis, store: &Store, selector: &Selector, stored: &Counted<'_>) -> Result<Purged, BadSelector> {
    let meant = meant(apis, selector)?;
    let held = hold(store, &meant, &selector.target);
    if selector.dry_run {
        return Ok(Purged { invalidated: Some(count(store, &held)), epoch: 0 });
    }
    let invalidated = match selector.target {
        Target::All | Target::Api(_) => Some(meant.iter().map(|m| stored(&m.api)).sum()),
        Target::Path { .. } | Target::Prefix { .. } | Target::Tag(_) | Target::User(_) => None,
    };
    if let Target::User(user) = &selector.target {
        meant.iter().flat_map(|m| m.api.auths()).for_each(|auth| auth.forget(user));
    }
    let severity = if selector.soft { Severity::Soft } else { Severity::Hard };
    let epoch = store.scopes.raise(&held, severity);
    Ok(Purged { invalidated, epoch })
}

/// One API that a selector means, and the place within it; `None` is all of it.
struct Meant {
    api: Arc<Mounted>,
    place: Option<Place>,
}

fn meant(apis: &Apis, selector: &Selector) -> Result<Vec<Meant>, BadSelector> {
    let only = match (&selector.api, &selector.target) {
        (Some(id), _) | (None, Target::Api(id)) => {
            Some(apis.get(id).ok_or_else(|| BadSelector::NoSuchApi(id.clone()))?)
        }
        (None, _) => None,
    };
    let candidates = apis.iter().filter(|api| only.is_none_or(|only| Arc::ptr_eq(only, api)));
    let whole = |api: &Arc<Mounted>| Meant { api: Arc::clone(api), place: None };
    let (host, path, below) = match &selector.target {
        Target::All | Target::Api(_) | Target::Tag(_) | Target::User(_) => return Ok(candidates.map(whole).collect()),
        Target::Path { host, path } => (host, path, false),
        Target::Prefix { host, path } => (host, path, true),
    };
    let bad = |why: BadTarget| BadSelector::BadPath(why.to_string());
    let host = host.as_deref().map(canonical_host).transpose().map_err(bad)?;
    let bare = path.split('?').next().unwrap_or_default();
    let canonical = canonical_path(bare).map_err(bad)?;
    let on_host = |api: &&Arc<Mounted>| host.as_deref().is_none_or(|host| api.answers_on(host));
    let found: Vec<Meant> = candidates.filter(on_host).filter_map(|api| at(api, &canonical, below)).collect();
    if found.is_empty() { Err(BadSelector::NoSuchPath(path.clone())) } else { Ok(found) }
}

/// The part of an API that a public path means.
fn at(api: &Arc<Mounted>, path: &str, below: bool) -> Option<Meant> {
    if api.covers(path) {
        let place = api.route(&Method::GET, path.to_owned()).place();
        return Some(Meant { api: Arc::clone(api), place: Some(place) });
    }
    let above = path.strip_suffix('/').unwrap_or(path);
    let covered = api.api.path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    (below && covered).then(|| Meant { api: Arc::clone(api), place: None })
}

fn hold(store: &Store, meant: &[Meant], target: &Target) -> Held {
    let mut scopes = Vec::new();
    for Meant { api, place } in meant {
        match (target, place) {
            (Target::All, _) => scopes.push(Scope::Everything),
            (Target::Tag(tag), _) => scopes.push(Scope::Tag(&api.id, tag)),
            (Target::User(user), _) => scopes.push(Scope::Caller(&api.id, user)),
            (Target::Api(_), _) | (_, None) => scopes.push(Scope::Api(&api.id)),
            (Target::Path { .. }, Some(place)) => scopes.push(place.path(&api.origin)),
            (Target::Prefix { .. }, Some(place)) => scopes.extend([place.path(&api.origin), place.below(&api.origin)]),
        }
    }
    if *target == Target::All {
        scopes = vec![Scope::Everything]; // also when there is no API
    }
    store.scopes.hold(&scopes)
}

fn count(store: &Store, held: &Held) -> u64 {
    let mut found = 0;
    store.scan(|key, entries| {
        if is_second_key(key) {
            return;
        }
        let covered =
            |entry: &&Arc<crate::store::Entry>| entry.standing() != Standing::Invalidated && entry.held.meets(held);
        found += entries.iter().filter(covered).count() as u64;
    });
    found
}
