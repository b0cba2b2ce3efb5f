//! What the admin port sees of the rest of the house.

mod inspection;
mod registry;
mod traffic;
mod view;

pub use inspection::Inspection;
pub use registry::{Change, Changed, Condition, Conflict, FieldFault, NotChanged, Place, Registry};
pub use traffic::{Health, Traffic};
pub use view::ApiView;

use crate::events::{Refused, Told};
use crate::purge::{BadSelector, Purged, Selector};
use http::HeaderMap;
use serde_json::Value;

/// The running gateway as the admin port sees it. None of these waits; only [`House::purge`] may take long, and only
/// for a dry run, which scans, [`House::events`] and [`House::reload`].
pub trait House: Registry + Inspection + Traffic + Send + Sync + 'static {
    /// Every API, in the order of the file.
    fn apis(&self) -> Vec<ApiView>;

    /// One API.
    fn api(&self, name: &str, version: &str) -> Option<ApiView>;

    /// Applies `selector`; complete when it returns. A dry run scans and may block; the admin port runs it on a thread
    /// where that is fine, one at a time.
    ///
    /// # Errors
    /// When the selector names nothing that this gateway has.
    fn purge(&self, selector: &Selector) -> Result<Purged, BadSelector>;

    /// Bytes that a request with events may have.
    fn event_body(&self) -> u64;

    /// Acts on the events of a request; all that they mean is invalidated when it returns, or nothing. With many events and rules it may
    /// take a while; the admin port runs it on a thread where that is fine.
    ///
    /// # Errors
    /// Why nothing was done.
    fn events(&self, fields: &HeaderMap, body: &[u8]) -> Result<Vec<Told>, Refused>;

    /// Whether requests may be sent here.
    ///
    /// # Errors
    /// Why not, one sentence each; shown to anybody who asks, so without inner addresses.
    fn ready(&self) -> Result<(), Vec<String>>;

    /// The configuration in force, in the file's terms, secrets left out.
    fn config(&self) -> Value;

    /// All metrics in Prometheus' text format.
    fn metrics(&self) -> String;

    /// What came of the last reload, if there was one: an object that is shown to anybody who asks, so without a word of what the file says.
    fn last_reload(&self) -> Option<Value>;

    /// Reads the configuration again and takes it over, all of it or nothing; what has changed. It reads files and may block; the admin port
    /// runs it on a thread where that is fine.
    ///
    /// # Errors
    /// Why nothing has changed.
    fn reload(&self) -> Result<Value, NotReloaded>;
}

/// Why a reload has changed nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum NotReloaded {
    /// This gateway can't reload, for this reason.
    Never(String),
    /// What it would have to take over has faults.
    Faults {
        /// How many.
        number: usize,
        /// The first of them, each an object with a `message` and its place.
        told: Vec<Value>,
    },
}
