//! Metrics as Prometheus reads them (text format 0.0.4). Labels are APIs and names from the program, never paths.

use super::counters::{BOUNDS, CLASSES, Counters, Durations, Reading};
use crate::gateway::Kind;
use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::Arc;

/// What is measured at the moment of asking. Each name has one help and one type; its samples come together.
#[derive(Debug, Default)]
pub struct Gauges(BTreeMap<&'static str, Family>);

#[derive(Debug)]
struct Family {
    help: &'static str,
    kind: &'static str,
    samples: String,
}

impl Gauges {
    /// A value that goes up and down. `name` begins with `freshgate_` and ends with its unit, where it has one.
    pub fn put(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: f64) {
        self.sample(name, help, "gauge", labels, value);
    }

    /// A count that only grows; `name` ends with `_total`.
    pub fn count(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: u64) {
        self.sample(name, help, "counter", labels, value);
    }

    fn sample(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) {
        let family = self.0.entry(name).or_insert(Family { help, kind, samples: String::new() });
        sample(&mut family.samples, name, labels, value);
    }
}

type Readings = [(Arc<str>, Reading)];

/// Everything, as text. Writing to a `String` can't fail, so results of `write!` are dropped.
pub(super) fn render(counters: &Counters, lines_lost: u64, gauges: &Gauges) -> String {
    let readings = counters.read();
    let mut out = String::with_capacity(8 << 10);
    requests(&mut out, &readings);
    durations(&mut out, &readings);
    per_api(&mut out, &readings);
    head(
        &mut out,
        "freshgate_log_lines_lost_total",
        "Log lines lost: their reader was too slow or gone, or their disk full.",
        "counter",
    );
    sample(&mut out, "freshgate_log_lines_lost_total", &[], lines_lost);
    for (name, family) in &gauges.0 {
        head(&mut out, name, family.help, family.kind);
        out.push_str(&family.samples);
    }
    out
}

fn requests(out: &mut String, readings: &Readings) {
    let name = "freshgate_requests_total";
    head(out, name, "Requests by what happened to them.", "counter");
    for (api, reading) in readings {
        for (kind, count) in Kind::ALL.iter().zip(reading.kinds) {
            sample(out, name, &[("api", api), ("outcome", kind.name())], count);
        }
    }
    let name = "freshgate_responses_total";
    head(out, name, "Answers by class of status.", "counter");
    for (api, reading) in readings {
        for (class, count) in CLASSES.iter().zip(reading.classes) {
            sample(out, name, &[("api", api), ("class", class)], count);
        }
    }
    let name = "freshgate_reasons_total";
    head(
        out,
        name,
        "Why answers weren't stored or reused, requests passed by the cache, refused or failed.",
        "counter",
    );
    for (api, reading) in readings {
        for ((outcome, reason), count) in &reading.reasons {
            sample(out, name, &[("api", api), ("outcome", outcome), ("reason", reason)], count);
        }
    }
}

fn durations(out: &mut String, readings: &Readings) {
    let name = "freshgate_request_duration_seconds";
    let help = "From the end of a request's head to the end of its answer; by whether the origin had a part in it.";
    head(out, name, help, "histogram");
    for (api, reading) in readings {
        histogram(out, name, &[("api", api), ("from", "cache")], &reading.from_cache);
        histogram(out, name, &[("api", api), ("from", "origin")], &reading.from_origin);
    }
    let name = "freshgate_origin_duration_seconds";
    head(out, name, "From asking the origin to the head of its answer.", "histogram");
    for (api, reading) in readings {
        histogram(out, name, &[("api", api)], &reading.origin);
    }
}

fn per_api(out: &mut String, readings: &Readings) {
    let name = "freshgate_sent_bytes_total";
    head(out, name, "Bytes of bodies sent to clients.", "counter");
    for (api, reading) in readings {
        sample(out, name, &[("api", api)], reading.bytes);
    }
    let name = "freshgate_invalidations_total";
    head(out, name, "Writes and purges that invalidated.", "counter");
    for (api, reading) in readings {
        sample(out, name, &[("api", api)], reading.invalidations);
    }
    let name = "freshgate_origin_saved_seconds";
    head(out, name, "Mean time of the origin's answers to misses, times the hits.", "gauge");
    for (api, reading) in readings {
        sample(out, name, &[("api", api)], reading.summary().origin_ms_saved as f64 / 1e3);
    }
}

fn histogram(out: &mut String, name: &str, labels: &[(&str, &str)], durations: &Durations) {
    let (bucket, mut labelled) = (format!("{name}_bucket"), labels.to_vec());
    let mut below = 0;
    let bounds: Vec<String> = BOUNDS.iter().map(|micros| (*micros as f64 / 1e6).to_string()).collect();
    for (bound, count) in bounds.iter().map(String::as_str).chain(["+Inf"]).zip(durations.buckets) {
        below += count;
        labelled.push(("le", bound));
        sample(out, &bucket, &labelled, below);
        labelled.truncate(labels.len());
    }
    sample(out, &format!("{name}_sum"), labels, durations.micros as f64 / 1e6);
    sample(out, &format!("{name}_count"), labels, below);
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl Display) {
    out.push_str(name);
    for (place, (label, text)) in labels.iter().enumerate() {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{}{label}=\"{text}\"", if place == 0 { '{' } else { ',' });
    }
    let _ = writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" });
}
