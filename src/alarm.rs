//! A timer that costs nothing until somebody really has to wait.
//!
//! Most waits on a socket end long before their deadline, and the next wait has a later one. So the timer is made at
//! the first wait that blocks, and a later deadline doesn't touch it: it rings at the earlier one, sees that the
//! deadline has moved, and is set again. One entry in tokio's wheel then serves thousands of waits, and a wait of the
//! task that it will wake anyhow doesn't touch it at all.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep, sleep_until};

/// One lazily armed timer; waits on it one after the other, each with its own deadline.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom the timer wakes.
    wakes: Option<Waker>,
}

impl Alarm {
    /// Ready once `deadline` has passed. Until then the task is woken at the deadline at the latest; an early wake-up
    /// is possible and harmless.
    pub(crate) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        } else if !sleep.is_elapsed() && self.wakes.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        self.wakes = None;
        loop {
            // A task that has used up its turn is told to come again, and the timer isn't told of it.
            let heard = has_budget_remaining();
            if sleep.as_mut().poll(cx).is_pending() {
                self.wakes = heard.then(|| cx.waker().clone());
                return Poll::Pending;
            }
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

/// `from` plus `by`; far away where the sum can't be told, so that an absurd setting never panics.
pub(crate) fn later(from: Instant, by: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
    from.checked_add(by).unwrap_or_else(|| from + FAR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::task::coop::poll_proceed;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_may_move_both_ways() {
        let begin = Instant::now();
        let at = |s| begin + Duration::from_secs(s);
        let mut alarm = Alarm::default();
        poll_fn(|cx| {
            assert!(alarm.poll(at(10), cx).is_pending());
            assert!(alarm.poll(at(30), cx).is_pending());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| alarm.poll(at(30), cx)).await;
        assert_eq!(begin.elapsed().as_secs(), 30);
        poll_fn(|cx| {
            assert!(alarm.poll(at(90), cx).is_pending());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| alarm.poll(at(40), cx)).await;
        assert_eq!(begin.elapsed().as_secs(), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_begins_when_the_turn_is_used_up_ends_all_the_same() {
        let begin = Instant::now();
        let mut alarm = Alarm::default();
        let mut used_up = false;
        poll_fn(|cx| {
            while !used_up && has_budget_remaining() {
                if let Poll::Ready(turn) = poll_proceed(cx) {
                    turn.made_progress();
                }
            }
            used_up = true;
            alarm.poll(begin + Duration::from_secs(10), cx)
        })
        .await;
        assert_eq!(begin.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn another_task_is_woken_as_well() {
        let begin = Instant::now();
        let mut alarm = Alarm::default();
        poll_fn(|cx| {
            assert!(alarm.poll(begin + Duration::from_secs(10), cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { poll_fn(|cx| alarm.poll(begin + Duration::from_secs(20), cx)).await });
        tasks.join_all().await;
        assert_eq!(begin.elapsed().as_secs(), 20);
    }
}
