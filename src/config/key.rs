//! `[api.key]` and `[api.route.key]`.

use super::bounds;
use super::table::{Table, Value};
use crate::policy::{FieldPattern, FieldPatterns, KeyRules, Names, QueryKey, Share};
use http::HeaderName;

/// Fields that can't be part of a key, beside those of identity: they belong to the connection, to the
/// request's body, to a trace, or to conditional and range requests, which the cache answers itself.
const NEVER_KEYED: &[&str] = &[
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "expect",
    "cache-control",
    "pragma",
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "traceparent",
    "tracestate",
    "baggage",
];

/// Reads the table `key` of `t` over `key`.
pub(super) fn key(t: &Table<'_>, key: &mut KeyRules) {
    let Some(t) = t.table("key") else { return };
    t.set("query", &mut key.query, query);
    t.set("headers", &mut key.headers, |v| v.list(bounds::NAMES, |v| v.parsed(header)));
    t.set("share", &mut key.share, share);
    t.set("credentials", &mut key.credentials, |v| {
        v.list(bounds::NAMES, |v| v.parsed(credential)).map(FieldPatterns::new)
    });
    t.set("cookies", &mut key.cookies, |v| names(v, "\"all\", { only = […] } or { ignore = […] }"));
    t.finish();
}

fn query(value: &Value<'_>) -> Option<QueryKey> {
    if value.value.as_str() == Some("exact") {
        return Some(QueryKey::Exact);
    }
    names(value, "\"all\", \"exact\", { only = […] } or { ignore = […] }").map(QueryKey::Sorted)
}

fn names(value: &Value<'_>, expected: &str) -> Option<Names> {
    if value.value.as_str() == Some("all") {
        return Some(Names::All);
    }
    if !value.value.is_table() {
        return value.wrong(expected);
    }
    let t = value.table()?;
    let only = t.get("only", patterns);
    let ignore = t.get("ignore", patterns);
    let there = ["only", "ignore"].map(|name| t.find(name).is_some());
    t.finish();
    match there {
        [true, false] => only.map(Names::Only),
        [false, true] => ignore.map(Names::Ignore),
        [true, true] | [false, false] => value.wrong("one of \"only\" and \"ignore\" in it"),
    }
}

fn patterns(value: &Value<'_>) -> Option<Vec<FieldPattern>> {
    value.list(bounds::NAMES, |v| v.parsed(pattern))
}

/// A name, or its beginning followed by `*`.
fn pattern(text: &str) -> Result<FieldPattern, &'static str> {
    match text.strip_suffix('*').unwrap_or(text) {
        "" => Err("expected a name, or the beginning of one followed by `*`"),
        name if name.contains('*') => Err("`*` may stand at the end of a name only"),
        _ => Ok(FieldPattern::new(text)),
    }
}

fn credential(text: &str) -> Result<FieldPattern, &'static str> {
    let lower = text.to_ascii_lowercase();
    let name = lower.strip_suffix('*').unwrap_or(&lower);
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| "expected the name of a field, or its beginning followed by `*`")?;
    pattern(&lower)
}

fn header(text: &str) -> Result<HeaderName, &'static str> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| "expected the name of a request field")?;
    match name.as_str() {
        "authorization" | "cookie" | "proxy-authorization" => {
            Err("identity is not part of the key: it chooses the partition; see share and cookies")
        }
        name if NEVER_KEYED.contains(&name) => Err("this field can't be part of the key"),
        _ => Ok(name),
    }
}

fn share(value: &Value<'_>) -> Option<Share> {
    match value.value.as_str() {
        Some("user") => Some(Share::User),
        Some("everyone") => Some(Share::Everyone),
        Some("assume-public") => {
            value.at.warn(
                "your word that answers don't depend on who asks: what one caller was given is given to every other, \
                 unless it says private or no-store or sets a cookie",
            );
            Some(Share::AssumePublic)
        }
        Some(text) if text.len() > "claim:".len() && text.starts_with("claim:") => {
            Some(Share::Claim(text["claim:".len()..].into()))
        }
        _ => value.wrong("\"user\", \"claim:NAME\", \"everyone\" or \"assume-public\""),
    }
}
