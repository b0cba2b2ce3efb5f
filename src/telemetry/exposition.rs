//! Metrics as Prometheus reads them (text format 0.0.4). Labels are APIs and names from the program, never paths.
//!
//! With a thousand APIs this is some hundred thousand lines, so that a sample is put together without any memory of its own.

use super::counters::{Api, Counters};
use super::labels::{BOUNDS_TEXT, By, CLASSES};
use super::reading::{Durations, Reading, Reasons};
use crate::auth::Denied;
use crate::gateway::Kind;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// Bytes that the samples of one API take, about.
const EACH: usize = 12 << 10;

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
    /// A value that goes up and down. `name` ends with its unit, where it has one.
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
        value: impl Value,
    ) {
        let family = self.0.entry(name).or_insert(Family { help, kind, samples: String::new() });
        sample(&mut family.samples, name, labels, value);
    }
}

/// What stands behind a name. Writing to a `String` can't fail, so results of `write!` are dropped.
trait Value {
    fn write(self, out: &mut String);
}

impl Value for u64 {
    fn write(self, out: &mut String) {
        out.push_str(itoa::Buffer::new().format(self));
    }
}

impl Value for f64 {
    fn write(self, out: &mut String) {
        let _ = write!(out, "{self}");
    }
}

/// What was read of one API.
struct Row {
    api: Arc<str>,
    reading: Reading,
    reasons: Reasons,
}

impl Row {
    fn of((api, counters): (Arc<str>, Arc<Api>)) -> Row {
        Row { api, reading: counters.read(), reasons: counters.reasons() }
    }
}

/// Everything, as text.
pub(super) fn render(counters: &Counters, lines_lost: u64, gauges: &Gauges) -> String {
    let rows: Vec<Row> = counters.all().into_iter().map(Row::of).collect();
    let measured: usize = gauges.0.values().map(|family| family.samples.len()).sum();
    let mut out = String::with_capacity(measured + EACH * (rows.len() + 2));
    requests(&mut out, &rows);
    reasons(&mut out, &rows);
    durations(&mut out, &rows);
    per_api(&mut out, &rows);
    let (name, help) =
        ("freshgate_log_lines_lost_total", "Log lines lost: their reader was too slow or gone, or their disk full.");
    head(&mut out, name, help, "counter");
    sample(&mut out, name, &[], lines_lost);
    for (name, family) in &gauges.0 {
        head(&mut out, name, family.help, family.kind);
        out.push_str(&family.samples);
    }
    out
}

fn requests(out: &mut String, rows: &[Row]) {
    let name = "freshgate_requests_total";
    head(out, name, "Requests by what happened to them.", "counter");
    for Row { api, reading, .. } in rows {
        for (kind, count) in Kind::ALL.iter().zip(reading.kinds) {
            sample(out, name, &[("api", api), ("outcome", kind.name())], count);
        }
    }
    let name = "freshgate_responses_total";
    head(out, name, "Answers by class of status.", "counter");
    for Row { api, reading, .. } in rows {
        for (class, count) in CLASSES.iter().zip(reading.classes) {
            sample(out, name, &[("api", api), ("class", class)], count);
        }
    }
}

fn reasons(out: &mut String, rows: &[Row]) {
    let name = "freshgate_reasons_total";
    let help = "Why answers weren't stored or reused, requests passed by the cache, refused or failed.";
    head(out, name, help, "counter");
    for Row { api, reasons, .. } in rows {
        // Those of answers that were kept, and of others, are one here.
        let mut sums = BTreeMap::<_, u64>::new();
        reasons.iter().for_each(|((kind, _, reason), count)| *sums.entry((kind, reason)).or_default() += count);
        for ((kind, reason), count) in sums {
            sample(out, name, &[("api", api), ("outcome", kind.name()), ("reason", reason)], count);
        }
    }
    let name = "freshgate_not_stored_total";
    head(out, name, "Answers to misses and revalidations that weren't kept, by reason.", "counter");
    for Row { api, reasons, .. } in rows {
        let mut sums = BTreeMap::<_, u64>::new();
        for ((kind, stored, reason), count) in reasons {
            if !stored && matches!(kind, Kind::Miss | Kind::Revalidated) {
                *sums.entry(reason).or_default() += count;
            }
        }
        sums.into_iter().for_each(|(reason, count)| sample(out, name, &[("api", api), ("reason", reason)], count));
    }
    let name = "freshgate_auth_refused_total";
    head(
        out,
        name,
        "Requests refused since it wasn't known who was calling, or since they mayn't, by reason.",
        "counter",
    );
    for Row { api, reasons, .. } in rows {
        for ((kind, _, reason), count) in reasons {
            if *kind == Kind::Refused && Denied::ALL.iter().any(|denied| denied.name() == *reason) {
                sample(out, name, &[("api", api), ("reason", reason)], *count);
            }
        }
    }
}

fn durations(out: &mut String, rows: &[Row]) {
    let names = ["_bucket", "_sum", "_count"].map(|end| format!("freshgate_request_duration_seconds{end}"));
    let help = "From the end of a request's head to the end of its answer: answered from the cache; by asking the origin \
                (misses, joined, revalidated, failed); passed by the cache (writes too).";
    head(out, "freshgate_request_duration_seconds", help, "histogram");
    for Row { api, reading, .. } in rows {
        histogram(out, &names, &[("api", api), ("from", "cache")], &reading.from_cache);
        histogram(out, &names, &[("api", api), ("from", "origin")], &reading.from_origin);
        histogram(out, &names, &[("api", api), ("from", "passed")], &reading.passed);
    }
    let names = ["_bucket", "_sum", "_count"].map(|end| format!("freshgate_origin_duration_seconds{end}"));
    let help = "From asking the origin to the head of its answer.";
    head(out, "freshgate_origin_duration_seconds", help, "histogram");
    for Row { api, reading, .. } in rows {
        histogram(out, &names, &[("api", api)], &reading.origin);
    }
}

fn per_api(out: &mut String, rows: &[Row]) {
    let name = "freshgate_sent_bytes_total";
    head(out, name, "Bytes of bodies sent to clients.", "counter");
    for Row { api, reading, .. } in rows {
        sample(out, name, &[("api", api)], reading.bytes);
    }
    let name = "freshgate_invalidations_total";
    let help = "What invalidated (hard) or marked stale (soft): writes, purges, events, reloads; one for each, however many answers it covers.";
    head(out, name, help, "counter");
    for Row { api, reading, .. } in rows {
        for (by, soft) in By::ALL.into_iter().flat_map(|by| [(by, false), (by, true)]) {
            let severity = if soft { "soft" } else { "hard" };
            if (by, soft) != (By::Write, true) {
                let count = reading.invalidations.get(by.place(soft)).copied().unwrap_or(0);
                sample(out, name, &[("api", api), ("kind", by.name()), ("severity", severity)], count);
            }
        }
    }
    let name = "freshgate_origin_saved_seconds";
    head(out, name, "Mean time of the origin's answers to misses, times the hits.", "gauge");
    for Row { api, reading, .. } in rows {
        sample(out, name, &[("api", api)], reading.origin_ms_saved() as f64 / 1e3);
    }
}

/// `names` are those of buckets, sum and count.
fn histogram(out: &mut String, [bucket, sum, count]: &[String; 3], labels: &[(&str, &str)], durations: &Durations) {
    let mut labelled = labels.to_vec();
    let mut below = 0;
    for (bound, count) in BOUNDS_TEXT.into_iter().chain(["+Inf"]).zip(durations.buckets) {
        below += count;
        labelled.push(("le", bound));
        sample(out, bucket, &labelled, below);
        labelled.truncate(labels.len());
    }
    sample(out, sum, labels, durations.micros as f64 / 1e6);
    sample(out, count, labels, below);
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl Value) {
    out.push_str(name);
    for (place, (label, text)) in labels.iter().enumerate() {
        out.push(if place == 0 { '{' } else { ',' });
        out.push_str(label);
        out.push_str("=\"");
        escape(text, out);
        out.push('"');
    }
    out.push_str(if labels.is_empty() { " " } else { "} " });
    value.write(out);
    out.push('\n');
}

fn escape(text: &str, out: &mut String) {
    if !text.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        return out.push_str(text);
    }
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}
