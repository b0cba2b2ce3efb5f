//! The configurations that the gateway is run with.

use super::changes::Reach;

/// A configuration and the traffic it gets.
#[derive(Debug)]
pub struct Mode {
    pub name: &'static str,
    pub reach: Reach,
    /// Lines of `[[api]]`.
    pub api: &'static str,
    /// Further tables.
    pub rest: &'static str,
    /// The origin's `max-age`, in seconds; without one the operator's `ttl` counts.
    pub max_age: Option<u32>,
    /// How many different `?view=` there are.
    pub views: u64,
    /// Whether half of the readers say who they are.
    pub callers: bool,
    /// Whether what a caller is given is his alone.
    pub mine: bool,
    /// Whether there are two endpoints, of which one is asked when the other is too slow.
    pub twice: bool,
    /// What it is reloaded with all the time, one after the other.
    pub reloads: &'static [Reload],
}

/// Another configuration.
#[derive(Debug)]
pub struct Reload {
    /// Lines of `[[api]]`.
    pub api: &'static str,
    /// Whether there is a second API that shares the origin, under a name that is the lesser one of both.
    pub linked: bool,
}

const fn reload(api: &'static str, linked: bool) -> Reload {
    Reload { api, linked }
}

/// Nothing; another lifetime; another key; another API; and so on. Twice the same, so that something can be hit.
const RELOADS: &[Reload] = &[
    reload("ttl = \"10m\"", false),
    reload("ttl = \"10m\"", false),
    reload("ttl = \"5m\"", false),
    reload("ttl = \"5m\"\ntimeouts.total = \"1m\"", false),
    reload("ttl = \"5m\"\nkey = { query = \"exact\" }", false),
    reload("ttl = \"5m\"\nkey = { query = \"exact\" }", false),
    reload("ttl = \"10m\"", true),
    reload("ttl = \"10m\"", true),
    reload("ttl = \"10m\"", false),
];

/// `[[api.purge]]` in every mode.
pub const RULES: &str = "[[api.purge]]\non = \"PUT,DELETE /books/{id}\"\n\
    paths = [\"/authors/*/books\", \"/shelves/{id}/*\", \"/covers/{id}\"]\ntags = [\"book-{id}\"]\n";

const PLAIN: Mode = Mode {
    name: "tree",
    reach: Reach::Tree,
    api: "ttl = \"10m\"",
    rest: "",
    max_age: None,
    views: 2,
    callers: false,
    mine: false,
    twice: false,
    reloads: &[],
};

pub const MODES: [Mode; 8] = [
    PLAIN,
    Mode {
        name: "two endpoints, asked again",
        api: "ttl = \"10m\"\nretry = { try_timeout = \"60ms\", budget = 1.0, backoff = \"5ms\" }\nhealth.failures = 0",
        twice: true,
        ..PLAIN
    },
    Mode { name: "tree, reloaded all the time", reloads: RELOADS, ..PLAIN },
    Mode {
        name: "grace, callers apart, tinylfu",
        api: "grace = \"10m\"",
        rest: "[cache]\neviction = \"tinylfu\"",
        max_age: Some(1),
        callers: true,
        mine: true,
        ..PLAIN
    },
    Mode {
        name: "collection, small cache",
        reach: Reach::Collection,
        api: "ttl = \"10m\"\ninvalidate = \"collection\"",
        rest: "[cache]\nmax_size = \"1MiB\"\nmax_object_size = \"64KiB\"",
        views: 400,
        ..PLAIN
    },
    Mode {
        name: "api, assume-public, keep_on_error",
        reach: Reach::Api,
        api: "invalidate = \"api\"\nkeep_on_error = \"10m\"\nkey = { share = \"assume-public\" }",
        max_age: Some(1),
        callers: true,
        ..PLAIN
    },
    Mode {
        name: "self, no grace, callers apart",
        reach: Reach::Own,
        api: "ttl = \"1s\"\ninvalidate = \"self\"",
        callers: true,
        mine: true,
        ..PLAIN
    },
    Mode {
        name: "stale as much as may be: grace, keep_on_error, stale_after, refresh_ahead, ttl_jitter",
        api: "grace = \"300ms\"\nkeep_on_error = \"10m\"\nstale_after = \"2ms\"\nrefresh_ahead = 0.5\nttl_jitter = 0.5",
        max_age: Some(1),
        callers: true,
        mine: true,
        ..PLAIN
    },
];
