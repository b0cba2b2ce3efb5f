//! Which endpoint is asked next.
//!
//! * **Least loaded**: two are picked at random, by weight, and the one with less under way for its weight is asked. Nobody has to
//!   know all loads at the same moment, and yet the longest queue is hardly ever longer than the others' (Mitzenmacher, "The power
//!   of two choices in randomized load balancing").
//! * **Round robin**, smoothly: every turn each endpoint gains its weight; the richest is chosen and pays the sum of all weights.
//!   Over `sum` turns each is chosen `weight` times, spread as evenly as whole numbers allow.
//! * **Hash**: each endpoint draws a number from the request's path and query, and the highest for its weight is chosen
//!   (rendezvous hashing). When one goes only its own requests move.

use super::settings::Balance;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// One endpoint that may be asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Its number.
    pub(super) index: usize,
    /// Its share, in thousandths of its weight: less while it is coming back.
    pub(super) weight: u64,
    /// Requests that it is at.
    pub(super) load: usize,
}

/// Chooses, and remembers whose turn it is.
pub(super) struct Chooser {
    way: Balance,
    credit: Mutex<Vec<i64>>,
    hasher: RandomState,
    picks: AtomicU64,
}

impl Chooser {
    /// For `endpoints` of them.
    pub(super) fn new(way: Balance, endpoints: usize) -> Self {
        let (hasher, picks) = (RandomState::new(), AtomicU64::new(0));
        Chooser { way, credit: Mutex::new(vec![0; endpoints]), hasher, picks }
    }

    /// The number of the one to be asked; `target` is path and query.
    pub(super) fn choose(&self, candidates: &[Candidate], target: &str) -> Option<usize> {
        match (candidates, self.way) {
            ([], _) => None,
            ([only], _) => Some(only.index),
            (_, Balance::LeastLoaded) => Some(less_loaded(candidates, || self.random())),
            (_, Balance::RoundRobin) => {
                Some(richest(candidates, &mut self.credit.lock().unwrap_or_else(PoisonError::into_inner)))
            }
            (_, Balance::Hash) => Some(highest(candidates, target)),
        }
    }

    fn random(&self) -> u64 {
        self.hasher.hash_one(self.picks.fetch_add(1, Ordering::Relaxed))
    }
}

fn less_loaded(candidates: &[Candidate], mut random: impl FnMut() -> u64) -> usize {
    let first = by_weight(candidates, usize::MAX, random());
    let second = by_weight(candidates, first, random());
    let (a, b) = (candidates[first], candidates[second]);
    // a.load / a.weight > b.load / b.weight
    let heavier = (a.load as u128) * u128::from(b.weight) > (b.load as u128) * u128::from(a.weight);
    if heavier { b.index } else { a.index }
}

/// One of them but `except`, each as often as its weight says.
fn by_weight(candidates: &[Candidate], except: usize, random: u64) -> usize {
    let open = || candidates.iter().enumerate().filter(|(i, _)| *i != except);
    let sum: u64 = open().map(|(_, c)| c.weight).sum();
    let mut left = if sum == 0 { 0 } else { random % sum };
    for (i, candidate) in open() {
        if left < candidate.weight {
            return i;
        }
        left -= candidate.weight;
    }
    open().next().map_or(0, |(i, _)| i)
}

fn richest(candidates: &[Candidate], credit: &mut [i64]) -> usize {
    let weight = |c: &Candidate| i64::try_from(c.weight).unwrap_or(i64::MAX);
    let mut best = candidates[0].index;
    for candidate in candidates {
        credit[candidate.index] += weight(candidate);
        if credit[candidate.index] > credit[best] {
            best = candidate.index;
        }
    }
    credit[best] -= candidates.iter().map(weight).sum::<i64>();
    best
}

/// The same for everybody and every start, so that several gateways before one origin agree.
fn highest(candidates: &[Candidate], target: &str) -> usize {
    let score = |candidate: &Candidate| {
        let mut hash = Fnv::default();
        hash.write(target.as_bytes());
        hash.write_usize(candidate.index);
        let unit = ((mixed(hash.finish()) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        candidate.weight as f64 / -unit.ln()
    };
    let best = candidates.iter().max_by(|a, b| score(a).total_cmp(&score(b)));
    best.map_or(0, |candidate| candidate.index)
}

/// FNV-1a: the hash of the standard library may change with its release.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The end of MurmurHash3: what differs in one bit differs in half of them.
fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_weights(weights: &[u64]) -> Vec<Candidate> {
        weights.iter().enumerate().map(|(index, weight)| Candidate { index, weight: *weight, load: 0 }).collect()
    }

    fn counts(chooser: &Chooser, candidates: &[Candidate], turns: usize) -> Vec<usize> {
        let mut counts = vec![0; candidates.len()];
        (0..turns).for_each(|i| counts[chooser.choose(candidates, &format!("/books/{i}")).unwrap()] += 1);
        counts
    }

    #[test]
    fn turns_follow_the_weights_smoothly() {
        let chooser = Chooser::new(Balance::RoundRobin, 3);
        let candidates = of_weights(&[5, 1, 1]);
        let turns: Vec<usize> = (0..7).map(|_| chooser.choose(&candidates, "").unwrap()).collect();
        assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(chooser.choose(&candidates, ""), Some(0), "and again from the start");
    }

    #[test]
    fn one_or_none_needs_no_turn() {
        for way in [Balance::LeastLoaded, Balance::RoundRobin, Balance::Hash] {
            assert_eq!(Chooser::new(way, 1).choose(&of_weights(&[3]), "/"), Some(0));
            assert_eq!(Chooser::new(way, 0).choose(&[], "/"), None);
        }
    }

    #[test]
    fn each_way_gives_each_its_share() {
        for way in [Balance::LeastLoaded, Balance::RoundRobin, Balance::Hash] {
            let counts = counts(&Chooser::new(way, 3), &of_weights(&[1000, 1000, 2000]), 8000);
            let near = |n: usize, share: usize| n.abs_diff(share) < share / 5;
            let right = near(counts[0], 2000) && near(counts[1], 2000) && near(counts[2], 4000);
            assert!(right, "{way:?}: {counts:?}");
        }
    }

    #[test]
    fn the_busy_one_is_asked_less() {
        let mut candidates = of_weights(&[1000, 1000, 1000]);
        candidates[0].load = 50;
        let counts = counts(&Chooser::new(Balance::LeastLoaded, 3), &candidates, 3000);
        assert_eq!(counts[0], 0, "whichever other is picked beside it has less to do");
        candidates[1].load = 25;
        candidates[1].weight = 500;
        let tied = [candidates[0], candidates[1]];
        assert!(less_loaded(&tied, || 0) == 0 && less_loaded(&tied, || 1400) == 1, "50/1000 is 25/500: the first pick");
    }

    #[test]
    fn when_one_goes_only_its_own_requests_move() {
        let (all, chooser) = (of_weights(&[1000; 5]), Chooser::new(Balance::Hash, 5));
        let left: Vec<Candidate> = all.iter().filter(|c| c.index != 2).copied().collect();
        let mut moved = 0;
        for i in 0..2000 {
            let target = format!("/books/{i}?page=1");
            let (before, after) = (chooser.choose(&all, &target), chooser.choose(&left, &target));
            assert!(before == after || before == Some(2), "{target}: {before:?} {after:?}");
            moved += usize::from(before != after);
        }
        assert!((300..500).contains(&moved), "{moved} of 2000 were its own");
    }
}
