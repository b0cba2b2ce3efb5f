//! `[server]`: where clients connect, and what one of them may cost.

use crate::tls;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The checked form of `[server]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `listen`: addresses to bind; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// `tls`: `None` is plain HTTP.
    pub tls: Option<tls::Settings>,
    /// `http2`: whether HTTP/2 is spoken. Default true.
    pub http2: bool,
    /// `trusted_proxies`: peers whose `Forwarded` and `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<Network>,
    /// `resolver`: name servers that are asked for the addresses of origins; empty: the system's.
    pub resolver: Vec<SocketAddr>,
    /// `purge_method`: PURGE on the data port.
    pub purge_method: bool,
    /// `[server.limits]`.
    pub limits: Limits,
    /// `[server.drain] delay`: how long to keep accepting after the signal, not ready. Default 0 s.
    pub drain_delay: Duration,
    /// `handover`: the socket by which a new process takes over. Default none.
    pub handover: Option<PathBuf>,
    /// `[server.drain] deadline`: how long requests may take to finish after that. Default 30 s.
    pub drain_deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            tls: None,
            http2: true,
            trusted_proxies: Vec::new(),
            resolver: Vec::new(),
            purge_method: false,
            limits: Limits::default(),
            handover: None,
            drain_delay: Duration::ZERO,
            drain_deadline: Duration::from_secs(30),
        }
    }
}

/// An address or a range of addresses (`10.0.0.0/8`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The first address.
    pub address: IpAddr,
    /// How many leading bits count.
    pub bits: u8,
}

impl Network {
    /// Whether `peer` lies in it; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.address, peer.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same_prefix(&a.octets(), &b.octets(), self.bits),
            (IpAddr::V6(a), IpAddr::V6(b)) => same_prefix(&a.octets(), &b.octets(), self.bits),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn same_prefix(a: &[u8], b: &[u8], bits: u8) -> bool {
    let (whole, rest) = (usize::from(bits / 8), bits % 8);
    let mask = !(0xffu8.checked_shr(rest.into()).unwrap_or(0));
    a[..whole] == b[..whole] && (rest == 0 || (a[whole] ^ b[whole]) & mask == 0)
}

/// `[server.limits]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// `connections`: open client connections. Default 10,000.
    pub connections: usize,
    /// `connections_per_address`; of IPv6 the first 64 bits are one address. Default 1,000.
    pub connections_per_address: usize,
    /// `header_bytes`: a request's head, line and fields. Default 64 KiB; 8 KiB is the least.
    pub header_bytes: usize,
    /// `header_count`: fields of a request. Default 100.
    pub header_count: usize,
    /// `header_timeout`: from a connection's first byte of a request, or its accept, to the end of the head. Default 10 s.
    pub header_timeout: Duration,
    /// `idle_timeout`: how long a client may send nothing, between requests or inside a body. Default 30 s.
    pub idle_timeout: Duration,
    /// `request_body`: bytes; `None` ("none") is no limit. Default none.
    pub request_body: Option<u64>,
    /// `query_body`: bytes that the content of a QUERY may have to be part of a key. Default 64 KiB.
    pub query_body: u64,
    /// `body_min_rate`: bytes per second that a request body must keep after a grace of 10 s. Default 64.
    pub body_min_rate: u64,
    /// `write_stall`: how long a client may take nothing of an answer. Default 60 s.
    pub write_stall: Duration,
    /// `h2_streams`: requests of one HTTP/2 connection that are under way at a time. Default 100.
    pub h2_streams: u32,
    /// `origin_requests`: requests to origins that are under way, over all; the judges of callers have as many. Default 4,096.
    pub origin_requests: usize,
    /// `waiting_requests`: requests that wait for somebody else's fill, over all. Default 10,000.
    pub waiting_requests: usize,
    /// `variants_per_path`: answers kept for one key that differ by `Vary`. Default 64.
    pub variants_per_path: usize,
    /// `keys_per_caller`: answers that one caller may have stored. Default 100,000.
    pub keys_per_caller: usize,
    /// `fills`: questions to origins that are being kept while they stream, over all. Default 4,096.
    pub fills: usize,
    /// `background_refreshes`: questions to origins that nobody waits for, over all. Default 256.
    pub background_refreshes: usize,
    /// `compressions`: contents that are being encoded, over all. Default 64.
    pub compressions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 10_000,
            connections_per_address: 1_000,
            header_bytes: 64 << 10,
            header_count: 100,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            request_body: None,
            query_body: 64 << 10,
            body_min_rate: 64,
            write_stall: Duration::from_secs(60),
            h2_streams: 100,
            origin_requests: 4_096,
            waiting_requests: 10_000,
            variants_per_path: 64,
            keys_per_caller: 100_000,
            fills: 4_096,
            background_refreshes: 256,
            compressions: 64,
        }
    }
}
