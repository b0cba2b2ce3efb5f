//! `[objects]` and `[[objects.namespace]]`.

use crate::admin::Token;
use crate::policy::Api;
use crate::store::Bounds;
use crate::tls;
use std::net::SocketAddr;
use std::time::Duration;

/// The checked form of `[objects]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `listen`.
    pub listen: SocketAddr,
    /// `tls`. Default: none.
    pub tls: Option<tls::Settings>,
    /// `[[objects.tokens]]`. Without any, whoever reaches the listener may do everything.
    pub tokens: Vec<Token>,
    /// `batch`: keys in one `_get`.
    pub batch: usize,
    /// `refreshes`: objects that wait to be loaded again after an event; of more than that it is only heard that they are out of date.
    pub refreshes: usize,
    /// Every `[[objects.namespace]]`, in the order of the file.
    pub namespaces: Vec<Namespace>,
}

/// One `[[objects.namespace]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Namespace {
    /// What it is as an API: `ttl`, `source`, `negative_ttl`, `keep_on_error`, and how the source is asked.
    pub api: Api,
    /// `max_size`, `max_entries`.
    pub bounds: Bounds,
    /// `max_ttl`: the most that `?ttl=` may ask for; `None` is no limit.
    pub max_ttl: Option<Duration>,
}

impl Settings {
    /// Where nothing else is said: 100 keys in one `_get`, 10,000 objects that wait to be loaded again.
    pub fn at(listen: SocketAddr) -> Self {
        Settings { listen, tls: None, tokens: Vec::new(), batch: 100, refreshes: 10_000, namespaces: Vec::new() }
    }
}
