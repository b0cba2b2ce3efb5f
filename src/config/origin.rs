//! `balance`, `[api.pool]`, `[api.health]` and `[api.breaker]` of an API, and `retry` of an API or a route.

use super::address::authority;
use super::bounds;
use super::table::{Table, Value};
use super::tls::path;
use super::words;
use crate::upstream::{Breaker, Check, Health, Pooling, Retry, Settings, TlsClient, TlsFiles};
use http::Uri;

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
