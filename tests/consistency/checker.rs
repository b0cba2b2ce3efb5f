//! Goes through a history in its order and finds the reads that were answered too old.
//!
//! For every resource and book there is a floor: the newest version that readers have been promised by now, and by
//! whom. Each acknowledgement raises floors; a read is judged by the floors as they were when it began.

use super::changes::Reach;
use super::history::{Applied, Ending, Events, Moment, Read, Write};
use super::promises::{Floor, Floors, NOTHING, Promises};
use super::story::story;
use super::world::{BOOKS, COARSE, FIRST_BYTE, Resource, Tagged};
use std::collections::HashMap;

/// How many stale reads are told in full.
const STORIES: usize = 3;
/// Milliseconds that readings of clocks in whole milliseconds may make of a difference.
const ROUNDING: u64 = 3;

/// What came out.
#[derive(Debug, Default)]
pub struct Verdict {
    pub stale: usize,
    /// Reads that were answered with less than what was acknowledged when they *ended*: rightly so, since they began
    /// before. Their answers were overtaken on the way, and must not be used for anybody else.
    pub overtaken: usize,
    stories: Vec<String>,
}

impl Verdict {
    /// The first stale reads and what led to them; `None` when there are none.
    pub fn stories(&self) -> Option<String> {
        (self.stale > 0).then(|| self.stories.join("\n\n"))
    }
}

/// The first book that is shown too old: it, the floor, and whether a soft purge set it.
fn too_old(read: &Read, floors: &Floors) -> Option<(usize, Floor)> {
    // What a tag takes for the same may be confirmed after a soft purge.
    let coarse = if matches!(read.resource.tagged(), Tagged::Weak | Tagged::Dull) { COARSE } else { 1 };
    read.resource.books().zip(&read.got).find_map(|(book, got)| {
        let (hard, soft) = (floors.hard[book], floors.soft[book]);
        if *got < hard.0 {
            return Some((book, hard));
        }
        (!read.how.stale && got / coarse < soft.0 / coarse).then_some((book, soft))
    })
}

#[derive(Clone, Copy)]
enum Step {
    ReadBegan(usize),
    ReadEnded(usize),
    WriteEnded(usize),
    Applied(usize),
    PurgeEnded(usize),
}

/// Checks a whole history.
pub fn check(events: &Events, reach: Reach) -> Verdict {
    let mut promises = Promises::none();
    let mut begun: HashMap<usize, Floors> = HashMap::new();
    let mut verdict = Verdict::default();
    let writes: HashMap<u64, usize> = events.writes.iter().enumerate().map(|(i, w)| (w.id, i)).collect();
    let mut applied: HashMap<u64, Vec<&Applied>> = HashMap::new();
    for (_, step) in order(events) {
        match step {
            Step::ReadBegan(i) => {
                let read = &events.reads[i];
                begun.insert(i, promises.for_answer(read.resource, &read.got));
            }
            Step::ReadEnded(i) => {
                let read = &events.reads[i];
                let floors = begun.remove(&i).unwrap_or(NOTHING);
                if let Some((book, floor)) = too_old(read, &floors) {
                    verdict.stale += 1;
                    if verdict.stories.len() < STORIES {
                        verdict.stories.push(story(events, read, book, floor));
                    }
                } else if too_old(read, &promises.for_answer(read.resource, &read.got)).is_some() {
                    verdict.overtaken += 1;
                }
            }
            Step::WriteEnded(i) => {
                let write = &events.writes[i];
                match write.ending {
                    Ending::Acknowledged(version) => promises.by_write(reach, i, write, version, true),
                    Ending::Unknown(_) => {
                        for change in applied.get(&write.id).into_iter().flatten().filter(|a| in_time(a, write)) {
                            promises.by_write(reach, i, write, change.version, false);
                        }
                    }
                    Ending::Refused(_) | Ending::Left => {}
                }
            }
            Step::Applied(i) => {
                let change = &events.applied[i];
                applied.entry(change.id).or_default().push(change);
                let Some(write) = writes.get(&change.id).map(|w| (*w, &events.writes[*w])) else { continue };
                // Applied, and applied once more by a try that was given up.
                let again = matches!(write.1.ending, Ending::Acknowledged(version) if version != change.version);
                let open = again || matches!(write.1.ending, Ending::Unknown(_));
                if open && write.1.ended < change.at && in_time(change, write.1) {
                    promises.by_write(reach, write.0, write.1, change.version, false);
                }
            }
            Step::PurgeEnded(i) => promises.by_purge(i, &events.purges[i]),
        }
    }
    verdict
}

/// Whether a write was applied before its scopes had settled at the earliest: the gateway can't have known its outcome
/// to be unknown before its timeout, counted from when it was sent, or settles as long from when the origin broke off.
fn in_time(applied: &Applied, write: &Write) -> bool {
    let slack = match write.ending {
        Ending::Unknown(504) | Ending::Acknowledged(_) => 2 * FIRST_BYTE,
        Ending::Unknown(_) | Ending::Refused(_) | Ending::Left => FIRST_BYTE,
    };
    applied.at_ms + ROUNDING <= write.began_ms + slack
}

/// What must be seen of `resource` once everything is quiet: all that was applied by writes that reach it.
pub fn at_rest(events: &Events, reach: Reach, resource: Resource) -> Vec<u32> {
    let writes: HashMap<u64, &Write> = events.writes.iter().map(|w| (w.id, w)).collect();
    let mut least = [0; BOOKS];
    for change in &events.applied {
        let Some(write) = writes.get(&change.id) else { continue };
        let located = matches!(write.ending, Ending::Acknowledged(_));
        let late = change.at_ms + ROUNDING > write.began_ms + 2 * FIRST_BYTE;
        let answered = located || !late && !matches!(write.ending, Ending::Refused(_));
        if answered && write.change.reaches(reach, write.book, resource, located) {
            least[write.book] = least[write.book].max(change.version);
        }
    }
    resource.books().map(|book| least[book]).collect()
}

fn order(events: &Events) -> Vec<(Moment, Step)> {
    let mut steps: Vec<(Moment, Step)> = Vec::with_capacity(events.reads.len() * 2 + events.writes.len() * 3);
    for (i, read) in events.reads.iter().enumerate() {
        steps.extend([(read.began, Step::ReadBegan(i)), (read.ended, Step::ReadEnded(i))]);
    }
    steps.extend(events.writes.iter().enumerate().map(|(i, w)| (w.ended, Step::WriteEnded(i))));
    steps.extend(events.applied.iter().enumerate().map(|(i, a)| (a.at, Step::Applied(i))));
    steps.extend(events.purges.iter().enumerate().map(|(i, p)| (p.ended, Step::PurgeEnded(i))));
    steps.sort_unstable_by_key(|(moment, _)| *moment);
    steps
}

#[cfg(test)]
mod tests {
    use super::super::changes::{Change, Purge};
    use super::super::history::{How, Purged};
    use super::*;

    const IN_TIME: u64 = 2 * FIRST_BYTE - ROUNDING;

    fn read(began: Moment, ended: Moment, resource: Resource, got: &[u32], how: How) -> Read {
        Read { began, ended, reader: 0, resource, got: got.into(), how }
    }

    fn write(change: Change, ended: Moment, ending: Ending) -> Write {
        Write { id: 1, change, book: 3, began: 1, began_ms: 0, ended, ending }
    }

    fn stale(reads: Vec<Read>, writes: Vec<Write>, applied: Vec<Applied>, purges: Vec<Purged>) -> usize {
        check(&Events { reads, writes, applied, purges }, Reach::Tree).stale
    }

    #[test]
    fn a_read_that_began_after_the_acknowledgement_must_show_the_write() {
        let acknowledged = || vec![write(Change::Put, 10, Ending::Acknowledged(7))];
        let one = |began, resource, got: &[u32]| {
            stale(vec![read(began, 20, resource, got, How::default())], acknowledged(), vec![], vec![])
        };
        assert_eq!(one(11, Resource::Book(3), &[6]), 1);
        assert_eq!(one(11, Resource::Book(3), &[7]), 0);
        assert_eq!(one(9, Resource::Book(3), &[6]), 0, "it began before");
        assert_eq!(one(11, Resource::Book(4), &[6]), 0, "another book");
        assert_eq!(one(11, Resource::View(3, 9), &[6]), 1, "every query");
        assert_eq!(one(11, Resource::Page(0), &[0, 0, 0, 6]), 1, "ancestors");
        assert_eq!(one(11, Resource::Author(0), &[0, 6, 0, 0]), 1, "patterns");
        assert_eq!(one(11, Resource::Mine(3), &[6]), 1, "tags");
    }

    #[test]
    fn an_unknown_outcome_promises_what_is_applied_in_time() {
        let applied = |at, at_ms| vec![Applied { at, at_ms, id: 1, book: 3, version: 7 }];
        let one = |began, ending, applied| {
            let reads = vec![read(began, 99, Resource::Book(3), &[6], How::default())];
            stale(reads, vec![write(Change::Put, 10, ending)], applied, vec![])
        };
        let unknown = Ending::Unknown(504);
        assert_eq!(one(11, unknown, applied(5, 20)), 1, "applied, then answered 504");
        assert_eq!(one(7, unknown, applied(5, 20)), 0, "not answered yet");
        assert_eq!(one(31, unknown, applied(30, IN_TIME)), 1, "applied while it settles");
        assert_eq!(one(29, unknown, applied(30, IN_TIME)), 0);
        assert_eq!(one(31, unknown, applied(30, IN_TIME + 1)), 0, "too late");
        assert_eq!(one(31, Ending::Left, applied(5, 20)), 0, "nobody knows when");
        assert_eq!(one(31, Ending::Refused(500), applied(5, 20)), 0);
    }

    #[test]
    fn a_purge_promises_what_the_origin_had() {
        let purge = |purge, soft| vec![Purged { began: 5, ended: 10, purge, soft, had: vec![7; BOOKS] }];
        let one = |resource, got: &[u32], stale_mark, purges| {
            let how = How { stale: stale_mark, ..How::default() };
            stale(vec![read(11, 20, resource, got, how)], vec![], vec![], purges)
        };
        assert_eq!(one(Resource::Book(1), &[6], true, purge(Purge::Book(1), false)), 1, "grace is no excuse");
        assert_eq!(one(Resource::Book(1), &[6], true, purge(Purge::Book(1), true)), 0);
        assert_eq!(one(Resource::Book(1), &[6], false, purge(Purge::Book(1), true)), 1);
        assert_eq!(one(Resource::Book(2), &[6], false, purge(Purge::Book(1), false)), 0);
        assert_eq!(one(Resource::Book(1), &[4], false, purge(Purge::Genre(1), false)), 1, "4 is of genre 1");
        assert_eq!(one(Resource::Book(1), &[5], false, purge(Purge::Genre(1), false)), 0, "5 isn't");
        let weak = || {
            let had = vec![COARSE + 3; BOOKS];
            vec![Purged { began: 5, ended: 10, purge: Purge::Prefix(1), soft: true, had }]
        };
        assert_eq!(one(Resource::Reviews(1), &[COARSE], false, weak()), 0, "weakly the same");
        assert_eq!(one(Resource::Reviews(1), &[COARSE - 1], false, weak()), 1);
    }
}
