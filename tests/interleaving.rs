//! The cores under every, or very many, interleavings of their atomics and locks.
//!
//! `store/scopes.rs` and `fill/flight.rs` are compiled once more here, word for word, with the locks and atomics of
//! shuttle in the place of the machine's (they name theirs in `crate::sync`, which here is this file's). shuttle runs a
//! small story many times and chooses before each operation on a lock or an atomic who goes on. Stories of two are
//! gone through completely; larger ones by random schedules and by PCT (few, well placed changes of turn).
//!
//! shuttle's memory is sequentially consistent: what weaker orderings may do is `orderings.rs`' business.
//!
//! Each property has a twin in which the order of two steps is turned round, or an atomic isn't one, and which must be
//! found out. `FRESHGATE_SEED=n` repeats the schedules of seed `n`; without it the seed is random and printed.
#![cfg(test)]

#[path = "../src/fill/flight.rs"]
#[expect(dead_code, unreachable_pub, reason = "it is compiled a second time, for what is needed here")]
mod flight;
#[path = "../src/store/scopes.rs"]
#[expect(dead_code, unreachable_pub, reason = "it is compiled a second time, for what is needed here")]
mod scopes;

/// The cores' own name for each other.
mod store {
    pub(crate) use crate::scopes::{Asked, Epoch, Held, Standing};
}

/// shuttle's locks and atomics, which can be bent.
mod sync {
    pub(crate) use shuttle::sync::atomic::Ordering;
    pub(crate) use shuttle::sync::{Arc, Mutex};
    use shuttle::thread::{ThreadId, current};
    use std::cell::Cell;

    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Bent {
        No,
        /// A maximum is read, compared and written in three steps.
        MaximumInSteps,
        /// What this thread raises isn't raised: the sweeper's floor.
        RaisesNothing(ThreadId),
    }

    thread_local! {
        /// shuttle's threads all run on one real thread.
        static BENT: Cell<Bent> = const { Cell::new(Bent::No) };
    }

    pub(crate) fn bend(how: Bent) {
        BENT.set(how);
    }

    #[derive(Debug)]
    pub(crate) struct AtomicU64(shuttle::sync::atomic::AtomicU64);

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            AtomicU64(shuttle::sync::atomic::AtomicU64::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: u64, order: Ordering) {
            self.0.store(value, order);
        }

        pub(crate) fn fetch_add(&self, by: u64, order: Ordering) -> u64 {
            self.0.fetch_add(by, order)
        }

        pub(crate) fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
            match BENT.get() {
                Bent::RaisesNothing(thread) if current().id() == thread => self.0.load(order),
                Bent::MaximumInSteps => {
                    let old = self.0.load(Ordering::SeqCst);
                    self.0.store(old.max(value), Ordering::SeqCst);
                    old
                }
                Bent::No | Bent::RaisesNothing(_) => self.0.fetch_max(value, order),
            }
        }
    }
}

use flight::{Comer, Flight, Flights, Turn, may_take};
use scopes::{Asked, Held, Scopes, Severity, Standing};
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::Condvar;
use shuttle::{Config, Runner, thread};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use sync::{Arc, AtomicU64, Bent, Mutex, Ordering, bend};

/// Names hash alike in every run, or a schedule couldn't be repeated.
type Names = BuildHasherDefault<DefaultHasher>;

const PATH: &str = "path";
const TAG: &str = "tag";
const KEY: &[u8] = b"key";

/// Schedules of each kind.
const MANY: usize = 5_000;
/// More than any story here has, if it is gone through completely.
const ALL: usize = 400_000;

fn seed() -> u64 {
    let given = std::env::var("FRESHGATE_SEED").ok().map(|seed| seed.parse().unwrap());
    given.unwrap_or_else(|| std::hash::RandomState::new().hash_one(()))
}

fn run(scheduler: impl Scheduler + 'static, story: fn()) -> usize {
    Runner::new(scheduler, Config::default()).run(story)
}

/// Very many schedules.
fn many(story: fn()) {
    let seed = seed();
    println!("FRESHGATE_SEED={seed}");
    run(RandomScheduler::new_from_seed(seed, MANY), story);
    run(PctScheduler::new_from_seed(seed, 3, MANY), story);
}

/// Every schedule there is.
fn all(story: fn()) {
    let schedules = run(DfsScheduler::new(Some(ALL), false), story);
    println!("{schedules} schedules");
    assert!(schedules < ALL, "there are more schedules than were gone through");
}

/// An origin with one resource, what is stored of it, and the version that a read may not be older than.
struct House {
    scopes: Scopes<Names>,
    flights: Flights<Place, Names>,
    origin: AtomicU64,
    acknowledged: AtomicU64,
    stored: Mutex<Option<(Held, u64, u64)>>,
}

/// Where those who joined find the answer: its cells, when it was asked for, its version.
type Place = Arc<(Mutex<Option<(Held, u64, u64)>>, Condvar)>;

impl House {
    fn new() -> Arc<House> {
        Arc::new(House {
            scopes: Scopes::with_hasher(Names::default(), 1),
            flights: Flights::with_hasher(Names::default(), 1),
            origin: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            stored: Mutex::new(None),
        })
    }

    fn version(&self) -> u64 {
        self.origin.load(Ordering::SeqCst)
    }

    /// Asks as a fill does.
    fn ask(&self) -> Asked {
        self.scopes.ask(&[PATH], 0)
    }

    fn keep(&self, held: Held, asked_at: u64, version: u64) {
        *self.stored.lock().unwrap() = Some((held, asked_at, version));
    }

    /// A whole fill, whose answer carries `tags`.
    fn fill(&self, tags: &[&str]) {
        let asked = self.ask();
        let version = self.version();
        let held = asked.held.union(&self.scopes.hold(tags));
        self.keep(held, asked.at, version);
    }

    fn apply(&self, version: u64) {
        self.origin.store(version, Ordering::SeqCst);
    }

    fn acknowledge(&self, version: u64) {
        self.acknowledged.fetch_max(version, Ordering::SeqCst);
    }

    /// A whole write, or a change and a purge.
    fn write(&self, version: u64, scope: &str) {
        self.apply(version);
        self.scopes.invalidate(&[scope], Severity::Hard);
        self.acknowledge(version);
    }

    /// A write whose answer is kept as that of later reads, if `alone` says that there was no other invalidation: it gets
    /// the cells, and how often they had been touched before the write was sent.
    fn write_and_keep(&self, alone: fn(&Held, u64) -> bool) {
        let held = self.scopes.hold(&[PATH]);
        let touched = held.touched();
        let version = self.origin.fetch_add(1, Ordering::SeqCst) + 1;
        let epoch = self.scopes.raise(&held, Severity::Hard);
        if alone(&held, touched) {
            self.keep(held, epoch, version);
        }
        self.acknowledge(version);
    }

    /// Another write, whose answer isn't kept.
    fn write_next(&self) {
        let version = self.origin.fetch_add(1, Ordering::SeqCst) + 1;
        self.scopes.invalidate(&[PATH], Severity::Hard);
        self.acknowledge(version);
    }

    /// A read that is answered from what is stored, if that may be used.
    fn read(&self) {
        let need = self.acknowledged.load(Ordering::SeqCst);
        let stored = self.stored.lock().unwrap().clone();
        if let Some((held, asked_at, version)) = stored
            && held.standing(asked_at, asked_at) == Standing::Current
        {
            assert!(version >= need, "stale: version {version} though {need} is acknowledged");
        }
    }

    fn sweep(&self) {
        self.scopes.sweep();
    }

    fn comer(&self) -> Comer {
        Comer { began_at: self.scopes.epoch(), began_time: 0, hops: 0 }
    }

    fn enter(&self, comer: &Comer, refused: Option<&Arc<Flight<Place>>>) -> Turn<Place> {
        self.flights.enter(KEY, comer, refused, || self.ask(), Place::default)
    }

    /// Asks on everybody's behalf and tells them; returns the version.
    fn lead(&self, flight: &Arc<Flight<Place>>) -> u64 {
        let version = self.version();
        let held = flight.asked.held.union(&self.scopes.hold(&[TAG]));
        let (place, told) = &*flight.answer;
        *place.lock().unwrap() = Some((held.clone(), flight.asked.at, version));
        told.notify_all();
        self.keep(held, flight.asked.at, version);
        self.flights.close(KEY, flight);
        version
    }

    /// A read that asks or joins; `takes` is how it judges a joined answer.
    fn get(&self, takes: fn(&Held, u64, &Comer) -> bool) {
        let need = self.acknowledged.load(Ordering::SeqCst);
        let comer = self.comer();
        let mut refused = None;
        let version = loop {
            let flight = match self.enter(&comer, refused.as_ref()) {
                Turn::Lead(flight) => break self.lead(&flight),
                Turn::Join(flight) => flight,
            };
            let (place, told) = &*flight.answer;
            let mut answer = place.lock().unwrap();
            while answer.is_none() {
                answer = told.wait(answer).unwrap();
            }
            let (held, asked_at, version) = answer.clone().unwrap();
            drop(answer);
            if takes(&held, asked_at, &comer) {
                break version;
            }
            assert!(refused.is_none_or(|refused| !Arc::ptr_eq(&refused, &flight)), "refused twice");
            refused = Some(flight);
        };
        assert!(version >= need, "stale: version {version} though {need} is acknowledged");
    }
}

fn takes(held: &Held, asked_at: u64, comer: &Comer) -> bool {
    may_take(held, asked_at, asked_at, 0, comer)
}

/// Runs these together, then `after`.
fn together<const N: usize>(house: &Arc<House>, parts: [fn(&House); N]) {
    let threads = parts.map(|part| {
        let house = Arc::clone(house);
        thread::spawn(move || part(&house))
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

// --- A fill, a write, a reader

fn fill_and_write() {
    let house = House::new();
    together(&house, [|h| h.fill(&[]), |h| h.write(1, PATH)]);
    house.read();
}

fn fill_write_and_reader() {
    let house = House::new();
    together(&house, [|h| h.fill(&[]), |h| h.write(1, PATH), House::read, House::read]);
    house.read();
}

#[test]
fn a_fill_across_a_write_is_never_used() {
    all(fill_and_write);
    many(fill_write_and_reader);
}

#[test]
#[should_panic(expected = "stale")]
fn found_epoch_noted_after_the_origin_has_answered() {
    many(|| {
        let house = House::new();
        let fill = |h: &House| {
            let version = h.version();
            let asked = h.ask();
            h.keep(asked.held, asked.at, version);
        };
        together(&house, [fill, |h| h.write(1, PATH)]);
        house.read();
    });
}

#[test]
#[should_panic(expected = "stale")]
fn found_invalidated_before_the_write_is_applied() {
    many(|| {
        let house = House::new();
        let write = |h: &House| {
            h.scopes.invalidate(&[PATH], Severity::Hard);
            h.apply(1);
            h.acknowledge(1);
        };
        together(&house, [|h| h.fill(&[]), write]);
        house.read();
    });
}

#[test]
#[should_panic(expected = "stale")]
fn found_acknowledged_before_it_is_invalidated() {
    many(|| {
        let house = House::new();
        house.fill(&[]);
        let write = |h: &House| {
            h.apply(1);
            h.acknowledge(1);
            h.scopes.invalidate(&[PATH], Severity::Hard);
        };
        together(&house, [write, House::read]);
    });
}

// --- Two writes at once

fn fill_and_two_writes() {
    let house = House::new();
    let write = |h: &House| {
        let version = h.origin.fetch_add(1, Ordering::SeqCst) + 1;
        h.scopes.invalidate(&[PATH], Severity::Hard);
        h.acknowledge(version);
    };
    together(&house, [|h| h.fill(&[]), write, write]);
    house.read();
}

#[test]
fn a_cell_never_goes_back() {
    many(fill_and_two_writes);
}

#[test]
#[should_panic(expected = "stale")]
fn found_a_maximum_that_is_not_atomic() {
    many(|| {
        bend(Bent::MaximumInSteps);
        fill_and_two_writes();
    });
}

// --- Dropping cells: the tag is known late

fn sweep_purge_and_late_tag() {
    let house = House::new();
    together(&house, [|h| h.fill(&[TAG]), |h| h.write(1, TAG), House::sweep]);
    house.read();
    house.scopes.sweep();
    house.read();
}

#[test]
fn a_purge_of_a_tag_that_was_dropped_still_counts() {
    many(sweep_purge_and_late_tag);
    many(|| {
        let house = House::new();
        together(&house, [|h| h.fill(&[TAG]), |h| h.write(1, TAG), House::sweep, House::read]);
        house.stored.lock().unwrap().take();
        house.scopes.sweep();
        assert!(house.scopes.is_empty(), "a cell that nobody holds is left");
    });
}

#[test]
#[should_panic(expected = "stale")]
fn found_a_floor_that_is_not_raised() {
    many(|| {
        let house = House::new();
        let sweep = |h: &House| {
            bend(Bent::RaisesNothing(thread::current().id()));
            h.scopes.sweep();
        };
        bend(Bent::No);
        together(&house, [|h| h.fill(&[TAG]), |h| h.write(1, TAG), sweep]);
        house.read();
    });
}

// --- Leading and joining

fn two_comers() {
    let house = House::new();
    let leaders = Arc::new(AtomicU64::new(0));
    let comers = [(); 2].map(|()| {
        let (house, leaders) = (Arc::clone(&house), Arc::clone(&leaders));
        thread::spawn(move || match house.enter(&house.comer(), None) {
            Turn::Lead(_) => {
                leaders.fetch_add(1, Ordering::SeqCst);
            }
            Turn::Join(_) => {}
        })
    });
    comers.into_iter().for_each(|comer| comer.join().unwrap());
    assert_eq!(leaders.load(Ordering::SeqCst), 1, "one leads");
}

#[test]
fn of_two_who_come_together_one_leads() {
    all(two_comers);
}

#[test]
#[should_panic(expected = "one leads")]
fn found_a_look_before_entering() {
    many(|| {
        let house = House::new();
        let leaders = Arc::new(AtomicU64::new(0));
        let comers = [(); 2].map(|()| {
            let (house, leaders) = (Arc::clone(&house), Arc::clone(&leaders));
            thread::spawn(move || {
                if house.flights.is_empty() {
                    drop(house.enter(&house.comer(), None));
                    leaders.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        comers.into_iter().for_each(|comer| comer.join().unwrap());
        assert_eq!(leaders.load(Ordering::SeqCst), 1, "one leads");
    });
}

/// What a question in flight is called here.
type Question = Arc<Flight<Place>>;

/// An overtaken question is closed while another takes its place: the other one stays. `close` gets the old question, and
/// the new one once it is there.
fn close_and_enter(close: fn(&House, &Question, Option<&Question>)) {
    let house = House::new();
    let Turn::Lead(old) = house.enter(&house.comer(), None) else { panic!("nobody asked before") };
    house.scopes.invalidate(&[PATH], Severity::Hard);
    let current = Arc::new(Mutex::new(None));
    let closer = {
        let (house, current) = (Arc::clone(&house), Arc::clone(&current));
        thread::spawn(move || {
            let new = current.lock().unwrap().clone();
            close(&house, &old, new.as_ref());
        })
    };
    let Turn::Lead(new) = house.enter(&house.comer(), None) else { panic!("joined an overtaken question") };
    *current.lock().unwrap() = Some(Arc::clone(&new));
    closer.join().unwrap();
    match house.enter(&house.comer(), None) {
        Turn::Join(joined) => assert!(Arc::ptr_eq(&joined, &new)),
        Turn::Lead(_) => panic!("the new question was closed"),
    }
}

#[test]
fn closing_an_old_question_leaves_the_new_one() {
    all(|| close_and_enter(|house, old, _| house.flights.close(KEY, old)));
}

#[test]
#[should_panic(expected = "the new question was closed")]
fn found_closing_whatever_is_there() {
    many(|| close_and_enter(|house, old, new| house.flights.close(KEY, new.unwrap_or(old))));
}

// --- A write's own answer, and other writes

/// As `gateway::write` does.
fn touched_by_itself_only(held: &Held, touched: u64) -> bool {
    held.touched() == touched + held.touched_by(held)
}

#[test]
fn a_writes_own_answer_is_never_older_than_another_write() {
    many(|| {
        let house = House::new();
        together(&house, [|h| h.write_and_keep(touched_by_itself_only), House::write_next]);
        house.read();
    });
    many(|| {
        let house = House::new();
        let own = |h: &House| h.write_and_keep(touched_by_itself_only);
        together(&house, [own, own, House::write_next, House::read, House::read]);
        house.read();
    });
}

#[test]
#[should_panic(expected = "stale")]
fn found_a_writes_own_answer_kept_whatever_else_was_invalidated() {
    many(|| {
        let house = House::new();
        together(&house, [|h| h.write_and_keep(|_, _| true), House::write_next]);
        house.read();
    });
}

/// The other one has its epoch and raises its cells after ours.
#[test]
#[should_panic(expected = "stale")]
fn found_other_invalidations_looked_for_in_the_cells() {
    many(|| {
        let house = House::new();
        let own = |h: &House| {
            let held = h.scopes.hold(&[PATH]);
            let before = h.scopes.epoch();
            let version = h.origin.fetch_add(1, Ordering::SeqCst) + 1;
            let alone = held.standing(before, before) == Standing::Current;
            let epoch = h.scopes.raise(&held, Severity::Hard);
            if alone {
                h.keep(held, epoch, version);
            }
            h.acknowledge(version);
        };
        together(&house, [own, House::write_next]);
        house.read();
    });
}

// --- Joining and taking, with writes and purges between

fn readers_and_writes() {
    let house = House::new();
    together(&house, [|h| h.get(takes), |h| h.get(takes), |h| h.write(1, PATH), |h| h.get(takes)]);
    house.read();
    assert!(house.flights.is_empty(), "a question is left");
}

fn readers_and_purges(taking: [fn(&House); 2]) {
    let house = House::new();
    let [one, two] = taking;
    together(&house, [one, two, |h| h.write(1, TAG), House::sweep]);
    house.read();
}

#[test]
fn whoever_joins_gets_nothing_older_than_what_was_acknowledged() {
    many(readers_and_writes);
    many(|| readers_and_purges([|h| h.get(takes), |h| h.get(takes)]));
}

#[test]
#[should_panic(expected = "stale")]
fn found_a_joined_answer_taken_without_a_look() {
    many(|| readers_and_purges([|h| h.get(|_, _, _| true), |h| h.get(|_, _, _| true)]));
}
