//! What is counted, by API.
//!
//! Each API has several copies of its counters, a thread adds to one of them, and whoever reads sums them up: cores don't
//! take the same cache line from each other on every request. Additions are relaxed; a reading is a moment's view, of
//! which each number is exact and no two need agree. The copies live as long as the API does.
//!
//! Reasons are counted in a map, since each part names its own; hits have none. Its size is bounded by the names in the
//! program, which is what `&'static str` says.

use super::record::Record;
use crate::gateway::Kind;
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Copies of the counters of each API.
const SHARDS: usize = 8;
/// Upper bounds of the histograms, in microseconds; beyond the last is `+Inf`.
pub(super) const BOUNDS: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];
/// `1xx` to `5xx`.
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// The label of what belongs to no API; no id of one, since those hold a `/`.
pub(super) const NO_API: &str = "none";

/// What was counted for one API since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ApiCounters {
    /// Requests that reached it.
    pub requests: u64,
    /// Answered from the cache, fresh or stale, without asking the origin.
    pub hits: u64,
    /// The cache was asked and couldn't answer alone: misses, joined fills, revalidations.
    pub misses: u64,
    /// `hits / (hits + misses)`; `None` before the first.
    pub hit_ratio: Option<f64>,
    /// Mean milliseconds of the origin's answers to misses and revalidations.
    pub origin_ms_mean: f64,
    /// That mean times the hits: milliseconds that callers would have waited.
    pub origin_ms_saved: u64,
}

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
    reasons: RwLock<HashMap<(Kind, &'static str), AtomicU64>>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    kinds: [AtomicU64; Kind::ALL.len()],
    classes: [AtomicU64; CLASSES.len()],
    from_cache: Histogram,
    from_origin: Histogram,
    origin: Histogram,
    asked_ms: AtomicU64,
    asked: AtomicU64,
    bytes: AtomicU64,
    invalidations: AtomicU64,
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

/// One reading of an API's counters.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) kinds: [u64; Kind::ALL.len()],
    pub(super) classes: [u64; CLASSES.len()],
    pub(super) from_cache: Durations,
    pub(super) from_origin: Durations,
    pub(super) origin: Durations,
    pub(super) bytes: u64,
    pub(super) invalidations: u64,
    pub(super) reasons: BTreeMap<(&'static str, &'static str), u64>,
    asked_ms: u64,
    asked: u64,
}

/// One reading of a histogram; buckets don't include the ones below.
#[derive(Debug, Default)]
pub(super) struct Durations {
    pub(super) buckets: [u64; BOUNDS.len() + 1],
    pub(super) micros: u64,
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

    pub(super) fn invalidated(&self, api: Option<&str>) {
        let apis = self.apis.load();
        let known = api.and_then(|id| apis.get(id));
        known.unwrap_or(&self.none).shard().invalidations.fetch_add(1, Relaxed);
    }

    pub(super) fn api(&self, id: &str) -> ApiCounters {
        self.apis.load().get(id).map(|api| api.read().summary()).unwrap_or_default()
    }

    /// A reading of every API by name, and of what belongs to none.
    pub(super) fn read(&self) -> Vec<(Arc<str>, Reading)> {
        let apis = self.apis.load();
        let mut readings: Vec<_> = apis.iter().map(|(id, api)| (Arc::clone(id), api.read())).collect();
        readings.push((NO_API.into(), self.none.read()));
        readings
    }
}

impl Api {
    /// The copy that this thread adds to.
    fn shard(&self) -> &Shard {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static MINE: usize = NEXT.fetch_add(1, Relaxed) % SHARDS);
        &self.shards[MINE.with(|mine| *mine)]
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
            Kind::Revalidated | Kind::Miss | Kind::Joined | Kind::Pass | Kind::Write | Kind::Failed => {
                shard.from_origin.add(micros(record.took));
            }
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
            shard.invalidations.fetch_add(1, Relaxed);
        }
        if let Some(reason) = outcome.reason {
            self.count_reason(outcome.kind, reason);
        }
    }

    fn count_reason(&self, kind: Kind, reason: &'static str) {
        if let Some(count) = self.reasons.read().unwrap_or_else(PoisonError::into_inner).get(&(kind, reason)) {
            count.fetch_add(1, Relaxed);
            return;
        }
        let mut reasons = self.reasons.write().unwrap_or_else(PoisonError::into_inner);
        reasons.entry((kind, reason)).or_default().fetch_add(1, Relaxed);
    }

    fn read(&self) -> Reading {
        let mut sum = Reading::default();
        for shard in &self.shards {
            add_all(&mut sum.kinds, &shard.kinds);
            add_all(&mut sum.classes, &shard.classes);
            sum.from_cache.add(&shard.from_cache);
            sum.from_origin.add(&shard.from_origin);
            sum.origin.add(&shard.origin);
            sum.asked_ms += shard.asked_ms.load(Relaxed);
            sum.asked += shard.asked.load(Relaxed);
            sum.bytes += shard.bytes.load(Relaxed);
            sum.invalidations += shard.invalidations.load(Relaxed);
        }
        for ((kind, reason), count) in &*self.reasons.read().unwrap_or_else(PoisonError::into_inner) {
            sum.reasons.insert((kind.name(), reason), count.load(Relaxed));
        }
        sum
    }
}

impl Durations {
    fn add(&mut self, shard: &Histogram) {
        add_all(&mut self.buckets, &shard.buckets);
        self.micros += shard.micros.load(Relaxed);
    }
}

impl Reading {
    pub(super) fn summary(&self) -> ApiCounters {
        let of = |kinds: &[Kind]| kinds.iter().map(|kind| self.kinds[place(*kind)]).sum::<u64>();
        let hits = of(&[Kind::Hit, Kind::Stale]);
        let misses = of(&[Kind::Miss, Kind::Joined, Kind::Revalidated]);
        let looked = hits + misses;
        let origin_ms_mean = if self.asked == 0 { 0.0 } else { self.asked_ms as f64 / self.asked as f64 };
        let origin_ms_saved = (origin_ms_mean * hits as f64) as u64;
        ApiCounters {
            requests: self.kinds.iter().sum(),
            hits,
            misses,
            hit_ratio: (looked > 0).then(|| hits as f64 / looked as f64),
            origin_ms_mean,
            origin_ms_saved,
        }
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
