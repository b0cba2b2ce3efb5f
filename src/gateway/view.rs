//! A stored answer as it is shown: where it lies, for whom, how fresh, how much used; never its content, and no secret of the request that
//! brought it.

use crate::clock::Now;
use crate::policy::{KeyParts, KeyRules, Mounted, Partition, Told, is_credential, namespace, read_key};
use crate::rfc9111::{NO_VARY_SEARCH, Selection};
use crate::store::{Entry, Standing, counted};
use http::HeaderName;
use http::header::{CONTENT_RANGE, CONTENT_TYPE};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use utoipa::ToSchema;

/// What stands for a value that isn't shown.
pub(super) const HIDDEN: &str = "(hidden)";

/// Longer values of fields are cut.
const LONGEST: usize = 256;

/// A query as it may be shown.
pub type Hide<'a> = &'a (dyn Fn(&str) -> String + Sync);

/// One stored answer, as `/v1/entries` and `/v1/explain` show it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EntryView {
    /// `name/version`; `null` where its API has gone.
    pub api: Option<String>,
    /// Host and port; `null` of an object.
    pub host: Option<String>,
    /// The public path; of an object `/NAMESPACE/KEY`.
    pub path: String,
    /// The query as it counts, secrets hidden; `null` where there is none.
    pub query: Option<String>,
    /// `null` where it is shared; the caller's name, `(claim: …)`, or the names of the credential fields that tell it apart.
    pub partition: Option<String>,
    /// `answer`, `part` (of an answer), `query` (the answer to a QUERY) or `object`.
    pub kind: &'static str,
    /// The request fields that it was chosen by (`Vary`), with their values; `null` where there was none, `(hidden)` of credentials.
    pub selection: BTreeMap<String, Option<String>>,
    /// What a trusted proxy said of the request that counts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
    /// Of a QUERY what describes its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentView>,
    /// Of a part which one it is, as in `Content-Range`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// `No-Vary-Search`, where it has one: it is also the answer for other queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_vary_search: Option<String>,
    /// Its status.
    pub status: u16,
    /// `fresh`; `stale`: to be validated, or given in its grace; `outdated`: softly purged; `invalidated`: never used again, not swept yet.
    pub state: &'static str,
    /// Seconds (RFC 9111 §4.2.3).
    pub age: u64,
    /// Seconds of freshness left; negative when stale, `null` where it has no end.
    pub ttl: Option<i64>,
    /// Bytes that it is counted with.
    pub bytes: u64,
    /// How often it was given since it was stored.
    pub hits: u64,
}

/// The content of a QUERY.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ContentView {
    /// Its media type.
    #[serde(rename = "type")]
    pub media_type: Option<String>,
    /// Its length.
    pub bytes: usize,
}

/// Shows what lies under `key`; `None` where that is no key of an answer. `hide` makes a query showable.
pub(super) fn view(key: &[u8], entry: &Entry, api: Option<&Mounted>, hide: Hide<'_>, now: Now) -> Option<EntryView> {
    let parts = read_key(key)?;
    let is_object = parts.host == namespace::HOST;
    let kind = match &parts {
        _ if is_object => "object",
        KeyParts { part: true, .. } => "part",
        KeyParts { content: Some(_), .. } => "query",
        _ => "answer",
    };
    Some(EntryView {
        api: api.map(|api| api.id.to_string()),
        host: (!is_object).then(|| parts.host.to_owned()),
        path: parts.path.to_owned(),
        query: parts.query.map(hide),
        partition: parts.partition.as_ref().map(whose),
        kind,
        selection: selection(&entry.selection, api),
        claims: parts.claims.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect(),
        content: parts.content.as_ref().map(|(described, bytes)| ContentView {
            media_type: described.iter().find(|(name, _)| *name == CONTENT_TYPE.as_str()).map(|(_, value)| text(value)),
            bytes: *bytes,
        }),
        range: entry.fields.get(&CONTENT_RANGE).filter(|_| entry.status.as_u16() == 206).map(text),
        no_vary_search: entry.fields.get(&NO_VARY_SEARCH).map(text),
        status: entry.status.as_u16(),
        state: state(entry, now),
        age: entry.facts.age(now) / 1000,
        ttl: ttl(entry, now),
        bytes: counted(key, entry) as u64,
        hits: entry.hits.get().into(),
    })
}

/// Whose it is, in words.
pub(super) fn whose(partition: &Partition<'_>) -> String {
    let caller = partition.caller.map(|told| match told {
        Told::User(name) if name.starts_with('\0') => "(nameless caller)".to_owned(),
        Told::User(name) => cut(name),
        Told::Claim(value) => format!("(claim: {})", cut(value)),
    });
    let fields =
        (!partition.credentials.is_empty()).then(|| format!("(credentials: {})", partition.credentials.join(", ")));
    [caller, fields].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// What is a credential wherever nothing else is said.
static USUAL: LazyLock<KeyRules> = LazyLock::new(KeyRules::default);

/// Whether a field is a credential on any route of an API; those that usually are count also where the file has left them out.
pub(super) fn is_secret(api: Option<&Mounted>, name: &HeaderName) -> bool {
    let apis = api.into_iter().flat_map(|mounted| {
        std::iter::once(&mounted.api.rules).chain(mounted.api.routes.iter().map(|route| &route.rules))
    });
    is_credential(&USUAL, name) || apis.into_iter().any(|rules| is_credential(&rules.key, name))
}

fn selection(selection: &Selection, api: Option<&Mounted>) -> BTreeMap<String, Option<String>> {
    let shown = |(name, value): (&HeaderName, Option<&[u8]>)| {
        let value = value.map(|value| if is_secret(api, name) { HIDDEN.to_owned() } else { text(value) });
        (name.as_str().to_owned(), value)
    };
    selection.noted().map(shown).collect()
}

pub(super) fn state(entry: &Entry, now: Now) -> &'static str {
    match entry.standing() {
        Standing::Invalidated => "invalidated",
        Standing::Outdated => "outdated",
        Standing::Current if entry.facts.is_fresh(now) => "fresh",
        Standing::Current => "stale",
    }
}

/// As `Cache-Status` tells it: none is left of what was purged, or has to be validated each time.
fn ttl(entry: &Entry, now: Now) -> Option<i64> {
    let left = entry.facts.fresh_for(now);
    let seconds = (left != i64::MAX).then(|| left.saturating_add(999).div_euclid(1000));
    if state(entry, now) == "fresh" { seconds } else { Some(seconds.unwrap_or(0).min(0)) }
}

fn text(value: &[u8]) -> String {
    cut(&String::from_utf8_lossy(value))
}

fn cut(text: &str) -> String {
    let mut cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
