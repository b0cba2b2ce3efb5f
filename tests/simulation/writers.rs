//! Writers and purgers: what `gateway/write.rs` and `purge.rs` do, one step at a time.

use super::naive::{Name, PATHS, TAGS, Version, reached};
use super::world::{Bent, World};
use freshgate::store::{Held, Severity};

/// Milliseconds in which a write of unknown outcome may still be applied.
const SETTLE: u64 = 12;

#[derive(Default)]
pub struct Writer {
    number: usize,
    path: usize,
    tag: Option<usize>,
    stage: Step,
    held: Held,
    /// The versions that it left at the origin, once it was applied.
    left: Option<[Version; PATHS]>,
    /// When the doubt ends, where nobody knows whether it was applied.
    doubt: Option<u64>,
    settles_until: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Idle,
    Sent,
    Answered,
    Held,
    Raised,
    Settling,
}

impl Writer {
    pub fn numbered(number: usize) -> Writer {
        Writer { number, ..Writer::default() }
    }

    pub fn is_idle(&self) -> bool {
        self.stage == Step::Idle
    }

    pub fn step(&mut self, world: &mut World, begin: bool) {
        let in_time = self.doubt.is_none_or(|end| world.now.mono < end);
        if self.doubt.is_some() && self.left.is_none() && in_time && world.rng.once_in(3) {
            world.count("applied late");
            return self.apply(world);
        }
        match self.stage {
            Step::Idle if !begin || !world.rng.once_in(world.calm) => {}
            Step::Idle => self.send(world),
            Step::Sent if self.left.is_none() && !world.rng.once_in(8) => self.apply(world),
            Step::Sent => self.answered(world),
            Step::Answered => {
                self.held = world.store.scopes.hold(&self.names(world));
                self.stage = Step::Held;
            }
            Step::Held => self.invalidate(world),
            Step::Raised => self.acknowledge(world),
            Step::Settling if world.now.mono >= self.settles_until => {
                if world.bent != Bent::NothingSettles {
                    self.raise(world);
                }
                *self = Writer::numbered(self.number);
            }
            Step::Settling => {}
        }
    }

    fn names(&self, world: &World) -> Vec<Name> {
        let (mut names, _) = reached(self.path);
        if world.bent == Bent::AncestorsForgotten {
            names.truncate(2);
        }
        names.extend(self.tag.map(Name::Tag));
        names
    }

    fn send(&mut self, world: &mut World) {
        let path = world.rng.below(PATHS);
        let tag = world.rng.once_in(3).then(|| world.rng.below(TAGS));
        *self = Writer { path, tag, stage: Step::Sent, ..Writer::numbered(self.number) };
        tell!(world, "write {} at {path} naming tag {tag:?} is sent", self.number);
        if world.bent == Bent::EpochBeforeTheAnswer {
            self.held = world.store.scopes.hold(&self.names(world));
            self.raise(world);
        }
    }

    /// The origin changes what the write changes: its paths, and all that carries its tag.
    fn apply(&mut self, world: &mut World) {
        let (_, paths) = reached(self.path);
        let versions = world.naive.versions;
        let tagged =
            |path: usize| self.tag.is_some_and(|tag| world.origin.tags(path, versions[path]).any(|t| t == tag));
        let changed: Vec<usize> = (0..PATHS).filter(|path| paths.contains(path) || tagged(*path)).collect();
        changed.iter().for_each(|path| world.naive.versions[*path] += 1);
        self.left = Some(world.naive.versions);
        tell!(world, "write {} is applied: {:?}", self.number, world.naive.versions);
    }

    fn answered(&mut self, world: &mut World) {
        self.stage = Step::Answered;
        if self.left.is_none() || world.rng.once_in(6) {
            world.count("outcome unknown");
            tell!(world, "nobody knows what became of write {}", self.number);
            self.doubt = Some(world.now.mono + SETTLE);
            if world.bent == Bent::UnknownIgnored {
                self.settles_until = world.now.mono + SETTLE;
                self.stage = Step::Settling;
            }
        }
    }

    /// `Gateway::invalidate`.
    fn invalidate(&mut self, world: &mut World) {
        if self.doubt.is_some() {
            self.settles_until = world.now.mono + SETTLE;
            if world.bent != Bent::NothingSettles {
                self.held.settle(self.settles_until);
                let names = self.names(world);
                world.naive.settling(&names, self.settles_until);
            }
        }
        if world.bent != Bent::EpochBeforeTheAnswer {
            self.raise(world);
        }
        self.stage = Step::Raised;
    }

    fn raise(&self, world: &mut World) {
        let epoch = world.store.scopes.raise(&self.held, Severity::Hard);
        let names = self.names(world);
        world.naive.invalidated(&names, epoch);
        tell!(world, "write {} raises {names:?} to {epoch}", self.number);
    }

    fn acknowledge(&mut self, world: &mut World) {
        tell!(world, "write {} is answered, in doubt until {:?}", self.number, self.doubt);
        if self.doubt.is_some() {
            self.stage = Step::Settling;
            return self.doubt_ends(world);
        }
        self.is_promised(world);
        *self = Writer::numbered(self.number);
    }

    fn is_promised(&self, world: &mut World) {
        let (_, paths) = reached(self.path);
        if let Some(left) = &self.left {
            world.naive.written(paths, self.tag, left);
        }
    }

    /// From then on a write in doubt counts as one that was acknowledged, if it was applied.
    pub fn doubt_ends(&mut self, world: &mut World) {
        if self.stage == Step::Settling && self.doubt.is_some_and(|end| world.now.mono >= end) {
            self.is_promised(world);
        }
    }
}

#[derive(Default)]
pub struct Purger {
    number: usize,
    name: Option<Name>,
    hard: bool,
    had: [Version; PATHS],
    stage: Step,
    held: Held,
}

impl Purger {
    pub fn numbered(number: usize) -> Purger {
        Purger { number, ..Purger::default() }
    }

    pub fn is_idle(&self) -> bool {
        self.stage == Step::Idle
    }

    pub fn step(&mut self, world: &mut World, begin: bool) {
        let names: Vec<Name> = self.name.into_iter().collect();
        match self.stage {
            Step::Idle if !begin || !world.rng.once_in(2 * world.calm) => {}
            Step::Idle => self.call(world),
            Step::Sent | Step::Answered => {
                self.held = world.store.scopes.hold(&names);
                self.stage = Step::Held;
            }
            Step::Held => {
                let severity = if self.hard { Severity::Hard } else { Severity::Soft };
                let epoch = world.store.scopes.raise(&self.held, severity);
                world.naive.invalidated(&names, epoch);
                tell!(world, "purge {} raises {names:?} to {epoch}, hard: {}", self.number, self.hard);
                self.stage = Step::Raised;
            }
            Step::Raised | Step::Settling => {
                names.iter().for_each(|name| world.naive.purged(*name, self.hard, &self.had));
                tell!(world, "purge {} is answered", self.number);
                *self = Purger::numbered(self.number);
            }
        }
    }

    fn call(&mut self, world: &mut World) {
        let roll = &mut world.rng;
        let name = match roll.below(40) {
            0 => Name::Everything,
            1 => Name::Api,
            2..6 => Name::Path(roll.below(PATHS)),
            6 | 7 => Name::Below([None, Some(0), Some(0)][roll.below(3)]),
            8..11 => Name::Caller(1 + roll.below(2)),
            _ => Name::Tag(roll.below(TAGS)),
        };
        let hard = !roll.once_in(3);
        // Mostly somebody has changed something at the origin and tells us so.
        let changed = if roll.once_in(3) { roll.below(PATHS) } else { 1 };
        let versions = &mut world.naive.versions;
        match name {
            Name::Tag(tag) => {
                let tagged = |path: usize, version| world.origin.tags(path, version).any(|t| t == tag);
                (0..PATHS).for_each(|path| versions[path] += u32::from(tagged(path, versions[path])));
            }
            _ => versions[changed] += 1,
        }
        let had = *versions;
        *self = Purger { name: Some(name), hard, had, stage: Step::Sent, ..Purger::numbered(self.number) };
        tell!(world, "purge {} of {name:?} is called when the origin has {had:?}", self.number);
    }
}
