//! The parts under test, who uses them, and one step at a time.

use super::fills::{Answer, Fill};
use super::naive::{Fault, Naive, Name, Need, Origin, PATHS, Said, Validator};
use super::readers::Reader;
use super::rng::{Rng, mixed};
use super::writers::{Purger, Writer};
use freshgate::clock::Now;
use freshgate::fill::{Flight, Flights};
use freshgate::rfc9111::Facts;
use freshgate::rfc9111::freshness::Source;
use freshgate::store::{Held, Limits, Settings, Severity, Store, Tally};
use http::header::ACCEPT_LANGUAGE;
use http::{HeaderMap, HeaderValue};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A rule that is bent, so that it is seen that bending it is noticed. `None` is the protocol as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bent {
    None,
    AskedNotedAtTheAnswer,
    JoinedUnchecked,
    TakenUnchecked,
    TakenByTheLastInvalidation,
    RefusedIsJoinedAgain,
    NeverJoined,
    EpochBeforeTheAnswer,
    AncestorsForgotten,
    UnknownIgnored,
    NothingSettles,
    KeptWhileSettling,
    WeakRaisesAskedAt,
    TagsOfTheStoredOnly,
    StaleHandedOn,
    HitUnchecked,
    SecondLookUnchecked,
    SoftIgnored,
    VariantUnchecked,
    PrivateShared,
    InvalidatedRevalidatedWeakly,
}

pub const LANGUAGES: usize = 2;
const READERS: usize = 8;
const WRITERS: usize = 2;
const PURGERS: usize = 2;
/// Lines remembered of a story.
const TOLD: usize = 70;

/// What has happened how often: a run in which something never happens has tested nothing about it.
pub type Counts = HashMap<&'static str, u64>;

pub struct World {
    pub bent: Bent,
    pub rng: Rng,
    pub store: Store,
    pub flights: Flights<usize>,
    pub origin: Origin,
    pub naive: Naive,
    pub now: Now,
    pub tally: Arc<Tally>,
    pub requests: [HeaderMap; LANGUAGES],
    pub fills: Vec<Fill>,
    pub asked: usize,
    /// Writes and purges begin once in so many times that they could.
    pub calm: usize,
    /// Questions go on once in so many times that they could.
    slow: usize,
    /// Joinable questions, as the naive model keeps them.
    pub open: HashMap<Vec<u8>, Arc<Flight<usize>>>,
    pub counts: Counts,
    pub fault: Option<Fault>,
    readers: Vec<Reader>,
    writers: Vec<Writer>,
    purgers: Vec<Purger>,
    story: Option<VecDeque<String>>,
}

impl World {
    pub fn new(seed: u64, bent: Bent, told: bool) -> World {
        let mut rng = Rng::new(seed);
        let kinds = [Validator::None, Validator::Strong, Validator::Weak, Validator::Equal];
        let validators = match bent {
            // Rare enough otherwise.
            Bent::WeakRaisesAskedAt => [Validator::Weak; PATHS],
            Bent::TagsOfTheStoredOnly => [Validator::Equal; PATHS],
            _ => std::array::from_fn(|_| kinds[rng.below(kinds.len())]),
        };
        let origin = Origin { salt: mixed(seed), validators };
        // A store too small for all that is asked for evicts, when moka sees fit.
        let max_size = if rng.once_in(3) { 6 << 10 } else { 64 << 20 };
        let limits = Limits { variants_per_path: 4, keys_per_caller: 1 };
        let calm = [1, 4, 16][rng.below(3)];
        let speaking = |language| HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(language))]);
        World {
            bent,
            store: Store::new(&Settings { max_size, ..Settings::default() }, limits, Arc::default()),
            flights: Flights::with_hasher(std::hash::RandomState::new(), 2),
            origin,
            naive: Naive::default(),
            now: Now { mono: 1000, unix: 1_800_000_000_000 },
            tally: Arc::default(),
            requests: [speaking("en"), speaking("de")],
            fills: Vec::new(),
            asked: 0,
            calm,
            slow: [1, 3, 8][rng.below(3)],
            open: HashMap::new(),
            counts: Counts::new(),
            fault: None,
            readers: (0..READERS).map(Reader::numbered).collect(),
            writers: (0..WRITERS).map(Writer::numbered).collect(),
            purgers: (0..PURGERS).map(Purger::numbered).collect(),
            story: told.then(VecDeque::new),
            rng,
        }
    }

    /// Lets somebody, or the world itself, take one small step.
    pub fn step(&mut self) {
        match self.rng.below(100) {
            0..54 => self.reader(true),
            54..74 => self.fill(),
            74..83 => self.writer(true),
            83..93 => self.purger(true),
            93..97 => self.pass_time(1),
            97 => self.sweep(),
            _ if self.rng.once_in(self.calm) => self.change_behind_our_back(),
            _ => {}
        }
    }

    /// Carries everything to its end, starting nothing new; then nothing may be left.
    pub fn end(&mut self) {
        for _ in 0..20_000 {
            if self.fault.is_some() {
                return;
            }
            let idle = self.readers.iter().all(Reader::is_idle)
                && self.writers.iter().all(Writer::is_idle)
                && self.purgers.iter().all(Purger::is_idle);
            if idle && self.fills.is_empty() {
                return self.nothing_is_left();
            }
            match self.rng.below(10) {
                0..4 => self.reader(false),
                4..7 => self.fill(),
                7 => self.writer(false),
                8 => self.purger(false),
                _ => self.pass_time(4),
            }
        }
        self.fault = Some(Fault::Stuck);
    }

    /// What is in the tables can be reached from what is stored; and when all that is invalidated, nothing is in them.
    fn nothing_is_left(&mut self) {
        let reached = || {
            let mut all = Held::default();
            self.store.scan(|_, entries| entries.iter().for_each(|entry| all = all.union(&entry.held)));
            all.len()
        };
        // What moka has removed is freed when it sees fit: not at once, but with the sweeps that follow.
        let swept = |done: &dyn Fn() -> bool| {
            (0..10_000).any(|_| {
                self.store.sweep(self.now);
                done() || {
                    std::thread::yield_now();
                    false
                }
            })
        };
        let open = self.flights.len();
        let settled = swept(&|| self.store.scopes.len() == reached());
        self.store.scopes.invalidate(&[Name::Everything], Severity::Hard);
        let empty = swept(&|| self.store.is_empty() && self.store.scopes.is_empty());
        if open > 0 || !settled || !empty || self.tally.entries() > 0 || self.tally.bytes() > 0 {
            tell!(self, "left: {open} questions, cells settled {settled}, store empty {empty}");
            self.fault = Some(Fault::Left);
        }
    }

    fn reader(&mut self, begin: bool) {
        let at = self.rng.below(self.readers.len());
        let mut reader = std::mem::take(&mut self.readers[at]);
        reader.step(self, begin);
        self.readers[at] = reader;
    }

    fn fill(&mut self) {
        if self.fills.is_empty() || !self.rng.once_in(self.slow) {
            return;
        }
        let at = self.rng.below(self.fills.len());
        let mut fill = self.fills.swap_remove(at);
        fill.step(self);
        if !fill.is_over() || self.readers.iter().any(|reader| reader.awaits(fill.id)) {
            self.fills.push(fill);
        }
    }

    fn writer(&mut self, begin: bool) {
        let at = self.rng.below(self.writers.len());
        let mut writer = std::mem::take(&mut self.writers[at]);
        writer.step(self, begin);
        self.writers[at] = writer;
    }

    fn purger(&mut self, begin: bool) {
        let at = self.rng.below(self.purgers.len());
        let mut purger = std::mem::take(&mut self.purgers[at]);
        purger.step(self, begin);
        self.purgers[at] = purger;
    }

    fn pass_time(&mut self, most: usize) {
        let by = 1 + self.rng.below(most) as u64;
        self.now.mono += by;
        self.now.unix += by;
        tell!(self, "{by} ms pass");
        // What was applied in doubt counts as acknowledged once the doubt is over.
        let mut writers = std::mem::take(&mut self.writers);
        writers.iter_mut().for_each(|writer| writer.doubt_ends(self));
        self.writers = writers;
    }

    fn sweep(&mut self) {
        let before = self.store.scopes.len();
        let gone = self.store.sweep(self.now);
        let dropped = before - self.store.scopes.len();
        if dropped > 0 {
            self.count("cells dropped");
        }
        tell!(self, "sweep: {gone} keys and {dropped} cells go");
    }

    fn change_behind_our_back(&mut self) {
        let path = self.rng.below(PATHS);
        self.naive.versions[path] += 1;
        tell!(self, "the origin changes on its own: {:?}", self.naive.versions);
    }

    /// Gives a reader its answer, and judges it.
    pub fn give(&mut self, need: &Need, said: Said, fresh: bool, caller: usize, language: usize, how: &'static str) {
        self.count(how);
        if let Err(fault) = self.naive.judge(&self.origin, need, said, fresh, caller, language) {
            tell!(self, "{fault:?}: {how}: {said:?}, though {need:?} is needed");
            self.fault = self.fault.or(Some(fault));
        }
    }

    /// What has come of a question.
    pub fn answer(&self, id: usize) -> Option<Answer> {
        self.fills.iter().find(|fill| fill.id == id)?.answer.clone()
    }

    /// How long an answer to this path lasts.
    pub fn facts(&self, path: usize) -> Facts {
        let of = |what: u64, values: [u64; 3]| {
            let roll = mixed(self.origin.salt ^ (path as u64) << 8 ^ what);
            values[(roll % 3) as usize]
        };
        Facts {
            answered: self.now.mono,
            initial_age: 0,
            lifetime: of(10, [3, 10, 60]),
            stale_while_revalidate: of(11, [0, 0, 20]),
            stale_if_error: of(12, [0, 20, 100]),
            always_validate: false,
            must_revalidate: false,
            immutable: false,
            source: Source::MaxAge,
        }
    }

    pub fn key(path: usize, caller: usize) -> Vec<u8> {
        if caller == 0 { vec![b'0' + path as u8] } else { vec![b'0' + path as u8, 0, caller as u8] }
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Whether the story is told; see `tell!`.
    pub fn is_told(&self) -> bool {
        self.story.is_some()
    }

    pub fn add(&mut self, line: String) {
        let Some(story) = &mut self.story else { return };
        if story.len() == TOLD {
            story.pop_front();
        }
        story.push_back(line);
    }

    /// The last lines of the story.
    pub fn story(&self) -> String {
        let lines: Vec<&str> = self.story.iter().flatten().map(String::as_str).collect();
        lines.join("\n")
    }
}
