//! How many contents are encoded at a time (`limits.compressions`): beyond that they go as they are.

use super::coder::whole;
use crate::counted::Counted;
use crate::reached::{Bound, Reached};
use crate::rfc9110::accept_encoding::Coding;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Up to so many bytes are encoded where they are wanted, which takes about a millisecond at most; more on a thread that may take its time.
const SMALL: usize = 32 << 10;

/// The encoders at work.
#[derive(Debug)]
pub struct Encoders {
    running: Arc<AtomicUsize>,
    most: usize,
    reached: Arc<Reached>,
}

impl Encoders {
    /// At most `most` of them; that this was reached is counted in `reached`.
    pub fn new(most: usize, reached: Arc<Reached>) -> Self {
        Encoders { running: Arc::default(), most, reached }
    }

    /// Whether this is done so soon that nobody needs to wait for it.
    pub fn is_small(&self, content: &[u8]) -> bool {
        content.len() <= SMALL
    }

    /// Encodes a content that isn't small.
    ///
    /// # Errors
    /// Where too much is being encoded already.
    pub async fn whole(&self, content: Bytes, coding: Coding) -> Result<Option<Bytes>, Busy> {
        let place = self.place().ok_or(Busy)?;
        let work = move || {
            let encoded = whole(&content, coding);
            drop(place);
            encoded.map(Bytes::from)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Busy)
    }

    /// A place for one more; `None` when there are as many as there may be.
    pub(super) fn place(&self) -> Option<Counted> {
        let place = Counted::up_to(&self.running, self.most);
        if place.is_none() {
            self.reached.note(Bound::Compressions);
        }
        place
    }
}

/// Too much is being encoded already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;
