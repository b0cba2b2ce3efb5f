//! What is counted, by API.
//!
//! Each API has several copies of its counters, a thread adds to one of them, and whoever reads sums them up: cores don't
//! take the same cache line from each other on every request. Additions are relaxed; a reading is a moment's view, of
//! which each number is exact and no two need agree. The copies live as long as the API does.
//!
//! Reasons are counted in a map, since each part names its own; hits have none. Its size is bounded by the names in the
//! program, which is what `&'static str` says.

use super::labels::{BOUNDS, By, CLASSES, INVALIDATIONS, NO_API};
use super::reading::{ApiCounters, Durations, Reading, Reasons};
use super::recent::Recent;
use super::record::Record;
use crate::gateway::{BY_PURGE, Kind};
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// Copies of the counters of each API.
const SHARDS: usize = 8;
/// The counters of all APIs.
#[derive(Debug, Default)]
pub(super) struct Counters {
    apis: ArcSwap<BTreeMap<Arc<str>, Arc<Api>>>,
    none: Arc<Api>,
}

/// The counters of one API.
#[derive(Debug, Default)]
pub(super) struct Api {
    shards: [Shard; SHARDS],
    reasons: RwLock<HashMap<(Kind, bool, &'static str), AtomicU64>>,
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    kinds: [AtomicU64; Kind::ALL.len()],
    classes: [AtomicU64; CLASSES.len()],
    from_cache: Histogram,
    from_origin: Histogram,
    passed: Histogram,
    origin: Histogram,
    asked_ms: AtomicU64,
    asked: AtomicU64,
    bytes: AtomicU64,
    invalidations: [AtomicU64; INVALIDATIONS],
}

impl Shard {
    fn invalidated(&self, by: By, soft: bool) {
        if let Some(count) = self.invalidations.get(by.place(soft)) {
            count.fetch_add(1, Relaxed);
        }
    }
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    fn add(&self, micros: u64) {
        if let Some(bucket) = self.buckets.get(BOUNDS.partition_point(|bound| *bound < micros)) {
            bucket.fetch_add(1, Relaxed);
        }
        self.micros.fetch_add(micros, Relaxed);
    }
}

impl Counters {
    /// Counts for `apis` from now on; those that stay keep their counters.
    pub(super) fn set_apis(&self, apis: impl IntoIterator<Item = Arc<str>>) {
        let apis: Vec<Arc<str>> = apis.into_iter().collect();
        self.apis.rcu(|old| {
            let kept = apis.iter().map(|id| (Arc::clone(id), old.get(id).cloned().unwrap_or_default()));
            kept.collect::<BTreeMap<_, _>>()
        });
    }

    pub(super) fn count(&self, record: &Record) {
        let apis = self.apis.load();
        let known = record.outcome.api.as_deref().and_then(|id| apis.get(id));
        known.unwrap_or(&self.none).count(record);
    }

    pub(super) fn invalidated(&self, api: Option<&str>, by: By, soft: bool) {
        let apis = self.apis.load();
        let known = api.and_then(|id| apis.get(id));
        known.unwrap_or(&self.none).shard().invalidated(by, soft);
    }

    pub(super) fn api(&self, id: &str) -> ApiCounters {
        self.apis.load().get(id).map(|api| api.summary()).unwrap_or_default()
    }

    /// Every API by name, and what belongs to none.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<Api>)> {
        let apis = self.apis.load();
        let named = apis.iter().map(|(id, api)| (Arc::clone(id), Arc::clone(api)));
        named.chain([(NO_API.into(), Arc::clone(&self.none))]).collect()
    }

    /// A step of the history ends that has taken `elapsed` milliseconds; what was counted in it, of all.
    pub(super) fn step(&self, mono: u64, elapsed: u64) -> Reading {
        let mut sum = Reading::default();
        for (_, api) in self.all() {
            let now = api.read();
            sum.add(&api.recent().step(now, mono, elapsed));
        }
        sum
    }
}

impl Api {
    /// The copy that this thread adds to.
    fn shard(&self) -> &Shard {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static MINE: usize = NEXT.fetch_add(1, Relaxed) % SHARDS);
        &self.shards[MINE.with(|mine| *mine)]
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn summary(&self) -> ApiCounters {
        let reading = self.read();
        self.recent().told(&reading)
    }

    fn count(&self, record: &Record) {
        let (shard, outcome) = (self.shard(), &record.outcome);
        shard.kinds[place(outcome.kind)].fetch_add(1, Relaxed);
        if let Some(class) = shard.classes.get(usize::from(record.status.as_u16() / 100).wrapping_sub(1)) {
            class.fetch_add(1, Relaxed);
        }
        shard.bytes.fetch_add(record.bytes_out, Relaxed);
        match outcome.kind {
            Kind::Hit | Kind::Stale => shard.from_cache.add(micros(record.took)),
            Kind::Revalidated | Kind::Miss | Kind::Joined | Kind::Failed => shard.from_origin.add(micros(record.took)),
            Kind::Pass | Kind::Write => shard.passed.add(micros(record.took)),
            Kind::Tunnel | Kind::Refused => {}
        }
        if let Some(ms) = outcome.origin_ms {
            shard.origin.add(ms.saturating_mul(1_000));
            if matches!(outcome.kind, Kind::Miss | Kind::Revalidated) {
                shard.asked_ms.fetch_add(ms, Relaxed);
                shard.asked.fetch_add(1, Relaxed);
            }
        }
        if outcome.invalidated {
            shard.invalidated(if outcome.reason == Some(BY_PURGE) { By::Purge } else { By::Write }, false);
        }
        if let Some(reason) = outcome.reason {
            self.count_reason((outcome.kind, outcome.stored, reason));
        }
    }

    fn count_reason(&self, why: (Kind, bool, &'static str)) {
        if let Some(count) = self.reasons.read().unwrap_or_else(PoisonError::into_inner).get(&why) {
            count.fetch_add(1, Relaxed);
            return;
        }
        let mut reasons = self.reasons.write().unwrap_or_else(PoisonError::into_inner);
        reasons.entry(why).or_default().fetch_add(1, Relaxed);
    }

    /// A reading of the reasons.
    pub(super) fn reasons(&self) -> Reasons {
        let reasons = self.reasons.read().unwrap_or_else(PoisonError::into_inner);
        reasons.iter().map(|(why, count)| (*why, count.load(Relaxed))).collect()
    }

    /// A reading of the rest.
    pub(super) fn read(&self) -> Reading {
        let mut sum = Reading::default();
        for shard in &self.shards {
            add_all(&mut sum.kinds, &shard.kinds);
            add_all(&mut sum.classes, &shard.classes);
            shard.from_cache.add_to(&mut sum.from_cache);
            shard.from_origin.add_to(&mut sum.from_origin);
            shard.passed.add_to(&mut sum.passed);
            shard.origin.add_to(&mut sum.origin);
            sum.asked_ms += shard.asked_ms.load(Relaxed);
            sum.asked += shard.asked.load(Relaxed);
            sum.bytes += shard.bytes.load(Relaxed);
            add_all(&mut sum.invalidations, &shard.invalidations);
        }
        sum
    }
}

impl Histogram {
    fn add_to(&self, sum: &mut Durations) {
        add_all(&mut sum.buckets, &self.buckets);
        sum.micros += self.micros.load(Relaxed);
    }
}

/// The place of `kind` in [`Kind::ALL`], which has the order of its declaration.
fn place(kind: Kind) -> usize {
    kind as usize
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn add_all(sums: &mut [u64], counts: &[AtomicU64]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count.load(Relaxed);
    }
}
