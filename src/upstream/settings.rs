//! Where an origin is, how long it may take, and how much may be asked at a time.

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

/// What a connection that goes on as a tunnel takes of what may be under way, for as long as this lives; an extension of its 101.
#[derive(Clone, Debug)]
pub struct Held(#[expect(dead_code, reason = "it is only held")] pub(super) Arc<Option<Counted>>);

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
