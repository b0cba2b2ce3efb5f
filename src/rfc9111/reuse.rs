//! Whether a stored answer may be used for a request (RFC 9111 §4), after key and `Vary` have matched. On the path of every hit.

use super::directives::RequestDirectives;
use super::freshness::Facts;
use crate::clock::Now;

/// What to do with a stored answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Use it: fresh.
    Fresh,
    /// Use it: stale, but the client takes that (`max-stale`).
    Stale,
    /// Use it and validate it meanwhile (RFC 5861 §3).
    WhileRevalidating,
    /// Ask the origin first.
    Validate(Why),
}

/// Why a stored answer can't be used as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is stale.
    Stale,
    /// It was softly invalidated.
    Outdated,
    /// It says `no-cache`.
    NoCache,
    /// The client says `no-cache`.
    ClientNoCache,
    /// It is older than the client's `max-age`.
    ClientMaxAge,
    /// It isn't fresh for as long as the client's `min-fresh`.
    ClientMinFresh,
}

impl Why {
    /// A stable name for logs, metrics and `Cache-Status`.
    pub fn name(self) -> &'static str {
        match self {
            Why::Stale => "stale",
            Why::Outdated => "outdated",
            Why::NoCache => "no-cache",
            Why::ClientNoCache => "client-no-cache",
            Why::ClientMaxAge => "client-max-age",
            Why::ClientMinFresh => "client-min-fresh",
        }
    }

    /// Whether the answer itself would do and only the client wants a newer one.
    pub fn is_clients_wish(self) -> bool {
        match self {
            Why::ClientNoCache | Why::ClientMaxAge | Why::ClientMinFresh => true,
            Why::Stale | Why::Outdated | Why::NoCache => false,
        }
    }
}

/// Decides. `outdated` says that the answer was softly invalidated: it counts as stale, and only stale-while-revalidate
/// lets it be used, not the client's `max-stale`, which knows nothing of that.
pub fn reuse(facts: &Facts, outdated: bool, request: &RequestDirectives, now: Now) -> Reuse {
    if facts.always_validate {
        return Reuse::Validate(Why::NoCache);
    }
    if request.no_cache {
        return Reuse::Validate(Why::ClientNoCache);
    }
    let left = facts.fresh_for(now);
    if left > 0 && !outdated {
        return fresh(facts, left, request, now);
    }
    stale(facts, outdated, request, now)
}

/// A fresh answer: the client may still want a younger one (§5.2.1.1, §5.2.1.3).
fn fresh(facts: &Facts, left: i64, request: &RequestDirectives, now: Now) -> Reuse {
    if !facts.immutable && too_old(facts, request, now) {
        return Reuse::Validate(Why::ClientMaxAge);
    }
    let wanted = request.min_fresh.map_or(0, |seconds| seconds.saturating_mul(1000));
    if u64::try_from(left).is_ok_and(|left| left < wanted) {
        return Reuse::Validate(Why::ClientMinFresh);
    }
    Reuse::Fresh
}

/// A stale or outdated answer: usable only with the origin's or operator's leave, or the client's (§4.2.4).
fn stale(facts: &Facts, outdated: bool, request: &RequestDirectives, now: Now) -> Reuse {
    let why = if outdated { Why::Outdated } else { Why::Stale };
    if facts.must_revalidate || request.min_fresh.is_some() || too_old(facts, request, now) {
        return Reuse::Validate(why);
    }
    let (staleness, taken) = (facts.staleness(now), takes_stale(facts, request, now));
    if taken != Some(false) && facts.stale_while_revalidate > 0 && staleness <= facts.stale_while_revalidate {
        return Reuse::WhileRevalidating;
    }
    if taken == Some(true) && !outdated { Reuse::Stale } else { Reuse::Validate(why) }
}

/// Whether the client says that it takes something as stale as this, or that it doesn't.
fn takes_stale(facts: &Facts, request: &RequestDirectives, now: Now) -> Option<bool> {
    match request.max_stale {
        Some(None) => Some(true),
        Some(Some(seconds)) => Some(facts.staleness(now) <= seconds.saturating_mul(1000)),
        // §5.2.1.1: with max-age and without max-stale the client does not wish a stale response.
        None if request.max_age.is_some() => Some(false),
        None => None,
    }
}

fn too_old(facts: &Facts, request: &RequestDirectives, now: Now) -> bool {
    request.max_age.is_some_and(|seconds| facts.age(now) > seconds.saturating_mul(1000))
}

/// Whether the answer may be used because the origin failed: 500, 502, 503, 504, or no answer at all (RFC 5861 §4).
/// Never for one that was invalidated: that is the caller's to know.
pub fn usable_on_error(facts: &Facts, now: Now) -> bool {
    !facts.always_validate
        && !facts.must_revalidate
        && facts.stale_if_error > 0
        && facts.staleness(now) <= facts.stale_if_error
}

/// Whether the answer may be used because the origin is slow: where it may be if the origin fails, unless the client wishes one that is
/// younger, or no stale one; such a client would rather wait.
pub fn usable_when_slow(facts: &Facts, request: &RequestDirectives, now: Now) -> bool {
    let wishes = request.no_cache || request.min_fresh.is_some() || too_old(facts, request, now);
    usable_on_error(facts, now) && !wishes && takes_stale(facts, request, now) != Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9111::freshness::{FOREVER, Source};
    use proptest::prelude::*;

    const FRESH: Facts = Facts {
        answered: 0,
        initial_age: 0,
        lifetime: 10_000,
        stale_while_revalidate: 0,
        stale_if_error: 0,
        always_validate: false,
        must_revalidate: false,
        immutable: false,
        source: Source::MaxAge,
    };
    const GRACE: Facts = Facts { stale_while_revalidate: 5_000, ..FRESH };
    const HELD: Facts = Facts { must_revalidate: true, ..FRESH };
    const NONE: RequestDirectives = RequestDirectives::NONE;

    fn at(mono: u64) -> Now {
        Now { mono, unix: 0 }
    }

    #[test]
    fn the_table_of_section_4() {
        let any_stale = RequestDirectives { max_stale: Some(None), ..NONE };
        let stale_3 = RequestDirectives { max_stale: Some(Some(3)), ..NONE };
        let max_age = |seconds| RequestDirectives { max_age: Some(seconds), ..NONE };
        let min_fresh = |seconds| RequestDirectives { min_fresh: Some(seconds), ..NONE };
        let no_cache = RequestDirectives { no_cache: true, ..NONE };
        let stale = Reuse::Validate(Why::Stale);
        let always = Facts { always_validate: true, ..FRESH };
        let immutable = Facts { immutable: true, ..FRESH };
        let forever = Facts { lifetime: FOREVER, ..FRESH };
        let cases: &[(&str, Facts, bool, RequestDirectives, u64, Reuse)] = &[
            ("§4.2 fresh", FRESH, false, NONE, 9_999, Reuse::Fresh),
            ("§4.2 no longer", FRESH, false, NONE, 10_000, stale),
            ("forever", forever, false, NONE, u64::MAX, Reuse::Fresh),
            ("§5.2.2.4", always, false, any_stale, 1, Reuse::Validate(Why::NoCache)),
            ("§5.2.1.4", FRESH, false, no_cache, 1, Reuse::Validate(Why::ClientNoCache)),
            ("§5.2.1.1 young enough", FRESH, false, max_age(5), 5_000, Reuse::Fresh),
            ("§5.2.1.1 too old", FRESH, false, max_age(5), 5_001, Reuse::Validate(Why::ClientMaxAge)),
            ("RFC 8246 §2.1 reload", immutable, false, max_age(0), 5_000, Reuse::Fresh),
            ("RFC 8246 §2.1 forced reload", immutable, false, no_cache, 1, Reuse::Validate(Why::ClientNoCache)),
            ("RFC 8246 §2 stale", immutable, false, max_age(0), 10_000, stale),
            ("§5.2.1.3 enough left", FRESH, false, min_fresh(5), 5_000, Reuse::Fresh),
            ("§5.2.1.3 too little", FRESH, false, min_fresh(5), 5_001, Reuse::Validate(Why::ClientMinFresh)),
            ("§5.2.1.3 without end", FRESH, false, min_fresh(u64::MAX), 1, Reuse::Validate(Why::ClientMinFresh)),
            ("§5.2.1.2 any", FRESH, false, any_stale, 99_000, Reuse::Stale),
            ("§5.2.1.2 bounded", FRESH, false, stale_3, 13_000, Reuse::Stale),
            ("§5.2.1.2 beyond", FRESH, false, stale_3, 13_001, stale),
            (
                "§5.2.1.1 beside max-stale",
                FRESH,
                false,
                RequestDirectives { max_age: Some(11), ..any_stale },
                12_000,
                stale,
            ),
            (
                "§5.2.1.1 beside max-stale, young enough",
                FRESH,
                false,
                RequestDirectives { max_age: Some(12), ..any_stale },
                12_000,
                Reuse::Stale,
            ),
            ("§5.2.2.2 forbids max-stale", HELD, false, any_stale, 10_001, stale),
            ("§5.2.2.2 fresh is fresh", HELD, false, NONE, 9_000, Reuse::Fresh),
            ("RFC 5861 §3", GRACE, false, NONE, 15_000, Reuse::WhileRevalidating),
            ("RFC 5861 §3 over", GRACE, false, NONE, 15_001, stale),
            ("§5.2.1.2 narrower than grace", GRACE, false, stale_3, 14_000, stale),
            ("§5.2.1.1 without max-stale wants no stale one", GRACE, false, max_age(60), 12_000, stale),
            ("§5.2.1.3 in grace", GRACE, false, min_fresh(0), 12_000, stale),
            ("softly invalidated", FRESH, true, NONE, 1, Reuse::Validate(Why::Outdated)),
            ("softly invalidated, in grace", GRACE, true, NONE, 1, Reuse::WhileRevalidating),
            ("softly invalidated, max-stale", FRESH, true, any_stale, 1, Reuse::Validate(Why::Outdated)),
            ("softly invalidated, no grace, forever", forever, true, NONE, 1, Reuse::Validate(Why::Outdated)),
        ];
        for (why, facts, outdated, request, ms, want) in cases {
            assert_eq!(reuse(facts, *outdated, request, at(*ms)), *want, "{why}");
        }
    }

    #[test]
    fn on_error_by_rfc_5861_section_4() {
        let kept = Facts { stale_if_error: 5_000, ..FRESH };
        assert!(usable_on_error(&kept, at(1)), "still fresh");
        assert!(usable_on_error(&kept, at(15_000)));
        assert!(!usable_on_error(&kept, at(15_001)));
        assert!(!usable_on_error(&FRESH, at(10_000)), "nobody allowed it");
        assert!(!usable_on_error(&Facts { must_revalidate: true, ..kept }, at(10_001)), "RFC 9111 §5.2.2.2");
        assert!(!usable_on_error(&Facts { always_validate: true, ..kept }, at(1)), "RFC 9111 §5.2.2.4");
    }

    #[test]
    fn when_slow_as_on_error_but_not_against_a_clients_wish() {
        let kept = Facts { stale_if_error: 5_000, ..FRESH };
        let cases: &[(&str, Facts, RequestDirectives, u64, bool)] = &[
            ("no wish", kept, NONE, 15_000, true),
            ("too stale for an error", kept, NONE, 15_001, false),
            ("nobody allowed it", FRESH, NONE, 10_000, false),
            ("RFC 9111 §5.2.2.2", Facts { must_revalidate: true, ..kept }, NONE, 11_000, false),
            ("§5.2.1.4", kept, RequestDirectives { no_cache: true, ..NONE }, 11_000, false),
            ("§5.2.1.1", kept, RequestDirectives { max_age: Some(60), ..NONE }, 11_000, false),
            ("§5.2.1.3", kept, RequestDirectives { min_fresh: Some(0), ..NONE }, 11_000, false),
            ("§5.2.1.2", kept, RequestDirectives { max_stale: Some(None), ..NONE }, 11_000, true),
            ("§5.2.1.2 narrow", kept, RequestDirectives { max_stale: Some(Some(1)), ..NONE }, 11_001, false),
        ];
        for (why, facts, request, ms, want) in cases {
            assert_eq!(usable_when_slow(facts, request, at(*ms)), *want, "{why}");
        }
    }

    prop_compose! {
        fn any_request()(no_cache: bool, max_age: Option<u64>, min_fresh: Option<u64>, max_stale: Option<Option<u64>>) -> RequestDirectives {
            RequestDirectives { no_cache, max_age, min_fresh, max_stale, ..NONE }
        }
    }

    proptest! {
        #[test]
        fn nothing_stale_without_leave(
            initial_age: u64, lifetime: u64, grace: u64, held: bool, always: bool, outdated: bool, mono: u64, request in any_request(),
        ) {
            let facts = Facts {
                initial_age,
                lifetime,
                stale_while_revalidate: if held || always { 0 } else { grace },
                must_revalidate: held || always,
                always_validate: always,
                ..FRESH
            };
            let verdict = reuse(&facts, outdated, &request, at(mono));
            match verdict {
                Reuse::Fresh => prop_assert!(facts.is_fresh(at(mono)) && !outdated && !request.no_cache),
                Reuse::Stale => prop_assert!(!held && !always && !outdated && request.max_stale.is_some()),
                Reuse::WhileRevalidating => prop_assert!(!held && !always && facts.staleness(at(mono)) <= grace),
                Reuse::Validate(_) => {}
            }
        }
    }
}
