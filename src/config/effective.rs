//! What is in force, with the file's own key names: what `GET /v1/config` shows.
//!
//! Every key is written, also those that the file leaves out, except those for which there is no value (`host` of an
//! API without one). Secrets are replaced by a word. What comes out is a configuration again: a test turns it back into
//! TOML, loads that and compares, so that no setting can be forgotten here.

use super::Config;
use super::origin::{show_origin, shown_retry};
use super::shown::{REDACTED, fixed};
use super::tls::CLIENT_AUTH;
use super::words::{self, word};
use super::{auth, events};
use crate::encode;
use crate::limit::{Limiter, Quota};
use crate::policy::{Api, FieldPattern, HostHeader, KeyRules, Names, PurgeRule, QueryKey, Route, Rules, Share, Ttl};
use crate::units::{show_duration, show_size};
use crate::upstream::{self, Endpoint};
use crate::{admin, listener, objects, store, telemetry, tls};
use serde_json::{Map, Value, json};

/// The configuration in force, with the file's key names, secrets redacted.
pub fn effective(config: &Config) -> Value {
    let mut file = Map::new();
    file.insert("server".into(), server(&config.server));
    file.insert("cache".into(), cache(&config.cache));
    if let Some(admin) = admin_port(&config.admin) {
        file.insert("admin".into(), admin);
    }
    let hidden = &config.log.redact_query;
    if let Some(objects) = &config.objects {
        file.insert("objects".into(), object_cache(objects, hidden));
    }
    file.insert("log".into(), log(&config.log));
    if let Some(settings) = &config.telemetry {
        file.insert("telemetry".into(), traces(settings));
    }
    file.insert("events".into(), events::shown(&config.events));
    file.insert("api".into(), config.apis.iter().map(|shown| api(shown, hidden)).collect());
    Value::Object(file)
}

fn server(s: &listener::Settings) -> Value {
    let l = &s.limits;
    let mut section = json!({
        "listen": s.listen,
        "http2": s.http2,
        "resolver": s.resolver,
        "trusted_proxies": s.trusted_proxies.iter().map(|n| format!("{}/{}", n.address, n.bits)).collect::<Vec<_>>(),
        "purge_method": s.purge_method,
        "limits": {
            "connections": l.connections,
            "connections_per_address": l.connections_per_address,
            "header_bytes": show_size(l.header_bytes as u64),
            "header_count": l.header_count,
            "header_timeout": show_duration(l.header_timeout),
            "idle_timeout": show_duration(l.idle_timeout),
            "request_body": l.request_body.map_or("none".into(), show_size),
            "query_body": show_size(l.query_body),
            "body_min_rate": show_size(l.body_min_rate),
            "write_stall": show_duration(l.write_stall),
            "h2_streams": l.h2_streams,
            "origin_requests": l.origin_requests,
            "waiting_requests": l.waiting_requests,
            "variants_per_path": l.variants_per_path,
            "keys_per_caller": l.keys_per_caller,
            "fills": l.fills,
            "background_refreshes": l.background_refreshes,
            "compressions": l.compressions,
        },
        "drain": { "delay": show_duration(s.drain_delay), "deadline": show_duration(s.drain_deadline) },
    });
    if let Some(s) = &s.tls {
        section["tls"] = tls(s);
    }
    if let Some(handover) = &s.handover {
        section["handover"] = json!(handover);
    }
    section
}

fn tls(s: &tls::Settings) -> Value {
    let mut section = json!({ "cert": s.cert, "key": s.key });
    if let Some(client_ca) = &s.client_ca {
        section["client_ca"] = json!(client_ca);
        section["client_auth"] = json!(word(CLIENT_AUTH, &s.client_auth));
    }
    section
}

fn cache(s: &store::Settings) -> Value {
    let mut section = json!({
        "max_size": show_size(s.max_size),
        "max_object_size": show_size(s.max_object_size),
        "max_fill_time": show_duration(s.max_fill_time),
        "eviction": word(words::EVICTION, &s.eviction),
    });
    if let Some(snapshot) = &s.snapshot {
        section["snapshot"] = json!(snapshot);
    }
    section
}

fn admin_port(s: &admin::Settings) -> Option<Value> {
    let listen = s.listen?;
    let mut section = json!({
        "listen": listen,
        "insecure": !listen.ip().is_loopback() && s.tls.is_none(),
        "metrics_public": s.metrics_public,
        "session_idle": show_duration(s.sessions.idle),
        "session_lifetime": show_duration(s.sessions.lifetime),
        "tokens": s.tokens.iter().map(token).collect::<Vec<_>>(),
        "limits": {
            "connections": s.limits.connections,
            "sessions": s.limits.sessions,
            "sessions_per_token": s.limits.sessions_per_token,
            "wrong_tokens": s.limits.wrong_tokens,
        },
    });
    if let Some(probe) = s.probe_listen {
        section["probe_listen"] = json!(probe);
    }
    if let Some(audit_file) = &s.audit_file {
        section["audit_file"] = json!(audit_file);
    }
    if let Some(s) = &s.tls {
        section["tls"] = tls(s);
    }
    Some(section)
}

fn token(t: &admin::Token) -> Value {
    let (key, value) = match &t.proof {
        admin::Proof::Secret(_) => ("sha256", REDACTED),
        admin::Proof::Certificate(name) => ("certificate", name.as_str()),
    };
    json!({ "name": t.name, "role": word(words::ROLE, &t.role), key: value })
}

fn object_cache(s: &objects::Settings, hidden: &[String]) -> Value {
    let mut section = json!({
        "listen": s.listen,
        "insecure": !s.listen.ip().is_loopback() && s.tls.is_none(),
        "tokens": s.tokens.iter().map(token).collect::<Vec<_>>(),
        "batch": s.batch,
        "refreshes": s.refreshes,
        "namespace": s.namespaces.iter().map(|shown| namespace(shown, hidden)).collect::<Vec<_>>(),
    });
    if let Some(s) = &s.tls {
        section["tls"] = tls(s);
    }
    section
}

fn namespace(n: &objects::Namespace, hidden: &[String]) -> Value {
    let rules = &n.api.rules;
    let mut table = json!({
        "name": n.api.version,
        "ttl": rules.ttl.map(ttl),
        "max_ttl": n.max_ttl.map_or("none".into(), show_duration),
        "max_size": show_size(n.bounds.bytes),
        "max_entries": n.bounds.keys.map_or(json!("none"), |keys| json!(keys)),
    });
    let (Some(source), Some(at)) = (n.api.source(), n.api.upstream.first()) else { return table };
    let scheme = if at.tls { "https" } else { "http" };
    let query = source.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    table["source"] = json!(fixed(&format!("{scheme}://{}{}{query}", at.authority(), source.path), hidden));
    let field = |name: &http::HeaderName| json!({ "name": name.as_str(), "value": REDACTED });
    table["headers"] = source.fields.keys().map(field).collect();
    table["negative_ttl"] = json!(rules.ttl_by_status.get(&404).map_or("none".into(), |negative| ttl(*negative)));
    table["keep_on_error"] = json!(show_duration(rules.keep_on_error));
    table["timeouts"] = timeouts(&rules.timeouts);
    table["retry"] = shown_retry(&rules.retry);
    show_origin(&mut table, &n.api.origin, hidden);
    table
}

fn log(s: &telemetry::Settings) -> Value {
    let mut section = json!({
        "format": word(words::FORMAT, &s.format),
        "level": word(words::LEVEL, &s.level),
        "access": s.access,
        "sample": s.sample,
        "redact_query": s.redact_query,
    });
    if let Some(file) = &s.file {
        section["file"] = json!(file);
    }
    section
}

fn traces(s: &telemetry::traces::Settings) -> Value {
    let field = |(name, _): &(http::HeaderName, http::HeaderValue)| json!({ "name": name.as_str(), "value": REDACTED });
    json!({
        "otlp": s.otlp,
        "sample": s.sample,
        "service_name": s.service_name,
        "headers": s.headers.iter().map(field).collect::<Vec<_>>(),
        "timeout": show_duration(s.timeout),
        "queue": s.queue,
    })
}

fn api(api: &Api, hidden: &[String]) -> Value {
    let mut table = rules(&api.rules);
    table["name"] = json!(api.name);
    table["version"] = json!(api.version);
    if let Some(host) = &api.host {
        table["host"] = json!(host);
    }
    table["path"] = json!(if api.path.is_empty() { "/" } else { &api.path });
    table["upstream"] = api.upstream.iter().map(endpoint).collect();
    show_origin(&mut table, &api.origin, hidden);
    table["route"] = api.routes.iter().map(route).collect();
    table["purge"] = api.purges.iter().map(purge).collect();
    table
}

fn timeouts(t: &upstream::Timeouts) -> Value {
    json!({
        "connect": show_duration(t.connect),
        "first_byte": show_duration(t.first_byte),
        "between_bytes": show_duration(t.between_bytes),
        "total": t.total.map_or("none".into(), show_duration),
    })
}

fn endpoint(e: &Endpoint) -> Value {
    let scheme = if e.tls { "https" } else { "http" };
    json!({ "url": format!("{scheme}://{}{}", e.authority(), e.base), "weight": e.weight })
}

fn route(route: &Route) -> Value {
    let mut table = rules(&route.rules);
    table["on"] = json!(format!("{} {}", route.methods, route.path.text()));
    table
}

fn purge(rule: &PurgeRule) -> Value {
    json!({
        "on": format!("{} {}", rule.methods, rule.path.text()),
        "paths": rule.paths.iter().map(|p| p.text()).collect::<Vec<_>>(),
        "tags": rule.tags.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn rules(r: &Rules) -> Value {
    let by_status = r.ttl_by_status.iter().map(|(status, t)| (status.to_string(), json!(ttl(*t))));
    let mut shown = json!({
        "cache": r.cache,
        "safe": r.safe,
        "strip_prefix": r.strip_prefix,
        "host_header": match &r.host_header {
            HostHeader::Upstream => "upstream",
            HostHeader::Client => "client",
            HostHeader::Name(name) => name,
        },
        "upgrade": r.upgrade,
        "login": r.login,
        "ttl": r.ttl.map_or("none".into(), ttl),
        "ttl_by_status": by_status.collect::<Map<_, _>>(),
        "freshness": word(words::FRESHNESS, &r.freshness),
        "heuristic": r.heuristic,
        "error_answers": word(words::ERROR_ANSWERS, &r.error_answers),
        "grace": show_duration(r.grace),
        "keep_on_error": show_duration(r.keep_on_error),
        "stale_after": r.stale_after.map_or("none".into(), show_duration),
        "refresh_ahead": r.refresh_ahead.map_or(json!("none"), |share| json!(share)),
        "ttl_jitter": r.ttl_jitter,
        "set_cookie": word(words::SET_COOKIE, &r.set_cookie),
        "content_types": r.content_types,
        "client_directives": word(words::CLIENT_DIRECTIVES, &r.client_directives),
        "client_cache": word(words::CLIENT_CACHE, &r.client_cache),
        "etag": word(words::ETAG, &r.generate_etag),
        "compress": r.compress.as_deref().map_or(json!(false), compress),
        "unique_etags": r.unique_etags,
        "invalidate": word(words::INVALIDATE, &r.invalidate),
        "write_settle": show_duration(r.write_settle),
        "timeouts": timeouts(&r.timeouts),
        "retry": shown_retry(&r.retry),
        "key": key(&r.key),
        "auth": auth::shown(&r.auth),
    });
    if let Some(cors) = &r.cors {
        let origins = if cors.origins.is_empty() { json!("*") } else { json!(cors.origins) };
        shown["cors"] = json!({ "origins": origins, "credentials": cors.credentials });
    }
    if let Some(limiter) = &r.rate {
        shown["rate"] = rate(limiter);
    }
    shown
}

fn compress(s: &encode::Settings) -> Value {
    let encodings: Vec<_> = s.encodings.iter().map(|coding| coding.name()).collect();
    json!({ "encodings": encodings, "min": show_size(s.min), "types": s.types })
}

/// Only what limits anything.
fn rate(limiter: &Limiter) -> Value {
    let quotas = [("per_caller", limiter.per_caller()), ("total", limiter.total())];
    let shown = |quota: Quota| json!({ "requests": quota.requests, "per": show_duration(quota.per) });
    Value::Object(quotas.into_iter().filter_map(|(name, quota)| Some((name.into(), shown(quota?)))).collect())
}

fn ttl(ttl: Ttl) -> String {
    match ttl {
        Ttl::For(duration) => show_duration(duration),
        Ttl::Forever => "forever".into(),
    }
}

fn key(k: &KeyRules) -> Value {
    json!({
        "query": match &k.query {
            QueryKey::Exact => json!("exact"),
            QueryKey::Sorted(kept) => names(kept),
        },
        "headers": k.headers.iter().map(http::HeaderName::as_str).collect::<Vec<_>>(),
        "share": match &k.share {
            Share::User => "user".into(),
            Share::Claim(claim) => format!("claim:{claim}"),
            Share::Everyone => "everyone".into(),
            Share::AssumePublic => "assume-public".into(),
        },
        "credentials": patterns(k.credentials.iter()),
        "cookies": names(&k.cookies),
    })
}

fn names(names: &Names) -> Value {
    match names {
        Names::All => json!("all"),
        Names::Only(only) => json!({ "only": patterns(only) }),
        Names::Ignore(ignore) => json!({ "ignore": patterns(ignore) }),
    }
}

fn patterns<'a>(patterns: impl IntoIterator<Item = &'a FieldPattern>) -> Vec<String> {
    patterns.into_iter().map(ToString::to_string).collect()
}
