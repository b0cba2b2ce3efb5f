//! Remembers for a while what was lately in vain: which keys' answers couldn't be shared, so that waiting for one another makes no
//! sense, and which were just asked about in the background, so that not every hit asks again.
//!
//! A fixed table of hashes with a deadline: no lock, no growth. When two keys collide one of them is forgotten, or taken for the other
//! for a while, which costs the origin a request, or a refresh a moment, and nobody correctness.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys that are remembered at the most.
pub(super) const SLOTS: usize = 1 << 14;
/// The deadline lies in the low bits, in milliseconds of the process's clock (about 34 years).
const TIME_BITS: u32 = 40;

/// Keys, each with the time until which it is remembered.
#[derive(Debug)]
pub(super) struct Recent {
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Recent {
    fn default() -> Self {
        Recent { slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(), hasher: RandomState::new() }
    }
}

impl Recent {
    /// Remembers `key` for `span` from `now`, both in milliseconds.
    pub(super) fn remember(&self, key: &[u8], now: u64, span: u64) {
        let (slot, tag) = self.slot(key);
        slot.store(tag | (now.saturating_add(span) & mask()), Ordering::Relaxed);
    }

    /// Forgets `key`.
    pub(super) fn forget(&self, key: &[u8]) {
        let (slot, tag) = self.slot(key);
        if slot.load(Ordering::Relaxed) & !mask() == tag {
            slot.store(0, Ordering::Relaxed);
        }
    }

    /// Whether `key` is remembered at `now`.
    pub(super) fn contains(&self, key: &[u8], now: u64) -> bool {
        let (slot, tag) = self.slot(key);
        let found = slot.load(Ordering::Relaxed);
        found != 0 && found & !mask() == tag && found & mask() > now
    }

    /// Which slot a key has.
    pub(super) fn place(&self, key: &[u8]) -> usize {
        self.hasher.hash_one(key) as usize % SLOTS
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
        let memory = Recent::default();
        memory.remember(b"a", 5_000, 10_000);
        assert!(memory.contains(b"a", 5_000));
        assert!(memory.contains(b"a", 14_999));
        assert!(!memory.contains(b"a", 15_000));
        assert!(!memory.contains(b"b", 5_000));
        memory.forget(b"b");
        assert!(memory.contains(b"a", 5_000));
        memory.forget(b"a");
        assert!(!memory.contains(b"a", 5_000));
    }
}
