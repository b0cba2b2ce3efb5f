//! A store filled without sockets, for tests and benchmarks of many entries.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests and benchmarks use parts of it"
)]

use freshgate::clock::Now;
use freshgate::config::{self, Surroundings};
use freshgate::policy::{Apis, Asker, Mounted, keep};
use freshgate::purge::{self, Purged, Selector, Target};
use freshgate::store::{Content, Entry, Limits, Settings, Store, Tallied, Tally};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::{Arc, OnceLock};

/// Two APIs, `one/v1` and `two/v1`, and a store that has answers of both.
pub struct Stored {
    pub store: Store,
    pub apis: Apis,
    tallies: [Arc<Tally>; 2],
}

impl Stored {
    pub fn new(max_size: u64) -> Stored {
        let api = |name: &str| {
            format!(
                "[[api]]\nname = \"{name}\"\nversion = \"v1\"\npath = \"/{name}\"\nupstream = [\"http://{name}.example\"]\nttl = \"10m\"\n"
            )
        };
        let around = Surroundings { env: &|_| None, memory_limit: None };
        let text = api("one") + &api("two");
        let loaded = config::parse(&text, "test.toml", &around).unwrap_or_else(|faults| panic!("{faults}"));
        let limits = Limits { variants_per_path: 16, keys_per_caller: 1 };
        let store = Store::new(&Settings { max_size, ..Settings::default() }, limits, Arc::default());
        Stored { store, apis: Apis::new(loaded.config.apis), tallies: Default::default() }
    }

    /// What an API has stored.
    pub fn tally(&self, api: &str) -> &Tally {
        &self.tallies[self.mounted(api).number]
    }

    fn mounted(&self, api: &str) -> &Arc<Mounted> {
        self.apis.get(api).unwrap()
    }

    /// Puts in `number` answers of an API, each at a path of its own, with a tag that ten share.
    pub fn fill(&self, api: &str, number: usize, body: usize) {
        let mounted = self.mounted(api);
        for n in 0..number {
            let path = format!("{}/shelves/{}/books/{n}", mounted.api.path, n % 1000);
            let (key, entry) = self.entry(mounted, &path, &format!("t{}", n / 10), vec![b'x'; body]);
            self.store.put(&key, &Arc::new(entry), &HeaderMap::new()).unwrap();
        }
    }

    /// What a fill would make of an answer.
    fn entry(&self, mounted: &Arc<Mounted>, path: &str, tag: &str, body: Vec<u8>) -> (Vec<u8>, Entry) {
        let routed = mounted.route(&Method::GET, path.into());
        let asked = self.store.scopes.ask(&routed.standing().known(None), 0);
        let none = HeaderMap::new();
        let asker = Asker {
            method: &Method::GET,
            fields: &none,
            authenticated: false,
            partitioned: false,
            no_store: false,
            part: false,
        };
        let mut fields = HeaderMap::new();
        fields.insert("content-type", HeaderValue::from_static("application/json"));
        fields.insert("surrogate-key", HeaderValue::try_from(tag).unwrap());
        let now = Now::default();
        let keep = keep(&routed.rules, &asker, StatusCode::OK, &fields, now, now).unwrap();
        let tags: Vec<_> = keep.tags.iter().map(|tag| freshgate::policy::Scope::Tag(&mounted.id, tag)).collect();
        let content = OnceLock::new();
        content.set(Content { body: body.into(), ..Content::default() }).unwrap();
        let entry = Entry {
            status: StatusCode::OK,
            reason: None,
            fields: self.store.names.pack(&keep.fields),
            facts: keep.facts,
            sharing: keep.sharing,
            selection: keep.selection,
            held: asked.held.union(&self.store.scopes.hold(&tags)),
            asked_at: asked.at,
            confirmed_at: asked.at,
            asked_time: asked.time,
            hits: Default::default(),
            content,
            tally: Tallied::new(Arc::clone(&self.tallies[mounted.number])),
        };
        let mut key = Vec::new();
        freshgate::policy::write_key(&mut key, "a.example", path, None, &[]);
        (key, entry)
    }

    /// A hard purge of this.
    pub fn purge(&self, target: Target) -> Purged {
        let selector = Selector { target, api: None, soft: false, dry_run: false };
        purge::apply(&self.apis, &self.store, &selector, &|m| self.tallies[m.number].entries()).unwrap()
    }

    /// Answers that could still be used.
    pub fn usable(&self) -> usize {
        let mut usable = 0;
        self.store.scan(|_, entries| {
            usable += entries.iter().filter(|e| e.standing() == freshgate::store::Standing::Current).count();
        });
        usable
    }
}
