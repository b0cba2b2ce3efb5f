//! `[[api]]`: where each API is seen and where it lives, and that no two of them want the same place.

use super::address::{endpoint, host, path};
use super::bounds;
use super::origin::origin;
use super::reader::Place;
use super::route::{purges, routes};
use super::rules::rules;
use super::table::{Table, Value};
use crate::policy::{Api, Precedence, Rules};
use crate::upstream::Endpoint;
use std::collections::HashMap;
use std::sync::Arc;

/// Reads every `[[api]]`.
pub(super) fn apis(root: &Table<'_>) -> Vec<Api> {
    let tables = root.tables("api", bounds::APIS);
    if tables.is_empty() {
        root.place_of("api").warn("there is no [[api]]; every request is answered 404");
    }
    let (mut taken, mut apis) = (Taken::default(), Vec::new());
    for table in tables {
        let (place, path) = (table.at.clone(), table.place_of("path"));
        if let Some(api) = api(table) {
            taken.add(&place, &path, &api);
            apis.push(api);
        }
    }
    apis
}

fn api(t: Table<'_>) -> Option<Api> {
    let name = t.need("name", "a name such as \"bookstore\"", |v| v.parsed(label));
    let version = t.need("version", "a version such as \"v1\"", |v| v.parsed(label));
    let host = match t.find("host") {
        Some(value) => value.parsed(host).map(Some),
        None => Some(None),
    };
    let path = t.need("path", "the public prefix, such as \"/bookstore/v1\"", |v| v.parsed(path));
    let upstream = t.need("upstream", "a list of URLs such as [\"http://127.0.0.1:9000\"]", upstream);
    let origin = origin(&t);
    let rules = rules(&t, &Rules::default());
    let routes = routes(&t, &rules);
    let purges = purges(&t);
    if rules.freshness == Precedence::Ttl && rules.ttl.is_none() && rules.ttl_by_status.is_empty() && routes.is_empty()
    {
        t.place_of("freshness").warn("\"ttl\" changes nothing without ttl or ttl_by_status");
    }
    t.finish();
    let rules = Arc::new(rules);
    let (name, version, host, path, upstream) = (name?, version?, host?, path?, upstream?);
    Some(Api { name, version, host, path, upstream, origin, rules, routes, purges, namespace: None })
}

/// A name or version: it is part of URLs of the admin API and of metrics.
pub(super) fn label(text: &str) -> Result<String, &'static str> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let fits = plain && (1..=64).contains(&text.len()) && !matches!(text, "." | "..");
    fits.then(|| text.into()).ok_or("expected 1 to 64 letters, digits, `-`, `_` or `.`")
}

fn upstream(value: &Value<'_>) -> Option<Vec<Endpoint>> {
    let list = value.list(bounds::ENDPOINTS, |v| Some((v.at.clone(), weighted(v)?)))?;
    if value.value.as_array().is_some_and(|array| array.is_empty()) {
        return value.wrong("at least one URL such as \"http://127.0.0.1:9000\"");
    }
    for (i, (place, one)) in list.iter().enumerate() {
        let before = &list[..i];
        if before.iter().any(|(_, o)| (o.tls, &o.host, o.port) == (one.tls, &one.host, one.port)) {
            place.fault("stands twice; for a larger share of the requests write { url = …, weight = … }");
        }
        if let Some((_, first)) = before.first().filter(|(_, first)| first.base != one.base) {
            let (found, expected) = (format!("{}/", one.base), format!("{}/", first.base));
            place.fault(format!("found the base path `{found}`, expected that of the first URL, `{expected}`"));
        }
    }
    Some(list.into_iter().map(|(_, endpoint)| endpoint).collect())
}

/// A URL, or `{ url, weight }`.
fn weighted(value: &Value<'_>) -> Option<Endpoint> {
    if value.value.is_str() {
        return url(value);
    }
    if !value.value.is_table() {
        return value.wrong("a URL such as \"http://127.0.0.1:9000\", or { url = …, weight = … }");
    }
    let t = value.table()?;
    let one = t.need("url", "a URL such as \"http://127.0.0.1:9000\"", url);
    let weight = t.get("weight", |v| u32::try_from(v.count(bounds::WEIGHT)?).ok()).unwrap_or(1);
    t.finish();
    Some(Endpoint { weight, ..one? })
}

fn url(value: &Value<'_>) -> Option<Endpoint> {
    let text = value.text()?;
    if text.contains('@') {
        // What was found isn't repeated: it may hold a password.
        value.at.fault("the URL of an origin has no user and no password");
        return None;
    }
    value.parsed(endpoint)
}

/// The APIs so far: where each name and version, and each host and path, stands.
#[derive(Default)]
struct Taken {
    ids: HashMap<String, usize>,
    prefixes: HashMap<(Option<String>, String), (String, usize)>,
}

impl Taken {
    /// Faults for a name that is taken, and for a place that is: of two APIs with the same host and path none would
    /// have the longest prefix.
    fn add(&mut self, place: &Place<'_>, at_path: &Place<'_>, api: &Api) {
        let (id, line) = (api.id(), place.line());
        if let Some(first) = self.ids.get(&id) {
            place.fault(format!("name and version `{id}` are taken in line {first}"));
        }
        let prefix = (api.host.clone(), api.path.clone());
        if let Some((other, first)) = self.prefixes.get(&prefix) {
            let (path, host) = (format!("{}/", api.path), api.host.as_deref().unwrap_or("every host"));
            at_path.fault(format!(
                "`{path}` on {host} is the path of `{other}` in line {first}; neither prefix is longer"
            ));
        }
        self.ids.entry(id.clone()).or_insert(line);
        self.prefixes.entry(prefix).or_insert((id, line));
    }
}
