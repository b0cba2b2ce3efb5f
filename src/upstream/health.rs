//! Whether an endpoint is to be asked: what its answers, its own word and the checks say.
//!
//! Three things keep requests away from it. *Failures*: so many questions in a row without an answer, or with 502, 503 or 504, and it
//! rests for a while, longer each time. *Its own word*: a 503 with `Retry-After` (RFC 9110 §10.2.3). *Checks*: it was asked how
//! it is, and didn't say well. One that comes back gets its share again little by little.
//!
//! Nothing here is final: when all rest, they are asked all the same, since a guess that it may work is better than the certainty
//! that it doesn't. Only checks can take the last one out.
//!
//! Everything is a plain number that is read on every request and written seldom: a success writes only where there
//! was a failure before. Times are the process's monotonic milliseconds.

use super::settings::Health;
use crate::clock::millis;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What is known of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Failures since the last success.
    failed: AtomicU32,
    /// How often in a row it was sent to rest.
    rests: AtomicU32,
    /// Rests until then.
    until: AtomicU64,
    /// Its checks have failed.
    down: AtomicBool,
    /// Checks in a row that said the opposite of `down`.
    contrary: AtomicU32,
    /// When it came back, or will; 0 when it was never away.
    back: AtomicU64,
}

/// What a check changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Up,
    Down,
}

impl Standing {
    /// Whether its checks have taken it out.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Relaxed)
    }

    /// Whether it rests.
    pub(super) fn rests(&self, now: u64) -> bool {
        self.until.load(Relaxed) > now
    }

    /// Its share of what it gets when it is well, in thousandths; at least a tenth.
    pub(super) fn share(&self, settings: &Health, now: u64) -> u64 {
        let (back, whole) = (self.back.load(Relaxed), millis(settings.slow_start));
        if back == 0 || now >= back.saturating_add(whole) {
            return 1000;
        }
        100.max(now.saturating_sub(back).saturating_mul(1000) / whole.max(1))
    }

    /// It has answered.
    pub(super) fn succeeded(&self, settings: &Health, now: u64) {
        if self.failed.load(Relaxed) != 0 {
            self.failed.store(0, Relaxed);
        }
        // One that has got through its return is as good as any.
        if self.rests.load(Relaxed) != 0 && self.share(settings, now) == 1000 && !self.rests(now) {
            self.rests.store(0, Relaxed);
        }
    }

    /// It has not. For how long it rests now, if this was the one too many and it `may`.
    pub(super) fn failed(&self, settings: &Health, may: impl FnOnce() -> bool, now: u64) -> Option<Duration> {
        let failed = self.failed.fetch_add(1, Relaxed).saturating_add(1);
        if settings.failures == 0 || failed < settings.failures || self.rests(now) || !may() {
            return None;
        }
        self.failed.store(0, Relaxed);
        let times = self.rests.fetch_add(1, Relaxed);
        let rest = settings.rest.saturating_mul(1u32.checked_shl(times).unwrap_or(u32::MAX)).min(settings.max_rest);
        self.rest_for(rest, now);
        Some(rest)
    }

    /// It has asked to be left alone; for how long it will be.
    pub(super) fn asked_for(&self, rest: Duration, settings: &Health, now: u64) -> Duration {
        let rest = rest.min(settings.max_rest);
        self.rest_for(rest, now);
        rest
    }

    fn rest_for(&self, rest: Duration, now: u64) {
        let until = now.saturating_add(millis(rest));
        self.until.fetch_max(until, Relaxed);
        self.back.fetch_max(until, Relaxed);
    }

    /// What a check said. Checks of one endpoint come one after the other.
    pub(super) fn checked(&self, good: bool, rise: u32, fall: u32, now: u64) -> Option<Turn> {
        let down = self.is_down();
        if good != down {
            self.contrary.store(0, Relaxed);
            return None;
        }
        let contrary = self.contrary.fetch_add(1, Relaxed).saturating_add(1);
        if contrary < if down { rise } else { fall } {
            return None;
        }
        self.contrary.store(0, Relaxed);
        self.down.store(!down, Relaxed);
        if down {
            self.back.fetch_max(now, Relaxed);
        }
        Some(if down { Turn::Up } else { Turn::Down })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1000;

    fn settings() -> Health {
        let s = Duration::from_secs;
        Health { failures: 3, rest: s(10), max_rest: s(35), slow_start: s(20), ..Health::default() }
    }

    #[test]
    fn so_many_failures_in_a_row_and_it_rests_longer_each_time() {
        let (standing, settings) = (Standing::default(), settings());
        let fail = |now| standing.failed(&settings, || true, now);
        let rest_at = |now: u64, seconds: u64| {
            assert_eq!([fail(now), fail(now)], [None; 2]);
            assert_eq!(fail(now), Some(Duration::from_secs(seconds)), "at {now}");
            assert!(standing.rests(now + seconds * S - 1) && !standing.rests(now + seconds * S));
            now + seconds * S
        };
        let back = rest_at(0, 10);
        let back = rest_at(back, 20);
        let back = rest_at(back, 35);
        assert_eq!(rest_at(back, 35), back + 35 * S, "never longer than the most");
    }

    #[test]
    fn a_success_between_them_counts_and_so_does_a_return() {
        let (standing, settings) = (Standing::default(), settings());
        let fail = |now| standing.failed(&settings, || true, now);
        assert_eq!([fail(0), fail(0)], [None; 2]);
        standing.succeeded(&settings, 0);
        assert_eq!([fail(0), fail(0)], [None; 2]);
        assert!(fail(0).is_some());
        let shares = [10, 12, 20, 29, 30].map(|s| standing.share(&settings, s * S));
        assert_eq!(shares, [100, 100, 500, 950, 1000], "it comes back little by little");
        standing.succeeded(&settings, 30 * S);
        assert_eq!([fail(31 * S), fail(31 * S)], [None; 2]);
        assert_eq!(fail(31 * S), Some(Duration::from_secs(10)), "its past is forgotten");
    }

    #[test]
    fn the_last_one_never_rests_for_its_failures() {
        let (standing, settings) = (Standing::default(), settings());
        assert!((0..10).all(|_| standing.failed(&settings, || false, 0).is_none()));
        assert!(!standing.rests(0));
        let never = Health { failures: 0, ..settings };
        assert!((0..10).all(|_| standing.failed(&never, || true, 0).is_none()));
    }

    #[test]
    fn its_own_word_is_listened_to_within_bounds() {
        let (standing, settings) = (Standing::default(), settings());
        assert_eq!(standing.asked_for(Duration::from_secs(9), &settings, 0), Duration::from_secs(9));
        assert!(standing.rests(9 * S - 1) && !standing.rests(9 * S));
        assert_eq!(standing.asked_for(Duration::MAX, &settings, 0), Duration::from_secs(35));
    }

    #[test]
    fn checks_count_in_a_row() {
        let standing = Standing::default();
        let mut now = 0;
        let mut check = |good| {
            now += S;
            standing.checked(good, 2, 3, now)
        };
        assert_eq!([false, false, true, false, false].map(&mut check), [None; 5]);
        assert_eq!(check(false), Some(Turn::Down));
        assert!(standing.is_down());
        assert_eq!([true, false, true].map(&mut check), [None; 3]);
        assert_eq!(check(true), Some(Turn::Up));
        assert!(!standing.is_down() && standing.share(&settings(), 11 * S) < 1000);
    }
}
