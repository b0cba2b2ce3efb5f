//! The only reader of time. Everything that decides by time takes a [`Now`] as an argument, so that tests can step it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since the process's clock was made; never goes back. Ages and deadlines are counted in it.
    pub mono: u64,
    /// Milliseconds since 1970-01-01 UTC as the machine believes; compared with `Date` and `Expires` only.
    pub unix: u64,
}

/// A source of [`Now`]: the machine's clocks, or, in tests, the machine's clocks plus steps.
#[derive(Clone, Debug)]
pub struct Clock {
    base: Instant,
    /// Milliseconds added by [`Clock::step`]; `None` for the machine's own clock, so that it costs nothing there.
    stepped: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// The machine's clocks.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn system() -> Self {
        Clock { base: Instant::now(), stepped: None }
    }

    /// A clock that runs with the machine's and can be stepped forward; clones share the steps.
    pub fn steppable() -> Self {
        Clock { stepped: Some(Arc::default()), ..Clock::system() }
    }

    /// Moves a steppable clock forward; does nothing to the machine's own.
    pub fn step(&self, by: Duration) {
        if let Some(stepped) = &self.stepped {
            stepped.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Reads the monotonic clock only, as finely as the machine tells; [`Now::mono`] is the same in milliseconds.
    pub fn uptime(&self) -> Duration {
        let stepped = self.stepped.as_ref().map_or(0, |s| s.load(Ordering::SeqCst));
        self.base.elapsed() + Duration::from_millis(stepped)
    }

    /// Reads the monotonic clock only, in milliseconds as in [`Now::mono`].
    pub fn mono(&self) -> u64 {
        millis(self.uptime())
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        self.at(self.uptime())
    }

    /// Both clocks, where the monotonic one was read a moment ago.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn at(&self, uptime: Duration) -> Now {
        let stepped = self.stepped.as_ref().map_or(0, |s| s.load(Ordering::SeqCst));
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: millis(uptime), unix: millis(unix) + stepped }
    }
}

/// A duration in whole milliseconds, at most `u64::MAX`.
pub fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
