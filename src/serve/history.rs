//! What came of reloads so far, for those who look from outside.

use super::report::{Refused, Report};
use crate::telemetry::{Gauges, rfc3339};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Counts, and the last one.
#[derive(Debug, Default)]
pub(super) struct History {
    applied: AtomicU64,
    unchanged: AtomicU64,
    refused: AtomicU64,
    last: Mutex<Option<Last>>,
}

#[derive(Clone, Debug)]
struct Last {
    result: &'static str,
    /// Milliseconds since 1970.
    at: u64,
    faults: usize,
    next_start: Vec<&'static str>,
}

impl History {
    /// Which configuration since the start is in force, from 1.
    pub(super) fn generation(&self) -> u64 {
        1 + self.applied.load(Relaxed)
    }

    /// The next one is.
    pub(super) fn next_generation(&self) -> u64 {
        2 + self.applied.fetch_add(1, Relaxed)
    }

    /// What has just come of one. `at` is in milliseconds since 1970.
    pub(super) fn note(&self, outcome: &Result<Report, Refused>, at: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(match outcome {
            Ok(report) => {
                if !report.applied {
                    self.unchanged.fetch_add(1, Relaxed);
                }
                Last { result: report.result(), at, faults: 0, next_start: report.next_start.clone() }
            }
            Err(refused) => {
                self.refused.fetch_add(1, Relaxed);
                // What the file in force has for the next start it still has.
                let next_start = last.take().map(|last| last.next_start).unwrap_or_default();
                Last { result: "refused", at, faults: refused.count(), next_start }
            }
        });
    }

    /// For anybody who asks whether the gateway is ready, so without a word of what the file says.
    pub(super) fn told(&self) -> Option<Value> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let mut told = json!({ "result": last.result, "at": rfc3339(last.at).to_string() });
        if last.faults > 0 {
            told["faults"] = json!(last.faults);
        }
        if !last.next_start.is_empty() {
            told["next_start"] = json!(last.next_start);
        }
        Some(told)
    }

    pub(super) fn measure(&self, gauges: &mut Gauges) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (result, count) in [("applied", &self.applied), ("unchanged", &self.unchanged), ("refused", &self.refused)]
        {
            let help = "Reloads of the configuration, by what came of them.";
            gauges.count("freshgate_config_reloads_total", help, &[("result", result)], count.load(Relaxed));
        }
        let well = last.as_ref().is_none_or(|last| last.result != "refused");
        let help = "0 when the last reload was refused, 1 when it wasn't or there was none.";
        gauges.put("freshgate_config_last_reload_successful", help, &[], f64::from(u8::from(well)));
        let help = "Which configuration since the start is in force, from 1.";
        gauges.put("freshgate_config_generation", help, &[], self.generation() as f64);
        if let Some(last) = last {
            let help = "When the last reload was, in seconds since 1970.";
            gauges.put("freshgate_config_last_reload_seconds", help, &[], (last.at / 1000) as f64);
        }
    }
}
