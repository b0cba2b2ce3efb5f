//! Whatever bytes a field has, they are read.

use super::cases;
use freshgate::clock::Now;
use freshgate::rfc9110::range::{ContentRange, Ranged};
use freshgate::rfc9110::{Validators, conditional, date, etag, fields, range};
use freshgate::rfc9111::directives::{ResponseDirectives, delta_seconds};
use freshgate::rfc9111::targeted::{Surrogate, targeted};
use freshgate::rfc9111::{
    CACHE_GROUP_INVALIDATION, CACHE_GROUPS, NO_VARY_SEARCH, Operator, Question, RequestDirectives, Selection,
    UrlVariation, Vary,
};
use freshgate::rfc9111::{
    add_validators, consider, effective, freshen, groups, heard, identifies, is_of_target, targets,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::collection::vec;
use proptest::prelude::*;

/// Every field that is read for caching, in requests and in responses.
const NAMES: [&str; 32] = [
    "accept-encoding",
    "accept-language",
    "access-control-allow-origin",
    "age",
    "cache-control",
    "cache-group-invalidation",
    "cache-groups",
    "cdn-cache-control",
    "connection",
    "content-length",
    "content-location",
    "content-range",
    "cookie",
    "date",
    "etag",
    "expires",
    "freshgate-cache-control",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "last-modified",
    "location",
    "no-vary-search",
    "origin",
    "pragma",
    "proxy-authenticate",
    "range",
    "set-cookie",
    "surrogate-control",
    "te",
    "vary",
];

/// What readers look for, so that they are led on.
const WORDS: [&str; 44] = [
    "max-age",
    "s-maxage",
    "no-store",
    "no-cache",
    "private",
    "public",
    "max-stale",
    "min-fresh",
    "freshgate",
    "params",
    "except",
    "key-order",
    "bytes",
    "W/",
    "GMT",
    "Sun",
    "Sunday",
    "Nov",
    "06",
    "1994",
    "94",
    "08:49:37",
    "http:",
    "//",
    "..",
    "/",
    "=",
    "=",
    "\"",
    "\"",
    "\\",
    ",",
    ";",
    "-",
    "*",
    "(",
    ")",
    ":",
    "?1",
    "%",
    "0",
    "5",
    "18446744073709551616",
    " ",
];

/// Any bytes that can come in a value, some of them words.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![20 => 0x20u8..0x7f, 5 => 0x80u8..=0xff, 1 => Just(b'\t')];
    let piece = prop_oneof![
        3 => prop::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(byte, 0..6),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn message() -> impl Strategy<Value = HeaderMap> {
    let line = (prop::sample::select(&NAMES[..]), value());
    vec(line, 0..24).prop_map(|lines| {
        let line = |(name, value): (&str, Vec<u8>)| {
            (HeaderName::try_from(name).unwrap(), HeaderValue::from_bytes(&value).unwrap())
        };
        let mut fields = HeaderMap::new();
        lines.into_iter().map(line).for_each(|(name, value)| _ = fields.append(name, value));
        fields
    })
}

/// Reads a response in every way.
fn read_response(response: &HeaderMap, now: Now) {
    drop((ResponseDirectives::parse(response), targeted(response), Surrogate::parse(response)));
    drop((groups(response, &CACHE_GROUPS), groups(response, &CACHE_GROUP_INVALIDATION)));
    for target in ["/", "/a/../b?c", "", "?"] {
        targets("http", "a.example", target, response);
        is_of_target("https", "[::1]:8443", target, response);
    }
    for name in [http::header::DATE, http::header::EXPIRES, http::header::LAST_MODIFIED] {
        date::field(response, &name, now.unix);
    }
    let mut left = response.clone();
    fields::strip_hop_by_hop(&mut left);
    fields::strip_twins(&mut left);
    for (status, part) in [(200, false), (206, true), (404, false)] {
        let q = Question { method: &Method::GET, authorization: true, request_no_store: false, part };
        let status = StatusCode::from_u16(status).unwrap();
        drop(consider(&q, status, response, Now::default(), now, &Operator { heuristic: true, ..Operator::default() }));
    }
    ContentRange::of(response);
}

/// Reads a request in every way, where this response is stored for it.
fn read_request(request: &HeaderMap, stored: &HeaderMap, now: Now) {
    let validators = Validators::of(stored);
    RequestDirectives::parse(request);
    conditional::not_modified(request, &validators, now);
    for length in [0, 1, 10, u64::MAX] {
        if let Ranged::Part(part) = range::select(request, &validators, length, now) {
            assert!(part.last < length);
        }
    }
    for vary in [Vary::parse(stored), effective(request, stored, true)] {
        let Vary::Fields(names) = vary else { continue };
        let selection = Selection::capture(&names, request);
        assert!(selection.matches(request));
        selection.matches(stored);
        selection.write_variant(stored, &mut Vec::new());
    }
    add_validators(&mut request.clone(), validators.etag, validators.last_modified);
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn every_field_is_read(request in message(), response in message(), other in message(), mono: u64, unix: u64) {
        let now = Now { mono, unix };
        read_response(&response, now);
        read_request(&request, &response, now);
        identifies(&other, &response);
        heard(&other, &response, 5);
        read_response(&freshen(&response, &other), now);
    }

    #[test]
    fn every_value_is_read(bytes in prop_oneof![value(), vec(any::<u8>(), 0..40)], now: u64, query in vec(any::<u8>(), 0..40)) {
        date::parse(&bytes, now);
        delta_seconds(&bytes);
        ContentRange::parse(&bytes);
        etag::EntityTag::parse(&bytes);
        etag::list(&bytes).count();
        fields::members(&bytes).count();
        let rule = |value: &[u8]| {
            let value = HeaderValue::from_bytes(&[b"params=(\"", value, b"\"), key-order"].concat()).ok()?;
            UrlVariation::of(&HeaderMap::from_iter([(NO_VARY_SEARCH, value)]))
        };
        for rule in [rule(b"a"), rule(&bytes)].into_iter().flatten() {
            rule.minded(&query);
            rule.minded(&bytes);
        }
    }
}
