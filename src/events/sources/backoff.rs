//! How long to wait before a source is connected to again.
//!
//! Twice as long after each failure, up to a bound, and less by chance, so that many gateways don't come back to a server all at once. Who
//! had a connection that stood for some time begins anew. One that was lost at once doesn't: every connection may come with a
//! gap, and a server that lets everybody in and throws everybody out would empty the cache four times a second.

use super::failure::Failure;
use std::time::Duration;

pub(super) struct Backoff {
    least: Duration,
    most: Duration,
    /// Of those in a row.
    failures: u32,
}

impl Backoff {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        Backoff { least, most, failures: 0 }
    }

    /// After a connection that stood for so long, or never.
    pub(super) fn next(&mut self, stood: Duration, failure: &Failure) -> Duration {
        self.wait(stood, failure).mul_f64(1.0 - fastrand::f64() / 2.0)
    }

    fn wait(&mut self, stood: Duration, failure: &Failure) -> Duration {
        if stood >= self.most {
            self.failures = 0;
        }
        let doubled = self.least.saturating_mul(2u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        if failure.lasting { self.most } else { doubled.min(self.most) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(250);
    const MOST: Duration = Duration::from_secs(30);

    #[test]
    fn it_doubles_up_to_its_bound_and_begins_anew_after_what_stood() {
        let (mut backoff, broken) = (Backoff::new(LEAST, MOST), Failure::passing("x"));
        let waits = [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].map(Duration::from_millis);
        assert_eq!(waits.map(|_| backoff.wait(Duration::ZERO, &broken)), waits);
        assert_eq!(backoff.wait(MOST - Duration::from_millis(1), &broken), MOST, "one that was lost too soon");
        assert_eq!(backoff.wait(MOST, &broken), LEAST);
        assert_eq!(backoff.wait(Duration::ZERO, &broken), LEAST * 2);
        (0..100).for_each(|_| assert!(backoff.wait(Duration::ZERO, &broken) <= MOST));
    }

    #[test]
    fn what_stays_until_somebody_mends_it_is_tried_seldom() {
        assert_eq!(Backoff::new(LEAST, MOST).wait(Duration::ZERO, &Failure::lasting("x")), MOST);
    }

    #[test]
    fn chance_takes_away_half_at_the_most() {
        for _ in 0..1000 {
            let wait = Backoff::new(LEAST, MOST).next(Duration::ZERO, &Failure::passing("x"));
            assert!(wait >= LEAST / 2 && wait <= LEAST, "{wait:?}");
        }
    }
}
