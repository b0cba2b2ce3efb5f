//! How much time a request has, each question that is asked for it, and each of its tries: what one has used the next one hasn't.

use super::haste::Haste;
use super::settings::Timeouts;
use crate::alarm::{Alarm, later};
use crate::body::{Body, BodyError};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Until when a request has to have its answer, however many questions are asked for it and whoever asks them.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// The end of everything (`timeouts.total`).
    total: Option<Instant>,
    /// Until when there has to be a head, where another question was asked before.
    head: Option<Instant>,
}

impl Deadline {
    /// That of a request which begins now.
    pub fn new(timeouts: &Timeouts) -> Self {
        Deadline { total: timeouts.total.map(|total| later(Instant::now(), total)), head: None }
    }

    /// That of a question which comes after one that is asked now and was in vain: they share one question's time to a head.
    pub fn after_another(self, timeouts: &Timeouts) -> Self {
        Deadline { head: Some(head(timeouts)), ..self }
    }

    /// Waits for `answer`, but not past the end.
    pub async fn within<F: Future>(self, answer: F) -> Option<F::Output> {
        match self.total {
            Some(total) => timeout_at(total, answer).await.ok(),
            None => Some(answer.await),
        }
    }

    /// The body of somebody else's answer: who may wait for longer than this request.
    pub fn bound(self, body: Body) -> Body {
        match self.total {
            Some(end) => Body::stream(Bound { body, end, over: false, alarm: Alarm::default() }),
            None => body,
        }
    }
}

/// Until when a question that is asked now has to have a head, all its tries together.
fn head(timeouts: &Timeouts) -> Instant {
    later(later(Instant::now(), timeouts.connect), timeouts.first_byte)
}

/// How much time a question has, over all its tries.
#[derive(Clone, Copy)]
pub(super) struct Time<'a> {
    timeouts: &'a Timeouts,
    /// The end of everything (`timeouts.total`).
    pub(super) total: Option<Instant>,
    /// Until when there has to be a head, once the first try is over.
    head: Instant,
    first: bool,
}

/// How much of it one try has.
pub(super) struct TryTime<'a> {
    pub(super) connect: Duration,
    pub(super) first_byte: Duration,
    pub(super) between_bytes: Duration,
    pub(super) total: Option<Instant>,
    /// Where it may be given up before its time is over.
    pub(super) haste: Option<&'a Haste<'a>>,
}

impl<'a> Time<'a> {
    pub(super) fn new(timeouts: &'a Timeouts, deadline: Deadline) -> Self {
        let own = head(timeouts);
        let head = deadline.head.map_or(own, |head| head.min(own));
        Time { timeouts, total: deadline.total, head, first: deadline.head.is_none() }
    }

    /// What the next try has.
    pub(super) fn of_try<'h>(&mut self, haste: Option<&'h Haste<'h>>) -> TryTime<'h> {
        let Timeouts { connect, first_byte, between_bytes, .. } = *self.timeouts;
        let first = std::mem::take(&mut self.first);
        let left = if first { Duration::MAX } else { self.head.saturating_duration_since(Instant::now()) };
        TryTime {
            connect: connect.min(left),
            first_byte: first_byte.min(left),
            between_bytes,
            total: self.total,
            haste,
        }
    }

    pub(super) fn is_left(&self) -> bool {
        let now = Instant::now();
        now < self.head && self.total.is_none_or(|total| now < total)
    }

    /// Waits, but not past the end.
    pub(super) async fn pause(&self, pause: Duration) {
        let end = self.total.map_or(self.head, |total| total.min(self.head));
        tokio::time::sleep_until(later(Instant::now(), pause).min(end)).await;
    }
}

impl TryTime<'_> {
    /// How long connecting may take, and how long it could if the whole question weren't over before.
    pub(super) fn to_connect(&self) -> (Duration, Duration) {
        let left = self.total.map(|total| total.saturating_duration_since(Instant::now()));
        (left.map_or(self.connect, |left| left.min(self.connect)), self.connect)
    }
}

/// A body that ends with its reader's time.
struct Bound {
    body: Body,
    end: Instant,
    over: bool,
    alarm: Alarm,
}

impl HttpBody for Bound {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(this.alarm.poll(this.end, cx));
        this.over = true;
        Poll::Ready(Some(Err(BodyError::OriginSlow)))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test(start_paused = true)]
    async fn who_reads_somebody_elses_answer_reads_no_longer_than_it_may() {
        /// Says nothing.
        struct Silent;

        impl HttpBody for Silent {
            type Data = Bytes;
            type Error = BodyError;

            fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
                Poll::Pending
            }
        }

        let begin = Instant::now();
        let total = Some(Duration::from_secs(5));
        let deadline = Deadline::new(&Timeouts { total, ..Timeouts::default() });
        assert_eq!(deadline.within(std::future::pending::<()>()).await, None);
        assert_eq!(begin.elapsed().as_secs(), 5);
        let mut body = deadline.bound(Body::chained(Bytes::from_static(b"begin"), Body::stream(Silent)));
        assert!(body.frame().await.unwrap().is_ok(), "what is there is given all the same");
        assert_eq!(body.frame().await.unwrap().unwrap_err(), BodyError::OriginSlow);
        assert!(body.frame().await.is_none());
        assert_eq!(begin.elapsed().as_secs(), 5);
        let free = Deadline::new(&Timeouts::default()).bound(Body::full("x"));
        assert!(free.in_memory().is_some(), "no total costs nothing");
    }
}
