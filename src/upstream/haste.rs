//! A try that may be given up early for another one (`retry.try_timeout`).
//!
//! Slowness alone is no reason to give up: whoever has nothing better to do waits on, over the same connection, as if there were no
//! haste. So all that the next try needs is *taken* before this one ends: room in the budget, a place at an endpoint that is well and
//! wasn't tried, and the request's body from its beginning. A try is given up only for one that is then made.

use super::doors::Place;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a try may take to its head before it is looked for another one.
pub(super) struct Haste<'a> {
    pub(super) after: Duration,
    /// Takes what the next try needs, if all of it can be had.
    prepare: &'a (dyn Fn() -> Option<Place> + Send + Sync),
    prepared: Mutex<Option<Place>>,
}

impl<'a> Haste<'a> {
    pub(super) fn new(after: Duration, prepare: &'a (dyn Fn() -> Option<Place> + Send + Sync)) -> Self {
        Haste { after, prepare, prepared: Mutex::default() }
    }

    /// Whether the try is to be given up now; all is ready for the next one then.
    pub(super) fn leaves(&self) -> bool {
        let place = (self.prepare)();
        let leaves = place.is_some();
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = place;
        leaves
    }

    /// The next try's place, where this one was given up for it.
    pub(super) fn into_place(self) -> Option<Place> {
        self.prepared.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
