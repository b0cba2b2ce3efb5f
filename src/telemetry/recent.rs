//! How one API went of late: the rate of the last step, and what its durations are compared with.
//!
//! Quantiles since the start would tell an operator nothing of today, and those of one step nothing of an API with three requests in it. So two
//! marks are kept, at least a minute apart; what was counted since the older one is of the last one to two minutes.

use super::reading::{ApiCounters, Durations, Reading, thousandths};

/// How far marks are apart, in milliseconds.
const APART: u64 = 60_000;

/// What was read of one API before.
#[derive(Debug, Default)]
pub(super) struct Recent {
    last: Reading,
    rate: f64,
    older: Mark,
    newer: Mark,
}

/// What had been counted at some moment.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    /// Monotonic milliseconds.
    at: u64,
    from_cache: Durations,
    origin: Durations,
}

impl Recent {
    /// A step of `elapsed` milliseconds ends with this reading; what was counted in it.
    pub(super) fn step(&mut self, now: Reading, mono: u64, elapsed: u64) -> Reading {
        let counted = now.since(&self.last);
        self.rate = thousandths(counted.requests() as f64 * 1e3 / elapsed.max(1) as f64);
        if mono.saturating_sub(self.newer.at) >= APART {
            let mark = Mark { at: mono, from_cache: now.from_cache, origin: now.origin };
            self.older = std::mem::replace(&mut self.newer, mark);
        }
        self.last = now;
        counted
    }

    /// This reading in words, with how it went of late.
    pub(super) fn told(&self, now: &Reading) -> ApiCounters {
        ApiCounters {
            requests_per_second: self.rate,
            hit_ms: now.from_cache.since(&self.older.from_cache).quantiles(),
            origin_ms: now.origin.since(&self.older.origin).quantiles(),
            ..now.summary()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(fast: u64, slow: u64) -> Reading {
        let mut reading = Reading::default();
        reading.kinds[0] = fast + slow;
        reading.from_cache.buckets[0] = fast;
        reading.from_cache.buckets[10] = slow;
        reading
    }

    #[test]
    fn what_is_told_is_of_the_last_one_or_two_minutes() {
        let (mut recent, mut now) = (Recent::default(), reading(0, 100));
        let p50 = |recent: &Recent, now: &Reading| recent.told(now).hit_ms.p50;
        assert!(p50(&recent, &now) > Some(50.0), "before the first step all of it counts");
        for step in 1..=36 {
            assert_eq!(recent.step(now.clone(), step * 5_000, 5_000).requests(), if step == 1 { 100 } else { 5 });
            assert_eq!(recent.told(&now).requests_per_second, if step == 1 { 20.0 } else { 1.0 });
            now = reading(step * 5, 100);
            let slow = p50(&recent, &now) > Some(50.0);
            assert_eq!(slow, step < 20, "{step}: half of a hundred and five for each step, until two minutes are over");
            if step >= 24 {
                assert!(recent.told(&now).hit_ms.p99 <= Some(0.05), "{step}");
            }
        }
        assert_eq!(recent.told(&now).requests, now.requests());
    }
}
