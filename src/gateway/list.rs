//! What is stored, page by page.
//!
//! The store has no order, and what is in it comes and goes. A listing has one: by host and path, and what lies at one path by a keyed hash of
//! its whole key and of what it was chosen by. A page is the least entries behind its cursor, so one that is there all the time is on exactly one
//! page, whatever else happens, and also if it is replaced by its successor meanwhile. A cursor says a place and a hash; no secret that a key holds can be
//! read from it.
//!
//! To find the least entries everything has to be looked at. That takes no lock that a request would want (moka's map is read without
//! any), and marks nothing as used, but it takes a processor: so a look pauses every few hundred keys, and it finds more than one page. What
//! the next pages will have is kept for a while, without keeping the entries themselves: an entry that has gone is gone. It is only a shortcut:
//! who comes later, or another way, looks again and finds the same order. One look at a time is for the caller to see to.

use super::Gateway;
use super::view::{EntryView, Hide, view};
use crate::clock::Now;
use crate::policy::{Mounted, Scope, canonical_host, canonical_path, is_second_key, place_of, without_port};
use crate::store::{Entry, Held, Tally};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;
use utoipa::ToSchema;

/// Entries on one page, where nothing is said, and the most.
pub const PAGE: usize = 100;
/// The most entries on one page.
pub const LARGEST_PAGE: usize = 1000;

/// So many entries are found by one look, with so many bytes of keys.
const AHEAD: usize = 8 * LARGEST_PAGE;
const AHEAD_BYTES: usize = 4 << 20;
/// How long, in milliseconds, what was found is good for further pages, and for how many listings.
const AHEAD_TIME: u64 = 30_000;
const LISTINGS: usize = 4;

/// A page has no more than so many bytes of keys.
const PAGE_BYTES: usize = 1 << 20;

/// A look pauses for so long after so many keys.
const BREATH: usize = 256;
const PAUSE: Duration = Duration::from_micros(200);

/// Bytes of host and path that count for the order, so that a cursor stays short.
const PLACE: usize = 512;

/// Keyed, so that nobody can make two entries share their place in the order; one for the process, so that cursors outlast a reload.
static ORDER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `name/version`.
    pub api: Option<String>,
    /// A host, with or without its port.
    pub host: Option<String>,
    /// What the public path begins with.
    pub prefix: Option<String>,
    /// A tag.
    pub tag: Option<String>,
}

/// A page of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub filter: Filter,
    /// At most so many.
    pub limit: usize,
    /// Those that follow this cursor.
    pub cursor: Option<String>,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Listed {
    /// In the order of host and path.
    pub entries: Vec<EntryView>,
    /// Where the next page begins; `null` on the last one.
    pub cursor: Option<String>,
}

/// What is wrong with a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Which member.
    pub member: &'static str,
    /// What was expected.
    pub why: String,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.member, self.why)
    }
}

/// What the next pages of some listings will have.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<VecDeque<Ahead>>);

/// Where an entry stands in the order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    place: Box<[u8]>,
    hash: u64,
}

/// What one look has found.
#[derive(Clone, Debug)]
struct Ahead {
    filter: Filter,
    after: Option<Position>,
    found: Arc<[(Position, Found)]>,
    /// Whether nothing follows.
    whole: bool,
    until: u64,
}

#[derive(Clone, Debug)]
struct Found {
    key: Box<[u8]>,
    entry: Weak<Entry>,
}

/// A filter with its names looked up.
struct Meant<'a> {
    api: Option<(&'a Arc<Mounted>, &'a Arc<Tally>)>,
    host: Option<String>,
    prefix: Option<String>,
    tag: Option<Held>,
}

impl Gateway {
    /// A page of what is stored. It may take long and pauses meanwhile: for a thread where that is fine, one at a time.
    ///
    /// # Errors
    /// Which member of `wanted` is wrong.
    pub fn list(&self, wanted: &Wanted, hide: Hide<'_>, now: Now) -> Result<Listed, Bad> {
        let meant = self.meant(&wanted.filter)?;
        let after = wanted.cursor.as_deref().map(Position::read).transpose()?;
        let ahead = match self.lists.find(&wanted.filter, after.as_ref(), wanted.limit, now) {
            Some(ahead) => ahead,
            None => {
                let ahead = self.look(&wanted.filter, &meant, after.clone(), now);
                self.lists.keep(&ahead);
                ahead
            }
        };
        Ok(self.page(&ahead, after.as_ref(), wanted.limit, hide, now))
    }

    fn meant<'a>(&'a self, filter: &Filter) -> Result<Meant<'a>, Bad> {
        let bad = |member, why: String| Bad { member, why };
        let api = match &filter.api {
            None => None,
            Some(id) => {
                let found = self
                    .apis
                    .get(id)
                    .ok_or_else(|| bad("api", format!("there is no API `{id}`; write it as name/version")))?;
                Some((found, &self.served(found).tally))
            }
        };
        let host =
            filter.host.as_deref().map(canonical_host).transpose().map_err(|why| bad("host", why.to_string()))?;
        let prefix = match filter.prefix.as_deref() {
            None => None,
            Some(prefix) if !prefix.starts_with('/') => {
                return Err(bad("prefix", "a public path must begin with /".into()));
            }
            Some(prefix) => Some(canonical_path(prefix).map_err(|why| bad("prefix", why.to_string()))?.into_owned()),
        };
        let tagged = |tag: &String| {
            let apis = self.apis.iter().filter(|mounted| api.is_none_or(|(only, _)| Arc::ptr_eq(only, mounted)));
            self.store.scopes.known(&apis.map(|mounted| Scope::Tag(&mounted.id, tag)).collect::<Vec<_>>())
        };
        let tag = filter.tag.as_ref().map(tagged);
        Ok(Meant { api, host: host.map(|host| host.into_owned()), prefix, tag })
    }

    /// Looks at everything, and keeps the least that follow.
    fn look(&self, filter: &Filter, meant: &Meant<'_>, after: Option<Position>, now: Now) -> Ahead {
        let mut least: BTreeMap<Position, Found> = BTreeMap::new();
        let (mut bytes, mut whole, mut looked) = (0, true, 0usize);
        let look = |key: &[u8], variants: &[Arc<Entry>]| {
            looked += 1;
            if looked.is_multiple_of(BREATH) {
                std::thread::sleep(PAUSE);
            }
            let place = short(place_of(key));
            let last = least.last_key_value().filter(|_| !whole).map(|(last, _)| last);
            let is_before = after.as_ref().is_some_and(|after| place < &*after.place);
            if is_before
                || last.is_some_and(|last| place > &*last.place)
                || !meant.is_at(place_of(key))
                || is_second_key(key)
            {
                return;
            }
            for entry in variants.iter().filter(|entry| meant.is(entry)) {
                let position = Position::of(key, entry);
                if after.as_ref().is_some_and(|after| position <= *after) {
                    continue;
                }
                bytes += key.len();
                least.insert(position, Found { key: key.into(), entry: Arc::downgrade(entry) });
                while least.len() > AHEAD || bytes > AHEAD_BYTES && least.len() > 1 {
                    whole = false;
                    bytes -= least.pop_last().map_or(0, |(_, found)| found.key.len());
                }
            }
        };
        match meant.api {
            None => self.store.scan(look),
            Some((api, _)) if api.api.namespace.is_some() => self.store.scan_namespace(&api.api.version, look),
            Some(_) => self.store.scan_answers(look),
        }
        let until = now.mono.saturating_add(AHEAD_TIME);
        Ahead { filter: filter.clone(), after, found: least.into_iter().collect(), whole, until }
    }

    fn page(&self, ahead: &Ahead, after: Option<&Position>, limit: usize, hide: Hide<'_>, now: Now) -> Listed {
        let owners: HashMap<*const Tally, &Arc<Mounted>> =
            self.apis.iter().map(|mounted| (Arc::as_ptr(&self.served(mounted).tally), mounted)).collect();
        let (mut entries, mut bytes, mut reached) = (Vec::new(), 0, None);
        let mut rest = ahead.found[ahead.behind(after)..].iter().peekable();
        while let Some((position, found)) = rest.next_if(|_| entries.len() < limit && bytes < PAGE_BYTES) {
            reached = Some(position);
            // What has taken its place is the same for who lists.
            let Some(entry) = found.entry.upgrade().or_else(|| self.successor(position, &found.key)) else { continue };
            let api = owners.get(&Arc::as_ptr(entry.tally.tally())).map(|mounted| &***mounted);
            if let Some(view) = view(&found.key, &entry, api, hide, now) {
                bytes += found.key.len();
                entries.push(view);
            }
        }
        let more = rest.peek().is_some() || !ahead.whole;
        Listed { entries, cursor: reached.filter(|_| more).map(Position::written) }
    }

    fn successor(&self, position: &Position, key: &[u8]) -> Option<Arc<Entry>> {
        self.store.find(key)?.iter().find(|entry| Position::of(key, entry) == *position).cloned()
    }
}

impl Meant<'_> {
    /// By host and path.
    fn is_at(&self, place: &[u8]) -> bool {
        let (host, path) = place.split_at(place.iter().position(|byte| *byte == b'/').unwrap_or(place.len()));
        let on_host = |wanted: &String| {
            wanted.as_bytes() == host || std::str::from_utf8(host).is_ok_and(|host| without_port(host) == wanted)
        };
        self.host.as_ref().is_none_or(on_host)
            && self.prefix.as_ref().is_none_or(|prefix| path.starts_with(prefix.as_bytes()))
    }

    fn is(&self, entry: &Entry) -> bool {
        self.api.is_none_or(|(_, tally)| Arc::ptr_eq(entry.tally.tally(), tally))
            && self.tag.as_ref().is_none_or(|tag| entry.held.meets(tag))
    }
}

impl Lists {
    fn find(&self, filter: &Filter, after: Option<&Position>, limit: usize, now: Now) -> Option<Ahead> {
        let after = after?; // who begins wants to see what is there now
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|ahead| now.mono < ahead.until);
        let fits = |ahead: &&Ahead| {
            let begins = ahead.after.as_ref().is_none_or(|begin| begin <= after);
            ahead.filter == *filter && begins && (ahead.whole || ahead.found.len() - ahead.behind(Some(after)) >= limit)
        };
        all.iter().find(fits).cloned()
    }

    fn keep(&self, ahead: &Ahead) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.filter != ahead.filter);
        all.push_front(ahead.clone());
        all.truncate(LISTINGS);
    }
}

impl Ahead {
    /// How many of those that were found don't come after this.
    fn behind(&self, after: Option<&Position>) -> usize {
        after.map_or(0, |after| self.found.partition_point(|(position, _)| position <= after))
    }
}

fn short(place: &[u8]) -> &[u8] {
    &place[..place.len().min(PLACE)]
}

impl Position {
    fn of(key: &[u8], entry: &Entry) -> Position {
        Position { place: short(place_of(key)).into(), hash: ORDER.hash_one((key, &entry.selection)) }
    }

    fn written(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode([&self.hash.to_le_bytes()[..], &self.place].concat())
    }

    fn read(cursor: &str) -> Result<Position, Bad> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).unwrap_or_default();
        match bytes.split_first_chunk() {
            Some((hash, place)) if !place.is_empty() && place.len() <= PLACE => {
                Ok(Position { place: place.into(), hash: u64::from_le_bytes(*hash) })
            }
            Some(_) | None => Err(Bad { member: "cursor", why: "not one that a page has given".into() }),
        }
    }
}
