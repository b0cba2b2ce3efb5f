//! Scopes and epochs: how one atomic maximum invalidates any number of answers.
//!
//! # The model
//! The process counts **epochs**; every invalidation takes the next one. A **scope** is anything that can be
//! invalidated; it has a **cell** with the newest epoch of its hard and of its soft invalidations. A question to an
//! origin takes hold of the cells of its scopes and *then* notes the epoch: `asked_at`. Its answer may be used while
//! `asked_at >= invalidated_at` for each of its cells. An answer is as old as its question: nothing else is compared,
//! no clock, and no order in which answers arrive.
//!
//! # Why that is enough
//! An invalidation holds the cells, takes epoch `E` (after the write was applied), raises the cells to `E`, and then
//! lets the write's client know. A question that noted `E` or later was sent after the write was applied: its answer is
//! new. A question that noted an earlier epoch may have an old answer. If both held a cell at one time it is the very
//! same cell, since a held cell stays in the table, and it is raised. If not, the question took hold only after the
//! invalidator had let go (of a tag's cell, say, when the answer came) and found either the raised cell or a new one that
//! begins at the floor, which is no lower. In both cases the answer is refused. There is no third case.
//!
//! # Forgetting
//! A cell that only the table holds may go: nobody can be misled by its absence if a cell made later under the same
//! name begins no lower. The **floor** keeps that promise: it is raised to the cell's epochs *before* the cell leaves
//! the table, and new cells begin at the floor. Finding, making and dropping a cell of one name happen under one lock.
//!
//! # Settling
//! A write whose outcome is unknown may still be applied later. Until then its cells *settle*: an answer asked for
//! before `settles_until` is neither kept nor shared. The invalidator holds the cells all that time and invalidates
//! them once more at the end.
//!
//! # A write's own answer
//! It may be kept as what a later read gets, if it says so. It is as old as the write's own invalidation `E`, provided that
//! no other one touched its scopes since the write was sent. The cells can't tell: one that took its epoch before `E` and
//! raises its cells after it leaves no trace in a maximum. So each invalidation counts in its cells ([`Held::touched`]) *before*
//! it takes its epoch. Whose count came before the write was sent had its change applied before, and the answer has it;
//! whose count comes after the last look takes an epoch above `E`, and ends the answer.
//!
//! Names are kept as a keyed 64-bit hash. Two names that collide share a cell and are invalidated together: one answer
//! in 10^19 is fetched again for nothing, and none is used wrongly.
//!
//! All operations on the epoch and the cells are sequentially consistent, except the checks of a hit, which only need
//! what the invalidator released before it acknowledged.

use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

/// A point in the order of invalidations; 0 is before the first.
pub type Epoch = u64;

/// How an invalidation is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Never to be used again.
    Hard,
    /// Stale from now on: usable where a stale answer is.
    Soft,
}

/// What the cells say about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No invalidation since it was asked for.
    Current,
    /// Softly invalidated: stale.
    Outdated,
    /// Invalidated.
    Invalidated,
}

/// The newest invalidations of one scope.
#[derive(Debug)]
struct Cell {
    invalidated_at: AtomicU64,
    outdated_at: AtomicU64,
    settles_until: AtomicU64,
    /// How many invalidations have begun.
    touched: AtomicU64,
}

/// The cells of some scopes, held so that they stay.
#[derive(Clone, Debug, Default)]
pub struct Held(Box<[Arc<Cell>]>);

/// A question: the cells of its scopes, and the epoch and the time noted after they were held and before it is sent.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The cells of the scopes known when it was asked.
    pub held: Held,
    /// The epoch before it was sent.
    pub at: Epoch,
    /// Monotonic milliseconds before it was sent.
    pub time: u64,
}

type Shard = Mutex<HashMap<u64, Arc<Cell>>>;

/// Every scope that somebody holds or that was invalidated lately.
#[derive(Debug)]
pub struct Scopes<S = RandomState> {
    epoch: AtomicU64,
    floor: Cell,
    shards: Box<[Shard]>,
    names: S,
    /// For the history check, which must be able to fail; a release build hasn't got it.
    #[cfg(debug_assertions)]
    broken: std::sync::atomic::AtomicBool,
}

impl Default for Scopes {
    fn default() -> Self {
        Scopes::with_hasher(RandomState::new(), 64)
    }
}

impl<S: BuildHasher> Scopes<S> {
    /// An empty table with `shards` locks; `names` should be keyed, since outsiders choose paths.
    pub fn with_hasher(names: S, shards: usize) -> Self {
        let shards = (0..shards.max(1)).map(|_| Mutex::new(HashMap::new())).collect();
        Scopes {
            epoch: AtomicU64::new(0),
            floor: Cell::at(0, 0),
            shards,
            names,
            #[cfg(debug_assertions)]
            broken: false.into(),
        }
    }

    /// Breaks it on purpose: from now on no cell is raised, so that every check of a scope passes. No configuration
    /// reaches this, and there is nothing of it in a release build.
    #[cfg(debug_assertions)]
    #[doc(hidden)]
    pub fn stop_invalidating(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    /// The newest epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch.load(Ordering::SeqCst)
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes hold of the cells of `scopes`, making those that are absent.
    pub fn hold<N: Hash>(&self, scopes: &[N]) -> Held {
        Held(scopes.iter().map(|scope| self.cell(scope)).collect())
    }

    /// The cells of those scopes that have one; what holds none of these belongs to none of the scopes.
    pub fn known<N: Hash>(&self, scopes: &[N]) -> Held {
        let cell = |scope: &N| {
            let name = self.names.hash_one(scope);
            lock(self.shard(name)).get(&name).cloned()
        };
        Held(scopes.iter().filter_map(cell).collect())
    }

    /// Takes hold of `scopes`, then notes the epoch. The question must be sent after this returns; `time` must be read before it is sent.
    pub fn ask<N: Hash>(&self, scopes: &[N], time: u64) -> Asked {
        let held = self.hold(scopes);
        Asked { held, at: self.epoch(), time }
    }

    /// Invalidates `scopes` as of now and returns the epoch this took. Every check that begins after the return sees it.
    pub fn invalidate<N: Hash>(&self, scopes: &[N], severity: Severity) -> Epoch {
        self.raise(&self.hold(scopes), severity)
    }

    /// The same for cells already held.
    pub fn raise(&self, held: &Held, severity: Severity) -> Epoch {
        for cell in &held.0 {
            cell.touched.fetch_add(1, Ordering::SeqCst);
        }
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        #[cfg(debug_assertions)]
        if self.broken.load(Ordering::SeqCst) {
            return epoch;
        }
        for cell in &held.0 {
            let of = match severity {
                Severity::Hard => &cell.invalidated_at,
                Severity::Soft => &cell.outdated_at,
            };
            of.fetch_max(epoch, Ordering::SeqCst);
        }
        epoch
    }

    /// Drops the cells that nobody holds and returns how many.
    pub fn sweep(&self) -> usize {
        let mut dropped = 0;
        for shard in &self.shards {
            let mut shard = lock(shard);
            let before = shard.len();
            shard.retain(|_, cell| match Arc::get_mut(cell) {
                Some(cell) => {
                    self.floor.rise_to(cell);
                    false
                }
                None => true,
            });
            dropped += before - shard.len();
            if shard.capacity() > 64 && shard.len() < shard.capacity() / 4 {
                shard.shrink_to_fit();
            }
        }
        dropped
    }

    fn shard(&self, name: u64) -> &Shard {
        &self.shards[(name >> 32) as usize % self.shards.len()]
    }

    fn cell<N: Hash>(&self, scope: &N) -> Arc<Cell> {
        let name = self.names.hash_one(scope);
        let mut shard = lock(self.shard(name));
        let floor = &self.floor;
        let new = || {
            Arc::new(Cell::at(floor.invalidated_at.load(Ordering::SeqCst), floor.outdated_at.load(Ordering::SeqCst)))
        };
        Arc::clone(shard.entry(name).or_insert_with(new))
    }
}

impl Cell {
    fn at(invalidated: Epoch, outdated: Epoch) -> Self {
        Cell {
            invalidated_at: AtomicU64::new(invalidated),
            outdated_at: AtomicU64::new(outdated),
            settles_until: AtomicU64::new(0),
            touched: AtomicU64::new(0),
        }
    }

    fn rise_to(&self, other: &Cell) {
        self.invalidated_at.fetch_max(other.invalidated_at.load(Ordering::SeqCst), Ordering::SeqCst);
        self.outdated_at.fetch_max(other.outdated_at.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl Held {
    /// What the cells say, now, about an answer asked for at `asked_at` and confirmed by its origin at `confirmed_at`.
    pub fn standing(&self, asked_at: Epoch, confirmed_at: Epoch) -> Standing {
        let mut standing = Standing::Current;
        for cell in &self.0 {
            if cell.invalidated_at.load(Ordering::Acquire) > asked_at {
                return Standing::Invalidated;
            }
            if cell.outdated_at.load(Ordering::Acquire) > confirmed_at {
                standing = Standing::Outdated;
            }
        }
        standing
    }

    /// Marks the scopes as settling: answers asked for before `until` (monotonic milliseconds) are not to be kept or shared.
    pub fn settle(&self, until: u64) {
        for cell in &self.0 {
            cell.settles_until.fetch_max(until, Ordering::SeqCst);
        }
    }

    /// Ends a settling whose end wasn't known: answers asked for at `until` or later may be kept. Only for who has these cells settled alone,
    /// since it takes back what others may have announced.
    pub fn settled(&self, until: u64) {
        for cell in &self.0 {
            cell.settles_until.store(until, Ordering::SeqCst);
        }
    }

    /// Whether an answer asked for at `time` may come from before a write that is still settling.
    pub fn settles(&self, time: u64) -> bool {
        self.0.iter().any(|cell| cell.settles_until.load(Ordering::SeqCst) > time)
    }

    /// How often these cells have been invalidated, in all.
    pub fn touched(&self) -> u64 {
        self.0.iter().map(|cell| cell.touched.load(Ordering::SeqCst)).sum()
    }

    /// How much an invalidation of `other` adds to [`touched`](Self::touched).
    pub fn touched_by(&self, other: &Held) -> u64 {
        let times = |cell: &Arc<Cell>| other.0.iter().filter(|c| Arc::ptr_eq(c, cell)).count() as u64;
        self.0.iter().map(times).sum()
    }

    /// These cells and those of `other`, each once.
    pub fn union(&self, other: &Held) -> Held {
        let mut all = self.0.to_vec();
        for cell in &other.0 {
            if !all.iter().any(|c| Arc::ptr_eq(c, cell)) {
                all.push(Arc::clone(cell));
            }
        }
        Held(all.into())
    }

    /// Whether they have a cell in common.
    pub fn meets(&self, other: &Held) -> bool {
        self.0.iter().any(|cell| other.0.iter().any(|c| Arc::ptr_eq(c, cell)))
    }

    /// How many cells are held.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> impl std::ops::DerefMut<Target = T> + '_ {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
