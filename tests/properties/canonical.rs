//! A target has one form: what shares an entry gives the origin the same bytes, no reader finds dots in it, and what an origin may take
//! for one is invalidated together. Keys of two requests are never alike.

use super::cases;
use super::readers::{Reader, decoded};
use freshgate::policy::{
    Apis, Identity, KeyRules, Place, canonical_host, canonical_path, canonical_query, partition, write_claims,
    write_key,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::LazyLock;

/// What paths are made of: names, dots, slashes, parameters, and their escapes of every kind.
const PIECES: [&str; 44] = [
    "/", "/", "/", "/", "a", "b", "A", ".", "..", ".", "..", ";", ";x=y", "%2e", "%2E", "%2f", "%2F", "%5c", "%5C",
    "%3b", "%3B", "%61", "%41", "%7e", "%25", "%252e", "%252E", "%252f", "%255c", "%253b", "%2561", "%20", "%c3%a9",
    "%c0%ae", "%c0%af", "%00", "%0a", "%zz", "-", "~", "+", "...", "%2", "@",
];

fn path() -> impl Strategy<Value = String> {
    vec(select(&PIECES[..]), 0..10).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// A route without an API's path before it, and one with.
static APIS: LazyLock<Apis> = LazyLock::new(|| {
    let api = |name: &str, path: &str| {
        format!(
            "[[api]]\nname = \"{name}\"\nversion = \"1\"\npath = \"{path}\"\nstrip_prefix = true\nupstream = [\"http://o.example\"]\n"
        )
    };
    let around = freshgate::config::Surroundings { env: &|_| None, memory_limit: None };
    let loaded = freshgate::config::parse(&(api("root", "/") + &api("sub", "/a/b")), "test.toml", &around);
    Apis::new(loaded.unwrap_or_else(|faults| panic!("{faults}")).config.apis)
});

/// The key of a GET, and what the origin is sent for it.
fn key_and_sent(host: &str, path: &str, query: Option<&str>) -> Option<(Vec<u8>, String)> {
    let (host, path) = (canonical_host(host).ok()?, canonical_path(path).ok()?.into_owned());
    let query = canonical_query(&KeyRules::default(), query);
    let mut key = Vec::new();
    write_key(&mut key, &host, &path, query.as_deref(), b"");
    let routed = APIS.find(&host, &path)?.route(&Method::GET, path);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Some((key, format!("{host} {} {}{query}", routed.mounted.id, routed.sent())))
}

fn host() -> impl Strategy<Value = String> {
    vec(select(&["a", "A", "b", ".", "-", ":", "80", "8", "[", "]", "::1", "@", "/", "0"][..]), 1..5)
        .prop_map(|h| h.concat())
}

fn query() -> impl Strategy<Value = Option<String>> {
    let pieces = vec(select(&["a", "b", "=", "=", "&", "&", "%61", "+", "%20", "1", ";", "?", "/", "%26"][..]), 0..8);
    prop_oneof![1 => Just(None), 4 => pieces.prop_map(|q| Some(q.concat()))]
}

/// The pairs of a query as an origin reads them.
fn pairs(query: Option<&str>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let plain = |text: &str| decoded(text.replace('+', " ").as_bytes());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (plain(name), plain(value))
    };
    let mut pairs: Vec<_> = query.unwrap_or_default().split('&').filter(|p| !p.is_empty()).map(pair).collect();
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    pairs
}

fn credentials() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let name = select(&["authorization", "cookie", "x-api-key", "x-user-id", "accept", "x_api_key"][..]);
    vec((name, "[ab;]{0,3}"), 0..4)
}

fn fields(lines: &[(&'static str, String)]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in lines {
        fields.append(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
    }
    fields
}

/// The credentials that count, in a form that can be compared; cookies by their pairs.
fn named(lines: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let (cookies, mut rest): (Vec<_>, Vec<_>) =
        lines.iter().filter(|(name, _)| *name != "accept").cloned().partition(|(name, _)| *name == "cookie");
    let pairs = cookies.iter().flat_map(|(_, line)| line.split(';')).filter(|pair| !pair.is_empty());
    let cookies: Vec<&str> = pairs.collect();
    if !cookies.is_empty() {
        rest.push(("cookie", cookies.join("; ")));
    }
    rest.sort_by_key(|(name, _)| *name);
    rest
}

/// Host, path, query, caller, fields, claims, and whether by TLS.
type Asked = (String, String, Option<String>, String, Vec<(&'static str, String)>, Vec<String>);

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn no_reader_finds_dots_in_what_passes(path in path()) {
        let Ok(canonical) = canonical_path(&path) else { return Ok(()) };
        let again = canonical_path(&canonical);
        prop_assert_eq!(again.as_deref(), Ok(&*canonical), "a fixed point");
        prop_assert!(canonical.starts_with('/') && canonical.bytes().all(|b| b.is_ascii_graphic() && !b"\\#?".contains(&b)));
        for reader in Reader::all() {
            let segments = reader.segments(&canonical);
            prop_assert!(segments.iter().all(|s| s != b"." && s != b".."), "{reader:?} sees {segments:?} in {canonical}");
            prop_assert!(segments.iter().flatten().all(|b| !b.is_ascii_control()), "{reader:?} sees control bytes in {canonical}");
        }
        // Who resolves plain dots himself comes to the same.
        let mut plain: Vec<Vec<u8>> = Vec::new();
        for segment in (Reader { decodes: 0, backslash: false, parameters: None, merges: true }).segments(&path) {
            match &decoded_dots(&segment)[..] {
                b"." => {}
                b".." => _ = plain.pop(),
                _ => plain.push(segment),
            }
        }
        let reader = Reader { decodes: 1, backslash: false, parameters: None, merges: true };
        let joined = format!("/{}", plain.iter().map(|s| String::from_utf8_lossy(s)).collect::<Vec<_>>().join("/"));
        prop_assert_eq!(reader.segments(&joined), reader.segments(&canonical));
    }

    #[test]
    fn what_an_origin_takes_for_one_is_invalidated_together(a in path(), b in path(), at in any::<prop::sample::Index>(), with in select(&PIECES[..])) {
        // One path, and the same with something put in somewhere: often another spelling.
        let mut near = a.clone();
        near.insert_str(at.index(a.len() + 1), with);
        let spellings: Vec<String> = [a, b, near].iter().filter_map(|p| canonical_path(p).ok().map(|p| p.into_owned())).collect();
        for (one, other) in spellings.iter().flat_map(|one| spellings.iter().map(move |other| (one, other))) {
            for reader in Reader::all() {
                if reader.segments(one) == reader.segments(other) {
                    prop_assert_eq!(Place::new(one), Place::new(other), "{:?} takes {} for {}", reader, one, other);
                }
            }
        }
    }

    #[test]
    fn what_shares_an_entry_is_the_same_to_the_origin(
        a in (host(), path(), query()), b in (host(), path(), query()), same in any::<(bool, bool, bool)>()
    ) {
        let pick = |same, a: &String, b: &String| if same { a.clone() } else { b.clone() };
        let (host, path) = (pick(same.0, &a.0, &b.0), pick(same.1, &a.1, &b.1));
        let query = if same.2 { a.2.as_deref() } else { b.2.as_deref() };
        let one = key_and_sent(&a.0, &a.1, a.2.as_deref());
        let other = key_and_sent(&host, &path, query);
        let (Some((key, sent)), Some((other_key, other_sent))) = (one, other) else { return Ok(()) };
        prop_assert_eq!(key == other_key, sent == other_sent, "{} and {}", sent, other_sent);
        if key == other_key {
            prop_assert_eq!(pairs(a.2.as_deref()), pairs(query), "and they mean the same");
        }
    }

    #[test]
    fn a_host_has_one_form(host in host()) {
        let Ok(canonical) = canonical_host(&host) else { return Ok(()) };
        let again = canonical_host(&canonical);
        prop_assert_eq!(again.as_deref(), Ok(&*canonical));
        prop_assert!(!canonical.contains(['/', '@', '?', '#', '\\', '%']) && !canonical.ends_with(['.', ':']));
        prop_assert!(canonical.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()));
    }

    #[test]
    fn keys_are_alike_only_of_the_same_request(
        a in ("[a.:0]{1,3}", "/[a/;%]{0,3}", prop::option::of("[a?/=]{0,3}"), "[\u{0}-\u{3}a]{0,3}", credentials(), vec("[ab]{0,2}", 0..3)),
        b in ("[a.:0]{1,3}", "/[a/;%]{0,3}", prop::option::of("[a?/=]{0,3}"), "[\u{0}-\u{3}a]{0,3}", credentials(), vec("[ab]{0,2}", 0..3)),
    ) {
        let key = |r: &Asked| {
            let mut key = Vec::new();
            write_key(&mut key, &r.0, &r.1, r.2.as_deref(), b"");
            if !r.5.is_empty() {
                write_claims(&mut key, r.5.iter().map(|value| ("x", value.as_bytes())));
            }
            let identity = Identity { text: r.3.clone().into_bytes(), consumed: vec![] };
            key.extend(partition(&KeyRules::default(), &identity, &fields(&r.4)));
            key
        };
        let same = (&a.0, &a.1, &a.2, &a.3, named(&a.4), &a.5) == (&b.0, &b.1, &b.2, &b.3, named(&b.4), &b.5);
        prop_assert_eq!(key(&a) == key(&b), same);
    }
}

/// A segment with its escaped dots written plainly.
fn decoded_dots(segment: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(segment).replace("%2e", ".").replace("%2E", ".").into_bytes()
}
