//! What is shown of an API.

use super::traffic::Health;
use crate::telemetry::Quantiles;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One API as `/v1/apis` shows it; the members of the JSON are the fields here.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ApiView {
    /// `name`.
    pub name: String,
    /// `version`.
    pub version: String,
    /// Its `[[api]]` in the file's terms, secrets left out.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// Answers stored.
    pub entries: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// Requests answered from the cache, fresh or stale.
    pub hits: u64,
    /// Requests the cache might have answered, and couldn't.
    pub misses: u64,
    /// `hits / (hits + misses)`; `null` before the first.
    pub hit_ratio: Option<f64>,
    /// Milliseconds that callers would have waited for the origin: the mean of its misses, times the hits.
    pub origin_ms_saved: u64,
    /// The entity tag of its `[[api]]`, as `If-Match` takes it: another one whenever a letter of it changes, also of what isn't shown.
    pub etag: String,
    /// Whether it is an `[[api]]` of a file that can be written.
    pub editable: bool,
    /// All requests that reached it, whatever became of them.
    pub requests: u64,
    /// Requests per second in the last five.
    pub requests_per_second: f64,
    /// How its endpoints are.
    pub health: Health,
    /// Milliseconds that answers from the cache took, in the last one or two minutes; each is `null` where there were none.
    pub hit_ms: Quantiles,
    /// Milliseconds that the origin took to the head of its answers, in the last one or two minutes; the same.
    pub origin_ms: Quantiles,
}
