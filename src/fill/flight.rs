//! Who asks the origin, and who waits for somebody else's answer.
//!
//! For each key there is at most one question in flight that newcomers may join. Joining is decided when they arrive:
//! only a question that no invalidation has overtaken, hard or soft, of any scope known so far, is asked on their
//! behalf as well. If it was overtaken, the newcomer asks anew and its question takes the place of the old one, which
//! goes on for those who joined it before.
//!
//! Joining doesn't oblige. When the answer is there its tags are known, and perhaps an invalidation came meanwhile:
//! each waiter decides again with [`may_take`]. One that began before the question was asked may take the answer
//! whatever was invalidated since, because any read that ended in between could have seen it; all others take it only
//! if it is current at that moment. (To compare with the *last* invalidation instead is wrong: a cell keeps only its
//! newest epoch, and a later purge would hide the one that matters.) Who refuses asks for himself: he doesn't join that
//! question again, whose answer is no better the second time, and of others only those asked after he began, so he
//! can't be sent round in circles.
//!
//! **Nobody waits for himself.** Where an upstream leads back here, the question comes back as a request of its own, and were it to join
//! the question that it is, both would wait to the end. It comes through one gateway more, so: who has been through more gateways
//! than the one who asks doesn't join. It asks, comes back once more, and is refused when it has been round too often.
//!
//! This is a core without I/O: tasks and sockets are [`super`]'s business.

use crate::store::{Asked, Epoch, Held, Standing};
use crate::sync::{Arc, Mutex};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// One who comes for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Comer {
    /// The epoch when the request was received.
    pub began_at: Epoch,
    /// Monotonic milliseconds when it was received.
    pub began_time: u64,
    /// How many gateways of this kind it has been through.
    pub hops: u8,
}

/// A question in flight, with a place `A` where its answer is awaited.
#[derive(Debug)]
pub struct Flight<A> {
    /// When it was asked, and the scopes known then.
    pub asked: Asked,
    /// How many gateways of this kind the one who asks has been through.
    hops: u8,
    /// Where the answer will be.
    pub answer: A,
}

/// What a newcomer is to do.
#[derive(Debug)]
pub enum Turn<A> {
    /// Ask the origin; everybody who comes now waits for this.
    Lead(Arc<Flight<A>>),
    /// Wait for this question's answer.
    Join(Arc<Flight<A>>),
}

type Shard<A> = Mutex<HashMap<Box<[u8]>, Arc<Flight<A>>>>;

/// The questions in flight that can be joined, by key.
#[derive(Debug)]
pub struct Flights<A, S = RandomState> {
    shards: Box<[Shard<A>]>,
    hasher: S,
}

impl<A> Default for Flights<A> {
    fn default() -> Self {
        Flights::with_hasher(RandomState::new(), 64)
    }
}

impl<A, S: BuildHasher> Flights<A, S> {
    /// An empty table with `shards` locks.
    pub fn with_hasher(hasher: S, shards: usize) -> Self {
        Flights { shards: (0..shards.max(1)).map(|_| Mutex::new(HashMap::new())).collect(), hasher }
    }

    /// Joins the question in flight for `key`, or makes one with `ask` (which takes hold of the scopes and notes the
    /// epoch) and `place` in the same step, so that two who come together don't both ask. `refused` is the question
    /// whose answer this comer last refused.
    pub fn enter(
        &self,
        key: &[u8],
        comer: &Comer,
        refused: Option<&Arc<Flight<A>>>,
        ask: impl FnOnce() -> Asked,
        place: impl FnOnce() -> A,
    ) -> Turn<A> {
        let mut shard = self.shard(key);
        if let Some(flight) = shard.get(key)
            && is_open_to(flight, comer)
            && refused.is_none_or(|refused| is_newer(flight, refused, comer))
        {
            return Turn::Join(Arc::clone(flight));
        }
        let flight = Arc::new(Flight { asked: ask(), hops: comer.hops, answer: place() });
        shard.insert(key.into(), Arc::clone(&flight));
        Turn::Lead(flight)
    }

    /// Whether this comer would join the question in flight for `key`, if there is one; nothing changes.
    pub fn would_join(&self, key: &[u8], comer: &Comer) -> bool {
        let shard = self.shard(key);
        shard.get(key).is_some_and(|flight| is_open_to(flight, comer))
    }

    /// Nobody joins `flight` any more. A question that took its place stays.
    pub fn close(&self, key: &[u8], flight: &Arc<Flight<A>>) {
        let mut shard = self.shard(key);
        if shard.get(key).is_some_and(|current| Arc::ptr_eq(current, flight)) {
            shard.remove(key);
        }
    }

    /// How many questions can be joined.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|s| lock(s).len()).sum()
    }

    /// Whether none can be joined.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &[u8]) -> impl std::ops::DerefMut<Target = HashMap<Box<[u8]>, Arc<Flight<A>>>> + '_ {
        let at = self.hasher.hash_one(key) as usize % self.shards.len();
        lock(&self.shards[at])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> impl std::ops::DerefMut<Target = T> + '_ {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Whether a newcomer may join a question, what it has refused before left aside.
fn is_open_to<A>(flight: &Flight<A>, comer: &Comer) -> bool {
    comer.hops <= flight.hops && may_join(&flight.asked, comer)
}

/// Whether the question is asked on this newcomer's behalf as well.
fn may_join(asked: &Asked, comer: &Comer) -> bool {
    // In one millisecond either may have been first.
    let settled = !asked.held.settles(asked.time) || comer.began_time < asked.time;
    settled && asked.held.standing(asked.at, asked.at) == Standing::Current
}

/// Whether one who refused the answer to another question may hope for more of this one's.
fn is_newer<A>(flight: &Arc<Flight<A>>, refused: &Arc<Flight<A>>, comer: &Comer) -> bool {
    let after = flight.asked.at >= comer.began_at && flight.asked.time >= comer.began_time;
    after && !Arc::ptr_eq(flight, refused)
}

/// Whether one who joined may take the answer: `held` is all its cells, tags included; it was asked for at `asked_at`
/// and `asked_time` and confirmed at `confirmed_at`.
pub fn may_take(held: &Held, asked_at: Epoch, confirmed_at: Epoch, asked_time: u64, comer: &Comer) -> bool {
    if held.settles(asked_time) && comer.began_time >= asked_time {
        return false;
    }
    match held.standing(asked_at, confirmed_at) {
        Standing::Current => true,
        Standing::Outdated => comer.began_at <= confirmed_at,
        Standing::Invalidated => comer.began_at <= asked_at,
    }
}
