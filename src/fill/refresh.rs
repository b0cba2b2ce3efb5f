//! Asking before anybody has to wait: in the background, for what is still given meanwhile.
//!
//! At most one question for a key at a time, like any other; one a second, unless its answer was kept, so that an origin that fails or
//! says nothing that can be kept isn't asked again for every hit; and `limits.background_refreshes` over all.

use super::ask::Question;
use super::flight::Turn;
use super::{Comer, Fills};
use crate::counted::Counted;
use crate::reached::Bound;
use crate::store::{Entry, Store};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// How long after a refresh has begun, and came to nothing, the next one may begin, in milliseconds.
const PAUSE: u64 = 1000;

/// A refresh on its way.
pub(super) struct Refreshing {
    /// What it is remembered by.
    pub(super) key: Box<[u8]>,
    _place: Counted,
}

impl Fills {
    /// Questions on their way that nobody has to wait for.
    pub fn in_background(&self) -> usize {
        self.background.load(Ordering::Relaxed)
    }

    /// Whether the origin was asked a moment ago on behalf of `entry`, which was found under one of these keys: the caller's, or the
    /// shared one.
    pub fn is_refreshed(&self, key: &[u8], shared_key: Option<&[u8]>, entry: &Arc<Entry>, now: u64) -> bool {
        self.refreshed.contains(found_under(&self.store, key, shared_key, Some(entry)), now)
    }

    /// Asks in the background unless somebody does already, or too many are asked; nobody waits for it.
    pub fn refresh(self: &Arc<Self>, question: Question, comer: &Comer) {
        let shared_key = question.shared_key.as_deref();
        let key: Box<[u8]> = found_under(&self.store, &question.key, shared_key, question.stored.one()).into();
        self.refreshed.remember(&key, self.clock.mono(), PAUSE);
        let Some(place) = self.place_in_background() else { return };
        let question = Arc::new(question);
        if let Turn::Lead(flight) = self.enter(&question.key, &question, comer, None) {
            if let Some(shared) = self.came_meanwhile(&question) {
                self.tell(&flight, shared);
                return;
            }
            let (sender, _) = oneshot::channel();
            self.start(question, flight, sender, Some(Refreshing { key, _place: place }));
        }
    }

    pub(super) fn place_in_background(&self) -> Option<Counted> {
        let place = Counted::up_to(&self.background, self.settings.background);
        if place.is_none() {
            self.reached.note(Bound::BackgroundRefreshes);
        }
        place
    }
}

/// Under which of its keys what is shared was found: all callers' refreshes of it count as one.
fn found_under<'k>(store: &Store, key: &'k [u8], shared_key: Option<&'k [u8]>, entry: Option<&Arc<Entry>>) -> &'k [u8] {
    let (Some(shared_key), Some(entry)) = (shared_key, entry) else { return key };
    let is_own = store.find(key).is_some_and(|variants| variants.iter().any(|own| Arc::ptr_eq(own, entry)));
    if is_own { key } else { shared_key }
}
