//! What readers have been promised at some moment of a history.

use super::changes::{Purge, Reach};
use super::history::{Purged, Write};
use super::world::{BOOKS, GENRES, Resource, everything, genre};
use std::collections::HashMap;

/// Who promised something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Nobody,
    Write(usize),
    Purge(usize),
}

/// The least version, and who promised it.
pub type Floor = (u32, Cause);

/// The floors of one resource's books.
#[derive(Clone, Debug)]
pub struct Floors {
    pub hard: [Floor; BOOKS],
    pub soft: [Floor; BOOKS],
}

/// What is promised at some moment.
pub struct Promises {
    index: HashMap<String, usize>,
    resources: Vec<(Resource, Floors)>,
    /// For answers in which some book has that genre.
    genres: [Floors; GENRES],
}

pub const NOTHING: Floors = Floors { hard: [(0, Cause::Nobody); BOOKS], soft: [(0, Cause::Nobody); BOOKS] };

fn raise(floor: &mut Floor, version: u32, cause: Cause) {
    if floor.0 < version {
        *floor = (version, cause);
    }
}

impl Promises {
    pub fn none() -> Self {
        let resources: Vec<_> = everything().into_iter().map(|r| (r, NOTHING)).collect();
        let index = resources.iter().enumerate().map(|(i, (r, _))| (r.target(), i)).collect();
        Promises { index, resources, genres: [const { NOTHING }; GENRES] }
    }

    fn of(&self, resource: Resource) -> &Floors {
        let plain = if let Resource::View(i, _) = resource { Resource::View(i, 0) } else { resource };
        &self.resources[self.index[&plain.target()]].1
    }

    pub fn by_write(&mut self, reach: Reach, at: usize, write: &Write, version: u32, located: bool) {
        for (resource, floors) in &mut self.resources {
            if write.change.reaches(reach, write.book, *resource, located) {
                raise(&mut floors.hard[write.book], version, Cause::Write(at));
            }
        }
    }

    pub fn by_purge(&mut self, at: usize, purged: &Purged) {
        let put = |floors: &mut Floors| {
            let floors = if purged.soft { &mut floors.soft } else { &mut floors.hard };
            for (floor, had) in floors.iter_mut().zip(&purged.had) {
                raise(floor, *had, Cause::Purge(at));
            }
        };
        if let Purge::Genre(g) = purged.purge {
            put(&mut self.genres[g]);
        }
        for (resource, floors) in &mut self.resources {
            if purged.purge.reaches(*resource) {
                put(floors);
            }
        }
    }

    /// The floors that count for this answer.
    pub fn for_answer(&self, resource: Resource, got: &[u32]) -> Floors {
        let mut floors = self.of(resource).clone();
        if resource.has_genres() {
            for g in got.iter().map(|version| genre(*version)) {
                for book in 0..BOOKS {
                    let (hard, soft) = (self.genres[g].hard[book], self.genres[g].soft[book]);
                    raise(&mut floors.hard[book], hard.0, hard.1);
                    raise(&mut floors.soft[book], soft.0, soft.1);
                }
            }
        }
        floors
    }
}
