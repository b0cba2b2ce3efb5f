//! What is told about requests: metrics, logs and traces.
//!
//! The gateway makes one [`Record`] per request, when its body has ended; [`Telemetry::record`] counts it and writes its
//! line. That is all a request pays: a few relaxed additions on memory that its thread mostly has to itself, and one
//! line copied into a buffer that somebody else writes out.

mod access;
mod counters;
mod exposition;
mod file;
mod history;
mod labels;
mod lines;
mod logging;
mod reading;
mod recent;
mod record;
mod redact;
mod settings;
mod timestamp;
pub mod traces;

pub use exposition::Gauges;
pub use history::{Follower, History, Hour, STEP, Sample, Stored};
pub use labels::By;
pub use lines::Lines;
pub use logging::{InitError, access_lines, init};
pub use reading::{ApiCounters, Quantiles};
pub use record::Record;
pub use redact::{hides, redacted};
pub use settings::{Format, Settings};
pub(crate) use timestamp::rfc3339;
pub use traces::Traces;

use crate::clock::Clock;
use access::Access;
use arc_swap::ArcSwap;
use counters::Counters;
use std::sync::Arc;

/// Counts and logs requests.
#[derive(Debug)]
pub struct Telemetry {
    counters: Counters,
    access: ArcSwap<Access>,
    lines: Lines,
    clock: Clock,
    traces: Option<Traces>,
}

impl Telemetry {
    /// For `apis` (`name/version` each), with access lines written to `lines`, which [`init`] gives.
    pub fn new(settings: &Settings, apis: impl IntoIterator<Item = Arc<str>>, lines: Lines, clock: Clock) -> Telemetry {
        let counters = Counters::default();
        counters.set_apis(apis);
        Telemetry { counters, access: ArcSwap::from_pointee(Access::new(settings)), lines, clock, traces: None }
    }

    /// The same, which tells of traces as well.
    #[must_use]
    pub fn with_traces(self, traces: Option<Traces>) -> Telemetry {
        Telemetry { traces, ..self }
    }

    /// Where traces are told.
    pub fn traces(&self) -> Option<&Traces> {
        self.traces.as_ref()
    }

    /// After a reload: counts for `apis` from now on. What was counted for those that stay is kept; the others are forgotten.
    pub fn set_apis(&self, apis: impl IntoIterator<Item = Arc<str>>) {
        self.counters.set_apis(apis);
    }

    /// After a reload: access lines are as `settings` says from now on.
    pub fn change(&self, settings: &Settings) {
        self.access.store(Arc::new(Access::new(settings)));
        if let Some(traces) = &self.traces {
            traces.change(&settings.redact_query);
        }
    }

    /// Opens anew what access lines are written to, if that is a file; whether it is.
    pub fn reopen(&self) -> bool {
        self.lines.reopen()
    }

    /// Takes one request that has ended.
    pub fn record(&self, record: Record) {
        self.counters.count(&record);
        let access = self.access.load();
        if access.wanted(record.status) {
            access.line(&record, self.clock.now(), |line| self.lines.write(line));
        }
        if record.trace.is_some() {
            traces::tell(&record);
        }
    }

    /// Counts an invalidation that no request on the data port made. `api` is `name/version`, `None` when it isn't one API's; `soft` is one that
    /// only marks stale.
    pub fn invalidated(&self, api: Option<&str>, by: By, soft: bool) {
        self.counters.invalidated(api, by, soft);
    }

    /// Takes a sample into `history` if a step has ended since its last one. `stored` is what the store has.
    pub fn sample(&self, history: &History, stored: impl FnOnce() -> Stored) {
        history.sample(self.clock.now(), &self.counters, stored);
    }

    /// What was counted for `api` (`name/version`) so far; zeros for one that isn't known.
    pub fn api(&self, api: &str) -> ApiCounters {
        self.counters.api(api)
    }

    /// All metrics in Prometheus' text format. `gauges` adds what is measured at this moment (entries, connections).
    pub fn render(&self, gauges: impl FnOnce(&mut Gauges)) -> String {
        let mut own = Gauges::default();
        own.put("freshgate_build_info", "Always 1; the label is the version.", &[("version", VERSION)], 1.0);
        if let Some(traces) = &self.traces {
            traces.measure(&mut own);
        }
        gauges(&mut own);
        exposition::render(&self.counters, self.lines.lost(), &own)
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
