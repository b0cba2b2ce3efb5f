//! How busy it is, and was.

use super::Rooms;
use crate::admin::Traffic;
use crate::telemetry::{History, Stored};
use std::sync::Arc;

impl Traffic for Rooms {
    fn history(&self) -> Arc<History> {
        Arc::clone(&self.foundation.history)
    }
}

impl Rooms {
    /// What the store has.
    pub(super) fn stored(&self) -> Stored {
        let in_force = self.current.load_full();
        let tallies = || in_force.served.iter().map(|served| &served.tally);
        Stored {
            bytes: tallies().map(|tally| tally.bytes()).sum(),
            entries: tallies().map(|tally| tally.entries()).sum(),
            evicted: self.foundation.store.evicted(),
        }
    }
}
