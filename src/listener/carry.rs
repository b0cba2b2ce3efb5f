//! A connection from its first byte to its end, and how it is told that the end has come.
//!
//! An idle connection is closed when `stop` drains, a busy one after the answer that it is at. Between the two stands one that was accepted a moment ago and
//! hasn't asked yet: its request is probably on its way, and closing it would be taken for a failure, so it is given that moment.
//! Before that, while `stop` leaves, an HTTP/1 connection ends with the field of its next answer (`service`), and one of HTTP/2 is told
//! (GOAWAY) once it has asked something, so that a client that has only just connected isn't sent away before it could.

use super::line::Line;
use super::socket::Protocol;
use super::stop::Stop;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long after its accept a connection that hasn't asked anything is left open in a drain.
pub(super) const FIRST_REQUEST: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Stage {
    Serving,
    Leaving,
    Draining,
}

/// Polls a connection, accepted at `since`, to its end. When `stop` drains it is told by `shut_down`; when `stop` closes it is dropped.
pub(super) async fn carry<C>(
    connection: C,
    shut_down: impl Fn(Pin<&mut C>),
    stop: Stop,
    line: &Line,
    protocol: Protocol,
    since: Instant,
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let (mut first, mut second, mut third) = (stop.clone(), stop.clone(), stop.clone());
    let mut leaving = pin!(first.leaving());
    let mut draining = pin!(second.draining());
    let mut closing = pin!(third.closing());
    let mut patience = pin!(sleep_until(since + FIRST_REQUEST));
    let has_asked = || line.requests.load(Relaxed) > 0;
    let (mut looked, mut stage, mut told) = (false, Stage::Serving, false);
    poll_fn(|cx| {
        // A task keeps its waker, so one look is enough to be woken; after that one atomic load tells.
        if !told && (!std::mem::replace(&mut looked, true) || stop.stirred()) {
            if stage == Stage::Serving && leaving.as_mut().poll(cx).is_ready() {
                stage = Stage::Leaving;
            }
            if stage == Stage::Leaving && draining.as_mut().poll(cx).is_ready() {
                stage = Stage::Draining;
            }
            told = match stage {
                Stage::Serving => false,
                Stage::Leaving => protocol == Protocol::Http2 && has_asked(),
                Stage::Draining => has_asked() || patience.as_mut().poll(cx).is_ready(),
            };
            if told {
                shut_down(connection.as_mut());
            }
        }
        if stage > Stage::Serving && closing.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        connection.as_mut().poll(cx)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::super::stop::stop as switch;
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    /// What a connection of this protocol, accepted now, has been told at each step of a stop: after `leave`, after `drain`, and at last.
    async fn told(protocol: Protocol, has_asked: bool) -> [usize; 3] {
        let ((stopper, stop), count) = (switch(), Arc::new(AtomicUsize::new(0)));
        let line = Line::new(Arc::default());
        if has_asked {
            line.request();
        }
        let counted = Arc::clone(&count);
        let shut_down = move |_: Pin<&mut std::future::Pending<hyper::Result<()>>>| {
            counted.fetch_add(1, Relaxed);
        };
        let mut carried = pin!(carry(std::future::pending(), shut_down, stop, &line, protocol, Instant::now()));
        let mut look = async || {
            tokio::select! { biased; _ = &mut carried => panic!(), () = tokio::task::yield_now() => count.load(Relaxed) }
        };
        assert_eq!(look().await, 0);
        stopper.leave();
        let left = look().await;
        stopper.drain();
        let drained = look().await;
        tokio::time::advance(FIRST_REQUEST).await;
        let last = look().await;
        stopper.close();
        carried.await.unwrap();
        [left, drained, last]
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_told_once_and_not_before_it_could_ask() {
        assert_eq!(told(Protocol::Http1, true).await, [0, 1, 1], "its next answer says it before");
        assert_eq!(told(Protocol::Http1, false).await, [0, 0, 1]);
        assert_eq!(told(Protocol::Http2, true).await, [1, 1, 1]);
        assert_eq!(told(Protocol::Http2, false).await, [0, 0, 1]);
    }
}
