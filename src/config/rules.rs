//! The keys that `[[api]]` and `[[api.route]]` have in common: [`Rules`] as written over [`Rules`] that hold already.
//!
//! A route is read over its API's rules, so an override is merged when the file is loaded and a request never looks at
//! two places. A table of its own (`key`, `timeouts`) is merged key by key; a value (`ttl_by_status` and lists too) is
//! replaced as a whole.

use super::address::{authority, path};
use super::auth::auth;
use super::bounds;
use super::compress::compress;
use super::key::key;
use super::origin::retry;
use super::table::{Table, Value};
use super::words;
use crate::auth::Settings as Auth;
use crate::limit::{Limiter, Quota};
use crate::policy::{Cors, HostHeader, Rules, Share, Ttl};
use crate::rfc9110::fields::is_token;
use crate::upstream::Timeouts;
use std::collections::BTreeMap;

/// `base` with what `t` says.
pub(super) fn rules(t: &Table<'_>, base: &Rules) -> Rules {
    let mut r = base.clone();
    t.set("cache", &mut r.cache, Value::bool);
    t.set("safe", &mut r.safe, Value::bool);
    t.set("strip_prefix", &mut r.strip_prefix, Value::bool);
    t.set("host_header", &mut r.host_header, |v| v.parsed(host_header));
    t.set("upgrade", &mut r.upgrade, |v| v.list(bounds::NAMES, |v| v.parsed(protocol)));
    t.set("login", &mut r.login, |v| v.list(bounds::NAMES, |v| v.parsed(login)));
    t.set("ttl", &mut r.ttl, |v| v.or_none(ttl));
    t.set("ttl_by_status", &mut r.ttl_by_status, ttl_by_status);
    t.set("freshness", &mut r.freshness, |v| v.word(words::FRESHNESS));
    t.set("heuristic", &mut r.heuristic, Value::bool);
    t.set("error_answers", &mut r.error_answers, |v| v.word(words::ERROR_ANSWERS));
    t.set("grace", &mut r.grace, |v| v.duration(&bounds::GRACE));
    t.set("keep_on_error", &mut r.keep_on_error, |v| v.duration(&bounds::GRACE));
    t.set("stale_after", &mut r.stale_after, |v| v.or_none(|v| v.duration(&bounds::STALE_AFTER)));
    t.set("refresh_ahead", &mut r.refresh_ahead, |v| v.or_none(|v| v.share_within(&bounds::REFRESH_AHEAD)));
    t.set("ttl_jitter", &mut r.ttl_jitter, |v| v.share_within(&bounds::TTL_JITTER));
    t.set("set_cookie", &mut r.set_cookie, |v| v.word(words::SET_COOKIE));
    t.set("content_types", &mut r.content_types, |v| v.list(bounds::NAMES, |v| v.parsed(media_type)));
    t.set("client_directives", &mut r.client_directives, |v| v.word(words::CLIENT_DIRECTIVES));
    t.set("client_cache", &mut r.client_cache, |v| v.word(words::CLIENT_CACHE));
    t.set("etag", &mut r.generate_etag, |v| v.word(words::ETAG));
    t.set("compress", &mut r.compress, compress);
    t.set("unique_etags", &mut r.unique_etags, Value::bool);
    t.set("invalidate", &mut r.invalidate, |v| v.word(words::INVALIDATE));
    t.set("write_settle", &mut r.write_settle, |v| v.duration(&bounds::WRITE_SETTLE));
    timeouts(t, &mut r.timeouts);
    retry(t, &mut r.retry);
    key(t, &mut r.key);
    auth(t, &mut r.auth);
    rate(t, &mut r.rate);
    cors(t, &mut r.cors);
    if t.find("stale_after").is_some() && r.stale_after.is_some() && r.keep_on_error.is_zero() {
        let message = "nothing stale may be given without keep_on_error, unless the origin says stale-if-error";
        t.place_of("stale_after").warn(message);
    }
    if matches!(
        (&r.key.share, &r.auth),
        (Share::Claim(_), Auth::None | Auth::ApiKey(_) | Auth::Forward(_) | Auth::TrustedHeader(_))
    ) {
        t.place_of("key").fault("share = \"claim:…\" needs tokens: [api.auth] with kind = \"jwt\"");
    }
    r
}

pub(super) fn timeouts(t: &Table<'_>, timeouts: &mut Timeouts) {
    let Some(t) = t.table("timeouts") else { return };
    t.set("connect", &mut timeouts.connect, |v| v.duration(&bounds::CONNECT));
    t.set("first_byte", &mut timeouts.first_byte, |v| v.duration(&bounds::FIRST_BYTE));
    t.set("between_bytes", &mut timeouts.between_bytes, |v| v.duration(&bounds::BETWEEN_BYTES));
    t.set("total", &mut timeouts.total, |v| v.or_none(|v| v.duration(&bounds::TOTAL)));
    t.finish();
}

/// `[api.rate]`; a route's own takes the place of its API's as a whole.
fn rate(t: &Table<'_>, rate: &mut Option<Limiter>) {
    let Some(t) = t.table("rate") else { return };
    let (per_caller, total) = (t.get("per_caller", quota), t.get("total", quota));
    if t.find("per_caller").is_none() && t.find("total").is_none() {
        t.at.fault("limits nothing, expected per_caller or total");
    }
    t.finish();
    *rate = Some(Limiter::new(per_caller, total));
}

/// `[api.cors]`; a route's own takes the place of its API's as a whole.
fn cors(t: &Table<'_>, cors: &mut Option<Cors>) {
    let Some(t) = t.table("cors") else { return };
    let origins = t.need("origins", "\"*\" or a list such as [\"https://shop.example\"]", |v| {
        if v.value.as_str() == Some("*") { Some(Vec::new()) } else { v.list(bounds::NAMES, |v| v.parsed(page)) }
    });
    let credentials = t.get("credentials", Value::bool).unwrap_or(false);
    if t.find("origins").is_some_and(|v| v.value.as_array().is_some_and(|list| list.is_empty())) {
        t.place_of("origins").fault("expected at least one origin");
    }
    t.finish();
    *cors = origins.map(|origins| Cors { origins, credentials });
}

/// The origin of a page, as browsers write it.
fn page(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str =
        "expected an origin as browsers write it, such as \"https://shop.example\" or \"http://localhost:3000\"";
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or(EXPECTED)?;
    authority(rest).map(|_| text.into()).map_err(|_| EXPECTED)
}

fn quota(value: &Value<'_>) -> Option<Quota> {
    let t = value.table()?;
    let requests = t.need("requests", "how many", |v| v.count(bounds::RATE)).and_then(|n| u32::try_from(n).ok());
    let per = t.need("per", "a duration such as \"1m\"", |v| v.duration(&bounds::RATE_PER));
    t.finish();
    Some(Quota { requests: requests?, per: per? })
}

fn host_header(text: &str) -> Result<HostHeader, String> {
    match text {
        "upstream" => Ok(HostHeader::Upstream),
        "client" => Ok(HostHeader::Client),
        name => authority(name)
            .map(HostHeader::Name)
            .map_err(|_| "expected \"upstream\", \"client\" or a host name in lower case, with or without port".into()),
    }
}

/// A protocol of an Upgrade field. HTTP itself is none of them: requests inside such a tunnel would be seen by nobody.
fn protocol(text: &str) -> Result<String, &'static str> {
    let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_./".contains(&b);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(token) {
        return Err("expected a protocol in lower case such as \"websocket\"");
    }
    if ["h2c", "h2", "http", "tls"].contains(&text.split('/').next().unwrap_or_default()) {
        return Err("HTTP and TLS aren't tunnelled: requests inside would pass by every check");
    }
    Ok(text.into())
}

/// `application/json`, or `application/*`.
fn media_type(text: &str) -> Result<String, &'static str> {
    let is_word = |word: &str| is_token(word.as_bytes()) && !word.contains('*');
    match text.to_ascii_lowercase().split_once('/') {
        Some((kind, sub)) if is_word(kind) && (sub == "*" || is_word(sub)) => Ok(format!("{kind}/{sub}")),
        Some(_) | None => {
            Err("expected a media type without parameters such as \"application/json\" or \"application/*\"")
        }
    }
}

fn login(text: &str) -> Result<String, String> {
    path(text).map(|path| if path.is_empty() { "/".into() } else { path })
}

/// Reads a cache interval; zero, in whatever unit, means for ever.
pub(super) fn ttl(value: &Value<'_>) -> Option<Ttl> {
    let zero = value.any_duration().is_some_and(|d| d.is_zero());
    if zero || value.value.as_str() == Some("forever") {
        value.at.remark("answers whose origin states no lifetime are kept until they are purged or evicted");
        return Some(Ttl::Forever);
    }
    match value.any_duration() {
        Some(_) => value.duration(&bounds::TTL).map(Ttl::For),
        None => value.wrong("a duration such as \"10m\", \"forever\" (or \"0\", which means the same) or \"none\""),
    }
}

fn ttl_by_status(value: &Value<'_>) -> Option<BTreeMap<u16, Ttl>> {
    let mut by_status = BTreeMap::new();
    for (name, place, value) in value.table()?.entries() {
        let status = status(name).map_err(|expected| place.fault(expected)).ok();
        if let (Some(status), Some(ttl)) = (status, ttl(&value)) {
            by_status.insert(status, ttl);
        }
    }
    Some(by_status)
}

fn status(name: &str) -> Result<u16, &'static str> {
    let digits = name.len() == 3 && name.bytes().all(|b| b.is_ascii_digit());
    match name.parse::<u16>() {
        Ok(206 | 304) if digits => Err("206 and 304 are parts of another answer; they have no ttl of their own"),
        Ok(401 | 403) if digits => Err("401 and 403 are about one caller's rights and never get a ttl"),
        Ok(500..=599) if digits => Err("an origin's failure never gets a ttl; see keep_on_error"),
        Ok(status @ 200..=499) if digits => Ok(status),
        Ok(_) | Err(_) => Err("expected a status from 200 to 499"),
    }
}
