//! When a question that got no answer is asked once more.
//!
//! Two things have to be so. It *may* be asked again: the origin has seen nothing of it; or it may have, but the method is idempotent
//! (RFC 9110 §9.2.2) and not a byte of an answer has come. And it *makes sense*: there are tries left, there is time left, and the
//! budget has room. The budget is what keeps retries from becoming a flood on top of the trouble that causes them: they
//! are a share of what is asked anyhow.
//!
//! What the origin answered, whatever the answer, is never asked again.

use super::error::{AskError, AskErrorKind};
use super::settings::Retry;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What is known of a question when one of its tries has failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    /// Its method is idempotent, or its route is safe.
    pub(super) idempotent: bool,
    /// Its body can be sent from the beginning.
    pub(super) whole: bool,
    /// Bytes of an answer had come.
    pub(super) heard: bool,
}

/// Whether a question may be asked again after `error`.
pub(super) fn may(error: &AskError, failed: Failed) -> bool {
    let unheard = failed.idempotent && !failed.heard;
    failed.whole
        && match error.kind {
            AskErrorKind::Resolve | AskErrorKind::Connect | AskErrorKind::ConnectTimeout | AskErrorKind::Tls => true,
            // Another endpoint may have an idle connection, or another port for us.
            AskErrorKind::OutOfSockets => true,
            AskErrorKind::Closed => !error.sent || unheard,
            // A try that is slow is given up only for another one (`haste`): this one has had all the time that there is.
            AskErrorKind::FirstByteTimeout
            | AskErrorKind::TotalTimeout
            | AskErrorKind::BadAnswer
            | AskErrorKind::ClientBody(_)
            | AskErrorKind::Request
            | AskErrorKind::TooMany
            | AskErrorKind::NoEndpoint
            | AskErrorKind::BreakerOpen
            | AskErrorKind::QueueFull
            | AskErrorKind::QueueTimeout
            | AskErrorKind::Lost => false,
        }
}

/// How long to wait before the try after `tried` of them: anything up to a time that doubles, so that those who failed together
/// don't come back together. `random` is any number.
pub(super) fn pause(retry: &Retry, tried: u32, random: u64) -> Duration {
    let most = retry.backoff.saturating_mul(1u32.checked_shl(tried.saturating_sub(1)).unwrap_or(u32::MAX));
    let most = most.min(retry.max_backoff);
    most.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64)
}

/// Milliseconds of traffic that the budget looks at.
const WINDOW: u64 = 10_000;
/// Retries that there are in each window however little is asked.
const LEAST: f64 = 10.0;

/// How much was asked lately, and how much of that again.
///
/// The window slides: of the one before counts as much as still lies within the last [`WINDOW`]. One that began at nothing
/// every ten seconds would have no room for those whom an endpoint takes with it just then. Counts may be off by a few where
/// a window ends while many ask; a budget needs no more.
#[derive(Debug, Default)]
pub(super) struct Budget {
    window: AtomicU64,
    /// By the window's number, even or odd.
    counts: [Counts; 2],
}

#[derive(Debug, Default)]
struct Counts {
    asked: AtomicU64,
    again: AtomicU64,
}

impl Budget {
    /// A question was asked for the first time.
    pub(super) fn asked(&self, now: u64) {
        self.counts(now)[0].asked.fetch_add(1, Relaxed);
    }

    /// Takes room for one retry, if there is some.
    pub(super) fn take(&self, share: f64, now: u64) -> bool {
        let [this, last] = self.counts(now);
        let rest = 1.0 - (now % WINDOW) as f64 / WINDOW as f64;
        let lately =
            |of: fn(&Counts) -> &AtomicU64| of(this).load(Relaxed) as f64 + rest * of(last).load(Relaxed) as f64;
        let most = LEAST + share * lately(|counts| &counts.asked);
        let before = rest * last.again.load(Relaxed) as f64;
        let room = |again: u64| (again as f64 + before < most.floor()).then_some(again + 1);
        this.again.fetch_update(Relaxed, Relaxed, room).is_ok()
    }

    /// The counts of this window and of the one before.
    fn counts(&self, now: u64) -> [&Counts; 2] {
        let (window, [even, odd]) = (now / WINDOW, &self.counts);
        let [this, last] = if window.is_multiple_of(2) { [even, odd] } else { [odd, even] };
        let before = self.window.load(Relaxed);
        if before < window && self.window.compare_exchange(before, window, Relaxed, Relaxed).is_ok() {
            this.clear();
            if before + 1 < window {
                last.clear();
            }
        }
        [this, last]
    }
}

impl Counts {
    fn clear(&self) {
        self.asked.store(0, Relaxed);
        self.again.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDEMPOTENT: Failed = Failed { idempotent: true, whole: true, heard: false };
    const WRITE: Failed = Failed { idempotent: false, ..IDEMPOTENT };

    #[test]
    fn what_may_be_asked_again() {
        use AskErrorKind::{BadAnswer, Closed, Connect, FirstByteTimeout, TotalTimeout};
        let (sent, unsent) = (AskError::sent, AskError::unsent);
        let cut = |failed: Failed| Failed { whole: false, ..failed };
        let heard = Failed { heard: true, ..IDEMPOTENT };
        let rows: &[(&str, AskError, Failed, bool)] = &[
            ("nothing was sent", unsent(Connect), WRITE, true),
            ("nothing was sent, but its body is gone", unsent(Connect), cut(WRITE), false),
            ("a connection that closed before the request was on it", unsent(Closed), WRITE, true),
            ("idempotent, and nothing has come back", sent(Closed), IDEMPOTENT, true),
            ("not idempotent", sent(Closed), WRITE, false),
            ("an answer had begun", sent(Closed), heard, false),
            ("its body can't be sent again", sent(Closed), cut(IDEMPOTENT), false),
            ("an answer, though a bad one", sent(BadAnswer), IDEMPOTENT, false),
            ("no time", sent(TotalTimeout), IDEMPOTENT, false),
            ("no time to its head", sent(FirstByteTimeout), IDEMPOTENT, false),
        ];
        for (why, error, failed, want) in rows {
            assert_eq!(may(error, *failed), *want, "{why}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_most_and_are_spread() {
        let ms = Duration::from_millis;
        let retry = Retry { backoff: ms(50), max_backoff: ms(300), ..Retry::default() };
        let longest = |tried| pause(&retry, tried, u64::MAX).as_millis();
        assert_eq!([1, 2, 3, 4, 99].map(longest), [50, 100, 200, 300, 300]);
        assert_eq!(pause(&retry, 3, 0), Duration::ZERO);
        assert_eq!(pause(&retry, 3, u64::MAX / 2).as_millis(), 100);
    }

    #[test]
    fn retries_are_a_share_of_what_was_asked_in_the_last_ten_seconds() {
        let budget = Budget::default();
        let taken = |now| (0..10_000).filter(|_| budget.take(0.2, now)).count();
        let ask = |times, now| (0..times).for_each(|_| budget.asked(now));
        assert_eq!(taken(5), 10, "a few in any case");
        ask(1000, 9_000);
        assert_eq!(taken(9_999), 200);
        assert_eq!(taken(10_000), 0, "the last window's are still the last ten seconds'");
        assert_eq!(taken(19_999), 10);
        assert_eq!(taken(50_000), 10, "nothing was asked for a while");
        ask(1000, 59_000);
        assert_eq!(
            taken(60_000),
            200,
            "what was asked a second ago has room for those whom an endpoint takes with it now"
        );
        ask(1000, 60_000);
        assert_eq!(taken(90_000), 10, "what was asked long ago isn't saved up");
    }
}
