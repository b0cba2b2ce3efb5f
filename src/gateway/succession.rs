//! What a request that outlives its configuration has to know of those that came after it.
//!
//! A request ends under the configuration it began with. For a read that is all: what it stores lies under the generation of its API,
//! where nobody else finds it once that has changed hard ([`Apis`]). A **write** promises something to everybody who comes after it, and
//! it names what it invalidates as its own configuration does: by origin, path, pattern and tag. As long as an API hasn't changed hard
//! these are the same cells. Where it has, or is new, somebody may have asked its origin under other names before the write was
//! applied. So a write looks once more, when its origin has answered, which APIs are *younger* than its configuration, and invalidates
//! those whole: they are as old as the reload, so little is lost.
//!
//! Who has asked under new names before the write was applied did so after the new APIs were published here, which is before any
//! request comes to them; the write looks after its origin's answer; so it sees them.
//!
//! **Settling.** A write of unknown outcome, or one with `write_settle`, keeps its cells settling for a while. APIs that are published
//! while it does must settle as well. The write announces until when, *then* looks for younger ones; a reload publishes, *then* looks
//! until when there is anything to settle. Of two who do both at once at least one sees the other.

use crate::policy::{Apis, Mounted, Scope};
use crate::store::{Held, Scopes};
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};

/// The APIs in force, and until when writes settle.
#[derive(Debug)]
pub struct Succession {
    apis: ArcSwap<Apis>,
    /// Monotonic milliseconds.
    settles_until: AtomicU64,
    /// Cells that have to go on settling until a time, so that they stay.
    settling: Mutex<Vec<(u64, Held)>>,
}

impl Succession {
    /// The APIs of the start.
    pub fn new(apis: Apis) -> Self {
        Succession { apis: ArcSwap::from_pointee(apis), settles_until: AtomicU64::new(0), settling: Mutex::default() }
    }

    /// Publishes the APIs that requests will come to next, and lets what is new of them settle like everything else. `now` is in
    /// monotonic milliseconds.
    pub fn publish(&self, apis: &Apis, scopes: &Scopes, now: u64) {
        let before = self.apis.swap(Arc::new(apis.clone()));
        fence(Ordering::SeqCst);
        let until = self.settles_until.load(Ordering::SeqCst);
        let mut settling = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        settling.retain(|(until, _)| *until > now);
        if until > now {
            let younger: Vec<Scope<'_>> = apis.younger_than(&before).map(|m| Scope::Api(&m.id)).collect();
            let held = scopes.hold(&younger);
            held.settle(until);
            settling.push((until, held));
        }
    }

    /// Until when (monotonic milliseconds) a write of unknown outcome may still be applied, or a replica lag behind.
    pub fn settles_until(&self) -> u64 {
        self.settles_until.load(Ordering::SeqCst)
    }

    /// Announces that a write's cells settle until then; before [`Succession::younger_than`].
    pub(super) fn settle(&self, until: u64) {
        self.settles_until.fetch_max(until, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// The APIs that are there now and weren't, or weren't so, in `apis`.
    pub(super) fn younger_than(&self, apis: &Apis) -> Vec<Arc<Mounted>> {
        self.apis.load().younger_than(apis).cloned().collect()
    }
}
