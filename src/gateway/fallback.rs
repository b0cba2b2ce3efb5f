//! What a request that has to ask may be given instead (see [`stale`](super::stale)).

use crate::clock::Now;
use crate::rfc9111::usable_on_error;
use crate::store::{Entry, Standing};
use std::sync::Arc;
use std::time::Duration;

/// What to do instead, where the origin fails or is slow.
pub(super) struct Fallback {
    pub(super) entry: Option<Arc<Entry>>,
    /// How long to wait for the origin; `None` is to the end.
    pub(super) patience: Option<Duration>,
}

impl Fallback {
    /// It, if it may be given at this moment.
    pub(super) fn usable(&self, now: Now) -> Option<&Arc<Entry>> {
        self.entry.as_ref().filter(|entry| is_valid(entry) && usable_on_error(&entry.facts, now))
    }
}

pub(super) fn is_valid(entry: &Entry) -> bool {
    entry.standing() != Standing::Invalidated
}
