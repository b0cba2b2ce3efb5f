//! Which keys' answers could lately not be shared, and why the last one wasn't kept.
//!
//! The reason is for people who ask (`explain`): a table beside that of the keys, one byte for each slot. Two who write one slot at a time may mix
//! what they say; nobody decides anything by it.

use super::recent::{Recent, SLOTS};
use std::sync::atomic::{AtomicU8, Ordering};

/// Why an answer isn't kept, by the names that `Cache-Status` has; what isn't among them is remembered without its reason.
const REASONS: [&str; 24] = [
    "cache-off",
    "content-range",
    "content-type",
    "error-answer",
    "keys-per-caller",
    "method",
    "no-lifetime",
    "no-object",
    "no-store",
    "no-validator",
    "not-understood",
    "private",
    "request-no-store",
    "set-cookie",
    "settling",
    "status",
    "stream",
    "too-large",
    "too-many-fills",
    "too-many-tags",
    "unshared",
    "vary-any",
    "vary-client-address",
    "vary-connection",
];

/// Keys with the time until which their requests go to the origin at once, in parallel.
#[derive(Debug)]
pub(super) struct Unshared {
    keys: Recent,
    /// One more than the reason's place; 0 where it has none.
    why: Box<[AtomicU8]>,
}

impl Default for Unshared {
    fn default() -> Self {
        Unshared { keys: Recent::default(), why: (0..SLOTS).map(|_| AtomicU8::new(0)).collect() }
    }
}

impl Unshared {
    /// Remembers `key` for `span` from `now`, both in milliseconds, and why.
    pub(super) fn remember(&self, key: &[u8], why: &str, now: u64, span: u64) {
        let place = REASONS.iter().position(|reason| *reason == why).and_then(|at| u8::try_from(at + 1).ok());
        self.why[self.keys.place(key)].store(place.unwrap_or(0), Ordering::Relaxed);
        self.keys.remember(key, now, span);
    }

    /// Forgets `key`.
    pub(super) fn forget(&self, key: &[u8]) {
        self.keys.forget(key);
    }

    /// Whether `key` is remembered at `now`.
    pub(super) fn contains(&self, key: &[u8], now: u64) -> bool {
        self.keys.contains(key, now)
    }

    /// Why, if that is known; `None` where it isn't remembered.
    pub(super) fn why(&self, key: &[u8], now: u64) -> Option<Option<&'static str>> {
        let why = || usize::from(self.why[self.keys.place(key)].load(Ordering::Relaxed));
        self.contains(key, now).then(|| why().checked_sub(1).and_then(|at| REASONS.get(at).copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9111::NotStored;

    #[test]
    fn remembers_why() {
        let unshared = Unshared::default();
        unshared.remember(b"a", "private", 5_000, 10_000);
        assert_eq!(unshared.why(b"a", 6_000), Some(Some("private")));
        assert_eq!(unshared.why(b"a", 15_000), None);
        unshared.remember(b"b", "nobody knows", 5_000, 10_000);
        assert_eq!(unshared.why(b"b", 6_000), Some(None));
        unshared.forget(b"a");
        assert_eq!(unshared.why(b"a", 6_000), None);
    }

    #[test]
    fn every_reason_of_the_rfc_has_a_place() {
        for reason in [
            NotStored::Method,
            NotStored::Status,
            NotStored::ErrorAnswer,
            NotStored::RequestNoStore,
            NotStored::NoStore,
            NotStored::Private,
            NotStored::NotUnderstood,
            NotStored::SetCookie,
            NotStored::VaryAny,
            NotStored::NoLifetime,
            NotStored::NoValidator,
        ] {
            assert!(REASONS.contains(&reason.name()), "{reason:?}");
        }
        assert!(REASONS.is_sorted());
    }
}
