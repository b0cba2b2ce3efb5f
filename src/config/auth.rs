//! `[api.auth]` and `[api.route.auth]`.

use super::bounds;
use super::read::no_twins;
use super::secret::secret;
use super::table::{Table, Value};
use super::unavailable;
use super::words::Words;
use crate::auth::{ApiKey, Key, Place, Settings, TrustedHeader};
use http::HeaderName;
use std::sync::Arc;

/// How callers are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    ApiKey,
    TrustedHeader,
    /// Named by the contract and not there yet.
    Later,
}

const KINDS: &Words<Kind> = &[
    ("none", Kind::None),
    ("api-key", Kind::ApiKey),
    ("trusted-header", Kind::TrustedHeader),
    ("jwt", Kind::Later),
    ("forward", Kind::Later),
];

/// Reads the table `auth` of `t`; it takes the place of what held before as a whole.
pub(super) fn auth(t: &Table<'_>, auth: &mut Settings) {
    let Some(t) = t.table("auth") else { return };
    let kind = t.need("kind", "\"none\", \"api-key\" or \"trusted-header\"", |v| v.word(KINDS));
    let read = match kind {
        None => return,
        Some(Kind::Later) => return t.place_of("kind").fault(unavailable::MESSAGE),
        Some(Kind::None) => Some(Settings::None),
        Some(Kind::ApiKey) => api_key(&t).map(|keys| Settings::ApiKey(Arc::new(keys))),
        Some(Kind::TrustedHeader) => t
            .need("header", "the name of the field that holds the caller's name", |v| v.parsed(field))
            .map(|header| Settings::TrustedHeader(Arc::new(TrustedHeader { header }))),
    };
    t.finish();
    if let Some(read) = read {
        *auth = read;
    }
}

fn api_key(t: &Table<'_>) -> Option<ApiKey> {
    let header = t.get("header", |v| v.parsed(field));
    let query = t.get("query", |v| v.parsed(parameter));
    let both = t.find("header").is_some() && t.find("query").is_some();
    if both {
        t.at.fault("has both header and query, expected the one place where keys are shown");
    }
    let required_scopes = t.get("required_scopes", |v| v.list(bounds::SCOPES, |v| v.parsed(scope))).unwrap_or_default();
    let keys = keys(t);
    let place = match query {
        Some(name) => Place::Query(name),
        None => Place::Header(header.unwrap_or(HeaderName::from_static("x-api-key"))),
    };
    Some(ApiKey { place, keys, required_scopes })
}

fn keys(t: &Table<'_>) -> Vec<Key> {
    let tables = t.get("keys", |v| v.list(bounds::KEYS, Value::table)).unwrap_or_default();
    if tables.is_empty() {
        t.at.warn("no keys: nobody gets in");
    }
    let (mut keys, mut digests) = (Vec::new(), Vec::new());
    for table in tables {
        let user = table.need("user", "the caller's name", |v| v.parsed(name));
        let scopes = table.get("scopes", |v| v.list(bounds::SCOPES, |v| v.parsed(scope))).unwrap_or_default();
        let sha256 = secret(&table, ["sha256", "key_env", "key_file"]);
        digests.extend(sha256.map(|sha256| (table.at.clone(), sha256)));
        table.finish();
        if let (Some(user), Some(sha256)) = (user, sha256) {
            keys.push(Key { user, scopes: scopes.into(), sha256 });
        }
    }
    no_twins(&digests);
    keys
}

fn field(text: &str) -> Result<HeaderName, &'static str> {
    const NEVER: [&str; 6] = ["host", "cookie", "connection", "content-length", "transfer-encoding", "content-type"];
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| "expected the name of a request field")?;
    if NEVER.contains(&name.as_str()) { Err("this field can't say who is calling") } else { Ok(name) }
}

fn parameter(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let fits = !text.is_empty() && text.len() <= 64 && text.chars().all(plain);
    fits.then(|| text.into()).ok_or("expected the name of a parameter: letters, digits, `-`, `_` and `.`")
}

fn name(text: &str) -> Result<Arc<str>, &'static str> {
    let fits = (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.into()).ok_or("expected a name of 1 to 256 bytes")
}

fn scope(text: &str) -> Result<String, &'static str> {
    let fits = (1..=256).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    fits.then(|| text.into()).ok_or("expected a scope: 1 to 256 bytes without blanks")
}
