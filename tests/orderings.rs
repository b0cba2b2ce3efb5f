//! The memory orderings of `store/scopes.rs`, under loom: each load may see any store that the orderings let it see.
//!
//! The core is compiled once more here with loom's locks and atomics. loom takes sequential consistency for acquire and
//! release, so what holds here holds with those, and more than that isn't needed.
//!
//! Twins in which one ordering is relaxed must be found out. What the origin holds is relaxed memory as well: it is
//! seen for sure only if the epoch carries it, as it is with a request that is sent after the epoch was read.
#![cfg(test)]

#[path = "../src/store/scopes.rs"]
#[expect(dead_code, unreachable_pub, reason = "it is compiled a second time, for what is needed here")]
mod scopes;

/// loom's locks and atomics; `fetch_add`, of which the epoch is the only user, can be weakened.
mod sync {
    pub(crate) use loom::sync::atomic::Ordering;
    pub(crate) use loom::sync::{Arc, Mutex};
    use std::cell::Cell;

    thread_local! {
        /// loom's threads all run on one real thread.
        static WEAK: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn weaken(weak: bool) {
        WEAK.set(weak);
    }

    #[derive(Debug)]
    pub(crate) struct AtomicU64(loom::sync::atomic::AtomicU64);

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            AtomicU64(loom::sync::atomic::AtomicU64::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: u64, order: Ordering) {
            self.0.store(value, order);
        }

        pub(crate) fn fetch_add(&self, by: u64, order: Ordering) -> u64 {
            self.0.fetch_add(by, if WEAK.get() { Ordering::Relaxed } else { order })
        }

        pub(crate) fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_max(value, order)
        }
    }
}

use loom::thread;
use scopes::{Held, Scopes, Severity, Standing};
use std::hash::{BuildHasherDefault, DefaultHasher};
use sync::{Arc, AtomicU64, Mutex, Ordering, weaken};

type Names = BuildHasherDefault<DefaultHasher>;

/// A fill and a write at once, then a read that knows of the write's acknowledgement only by this flag.
fn fill_write_and_read(acknowledged_by: Ordering) {
    let scopes = Arc::new(Scopes::with_hasher(Names::default(), 1));
    let (origin, acknowledged) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stored = Arc::new(Mutex::new(None::<(Held, u64, u64)>));
    let fill = {
        let (scopes, origin, stored) = (Arc::clone(&scopes), Arc::clone(&origin), Arc::clone(&stored));
        thread::spawn(move || {
            let asked = scopes.ask(&["path"], 0);
            let version = origin.load(Ordering::Relaxed);
            *stored.lock().unwrap() = Some((asked.held, asked.at, version));
        })
    };
    let write = {
        let (origin, acknowledged) = (Arc::clone(&origin), Arc::clone(&acknowledged));
        thread::spawn(move || {
            origin.store(1, Ordering::Relaxed);
            scopes.invalidate(&["path"], Severity::Hard);
            acknowledged.store(1, acknowledged_by);
        })
    };
    let need = acknowledged.load(Ordering::Acquire);
    if let Some((held, asked_at, version)) = stored.lock().unwrap().take()
        && held.standing(asked_at, asked_at) == Standing::Current
    {
        assert!(version >= need, "stale: version {version} though {need} is acknowledged");
    }
    fill.join().unwrap();
    write.join().unwrap();
}

/// Every run with at most three changes of turn that nobody asked for: the whole would take hours.
fn model(story: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(story);
}

#[test]
fn acquire_and_release_are_enough() {
    model(|| {
        weaken(false);
        fill_write_and_read(Ordering::Release);
    });
}

#[test]
#[should_panic(expected = "stale")]
fn found_an_epoch_taken_relaxed() {
    model(|| {
        weaken(true);
        fill_write_and_read(Ordering::Release);
    });
}

#[test]
#[should_panic(expected = "stale")]
fn found_an_acknowledgement_that_releases_nothing() {
    model(|| {
        weaken(false);
        fill_write_and_read(Ordering::Relaxed);
    });
}
