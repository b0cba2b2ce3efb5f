//! Remembers for which keys waiting makes no sense, because the last answer couldn't be shared.
//!
//! A fixed table of hashes with a deadline: no lock, no growth. When two keys collide one of them is forgotten or
//! asked without coalescing for a while, which costs the origin a request and nobody correctness.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

const SLOTS: usize = 1 << 14;
/// The deadline lies in the low bits, in seconds of the process's clock (about 34 years).
const TIME_BITS: u32 = 30;

/// Keys whose next requests go to the origin at once, in parallel.
#[derive(Debug)]
pub(super) struct Unshared {
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Unshared {
    fn default() -> Self {
        Unshared { slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(), hasher: RandomState::new() }
    }
}

impl Unshared {
    /// Remembers `key` for `seconds` from `now` (monotonic milliseconds).
    pub(super) fn remember(&self, key: &[u8], now: u64, seconds: u64) {
        let (slot, tag) = self.slot(key);
        slot.store(tag | ((now / 1000 + seconds + 1) & mask()), Ordering::Relaxed);
    }

    /// Forgets `key`: its answers can be shared after all.
    pub(super) fn forget(&self, key: &[u8]) {
        let (slot, tag) = self.slot(key);
        if slot.load(Ordering::Relaxed) & !mask() == tag {
            slot.store(0, Ordering::Relaxed);
        }
    }

    /// Whether `key` is remembered.
    pub(super) fn contains(&self, key: &[u8], now: u64) -> bool {
        let (slot, tag) = self.slot(key);
        let found = slot.load(Ordering::Relaxed);
        found != 0 && found & !mask() == tag && found & mask() > now / 1000
    }

    fn slot(&self, key: &[u8]) -> (&AtomicU64, u64) {
        let hash = self.hasher.hash_one(key);
        (&self.slots[hash as usize % SLOTS], hash & !mask())
    }
}

fn mask() -> u64 {
    (1 << TIME_BITS) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_a_while() {
        let memory = Unshared::default();
        memory.remember(b"a", 5_000, 10);
        assert!(memory.contains(b"a", 5_000));
        assert!(memory.contains(b"a", 15_000));
        assert!(!memory.contains(b"a", 16_000));
        assert!(!memory.contains(b"b", 5_000));
        memory.forget(b"a");
        assert!(!memory.contains(b"a", 5_000));
    }
}
