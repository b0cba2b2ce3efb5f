//! What there is: all namespaces, and what is in one of them, page by page.
//!
//! The store has no order. A page is made by one look at everything in the namespace, of which the least keys after the cursor are kept: so an
//! object that stays is on exactly one page, whatever comes and goes meanwhile. Two looks at a time, on threads where they hold nobody up.

use super::answer::{as_json, is_there};
use super::problems::bad_query;
use super::query::pairs;
use super::space::Space;
use super::write::etag_of;
use super::{Objects, target};
use crate::clock::Now;
use crate::gateway::{Answered, Kind, Outcome, Problem};
use crate::policy::namespace::HOST;
use crate::policy::write_generation;
use crate::store::{Entry, Store};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Objects on one page, where nothing is said, and the most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// Which of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    prefix: String,
    after: String,
    limit: usize,
}

impl Wanted {
    pub(super) fn of(query: Option<&str>) -> Result<Wanted, Problem> {
        let mut wanted = Wanted { prefix: String::new(), after: String::new(), limit: PAGE };
        for (name, value) in pairs(query)? {
            match name.as_str() {
                "prefix" => wanted.prefix = value,
                "cursor" => wanted.after = value,
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
                    let found = value.chars().take(40).collect::<String>();
                    wanted.limit = limit
                        .ok_or_else(|| bad_query(format!("`limit` is `{found}`, expected 1 to {LARGEST_PAGE}")))?;
                }
                _ => return Err(bad_query(format!("found `{name}`, expected prefix, limit or cursor"))),
            }
        }
        Ok(wanted)
    }
}

impl Objects {
    /// The namespaces.
    pub(super) fn everything(&self) -> Answered {
        let shown = |space: &Space| {
            let tally = self.around.gateway.tally_of(&space.mounted);
            json!({ "name": space.mounted.api.version, "objects": tally.entries(), "bytes": tally.bytes() })
        };
        let mut all: Vec<(&String, Value)> = self.spaces.iter().map(|(name, space)| (name, shown(space))).collect();
        all.sort_by_key(|(name, _)| *name);
        let all: Vec<Value> = all.into_iter().map(|(_, shown)| shown).collect();
        (as_json(json!({ "namespaces": all }).to_string()), Outcome { kind: Kind::Pass, ..Outcome::default() })
    }

    /// A page of a namespace.
    pub(super) async fn list(&self, space: &Space, wanted: Wanted, now: Now) -> Answered {
        let (mounted, store) = (Arc::clone(&space.mounted), Arc::clone(&self.around.store));
        // Whoever leaves doesn't begin another one: the place is given back when the look has ended.
        let place = Arc::clone(&self.around.lasting.listing).acquire_owned().await;
        let look = move || {
            let shown = page(&store, &mounted.api.version, mounted.generation, &wanted, now);
            drop(place);
            shown
        };
        let shown = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        let api = Some(Arc::clone(&space.mounted.id));
        (as_json(shown.to_string()), Outcome { api, kind: Kind::Pass, ..Outcome::default() })
    }
}

fn page(store: &Store, namespace: &str, generation: u64, wanted: &Wanted, now: Now) -> Value {
    let mut least: BTreeMap<String, Arc<Entry>> = BTreeMap::new();
    let mut end = vec![0];
    write_generation(&mut end, generation);
    let mut more = false;
    store.scan_namespace(namespace, |key, variants| {
        let Some(entry) = variants.first().filter(|entry| is_there(entry, now)) else { return };
        let Some(key) = key_of(key, &end) else { return };
        if key <= wanted.after || !key.starts_with(&wanted.prefix) {
            return;
        }
        least.insert(key, Arc::clone(entry));
        if least.len() > wanted.limit {
            more = true;
            least.pop_last();
        }
    });
    let cursor = least.last_key_value().filter(|_| more).map(|(key, _)| key.clone());
    let objects: Vec<Value> = least.iter().map(|(key, entry)| shown(key, entry, now)).collect();
    json!({ "objects": objects, "cursor": cursor })
}

/// The key of an object, from what it lies under; `end` is what follows the path there in this generation of its namespace.
fn key_of(key: &[u8], end: &[u8]) -> Option<String> {
    let path = key.strip_prefix(HOST.as_bytes())?.strip_suffix(end)?;
    target::key_of(std::str::from_utf8(path).ok()?)
}

fn shown(key: &str, entry: &Entry, now: Now) -> Value {
    let left = entry.facts.fresh_for(now);
    let etag = etag_of(entry).and_then(|etag| etag.to_str().map(String::from).ok());
    let media_type = entry.fields.get(&CONTENT_TYPE).map(String::from_utf8_lossy);
    json!({
        "key": key,
        "bytes": entry.content.get().map_or(0, |content| content.body.len()),
        "ttl": (left != i64::MAX).then_some(left / 1000),
        "etag": etag,
        "content_type": media_type,
    })
}
