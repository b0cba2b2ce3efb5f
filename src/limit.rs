//! How many requests in how much time: the generic cell rate algorithm, one number for each caller and one for all.
//!
//! What is kept is the time at which the next request would be due if they came evenly. A request moves it on by one interval; one that
//! finds it further ahead than a whole window is refused, and moves nothing. The table of callers is bounded and keyed by a hash of its
//! own; who is pushed out of it begins anew.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Callers that are counted at a time.
const MOST_CALLERS: u64 = 100_000;

/// So many requests in so much time, as many of them at once as one likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// `requests`.
    pub requests: u32,
    /// `per`.
    pub per: Duration,
}

/// What a refused request is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose share is used up.
    pub of: Share,
    /// Which quota.
    pub quota: Quota,
    /// Until one more is allowed.
    pub wait: Duration,
}

/// Whose share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// One caller's.
    Caller,
    /// The whole API's.
    Api,
}

/// `[api.rate]`, and who has used how much of it. Copies count together.
#[derive(Clone, Debug)]
pub struct Limiter {
    per_caller: Option<Quota>,
    total: Option<Quota>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    hasher: RandomState,
    callers: moka::sync::Cache<u64, Arc<AtomicU64>>,
    api: AtomicU64,
}

impl Limiter {
    /// Nothing used yet.
    pub fn new(per_caller: Option<Quota>, total: Option<Quota>) -> Self {
        let callers = moka::sync::Cache::new(MOST_CALLERS);
        let state = State { hasher: RandomState::new(), callers, api: AtomicU64::new(0) };
        Limiter { per_caller, total, state: Arc::new(state) }
    }

    /// Whether requests that either counts count for both.
    pub fn counts_with(&self, other: &Limiter) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// What one caller may.
    pub fn per_caller(&self) -> Option<Quota> {
        self.per_caller
    }

    /// What all may together.
    pub fn total(&self) -> Option<Quota> {
        self.total
    }

    /// Counts a request of `caller` at `now`, monotonic milliseconds.
    ///
    /// # Errors
    /// Why it is one too many. One that is too many for all has counted for its caller, so that nobody can use up what is everybody's
    /// by asking on.
    pub fn count<C: Hash>(&self, caller: &C, now: u64) -> Result<(), Exceeded> {
        self.count_own(caller, now)?;
        if let Some(quota) = self.total {
            take(&self.state.api, quota, now).map_err(|wait| Exceeded { of: Share::Api, quota, wait })?;
        }
        Ok(())
    }

    /// Counts a request of `caller` that takes nothing of what is everybody's.
    ///
    /// # Errors
    /// Why it is one too many.
    pub fn count_own<C: Hash>(&self, caller: &C, now: u64) -> Result<(), Exceeded> {
        if let Some(quota) = self.per_caller {
            let due = self.state.callers.get_with(self.state.hasher.hash_one(caller), Arc::default);
            take(&due, quota, now).map_err(|wait| Exceeded { of: Share::Caller, quota, wait })?;
        }
        Ok(())
    }

    /// Whether a request of `caller` would be one too many; counts nothing. `own` as in [`count_own`](Self::count_own).
    ///
    /// # Errors
    /// Why it would be.
    pub fn would<C: Hash>(&self, caller: &C, own: bool, now: u64) -> Result<(), Exceeded> {
        if let Some(quota) = self.per_caller {
            let due = self.state.callers.get(&self.state.hasher.hash_one(caller));
            let due = due.map_or(0, |due| due.load(Ordering::Relaxed));
            next(due, quota, now).map_err(|wait| Exceeded { of: Share::Caller, quota, wait })?;
        }
        if let Some(quota) = self.total.filter(|_| !own) {
            let due = self.state.api.load(Ordering::Relaxed);
            next(due, quota, now).map_err(|wait| Exceeded { of: Share::Api, quota, wait })?;
        }
        Ok(())
    }
}

impl PartialEq for Limiter {
    fn eq(&self, other: &Self) -> bool {
        (self.per_caller, self.total) == (other.per_caller, other.total)
    }
}

/// Takes one from a quota whose next request is `due`, or says how long that is too early. In microseconds.
fn take(due: &AtomicU64, quota: Quota, now: u64) -> Result<(), Duration> {
    let moved = due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| next(due, quota, now).ok());
    moved.map(|_| ()).map_err(|due| next(due, quota, now).err().unwrap_or_default())
}

/// When the request after one that comes at `now` is due, or how long that one is too early.
fn next(due: u64, quota: Quota, now: u64) -> Result<u64, Duration> {
    let window = u64::try_from(quota.per.as_micros()).unwrap_or(u64::MAX);
    let interval = (window / u64::from(quota.requests.max(1))).max(1);
    let now = now.saturating_mul(1000);
    let next = due.max(now).saturating_add(interval);
    let early = next.saturating_sub(now).saturating_sub(window);
    if early == 0 { Ok(next) } else { Err(Duration::from_micros(early)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(requests: u32, seconds: u64) -> Option<Quota> {
        Some(Quota { requests, per: Duration::from_secs(seconds) })
    }

    #[test]
    fn as_many_at_once_as_in_a_window_and_then_evenly() {
        let limiter = Limiter::new(quota(3, 60), None);
        let wait = |caller, now| limiter.count(&caller, now).err().map(|exceeded| exceeded.wait.as_secs());
        assert!(
            limiter.would(&"a", false, 0).is_ok() && limiter.would(&"a", false, 0).is_ok(),
            "to ask counts nothing"
        );
        assert_eq!([0, 0, 0].map(|now| wait("a", now)), [None; 3]);
        assert_eq!(limiter.would(&"a", false, 0).map_err(|exceeded| exceeded.wait.as_secs()), Err(20));
        assert_eq!(wait("a", 0), Some(20));
        assert_eq!(wait("a", 19_000), Some(1), "being refused costs nothing");
        assert_eq!(wait("b", 0), None, "everybody has his own");
        assert_eq!((wait("a", 20_000), wait("a", 20_000)), (None, Some(20)));
        assert_eq!([100_000; 3].map(|now| wait("a", now)), [None; 3], "a window later all is there again");
        assert!(wait("a", 100_000).is_some());
    }

    #[test]
    fn all_together_have_another_one() {
        let limiter = Limiter::new(quota(10, 60), quota(2, 60));
        assert!(limiter.count(&1, 0).is_ok() && limiter.count(&2, 0).is_ok());
        assert_eq!(limiter.count(&3, 0).unwrap_err().of, Share::Api);
        let none = Limiter::new(None, None);
        assert!((0..1000).all(|n| none.count(&n, 0).is_ok()));
    }

    proptest::proptest! {
        #[test]
        fn never_more_than_twice_a_quota_in_any_window(steps in proptest::collection::vec(0u64..30_000, 1..200), requests in 1u32..20) {
            let limiter = Limiter::new(quota(requests, 60), None);
            let (mut now, mut taken) = (0, Vec::new());
            for step in steps {
                now += step;
                if limiter.count(&0, now).is_ok() {
                    taken.push(now);
                }
            }
            for (i, first) in taken.iter().enumerate() {
                let within = taken[i..].iter().filter(|at| **at < first + 60_000).count();
                proptest::prop_assert!(within <= 2 * requests as usize);
            }
        }
    }
}
