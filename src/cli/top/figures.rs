//! What a gateway says of itself, as far as it is shown. What it doesn't say is nothing: an older one says less.

use serde::Deserialize;

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Its APIs.
    pub apis: Vec<Api>,
    /// The last hour.
    pub hour: Hour,
}

/// What was answered last, and what is wrong since then.
#[derive(Clone, Debug, Default)]
pub(super) struct Latest {
    pub(super) figures: Figures,
    pub(super) fault: Option<String>,
}

/// One API.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each is the member of that name in /v1/apis")]
pub struct Api {
    pub name: String,
    pub version: String,
    pub requests_per_second: f64,
    pub hit_ratio: Option<f64>,
    pub hit_ms: Quantiles,
    pub origin_ms: Quantiles,
    pub origin_ms_saved: u64,
    pub entries: u64,
    pub bytes: u64,
    pub health: Health,
}

/// Durations in milliseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Quantiles {
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

/// How many endpoints are how.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each is the member of that name in /v1/apis")]
pub struct Health {
    pub well: u64,
    pub resting: u64,
    pub down: u64,
    pub open: u64,
}

/// The last hour in steps, oldest first.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each is the member of that name in /v1/traffic")]
pub struct Hour {
    pub requests: Vec<f64>,
    pub hit_ratio: Vec<Option<f64>>,
    pub hit_ms_p50: Vec<Option<f64>>,
    pub hit_ms_p99: Vec<Option<f64>>,
    pub origin_ms_p50: Vec<Option<f64>>,
    pub origin_ms_p99: Vec<Option<f64>>,
    pub bytes: Vec<u64>,
    pub entries: Vec<u64>,
    pub evictions: Vec<f64>,
    pub invalidations: Vec<f64>,
}

impl Api {
    /// `name/version`.
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.name, self.version)
    }
}

impl Health {
    /// Endpoints that aren't asked as usual.
    pub(super) fn unwell(&self) -> u64 {
        self.resting + self.down + self.open
    }
}
