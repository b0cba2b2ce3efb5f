//! Where an origin is, how it is asked, how long it may take, and how much may be asked at a time.

use super::tls::TlsClient;
use crate::counted::Counted;
use crate::reached::{Bound, Reached};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// One address of an origin: `http://host:port/base`, with its share of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// `https` rather than `http`.
    pub tls: bool,
    /// Name or address, lower case, without brackets.
    pub host: String,
    /// TCP port; 80 or 443 where the URL gives none.
    pub port: u16,
    /// Path put before every request path; empty, or begins with `/` and doesn't end with one.
    pub base: String,
    /// Relative share of requests, at least 1.
    pub weight: u32,
}

impl Endpoint {
    /// `host:port` as in a Host field: an IPv6 address in brackets, the scheme's own port left out.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let default = if self.tls { 443 } else { 80 };
        if self.port == default { host } else { format!("{host}:{}", self.port) }
    }
}

/// What an API says of its endpoints as a whole, beside where they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `balance`: which endpoint is asked next.
    pub balance: Balance,
    /// `[api.pool]`.
    pub pool: Pooling,
    /// `[api.health]`.
    pub health: Health,
    /// `[api.breaker]`; absent by default.
    pub breaker: Option<Breaker>,
}

/// `balance`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// The less loaded of two that are picked at random.
    #[default]
    LeastLoaded,
    /// One after the other.
    RoundRobin,
    /// By path and query, so that the same resource is asked of the same endpoint as long as that is there.
    Hash,
}

/// `[api.pool]`: connections to each endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Pooling {
    /// `idle`: connections that are kept for the next request. Default 64: each costs the origin a descriptor, often a worker, and more
    /// are needed only for a moment after a burst.
    pub idle: usize,
    /// `idle_timeout`: how long one may be idle. Default 60 s: below the 60 to 75 s after which most servers close, and the request that
    /// meets such a close is repeated only if it is safe.
    pub idle_timeout: Duration,
    /// `lifetime`: a connection that is older serves no further request. Default 1 h.
    pub lifetime: Option<Duration>,
    /// `http2`: over TLS where the origin takes it, in the clear by prior knowledge. Default false.
    pub http2: bool,
    /// `streams`: requests at a time on one connection of HTTP/2. Default 100.
    pub streams: usize,
    /// `[api.pool.tls]`; the system's roots by default.
    pub tls: Option<TlsClient>,
}

impl Default for Pooling {
    fn default() -> Self {
        let s = Duration::from_secs;
        Pooling { idle: 64, idle_timeout: s(60), lifetime: Some(s(3600)), http2: false, streams: 100, tls: None }
    }
}

/// `[api.health]`: when an endpoint is left alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// `failures` in a row after which an endpoint is left alone for a while; 0 is never. Default 5.
    pub failures: u32,
    /// `rest`: how long, the first time; twice as long each further time. Default 10 s.
    pub rest: Duration,
    /// `max_rest`: the longest of these times, and the longest `Retry-After` that is listened to. Default 5 min.
    pub max_rest: Duration,
    /// `max_resting`: the share of the endpoints that may be left alone at a time for their failures. Default 0.5.
    pub max_resting: f64,
    /// `slow_start`: how long an endpoint that has come back takes to get its whole share again. Default 10 s.
    pub slow_start: Duration,
    /// `path`: with it each endpoint is asked regularly how it is.
    pub check: Option<Check>,
}

impl Default for Health {
    fn default() -> Self {
        let s = Duration::from_secs;
        Health { failures: 5, rest: s(10), max_rest: s(300), max_resting: 0.5, slow_start: s(10), check: None }
    }
}

/// How endpoints are asked how they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// `path`: asked with GET; the endpoint's base comes before it.
    pub path: String,
    /// `host`: what the endpoint sees in Host; its own authority by default.
    pub host: Option<String>,
    /// `interval`. Default 5 s.
    pub interval: Duration,
    /// `timeout`: connecting included. Default 2 s.
    pub timeout: Duration,
    /// `status`: the one that is good; by default any of 200 to 399.
    pub status: Option<u16>,
    /// `fall`: failed checks in a row that take an endpoint out. Default 3.
    pub fall: u32,
    /// `rise`: good ones in a row that bring it back. Default 2.
    pub rise: u32,
}

/// `[api.breaker]`: how much of an endpoint is asked at a time, and when it is left in peace altogether.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    /// `requests` that one endpoint may be at. Default none: no limit but `limits.origin_requests`.
    pub requests: Option<usize>,
    /// `queue`: how many may wait for a place. Default 100.
    pub queue: usize,
    /// `queue_time`: how long. Default 1 s.
    pub queue_time: Duration,
    /// `failures`: the share of failed requests at which it opens. Default 0.5.
    pub failures: f64,
    /// `calls`: requests that there must be in a window before their share of failures says anything. Default 20.
    pub calls: u32,
    /// `window`. Default 10 s.
    pub window: Duration,
    /// `open`: how long nothing is asked. Default 5 s.
    pub open: Duration,
    /// `trials`: requests that are let through then; when all of them went well it closes. Default 3.
    pub trials: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        let s = Duration::from_secs;
        Breaker {
            requests: None,
            queue: 100,
            queue_time: s(1),
            failures: 0.5,
            calls: 20,
            window: s(10),
            open: s(5),
            trials: 3,
        }
    }
}

/// `retry`: what is done when an endpoint gives no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// `times`: tries after the first. Default 1 where there are several endpoints, else 0.
    pub times: Option<u32>,
    /// `try_timeout`: how long a try that isn't the last may take to its answer's head, where another one can be made at once; without it one
    /// that is too slow is the last.
    pub try_timeout: Option<Duration>,
    /// `backoff`: the longest wait before an endpoint is asked again; twice as long each further time. Default 50 ms.
    pub backoff: Duration,
    /// `max_backoff`: the longest of these. Default 1 s.
    pub max_backoff: Duration,
    /// `budget`: retries as a share of the requests of the last seconds. Default 0.2.
    pub budget: f64,
    /// `body`: bytes of a request's body that are kept for another try. Default 64 KiB.
    pub body: usize,
}

impl Retry {
    /// One try.
    pub const NEVER: Retry = Retry { times: Some(0), ..Retry::USUAL };

    const USUAL: Retry = Retry {
        times: None,
        try_timeout: None,
        backoff: Duration::from_millis(50),
        max_backoff: Duration::from_secs(1),
        budget: 0.2,
        body: 64 << 10,
    };
}

impl Default for Retry {
    fn default() -> Self {
        Retry::USUAL
    }
}

/// How long each phase of a request to an origin may take (`[[api]] timeouts`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first SYN to a connection that can be written to, TLS included. Default 2 s.
    pub connect: Duration,
    /// From the last byte of the request to the head of the answer. Default 30 s.
    pub first_byte: Duration,
    /// Longest pause inside the answer's body. Default 30 s.
    pub between_bytes: Duration,
    /// From the start of the request to the end of the answer; none by default.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let s = Duration::from_secs;
        Timeouts { connect: s(2), first_byte: s(30), between_bytes: s(30), total: None }
    }
}

/// How many requests may be under way at a time; all origins that share it count together. A client that leaves doesn't take its
/// question back, so the number of clients bounds nothing here.
#[derive(Debug)]
pub struct Budget {
    in_use: Arc<AtomicUsize>,
    most: usize,
    bound: Bound,
    reached: Arc<Reached>,
}

impl Budget {
    /// `most` at a time; one too many is counted as having reached `bound`.
    pub fn new(most: usize, bound: Bound, reached: Arc<Reached>) -> Arc<Self> {
        Arc::new(Budget { in_use: Arc::default(), most, bound, reached })
    }

    /// How many are under way.
    pub fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// A place for one more, unless there are too many.
    pub(crate) fn take(&self) -> Option<Counted> {
        let place = Counted::up_to(&self.in_use, self.most);
        if place.is_none() {
            self.reached.note(self.bound);
        }
        place
    }
}
