use super::*;
use crate::rfc9110::{Lines, fields_of};
use http::HeaderValue;
use proptest::prelude::*;

fn response(lines: &[&str]) -> ResponseDirectives {
    ResponseDirectives::parse(&fields_of(&lines.iter().map(|line| ("cache-control", *line)).collect::<Vec<_>>()))
}

fn fields(names: &[&'static str]) -> Extent {
    Extent::Fields(names.iter().map(|name| HeaderName::from_static(name)).collect())
}

fn base() -> ResponseDirectives {
    ResponseDirectives::default()
}

/// Why, the lines, what they say.
type Read<'a> = &'a [(&'a str, &'a [&'a str], ResponseDirectives)];

fn all_read(cases: Read<'_>) {
    for (why, lines, want) in cases {
        assert_eq!(response(lines), *want, "{why}: {lines:?}");
    }
}

#[test]
fn responses_that_fit_the_grammar() {
    all_read(&[
        ("nothing", &[], base()),
        (
            "§5.2 without case",
            &["MAX-AGE=5, No-Store"],
            ResponseDirectives { max_age: Some(5), no_store: true, ..base() },
        ),
        ("§5.2 quoted form", &["max-age=\"5\""], ResponseDirectives { max_age: Some(5), ..base() }),
        ("§5.2 quoted with escapes", &["max-age=\"\\5\""], ResponseDirectives { max_age: Some(5), ..base() }),
        (
            "RFC 9110 §5.3 several lines",
            &["max-age=5", "private"],
            ResponseDirectives { max_age: Some(5), private: Extent::Whole, ..base() },
        ),
        ("RFC 9110 §5.6.1.2 empty members", &[", ,max-age=5,"], ResponseDirectives { max_age: Some(5), ..base() }),
        (
            "§5.2.3 unknown ones",
            &["community=\"UCI, no-store\", foo, max-age=5"],
            ResponseDirectives { max_age: Some(5), ..base() },
        ),
        ("§4.2.1 repeated", &["max-age=9, max-age=5", "max-age=7"], ResponseDirectives { max_age: Some(5), ..base() }),
        ("§4.2.1 one of them bad", &["max-age=9, max-age=x"], ResponseDirectives { max_age: Some(0), ..base() }),
        ("§4.2.1 negative", &["max-age=-1"], ResponseDirectives { max_age: Some(0), ..base() }),
        ("§4.2.1 signed", &["max-age=+5"], ResponseDirectives { max_age: Some(0), ..base() }),
        ("§4.2.1 fraction", &["max-age=5.5"], ResponseDirectives { max_age: Some(0), ..base() }),
        (
            "§4.2.1 no argument",
            &["max-age, s-maxage"],
            ResponseDirectives { max_age: Some(0), s_maxage: Some(0), ..base() },
        ),
        (
            "§1.2.2 too big",
            &["max-age=99999999999999999999"],
            ResponseDirectives { max_age: Some(MAX_DELTA_SECONDS), ..base() },
        ),
    ]);
}

#[test]
fn arguments_of_responses() {
    all_read(&[
        (
            "§5.2.2.4 qualified",
            &["no-cache=\"X-A, x-b\""],
            ResponseDirectives { no_cache: fields(&["x-a", "x-b"]), ..base() },
        ),
        (
            "§5.2.2.7 token form",
            &["private=set-cookie"],
            ResponseDirectives { private: fields(&["set-cookie"]), ..base() },
        ),
        (
            "qualified twice",
            &["private=x-a, private=x-b"],
            ResponseDirectives { private: fields(&["x-a", "x-b"]), ..base() },
        ),
        ("qualified and not", &["private=x-a, private"], ResponseDirectives { private: Extent::Whole, ..base() }),
        ("qualified by nothing", &["private=\"\""], ResponseDirectives { private: Extent::Whole, ..base() }),
        ("qualified by no name", &["no-cache=\"a b\""], ResponseDirectives { no_cache: Extent::Whole, ..base() }),
        (
            "qualified by what the rest needs",
            &["private=\"content-encoding\""],
            ResponseDirectives { private: Extent::Whole, ..base() },
        ),
        (
            "what forbids may have an argument",
            &["no-store=x, must-revalidate=\"\""],
            ResponseDirectives { no_store: true, must_revalidate: true, ..base() },
        ),
        ("what permits may not", &["public=x, must-understand=1"], base()),
        ("RFC 8246 §2 argument ignored", &["immutable=x"], ResponseDirectives { immutable: true, ..base() }),
        (
            "RFC 5861",
            &["stale-while-revalidate=5, stale-if-error=x"],
            ResponseDirectives { stale_while_revalidate: Some(5), stale_if_error: Some(0), ..base() },
        ),
        ("a name that only begins like one", &["no-stores, xprivate, privatex"], base()),
    ]);
}

#[test]
fn responses_that_do_not() {
    let bad = || ResponseDirectives { malformed: true, ..base() };
    all_read(&[
        ("semicolons", &["no-store; max-age=60"], ResponseDirectives { no_store: true, ..bad() }),
        ("semicolons, private", &["max-age=60; Private"], ResponseDirectives { private: Extent::Whole, ..bad() }),
        ("blanks about =", &["max-age = 60"], bad()),
        ("two words", &["public private"], ResponseDirectives { private: Extent::Whole, ..bad() }),
        ("= and nothing", &["max-age="], bad()),
        ("a quote never closed", &["x=\"a, no-store"], ResponseDirectives { no_store: true, ..bad() }),
        ("text after a quoted string", &["no-cache=\"x-a\"b"], ResponseDirectives { no_cache: Extent::Whole, ..bad() }),
        (
            "single quotes do as tokens, blanks don't",
            &["private='a b'"],
            ResponseDirectives { private: Extent::Whole, ..bad() },
        ),
        ("what permits isn't believed", &["public, immutable, must-understand, x y"], bad()),
        (
            "the rest is still read",
            &["x y, s-maxage=5, no-cache"],
            ResponseDirectives { s_maxage: Some(5), no_cache: Extent::Whole, ..bad() },
        ),
    ]);
    let mut not_text = HeaderMap::new();
    not_text.insert(CACHE_CONTROL, HeaderValue::from_bytes(b"\xff, private").unwrap());
    let said = ResponseDirectives::parse(&not_text);
    assert!(said.malformed && said.private == Extent::Whole, "bytes that are not text hide nothing");
}

#[test]
fn requests() {
    let none = RequestDirectives::NONE;
    let cc = "cache-control";
    let cases: &[(&str, Lines<'_>, RequestDirectives)] = &[
        ("nothing", &[("accept", "*/*")], none),
        (
            "§5.2.1",
            &[(cc, "No-Cache, no-store, no-transform, only-if-cached")],
            RequestDirectives { no_cache: true, no_store: true, no_transform: true, only_if_cached: true, ..none },
        ),
        ("§5.2.1.1", &[(cc, "max-age=0")], RequestDirectives { max_age: Some(0), ..none }),
        ("§5.2.1.1 strictest", &[(cc, "max-age=9"), (cc, "max-age=5")], RequestDirectives { max_age: Some(5), ..none }),
        ("§5.2.1.1 unreadable", &[(cc, "max-age=x")], RequestDirectives { max_age: Some(0), ..none }),
        ("§5.2.1.2 unbounded", &[(cc, "max-stale")], RequestDirectives { max_stale: Some(None), ..none }),
        (
            "§5.2.1.2 strictest",
            &[(cc, "max-stale=9, max-stale, max-stale=5")],
            RequestDirectives { max_stale: Some(Some(5)), ..none },
        ),
        ("§5.2.1.2 unreadable", &[(cc, "max-stale=x")], RequestDirectives { max_stale: Some(Some(0)), ..none }),
        (
            "§5.2.1.3 strictest",
            &[(cc, "min-fresh=5, min-fresh=9, min-fresh=7")],
            RequestDirectives { min_fresh: Some(9), ..none },
        ),
        (
            "§5.2.1.3 unreadable",
            &[(cc, "min-fresh=x")],
            RequestDirectives { min_fresh: Some(MAX_DELTA_SECONDS), ..none },
        ),
        ("RFC 8246 §2 immutable has no effect", &[(cc, "immutable")], none),
        ("§5.4 Pragma alone", &[("pragma", "x, No-Cache")], RequestDirectives { no_cache: true, ..none }),
        (
            "§5.4 Pragma beside Cache-Control",
            &[("pragma", "no-cache"), (cc, "max-age=5")],
            RequestDirectives { max_age: Some(5), ..none },
        ),
        (
            "malformed forbids",
            &[(cc, "no-store; no-cache")],
            RequestDirectives { no_store: true, no_cache: true, ..none },
        ),
        ("malformed permits nothing", &[(cc, "max-stale; only-if-cached")], none),
    ];
    for (why, lines, want) in cases {
        assert_eq!(RequestDirectives::parse(&fields_of(lines)), *want, "{why}");
    }
}

#[test]
fn delta_seconds_by_1_2_2() {
    let cases: &[(&[u8], Option<u64>)] = &[
        (b"0", Some(0)),
        (b"007", Some(7)),
        (b"2147483647", Some(2_147_483_647)),
        (b"2147483648", Some(MAX_DELTA_SECONDS)),
        (b"2147483649", Some(MAX_DELTA_SECONDS)),
        (b"340282366920938463463374607431768211456", Some(MAX_DELTA_SECONDS)),
        (b"", None),
        (b"-1", None),
        (b"1 ", None),
        (b"1e3", None),
        (b"0x10", None),
        ("٣".as_bytes(), None),
    ];
    for (text, want) in cases {
        assert_eq!(delta_seconds(text), *want, "{}", String::from_utf8_lossy(text));
    }
}

/// Fragments that a directive list may be made of, well-formed and not.
fn soup() -> impl Strategy<Value = String> {
    let words = [
        "max-age",
        "s-maxage",
        "no-store",
        "NO-CACHE",
        "private",
        "public",
        "must-understand",
        "=",
        "=5",
        "=\"7\"",
        "=99999999999999999999",
        "\"",
        "\\",
        ",",
        ", ",
        ";",
        " ",
        "x-a",
        "stale-while-revalidate",
        "\t",
        "é",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..14).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn never_panics(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..3)) {
        let mut fields = HeaderMap::new();
        for value in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
            fields.append(CACHE_CONTROL, value);
        }
        RequestDirectives::parse(&fields);
        ResponseDirectives::parse(&fields);
    }

    #[test]
    fn what_is_appended_only_makes_it_stricter(line in soup(), max_age in 0u64..100) {
        let before = response(&[&line]);
        let after = response(&[&line, &format!("max-age={max_age}, no-store, private")]);
        prop_assert!(after.no_store && after.private == Extent::Whole);
        prop_assert!(after.max_age.unwrap() <= before.max_age.unwrap_or(u64::MAX).min(max_age));
        prop_assert_eq!(after.malformed, before.malformed);
    }

    /// Nobody's naive reader, which takes every bare word between separators for a directive, finds a `no-store` that we missed,
    /// unless it stood inside a quoted string.
    #[test]
    fn no_store_is_never_overlooked(line in soup()) {
        let naive = line.split([',', ';', ' ', '\t']).any(|word| word == "no-store");
        if naive && !line.contains('"') {
            prop_assert!(response(&[&line]).no_store, "{}", line);
        }
    }
}
