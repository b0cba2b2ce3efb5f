//! What happened, in one order.

use super::changes::{Change, Purge};
use super::world::Resource;
use freshgate::clock::Clock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A point in the order of events.
pub type Moment = u64;

/// How an answer came about, by its Cache-Status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    pub hit: bool,
    /// Marked as stale: stale-while-revalidate, stale-if-error, stale-after, max-stale.
    pub stale: bool,
    /// Of those, because the origin was slow.
    pub slow: bool,
    pub collapsed: bool,
    pub stored: bool,
    /// The origin said 304.
    pub confirmed: bool,
    /// The client was told 304: its own copy is current.
    pub not_modified: bool,
}

#[derive(Debug)]
pub struct Read {
    /// Before its first byte was sent.
    pub began: Moment,
    /// When its answer was complete.
    pub ended: Moment,
    pub reader: usize,
    pub resource: Resource,
    /// The versions of the resource's books.
    pub got: Box<[u32]>,
    pub how: How,
}

/// How a write ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Answered 2xx or 3xx, with the version it made.
    Acknowledged(u32),
    /// Answered 502, 503 or 504.
    Unknown(u16),
    /// Answered with another status.
    Refused(u16),
    /// The client left, or its connection broke.
    Left,
}

#[derive(Debug)]
pub struct Write {
    pub id: u64,
    pub change: Change,
    pub book: usize,
    pub began: Moment,
    /// Milliseconds when it began.
    pub began_ms: u64,
    pub ended: Moment,
    pub ending: Ending,
}

/// The origin applied something; the moment is after that.
#[derive(Debug)]
pub struct Applied {
    pub at: Moment,
    pub at_ms: u64,
    /// The write; 0 is a change behind the gateway's back.
    pub id: u64,
    pub book: usize,
    pub version: u32,
}

#[derive(Debug)]
pub struct Purged {
    /// After `had` was looked up and before the call was sent.
    pub began: Moment,
    /// When it was acknowledged.
    pub ended: Moment,
    pub purge: Purge,
    pub soft: bool,
    /// The origin's versions when the call was sent.
    pub had: Vec<u32>,
}

/// All that happened in a round.
#[derive(Debug, Default)]
pub struct Events {
    pub reads: Vec<Read>,
    pub writes: Vec<Write>,
    pub applied: Vec<Applied>,
    pub purges: Vec<Purged>,
}

/// Gathers [`Events`] and gives out their order.
#[derive(Debug)]
pub struct History {
    next: AtomicU64,
    clock: Clock,
    events: Mutex<Events>,
}

impl Default for History {
    fn default() -> Self {
        History { next: AtomicU64::new(1), clock: Clock::system(), events: Mutex::default() }
    }
}

impl History {
    /// The next moment: whatever asks for one after this returns gets a later one.
    pub fn moment(&self) -> Moment {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    /// Milliseconds.
    pub fn now(&self) -> u64 {
        self.clock.now().mono
    }

    pub fn add(&self, put: impl FnOnce(&mut Events)) {
        put(&mut self.events.lock().unwrap());
    }

    /// What happened so far, leaving nothing.
    pub fn take(&self) -> Events {
        std::mem::take(&mut self.events.lock().unwrap())
    }
}
