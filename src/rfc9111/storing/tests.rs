use super::*;
use crate::rfc9110::{Lines, fields_of};
use crate::rfc9111::freshness::FOREVER;
use crate::rfc9111::reuse::{Reuse, reuse};
use proptest::prelude::*;

/// Wed, 01 Jul 2026 00:00:00 GMT.
const NOW: Now = Now { mono: 5_000, unix: 1_782_864_000_000 };
const DATE: (&str, &str) = ("date", "Wed, 01 Jul 2026 00:00:00 GMT");
const MINUTE_LATER: (&str, &str) = ("expires", "Wed, 01 Jul 2026 00:01:00 GMT");
const DAY_BEFORE: (&str, &str) = ("last-modified", "Tue, 30 Jun 2026 00:00:00 GMT");
const ETAG: (&str, &str) = ("etag", "\"a\"");
const GET: Question<'_> = Question { method: &Method::GET, authorization: false, request_no_store: false, part: false };

fn plain() -> Operator {
    Operator::default()
}

fn ttl(seconds: u64) -> Operator {
    Operator { ttl: Some(Lifetime::For(Duration::from_secs(seconds))), ..plain() }
}

fn ttl_wins(seconds: u64) -> Operator {
    Operator { ttl_wins: true, ..ttl(seconds) }
}

fn ask(status: u16, lines: Lines<'_>, op: &Operator) -> Result<Storable, NotStored> {
    consider(&GET, StatusCode::from_u16(status).unwrap(), &fields_of(lines), NOW, NOW, op)
}

fn cc(value: &str) -> (&str, &str) {
    ("cache-control", value)
}

/// Why, the status, the answer's fields, the operator's settings, the reason not to store it.
type Refused<'a> = &'a [(&'a str, u16, Lines<'a>, Operator, NotStored)];

fn all_refused(cases: Refused<'_>) {
    for (why, status, lines, op, want) in cases {
        assert_eq!(ask(*status, lines, op).unwrap_err(), *want, "{why}: {status} {lines:?}");
    }
}

#[test]
fn what_is_not_stored_because_of_its_directives() {
    all_refused(&[
        ("§3 nothing stated", 200, &[ETAG], plain(), NotStored::NoLifetime),
        ("§3 public alone", 200, &[cc("public"), ETAG], plain(), NotStored::NoLifetime),
        ("§5.2.2.5", 200, &[cc("max-age=60, no-store")], plain(), NotStored::NoStore),
        ("§5.2.2.5 under ttl", 200, &[cc("no-store")], ttl_wins(60), NotStored::NoStore),
        ("§5.2.2.5 over public", 200, &[cc("public, no-store, max-age=60")], plain(), NotStored::NoStore),
        ("§5.2.2.7", 200, &[cc("private, max-age=60")], plain(), NotStored::Private),
        ("§5.2.2.7 under ttl", 200, &[cc("PRIVATE")], ttl_wins(60), NotStored::Private),
        ("§5.2.2.7 over s-maxage", 200, &[cc("s-maxage=60, private")], plain(), NotStored::Private),
        ("§5.2.2.3", 299, &[cc("must-understand, max-age=60")], plain(), NotStored::NotUnderstood),
        ("§5.2.2.3 unreadable", 200, &[cc("must-understand, no-store, x y, max-age=60")], plain(), NotStored::NoStore),
        ("§4.1", 200, &[cc("max-age=60"), ("vary", "accept, *")], plain(), NotStored::VaryAny),
        ("§5.2.2.4 no validator", 200, &[cc("no-cache, max-age=60")], plain(), NotStored::NoValidator),
        ("§5.2.2.4 no validator, ttl", 200, &[cc("no-cache")], ttl(60), NotStored::NoValidator),
        ("stale on arrival, no validator", 200, &[cc("max-age=60"), ("age", "60")], plain(), NotStored::NoValidator),
        ("§5.3 zero", 200, &[("expires", "0")], ttl(60), NotStored::NoValidator),
        ("malformed tag is no validator", 200, &[cc("no-cache"), ("etag", "a")], plain(), NotStored::NoValidator),
        ("semicolons", 200, &[cc("max-age=60; public")], ttl(60), NotStored::NoValidator),
        ("surrogate", 200, &[cc("max-age=60"), ("surrogate-control", "no-store")], plain(), NotStored::NoStore),
        ("RFC 9213 §2.2", 200, &[cc("max-age=60"), ("cdn-cache-control", "no-store")], plain(), NotStored::NoStore),
        (
            "RFC 9213 §2.2 private",
            200,
            &[cc("max-age=60"), ("cdn-cache-control", "private")],
            plain(),
            NotStored::Private,
        ),
        (
            "RFC 9213 §2.2 the rest doesn't count",
            200,
            &[cc("max-age=60"), ("cdn-cache-control", "none")],
            plain(),
            NotStored::NoLifetime,
        ),
        (
            "a surrogate's word isn't over no-store",
            200,
            &[cc("no-store"), ("surrogate-control", "max-age=60")],
            plain(),
            NotStored::NoStore,
        ),
        (
            "nor over private, even by name",
            200,
            &[cc("private"), ("surrogate-control", "max-age=60;freshgate")],
            plain(),
            NotStored::Private,
        ),
        (
            "RFC 9213 §2.2 nor does Expires",
            200,
            &[MINUTE_LATER, ("cdn-cache-control", "none")],
            plain(),
            NotStored::NoLifetime,
        ),
    ]);
}

#[test]
fn what_is_not_stored_because_of_its_status() {
    let keep_errors = Operator { drop_errors: false, ..plain() };
    all_refused(&[
        ("§3.3 a part that nobody asked for", 206, &[cc("max-age=60")], plain(), NotStored::Status),
        ("§3 not modified", 304, &[cc("max-age=60")], plain(), NotStored::Status),
        ("§3 not final", 103, &[cc("max-age=60")], plain(), NotStored::Status),
        ("RFC 6585 §4", 429, &[cc("max-age=60")], keep_errors, NotStored::Status),
        ("RFC 6585 §6", 511, &[cc("max-age=60")], keep_errors, NotStored::Status),
        ("§3.1 the proxy's own", 407, &[cc("max-age=60")], keep_errors, NotStored::Status),
        ("the operator's word", 503, &[cc("max-age=60")], plain(), NotStored::ErrorAnswer),
        ("the operator's word", 415, &[cc("public, s-maxage=60")], plain(), NotStored::ErrorAnswer),
        ("RFC 9110 §15: no status counts as 5xx", 600, &[cc("max-age=60")], plain(), NotStored::ErrorAnswer),
        ("RFC 9110 §15: no status counts as 5xx", 999, &[cc("max-age=60")], plain(), NotStored::ErrorAnswer),
        ("never by ttl", 999, &[], Operator { drop_errors: false, ..ttl(60) }, NotStored::NoLifetime),
        ("never by ttl", 503, &[], Operator { drop_errors: false, ..ttl(60) }, NotStored::NoLifetime),
        ("never by ttl", 403, &[], ttl(60), NotStored::NoLifetime),
    ]);
}

#[test]
fn what_is_not_stored_because_of_a_cookie() {
    let cookies = |set_cookie| Operator { set_cookie, ..plain() };
    let cookie = ("set-cookie", "a=1");
    all_refused(&[
        ("a cookie", 200, &[cc("max-age=60"), cookie], plain(), NotStored::SetCookie),
        ("a cookie, s-maxage isn't public", 200, &[cc("s-maxage=60"), cookie], plain(), NotStored::SetCookie),
        ("a cookie, pass", 200, &[cc("public, max-age=60"), cookie], cookies(SetCookie::Pass), NotStored::SetCookie),
    ]);
}

#[test]
fn what_is_not_stored_because_of_the_question() {
    let fields = fields_of(&[cc("max-age=60")]);
    let of = |q: Question<'_>| consider(&q, StatusCode::OK, &fields, NOW, NOW, &plain()).unwrap_err();
    assert_eq!(of(Question { request_no_store: true, ..GET }), NotStored::RequestNoStore, "§5.2.1.5");
    for method in [Method::POST, Method::HEAD, Method::PUT] {
        assert_eq!(of(Question { method: &method, ..GET }), NotStored::Method, "§3");
    }
}

#[test]
fn the_lifetime_and_its_source() {
    let heuristic = Operator { heuristic: true, ..plain() };
    let forever = Operator { ttl: Some(Lifetime::Forever), ..plain() };
    let ours = ("freshgate-cache-control", "max-age=1");
    let cdn = ("cdn-cache-control", "max-age=2");
    let surrogate = ("surrogate-control", "max-age=3");
    let all = cc("s-maxage=4, max-age=5");
    let cases: &[(&str, u16, Lines<'_>, Operator, u64, Source)] = &[
        ("our own first", 200, &[all, surrogate, cdn, ours], ttl_wins(9), 1, Source::Targeted),
        ("RFC 9213 §3", 200, &[all, surrogate, cdn], ttl_wins(9), 2, Source::Targeted),
        ("RFC 9213 §3.1 over no-store", 200, &[cc("no-store"), cdn], plain(), 2, Source::Targeted),
        (
            "RFC 9213 §2.1 invalid, passed over",
            200,
            &[all, ("cdn-cache-control", "max-age=,")],
            plain(),
            4,
            Source::SharedMaxAge,
        ),
        ("§4.2.1 s-maxage", 200, &[all, MINUTE_LATER, DATE], ttl(9), 4, Source::SharedMaxAge),
        ("§4.2.1 max-age", 200, &[cc("max-age=5"), MINUTE_LATER, DATE], ttl(9), 5, Source::MaxAge),
        ("§4.2.1 Expires", 200, &[MINUTE_LATER, DATE], ttl(9), 60, Source::Expires),
        ("§4.2.1 Expires without Date", 200, &[MINUTE_LATER], plain(), 60, Source::Expires),
        ("RFC 9110 §6.6.1 Date unreadable", 200, &[MINUTE_LATER, ("date", "today")], plain(), 60, Source::Expires),
        ("ttl", 200, &[], ttl(9), 9, Source::Ttl),
        ("ttl beside public", 200, &[cc("public")], ttl(9), 9, Source::Ttl),
        ("ttl wins", 200, &[all, MINUTE_LATER], ttl_wins(9), 9, Source::Ttl),
        ("ttl wins over no-cache", 200, &[cc("no-cache")], ttl_wins(9), 9, Source::Ttl),
        ("ttl wins over what can't be read", 200, &[cc("max-age = 5")], ttl_wins(9), 9, Source::Ttl),
        (
            "a targeted field without a lifetime leaves it to ttl",
            200,
            &[all, ("cdn-cache-control", "none")],
            ttl(9),
            9,
            Source::Ttl,
        ),
        ("§4.2.2 a tenth, at most a day", 200, &[DATE, DAY_BEFORE], heuristic, 8_640, Source::Heuristic),
        (
            "§4.2.2 at most a day",
            200,
            &[DATE, ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")],
            heuristic,
            86_400,
            Source::Heuristic,
        ),
        ("§4.2.2 public", 302, &[DATE, DAY_BEFORE, cc("public")], heuristic, 8_640, Source::Heuristic),
        ("§4.2.2 not beside Expires", 200, &[DATE, DAY_BEFORE, MINUTE_LATER], heuristic, 60, Source::Expires),
        ("§3 any final status, explicit", 302, &[cc("max-age=5")], plain(), 5, Source::MaxAge),
        ("§3 any final status, explicit", 404, &[cc("max-age=5")], plain(), 5, Source::MaxAge),
        ("§5.2.2.3 over no-store", 200, &[cc("must-understand, no-store, max-age=5")], plain(), 5, Source::MaxAge),
    ];
    for (why, status, lines, op, seconds, source) in cases {
        let facts = ask(*status, lines, op).unwrap_or_else(|e| panic!("{why}: {e:?}")).facts;
        assert_eq!((facts.lifetime, facts.source), (seconds * 1000, *source), "{why}");
        assert!(facts.is_fresh(NOW), "{why}");
    }
    assert_eq!(ask(200, &[], &forever).unwrap().facts.lifetime, FOREVER);
}

#[test]
fn a_lifetime_for_surrogates() {
    let (for_all, for_us) = (("surrogate-control", "max-age=3"), ("surrogate-control", "max-age=7;freshgate"));
    let all = cc("s-maxage=4, max-age=5");
    let cases: &[(&str, Lines<'_>, Operator, u64)] = &[
        ("over the rest", &[all, for_all], ttl_wins(9), 3),
        ("by name over no-store", &[cc("no-store"), for_us], plain(), 7),
        ("by name over no-cache", &[cc("no-cache, max-age=1"), for_us], plain(), 7),
    ];
    for (why, lines, op, seconds) in cases {
        let facts = ask(200, lines, op).unwrap_or_else(|e| panic!("{why}: {e:?}")).facts;
        assert_eq!(
            (facts.lifetime, facts.source, facts.is_fresh(NOW)),
            (seconds * 1000, Source::Surrogate, true),
            "{why}"
        );
    }
}

#[test]
fn a_part_that_was_asked_for() {
    fn of(status: u16, lines: Lines<'_>, op: &Operator) -> Result<u64, NotStored> {
        let asked = Question { part: true, ..GET };
        let status = StatusCode::from_u16(status).unwrap();
        consider(&asked, status, &fields_of(lines), NOW, NOW, op).map(|storable| storable.facts.lifetime)
    }
    let open = Operator { drop_errors: false, heuristic: true, ..ttl(9) };
    assert_eq!(of(206, &[cc("max-age=60")], &plain()), Ok(60_000), "§3.3");
    assert_eq!(of(206, &[DATE, DAY_BEFORE], &Operator { ttl: None, ..open }), Ok(8_640_000), "RFC 9110 §15.1");
    assert_eq!(of(206, &[ETAG], &ttl(9)), Err(NotStored::NoLifetime), "never by ttl");
    assert_eq!(of(206, &[cc("max-age=0"), ETAG], &open), Err(NotStored::NoLifetime), "it wouldn't be validated");
    assert_eq!(of(206, &[cc("no-cache, max-age=60"), ETAG], &open), Err(NotStored::NoLifetime));
    assert_eq!(of(416, &[cc("max-age=60")], &open), Err(NotStored::Status), "nothing is wrong with the whole");
    assert_eq!(of(200, &[cc("max-age=60")], &plain()), Ok(60_000), "RFC 9110 §14.2");
}

#[test]
fn no_heuristic_beyond_4_2_2() {
    let heuristic = Operator { heuristic: true, ..plain() };
    assert_eq!(ask(302, &[DATE, DAY_BEFORE], &heuristic).unwrap_err(), NotStored::NoLifetime, "§4.2.2");
    let bad_date: Lines<'_> = &[("date", "today"), DAY_BEFORE];
    assert_eq!(ask(200, bad_date, &heuristic).unwrap_err(), NotStored::NoLifetime, "§4.2.2 a Date that can't be read");
    assert_eq!(ask(200, &[DATE, DAY_BEFORE], &plain()).unwrap_err(), NotStored::NoLifetime, "heuristic = false");
}

#[test]
fn what_can_not_be_read_is_stale() {
    let cases: &[(&str, Lines<'_>)] = &[
        ("§5.3 no date", &[("expires", "0"), ETAG]),
        ("§4.2.1 two Expires", &[MINUTE_LATER, MINUTE_LATER, ETAG]),
        ("§5.1 Age unreadable", &[cc("max-age=60"), ("age", "abc"), ETAG]),
        ("§5.1 Age in a list", &[cc("max-age=60"), ("age", "0, 0"), ETAG]),
        ("§4.2.1 Expires with two Dates", &[MINUTE_LATER, DATE, DATE, ETAG]),
        ("§4.2 a zone that isn't GMT", &[("expires", "Wed, 01 Jul 2026 00:01:00 EST"), ETAG]),
        ("§5.3 max-age hides Expires", &[cc("max-age=0"), MINUTE_LATER, ETAG]),
        ("§5.3 s-maxage hides both", &[cc("s-maxage=x, max-age=60"), MINUTE_LATER, ETAG]),
        ("§4.2.1 max-age unreadable", &[cc("max-age=1h"), ETAG]),
        ("§4.2.1 max-age twice", &[cc("max-age=60, max-age=0"), ETAG]),
        ("a quote never closed", &[cc("max-age=60, x=\"y"), ETAG]),
        ("Date long ago", &[cc("max-age=60"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ETAG]),
        ("Age without end", &[cc("max-age=99999999999"), ("age", "99999999999"), ETAG]),
        ("surrogate unreadable", &[cc("max-age=60"), ("surrogate-control", "max-age=1h"), ETAG]),
        ("§5.2.2.4", &[cc("no-cache, max-age=60"), ETAG]),
        ("§5.2.2.4 alone", &[cc("no-cache"), ETAG]),
        ("§5.2.2.4 by date", &[cc("no-cache"), DAY_BEFORE]),
        ("§5.2.2.4 over a surrogate", &[cc("no-cache"), ("surrogate-control", "max-age=60"), ETAG]),
        ("RFC 9213 §2.2 no-cache", &[cc("max-age=60"), ("cdn-cache-control", "no-cache, max-age=60"), ETAG]),
    ];
    for (why, lines) in cases {
        for op in [plain(), ttl(60)] {
            let facts = ask(200, lines, &op).unwrap_or_else(|e| panic!("{why}: {e:?}")).facts;
            assert!(!facts.is_fresh(NOW), "{why}");
        }
    }
    let targeted = ask(200, &[("cdn-cache-control", "no-cache"), ETAG], &ttl_wins(60)).unwrap();
    assert!(targeted.facts.always_validate, "ttl doesn't win over a targeted field");
    let surrogate = ask(200, &[cc("no-cache"), ("surrogate-control", "max-age=60"), ETAG], &ttl_wins(60)).unwrap();
    assert!(surrogate.facts.always_validate, "ttl doesn't count here, so it doesn't win over no-cache either");
}

#[test]
fn stale_use_is_the_origins_to_allow() {
    let op = Operator { grace: Duration::from_secs(7), keep_on_error: Duration::from_secs(8), ..plain() };
    let cases: &[(&str, Lines<'_>, u64, u64, bool)] = &[
        ("the operator's", &[cc("max-age=60")], 7, 8, false),
        ("RFC 5861", &[cc("max-age=60, stale-while-revalidate=1, stale-if-error=2")], 1, 2, false),
        ("RFC 5861 unreadable", &[cc("max-age=60, stale-while-revalidate=x, stale-if-error=-1")], 0, 0, false),
        ("§5.2.2.2", &[cc("max-age=60, must-revalidate, stale-while-revalidate=1, stale-if-error=2")], 0, 0, true),
        ("§5.2.2.8", &[cc("max-age=60, proxy-revalidate")], 0, 0, true),
        ("§5.2.2.10", &[cc("s-maxage=60, stale-while-revalidate=1")], 0, 0, true),
        ("§5.2.2.10 under a surrogate", &[cc("s-maxage=60"), ("surrogate-control", "max-age=9")], 0, 0, true),
        ("§5.2.2.4", &[cc("no-cache, stale-if-error=2"), ETAG], 0, 0, true),
        ("unreadable", &[cc("max-age=60; must revalidate"), ETAG], 0, 0, true),
        ("RFC 9213 §2.2", &[cc("must-revalidate"), ("cdn-cache-control", "max-age=60, stale-if-error=3")], 7, 3, false),
    ];
    for (why, lines, swr, sie, held) in cases {
        let facts = ask(200, lines, &op).unwrap_or_else(|e| panic!("{why}: {e:?}")).facts;
        let got = (facts.stale_while_revalidate, facts.stale_if_error, facts.must_revalidate);
        assert_eq!(got, (swr * 1000, sie * 1000, *held), "{why}");
    }
    let stale = ask(200, &[cc("max-age=0, stale-if-error=5")], &plain());
    assert!(stale.is_ok(), "of use when the origin fails");
    let too_stale = ask(200, &[cc("max-age=0, stale-if-error=5"), ("age", "6")], &plain());
    assert_eq!(too_stale.unwrap_err(), NotStored::NoValidator, "of no use any more");
    assert!(ask(200, &[cc("max-age=60, immutable")], &plain()).unwrap().facts.immutable, "RFC 8246");
}

#[test]
fn sharing_by_3_5() {
    let cases: &[(&str, &str, Sharing)] = &[
        ("§3.5", "public, max-age=60", Sharing::Public),
        ("§3.5", "s-maxage=60", Sharing::Allowed),
        ("§3.5", "must-revalidate, max-age=60", Sharing::Allowed),
        ("§3.5 proxy-revalidate doesn't", "proxy-revalidate, max-age=60", Sharing::Unstated),
        ("nothing said", "max-age=60", Sharing::Unstated),
        ("unreadable", "public, s-maxage=60, x y", Sharing::Unstated),
    ];
    for (why, value, want) in cases {
        let fields = fields_of(&[cc(value), ETAG]);
        for authorization in [false, true] {
            let q = Question { authorization, ..GET };
            let storable = consider(&q, StatusCode::OK, &fields, NOW, NOW, &plain()).unwrap();
            assert_eq!(storable.sharing, *want, "{why}");
            assert_eq!(storable.confined, authorization && *want == Sharing::Unstated, "{why}");
        }
    }
}

#[test]
fn fields_that_are_not_stored() {
    let lines: Lines<'_> = &[
        cc("max-age=60, private=\"X-A, x-absent\", no-cache=\"set-cookie, x-a\""),
        ("x-a", "1"),
        ("set-cookie", "a=1"),
        ("proxy-authenticate", "Basic"),
        ("x-b", "1"),
    ];
    let storable = ask(200, lines, &plain()).unwrap();
    let names: Vec<&str> = storable.omit.iter().map(HeaderName::as_str).collect();
    assert_eq!(names, ["set-cookie", "x-a"], "§5.2.2.4, §5.2.2.7; the proxy's go whatever the answer names (§3.1)");
    assert!(storable.facts.is_fresh(NOW), "§5.2.2.4: the rest may be used");
    let cookies = |op| ask(200, &[cc("public, max-age=60"), ("set-cookie", "a=1")], &op).is_ok();
    assert!(cookies(plain()) && cookies(Operator { set_cookie: SetCookie::Store, ..plain() }));
}

#[test]
fn what_only_ttl_makes_reusable() {
    let only = |lines: Lines<'_>, op| ask(200, lines, &op).unwrap().only_by_ttl;
    assert!(only(&[], ttl(9)));
    assert!(only(&[cc("no-cache"), ETAG], ttl_wins(9)));
    assert!(only(&[cc("max-age=0")], ttl_wins(9)));
    assert!(!only(&[cc("max-age=5")], ttl_wins(9)));
    assert!(!only(&[cc("max-age=5")], ttl(9)));
}

/// Members of `Cache-Control` that a hostile or careless origin might send.
fn members() -> impl Strategy<Value = Vec<String>> {
    let member = prop_oneof![
        (0u64..200).prop_map(|n| format!("max-age={n}")),
        (0u64..200).prop_map(|n| format!("s-maxage=\"{n}\"")),
        proptest::sample::select(vec![
            "public",
            "no-cache",
            "no-store",
            "private",
            "must-revalidate",
            "max-age=x",
            "max-age",
            "s-maxage=-1",
            "a b",
            "x=\"y",
            "foo",
            "private=\"x-a\"",
            "must-understand",
            "stale-while-revalidate=50",
        ])
        .prop_map(str::to_string),
    ];
    proptest::collection::vec(member, 0..6)
}

/// The number in a member such as `name=5` or `name="5"`; zero where it can't be read.
fn number(member: &str, name: &str) -> Option<u64> {
    let (found, value) = member.split_once('=').unwrap_or((member, ""));
    (found == name).then(|| value.trim_matches('"').parse().unwrap_or(0))
}

proptest! {
    /// Whatever else is said, no fresh use is longer than the smallest number of the directive that counts, and none at
    /// all where anything forbids it.
    #[test]
    fn never_fresh_for_longer_than_the_strictest_reading(members in members(), one_line: bool, elapsed in 0u64..300_000) {
        let joined = members.join(", ");
        let lines: Vec<(&str, &str)> =
            if one_line { vec![cc(&joined)] } else { members.iter().map(|member| cc(member)).collect() };
        let mut lines = lines;
        lines.push(ETAG);
        let smallest = |name| members.iter().filter_map(|member| number(member, name)).min();
        let bound = smallest("s-maxage").or(smallest("max-age")).unwrap_or(0);
        let forbidden = |word: &str| members.iter().any(|member| member == word);
        let Ok(storable) = ask(200, &lines, &plain()) else { return Ok(()) };
        prop_assert!(!forbidden("private"));
        prop_assert!(!forbidden("no-store") || forbidden("must-understand"));
        prop_assert!(storable.facts.lifetime <= bound * 1000, "{:?} {:?}", members, storable.facts);
        let later = Now { mono: NOW.mono + elapsed, unix: NOW.unix + elapsed };
        let verdict = reuse(&storable.facts, false, &crate::rfc9111::directives::RequestDirectives::NONE, later);
        if verdict == Reuse::Fresh {
            prop_assert!(elapsed < bound * 1000 && !forbidden("no-cache") && !forbidden("a b") && !forbidden("x=\"y"));
        }
        if verdict == Reuse::WhileRevalidating {
            prop_assert!(!forbidden("must-revalidate") && smallest("s-maxage").is_none());
        }
    }

    #[test]
    fn never_panics(
        lines in proptest::collection::vec((0usize..9, proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
        status in 100u16..1000, asked: u64, mono: u64, unix: u64, forever: bool,
    ) {
        const NAMES: [&str; 9] = [
            "cache-control", "cdn-cache-control", "surrogate-control", "age", "date", "expires", "last-modified", "vary", "etag",
        ];
        let mut fields = HeaderMap::new();
        for (name, value) in &lines {
            if let Ok(value) = http::HeaderValue::from_bytes(value) {
                fields.append(NAMES[*name], value);
            }
        }
        let op = Operator {
            ttl: forever.then_some(Lifetime::Forever),
            ttl_wins: forever,
            heuristic: true,
            grace: Duration::MAX,
            keep_on_error: Duration::MAX,
            ..plain()
        };
        let (asked, answered) = (Now { mono: asked, unix }, Now { mono, unix });
        if let Ok(storable) = consider(&GET, StatusCode::from_u16(status).unwrap(), &fields, asked, answered, &op) {
            storable.facts.fresh_for(Now::default());
            storable.facts.age(Now { mono: u64::MAX, unix: 0 });
        }
    }
}
