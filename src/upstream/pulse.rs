//! What is known of a connection while its task drives it: since when nobody uses it, whether anything comes back, whether it is
//! still to be used.

use crate::alarm::{Alarm, later};
use crate::counted::Counted;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Since when a connection has been idle, and what else its users tell its task and each other.
pub(super) struct Pulse {
    begin: Instant,
    /// Milliseconds after `begin`, plus 1; 0 while it is in use.
    idle: AtomicU64,
    /// How often bytes have come back.
    reads: Arc<AtomicU64>,
    /// Its streams, if it is one of HTTP/2.
    pub(super) streams: Arc<AtomicUsize>,
    /// Since when it takes no further request.
    over: OnceLock<Instant>,
    /// Its tasks have done something: whoever waits for what the origin allows looks again.
    pub(super) stirred: Notify,
    /// Cancelled when its task has let go of it: what was handed over and not taken by then, nobody takes any more.
    pub(super) gone: CancellationToken,
}

impl Pulse {
    pub(super) fn new(reads: Arc<AtomicU64>) -> Self {
        let (streams, over, stirred, gone) = Default::default();
        Pulse { begin: Instant::now(), idle: AtomicU64::new(0), reads, streams, over, stirred, gone }
    }

    pub(super) fn busy(&self) {
        self.idle.store(0, Ordering::Relaxed);
    }

    pub(super) fn idle(&self) {
        self.idle.store(crate::clock::millis(self.begin.elapsed()).saturating_add(1), Ordering::Relaxed);
    }

    fn idle_since(&self) -> Option<Instant> {
        let idle = self.idle.load(Ordering::Relaxed).checked_sub(1)?;
        (self.streams.load(Ordering::Acquire) == 0).then_some(())?;
        Some(self.begin + Duration::from_millis(idle))
    }

    /// A number that is another one as soon as anything has come back.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// No further request goes out on it. Since when: all who learn of it get the same moment.
    pub(super) fn end(&self) -> Instant {
        *self.over.get_or_init(Instant::now)
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.get().is_some()
    }
}

/// Drives one connection until it ends, is upgraded, or has been idle for too long.
pub(super) async fn tend(
    driver: impl Future<Output = hyper::Result<()>>,
    pulse: Arc<Pulse>,
    longest: Duration,
    open: Option<Counted>,
) {
    drive(driver, &pulse, longest).await;
    pulse.gone.cancel();
    drop(open);
}

async fn drive(driver: impl Future<Output = hyper::Result<()>>, pulse: &Pulse, longest: Duration) {
    let mut driver = pin!(driver);
    let mut alarm = Alarm::default();
    let mut deadline = later(Instant::now(), longest);
    poll_fn(|cx| {
        if let Poll::Ready(ended) = driver.as_mut().poll(cx) {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to an origin broke");
            }
            return Poll::Ready(());
        }
        while alarm.poll(deadline, cx).is_ready() {
            let now = Instant::now();
            deadline = later(pulse.idle_since().unwrap_or(now), longest);
            if deadline <= now {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    })
    .await;
}
