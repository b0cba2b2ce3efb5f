//! What was counted, as it is read: one moment's sums, differences of two such moments, and what they come to.

use super::labels::{BOUNDS, CLASSES, INVALIDATIONS};
use crate::gateway::Kind;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What was counted for one API since the start, and how it went of late.
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
    /// Requests per second in the last whole step of the [history](super::History); 0 before the first.
    pub requests_per_second: f64,
    /// How long answers from the cache took, in the last one or two minutes.
    pub hit_ms: Quantiles,
    /// How long the origin took to the head of its answers, in the last one or two minutes.
    pub origin_ms: Quantiles,
}

/// Durations in milliseconds, interpolated within the buckets of a histogram; `None` where nothing was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Quantiles {
    /// Half took no longer.
    pub p50: Option<f64>,
    /// Of a hundred, ninety-nine took no longer.
    pub p99: Option<f64>,
}

/// One reading of an API's counters, or the difference of two.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub(super) kinds: [u64; Kind::ALL.len()],
    pub(super) classes: [u64; CLASSES.len()],
    pub(super) from_cache: Durations,
    pub(super) from_origin: Durations,
    pub(super) passed: Durations,
    pub(super) origin: Durations,
    pub(super) bytes: u64,
    pub(super) invalidations: [u64; INVALIDATIONS],
    pub(super) asked_ms: u64,
    pub(super) asked: u64,
}

/// Why, by outcome, whether the answer was kept, and the reason's name.
pub(super) type Reasons = BTreeMap<(Kind, bool, &'static str), u64>;

/// One reading of a histogram; buckets don't include the ones below.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Durations {
    pub(super) buckets: [u64; BOUNDS.len() + 1],
    pub(super) micros: u64,
}

impl Reading {
    fn of(&self, kinds: &[Kind]) -> u64 {
        kinds.iter().map(|kind| self.kinds[*kind as usize]).sum()
    }

    /// All requests.
    pub(super) fn requests(&self) -> u64 {
        self.kinds.iter().sum()
    }

    /// Answered from the cache.
    pub(super) fn hits(&self) -> u64 {
        self.of(&[Kind::Hit, Kind::Stale])
    }

    /// Looked for in vain.
    pub(super) fn misses(&self) -> u64 {
        self.of(&[Kind::Miss, Kind::Joined, Kind::Revalidated])
    }

    /// `hits / (hits + misses)`; `None` where there were neither.
    pub(super) fn hit_ratio(&self) -> Option<f64> {
        let looked = self.hits() + self.misses();
        (looked > 0).then(|| self.hits() as f64 / looked as f64)
    }

    fn origin_ms_mean(&self) -> f64 {
        if self.asked == 0 { 0.0 } else { self.asked_ms as f64 / self.asked as f64 }
    }

    /// Milliseconds that callers would have waited.
    pub(super) fn origin_ms_saved(&self) -> u64 {
        (self.origin_ms_mean() * self.hits() as f64) as u64
    }

    /// In words of the whole time.
    pub(super) fn summary(&self) -> ApiCounters {
        ApiCounters {
            requests: self.requests(),
            hits: self.hits(),
            misses: self.misses(),
            hit_ratio: self.hit_ratio(),
            origin_ms_mean: self.origin_ms_mean(),
            origin_ms_saved: self.origin_ms_saved(),
            ..ApiCounters::default()
        }
    }

    /// What was counted between `before` and this. Counts only grow.
    pub(super) fn since(&self, before: &Reading) -> Reading {
        Reading {
            kinds: minus(&self.kinds, &before.kinds),
            classes: minus(&self.classes, &before.classes),
            from_cache: self.from_cache.since(&before.from_cache),
            from_origin: self.from_origin.since(&before.from_origin),
            passed: self.passed.since(&before.passed),
            origin: self.origin.since(&before.origin),
            bytes: self.bytes.saturating_sub(before.bytes),
            invalidations: minus(&self.invalidations, &before.invalidations),
            asked_ms: self.asked_ms.saturating_sub(before.asked_ms),
            asked: self.asked.saturating_sub(before.asked),
        }
    }

    /// Adds what was counted for another API.
    pub(super) fn add(&mut self, other: &Reading) {
        plus(&mut self.kinds, &other.kinds);
        plus(&mut self.classes, &other.classes);
        plus(&mut self.invalidations, &other.invalidations);
        self.from_cache.add(&other.from_cache);
        self.from_origin.add(&other.from_origin);
        self.passed.add(&other.passed);
        self.origin.add(&other.origin);
        self.bytes += other.bytes;
        self.asked_ms += other.asked_ms;
        self.asked += other.asked;
    }
}

impl Durations {
    pub(super) fn since(&self, before: &Durations) -> Durations {
        let micros = self.micros.saturating_sub(before.micros);
        Durations { buckets: minus(&self.buckets, &before.buckets), micros }
    }

    fn add(&mut self, other: &Durations) {
        plus(&mut self.buckets, &other.buckets);
        self.micros += other.micros;
    }

    /// Median and 99th percentile.
    pub(super) fn quantiles(&self) -> Quantiles {
        Quantiles { p50: self.quantile(0.5), p99: self.quantile(0.99) }
    }

    /// As Prometheus' `histogram_quantile` has it, in milliseconds: even within a bucket, and the last bound for what is beyond it.
    fn quantile(&self, part: f64) -> Option<f64> {
        let rank = self.buckets.iter().sum::<u64>() as f64 * part;
        let (mut below, mut from) = (0.0, 0.0);
        for (bound, count) in BOUNDS.iter().map(|bound| *bound as f64 / 1e3).zip(self.buckets) {
            let count = count as f64;
            if count > 0.0 && below + count >= rank {
                return Some(thousandths(from + (bound - from) * (rank - below) / count));
            }
            (below, from) = (below + count, bound);
        }
        (rank > 0.0).then_some(from)
    }
}

/// To three places, since no figure here is better than that.
pub(super) fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn minus<const N: usize>(now: &[u64; N], before: &[u64; N]) -> [u64; N] {
    std::array::from_fn(|n| now[n].saturating_sub(before[n]))
}

fn plus<const N: usize>(sums: &mut [u64; N], counts: &[u64; N]) {
    sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_even_within_a_bucket() {
        let mut durations = Durations::default();
        assert_eq!(durations.quantiles(), Quantiles::default());
        durations.buckets[3] = 100; // 250 µs to 500 µs
        assert_eq!(durations.quantiles(), Quantiles { p50: Some(0.375), p99: Some(0.498) });
        durations.buckets[BOUNDS.len()] = 100; // beyond the last
        assert_eq!(durations.quantiles(), Quantiles { p50: Some(0.5), p99: Some(30_000.0) });
        let later = Durations {
            buckets: {
                let mut more = durations.buckets;
                more[4] = 1;
                more
            },
            ..durations
        };
        assert_eq!(later.since(&durations).quantiles().p50, Some(0.75), "only what has come since");
    }
}
