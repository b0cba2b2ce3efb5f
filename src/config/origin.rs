//! `balance`, `[api.pool]`, `[api.health]` and `[api.breaker]` of an API, and `retry` of an API or a route.

use super::address::authority;
use super::bounds;
use super::shown::{fixed, trust};
use super::table::{Table, Value};
use super::tls::path;
use super::words::{self, word};
use crate::units::{show_duration, show_size};
use crate::upstream::{Breaker, Check, Health, Pooling, Retry, Settings, TlsClient, TlsFiles};
use http::Uri;
use serde_json::{Value as Json, json};

/// What an API says of its endpoints as a whole.
pub(super) fn origin(t: &Table<'_>) -> Settings {
    let mut settings = Settings::default();
    t.set("balance", &mut settings.balance, |v| v.word(words::BALANCE));
    if let Some(t) = t.table("pool") {
        settings.pool = pool(t);
    }
    if let Some(t) = t.table("health") {
        settings.health = health(t);
    }
    settings.breaker = t.table("breaker").map(breaker);
    settings
}

fn pool(t: Table<'_>) -> Pooling {
    let mut p = Pooling::default();
    t.set("idle", &mut p.idle, |v| v.count(bounds::POOL_IDLE));
    t.set("idle_timeout", &mut p.idle_timeout, |v| v.duration(&bounds::POOL_IDLE_TIMEOUT));
    t.set("lifetime", &mut p.lifetime, |v| v.or_none(|v| v.duration(&bounds::POOL_LIFETIME)));
    t.set("http2", &mut p.http2, Value::bool);
    t.set("streams", &mut p.streams, |v| v.count(bounds::POOL_STREAMS));
    if let Some(t) = t.table("tls") {
        p.tls = tls(t);
    }
    t.finish();
    p
}

/// Whom to trust at the other end, and what to show there.
pub(super) fn tls(t: Table<'_>) -> Option<TlsClient> {
    let (ca, name) = (t.get("ca", path), t.get("name", |v| v.parsed(authority)));
    let identity = match (t.get("cert", path), t.get("key", path)) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            t.at.fault("cert and key are needed both, or none of them");
            None
        }
    };
    let place = t.at.clone();
    t.finish();
    TlsClient::of_files(TlsFiles { ca, name, identity }).map_err(|reason| place.fault(reason)).ok()
}

fn health(t: Table<'_>) -> Health {
    let mut h = Health::default();
    t.set("failures", &mut h.failures, |v| number(v, bounds::HEALTH_FAILURES));
    t.set("rest", &mut h.rest, |v| v.duration(&bounds::HEALTH_REST));
    t.set("max_rest", &mut h.max_rest, |v| v.duration(&bounds::HEALTH_REST));
    t.set("max_resting", &mut h.max_resting, Value::share);
    t.set("slow_start", &mut h.slow_start, |v| v.duration(&bounds::SLOW_START));
    if h.max_rest < h.rest {
        t.place_of("max_rest").fault("is shorter than rest");
    }
    const OF_CHECKS: [&str; 6] = ["host", "interval", "timeout", "status", "fall", "rise"];
    match t.get("path", |v| v.parsed(target)) {
        Some(path) => h.check = Some(check(&t, path)),
        None if t.find("path").is_none() => {
            t.forbid(&OF_CHECKS, "says nothing without path, which is what is asked for")
        }
        None => drop(check(&t, String::new())),
    }
    t.finish();
    h
}

fn check(t: &Table<'_>, path: String) -> Check {
    let s = std::time::Duration::from_secs;
    let mut c = Check { path, host: None, interval: s(5), timeout: s(2), status: None, fall: 3, rise: 2 };
    c.host = t.get("host", |v| v.parsed(authority));
    t.set("interval", &mut c.interval, |v| v.duration(&bounds::CHECK_INTERVAL));
    t.set("timeout", &mut c.timeout, |v| v.duration(&bounds::CHECK_INTERVAL));
    c.status = t.get("status", |v| u16::try_from(v.count(bounds::STATUS)?).ok());
    t.set("fall", &mut c.fall, |v| number(v, bounds::CHECKS));
    t.set("rise", &mut c.rise, |v| number(v, bounds::CHECKS));
    c
}

fn breaker(t: Table<'_>) -> Breaker {
    let mut b = Breaker::default();
    t.set("requests", &mut b.requests, |v| v.or_none(|v| v.count(bounds::ORIGIN_REQUESTS)));
    t.set("queue", &mut b.queue, |v| v.count(bounds::BREAKER_QUEUE));
    t.set("queue_time", &mut b.queue_time, |v| v.duration(&bounds::QUEUE_TIME));
    t.set("failures", &mut b.failures, Value::share);
    t.set("calls", &mut b.calls, |v| number(v, bounds::BREAKER_CALLS));
    t.set("window", &mut b.window, |v| v.duration(&bounds::BREAKER_TIME));
    t.set("open", &mut b.open, |v| v.duration(&bounds::BREAKER_TIME));
    t.set("trials", &mut b.trials, |v| number(v, bounds::CHECKS));
    if b.failures == 0.0 && t.find("failures").is_some() {
        t.place_of("failures").fault("expected a share above 0: at 0 it would open without a failure");
    }
    if b.requests.is_none() && (t.find("queue").is_some() || t.find("queue_time").is_some()) {
        t.at.warn("queue and queue_time say nothing without requests: there is nothing to wait for");
    }
    t.finish();
    b
}

/// `retry`, key by key over what holds already.
pub(super) fn retry(t: &Table<'_>, retry: &mut Retry) {
    let Some(t) = t.table("retry") else { return };
    retry.times = t.get("times", |v| number(v, bounds::RETRIES)).or(retry.times);
    t.set("try_timeout", &mut retry.try_timeout, |v| v.or_none(|v| v.duration(&bounds::FIRST_BYTE)));
    t.set("backoff", &mut retry.backoff, |v| v.duration(&bounds::BACKOFF));
    t.set("max_backoff", &mut retry.max_backoff, |v| v.duration(&bounds::BACKOFF));
    t.set("budget", &mut retry.budget, Value::share);
    t.set("body", &mut retry.body, |v| usize::try_from(v.size(bounds::RETRY_BODY)?).ok());
    t.finish();
}

fn number(value: &Value<'_>, bounds: std::ops::RangeInclusive<usize>) -> Option<u32> {
    u32::try_from(value.count(bounds)?).ok()
}

/// Path and query.
fn target(text: &str) -> Result<String, &'static str> {
    let right = text.starts_with('/') && Uri::try_from(text).is_ok_and(|uri| uri.authority().is_none());
    right.then(|| text.into()).ok_or("expected a path such as \"/healthz\", with a query if need be")
}

/// [`origin`] as the file writes it, into the table of an API; `hidden` are names of query parameters that aren't shown.
pub(super) fn show_origin(table: &mut Json, o: &Settings, hidden: &[String]) {
    let (pool, health) = (&o.pool, &o.health);
    table["balance"] = json!(word(words::BALANCE, &o.balance));
    table["pool"] = json!({
        "idle": pool.idle,
        "idle_timeout": show_duration(pool.idle_timeout),
        "lifetime": pool.lifetime.map_or("none".into(), show_duration),
        "http2": pool.http2,
        "streams": pool.streams,
    });
    if let Some(tls) = &pool.tls {
        table["pool"]["tls"] = trust(tls);
    }
    table["health"] = json!({
        "failures": health.failures,
        "rest": show_duration(health.rest),
        "max_rest": show_duration(health.max_rest),
        "max_resting": health.max_resting,
        "slow_start": show_duration(health.slow_start),
    });
    if let Some(check) = &health.check {
        let shown = &mut table["health"];
        shown["path"] = json!(fixed(&check.path, hidden));
        shown["interval"] = json!(show_duration(check.interval));
        shown["timeout"] = json!(show_duration(check.timeout));
        shown["fall"] = json!(check.fall);
        shown["rise"] = json!(check.rise);
        check.host.iter().for_each(|host| shown["host"] = json!(host));
        check.status.iter().for_each(|status| shown["status"] = json!(status));
    }
    if let Some(breaker) = &o.breaker {
        table["breaker"] = json!({
            "requests": breaker.requests.map_or(json!("none"), |requests| json!(requests)),
            "queue": breaker.queue,
            "queue_time": show_duration(breaker.queue_time),
            "failures": breaker.failures,
            "calls": breaker.calls,
            "window": show_duration(breaker.window),
            "open": show_duration(breaker.open),
            "trials": breaker.trials,
        });
    }
}

/// [`retry`] as the file writes it.
pub(super) fn shown_retry(r: &Retry) -> Json {
    let mut table = json!({
        "try_timeout": r.try_timeout.map_or("none".into(), show_duration),
        "backoff": show_duration(r.backoff),
        "max_backoff": show_duration(r.max_backoff),
        "budget": r.budget,
        "body": show_size(r.body as u64),
    });
    r.times.iter().for_each(|times| table["times"] = json!(times));
    table
}
