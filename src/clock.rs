//! The only reader of time. Everything that decides by time takes a [`Now`] as an argument, so that tests can step it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    /// When it was made, by [`running`].
    base: Duration,
    /// `None` for the machine's own clock, so that it costs nothing there.
    steps: Option<Arc<Steps>>,
}

/// Milliseconds that were added.
#[derive(Debug, Default)]
struct Steps {
    /// To both clocks, by [`Clock::step`].
    both: AtomicU64,
    /// To the wall clock beside that, by [`Clock::step_wall`].
    wall: AtomicI64,
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Clock { base: running(), steps: None }
    }

    /// A clock that runs with the machine's and can be stepped forward; clones share the steps.
    pub fn steppable() -> Self {
        Clock { steps: Some(Arc::default()), ..Clock::system() }
    }

    /// Moves a steppable clock forward; does nothing to the machine's own.
    pub fn step(&self, by: Duration) {
        if let Some(steps) = &self.steps {
            steps.both.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Moves the wall clock of a steppable clock by so many seconds, forward or back, as somebody does who sets the machine's; does
    /// nothing to the machine's own.
    pub fn step_wall(&self, seconds: i64) {
        if let Some(steps) = &self.steps {
            steps.wall.fetch_add(seconds.saturating_mul(1000), Ordering::SeqCst);
        }
    }

    fn stepped(&self) -> u64 {
        self.steps.as_ref().map_or(0, |steps| steps.both.load(Ordering::SeqCst))
    }

    /// Reads the monotonic clock only, as finely as the machine tells; [`Now::mono`] is the same in milliseconds.
    pub fn uptime(&self) -> Duration {
        running().saturating_sub(self.base) + Duration::from_millis(self.stepped())
    }

    /// Reads the monotonic clock only, in milliseconds as in [`Now::mono`].
    pub fn mono(&self) -> u64 {
        millis(self.uptime())
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        self.at(self.uptime())
    }

    /// Reads the wall clock only, as finely as the machine tells: since 1970-01-01 UTC; [`Now::unix`] is the same in milliseconds.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn unix(&self) -> Duration {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = self.steps.as_ref().map_or(0, |steps| steps.wall.load(Ordering::SeqCst));
        let set = Duration::from_millis(wall.unsigned_abs());
        let stepped = unix + Duration::from_millis(self.stepped());
        if wall < 0 { stepped.saturating_sub(set) } else { stepped + set }
    }

    /// Both clocks, where the monotonic one was read a moment ago.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn at(&self, uptime: Duration) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = self.steps.as_ref().map_or(0, |steps| steps.wall.load(Ordering::SeqCst));
        Now { mono: millis(uptime), unix: (millis(unix) + self.stepped()).saturating_add_signed(wall) }
    }
}

/// A clock that only goes forward. On Linux it is the one that goes on while the machine is suspended, other than [`std::time::Instant`]:
/// what was to be fresh for a minute isn't after a night.
#[cfg(target_os = "linux")]
fn running() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// A clock that only goes forward, whatever the system means by that while it is suspended.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn running() -> Duration {
    static BEGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGIN.get_or_init(std::time::Instant::now).elapsed()
}

/// A duration in whole milliseconds, at most `u64::MAX`.
pub fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_clock_is_stepped_by_itself_and_the_other_one_goes_on() {
        let clock = Clock::steppable();
        let close = |a: u64, b: u64| a.abs_diff(b) < 60_000;
        let begin = clock.now();
        clock.step_wall(3600);
        let ahead = clock.now();
        assert!(close(ahead.unix, begin.unix + 3_600_000) && close(ahead.mono, begin.mono));
        clock.step_wall(-7200);
        let behind = clock.now();
        assert!(close(behind.unix, begin.unix - 3_600_000) && behind.mono >= ahead.mono);
        clock.step(Duration::from_secs(3600));
        let both = clock.now();
        assert!(close(both.unix, begin.unix) && close(both.mono, begin.mono + 3_600_000));
    }

    #[test]
    fn the_machines_own_is_not_stepped_and_never_goes_back() {
        let clock = Clock::system();
        clock.step(Duration::from_secs(3600));
        assert!(clock.mono() < 60_000);
        let mut last = clock.uptime();
        for _ in 0..10_000 {
            let now = clock.uptime();
            assert!(now >= last);
            last = now;
        }
    }
}
