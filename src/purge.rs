//! Applies a selector: which scopes are meant, here and now.

use std::fmt;

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
