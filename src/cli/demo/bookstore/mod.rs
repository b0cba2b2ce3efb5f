//! A bookstore's REST API: the origin that the demo puts behind the gateway.
//!
//! It is a server of its own, on its own port, and knows nothing of the gateway. Its answers have a strong `ETag` and
//! no `Cache-Control`, so the operator's `ttl` decides how long they are kept. An answer is composed first and held
//! back for the delay afterwards, like a slow network behind a fast database. That leaves a wide gap in which a write
//! can overtake a read: just the race that a cache must not lose.

mod answer;
mod catalogue;
mod routes;
mod server;

pub use server::run;

use catalogue::Catalogue;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest delay that can be set.
pub const MAX_DELAY: Duration = Duration::from_secs(10);

/// How long an answer is held back unless told otherwise.
pub const DEFAULT_DELAY: Duration = Duration::from_millis(300);

/// The books, their authors and reviews, and how slow the shop is.
#[derive(Debug)]
pub struct Bookstore {
    catalogue: Mutex<Catalogue>,
    delay_ms: AtomicU64,
    requests: AtomicU64,
}

impl Default for Bookstore {
    fn default() -> Self {
        Bookstore::new(DEFAULT_DELAY)
    }
}

impl Bookstore {
    /// Three books, and answers that are held back for `delay` (at most [`MAX_DELAY`]).
    pub fn new(delay: Duration) -> Self {
        Bookstore {
            catalogue: Mutex::new(Catalogue::sample()),
            delay_ms: AtomicU64::new(crate::clock::millis(delay.min(MAX_DELAY))),
            requests: AtomicU64::new(0),
        }
    }

    /// How long answers are held back.
    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.load(Ordering::Relaxed))
    }

    /// How many requests have come in, those to `/_demo/…` left out.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn set_delay(&self, ms: u64) {
        self.delay_ms.store(ms, Ordering::Relaxed);
    }

    fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn catalogue(&self) -> MutexGuard<'_, Catalogue> {
        // Each change is one assignment, so a panic elsewhere can't have left half of one behind.
        self.catalogue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
