//! How often each bound was reached: a bound that nobody can see working is either too tight or not there.
//!
//! One counter for each, shared by all parts that hold one. Reaching a bound is rare and the counters are only added to
//! then, so they cost the requests within it nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! bounds {
    ($($(#[$doc:meta])* $bound:ident = $name:literal,)*) => {
        /// A bound on what strangers can make the gateway hold or do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bound { $($(#[$doc])* $bound,)* }

        impl Bound {
            /// Every bound, in the order of the declaration.
            pub const ALL: &[Bound] = &[$(Bound::$bound,)*];

            /// The word that metrics use: the key of the configuration, where there is one.
            pub fn name(self) -> &'static str {
                match self { $(Bound::$bound => $name,)* }
            }
        }
    };
}

bounds! {
    /// `limits.connections`: accepting had to wait.
    Connections = "connections",
    /// The process's limit on open files: a connection couldn't be accepted.
    Descriptors = "descriptors",
    /// `limits.connections_per_address`: a connection was closed at once.
    ConnectionsPerAddress = "connections_per_address",
    /// `limits.header_bytes` or `limits.header_count`: 431.
    Header = "header",
    /// `limits.header_timeout`: a connection was closed before its request's head, or its TLS handshake, was there.
    HeaderTimeout = "header_timeout",
    /// `limits.idle_timeout` between requests.
    IdleTimeout = "idle_timeout",
    /// `limits.request_body`: 413.
    RequestBody = "request_body",
    /// `limits.query_body`: a QUERY that passed by the cache.
    QueryBody = "query_body",
    /// `limits.body_min_rate`, or `limits.idle_timeout` inside a body.
    BodyMinRate = "body_min_rate",
    /// `limits.write_stall`: a reader was given up.
    WriteStall = "write_stall",
    /// `limits.h2_streams`: a stream was refused. What was malformed counts as open here until its connection ends.
    H2Streams = "h2_streams",
    /// `limits.h2_streams`, as resets: more of them in a while than streams may be open.
    H2Resets = "h2_resets",
    /// Frames of HTTP/2 that carry nothing, in a while.
    H2Frames = "h2_frames",
    /// `limits.origin_requests`: 503, unless something stale may be given.
    OriginRequests = "origin_requests",
    /// `limits.waiting_requests`: 503.
    WaitingRequests = "waiting_requests",
    /// `limits.variants_per_path`: an older variant had to go.
    VariantsPerPath = "variants_per_path",
    /// `limits.keys_per_caller`: an answer wasn't kept.
    KeysPerCaller = "keys_per_caller",
    /// `limits.fills`: an answer wasn't kept.
    Fills = "fills",
    /// `limits.background_refreshes`: nothing was asked ahead, or on behalf of who was given something stale.
    BackgroundRefreshes = "background_refreshes",
    /// `limits.compressions`: a content was given as it is.
    Compressions = "compressions",
    /// `events.duplicates.count`: an event was forgotten before its time.
    EventDuplicates = "event_duplicates",
    /// Connections of the admin port: accepting had to wait.
    AdminConnections = "admin_connections",
    /// Streams of `/v1/traffic`: 503.
    TrafficStreams = "traffic_streams",
    /// Wrong tokens from one address: 429.
    AdminFailures = "admin_failures",
}

/// The counters.
#[derive(Debug, Default)]
pub struct Reached([AtomicU64; Bound::ALL.len()]);

impl Reached {
    /// Counts that `bound` was reached.
    pub fn note(&self, bound: Bound) {
        if let Some(count) = self.0.get(bound as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// How often each was reached since the start.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Bound::ALL.iter().zip(&self.0).map(|(bound, count)| (bound.name(), count.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_has_a_counter_and_a_name_of_its_own() {
        let reached = Reached::default();
        Bound::ALL.iter().for_each(|bound| reached.note(*bound));
        assert!(reached.counts().all(|(_, count)| count == 1));
        let names: std::collections::BTreeSet<_> = reached.counts().map(|(name, _)| name).collect();
        assert_eq!(names.len(), Bound::ALL.len());
    }
}
