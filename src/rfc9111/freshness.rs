//! What is remembered of a stored answer to tell whether it is fresh (RFC 9111 §4.2): computed once, when it is stored.
//!
//! Ages are counted on the monotonic clock from the moment the answer came, so that a step of the machine's clock
//! makes nothing older or younger. The wall clock counts once, against `Date`.

use super::directives::delta_seconds;
use crate::clock::Now;
use crate::rfc9110::date;
use crate::rfc9110::fields;
use http::HeaderMap;
use http::header::{AGE, DATE};

/// The lifetime of an answer that is kept until it is purged or evicted.
pub const FOREVER: u64 = u64::MAX;

/// The facts that decide about reuse. All spans are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// When the answer came, on the monotonic clock.
    pub answered: u64,
    /// corrected_initial_age: how old it was then (§4.2.3).
    pub initial_age: u64,
    /// freshness_lifetime (§4.2.1); [`FOREVER`] has no end.
    pub lifetime: u64,
    /// How long it may be used stale while it is validated (RFC 5861 §3); zero where that is forbidden.
    pub stale_while_revalidate: u64,
    /// How long it may be used stale when the origin fails (RFC 5861 §4); zero where that is forbidden.
    pub stale_if_error: u64,
    /// `no-cache`: never used without validation (§5.2.2.4).
    pub always_validate: bool,
    /// `must-revalidate`, `proxy-revalidate`, `s-maxage`, `no-cache`, or a `Cache-Control` that can't be read: never
    /// used stale (§4.2.4).
    pub must_revalidate: bool,
    /// `immutable`: a client's reload needs no validation while it is fresh (RFC 8246 §2.1).
    pub immutable: bool,
    /// Where the lifetime comes from.
    pub source: Source,
}

/// Where a lifetime comes from, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `Freshgate-Cache-Control` or `CDN-Cache-Control` (RFC 9213).
    Targeted,
    /// `Surrogate-Control`.
    Surrogate,
    /// `s-maxage`.
    SharedMaxAge,
    /// `max-age`, or a `Cache-Control` that can't be read.
    MaxAge,
    /// `Expires`.
    Expires,
    /// The operator's ttl.
    Ttl,
    /// A tenth of the time since `Last-Modified` (§4.2.2).
    Heuristic,
    /// None is stated; the answer says `no-cache` and is validated each time.
    Unstated,
}

impl Source {
    /// Whether the answer itself states it.
    pub fn is_explicit(self) -> bool {
        match self {
            Source::Targeted | Source::Surrogate | Source::SharedMaxAge | Source::MaxAge | Source::Expires => true,
            Source::Ttl | Source::Heuristic | Source::Unstated => false,
        }
    }

    /// A stable name for logs and `explain`.
    pub fn name(self) -> &'static str {
        match self {
            Source::Targeted => "targeted",
            Source::Surrogate => "surrogate-control",
            Source::SharedMaxAge => "s-maxage",
            Source::MaxAge => "max-age",
            Source::Expires => "expires",
            Source::Ttl => "ttl",
            Source::Heuristic => "heuristic",
            Source::Unstated => "unstated",
        }
    }
}

impl Facts {
    /// Of an answer that has to be confirmed before anything can be done with it: it is stale at once, and neither its origin's words nor the
    /// operator's or a client's let it be used so.
    pub fn unconfirmed(now: Now) -> Facts {
        Facts {
            answered: now.mono,
            initial_age: 0,
            lifetime: 0,
            stale_while_revalidate: 0,
            stale_if_error: 0,
            always_validate: false,
            must_revalidate: true,
            immutable: false,
            source: Source::Unstated,
        }
    }

    /// current_age in milliseconds (§4.2.3).
    pub fn age(&self, now: Now) -> u64 {
        self.initial_age.saturating_add(now.mono.saturating_sub(self.answered))
    }

    /// How many milliseconds of freshness are left; zero or less when it is stale, `i64::MAX` when it has no end.
    pub fn fresh_for(&self, now: Now) -> i64 {
        if self.lifetime == FOREVER {
            return i64::MAX;
        }
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        signed(self.lifetime).saturating_sub(signed(self.age(now)))
    }

    /// Whether it may be used without validation: freshness_lifetime > current_age (§4.2), and no `no-cache`.
    pub fn is_fresh(&self, now: Now) -> bool {
        !self.always_validate && self.fresh_for(now) > 0
    }

    /// The same of an answer that is known to be out of date: stale, and of no use without validation.
    pub fn expired(self) -> Facts {
        let (stale_while_revalidate, stale_if_error) = (0, 0);
        Facts { lifetime: 0, stale_while_revalidate, stale_if_error, must_revalidate: true, ..self }
    }

    /// Whether it has used up this share of the freshness that it had left when it came, so that it is time to ask for the next one. Never
    /// where it has no end.
    pub fn is_due(&self, share: f64, now: Now) -> bool {
        let left = self.lifetime.saturating_sub(self.initial_age);
        let used = now.mono.saturating_sub(self.answered);
        self.lifetime != FOREVER && used as f64 >= left as f64 * share
    }

    /// The same with a lifetime that is shorter by this part of the freshness that it has left, from 0 to 1, so that answers that came
    /// together needn't end together. What has no end keeps none.
    pub fn shortened(self, part: f64) -> Facts {
        if self.lifetime == FOREVER {
            return self;
        }
        let left = self.lifetime.saturating_sub(self.initial_age);
        let cut = (left as f64 * part.clamp(0.0, 1.0)) as u64;
        Facts { lifetime: self.lifetime - cut.min(left), ..self }
    }

    /// For how many milliseconds it has been stale; zero while it is fresh.
    pub fn staleness(&self, now: Now) -> u64 {
        if self.lifetime == FOREVER { 0 } else { self.age(now).saturating_sub(self.lifetime) }
    }
}

/// corrected_initial_age in milliseconds (§4.2.3), the more conservative form: the larger of what `Date` and what `Age`
/// says. `Date` has whole seconds, so it is compared with whole seconds.
pub fn initial_age(response: &HeaderMap, asked: Now, answered: Now) -> u64 {
    // Of several lines, which there should never be, the oldest counts.
    let dates = response.get_all(DATE).iter().filter_map(|value| date::parse(value.as_bytes(), answered.unix));
    let apparent = dates.map(|date| (answered.unix - answered.unix % 1000).saturating_sub(date)).max().unwrap_or(0);
    let delay = answered.mono.saturating_sub(asked.mono);
    let corrected = age_value(response).saturating_mul(1000).saturating_add(delay);
    apparent.max(corrected)
}

/// `Age` in seconds. §5.1 would have the first member of a list count and ignore what can't be read; but an origin that names an
/// age at all has a cache behind it, and whatever that meant to say wasn't "fresh". So all that isn't one number is older than any lifetime.
fn age_value(response: &HeaderMap) -> u64 {
    match fields::single(response, &AGE) {
        Ok(None) => 0,
        Ok(Some(age)) => delta_seconds(age).unwrap_or(u64::MAX),
        Err(fields::Repeated) => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::{Lines, fields_of};

    /// Wed, 01 Jul 2026 00:00:00 GMT.
    const JULY: u64 = 1_782_864_000_000;

    fn at(ms: u64) -> Now {
        Now { mono: 1_000_000 + ms, unix: JULY + ms }
    }

    fn facts(initial_age: u64, lifetime: u64) -> Facts {
        Facts {
            answered: at(0).mono,
            initial_age,
            lifetime,
            stale_while_revalidate: 0,
            stale_if_error: 0,
            always_validate: false,
            must_revalidate: false,
            immutable: false,
            source: Source::MaxAge,
        }
    }

    /// Older than any lifetime.
    const OLDEST: u64 = u64::MAX;

    #[test]
    fn initial_age_by_4_2_3() {
        let before = "Tue, 30 Jun 2026 23:59:50 GMT";
        let after = "Wed, 01 Jul 2026 00:00:30 GMT";
        let cases: &[(&str, Lines<'_>, u64)] = &[
            ("nothing said, the answer took 2 s", &[], 2_000),
            ("Age is relative to the question", &[("age", "5")], 7_000),
            ("Date is older", &[("date", before), ("age", "5")], 12_000),
            ("Age is older", &[("date", before), ("age", "50")], 52_000),
            ("Date is ahead", &[("date", after)], 2_000),
            ("Date is none", &[("date", "yesterday"), ("age", "1")], 3_000),
            ("§1.2.2 without end", &[("age", "99999999999999999999999")], 2_147_483_648_000 + 2_000),
            ("several dates, one of them old", &[("date", after), ("date", before), ("date", "x")], 12_000),
            ("§5.1 a list", &[("age", "5, 100")], OLDEST),
            ("§5.1 twice the same", &[("age", "0"), ("age", "0")], OLDEST),
            ("§5.1 negative", &[("age", "-5")], OLDEST),
            ("§5.1 fraction", &[("age", "5.0")], OLDEST),
            ("§5.1 with a parameter", &[("age", "5;x=1")], OLDEST),
            ("§5.1 no number", &[("age", "abc")], OLDEST),
            ("§5.1 nothing", &[("age", "")], OLDEST),
        ];
        for (why, fields, want) in cases {
            assert_eq!(initial_age(&fields_of(fields), at(0), at(2_000)), *want, "{why}");
        }
    }

    #[test]
    fn a_date_of_this_very_second_makes_nothing_old() {
        let date = fields_of(&[("date", "Wed, 01 Jul 2026 00:00:02 GMT")]);
        assert_eq!(initial_age(&date, at(2_900), at(2_900)), 0);
        assert_eq!(initial_age(&date, at(3_000), at(3_000)), 1_000);
    }

    #[test]
    fn fresh_while_lifetime_exceeds_age() {
        let cases: &[(&str, Facts, u64, bool, i64, u64)] = &[
            ("§4.2", facts(0, 10_000), 9_999, true, 1, 0),
            ("§4.2 equal is stale", facts(0, 10_000), 10_000, false, 0, 0),
            ("stale", facts(4_000, 10_000), 9_000, false, -3_000, 3_000),
            ("forever", facts(u64::MAX, FOREVER), 9_000, true, i64::MAX, 0),
            ("old and long-lived saturate alike", facts(u64::MAX, u64::MAX - 1), 1, false, 0, 1),
            ("§5.2.2.4 no-cache", Facts { always_validate: true, ..facts(0, 10_000) }, 0, false, 10_000, 0),
        ];
        for (why, facts, ms, fresh, left, staleness) in cases {
            let now = at(*ms);
            assert_eq!(
                (facts.is_fresh(now), facts.fresh_for(now), facts.staleness(now)),
                (*fresh, *left, *staleness),
                "{why}"
            );
        }
    }

    #[test]
    fn due_when_a_share_of_what_was_left_is_used() {
        let cases: &[(&str, Facts, f64, u64, bool)] = &[
            ("not yet", facts(0, 10_000), 0.9, 8_999, false),
            ("now", facts(0, 10_000), 0.9, 9_000, true),
            ("stale is due as well", facts(0, 10_000), 0.9, 99_000, true),
            ("it came old: half of the rest", facts(8_000, 10_000), 0.5, 999, false),
            ("it came old: half of the rest, now", facts(8_000, 10_000), 0.5, 1_000, true),
            ("older than its lifetime", facts(u64::MAX, 10_000), 0.5, 0, true),
            ("forever", facts(0, FOREVER), 0.5, u64::MAX / 2, false),
        ];
        for (why, facts, share, ms, due) in cases {
            assert_eq!(facts.is_due(*share, at(*ms)), *due, "{why}");
        }
    }

    #[test]
    fn shortened_is_never_longer_and_never_stale_at_once() {
        let cases: &[(&str, Facts, f64, u64)] = &[
            ("nothing", facts(0, 10_000), 0.0, 10_000),
            ("a tenth", facts(0, 10_000), 0.1, 9_000),
            ("a tenth of what is left", facts(9_000, 10_000), 0.1, 9_900),
            ("half of a millisecond", facts(0, 1), 0.5, 1),
            ("it came stale", facts(20_000, 10_000), 0.5, 10_000),
            ("none", facts(0, 0), 0.5, 0),
            ("forever", facts(0, FOREVER), 0.5, FOREVER),
            ("nearly forever", facts(0, FOREVER - 1), 0.0, FOREVER - 1),
            ("no share at all", facts(0, 10_000), f64::NAN, 10_000),
        ];
        for (why, facts, part, lifetime) in cases {
            assert_eq!(facts.shortened(*part).lifetime, *lifetime, "{why}");
        }
    }

    #[test]
    fn facts_stay_small() {
        assert!(size_of::<Facts>() <= 48, "kept for every stored answer: {}", size_of::<Facts>());
    }
}
