//! A request's body with its limits: size, pauses, and a least rate.
//!
//! Only the time that we spend waiting for the client counts; while the origin is slow to take the body, nobody waits
//! for the client. That waiting time is cut into windows of [`WINDOW`] seconds, and each window must have brought
//! `body_min_rate` times as many bytes. The first window is the grace; a burst at the start buys no more than its own.

use super::line::Turn;
use super::settings::Limits;
use crate::alarm::{Alarm, later};
use crate::body::BodyError;
use crate::reached::Bound;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// The span over which the rate is measured.
const WINDOW: Duration = Duration::from_secs(10);

/// What a request's body may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct UploadLimits {
    size: Option<u64>,
    pause: Duration,
    /// Bytes per window.
    least: u64,
}

impl UploadLimits {
    pub(super) fn of(limits: &Limits) -> Self {
        let least = limits.body_min_rate.saturating_mul(WINDOW.as_secs());
        UploadLimits { size: limits.request_body, pause: limits.idle_timeout, least }
    }
}

/// A request's body.
pub(super) struct Upload {
    incoming: Incoming,
    /// Says that the request is under way; gone once the body has ended or broken.
    turn: Option<Turn>,
    limits: UploadLimits,
    received: u64,
    patience: Patience,
}

impl Upload {
    pub(super) fn new(incoming: Incoming, turn: Turn, limits: UploadLimits) -> Self {
        Upload { incoming, turn: Some(turn), limits, received: 0, patience: Patience::default() }
    }

    /// The body is of no more use, though the client may go on sending it.
    fn abandon(&mut self) {
        if let Some(turn) = self.turn.take() {
            turn.line().abandons_body();
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.abandon();
        Poll::Ready(Some(Err(error)))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.turn.is_none() {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            ready!(this.patience.wait(&this.limits, cx));
            if let Some(turn) = &this.turn {
                turn.line().note(Bound::BodyMinRate);
            }
            return this.fail(BodyError::ClientSlow);
        };
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return this.fail(BodyError::Client),
            None => {
                this.turn = None;
                return Poll::Ready(None);
            }
        };
        let bytes = frame.data_ref().map_or(0, |d| d.len() as u64);
        this.patience.came(bytes);
        this.received = this.received.saturating_add(bytes);
        if this.limits.size.is_some_and(|size| this.received > size) {
            return this.fail(BodyError::TooLarge);
        }
        if frame.is_trailers() || this.incoming.is_end_stream() {
            this.turn = None;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// How long the client has been waited for, and what it has sent in that time.
#[derive(Default)]
struct Patience {
    alarm: Alarm,
    /// The wait that is going on.
    wait: Option<Wait>,
    /// Time waited in this window before that wait.
    waited: Duration,
    /// Bytes that came in this window.
    bytes: u64,
}

#[derive(Clone, Copy)]
struct Wait {
    /// Since when nothing has come.
    silent: Instant,
    /// From when on it counts for the present window: a silence can outlast one.
    counted: Instant,
}

impl Patience {
    /// Something came.
    fn came(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if let Some(wait) = self.wait.take() {
            self.waited += wait.counted.elapsed();
        }
    }

    /// Ready when the client has been too slow.
    fn wait(&mut self, limits: &UploadLimits, cx: &mut Context<'_>) -> Poll<()> {
        let wait = self.wait.get_or_insert_with(|| {
            let now = Instant::now();
            Wait { silent: now, counted: now }
        });
        let pause = later(wait.silent, limits.pause);
        loop {
            let window = later(wait.counted, WINDOW.saturating_sub(self.waited));
            ready!(self.alarm.poll(pause.min(window), cx));
            if pause <= window || self.bytes < limits.least {
                return Poll::Ready(());
            }
            wait.counted = window;
            self.waited = Duration::ZERO;
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::time::{sleep, timeout};

    fn limits(pause: u64, rate: u64) -> UploadLimits {
        UploadLimits::of(&Limits { idle_timeout: Duration::from_secs(pause), body_min_rate: rate, ..Limits::default() })
    }

    /// Waits `gap`, then sends `bytes`, again and again; the seconds after which patience ended, if it did.
    async fn trickle(limits: UploadLimits, gap: Duration, bytes: u64, times: u32) -> Option<u64> {
        let begin = Instant::now();
        let mut patience = Patience::default();
        for _ in 0..times {
            if timeout(gap, poll_fn(|cx| patience.wait(&limits, cx))).await.is_ok() {
                return Some(begin.elapsed().as_secs());
            }
            patience.came(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_ends_after_the_first_window() {
        assert_eq!(trickle(limits(30, 64), Duration::from_secs(1), 1, 100).await, Some(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_rate_may_go_on() {
        // Timers are rounded up to milliseconds, so that only nine pieces may fall into a window.
        assert_eq!(trickle(limits(30, 64), Duration::from_secs(1), 72, 100).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_whatever_came_before() {
        assert_eq!(trickle(limits(30, 64), Duration::from_secs(60), 1 << 20, 2).await, Some(10), "no byte, no rate");
        assert_eq!(trickle(limits(3, 64), Duration::from_secs(60), 1 << 20, 2).await, Some(3));
        assert_eq!(trickle(limits(30, 0), Duration::from_secs(60), 1, 2).await, Some(30), "no rate asked for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_buys_one_window_only() {
        let limits = limits(30, 64);
        let mut patience = Patience::default();
        patience.came(1 << 20);
        let begin = Instant::now();
        poll_fn(|cx| patience.wait(&limits, cx)).await;
        assert_eq!(begin.elapsed().as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_does_not_count() {
        let limits = limits(30, 64);
        let mut patience = Patience::default();
        assert!(timeout(Duration::from_secs(5), poll_fn(|cx| patience.wait(&limits, cx))).await.is_err());
        patience.came(1);
        sleep(Duration::from_secs(100)).await;
        let begin = Instant::now();
        poll_fn(|cx| patience.wait(&limits, cx)).await;
        assert_eq!(begin.elapsed().as_secs(), 5);
    }
}
