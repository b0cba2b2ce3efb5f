//! `kind = "api-key"`: keys in the configuration and in a file of their own.

use super::super::bounds;
use super::super::reader::{Place, Reader};
use super::super::secret::{beside, secret};
use super::super::surroundings::Surroundings;
use super::super::table::{Table, Value};
use super::texts::{field, name, parameter, scope};
use crate::auth::{ApiKey, Key, KeyFile, Place as Shown};
use crate::secret::Digest;
use http::HeaderName;
use std::collections::HashMap;
use std::path::Path;
use toml::de::DeTable;

pub(super) fn api_key(t: &Table<'_>) -> Option<ApiKey> {
    let header = t.get("header", |v| v.parsed(field));
    let query = t.get("query", |v| v.parsed(parameter));
    let both = t.find("header").is_some() && t.find("query").is_some();
    if both {
        t.at.fault("has both header and query, expected the one place where keys are shown");
    }
    let required_scopes = t.get("required_scopes", |v| v.list(bounds::SCOPES, |v| v.parsed(scope))).unwrap_or_default();
    let own = keys(t, bounds::KEYS);
    let file = t.get("keys_file", |v| v.parsed(|path| KeyFile::open(beside(v, path), filed)));
    let filed = file.as_ref().map_or(0, |(_, keys)| keys.len());
    if own.is_empty() && filed == 0 {
        t.at.warn("no keys: nobody gets in");
    }
    let place = match query {
        Some(name) => Shown::Query(name),
        None => Shown::Header(header.unwrap_or(HeaderName::from_static("x-api-key"))),
    };
    let (file, filed) = file.unzip();
    Some(ApiKey::new(place, required_scopes, own, file, filed.unwrap_or_default()))
}

/// The keys of a file of their own; the faults of it as one text.
fn filed(text: &str, path: &Path) -> Result<Vec<Key>, String> {
    let around = Surroundings { env: &|name| std::env::var(name).ok(), memory_limit: None };
    let file = path.display().to_string();
    let reader = Reader::new(text, &file, &around);
    let table = DeTable::parse(text).map_err(|error| format!("isn't TOML: {}", error.message()))?;
    let table = Table::new(reader.place("", 0), table.get_ref());
    let keys = keys(&table, bounds::FILED_KEYS);
    table.finish();
    let faults = reader.into_notes().faults;
    match faults.first() {
        None => Ok(keys),
        Some(first) => Err(format!("has {} faults, the first: {first}", faults.len())),
    }
}

/// `keys = [...]` or `[[keys]]`.
fn keys(t: &Table<'_>, most: usize) -> Vec<Key> {
    let tables = t.get("keys", |v| v.list(most, Value::table)).unwrap_or_default();
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
    no_key_twice(&digests);
    keys
}

/// Faults for what stands twice, in one go: there may be a hundred thousand.
fn no_key_twice(digests: &[(Place<'_>, Digest)]) {
    let mut lines = HashMap::new();
    for (place, digest) in digests {
        if let Some(first) = lines.get(digest) {
            place.fault(format!("stands twice; first in line {first}"));
        } else {
            lines.insert(digest, place.line());
        }
    }
}
