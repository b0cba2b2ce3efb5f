//! Nothing is fresher than a naive reader would have it who believes the worst of all that is said (`fuzz/strict.rs`).
//!
//! Responses are made of what origins get wrong: case, blanks, quotes, repeated and conflicting directives and lines,
//! numbers that are none. What is no question of strictness is kept out: words inside of closed quotes (`x="a, no-store"` is
//! one unknown directive, RFC 9111 §5.2) and field names as tokens (`private=x-a`), which the grammar allows (§5.2.2.4).

use super::cases;
use super::strict::Strict;
use freshgate::clock::Now;
use freshgate::rfc9111::storing::Storable;
use freshgate::rfc9111::{Lifetime, Operator, Question, RequestDirectives, Reuse, Sharing};
use freshgate::rfc9111::{consider, reuse, usable_on_error};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::time::{Duration, UNIX_EPOCH};

/// Wed, 01 Jul 2026 00:00:00.500 GMT.
const NOW: Now = Now { mono: 5_000_000, unix: 1_782_864_000_500 };

const TIMED: [&str; 4] = ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"];
const WORDS: [&str; 13] = [
    "no-store",
    "private",
    "no-cache",
    "public",
    "must-revalidate",
    "proxy-revalidate",
    "immutable",
    "no-transform",
    "x-no-store",
    "no-store-x",
    "nostore",
    "max_age",
    "x",
];
const NUMBERS: [&str; 32] = [
    "=60",
    "=60",
    "=5",
    "=600",
    "=0",
    "=060",
    "=\"60\"",
    "=\"5\"",
    "=-1",
    "=+5",
    "=1.5",
    "=1e3",
    "=60s",
    "=1h",
    "='60'",
    "=0x10",
    "=2147483648",
    "=2147483649",
    "=99999999999999999999",
    "",
    "=",
    "=\"\"",
    "=\" 60\"",
    "=\"60",
    "=60\"",
    "= 60",
    " =60",
    " = 5",
    "=60=60",
    "=60 60",
    "=60;x",
    "=\u{a0}60",
];
const ARGUMENTS: [&str; 9] =
    ["", "", "", "", "=\"x-secret\"", "=\"\"", "=\"x secret\"", "=\"content-type\"", "=\"x-secret"];
const JUNK: [&str; 14] = [
    "",
    " ",
    "=",
    "=5",
    "\"",
    "\\",
    "x y",
    "x;y",
    "x=\"y, z\"",
    "x=\"y\\\"z\"",
    "x=\"y",
    "\u{e9}",
    "x=\u{ff}",
    "max-age=60 public",
];
const BETWEEN: [&str; 14] = [",", ",", ",", ", ", ", ", " , ", ",,", "\t,\t", ", ,", ";", "; ", " ", "\u{a0}", ""];
const AGES: [&str; 20] = [
    "0",
    "0",
    "5",
    "59",
    "60",
    " 5 ",
    "600",
    "5, 5",
    "0,600",
    "-1",
    "+5",
    "5.0",
    "\"5\"",
    "5;x",
    "",
    "five",
    "5 5",
    "0x5",
    "2147483648",
    "99999999999999999999",
];
/// Seconds from now.
const OFFSETS: [i64; 14] = [-86_400, -3600, -61, -60, -5, -1, 0, 0, 0, 1, 30, 60, 600, 86_400];
const NO_DATES: [&str; 5] = ["0", "-1", "", "today", "Wed, 01 Jul 2026"];

/// One in several cases of letters.
fn in_case(text: &str, case: usize) -> String {
    match case {
        0 => text.to_ascii_uppercase(),
        1 => {
            let odd = |(at, c): (usize, char)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c };
            text.chars().enumerate().map(odd).collect()
        }
        _ => text.to_owned(),
    }
}

fn member() -> impl Strategy<Value = String> {
    let joined = |(name, argument, case): (&str, &str, usize)| format!("{}{argument}", in_case(name, case));
    prop_oneof![
        6 => (select(&TIMED[..]), select(&NUMBERS[..]), 0..6usize).prop_map(joined),
        3 => (select(&WORDS[..]), select(&ARGUMENTS[..]), 0..6usize).prop_map(joined),
        1 => select(&JUNK[..]).prop_map(str::to_owned),
    ]
}

/// A line of `Cache-Control`. At most one quote in it isn't closed: two would be one string, and what is between them no word.
fn control() -> impl Strategy<Value = String> {
    vec((member(), select(&BETWEEN[..])), 1..5).prop_map(|members| {
        let mut line = String::new();
        for (member, between) in members {
            let is_odd = |text: &str| text.replace("\\\"", "").matches('"').count() % 2 == 1;
            if !(is_odd(&line) && is_odd(&member)) {
                line += &member;
            }
            line += between;
        }
        line
    })
}

/// A date so many seconds from now, in one of its forms, some of which are none.
fn date() -> impl Strategy<Value = String> {
    let one = (select(&OFFSETS[..]), 0..14u8).prop_map(|(offset, form)| {
        let at = Duration::from_millis(NOW.unix).as_secs().saturating_add_signed(offset);
        let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at));
        let [day_name, day, month, year, time, _] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
        let short = &day_name[..3];
        let long = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
            .into_iter()
            .find(|long| long.starts_with(short));
        match form {
            0 => text.to_uppercase(),
            1 => text.to_lowercase(),
            2 => format!("{}, {day}-{month}-{} {time} GMT", long.unwrap(), &year[2..]),
            3 => format!("{short} {month} {day} {time} {year}"),
            4 => format!(" {text}\t"),
            5 => text.replace("GMT", "UTC"),
            6 => text.replace("2026", "26"),
            7 => format!("{text}, {text}"),
            _ => text,
        }
    });
    prop_oneof![9 => one, 1 => select(&NO_DATES[..]).prop_map(str::to_owned)]
}

fn fields_of(lines: &[(&'static str, Vec<String>)]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, text) in lines.iter().flat_map(|(name, lines)| lines.iter().map(move |line| (name, line))) {
        // Each character is a byte.
        let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        fields.append(HeaderName::from_static(name), HeaderValue::from_bytes(&bytes).unwrap());
    }
    fields
}

fn response() -> impl Strategy<Value = HeaderMap> {
    let ages = prop_oneof![3 => Just(vec![]), 3 => vec(select(&AGES[..]).prop_map(str::to_owned), 1..2), 1 => vec(select(&AGES[..]).prop_map(str::to_owned), 2..4)];
    let dates = prop_oneof![2 => Just(vec![]), 4 => vec(date(), 1..2), 1 => vec(date(), 2..3)];
    let expires = prop_oneof![3 => Just(vec![]), 4 => vec(date(), 1..2), 1 => vec(date(), 2..3)];
    let validator = prop_oneof![4 => Just(vec!["\"v\"".to_owned()]), 1 => Just(vec![])];
    (vec(control(), 0..4), ages, dates, expires, validator).prop_map(|(control, ages, dates, expires, validator)| {
        fields_of(&[
            ("cache-control", control),
            ("age", ages),
            ("date", dates),
            ("expires", expires),
            ("etag", validator),
            ("x-secret", vec!["1".to_owned()]),
        ])
    })
}

prop_compose! {
    fn wishes()(
        no_cache in prop::bool::weighted(0.05),
        max_age in select(vec![None, None, None, Some(0), Some(5), Some(60)]),
        min_fresh in select(vec![None, None, None, Some(0), Some(5)]),
        max_stale in select(vec![None, None, None, Some(None), Some(Some(5))]),
    ) -> RequestDirectives {
        RequestDirectives { no_cache, max_age, min_fresh, max_stale, ..RequestDirectives::NONE }
    }
}

/// The operator's ttl and grace, in seconds.
fn operator() -> impl Strategy<Value = (Option<u64>, u64)> {
    (select(vec![None, None, Some(30)]), select(vec![0, 0, 7]))
}

/// What may be kept of a response, by what the strict reader says of it.
fn kept(strict: &Strict, stored: &Storable) -> Result<(), TestCaseError> {
    prop_assert!(!strict.is_forbidden, "stored");
    prop_assert!(strict.is_public || stored.sharing != Sharing::Public, "public");
    prop_assert!(strict.may_be_shared || stored.confined, "shared between callers");
    let left_out = stored.omit.iter().any(|name| name == "x-secret");
    prop_assert!(!strict.omits_secret || left_out || stored.facts.always_validate, "a field that is private is kept");
    Ok(())
}

proptest! {
    #![proptest_config(cases(6000))]

    #[test]
    fn nothing_is_fresher_than_its_strictest_reading(
        fields in response(),
        status in select(vec![200u16, 200, 200, 301, 302, 404, 299]),
        delay in select(vec![0u64, 0, 0, 1, 2_000]),
        afters in vec(select(vec![0u64, 0, 1, 999, 4_999, 5_000, 30_000, 59_999, 60_000, 60_001, 67_000, 600_000, 1 << 41]), 1..5),
        wishes in wishes(),
        (ttl, grace) in operator(),
    ) {
        let strict = Strict::read(&fields, NOW.unix, delay);
        let op = Operator {
            ttl: ttl.map(|ttl| Lifetime::For(Duration::from_secs(ttl))),
            grace: Duration::from_secs(grace),
            keep_on_error: Duration::from_secs(grace),
            ..Operator::default()
        };
        let q = Question { method: &Method::GET, authorization: true, request_no_store: false, part: false };
        let asked = Now { mono: NOW.mono - delay, unix: NOW.unix - delay };
        let Ok(stored) = consider(&q, StatusCode::from_u16(status).unwrap(), &fields, asked, NOW, &op) else { return Ok(()) };
        kept(&strict, &stored)?;
        let (facts, unstated) = (&stored.facts, ttl.unwrap_or(0) * 1000);
        prop_assert!(facts.lifetime <= strict.lifetime.unwrap_or(unstated), "{facts:?} {strict:?}");
        prop_assert!(strict.age.is_none_or(|age| facts.initial_age >= age), "{facts:?} {strict:?}");
        for after in afters {
            let now = Now { mono: NOW.mono + after, unix: NOW.unix + after };
            let stale_by = |stated: Option<u64>| strict.may_be_stale(after, unstated, stated.unwrap_or(grace * 1000));
            let allowed = |verdict: Reuse, asked: &RequestDirectives| match verdict {
                Reuse::Fresh => strict.may_be_fresh(after, unstated) && !asked.no_cache,
                Reuse::WhileRevalidating => stale_by(strict.while_revalidating) && !asked.no_cache,
                Reuse::Stale => {
                    let wanted = asked.max_stale.map(|most| most.map_or(u64::MAX, |seconds| seconds * 1000));
                    wanted.is_some() && stale_by(wanted) && !asked.no_cache
                }
                Reuse::Validate(_) => true,
            };
            for asked in [RequestDirectives::NONE, wishes] {
                let verdict = reuse(facts, false, &asked, now);
                prop_assert!(allowed(verdict, &asked), "{verdict:?} after {after} ms: {facts:?} {strict:?} {asked:?}");
            }
            prop_assert!(!usable_on_error(facts, now) || stale_by(strict.on_error), "{after}: {facts:?} {strict:?}");
        }
    }
}

/// Each of several `Age` lines counts, and `Expires` is nothing beside several `Date` lines; but the age that they tell isn't counted.
#[test]
fn an_answer_with_several_dates_is_as_old_as_the_oldest_says() {
    let hour_ago = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(NOW.unix - 3_600_000));
    let fields = fields_of(&[("cache-control", vec!["max-age=60".into()]), ("date", vec![hour_ago.clone(), hour_ago])]);
    let q = Question { method: &Method::GET, authorization: false, request_no_store: false, part: false };
    let stored = consider(&q, StatusCode::OK, &fields, NOW, NOW, &Operator::default());
    assert!(
        stored.is_err_and(|why| why == freshgate::rfc9111::NotStored::NoValidator),
        "it is stale, as with one of them"
    );
}

/// An `Age` that can't be read counts as 2^31 seconds, which is less than `Expires` may be ahead.
#[test]
fn an_answer_of_unreadable_age_is_stale_however_far_ahead_it_expires() {
    let fields = fields_of(&[
        ("age", vec!["five".into()]),
        ("expires", vec!["Thu, 31 Dec 2099 23:59:59 GMT".into()]),
        ("etag", vec!["\"v\"".into()]),
    ]);
    let q = Question { method: &Method::GET, authorization: false, request_no_store: false, part: false };
    let stored = consider(&q, StatusCode::OK, &fields, NOW, NOW, &Operator::default());
    assert!(!stored.unwrap().facts.is_fresh(NOW));
}
