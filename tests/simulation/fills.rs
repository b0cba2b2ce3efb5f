//! Questions on their way: what `Fills::start`, `ask`, `confirmed` and `record` do, one step at a time.

use super::naive::{Name, Said, Version};
use super::readers::{Reader, said};
use super::world::{Bent, World};
use freshgate::fill::Flight;
use freshgate::rfc9111::{Selection, Sharing, is_strong};
use freshgate::store::{Asked, Content, Entry, Held, Tallied};
use http::header::{ACCEPT_LANGUAGE, ETAG};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::{Arc, OnceLock};

pub struct Fill {
    pub id: usize,
    pub answer: Option<Answer>,
    /// What it is joined by.
    key: Vec<u8>,
    path: usize,
    caller: usize,
    language: usize,
    stored: Option<Arc<Entry>>,
    asked: Asked,
    flight: Option<Arc<Flight<usize>>>,
    stage: Stage,
}

enum Stage {
    /// On its way to the origin.
    Sent,
    /// The origin has read what it will say.
    Read(Version),
    /// The head has come; the content is on its way.
    Recording(Arc<Entry>, Said, bool),
    Over,
}

#[derive(Clone)]
pub enum Answer {
    Shared(Arc<Entry>, Said),
    /// For the one who asked only.
    Unshared(Option<Said>),
    Failed {
        timeout: bool,
    },
}

impl Fill {
    pub fn start(world: &mut World, by: &Reader, flight: Option<&Arc<Flight<usize>>>, asked: Asked) -> usize {
        let id = flight.map_or_else(|| world.asked, |flight| flight.answer);
        world.asked += usize::from(flight.is_none());
        tell!(
            world,
            "question {id} for {} as {} in {} at {} ms, epoch {}",
            by.path,
            by.caller,
            by.language,
            asked.time,
            asked.at
        );
        let flight = flight.cloned();
        let (path, caller, language, stored) = (by.path, by.caller, by.language, by.stored());
        let key = by.key();
        world.fills.push(Fill {
            id,
            answer: None,
            key,
            path,
            caller,
            language,
            stored,
            asked,
            flight,
            stage: Stage::Sent,
        });
        id
    }

    /// A question that needn't be asked: its answer is there already. Those who have joined are told.
    pub fn found(world: &mut World, by: &Reader, flight: &Arc<Flight<usize>>, entry: &Arc<Entry>) -> usize {
        let id = Fill::start(world, by, Some(flight), flight.asked.clone());
        let mut fill = world.fills.pop().unwrap();
        fill.answer = Some(Answer::Shared(Arc::clone(entry), said(entry)));
        fill.stage = Stage::Over;
        fill.close(world);
        world.fills.push(fill);
        id
    }

    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    pub fn step(&mut self, world: &mut World) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Sent if world.rng.once_in(12) => self.fail(world),
            Stage::Sent => Stage::Read(world.naive.versions[self.path]),
            Stage::Read(version) => self.head(world, version),
            Stage::Recording(entry, said, shared) => self.record(world, entry, said, shared),
            Stage::Over => Stage::Over,
        };
    }

    fn fail(&mut self, world: &mut World) -> Stage {
        tell!(world, "question {} fails", self.id);
        self.close(world);
        self.answer = Some(Answer::Failed { timeout: world.rng.once_in(2) });
        Stage::Over
    }

    /// `Fills::ask` once the head has come.
    fn head(&mut self, world: &mut World, version: Version) -> Stage {
        let etag = world.origin.etag(self.path, version);
        let stored = self.stored.take();
        if let Some(stored) = stored.filter(|s| etag.as_ref().is_some_and(|e| s.etag() == Some(e.as_bytes()))) {
            return self.confirmed(world, version, &stored);
        }
        let said = Said { path: self.path, version, confirmed: version, caller: self.caller, language: self.language };
        let sharing = self.judge(world, version);
        tell!(world, "question {} is answered: {said:?}, {sharing:?}", self.id);
        let Some(sharing) = sharing else {
            self.close(world);
            self.answer = Some(Answer::Unshared(Some(said)));
            return Stage::Over;
        };
        let entry = Arc::new(self.entry(world, version, sharing, self.language));
        self.answer = Some(Answer::Shared(Arc::clone(&entry), said));
        Stage::Recording(entry, said, self.caller == 0 || sharing == Sharing::Public)
    }

    fn judge(&self, world: &World, version: Version) -> Option<Sharing> {
        let settles = self.asked.held.settles(self.asked.time) && world.bent != Bent::KeptWhileSettling;
        world.origin.sharing(self.path, version).filter(|_| !settles)
    }

    /// `Fills::entry`: the tags' cells are taken hold of now, that they are known.
    fn entry(&self, world: &World, version: Version, sharing: Sharing, language: usize) -> Entry {
        let tags: Vec<Name> = world.origin.tags(self.path, version).map(Name::Tag).collect();
        let etag = world.origin.etag(self.path, version);
        let fields: HeaderMap = etag.iter().map(|etag| (ETAG, HeaderValue::try_from(etag).unwrap())).collect();
        let varies = world.origin.varies(self.path, version);
        let asked_at = match world.bent {
            Bent::AskedNotedAtTheAnswer => world.store.scopes.epoch(),
            _ => self.asked.at,
        };
        Entry {
            status: StatusCode::OK,
            reason: None,
            fields: world.store.names.pack(&fields),
            facts: world.facts(self.path),
            sharing,
            selection: match varies {
                true => Selection::capture(&[ACCEPT_LANGUAGE], &world.requests[language]),
                false => Selection::default(),
            },
            held: self.asked.held.union(&world.store.scopes.hold(&tags)),
            asked_at,
            confirmed_at: asked_at,
            asked_time: self.asked.time,
            hits: Default::default(),
            content: OnceLock::new(),
            tally: Tallied::new(Arc::clone(&world.tally)),
        }
    }

    /// `Fills::confirmed`: a 304.
    fn confirmed(&mut self, world: &mut World, version: Version, stored: &Entry) -> Stage {
        let strong = stored.etag().is_some_and(is_strong);
        let old = said(stored);
        let new = Said { version: if strong { version } else { old.version }, confirmed: version, ..old };
        let sharing = self.judge(world, version);
        let mut entry = self.entry(world, version, sharing.unwrap_or(Sharing::Unstated), old.language);
        entry.held = match world.bent {
            Bent::TagsOfTheStoredOnly => stored.held.clone(),
            _ => entry.held.union(&stored.held),
        };
        entry.selection = stored.selection.clone();
        if !strong && world.bent != Bent::WeakRaisesAskedAt {
            entry.asked_at = stored.asked_at;
        }
        drop(entry.content.set(Content { body: new.write().into(), ..Content::default() }));
        world.count(if strong { "confirmed strongly" } else { "confirmed weakly" });
        let entry = Arc::new(entry);
        let sharing = sharing.filter(|_| !self.settles(world, &entry));
        tell!(world, "question {} confirms {old:?} as {new:?}, asked at {}, {sharing:?}", self.id, entry.asked_at);
        if let Some(sharing) = sharing {
            self.put(world, &entry, self.caller == 0 || sharing == Sharing::Public);
        }
        self.close(world);
        self.answer = Some(match sharing {
            Some(_) => Answer::Shared(entry, new),
            None => Answer::Unshared(Some(new)),
        });
        Stage::Over
    }

    fn settles(&self, world: &mut World, entry: &Entry) -> bool {
        let settles = entry.held.settles(entry.asked_time);
        if settles {
            world.count("not kept, it settles");
        }
        settles && world.bent != Bent::KeptWhileSettling
    }

    /// `Fills::record` at the end of the content.
    fn record(&mut self, world: &mut World, entry: Arc<Entry>, said: Said, shared: bool) -> Stage {
        if world.rng.once_in(16) {
            tell!(world, "the content of question {} breaks off", self.id);
        } else if !self.settles(world, &entry) {
            drop(entry.content.set(Content { body: said.write().into(), ..Content::default() }));
            self.put(world, &entry, shared);
        }
        self.close(world);
        Stage::Over
    }

    fn put(&self, world: &mut World, entry: &Arc<Entry>, shared: bool) {
        let caller = if shared || world.bent == Bent::PrivateShared { 0 } else { self.caller };
        let key = World::key(self.path, caller);
        let before = self.youngest(world, &key);
        let put = world.store.put(&key, entry, &world.requests[self.language]);
        if let (Some(before), Some(after)) = (before, self.youngest(world, &key))
            && before > after
        {
            tell!(world, "question {}: {after:?} is found where {before:?} was", self.id);
            world.fault = Some(super::naive::Fault::Older);
        }
        world.count(match put {
            Ok(()) => "stored",
            Err(freshgate::store::NotKept::Invalidated) => "not stored, it is invalidated",
            Err(freshgate::store::NotKept::OlderThanStored) => "not stored, a younger one is there",
            Err(freshgate::store::NotKept::NoShelf) => unreachable!("these are no objects"),
        });
        tell!(world, "question {}: {put:?}", self.id);
    }

    /// When the answer that this request would be given now was asked for and confirmed.
    fn youngest(&self, world: &World, key: &[u8]) -> Option<(u64, u64)> {
        let variants = world.store.find(key)?;
        let mut matching = variants.iter().filter(|entry| entry.selection.matches(&world.requests[self.language]));
        matching.next().map(|entry| (entry.asked_at, entry.confirmed_at))
    }

    fn close(&mut self, world: &mut World) {
        let Some(flight) = self.flight.take() else { return };
        world.flights.close(&self.key, &flight);
        if world.open.get(&self.key).is_some_and(|open| Arc::ptr_eq(open, &flight)) {
            world.open.remove(&self.key);
        }
        self.asked.held = Held::default();
    }
}
