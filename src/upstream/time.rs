//! How much time a question has, and each of its tries.

use super::settings::Timeouts;
use crate::alarm::later;
use std::time::Duration;
use tokio::time::Instant;

/// How much time a question has, over all its tries.
pub(super) struct Time<'a> {
    timeouts: &'a Timeouts,
    /// The end of everything (`timeouts.total`).
    pub(super) total: Option<Instant>,
    /// Until when there has to be a head, once the first try is over.
    head: Instant,
    first: bool,
}

/// How much of it one try has.
pub(super) struct TryTime {
    pub(super) connect: Duration,
    pub(super) first_byte: Duration,
    pub(super) between_bytes: Duration,
    pub(super) total: Option<Instant>,
}

impl<'a> Time<'a> {
    pub(super) fn new(timeouts: &'a Timeouts) -> Self {
        let now = Instant::now();
        let head = later(later(now, timeouts.connect), timeouts.first_byte);
        Time { timeouts, total: timeouts.total.map(|total| later(now, total)), head, first: true }
    }

    /// What the next try has; `hasty` is what it may take at most to its head.
    pub(super) fn of_try(&mut self, hasty: Option<Duration>) -> TryTime {
        let Timeouts { connect, first_byte, between_bytes, .. } = *self.timeouts;
        let first = std::mem::take(&mut self.first);
        let left = if first { Duration::MAX } else { self.head.saturating_duration_since(Instant::now()) };
        let first_byte = first_byte.min(left).min(hasty.unwrap_or(Duration::MAX));
        TryTime { connect: connect.min(left), first_byte, between_bytes, total: self.total }
    }

    pub(super) fn is_left(&self) -> bool {
        let now = Instant::now();
        now < self.head && self.total.is_none_or(|total| now < total)
    }

    /// Waits, but not past the end.
    pub(super) async fn pause(&self, pause: Duration) {
        let end = self.total.map_or(self.head, |total| total.min(self.head));
        tokio::time::sleep_until(later(Instant::now(), pause).min(end)).await;
    }
}

impl TryTime {
    /// How long connecting may take, and how long it could if the whole question weren't over before.
    pub(super) fn to_connect(&self) -> (Duration, Duration) {
        let left = self.total.map(|total| total.saturating_duration_since(Instant::now()));
        (left.map_or(self.connect, |left| left.min(self.connect)), self.connect)
    }
}
