//! The only door to stored responses.
//!
//! Under a key lie all answers to its request that differ by `Vary`, the youngest question first. moka keeps the keys
//! by recent use (or by frequency) within `max_size`; whether an answer may still be used is never its business but
//! that of the `scopes` and of RFC 9111. What is dead is taken out by [`Store::sweep`], from a thread of its own.

mod accounts;
mod encodings;
mod entry;
mod fields;
mod scopes;
mod settings;
mod shelf;
mod weight;

pub use accounts::{Accounts, Charge, Payer};
pub use encodings::{Encoding, Encodings};
pub use entry::{Content, Entry, Extra, Gone, Hits, Tallied, Tally};
pub use fields::{Fields, Names};
pub use scopes::{Asked, Epoch, Held, Scopes, Severity, Standing};
pub use settings::{Eviction, Settings};
pub use shelf::Bounds;
pub use weight::{Variants, counted};

use crate::clock::Now;
use crate::reached::{Bound, Reached};
use arc_swap::ArcSwap;
use http::HeaderMap;
use moka::ops::compute::Op;
use shelf::{Kept, Shelf, Shelves, arranged, shelf_of};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use weight::weight;

/// Stored responses and the scopes they belong to.
#[derive(Debug)]
pub struct Store {
    answers: Shelf,
    objects: ArcSwap<Shelves>,
    eviction: Eviction,
    /// What can be invalidated.
    pub scopes: Scopes,
    /// The names of fields that entries share.
    pub names: Names,
    /// Who has how many keys.
    pub accounts: Accounts,
    max_variants: usize,
    reached: Arc<Reached>,
    swept_at: AtomicU64,
    rare: AtomicU8,
    rests: AtomicBool,
}

/// How much of the store one path, or one caller, may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `limits.variants_per_path`: answers under one key.
    pub variants_per_path: usize,
    /// `limits.keys_per_caller`: answers that one caller has asked for.
    pub keys_per_caller: usize,
}

/// What lies under keys of its own and is seldom there at all: who misses an answer needn't look for it before it first was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rare {
    /// Parts of answers.
    Parts = 1,
    /// Rules about what counts of a query.
    Rules = 2,
}

/// Why a whole answer was not put into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// A younger question's answer is there already.
    OlderThanStored,
    /// Invalidated while it was on its way.
    Invalidated,
    /// Its namespace has gone.
    NoShelf,
}

impl Store {
    /// An empty store. Which of its bounds are reached is counted in `reached`.
    pub fn new(settings: &Settings, limits: Limits, reached: Arc<Reached>) -> Self {
        let bounds = Bounds { bytes: settings.max_size, keys: None };
        Store {
            answers: Shelf::new(bounds, settings.eviction),
            objects: ArcSwap::default(),
            eviction: settings.eviction,
            scopes: Scopes::default(),
            names: Names::default(),
            accounts: Accounts::new(limits.keys_per_caller),
            max_variants: limits.variants_per_path.max(1),
            reached,
            swept_at: AtomicU64::new(0),
            rare: AtomicU8::new(0),
            rests: AtomicBool::new(false),
        }
    }

    /// From now on there are shelves for these namespaces. What lay on one that goes, or whose bounds are others now, is gone.
    pub fn arrange(&self, namespaces: &[(String, Bounds)]) {
        self.objects.store(Arc::new(arranged(&self.objects.load(), namespaces, self.eviction)));
    }

    /// What `then` does with the shelf that `key` belongs to; `None` where there is none, as for a namespace that has gone.
    fn at<R>(&self, key: &[u8], then: impl FnOnce(&Kept) -> R) -> Option<R> {
        match shelf_of(key) {
            None => Some(then(&self.answers.kept)),
            Some(namespace) => self.objects.load().get(namespace).map(|shelf| then(&shelf.kept)),
        }
    }

    fn each_shelf(&self, mut look: impl FnMut(&Shelf)) {
        look(&self.answers);
        self.objects.load().values().for_each(|shelf| look(shelf));
    }

    /// The answers under `key`.
    pub fn find(&self, key: &[u8]) -> Option<Variants> {
        if self.rests.load(Ordering::SeqCst) { None } else { self.at(key, |kept| kept.get(key))? }
    }

    /// While it rests nothing is found, though everything stays: another process answers as well and may carry writes that nobody here
    /// hears of. Every look that begins after the return heeds it.
    pub fn rest(&self, rests: bool) {
        self.rests.store(rests, Ordering::SeqCst);
    }

    /// Puts complete entries under a key where there is nothing; returns whether they were put.
    pub fn put_absent(&self, key: &[u8], variants: Vec<Arc<Entry>>) -> bool {
        let mut put = false;
        self.compute(key, |old| {
            put = old.is_none();
            if !put {
                return Op::Nop;
            }
            variants.iter().for_each(|entry| entry.tally.count(counted(key, entry)));
            Op::Put(variants.into())
        });
        put
    }

    /// One step under `key` that nobody else's comes between.
    fn compute(&self, key: &[u8], step: impl FnOnce(Option<Variants>) -> Op<Variants>) {
        let step = |old: Option<moka::Entry<Box<[u8]>, Variants>>| step(old.map(moka::Entry::into_value));
        self.at(key, |kept| drop(kept.entry(key.into()).and_compute_with(step)));
    }

    /// What `variants` under `key` weigh in `max_size`, and each is counted with.
    pub fn weight(key: &[u8], variants: &[Arc<Entry>]) -> u64 {
        u64::from(weight(key, variants))
    }

    /// Puts a complete entry under `key`; `request` is the fields of the request it answers. It takes the place of what
    /// that request would have found, unless that was asked for later.
    pub fn put(&self, key: &[u8], entry: &Arc<Entry>, request: &HeaderMap) -> Result<(), NotKept> {
        if entry.standing() == Standing::Invalidated {
            return Err(NotKept::Invalidated);
        }
        let mut kept = Err(NotKept::NoShelf);
        self.compute(key, |old| match joined(old.as_deref().unwrap_or_default(), entry, request, self.max_variants) {
            Some((variants, pushed_out)) => {
                kept = Ok(pushed_out);
                let stays = |entry: &Arc<Entry>| variants.iter().any(|other| Arc::ptr_eq(other, entry));
                old.iter()
                    .flat_map(|old| old.iter())
                    .filter(|entry| !stays(entry))
                    .for_each(|entry| entry.goes(Gone::Replaced));
                Op::Put(variants)
            }
            None => {
                kept = Err(NotKept::OlderThanStored);
                Op::Nop
            }
        });
        if kept? {
            self.reached.note(Bound::VariantsPerPath);
        }
        entry.tally.count(counted(key, entry));
        Ok(())
    }

    /// A place in the account of `payer` for an answer to `request` that is to come under `key`; `None` when it has as many as it may.
    pub fn charge(&self, payer: Payer, key: &[u8], request: &HeaderMap) -> Option<Charge> {
        let own = |payer| {
            let replaced = |entry: &Arc<Entry>| entry.selection.matches(request) && entry.tally.charge().is_to(payer);
            self.find(key).is_some_and(|variants| variants.iter().any(replaced))
        };
        let charge = self.accounts.charge(payer, own);
        if charge.is_none() {
            self.reached.note(Bound::KeysPerCaller);
        }
        charge
    }

    /// Puts `new` in the place of `old` under `key`, if that is still there.
    pub fn replace(&self, key: &[u8], old: &Arc<Entry>, new: &Arc<Entry>) {
        let is_old = |entry: &Arc<Entry>| Arc::ptr_eq(entry, old);
        self.compute(key, |found| {
            let found = found.filter(|variants| variants.iter().any(is_old));
            let Some(variants) = found else { return Op::Nop };
            new.tally.count(counted(key, new));
            Op::Put(variants.iter().map(|entry| Arc::clone(if is_old(entry) { new } else { entry })).collect())
        });
    }

    /// Weighs what is under `key` again: some of it takes more room than when it was put in.
    pub fn reweigh(&self, key: &[u8]) {
        self.compute(key, |found| {
            let Some(variants) = found else { return Op::Nop };
            for entry in variants.iter() {
                entry.tally.recount(counted(key, entry));
            }
            Op::Put(variants)
        });
    }

    /// Takes out what is under `key`.
    pub fn forget(&self, key: &[u8]) {
        self.at(key, |kept| kept.invalidate(key));
    }

    /// Something rare is about to be put in.
    pub fn note(&self, rare: Rare) {
        self.rare.fetch_or(rare as u8, Ordering::Release);
    }

    /// Whether that was ever put in.
    pub fn may_have(&self, rare: Rare) -> bool {
        self.rare.load(Ordering::Acquire) & rare as u8 != 0
    }

    /// How many keys there are.
    pub fn len(&self) -> u64 {
        self.sum(|shelf| shelf.kept.entry_count())
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes taken by what is stored.
    pub fn bytes(&self) -> u64 {
        self.sum(|shelf| shelf.kept.weighted_size())
    }

    /// How many keys had to go for want of room.
    pub fn evicted(&self) -> u64 {
        self.sum(Shelf::evicted)
    }

    fn sum(&self, of: impl Fn(&Shelf) -> u64) -> u64 {
        let mut sum = 0;
        self.each_shelf(|shelf| sum += of(shelf));
        sum
    }

    /// Bytes that there is room for, those of namespaces included.
    pub fn room(&self) -> u64 {
        self.sum(Shelf::room)
    }

    /// How many objects of a namespace had to go for want of room.
    pub fn evicted_of(&self, namespace: &str) -> u64 {
        self.objects.load().get(namespace.as_bytes()).map_or(0, |shelf| shelf.evicted())
    }

    /// Looks at every stored answer: `look` gets the key and the answers under it.
    pub fn scan(&self, mut look: impl FnMut(&[u8], &[Arc<Entry>])) {
        self.each_shelf(|shelf| shelf.scan(&mut look));
    }

    /// The same without objects.
    pub fn scan_answers(&self, look: impl FnMut(&[u8], &[Arc<Entry>])) {
        self.answers.scan(look);
    }

    /// The same for one namespace.
    pub fn scan_namespace(&self, namespace: &str, mut look: impl FnMut(&[u8], &[Arc<Entry>])) {
        let shelf = self.objects.load().get(namespace.as_bytes()).cloned();
        shelf.iter().for_each(|shelf| shelf.scan(&mut look));
    }

    /// Takes out what is dead and drops the cells that nobody holds; returns how many keys went. It reads every entry,
    /// so it belongs on a thread where that hurts nobody.
    pub fn sweep(&self, now: Now) -> usize {
        self.swept_at.store(self.scopes.epoch(), Ordering::Relaxed);
        let mut gone = 0;
        self.each_shelf(|shelf| gone += sweep(&shelf.kept, now));
        self.scopes.sweep();
        gone
    }

    /// Whether something was invalidated since the last sweep began.
    pub fn wants_sweep(&self) -> bool {
        self.swept_at.load(Ordering::Relaxed) != self.scopes.epoch()
    }
}

/// Takes out what is dead, unless something else has come in its place since it was looked at.
fn sweep(kept: &Kept, now: Now) -> usize {
    let mut gone = 0;
    let is_dead = |variants: &Variants| variants.iter().all(|entry| entry.is_dead(now));
    for (key, variants) in kept {
        if is_dead(&variants) {
            kept.entry_by_ref(&*key).and_compute_with(|old| match old {
                Some(old) if is_dead(old.value()) => {
                    old.value().iter().for_each(|entry| entry.goes(Gone::Expired));
                    Op::Remove
                }
                Some(_) | None => Op::Nop,
            });
            gone += 1;
            if gone % 256 == 0 {
                kept.run_pending_tasks();
            }
        }
    }
    kept.run_pending_tasks();
    gone
}

/// The variants with `entry` among them, and whether another one had to go for that; `None` when the store already has an answer to
/// this request that was asked for later.
fn joined(old: &[Arc<Entry>], entry: &Arc<Entry>, request: &HeaderMap, most: usize) -> Option<(Variants, bool)> {
    let age = |e: &Entry| (e.asked_at, e.confirmed_at);
    let mut variants = Vec::with_capacity(old.len() + 1);
    variants.push(Arc::clone(entry));
    for other in old {
        if !other.selection.matches(request) {
            if other.standing() != Standing::Invalidated {
                variants.push(Arc::clone(other));
            }
        } else if age(other) > age(entry) {
            return None;
        }
    }
    // A request may match several of them, and is given the first: the youngest question's, and of one epoch that with the
    // latest Date (RFC 9111 §4).
    if variants.len() > 1 {
        variants.sort_by_cached_key(|e| std::cmp::Reverse((age(e), e.date())));
    }
    let pushed_out = variants.len() > most;
    variants.truncate(most);
    Some((variants.into(), pushed_out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9111::{Facts, Selection, Sharing};
    use http::header::ACCEPT_LANGUAGE;
    use http::{HeaderValue, StatusCode};

    #[test]
    fn an_entry_and_its_counts_take_one_block_of_256_bytes() {
        // The allocator's next larger block has 320.
        assert!(size_of::<Entry>() + 2 * size_of::<usize>() <= 256, "{}", size_of::<Entry>());
    }

    fn speaking(language: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(language))])
    }

    fn entry(asked_at: Epoch, selection: Selection) -> Arc<Entry> {
        Arc::new(Entry {
            status: StatusCode::OK,
            reason: None,
            fields: Names::default().pack(&HeaderMap::new()),
            facts: Facts {
                answered: 0,
                initial_age: 0,
                lifetime: 1000,
                stale_while_revalidate: 0,
                stale_if_error: 0,
                always_validate: false,
                must_revalidate: false,
                immutable: false,
                source: crate::rfc9111::freshness::Source::MaxAge,
            },
            sharing: Sharing::Public,
            selection,
            held: Held::default(),
            asked_at,
            confirmed_at: asked_at,
            asked_time: 0,
            hits: Default::default(),
            content: std::sync::OnceLock::new(),
            tally: Tallied::new(Arc::default()),
        })
    }

    /// An answer without `Vary` that came late would be given to those for whom a younger one is stored.
    #[test]
    fn of_several_that_match_the_youngest_is_first() {
        let limits = Limits { variants_per_path: 8, keys_per_caller: 8 };
        let store = Store::new(&Settings::default(), limits, Arc::default());
        let english = entry(9, Selection::capture(&[ACCEPT_LANGUAGE], &speaking("en")));
        store.put(b"k", &english, &speaking("en")).unwrap();
        store.put(b"k", &entry(5, Selection::default()), &speaking("de")).unwrap();
        let found = store.find(b"k").unwrap();
        let ages = |request: &HeaderMap| {
            found.iter().filter(|e| e.selection.matches(request)).map(|e| e.asked_at).collect::<Vec<_>>()
        };
        assert_eq!(ages(&speaking("en")), [9, 5]);
        assert_eq!(ages(&speaking("de")), [5]);
        let late = store.put(b"k", &entry(8, Selection::default()), &speaking("en"));
        assert_eq!(late, Err(NotKept::OlderThanStored), "DESIGN rule 7");
    }
}
