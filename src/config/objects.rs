//! `[objects]`, `[[objects.namespace]]`: each namespace becomes an API of its own.

use super::address::endpoint;
use super::admin::tokens;
use super::api::label;
use super::bounds;
use super::origin::{origin, retry};
use super::read::no_twins;
use super::rules::{timeouts, ttl};
use super::secret::{from_env, from_file};
use super::server::{Bound, address};
use super::table::{Table, Value};
use super::tls::tls;
use crate::objects::{Namespace, Settings};
use crate::policy::namespace::{HOST, KEY, NAME, Namespace as InPolicy, Source};
use crate::policy::{Api, ClientCache, KeyRules, Precedence, Rules, Share, Ttl};
use crate::store::Bounds;
use crate::upstream::Endpoint;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::SocketAddr;
use std::sync::Arc;

/// Reads `[objects]`; its address is added to `bound`. Without the section there is no object cache.
pub(super) fn objects<'a>(root: &Table<'a>, bound: &mut Vec<Bound<'a>>) -> Option<Settings> {
    let table = root.table("objects")?;
    let mut settings = Settings::at(SocketAddr::from(([127, 0, 0, 1], 8081)));
    table.set("listen", &mut settings.listen, address);
    bound.push((table.place_of("listen"), settings.listen));
    settings.tls = tls(&table);
    let insecure = table.get("insecure", Value::bool).unwrap_or(false);
    settings.tokens = tokens(&table, false);
    let (listen, open) = (settings.listen, settings.tokens.is_empty());
    if !listen.ip().is_loopback() && open {
        table.place_of("listen").fault(format!(
            "found {listen}, expected a loopback address such as 127.0.0.1:8081: without [[objects.tokens]] whoever \
             reaches it may read and write everything"
        ));
    } else if !listen.ip().is_loopback() && !insecure && table.find("tls").is_none() {
        table.place_of("listen").fault(format!(
            "found {listen}, expected a loopback address such as 127.0.0.1:8081: tokens would cross the network \
             unencrypted; `tls` encrypts them, `insecure = true` allows it"
        ));
    }
    table.set("batch", &mut settings.batch, |v| v.count(bounds::OBJECT_BATCH));
    table.set("refreshes", &mut settings.refreshes, |v| v.count(bounds::OBJECT_REFRESHES));
    let tables = table.tables("namespace", bounds::NAMESPACES);
    if tables.is_empty() {
        table.at.warn("there is no [[objects.namespace]]; every object is answered 404");
    }
    let places: Vec<_> = tables.iter().map(|t| t.place_of("name")).collect();
    let namespaces: Vec<Option<Namespace>> = tables.into_iter().map(namespace).collect();
    let names = places.into_iter().zip(&namespaces);
    let names: Vec<_> = names.filter_map(|(at, n)| Some((at, n.as_ref()?.api.version.clone()))).collect();
    no_twins(&names);
    settings.namespaces = namespaces.into_iter().flatten().collect();
    table.finish();
    Some(settings)
}

fn namespace(t: Table<'_>) -> Option<Namespace> {
    let name = t.need("name", "a name such as \"tax-codes\"", |v| v.parsed(name));
    let lifetime = t.need("ttl", "how long an object is good, such as \"100d\" or \"forever\"", |v| match v.text() {
        Some("forever") => Some(Ttl::Forever),
        Some(_) | None => ttl(v),
    });
    let max_ttl = t.get("max_ttl", |v| v.or_none(|v| v.duration(&bounds::TTL))).flatten();
    if let (Some(most), Some(lifetime)) = (max_ttl, lifetime)
        && !matches!(lifetime, Ttl::For(ttl) if ttl <= most)
    {
        t.place_of("max_ttl").fault("is shorter than ttl");
    }
    let mut shelf = Bounds { bytes: 64 << 20, keys: None };
    t.set("max_size", &mut shelf.bytes, |v| v.size(bounds::NAMESPACE_SIZE));
    let keys = t.get("max_entries", |v| v.or_none(|v| v.count(bounds::NAMESPACE_ENTRIES))).flatten();
    shelf.keys = keys.map(|keys| keys as u64);
    let mut rules = rules(lifetime);
    let negative = t.get("negative_ttl", |v| v.or_none(|v| v.duration(&bounds::TTL))).flatten();
    for status in negative.iter().flat_map(|_| [404, 410]) {
        rules.ttl_by_status.extend(negative.map(|negative| (status, Ttl::For(negative))));
    }
    t.set("keep_on_error", &mut rules.keep_on_error, |v| v.duration(&bounds::GRACE));
    timeouts(&t, &mut rules.timeouts);
    retry(&t, &mut rules.retry);
    let origin = origin(&t);
    let asked = t.get("source", source);
    let fields = t.get("headers", |v| v.list(bounds::NAMES, field)).unwrap_or_default();
    if t.find("source").is_none() {
        const OF_SOURCE: [&str; 9] =
            ["headers", "negative_ttl", "keep_on_error", "timeouts", "retry", "balance", "pool", "health", "breaker"];
        t.forbid(&OF_SOURCE, "says nothing without source");
    }
    t.finish();
    let (upstream, source) = match asked {
        Some((endpoint, source)) => (vec![endpoint], Some(Source { fields: HeaderMap::from_iter(fields), ..source })),
        None => (Vec::new(), None),
    };
    let name = name?;
    let api = Api {
        name: NAME.into(),
        path: format!("/{name}"),
        version: name,
        host: Some(HOST.into()),
        upstream,
        origin,
        rules: Arc::new(rules),
        routes: Vec::new(),
        purges: Vec::new(),
        namespace: Some(Arc::new(InPolicy { source })),
    };
    Some(Namespace { api, bounds: shelf, max_ttl })
}

/// What holds for objects: the operator's lifetime, whatever the source says of its own; everybody gets the same, and asks again.
fn rules(ttl: Option<Ttl>) -> Rules {
    Rules {
        ttl,
        freshness: Precedence::Ttl,
        client_directives: false,
        client_cache: ClientCache::Revalidate,
        generate_etag: true,
        key: KeyRules { share: Share::AssumePublic, ..KeyRules::default() },
        ..Rules::default()
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    if text.starts_with('_') { Err("names that begin with _ are reserved") } else { label(text) }
}

/// A URL with `{key}` in its path or its query.
fn source(value: &Value<'_>) -> Option<(Endpoint, Source)> {
    let text = value.text()?;
    if text.contains('@') {
        value.at.fault("the URL of a source has no user and no password; `headers` can hold them");
        return None;
    }
    value.parsed(|text| {
        if text.matches(KEY).count() != 1 {
            return Err(format!("expected {KEY} once, in the path or the query"));
        }
        let (url, query) = text.split_once('?').map_or((text, None), |(url, query)| (url, Some(query)));
        let (scheme, rest) = url.split_once("://").ok_or("expected a URL that begins with http:// or https://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let checked = endpoint(&format!("{scheme}://{authority}{}", path.replace(KEY, "key")))?;
        let whole = format!("/?{}", query.unwrap_or_default().replace(KEY, "key"));
        if whole.parse::<http::Uri>().is_err() || whole.contains('#') {
            return Err("the query has characters that must be percent-escaped".into());
        }
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        let source = Source { path, query: query.map(String::from), fields: HeaderMap::new() };
        Ok((Endpoint { base: String::new(), ..checked }, source))
    })
}

/// A field for the source (or for a collector of traces): `{ name, value }`, or with `value_env` or `value_file` in the place of a secret value.
pub(super) fn field(value: &Value<'_>) -> Option<(HeaderName, HeaderValue)> {
    let t = value.table()?;
    let name = t.need("name", "the name of a field", |v| v.parsed(|text| text.parse::<HeaderName>()));
    let given = [
        t.find("value").and_then(|v| v.text().map(String::from)),
        t.get("value_env", |v| v.parsed(|name| from_env(v, name))),
        t.get("value_file", |v| v.parsed(|path| from_file(v, path))),
    ];
    let mut given = given.into_iter().flatten();
    let (text, more) = (given.next(), given.next());
    if more.is_some() || text.is_none() {
        t.at.fault("expected one of value, value_env and value_file");
    }
    let place = t.place_of("value");
    t.finish();
    let text = text?;
    let field = HeaderValue::try_from(text.trim_end_matches(['\r', '\n']));
    let field = field.map_err(|_| place.fault("the value has characters that no field can have")).ok();
    Some((
        name?,
        field.map(|mut field| {
            field.set_sensitive(true);
            field
        })?,
    ))
}
