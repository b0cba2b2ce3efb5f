//! `[telemetry]`.

use http::{HeaderName, HeaderValue};
use std::time::Duration;

/// The checked form of `[telemetry]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `otlp`: the collector's URL, of which OTLP over gRPC is understood.
    pub otlp: String,
    /// `sample`: the share of the traces that begin here, 0.0 to 1.0. Default 1.0.
    pub sample: f64,
    /// `service_name`. Default freshgate.
    pub service_name: String,
    /// `headers`: what the collector is sent with each message.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `timeout`: how long a message may take, its repetitions included. Default 10s.
    pub timeout: Duration,
    /// `queue`: spans that may wait to be sent. Default 4096.
    pub queue: usize,
}

impl Settings {
    /// For this collector, and by default.
    pub fn to(otlp: String) -> Self {
        let (service_name, timeout) = ("freshgate".into(), Duration::from_secs(10));
        Settings { otlp, sample: 1.0, service_name, headers: Vec::new(), timeout, queue: 4096 }
    }
}
