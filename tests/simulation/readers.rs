//! Readers: what `gateway/read.rs`, `gateway/find.rs` and `Fills::get` do, one step at a time.

use super::fills::{Answer, Fill};
use super::naive::{CALLERS, Fault, Need, PATHS, Said, known};
use super::world::{Bent, LANGUAGES, World};
use freshgate::fill::{Comer, Flight, Turn, may_take};
use freshgate::rfc9111::{RequestDirectives, Reuse, Sharing, is_strong, reuse, usable_on_error};
use freshgate::store::{Entry, Standing, Variants};
use std::sync::Arc;

/// How many answers are waited for, as in `fill/mod.rs`.
const MOST_WAITS: usize = 3;

#[derive(Default)]
pub struct Reader {
    number: usize,
    pub path: usize,
    pub caller: usize,
    pub language: usize,
    comer: Option<Comer>,
    need: Need,
    stage: Stage,
    stored: Option<Arc<Entry>>,
    refused: Option<Arc<Flight<usize>>>,
    waits: usize,
    failed: bool,
    /// The key of the variant that it wants, once it knows that there are several.
    variant: Option<Vec<u8>>,
}

#[derive(Default)]
enum Stage {
    #[default]
    Idle,
    Find,
    Judge(Option<Variants>, Option<Variants>),
    Enter,
    /// For somebody else's question.
    Wait(Arc<Flight<usize>>),
    /// For its own.
    Lead(usize),
}

enum Found {
    Fresh(Arc<Entry>),
    Refresh(Arc<Entry>),
    Ask(Option<Arc<Entry>>),
}

impl Reader {
    pub fn numbered(number: usize) -> Reader {
        Reader { number, ..Reader::default() }
    }

    pub fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    pub fn awaits(&self, id: usize) -> bool {
        match &self.stage {
            Stage::Wait(flight) => flight.answer == id,
            Stage::Lead(own) => *own == id,
            Stage::Idle | Stage::Find | Stage::Judge(..) | Stage::Enter => false,
        }
    }

    pub fn step(&mut self, world: &mut World, begin: bool) {
        match std::mem::take(&mut self.stage) {
            Stage::Idle if begin => self.begin(world),
            Stage::Idle => {}
            Stage::Find => self.find(world),
            Stage::Judge(own, shared) => self.judge(world, own, shared),
            Stage::Enter => self.enter(world),
            Stage::Wait(flight) => self.wait(world, flight),
            Stage::Lead(id) => self.lead(world, id),
        }
    }

    /// `Gateway::handle`: the comer is noted before anything is looked at.
    fn begin(&mut self, world: &mut World) {
        // Most want the same, so that they meet.
        let roll = &mut world.rng;
        let (path, caller, language) = match roll.once_in(4) {
            true => (roll.below(PATHS), roll.below(CALLERS), roll.below(LANGUAGES)),
            false => (1, 0, usize::from(roll.once_in(8))),
        };
        let comer = Comer { began_at: world.store.scopes.epoch(), began_time: world.now.mono, hops: 0 };
        let need = world.naive.need(path, caller);
        *self = Reader {
            path,
            caller,
            language,
            comer: Some(comer),
            need,
            stage: Stage::Find,
            ..Reader::numbered(self.number)
        };
        tell!(world, "{} begins at {path} as {caller} in {language}: {comer:?}, {need:?}", self.number);
    }

    fn comer(&self) -> Comer {
        self.comer.unwrap()
    }

    fn find(&mut self, world: &World) {
        let own = world.store.find(&World::key(self.path, self.caller));
        let shared = (self.caller > 0).then(|| world.store.find(&World::key(self.path, 0))).flatten();
        self.stage = Stage::Judge(own, shared);
    }

    /// `find`: the caller's partition first, then what is shared.
    fn judge(&mut self, world: &mut World, own: Option<Variants>, shared: Option<Variants>) {
        let all = world.bent == Bent::PrivateShared;
        let own = self.under(world, own, |_| true);
        let found = match own {
            Found::Fresh(_) => own,
            Found::Refresh(_) | Found::Ask(_) => {
                let shared = self.under(world, shared, |entry| all || entry.sharing == Sharing::Public);
                if worth(&shared) > worth(&own) { shared } else { own }
            }
        };
        match found {
            Found::Fresh(entry) => self.given(world, said(&entry), true, "hit"),
            Found::Refresh(entry) => {
                self.refresh(world, &entry);
                self.given(world, said(&entry), false, "stale while it is confirmed");
            }
            Found::Ask(stored) => {
                self.stored = stored;
                self.stage = Stage::Enter;
            }
        }
    }

    fn under(&self, world: &mut World, variants: Option<Variants>, may: impl Fn(&Entry) -> bool) -> Found {
        let request = &world.requests[self.language];
        let mut matching = variants.iter().flat_map(|v| v.iter()).filter(|e| e.selection.matches(request) && may(e));
        let Some(entry) = matching.next().map(Arc::clone) else { return Found::Ask(None) };
        let outdated = match entry.standing() {
            Standing::Invalidated if world.bent != Bent::HitUnchecked => {
                world.count("invalidated found");
                let strong = entry.etag().is_some_and(is_strong) || world.bent == Bent::InvalidatedRevalidatedWeakly;
                return Found::Ask(strong.then_some(entry));
            }
            Standing::Outdated => world.bent != Bent::SoftIgnored,
            Standing::Current | Standing::Invalidated => false,
        };
        if outdated {
            world.count("outdated found");
        }
        match reuse(&entry.facts, outdated, &RequestDirectives::default(), world.now) {
            Reuse::Fresh => Found::Fresh(entry),
            Reuse::WhileRevalidating => Found::Refresh(entry),
            Reuse::Stale | Reuse::Validate(_) => Found::Ask(Some(entry)),
        }
    }

    /// `Fills::refresh`.
    fn refresh(&mut self, world: &mut World, entry: &Arc<Entry>) {
        self.stored = Some(Arc::clone(entry));
        if let Turn::Lead(flight) = self.turn(world) {
            match self.came_meanwhile(world) {
                Some(entry) => drop(Fill::found(world, self, &flight, &entry)),
                None => drop(Fill::start(world, self, Some(&flight), flight.asked.clone())),
            }
        }
    }

    /// What it is joined by.
    pub fn key(&self) -> Vec<u8> {
        self.variant.clone().unwrap_or_else(|| World::key(self.path, self.caller))
    }

    /// `Fills::came_meanwhile`: the second look, before the origin is asked.
    fn came_meanwhile(&self, world: &World) -> Option<Arc<Entry>> {
        let is_new = |entry: &&Arc<Entry>| {
            entry.selection.matches(&world.requests[self.language])
                && !self.stored.as_ref().is_some_and(|stored| Arc::ptr_eq(stored, entry))
                && entry.facts.is_fresh(world.now)
                && (entry.standing() == Standing::Current || world.bent == Bent::SecondLookUnchecked)
        };
        let own = || world.store.find(&World::key(self.path, self.caller))?.iter().find(is_new).cloned();
        let look = self.caller > 0 && self.stored.is_none();
        let public = |entry: &&Arc<Entry>| entry.sharing == Sharing::Public && is_new(entry);
        let shared = || world.store.find(&World::key(self.path, 0))?.iter().find(public).cloned();
        own().or_else(|| look.then(shared).flatten())
    }

    fn turn(&mut self, world: &mut World) -> Turn<usize> {
        let key = self.key();
        let comer = self.comer();
        let open = world.open.get(&key).cloned();
        if let (Some(flight), Bent::JoinedUnchecked) = (&open, world.bent) {
            return Turn::Join(Arc::clone(flight));
        }
        let names = known(self.path, self.caller);
        let (id, now) = (world.asked, world.now.mono);
        world.asked += 1;
        let refused = self.refused.as_ref().filter(|_| world.bent != Bent::RefusedIsJoinedAgain);
        let ask = || world.store.scopes.ask(&names, now);
        if world.bent == Bent::NeverJoined
            && let Some(flight) = &open
        {
            world.flights.close(&key, flight);
        }
        let turn = world.flights.enter(&key, &comer, refused, ask, || id);
        if let Turn::Lead(flight) = &turn {
            if let Some(open) = open {
                let asked = &open.asked;
                let older = asked.at < comer.began_at || asked.time < comer.began_time;
                let refused = refused.is_some_and(|refused| older || Arc::ptr_eq(refused, &open));
                if !refused && !world.naive.overtaken(&names, asked.at, asked.time, &comer) {
                    tell!(world, "{} asks at {:?} though {:?} could be joined", self.number, comer, asked);
                    world.fault = Some(Fault::CoalescingLost);
                }
                world.count("asked anew in place of an overtaken question");
            }
            world.open.insert(key, Arc::clone(flight));
        }
        turn
    }

    /// `Fills::get`.
    fn enter(&mut self, world: &mut World) {
        // Now and then as if the key's answers couldn't be shared lately.
        if (self.waits == MOST_WAITS && world.bent != Bent::RefusedIsJoinedAgain) || world.rng.once_in(16) {
            let asked = world.store.scopes.ask(&known(self.path, self.caller), world.now.mono);
            let id = Fill::start(world, self, None, asked);
            world.count("asked alone");
            self.stage = Stage::Lead(id);
            return;
        }
        self.stage = match self.turn(world) {
            Turn::Lead(flight) => {
                if let Some(entry) = self.came_meanwhile(world) {
                    Fill::found(world, self, &flight, &entry);
                    return self.given(world, said(&entry), true, "found at the second look");
                }
                world.count("asked");
                Stage::Lead(Fill::start(world, self, Some(&flight), flight.asked.clone()))
            }
            Turn::Join(flight) => {
                tell!(world, "{} joins question {}", self.number, flight.answer);
                if self.refused.as_ref().is_some_and(|refused| Arc::ptr_eq(refused, &flight)) {
                    world.fault = Some(Fault::Livelock);
                }
                Stage::Wait(flight)
            }
        };
    }

    /// `Fills::get` while it waits.
    fn wait(&mut self, world: &mut World, flight: Arc<Flight<usize>>) {
        match world.answer(flight.answer) {
            None => return self.stage = Stage::Wait(flight),
            Some(Answer::Shared(entry, said)) if self.may_take(world, &entry) => {
                return self.given(world, said, true, "joined");
            }
            Some(Answer::Shared(entry, _)) if !entry.selection.matches(&world.requests[self.language]) => {
                world.count("another variant");
                if self.variant.is_some() {
                    self.waits = MOST_WAITS;
                }
                self.variant = Some([&self.key()[..], &[0xFF, self.language as u8]].concat());
            }
            Some(Answer::Unshared(_)) => {
                let asked = world.store.scopes.ask(&known(self.path, self.caller), world.now.mono);
                let id = Fill::start(world, self, None, asked);
                return self.stage = Stage::Lead(id);
            }
            Some(Answer::Failed { timeout }) => {
                if self.failed || timeout {
                    return self.failed(world);
                }
                self.failed = true;
            }
            Some(Answer::Shared(..)) => world.count("refused"),
        }
        tell!(world, "{} refuses question {}", self.number, flight.answer);
        self.refused = Some(flight);
        self.waits += 1;
        self.stage = Stage::Enter;
    }

    fn may_take(&self, world: &mut World, entry: &Entry) -> bool {
        let comer = self.comer();
        if !entry.selection.matches(&world.requests[self.language]) && world.bent != Bent::VariantUnchecked {
            return false;
        }
        match world.bent {
            Bent::JoinedUnchecked | Bent::TakenUnchecked => true,
            Bent::TakenByTheLastInvalidation => {
                let said = world.fills.iter().find_map(|fill| match &fill.answer {
                    Some(Answer::Shared(of, said)) if std::ptr::eq(&**of, entry) => Some(*said),
                    _ => None,
                });
                let mut names = known(self.path, self.caller);
                names.extend(
                    said.iter().flat_map(|s| world.origin.tags(s.path, s.version)).map(super::naive::Name::Tag),
                );
                let last = world.naive.last(&names);
                last <= entry.asked_at || comer.began_at < last
            }
            _ => may_take(&entry.held, entry.asked_at, entry.confirmed_at, entry.asked_time, &comer),
        }
    }

    /// One who asked takes what has come.
    fn lead(&mut self, world: &mut World, id: usize) {
        match world.answer(id) {
            None => self.stage = Stage::Lead(id),
            Some(Answer::Shared(_, said) | Answer::Unshared(Some(said))) => self.given(world, said, true, "own answer"),
            Some(Answer::Unshared(None) | Answer::Failed { .. }) => self.failed(world),
        }
    }

    /// `Gateway::ask`: what is stored, if it may be used when the origin fails, by a check of one's own.
    fn failed(&mut self, world: &mut World) {
        let unchecked = world.bent == Bent::StaleHandedOn;
        let usable = |entry: &Arc<Entry>| {
            usable_on_error(&entry.facts, world.now) && (unchecked || entry.standing() != Standing::Invalidated)
        };
        match self.stored.take().filter(usable) {
            Some(entry) => self.given(world, said(&entry), false, "stale on error"),
            None => {
                world.count("failed");
                *self = Reader::numbered(self.number);
            }
        }
    }

    fn given(&mut self, world: &mut World, said: Said, fresh: bool, how: &'static str) {
        tell!(world, "{} is given {said:?}: {how}", self.number);
        world.give(&self.need, said, fresh, self.caller, self.language, how);
        *self = Reader::numbered(self.number);
    }

    pub fn stored(&self) -> Option<Arc<Entry>> {
        self.stored.clone()
    }
}

fn worth(found: &Found) -> u8 {
    match found {
        Found::Fresh(_) => 3,
        Found::Refresh(_) => 2,
        Found::Ask(Some(_)) => 1,
        Found::Ask(None) => 0,
    }
}

pub fn said(entry: &Entry) -> Said {
    Said::read(&entry.content.get().unwrap().body)
}
