//! How many there are of something that is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts one in for as long as it lives, whatever becomes of the task that has it.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    /// `None` when there are `most` already.
    pub(crate) fn up_to(counter: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let before = counter.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(counter)); // taken back on every way out
        (before < most).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
