//! What the operator says about storing, as plain values: this room knows nothing of policy.

use std::time::Duration;

/// The operator's settings, as far as they are about storing.
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    /// `ttl` or `ttl_by_status`, already chosen for this status.
    pub ttl: Option<Lifetime>,
    /// `freshness = "ttl"`: ttl wins over `s-maxage`, `max-age`, `Expires` and `no-cache`.
    pub ttl_wins: bool,
    /// `heuristic`: §4.2.2 for answers that only have `Last-Modified`.
    pub heuristic: bool,
    /// `error_answers = "drop"`: error answers aren't stored even with explicit freshness.
    pub drop_errors: bool,
    /// `set_cookie`.
    pub set_cookie: SetCookie,
    /// `grace`: stale-while-revalidate where the origin states none.
    pub grace: Duration,
    /// `keep_on_error`: stale-if-error where the origin states none.
    pub keep_on_error: Duration,
}

impl Default for Operator {
    /// The product's defaults.
    fn default() -> Self {
        Operator {
            ttl: None,
            ttl_wins: false,
            heuristic: false,
            drop_errors: true,
            set_cookie: SetCookie::Private,
            grace: Duration::ZERO,
            keep_on_error: Duration::ZERO,
        }
    }
}

/// An operator's cache interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// For so long.
    For(Duration),
    /// Until purged or evicted.
    Forever,
}

/// `set_cookie`: what becomes of answers with `Set-Cookie`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetCookie {
    /// Stored only if `public`.
    Private,
    /// As RFC 9111 allows.
    Store,
    /// Never stored.
    Pass,
}
