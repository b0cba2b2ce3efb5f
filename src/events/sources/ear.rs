//! What a source says, on its way to those who act on it; and how the source is.

use super::super::source::{News, Tell};
use super::failure::Failure;
use super::settings::Source;
use crate::clock::Clock;
use bytes::Bytes;
use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub name: Arc<str>,
    /// `postgres` or `redis`.
    pub kind: &'static str,
    /// Whether it is listened to.
    pub connected: bool,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// How often it was connected to.
    pub connections: u64,
    /// Messages that were told.
    pub messages: u64,
    /// Gaps that were told.
    pub gaps: u64,
    /// Messages that mean nothing: neither a key nor an event.
    pub unusable: u64,
    /// Why it isn't listened to. It may name inner addresses; no secrets.
    pub trouble: Option<String>,
}

/// Counts what one source says and tells it.
pub(super) struct Ear {
    name: Arc<str>,
    tell: Tell,
    clock: Clock,
    connections: AtomicU64,
    messages: AtomicU64,
    gaps: AtomicU64,
    unusable: AtomicU64,
    condition: Mutex<Condition>,
}

struct Condition {
    connected: bool,
    /// By the machine's time, in milliseconds since 1970.
    since: u64,
    /// By a clock that only goes forward.
    begun: Duration,
    trouble: Option<Failure>,
    /// Whether it was said of this connection that it brings what means nothing.
    complained: bool,
}

impl Ear {
    pub(super) fn new(name: &Arc<str>, tell: Tell, clock: Clock) -> Self {
        let since = clock.now().unix;
        let condition = Condition { connected: false, since, begun: clock.uptime(), trouble: None, complained: false };
        let (connections, messages, gaps, unusable) = Default::default();
        Ear { name: Arc::clone(name), tell, clock, connections, messages, gaps, unusable, condition: condition.into() }
    }

    /// A message came. One without a word says that something has changed, and not what: nobody can do with it as with a key, and a gap
    /// covers it.
    pub(super) fn message(&self, channel: &str, payload: Bytes) {
        if payload.trim_ascii().is_empty() {
            return self.gap();
        }
        (self.tell)(News::Message { channel: channel.to_owned(), payload });
        self.messages.fetch_add(1, Relaxed);
    }

    /// Messages may have been lost.
    pub(super) fn gap(&self) {
        (self.tell)(News::Gap);
        self.gaps.fetch_add(1, Relaxed);
    }

    /// A message came that means nothing.
    pub(super) fn unusable(&self, channel: &str, id: &str) {
        self.unusable.fetch_add(1, Relaxed);
        if !std::mem::replace(&mut self.condition().complained, true) {
            tracing::warn!(
                source = &*self.name,
                channel,
                id,
                "an entry has neither a field payload nor the attributes of a CloudEvent; it and its like are passed over"
            );
        }
    }

    /// It is listened to, and what had been missed has been told.
    pub(super) fn connected(&self) {
        let (since, begun) = (self.clock.now().unix, self.clock.uptime());
        *self.condition() = Condition { connected: true, since, begun, trouble: None, complained: false };
        self.connections.fetch_add(1, Relaxed);
        tracing::info!(source = &*self.name, "a source of events is listened to");
    }

    /// It isn't listened to, or still not; how long it was.
    pub(super) fn lost(&self, failure: &Failure) -> Duration {
        let mut condition = self.condition();
        let was = std::mem::replace(&mut condition.connected, false);
        let stood = if was { self.clock.uptime().saturating_sub(condition.begun) } else { Duration::ZERO };
        if was {
            condition.since = self.clock.now().unix;
        }
        if condition.trouble.as_ref() != Some(failure) {
            let source = &*self.name;
            if failure.lasting {
                tracing::error!(source, reason = %failure, "a source of events can't be listened to as it is configured");
            } else {
                tracing::warn!(source, reason = %failure, "a source of events isn't listened to; trying again");
            }
            condition.trouble = Some(failure.clone());
        }
        stood
    }

    pub(super) fn shown(&self, source: &Source) -> Shown {
        let condition = self.condition();
        Shown {
            name: Arc::clone(&self.name),
            kind: source.kind.name(),
            connected: condition.connected,
            since: condition.since,
            connections: self.connections.load(Relaxed),
            messages: self.messages.load(Relaxed),
            gaps: self.gaps.load(Relaxed),
            unusable: self.unusable.load(Relaxed),
            trouble: condition.trouble.as_ref().map(ToString::to_string),
        }
    }

    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debug for Ear {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear").field("name", &self.name).finish_non_exhaustive()
    }
}
