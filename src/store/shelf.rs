//! Shelves: parts of the store with bounds of their own, so that what lies on one never pushes out what lies on another.
//!
//! Which shelf a key belongs to, the key says itself: those of answers begin with a host, those of objects with a byte that no host
//! has, and the name of their namespace ([`shelf_of`]). So a look for an answer pays one comparison.
//!
//! moka knows one bound, on weight. A bound on the number of keys is made of it: where there may be at most `n` keys in `size` bytes each
//! weighs `size / n` at least. Then `n` keys fill the shelf however small they are, and it holds fewer of larger ones.

use super::entry::{Entry, Gone};
use super::settings::Eviction;
use super::weight::{Variants, weight};
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Keys and what lies under them.
pub(super) type Kept = Cache<Box<[u8]>, Variants>;

/// How much may lie on one shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes, with keys, fields and bookkeeping.
    pub bytes: u64,
    /// Keys; `None` is as many as the bytes allow.
    pub keys: Option<u64>,
}

impl Bounds {
    /// What each key weighs at the least.
    fn least(self) -> u32 {
        let least = self.keys.map_or(0, |keys| self.bytes.div_ceil(keys.max(1)));
        u32::try_from(least).unwrap_or(u32::MAX)
    }

    /// The weight of all, so that it holds exactly as many keys as it may.
    fn capacity(self) -> u64 {
        self.keys.map_or(self.bytes, |keys| u64::from(self.least()).saturating_mul(keys))
    }
}

/// A shelf.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) kept: Kept,
    bounds: Bounds,
    evicted: Arc<AtomicU64>,
}

/// All shelves of objects, by namespace.
pub(super) type Shelves = HashMap<Box<[u8]>, Arc<Shelf>>;

impl Shelf {
    pub(super) fn new(bounds: Bounds, eviction: Eviction) -> Self {
        let policy = match eviction {
            Eviction::Lru => EvictionPolicy::lru(),
            Eviction::TinyLfu => EvictionPolicy::tiny_lfu(),
        };
        let evicted = Arc::new(AtomicU64::new(0));
        let (count, least) = (Arc::clone(&evicted), bounds.least());
        let kept = Cache::<Box<[u8]>, Variants>::builder()
            .max_capacity(bounds.capacity())
            .eviction_policy(policy)
            .weigher(move |key, variants| weight(key, variants).max(least))
            .eviction_listener(move |_, variants: Variants, cause| {
                if cause == RemovalCause::Size {
                    count.fetch_add(1, Relaxed);
                    variants.iter().for_each(|entry| entry.goes(Gone::Size));
                }
            })
            .build();
        Shelf { kept, bounds, evicted }
    }

    /// How many keys had to go for want of room.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    /// Bytes that it has room for.
    pub(super) fn room(&self) -> u64 {
        self.bounds.bytes
    }

    /// Looks at everything on it.
    pub(super) fn scan(&self, mut look: impl FnMut(&[u8], &[Arc<Entry>])) {
        for (key, variants) in &self.kept {
            look(&key, &variants);
        }
    }
}

/// Those that are wanted: one that was there with the same bounds stays as it is, another one begins empty.
pub(super) fn arranged(old: &Shelves, wanted: &[(String, Bounds)], eviction: Eviction) -> Shelves {
    let shelf = |(name, bounds): &(String, Bounds)| {
        let there = old.get(name.as_bytes()).filter(|shelf| shelf.bounds == *bounds).cloned();
        (name.as_bytes().into(), there.unwrap_or_else(|| Arc::new(Shelf::new(*bounds, eviction))))
    };
    wanted.iter().map(shelf).collect()
}

/// The namespace of an object's key; `None` where it is the key of an answer.
pub(super) fn shelf_of(key: &[u8]) -> Option<&[u8]> {
    let name = key.strip_prefix(b"\0/")?;
    Some(name.split(|byte| *byte == b'/').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_shelf_a_key_is_for() {
        assert_eq!(shelf_of(b"\0/codes/AT\0"), Some(&b"codes"[..]));
        assert_eq!(shelf_of(b"\0/codes\0"), Some(&b"codes\0"[..]), "no key of an object");
        assert_eq!(shelf_of(b"example.org/codes/AT\0"), None);
        assert_eq!(shelf_of(b""), None);
    }

    #[test]
    fn so_many_keys_and_no_more() {
        let shelf = Shelf::new(Bounds { bytes: 1 << 20, keys: Some(7) }, Eviction::Lru);
        for n in 0..100u8 {
            shelf.kept.insert(Box::new([n]), Arc::new([]));
        }
        shelf.kept.run_pending_tasks();
        assert_eq!(shelf.kept.entry_count(), 7);
        assert_eq!(shelf.evicted(), 93);
    }

    #[test]
    fn a_shelf_stays_where_its_bounds_do() {
        let bounds = |bytes| Bounds { bytes, keys: None };
        let wanted = |bytes| [("a".to_owned(), bounds(bytes)), ("b".to_owned(), bounds(7))];
        let first = arranged(&Shelves::new(), &wanted(1), Eviction::Lru);
        let second = arranged(&first, &wanted(2), Eviction::Lru);
        let same = |name: &[u8]| Arc::ptr_eq(&first[name], &second[name]);
        assert!(!same(b"a") && same(b"b"));
        assert!(arranged(&second, &[], Eviction::Lru).is_empty());
    }
}
