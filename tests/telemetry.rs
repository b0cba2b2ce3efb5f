//! What is counted and what is written, through the public door.

#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

use freshgate::clock::Clock;
use freshgate::gateway::{Kind, Outcome};
use freshgate::telemetry::{By, Lines, Record, Settings, Telemetry};
use http::{Method, StatusCode, Version};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn telemetry(settings: &Settings) -> (Telemetry, Lines, Page) {
    let page = Page::default();
    let lines = Lines::to(page.clone()).unwrap();
    let apis: [Arc<str>; 2] = ["books/v1".into(), "odd\"\\/v1".into()];
    (Telemetry::new(settings, apis, lines.clone(), Clock::system()), lines, page)
}

fn quiet() -> Telemetry {
    telemetry(&Settings { access: false, ..Settings::default() }).0
}

fn record(api: Option<&str>, kind: Kind) -> Record {
    Record {
        outcome: Outcome { api: api.map(Into::into), kind, ..Outcome::default() },
        method: Method::GET,
        host: None,
        target: Some("/books/secret-path".parse().unwrap()),
        version: Version::HTTP_11,
        status: StatusCode::OK,
        peer: ([192, 0, 2, 1], 4321).into(),
        bytes_out: 100,
        took: Duration::from_micros(400),
        user_agent: None,
        referer: None,
        trace: None,
    }
}

fn miss(ms: u64) -> Record {
    let mut record = record(Some("books/v1"), Kind::Miss);
    record.outcome.origin_ms = Some(ms);
    record.took = Duration::from_millis(ms);
    record
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "no `{line}` in\n{text}");
}

#[test]
fn every_kind_is_counted_under_its_own_name() {
    let telemetry = quiet();
    for (times, kind) in Kind::ALL.into_iter().enumerate() {
        for _ in 0..=times {
            telemetry.record(record(Some("books/v1"), kind));
        }
    }
    let text = telemetry.render(|_| {});
    for (times, kind) in Kind::ALL.into_iter().enumerate() {
        let (name, times) = (kind.name(), times + 1);
        has(&text, &format!(r#"freshgate_requests_total{{api="books/v1",outcome="{name}"}} {times}"#));
    }
    has(&text, r#"freshgate_responses_total{api="books/v1",class="2xx"} 55"#);
    has(&text, r#"freshgate_sent_bytes_total{api="books/v1"} 5500"#);
    assert!(!text.contains("secret-path"));
}

#[test]
fn histograms_are_cumulative_and_split_by_who_answered() {
    let telemetry = quiet();
    telemetry.record(record(Some("books/v1"), Kind::Hit));
    telemetry.record(record(Some("books/v1"), Kind::Stale));
    telemetry.record(miss(20));
    telemetry.record(miss(60_000));
    telemetry.record(record(Some("books/v1"), Kind::Write));
    let text = telemetry.render(|_| {});
    let bucket = |from, le, count| {
        let name = "freshgate_request_duration_seconds_bucket";
        has(&text, &format!(r#"{name}{{api="books/v1",from="{from}",le="{le}"}} {count}"#));
    };
    bucket("cache", "0.00025", 0);
    bucket("cache", "0.0005", 2);
    bucket("cache", "+Inf", 2);
    bucket("origin", "0.01", 0);
    bucket("origin", "0.025", 1);
    bucket("origin", "30", 1);
    bucket("origin", "+Inf", 2);
    bucket("passed", "0.00025", 0);
    bucket("passed", "+Inf", 1);
    has(&text, r#"freshgate_request_duration_seconds_sum{api="books/v1",from="cache"} 0.0008"#);
    has(&text, r#"freshgate_origin_duration_seconds_count{api="books/v1"} 2"#);
    has(&text, r#"freshgate_origin_duration_seconds_sum{api="books/v1"} 60.02"#);
}

#[test]
fn what_the_cache_saved_is_the_mean_of_the_misses_times_the_hits() {
    let telemetry = quiet();
    assert_eq!(telemetry.api("books/v1").hit_ratio, None);
    telemetry.record(miss(10));
    telemetry.record(miss(30));
    let mut write = miss(10_000);
    write.outcome.kind = Kind::Write;
    telemetry.record(write);
    for _ in 0..6 {
        telemetry.record(record(Some("books/v1"), Kind::Hit));
    }
    let api = telemetry.api("books/v1");
    assert_eq!((api.requests, api.hits, api.misses, api.hit_ratio), (9, 6, 2, Some(0.75)));
    assert_eq!((api.origin_ms_mean, api.origin_ms_saved), (20.0, 120));
    has(&telemetry.render(|_| {}), r#"freshgate_origin_saved_seconds{api="books/v1"} 0.12"#);
    assert_eq!(telemetry.api("nobody/v1"), Default::default());
}

#[test]
fn reasons_and_invalidations_are_counted_and_what_has_no_api_is_none() {
    let telemetry = quiet();
    for reason in ["no-store", "no-store", "private"] {
        let mut miss = miss(1);
        miss.outcome.reason = Some(reason);
        telemetry.record(miss);
    }
    let mut kept = miss(1);
    (kept.outcome.reason, kept.outcome.stored) = (Some("no-store"), true);
    telemetry.record(kept);
    let mut denied = record(Some("books/v1"), Kind::Refused);
    denied.outcome.reason = Some("token-expired");
    telemetry.record(denied);
    let mut refused = record(None, Kind::Refused);
    refused.outcome.reason = Some("no-api");
    refused.status = StatusCode::NOT_FOUND;
    telemetry.record(refused);
    let mut write = record(Some("books/v1"), Kind::Write);
    write.outcome.invalidated = true;
    telemetry.record(write);
    let mut purge = record(Some("books/v1"), Kind::Write);
    (purge.outcome.invalidated, purge.outcome.reason) = (true, Some("purge"));
    telemetry.record(purge);
    telemetry.invalidated(Some("books/v1"), By::Purge, false);
    telemetry.invalidated(Some("books/v1"), By::Purge, true);
    telemetry.invalidated(Some("books/v1"), By::Reload, true);
    telemetry.invalidated(None, By::Event, false);
    let text = telemetry.render(|_| {});
    has(&text, r#"freshgate_reasons_total{api="books/v1",outcome="miss",reason="no-store"} 3"#);
    has(&text, r#"freshgate_reasons_total{api="books/v1",outcome="miss",reason="private"} 1"#);
    has(&text, r#"freshgate_reasons_total{api="none",outcome="refused",reason="no-api"} 1"#);
    has(&text, r#"freshgate_not_stored_total{api="books/v1",reason="no-store"} 2"#);
    has(&text, r#"freshgate_not_stored_total{api="books/v1",reason="private"} 1"#);
    has(&text, r#"freshgate_auth_refused_total{api="books/v1",reason="token-expired"} 1"#);
    assert!(!text.contains(r#"freshgate_auth_refused_total{api="none""#), "no API is no refusal of a caller");
    has(&text, r#"freshgate_responses_total{api="none",class="4xx"} 1"#);
    for (api, kind, severity, count) in [
        ("books/v1", "write", "hard", 1),
        ("books/v1", "purge", "hard", 2),
        ("books/v1", "purge", "soft", 1),
        ("books/v1", "event", "hard", 0),
        ("books/v1", "reload", "soft", 1),
        ("none", "event", "hard", 1),
    ] {
        let labels = format!(r#"api="{api}",kind="{kind}",severity="{severity}""#);
        has(&text, &format!("freshgate_invalidations_total{{{labels}}} {count}"));
    }
}

#[test]
fn the_text_is_what_prometheus_reads() {
    let telemetry = quiet();
    telemetry.record(miss(1));
    let text = telemetry.render(|gauges| {
        gauges.put("freshgate_entries", "Stored\nanswers.", &[("api", "books/v1")], 12.0);
        gauges.put("freshgate_connections", "Open.", &[], 3.0);
        gauges.put("freshgate_entries", "Stored\nanswers.", &[("api", "b")], 0.5);
        gauges.count("freshgate_evictions_total", "Gone.", &[], 4);
    });
    has(&text, r"# HELP freshgate_entries Stored\nanswers.");
    has(&text, r#"freshgate_entries{api="books/v1"} 12"#);
    has(&text, r#"freshgate_entries{api="b"} 0.5"#);
    has(&text, "freshgate_connections 3");
    has(&text, "# TYPE freshgate_evictions_total counter");
    has(&text, r#"freshgate_requests_total{api="odd\"\\/v1",outcome="hit"} 0"#);
    assert!(text.ends_with('\n'));
    let mut family = "";
    let mut seen = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# HELP ") {
            family = head.split(' ').next().unwrap();
            assert!(seen.insert(family), "{family} comes twice");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(base == family || name == family, "{line} under {family}");
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        }
    }
}

#[test]
fn threads_lose_no_count() {
    let telemetry = quiet();
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| (0..1_000).for_each(|_| telemetry.record(record(Some("books/v1"), Kind::Hit))));
        }
    });
    assert_eq!(telemetry.api("books/v1").hits, 12_000);
}

#[test]
fn a_reload_keeps_what_stays_and_forgets_what_goes() {
    let telemetry = quiet();
    telemetry.record(miss(1));
    telemetry.set_apis(["books/v1".into(), "new/v1".into()]);
    telemetry.record(record(Some("new/v1"), Kind::Hit));
    telemetry.record(record(Some("odd\"\\/v1"), Kind::Hit));
    assert_eq!((telemetry.api("books/v1").misses, telemetry.api("new/v1").hits), (1, 1));
    has(&telemetry.render(|_| {}), r#"freshgate_requests_total{api="none",outcome="hit"} 1"#);
}

#[test]
fn each_request_leaves_one_line_and_lost_ones_are_counted() {
    let (telemetry, lines, page) = telemetry(&Settings::default());
    telemetry.record(miss(1));
    telemetry.record(record(None, Kind::Refused));
    lines.flush();
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    let outcomes: Vec<_> = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()).collect();
    assert_eq!(outcomes.len(), 2);
    assert_eq!((&outcomes[0]["outcome"], &outcomes[1]["outcome"]), (&"miss".into(), &"refused".into()));
    has(&telemetry.render(|_| {}), "freshgate_log_lines_lost_total 0");
    lines.write(&vec![b'x'; 2 << 20]);
    has(&telemetry.render(|_| {}), "freshgate_log_lines_lost_total 1");
}
