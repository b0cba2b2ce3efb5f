//! Which events have been acted on.
//!
//! Senders send again what they aren't sure of. An event is known by its `source` and `id` (CloudEvents §3.1), and by the channel that
//! it came on, since rules may ask for that: the same event on another channel may mean more. What is kept of it is a SHA-256 of the three,
//! so that nobody's long names take room, and two events are never taken for one: that would be a change nobody acts on.

use super::cloud_event::Event;
use super::settings::Duplicates;
use crate::clock::millis;
use sha2::{Digest, Sha256};
use std::collections::{HashSet, VecDeque};

/// What is kept of an event.
pub(super) type Mark = [u8; 32];

/// The marks of events that have been acted on within the window.
#[derive(Debug)]
pub(super) struct Seen {
    settings: Duplicates,
    marks: HashSet<Mark>,
    /// When each was acted on (`Now::mono`), the oldest first.
    order: VecDeque<(u64, Mark)>,
}

/// The mark of an event; a bare key has none, and is never a duplicate.
pub(super) fn mark(event: &Event) -> Option<Mark> {
    let (source, id) = (event.source.as_deref()?, event.id.as_deref()?);
    let mut hash = Sha256::new();
    for text in [source, id, event.channel.as_deref().unwrap_or_default()] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.update([u8::from(event.channel.is_some())]);
    Some(hash.finalize().into())
}

impl Seen {
    pub(super) fn new(settings: &Duplicates) -> Self {
        Seen { settings: settings.clone(), marks: HashSet::new(), order: VecDeque::new() }
    }

    /// From now on these settings hold; what was seen stays as far as they let it.
    pub(super) fn change(&mut self, settings: &Duplicates) {
        self.settings = settings.clone();
        while self.order.len() > self.settings.count {
            self.forget_oldest();
        }
    }

    /// Whether this event was acted on within the window.
    pub(super) fn has(&mut self, mark: &Mark, now: u64) -> bool {
        self.forget_old(now);
        self.marks.contains(mark)
    }

    /// Remembers an event that has been acted on; whether a younger one than the window had to go for it.
    pub(super) fn remember(&mut self, mark: Mark, now: u64) -> bool {
        self.forget_old(now);
        let full = self.order.len() >= self.settings.count;
        if self.settings.window.is_zero() || !self.marks.insert(mark) {
            return false;
        }
        if full {
            self.forget_oldest();
        }
        self.order.push_back((now, mark));
        full
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    fn forget_old(&mut self, now: u64) {
        let window = millis(self.settings.window);
        while self.order.front().is_some_and(|(at, _)| now.saturating_sub(*at) >= window) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, mark)) = self.order.pop_front() {
            self.marks.remove(&mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn event(source: &str, id: &str, channel: Option<&str>) -> Event {
        Event {
            source: Some(source.into()),
            id: Some(id.into()),
            channel: channel.map(String::from),
            ..Event::default()
        }
    }

    fn seen(seconds: u64, count: usize) -> Seen {
        Seen::new(&Duplicates { window: Duration::from_secs(seconds), count })
    }

    #[test]
    fn an_event_is_known_by_source_id_and_channel() {
        let marks: Vec<_> = [
            event("a", "bc", None),
            event("ab", "c", None),
            event("", "abc", None),
            event("a", "bc", Some("")),
            event("a", "bc", Some("x")),
        ]
        .iter()
        .map(|event| mark(event).unwrap())
        .collect();
        assert_eq!(marks.iter().collect::<HashSet<_>>().len(), marks.len());
        assert_eq!(mark(&event("a", "bc", None)), Some(marks[0]));
        let key = Event { id: None, ..event("a", "", Some("x")) };
        assert_eq!(mark(&key), None);
    }

    #[test]
    fn it_is_forgotten_at_the_end_of_the_window_and_not_before() {
        let mut seen = seen(10, 5);
        assert!(!seen.has(&[1; 32], 0));
        seen.remember([1; 32], 1_000);
        assert!(seen.has(&[1; 32], 1_000) && seen.has(&[1; 32], 10_999) && !seen.has(&[2; 32], 5_000));
        seen.remember([1; 32], 9_000);
        assert!(!seen.has(&[1; 32], 11_000), "a duplicate makes it no younger");
        assert_eq!((seen.len(), seen.marks.len()), (0, 0));
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let mut seen = seen(10, 3);
        let full: Vec<bool> = (0..5).map(|n| seen.remember([n; 32], 0)).collect();
        assert_eq!(full, [false, false, false, true, true]);
        let known: Vec<u8> = (0..5).filter(|n| seen.has(&[*n; 32], 0)).collect();
        assert_eq!((known, seen.marks.len()), (vec![2, 3, 4], 3));
        seen.change(&Duplicates { window: Duration::from_secs(10), count: 1 });
        assert!(seen.has(&[4; 32], 0) && seen.len() == 1);
    }
}
