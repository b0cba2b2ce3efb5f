//! The last hour, step by step, for those who draw it.
//!
//! A [`Sample`] is what happened in one step of [`STEP`] seconds. Steps lie on a grid of the monotonic clock, so that a late look makes none longer for
//! good; rates are by the time that has really passed. After a pause (a machine that slept) there is one sample for all of it.
//!
//! Whoever follows holds a place in the row and no copy of it: one who reads slowly, or not at all, costs nothing more, and goes on
//! with what is there when he comes back.

use super::counters::Counters;
use super::reading::thousandths;
use crate::clock::Now;
use crate::counted::Counted;
use crate::reached::{Bound, Reached};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use utoipa::ToSchema;

/// Seconds of a step.
pub const STEP: u64 = 5;
/// Steps that are remembered: an hour.
const STEPS: usize = 720;
/// How many may follow at a time.
const FOLLOWERS: usize = 16;

/// What happened in one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Its end, in seconds since 1970.
    pub t: u64,
    /// Requests per second.
    pub requests: f64,
    /// Of these, answered from the cache.
    pub hits: f64,
    /// Of these, looked for in vain.
    pub misses: f64,
    /// `hits / (hits + misses)`; `null` where there were neither.
    pub hit_ratio: Option<f64>,
    /// Milliseconds that half of the answers from the cache took at the most; `null` where there were none.
    pub hit_ms_p50: Option<f64>,
    /// The same of 99 in a hundred.
    pub hit_ms_p99: Option<f64>,
    /// Milliseconds that the origin took for half of its answers at the most; `null` where it wasn't asked.
    pub origin_ms_p50: Option<f64>,
    /// The same of 99 in a hundred.
    pub origin_ms_p99: Option<f64>,
    /// Bytes in the store at its end.
    pub bytes: u64,
    /// Answers in the store at its end.
    pub entries: u64,
    /// Keys per second that had to go for want of room.
    pub evictions: f64,
    /// Invalidations per second.
    pub invalidations: f64,
}

/// What the store has at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stored {
    /// Bytes.
    pub bytes: u64,
    /// Answers.
    pub entries: u64,
    /// Keys that had to go for want of room since the start.
    pub evicted: u64,
}

/// The samples of the last hour as columns, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "each is the member of that name of every sample")]
pub struct Hour {
    /// Seconds of a step.
    pub step: u64,
    pub t: Vec<u64>,
    pub requests: Vec<f64>,
    pub hits: Vec<f64>,
    pub misses: Vec<f64>,
    pub hit_ratio: Vec<Option<f64>>,
    pub hit_ms_p50: Vec<Option<f64>>,
    pub hit_ms_p99: Vec<Option<f64>>,
    pub origin_ms_p50: Vec<Option<f64>>,
    pub origin_ms_p99: Vec<Option<f64>>,
    pub bytes: Vec<u64>,
    pub entries: Vec<u64>,
    pub evictions: Vec<f64>,
    pub invalidations: Vec<f64>,
}

/// The samples of the last hour.
#[derive(Debug)]
pub struct History {
    row: Mutex<Row>,
    /// When the last sample was taken; one is taken at a time.
    last: Mutex<Last>,
    /// How many there have been.
    taken: watch::Sender<u64>,
    followers: Arc<AtomicUsize>,
    reached: Arc<Reached>,
}

#[derive(Debug, Default)]
struct Row {
    samples: VecDeque<Sample>,
    /// How many there have been; the last one has the number before.
    taken: u64,
}

#[derive(Debug)]
struct Last {
    mono: u64,
    evicted: u64,
}

impl History {
    /// None yet; the first step has begun.
    pub fn new(now: Now, reached: Arc<Reached>) -> Arc<Self> {
        let (row, followers) = Default::default();
        let last = Mutex::new(Last { mono: now.mono, evicted: 0 });
        Arc::new(History { row, last, taken: watch::Sender::new(0), followers, reached })
    }

    /// How long it is until the step ends that `mono` lies in.
    pub fn left(mono: u64) -> Duration {
        Duration::from_millis(STEP * 1000 - mono % (STEP * 1000))
    }

    /// Takes a sample if a step has ended since the last one.
    pub(super) fn sample(&self, now: Now, counters: &Counters, stored: impl FnOnce() -> Stored) {
        let mut last = lock(&self.last);
        let step = |mono: u64| mono / (STEP * 1000);
        if step(now.mono) <= step(last.mono) {
            return;
        }
        let elapsed = now.mono - last.mono;
        let (counted, stored) = (counters.step(now.mono, elapsed), stored());
        let rate = |count: u64| thousandths(count as f64 * 1e3 / elapsed as f64);
        let (hit, origin) = (counted.from_cache.quantiles(), counted.origin.quantiles());
        let sample = Sample {
            t: now.unix / 1000,
            requests: rate(counted.requests()),
            hits: rate(counted.hits()),
            misses: rate(counted.misses()),
            hit_ratio: counted.hit_ratio().map(thousandths),
            hit_ms_p50: hit.p50,
            hit_ms_p99: hit.p99,
            origin_ms_p50: origin.p50,
            origin_ms_p99: origin.p99,
            bytes: stored.bytes,
            entries: stored.entries,
            evictions: rate(stored.evicted.saturating_sub(last.evicted)),
            invalidations: rate(counted.invalidations.iter().sum()),
        };
        *last = Last { mono: now.mono, evicted: stored.evicted };
        self.push(sample);
    }

    fn push(&self, sample: Sample) {
        let mut row = lock(&self.row);
        if row.samples.len() == STEPS {
            row.samples.pop_front();
        }
        row.samples.push_back(sample);
        row.taken += 1;
        self.taken.send_replace(row.taken);
    }

    /// All that there is.
    pub fn hour(&self) -> Hour {
        let mut hour = Hour { step: STEP, ..Hour::default() };
        lock(&self.row).samples.iter().for_each(|sample| hour.push(sample));
        hour
    }

    /// Follows it from the sample after the one of `since`, in seconds since 1970; without that, from the last one on. `None` when
    /// as many do already as may.
    pub fn follow(self: &Arc<Self>, since: Option<u64>) -> Option<Follower> {
        let Some(counted) = Counted::up_to(&self.followers, FOLLOWERS) else {
            self.reached.note(Bound::TrafficStreams);
            return None;
        };
        let taken = self.taken.subscribe();
        let row = lock(&self.row);
        let seen = match since {
            None => row.samples.len().saturating_sub(1),
            // The wall clock may have been set back: the sample itself is looked for first.
            Some(t) => match row.samples.iter().rposition(|sample| sample.t == t) {
                Some(place) => place + 1,
                None => row.samples.iter().position(|sample| sample.t > t).unwrap_or(row.samples.len()),
            },
        };
        let next = row.first() + seen as u64;
        Some(Follower { history: Arc::clone(self), taken, next, _counted: counted })
    }

    /// How many follow.
    pub fn followers(&self) -> usize {
        self.followers.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Row {
    /// The number of the oldest one.
    fn first(&self) -> u64 {
        self.taken - self.samples.len() as u64
    }
}

impl Hour {
    fn push(&mut self, sample: &Sample) {
        self.t.push(sample.t);
        self.requests.push(sample.requests);
        self.hits.push(sample.hits);
        self.misses.push(sample.misses);
        self.hit_ratio.push(sample.hit_ratio);
        self.hit_ms_p50.push(sample.hit_ms_p50);
        self.hit_ms_p99.push(sample.hit_ms_p99);
        self.origin_ms_p50.push(sample.origin_ms_p50);
        self.origin_ms_p99.push(sample.origin_ms_p99);
        self.bytes.push(sample.bytes);
        self.entries.push(sample.entries);
        self.evictions.push(sample.evictions);
        self.invalidations.push(sample.invalidations);
    }
}

/// One who follows, until it is dropped.
#[derive(Debug)]
pub struct Follower {
    history: Arc<History>,
    taken: watch::Receiver<u64>,
    /// The number of the sample that is next.
    next: u64,
    _counted: Counted,
}

impl Follower {
    /// The next sample, once it is there. What has left the row by now is passed over. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Sample {
        loop {
            self.taken.borrow_and_update();
            if let Some(sample) = self.at_once() {
                return sample;
            }
            // The sender is held by the history, which is held here.
            drop(self.taken.changed().await);
        }
    }

    fn at_once(&mut self) -> Option<Sample> {
        let row = lock(&self.history.row);
        let first = row.first();
        let number = self.next.max(first);
        let sample = row.samples.get(usize::try_from(number - first).ok()?).copied()?;
        self.next = number + 1;
        Some(sample)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: u64) -> Now {
        Now { mono: step * STEP * 1000, unix: (1_000_000 + step * STEP) * 1000 }
    }

    fn history(steps: std::ops::Range<u64>) -> Arc<History> {
        let (history, counters) = (History::new(Now::default(), Arc::default()), Counters::default());
        steps.for_each(|step| history.sample(at(step), &counters, Stored::default));
        history
    }

    #[test]
    fn one_sample_for_each_step_whoever_looks_how_often() {
        let (history, counters) = (history(1..3), Counters::default());
        for _ in 0..3 {
            history.sample(Now { mono: at(2).mono + 4_999, ..at(2) }, &counters, Stored::default);
        }
        assert_eq!(history.hour().t, [1_000_005, 1_000_010]);
        let evicted = |evicted| move || Stored { evicted, ..Stored::default() };
        history.sample(Now { mono: 15_100, ..at(3) }, &counters, evicted(51));
        history.sample(at(4), &counters, evicted(100));
        assert_eq!(history.hour().evictions, [0.0, 0.0, 10.0, 10.0], "by the time that has passed");
        assert_eq!(History::left(15_100), Duration::from_millis(4_900));
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let history = history(1..1_000);
        let hour = history.hour();
        assert_eq!((hour.t.len(), hour.t[0], hour.t[719]), (720, 1_001_400, 1_004_995));
    }

    #[tokio::test]
    async fn a_follower_misses_nothing_that_is_still_there() {
        let (history, counters) = (history(1..10), Counters::default());
        let mut all = history.follow(Some(0)).unwrap();
        let mut some = history.follow(Some(1_000_035)).unwrap();
        let mut last = history.follow(None).unwrap();
        let mut between = history.follow(Some(1_000_037)).unwrap();
        let mut none = history.follow(Some(u64::MAX)).unwrap();
        assert_eq!(all.next().await.t, 1_000_005);
        assert_eq!((some.next().await.t, some.next().await.t), (1_000_040, 1_000_045));
        assert_eq!(last.next().await.t, 1_000_045);
        assert_eq!(between.next().await.t, 1_000_040);
        assert!(none.at_once().is_none());
        for step in 10..900 {
            history.sample(at(step), &counters, Stored::default);
        }
        assert_eq!(none.next().await.t, 1_000_900, "as many as are kept, the oldest first");
        assert_eq!(all.next().await.t, 1_000_900);
        assert_eq!(last.next().await.t, 1_000_900);
    }

    #[test]
    fn sixteen_may_follow() {
        let history = history(1..3);
        let mut followers: Vec<_> = (0..FOLLOWERS).map(|_| history.follow(None).unwrap()).collect();
        assert!(history.follow(None).is_none());
        followers.pop();
        assert!(history.follow(None).is_some());
        assert!(history.reached.counts().any(|count| count == ("traffic_streams", 1)));
    }
}
