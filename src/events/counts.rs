//! What is counted of events.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How an event came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// `POST /v1/events`.
    Http,
    /// A channel of PostgreSQL.
    Postgres,
    /// A stream of Redis.
    Redis,
}

impl Via {
    const ALL: [Via; 3] = [Via::Http, Via::Postgres, Via::Redis];

    /// The word of metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Via::Http => "http",
            Via::Postgres => "postgres",
            Via::Redis => "redis",
        }
    }
}

/// What became of an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Applied,
    Duplicate,
    /// No valid event; on a source, a message that says nothing.
    Refused,
    NoRule,
}

const FATES: [(Fate, &str); 4] =
    [(Fate::Applied, "applied"), (Fate::Duplicate, "duplicate"), (Fate::Refused, "refused"), (Fate::NoRule, "no-rule")];

/// The counters; a request that is refused counts once, however many events it had.
#[derive(Debug, Default)]
pub struct Counts {
    fates: [[AtomicU64; FATES.len()]; Via::ALL.len()],
    gaps: [AtomicU64; Via::ALL.len()],
    fired: AtomicU64,
    done: AtomicU64,
    skipped: AtomicU64,
}

impl Counts {
    pub(super) fn note(&self, via: Via, fate: Fate) {
        if let Some(count) = self.fates.get(via as usize).and_then(|fates| fates.get(fate as usize)) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn gap(&self, via: Via) {
        if let Some(count) = self.gaps.get(via as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn fired(&self) {
        self.fired.fetch_add(1, Relaxed);
    }

    pub(super) fn action(&self, done: bool) {
        if done { &self.done } else { &self.skipped }.fetch_add(1, Relaxed);
    }

    /// How events came, what became of them, how many.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        let of = |(via, fates): (Via, &'_ [AtomicU64; FATES.len()])| {
            let counts: Vec<_> = fates.iter().map(|count| count.load(Relaxed)).collect();
            FATES.iter().zip(counts).map(move |((_, fate), count)| (via.name(), *fate, count))
        };
        Via::ALL.into_iter().zip(&self.fates).flat_map(of)
    }

    /// Gaps, by how events come.
    pub fn gaps(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Via::ALL.into_iter().zip(&self.gaps).map(|(via, count)| (via.name(), count.load(Relaxed)))
    }

    /// How often rules were for an event.
    pub fn rules(&self) -> u64 {
        self.fired.load(Relaxed)
    }

    /// What rules did, by whether they could.
    pub fn actions(&self) -> [(&'static str, u64); 2] {
        [("done", self.done.load(Relaxed)), ("skipped", self.skipped.load(Relaxed))]
    }
}
