//! Streams of HTTP/2: each in a task of its own, and none held open by a client that takes nothing.
//!
//! On a connection of HTTP/1 the socket tells when a client takes nothing. Of HTTP/2's streams it doesn't: the client
//! grants each a window (RFC 9113 §5.2), and one that grants none keeps the answer, and all that is behind it, for as long
//! as it likes. So each stream's task watches itself. Between two looks it is waiting for *us* when the answer's body has
//! nothing yet, and for *the client* when the body has given something that the library can't send. After `write_stall`
//! of the latter without a step the task ends, and with it the stream (RST_STREAM).
//!
//! A step is small ([`PIECE`]): what the library has taken and not sent is in its buffer, out of sight.

use crate::alarm::{Alarm, later};
use crate::reached::{Bound, Reached};
use crate::tasks::Tasks;
use bytes::Bytes;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of an answer that are handed to the library at a time.
const PIECE: usize = 16 << 10;

tokio::task_local! {
    static STREAM: Arc<Steps>;
}

/// How far an answer has come. Its lowest bit says for whom it waits: 1, the client; the rest counts steps.
#[derive(Debug, Default)]
pub(super) struct Steps(AtomicU64);

impl Steps {
    /// Those of the stream whose task this is.
    pub(super) fn of_this_stream() -> Option<Arc<Steps>> {
        STREAM.try_with(Arc::clone).ok()
    }

    /// The answer has something for the client.
    pub(super) fn given(&self) {
        self.0.store((self.0.load(Relaxed) | 1) + 2, Relaxed);
    }

    /// The answer has nothing for the client yet.
    pub(super) fn awaited(&self) {
        self.0.store(self.0.load(Relaxed) & !1, Relaxed);
    }
}

/// Takes a piece off `data`; the rest stays there.
pub(super) fn piece(data: &mut Bytes) -> Bytes {
    data.split_to(data.len().min(PIECE))
}

/// Runs streams as tasks.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) tasks: Tasks,
    pub(super) write_stall: Duration,
    pub(super) reached: Arc<Reached>,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (stall, reached) = (self.write_stall, Arc::clone(&self.reached));
        let steps = Arc::new(Steps::default());
        self.tasks.spawn(STREAM.scope(Arc::clone(&steps), async move {
            if !within(stream, &steps, stall).await {
                reached.note(Bound::WriteStall);
            }
        }));
    }
}

/// Whether `stream` came to its end, and wasn't given up.
async fn within(stream: impl Future<Output = ()>, steps: &Steps, stall: Duration) -> bool {
    let mut stream = pin!(stream);
    let (mut alarm, mut waiting) = (Alarm::default(), None);
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        let step = steps.0.load(Relaxed);
        if step & 1 == 0 {
            waiting = None;
            return Poll::Pending;
        }
        let (since, deadline) = *waiting.get_or_insert_with(|| (step, later(Instant::now(), stall)));
        let deadline = if since == step { deadline } else { later(Instant::now(), stall) };
        waiting = Some((step, deadline));
        alarm.poll(deadline, cx).map(|()| false)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(60);

    /// Whether a stream of these steps is given up: how long each takes, and whether it is given to the client or awaited.
    async fn given_up(steps: &[(u64, bool)]) -> bool {
        let state = Arc::new(Steps::default());
        let stream = async {
            for (seconds, given) in steps {
                if *given {
                    state.given()
                } else {
                    state.awaited()
                }
                tokio::time::sleep(Duration::from_secs(*seconds)).await;
            }
        };
        !within(stream, &state, STALL).await
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_client_that_takes_nothing_is_given_up() {
        assert!(given_up(&[(61, true)]).await);
        assert!(!given_up(&[(59, true), (59, true), (59, true)]).await, "slow, but it goes on");
        assert!(!given_up(&[(600, false), (59, true), (600, false)]).await, "it waits for us");
        assert!(given_up(&[(600, false), (59, true), (61, true)]).await);
        assert!(!given_up(&[]).await);
    }
}
