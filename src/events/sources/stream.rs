//! How far a stream of Redis has been read, and whether something of it was lost on the way.
//!
//! # What is known
//! Redis gives each entry an id, greater than all before it, and counts all that were ever added (`entries-added` of XINFO STREAM, Redis
//! 7 and Valkey). A [`Position`] is the id that was told last and the count at which it was the last one. A look at the stream
//! is one transaction: the count, the greatest id that was ever given, and the entries after our position.
//!
//! # Why nothing is missed
//! If nothing was lost, then the count has grown since our position by just as many entries as there are after it. An entry that was trimmed
//! away (MAXLEN, MINID), or deleted, before it was read is counted and isn't there: the two numbers differ. So they do when the stream
//! is another one (deleted and begun anew, FLUSHALL, a server that came up with an old copy): its count began at zero, while ours
//! had some before it, or its greatest id is below ours. Whenever they differ there is a gap, and the stream is read on from its end
//! as it was in that transaction: what lies before is covered by the gap, which is told after it, and what is added later lies
//! behind the new position. Where a look brings as many entries as it may, more may lie behind them, and the sum is made when the
//! end is reached.
//!
//! # What the numbers can't show
//! * A position at the very beginning ([`Position::is_blank`]: nothing was ever added) has no count to differ from. So after each new
//!   connection a blank one counts as lost. While connected we wait for its first entry; were that added, the stream deleted and begun anew within
//!   the moment between two looks, nobody would see it.
//! * A stream begun anew whose first entries, exactly as many as ours had, are trimmed again before we look. Two numbers are equal by chance.
//! * What a server had acknowledged and forgot in its fall (`appendfsync everysec`, a replica that lagged): it isn't counted where it never came to. A
//!   server that isn't the same process as before therefore counts as a gap (`redis.rs`).
//!
//! Before Redis 7 there is no count. There something counts as lost when the first entry that is left lies behind our position: nothing is
//! trimmed but from the beginning, so as long as one entry up to our position is left, all behind it are. That cries wolf where a
//! stream is kept so short that what was read is gone at once, and it doesn't see XDEL.

use std::fmt::{self, Display, Formatter};

/// The id of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    millis: u64,
    number: u64,
}

impl Id {
    /// As Redis writes it.
    pub(super) fn read(text: &str) -> Option<Id> {
        let (millis, number) = text.split_once('-')?;
        Some(Id { millis: millis.parse().ok()?, number: number.parse().ok()? })
    }
}

impl Display for Id {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

/// What XINFO STREAM says; all zero for a stream that isn't there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    /// The greatest id that was ever given.
    pub(super) last: Id,
    /// How many entries were ever added; `None` where the server doesn't count them.
    pub(super) added: Option<u64>,
    /// The first entry that is left.
    pub(super) first: Option<Id>,
}

impl Info {
    /// Of a stream that isn't there.
    pub(super) fn nothing() -> Info {
        Info { added: Some(0), ..Info::default() }
    }
}

/// How far a stream has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// What was told last.
    pub(super) id: Id,
    /// How many had been added by then, if that is known.
    added: Option<u64>,
}

/// What a look at a stream has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether something may have been lost.
    pub(super) lost: bool,
    /// Whether the end was reached.
    pub(super) at_end: bool,
}

impl Position {
    /// The end of a stream.
    pub(super) fn end(info: &Info) -> Position {
        Position { id: info.last, added: info.added }
    }

    /// Whether nothing was ever added before it.
    pub(super) fn is_blank(&self) -> bool {
        self.id == Id::default()
    }

    /// After a look that might have brought `most` entries and has brought these.
    pub(super) fn advance(&mut self, info: &Info, read: &[Id], most: usize) -> Verdict {
        let at_end = read.len() < most;
        let reached = self.added.map(|added| added.saturating_add(read.len() as u64));
        let lost = info.last < self.id
            || match (reached, info.added) {
                (Some(reached), Some(added)) if at_end => reached != added,
                (Some(reached), Some(added)) => reached > added,
                _ => info.last > self.id && info.first.is_none_or(|first| first > self.id),
            };
        *self = match read.last() {
            Some(last) if !at_end => Position { id: *last, added: reached.filter(|_| !lost) },
            _ => Position::end(info),
        };
        Verdict { lost, at_end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A stream as Redis keeps it.
    #[derive(Default)]
    struct Model {
        entries: VecDeque<Id>,
        last: Id,
        added: u64,
        /// Before Redis 7.
        old: bool,
    }

    impl Model {
        fn add(&mut self, at: u64, count: u64) {
            for number in 0..count {
                self.last = Id { millis: at, number };
                self.entries.push_back(self.last);
                self.added += 1;
            }
        }

        fn trim(&mut self, to: usize) {
            while self.entries.len() > to {
                self.entries.pop_front();
            }
        }

        fn info(&self) -> Info {
            Info { last: self.last, added: (!self.old).then_some(self.added), first: self.entries.front().copied() }
        }

        /// Reads to the end; what was read, and whether something was lost.
        fn read(&self, position: &mut Position, most: usize) -> (usize, bool) {
            let (mut all, mut lost) = (0, false);
            loop {
                let read: Vec<Id> = self.entries.iter().filter(|id| **id > position.id).take(most).copied().collect();
                let verdict = position.advance(&self.info(), &read, most);
                (all, lost) = (all + read.len(), lost || verdict.lost);
                if verdict.at_end {
                    assert_eq!(position.id, self.last);
                    return (all, lost);
                }
            }
        }
    }

    fn five() -> (Model, Position) {
        let mut model = Model::default();
        model.add(1, 5);
        let position = Position::end(&model.info());
        (model, position)
    }

    #[test]
    fn what_is_added_is_read_once_in_looks_of_any_size() {
        for most in [1, 2, 3, 7, 100] {
            let (mut model, mut position) = five();
            assert_eq!(model.read(&mut position, most), (0, false));
            model.add(2, 6);
            assert_eq!(model.read(&mut position, most), (6, false), "{most}");
            model.trim(3);
            assert_eq!(model.read(&mut position, most), (0, false), "what was read may go");
            model.trim(0);
            model.add(3, 2);
            assert_eq!(model.read(&mut position, most), (2, false), "even all of it");
        }
    }

    #[test]
    fn what_went_before_it_was_read_is_noticed() {
        for most in [1, 2, 3, 100] {
            let (mut model, mut position) = five();
            model.add(2, 6);
            model.trim(4);
            assert_eq!(model.read(&mut position, most), (4, true), "{most}");
            assert_eq!(model.read(&mut position, most), (0, false));
            model.add(3, 4);
            model.entries.remove(5);
            assert_eq!(model.read(&mut position, most), (3, true), "one in the middle, {most}");
            model.add(4, 1);
            model.trim(0);
            assert_eq!(model.read(&mut position, most), (0, true), "all, {most}");
            model.add(5, 3);
            assert_eq!(model.read(&mut position, most), (3, false));
        }
    }

    #[test]
    fn another_stream_under_the_same_key_is_noticed() {
        for (at, count) in [(0, 0), (1, 3), (1, 5), (2, 1), (2, 5), (2, 10), (2, 100)] {
            for most in [1, 5, 100] {
                let (_, mut position) = five();
                let mut other = Model::default();
                other.add(at, count);
                // The same five again can't be told apart, and needn't be.
                let same = (at, count) == (1, 5);
                assert_eq!(other.read(&mut position, most).1, !same, "{at} {count} {most}");
                assert_eq!(position.id, other.last);
            }
        }
    }

    #[test]
    fn an_old_server_is_believed_while_something_read_is_left() {
        let (mut model, _) = five();
        model.old = true;
        let mut position = Position::end(&model.info());
        model.add(2, 6);
        model.trim(7);
        assert_eq!(model.read(&mut position, 2), (6, false));
        model.add(3, 2);
        model.trim(2);
        assert_eq!(model.read(&mut position, 2), (2, true), "nobody knows");
        model.trim(0);
        assert_eq!(model.read(&mut position, 2), (0, false));
    }

    #[test]
    fn only_the_very_beginning_is_blank() {
        assert!(Position::end(&Info::nothing()).is_blank());
        assert!(!five().1.is_blank());
        assert_eq!(Id::read("17-4").map(|id| id.to_string()).as_deref(), Some("17-4"));
        assert_eq!([Id::read("17"), Id::read("x-1"), Id::read("1--1")], [None; 3]);
    }
}
