//! Who gets whose answer: share, credentials, keys, Vary.

#![cfg(test)]

mod support;

use support::{Answer, Gateway, Origin, Reply};

type Fields = &'static [(&'static str, &'static str)];

/// Callers: the one who asks first, somebody else with the same kind of credentials, and nobody in particular.
struct Callers {
    what: &'static str,
    first: Fields,
    other: Fields,
}

const BEARER: Callers =
    Callers { what: "Authorization", first: &[("Authorization", "Bearer a")], other: &[("Authorization", "Bearer b")] };
const COOKIE: Callers = Callers { what: "Cookie", first: &[("Cookie", "id=a")], other: &[("Cookie", "id=b")] };
const API_KEY: Callers = Callers { what: "X-Api-Key", first: &[("X-Api-Key", "a")], other: &[("X-Api-Key", "b")] };
const TENANT: Callers = Callers { what: "X-Tenant-Id", first: &[("X-Tenant-Id", "a")], other: &[("X-Tenant-Id", "b")] };
const ALL: [Callers; 4] = [BEARER, COOKIE, API_KEY, TENANT];

/// An origin that numbers its answers.
async fn numbered(fields: Fields) -> Origin {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Origin::start(move |_| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let reply = fields.iter().fold(Reply::ok(format!("{n}")), |reply, (name, value)| reply.field(name, value));
        std::future::ready(reply)
    })
    .await
}

/// Asks, and waits until what is kept of the answer is in the store.
async fn get(gateway: &Gateway, target: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = gateway.client().await.get_with(target, fields).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    gateway.settled().await;
    answer
}

/// The same caller, another, nobody in particular.
type Hits = (bool, bool, bool);

/// After `first` has asked: who is answered from the store? The same caller, another, nobody in particular.
async fn hits(api: &str, answer: Fields, callers: &Callers) -> Hits {
    let mut who = [false; 3];
    for (hit, next) in who.iter_mut().zip([callers.first, callers.other, &[]]) {
        let origin = numbered(answer).await;
        let gateway = Gateway::before(&origin, api).await;
        assert_eq!(get(&gateway, "/a", callers.first).await.text(), "0");
        let second = get(&gateway, "/a", next).await;
        *hit = second.cache_says("hit");
        assert_eq!(second.text(), if *hit { "0" } else { "1" }, "{second:?}");
    }
    (who[0], who[1], who[2])
}

const NOTHING: Fields = &[];
const PUBLIC: Fields = &[("Cache-Control", "public")];
const S_MAXAGE: Fields = &[("Cache-Control", "s-maxage=60")];
const MUST: Fields = &[("Cache-Control", "max-age=60, must-revalidate")];
const MAX_AGE: Fields = &[("Cache-Control", "max-age=60")];
const PRIVATE: Fields = &[("Cache-Control", "private, max-age=60")];
const NO_STORE: Fields = &[("Cache-Control", "no-store")];
const SETS: Fields = &[("Set-Cookie", "id=new")];
const PUBLIC_SETS: Fields = &[("Cache-Control", "public, max-age=60"), ("Set-Cookie", "seen=1")];

/// Nobody, the caller alone, everybody.
const NONE: Hits = (false, false, false);
const OWN: Hits = (true, false, false);
const EVERYBODY: Hits = (true, true, true);

fn sharing(share: &str, more: &str) -> String {
    format!("ttl = \"10m\"\n{more}\n[api.key]\nshare = \"{share}\"")
}

#[tokio::test]
async fn under_user_an_answer_stays_with_its_caller_unless_it_is_public() {
    let rows = [
        (NOTHING, OWN),
        (MAX_AGE, OWN),
        (S_MAXAGE, OWN),
        (MUST, OWN),
        (PUBLIC, EVERYBODY),
        (PRIVATE, NONE),
        (NO_STORE, NONE),
        (SETS, NONE),
        (PUBLIC_SETS, EVERYBODY),
    ];
    for callers in &ALL {
        for (answer, want) in rows {
            assert_eq!(hits(&sharing("user", ""), answer, callers).await, want, "{} {answer:?}", callers.what);
        }
    }
}

#[tokio::test]
async fn under_everyone_an_answer_is_shared_where_it_says_so() {
    let rows = [
        (NOTHING, OWN),
        (MAX_AGE, OWN),
        (S_MAXAGE, EVERYBODY),
        (MUST, EVERYBODY),
        (PUBLIC, EVERYBODY),
        (PRIVATE, NONE),
        (NO_STORE, NONE),
        (SETS, NONE),
    ];
    for callers in &ALL {
        for (answer, want) in rows {
            assert_eq!(hits(&sharing("everyone", ""), answer, callers).await, want, "{} {answer:?}", callers.what);
        }
    }
}

#[tokio::test]
async fn under_assume_public_only_private_no_store_and_cookies_are_kept_apart() {
    let rows = [
        (NOTHING, EVERYBODY),
        (MAX_AGE, EVERYBODY),
        (S_MAXAGE, EVERYBODY),
        (PUBLIC, EVERYBODY),
        (PRIVATE, NONE),
        (NO_STORE, NONE),
        (SETS, NONE),
    ];
    for callers in &ALL {
        for (answer, want) in rows {
            let share = sharing("assume-public", "");
            assert_eq!(hits(&share, answer, callers).await, want, "{} {answer:?}", callers.what);
        }
    }
}

#[tokio::test]
async fn set_cookie_is_the_operators_choice() {
    let nobody = Callers { what: "none", first: &[], other: &[("Authorization", "Bearer a")] };
    let rows: [(&str, Fields, Hits, Hits); 6] = [
        // policy, answer, for callers with credentials, for nobody in particular
        ("private", SETS, NONE, NONE),
        ("private", PUBLIC_SETS, EVERYBODY, EVERYBODY),
        ("store", SETS, OWN, (true, false, true)),
        ("store", PUBLIC_SETS, EVERYBODY, EVERYBODY),
        ("pass", SETS, NONE, NONE),
        ("pass", PUBLIC_SETS, NONE, NONE),
    ];
    for (policy, answer, with, without) in rows {
        let api = sharing("user", &format!("set_cookie = \"{policy}\""));
        assert_eq!(hits(&api, answer, &BEARER).await, with, "{policy} {answer:?}");
        assert_eq!(hits(&api, answer, &nobody).await, without, "{policy} {answer:?} asked by nobody");
    }
}

#[tokio::test]
async fn an_anonymous_answer_is_not_for_a_caller_with_credentials_unless_public() {
    for callers in &ALL {
        let nobody = Callers { what: callers.what, first: &[], other: callers.first };
        for (answer, other) in [(NOTHING, false), (MAX_AGE, false), (S_MAXAGE, false), (PUBLIC, true)] {
            let want = (true, other, true);
            assert_eq!(hits(&sharing("user", ""), answer, &nobody).await, want, "{} {answer:?}", callers.what);
        }
        let want = (true, true, true);
        assert_eq!(hits(&sharing("assume-public", ""), NOTHING, &nobody).await, want, "{}", callers.what);
    }
}

#[tokio::test]
async fn two_callers_one_url() {
    for (share, second_hits) in [("user", false), ("assume-public", true)] {
        let origin = numbered(NOTHING).await;
        let gateway = Gateway::before(&origin, &sharing(share, "")).await;
        let alice = get(&gateway, "/books", &[("Authorization", "Bearer alice")]).await;
        let bob = get(&gateway, "/books", &[("Authorization", "Bearer bob")]).await;
        assert_eq!(alice.text() == bob.text(), second_hits, "{share}");
        assert_eq!(bob.cache_says("hit"), second_hits, "{share}");
        assert_eq!(origin.requests()[0].get("authorization"), Some("Bearer alice"), "the origin sees who asks");
        for who in ["Bearer alice", "Bearer bob"] {
            assert!(get(&gateway, "/books", &[("Authorization", who)]).await.cache_says("hit"), "{share} {who}");
        }
    }
}

#[tokio::test]
async fn every_credential_counts_and_in_every_line() {
    let origin = numbered(NOTHING).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let callers: [Fields; 8] = [
        &[],
        &[("Authorization", "Bearer a")],
        &[("Authorization", "Bearer a"), ("Cookie", "id=1")],
        &[("Cookie", "id=1")],
        &[("Cookie", "id=1"), ("Cookie", "id=2")],
        &[("X-Api-Key", "1"), ("X-Api-Key", "2")],
        &[("X-Session-Id", "1"), ("X-User-Id", "")],
        &[("X-Session-Id", ""), ("X-User-Id", "1")],
    ];
    for (n, fields) in callers.iter().enumerate() {
        assert_eq!(get(&gateway, "/a", fields).await.text(), n.to_string(), "{fields:?}");
    }
    for (n, fields) in callers.iter().enumerate() {
        let again = get(&gateway, "/a", fields).await;
        assert_eq!((again.text(), again.cache_says("hit")), (n.to_string().as_str(), true), "{fields:?}");
    }
}

#[tokio::test]
async fn an_ignored_cookie_tells_nobody_apart_and_does_not_reach_the_origin() {
    let origin = numbered(NOTHING).await;
    let api = "ttl = \"10m\"\n[api.key]\ncookies = { ignore = [\"_ga*\"] }";
    let gateway = Gateway::before(&origin, api).await;
    get(&gateway, "/a", &[]).await;
    assert!(get(&gateway, "/a", &[("Cookie", "_ga=1; _gat=2")]).await.cache_says("hit"));
    assert!(!get(&gateway, "/a", &[("Cookie", "_ga=1; id=2")]).await.cache_says("hit"));
    assert_eq!(origin.requests()[1].all("cookie"), ["id=2"]);
    assert!(get(&gateway, "/a", &[("Cookie", "id=2; _ga=7")]).await.cache_says("hit"));

    let api = "ttl = \"10m\"\n[api.key]\ncookies = { only = [\"session\"] }";
    let gateway = Gateway::before(&origin, api).await;
    get(&gateway, "/b", &[("Cookie", "lang=de; session=1")]).await;
    assert!(get(&gateway, "/b", &[("Cookie", "session=1; lang=en")]).await.cache_says("hit"));
    assert!(!get(&gateway, "/b", &[("Cookie", "session=2")]).await.cache_says("hit"));
}

/// `Vary: Cookie` is about what the origin saw, and it never saw the ignored ones.
#[tokio::test]
async fn an_ignored_cookie_is_no_variant_either() {
    let origin = numbered(&[("Vary", "Cookie"), ("Cache-Control", "public, max-age=60")]).await;
    let api = "[api.key]\ncookies = { ignore = [\"_ga*\"] }";
    let gateway = Gateway::before(&origin, api).await;
    get(&gateway, "/a", &[("Cookie", "lang=de; _ga=1")]).await;
    assert!(get(&gateway, "/a", &[("Cookie", "_ga=2; lang=de")]).await.cache_says("hit"));
    assert!(!get(&gateway, "/a", &[("Cookie", "_ga=2; lang=en")]).await.cache_says("hit"));
    get(&gateway, "/b", &[]).await;
    assert!(get(&gateway, "/b", &[("Cookie", "_ga=2")]).await.cache_says("hit"));
}

#[tokio::test]
async fn named_credentials_replace_the_usual_ones() {
    let origin = numbered(NOTHING).await;
    let api = "ttl = \"10m\"\n[api.key]\ncredentials = [\"x-badge*\"]";
    let gateway = Gateway::before(&origin, api).await;
    get(&gateway, "/a", &[("X-Badge-Number", "1")]).await;
    assert!(!get(&gateway, "/a", &[("X-Badge-Number", "2")]).await.cache_says("hit"));
    assert!(!get(&gateway, "/a", &[("Authorization", "2")]).await.cache_says("hit"), "this one always counts");
    get(&gateway, "/b", &[("X-Api-Key", "1")]).await;
    assert!(get(&gateway, "/b", &[("X-Api-Key", "2")]).await.cache_says("hit"));
}

#[tokio::test]
async fn a_credential_stays_one_where_connection_names_it() {
    let origin = numbered(NOTHING).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    get(&gateway, "/a", &[]).await;
    let named = ("Connection", "X-Api-Key, X-Mine");
    let answer = get(&gateway, "/a", &[("X-Api-Key", "1"), ("X-Mine", "1"), named]).await;
    assert!(!answer.cache_says("hit"), "whoever asked for that, the caller has said who it is");
    let seen = &origin.requests()[1];
    assert_eq!((seen.get("x-api-key"), seen.get("x-mine")), (Some("1"), None), "and the origin hears it");
    assert!(get(&gateway, "/a", &[("X-Api-Key", "1")]).await.cache_says("hit"));
}

#[tokio::test]
async fn key_headers_tell_requests_apart_and_are_told_downstream() {
    let origin = numbered(&[("Vary", "Accept-Encoding")]).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"\n[api.key]\nheaders = [\"X-Region\"]").await;
    let first = get(&gateway, "/a", &[("X-Region", "nz")]).await;
    assert!(first.lists("vary", "x-region") && first.lists("vary", "accept-encoding"), "{first:?}");
    let other = get(&gateway, "/a", &[("X-Region", "au")]).await;
    assert!(!other.cache_says("hit") && other.cache_says("fwd=vary-miss"));
    assert!(!get(&gateway, "/a", &[]).await.cache_says("hit"));
    for (region, text) in [("nz", "0"), ("au", "1")] {
        let hit = get(&gateway, "/a", &[("X-Region", region)]).await;
        assert_eq!((hit.text(), hit.cache_says("hit")), (text, true));
        assert!(hit.lists("vary", "x-region"));
    }
}

/// Pairs of targets, and whether they are one key.
async fn same(query: &str, pairs: &[(&str, &str, bool)]) {
    let origin = numbered(NOTHING).await;
    let gateway = Gateway::before(&origin, &format!("ttl = \"10m\"\n[api.key]\nquery = {query}")).await;
    for (one, two, same) in pairs {
        get(&gateway, one, &[]).await;
        assert_eq!(get(&gateway, two, &[]).await.cache_says("hit"), *same, "{query}: {one} {two}");
    }
}

#[tokio::test]
async fn queries_are_keyed_as_the_operator_says() {
    let all = [
        ("/1?a=1&b=2", "/1?b=2&a=1", true),
        ("/2?a=1&a=2", "/2?a=2&a=1", false),
        ("/3", "/3?", true),
        ("/4?a", "/4?a=", false),
        ("/5?a=1", "/5?a=2", false),
        ("/6?a=1", "/6", false),
        ("/7?A=1", "/7?a=1", false),
        ("/8?a=1&", "/8?a=1", true),
    ];
    same("\"all\"", &all).await;
    same("\"exact\"", &[("/1?a=1&b=2", "/1?b=2&a=1", false), ("/2?a=1", "/2?a=1", true), ("/3", "/3?", false)]).await;
    let only = [("/1?page=1&x=2", "/1?page=1&x=3", true), ("/2?page=1", "/2?page=2", false), ("/3?x=1", "/3", true)];
    same("{ only = [\"page\", \"size\"] }", &only).await;
    let ignore = [("/1?utm_source=a&q=1", "/1?q=1", true), ("/2?q=1", "/2?q=2", false), ("/3?%75tm_x=1", "/3", true)];
    same("{ ignore = [\"utm_*\"] }", &ignore).await;
}

#[tokio::test]
async fn what_is_keyed_of_a_query_is_what_the_origin_gets() {
    let origin = numbered(NOTHING).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"\n[api.key]\nquery = { ignore = [\"utm_*\"] }").await;
    get(&gateway, "/a?z=1&utm_source=x&a=2", &[]).await;
    get(&gateway, "/b?utm_source=x", &[]).await;
    let targets: Vec<String> = origin.requests().iter().map(|r| r.target.clone()).collect();
    assert_eq!(targets, ["/a?a=2&z=1", "/b"]);
}

#[tokio::test]
async fn paths_are_compared_in_their_canonical_form() {
    let rows = [
        ("/a/%7Eb", "/a/~b", true),
        ("/a%2Fb", "/a/b", false),
        ("/a%2fb/1", "/a%2Fb/1", true),
        ("/A", "/a", false),
        ("/b/", "/b", false),
        ("/c/./d", "/c/d", true),
        ("/e/x/../f", "/e/f", true),
    ];
    same("\"all\"", &rows).await;
}

#[tokio::test]
async fn the_host_is_part_of_the_key() {
    let origin = numbered(NOTHING).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let ask = async |host: &str| {
        let answer = get(&gateway, "/a", &[("Host", host)]).await;
        (answer.text().to_owned(), answer.cache_says("hit"))
    };
    assert_eq!(ask("a.example").await, ("0".to_owned(), false));
    assert_eq!(ask("b.example").await, ("1".to_owned(), false));
    assert_eq!(ask("A.Example").await, ("0".to_owned(), true));
    assert!(!ask("a.example:81").await.1);
}

#[tokio::test]
async fn head_is_answered_from_get_and_fills_nothing() {
    let origin = numbered(NOTHING).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let mut client = gateway.client().await;
    let head = client.request("HEAD", "/a", &[], "").await;
    assert!(!head.cache_says("hit"));
    assert!(!get(&gateway, "/a", &[]).await.cache_says("hit"), "an answer to HEAD has no content to give");
    let head = client.request("HEAD", "/a", &[], "").await;
    assert!(head.cache_says("hit") && head.body.is_empty());
    assert_eq!(head.get("content-length"), Some("1"));
    assert!(get(&gateway, "/a", &[]).await.cache_says("hit"), "the connection is still in step");
    let methods: Vec<String> = origin.requests().iter().map(|r| r.method.clone()).collect();
    assert_eq!(methods, ["HEAD", "GET"]);
}

#[tokio::test]
async fn variants_are_kept_apart_and_bounded() {
    let origin = numbered(&[("Vary", "Accept-Language"), ("Cache-Control", "max-age=60")]).await;
    let url = origin.url();
    let api = format!("[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{url}\"]\n");
    let gateway = Gateway::with("[server.limits]\nvariants_per_path = 2", &api).await;
    for (n, language) in ["de", "en", "fr"].iter().enumerate() {
        assert_eq!(get(&gateway, "/a", &[("Accept-Language", language)]).await.text(), n.to_string());
    }
    for (language, hit) in [("fr", true), ("en", true), ("de", false)] {
        let answer = get(&gateway, "/a", &[("Accept-Language", language)]).await;
        assert_eq!(answer.cache_says("hit"), hit, "{language}");
    }
}

#[tokio::test]
async fn vary_star_is_not_stored() {
    let origin = numbered(&[("Vary", "*"), ("Cache-Control", "max-age=60")]).await;
    let gateway = Gateway::before(&origin, "").await;
    assert!(get(&gateway, "/a", &[]).await.cache_says("detail=vary-any"));
    assert!(!get(&gateway, "/a", &[]).await.cache_says("hit"));
}

#[tokio::test]
async fn where_only_ttl_makes_it_storable_accept_and_language_count() {
    for (answer, counts) in [(NOTHING, true), (MAX_AGE, false)] {
        for name in ["Accept", "Accept-Language"] {
            let origin = numbered(answer).await;
            let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
            get(&gateway, "/a", &[(name, "x")]).await;
            assert!(get(&gateway, "/a", &[(name, "x")]).await.cache_says("hit"));
            assert_eq!(!get(&gateway, "/a", &[(name, "y")]).await.cache_says("hit"), counts, "{name} {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_reflected_origin_counts_as_vary() {
    let origin = Origin::start(async |request| {
        let reply = Reply::ok("x").field("Cache-Control", "public, max-age=60");
        match request.get("origin") {
            Some(origin) => reply.field("Access-Control-Allow-Origin", origin),
            None => reply,
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let a = [("Origin", "https://a.example")];
    let b = [("Origin", "https://b.example")];
    get(&gateway, "/a", &a).await;
    assert!(get(&gateway, "/a", &a).await.cache_says("hit"));
    let other = get(&gateway, "/a", &b).await;
    assert_eq!(other.get("access-control-allow-origin"), Some("https://b.example"));
    assert!(!other.cache_says("hit"));
}

/// A browser shows the panel's cookie to every port of the host, and so to this one.
#[tokio::test]
async fn who_is_signed_in_to_the_panel_is_no_other_caller_and_no_origin_learns_of_it() {
    let origin = numbered(&[]).await;
    let gateway = Gateway::before(&origin, "ttl = \"1m\"").await;
    let cookies = [
        "freshgate_session=0123",
        "__Host-freshgate_session=0123",
        "freshgate_session=",
        " freshgate_session=a ;freshgate_session=b; __Host-freshgate_session=c",
    ];
    for cookie in cookies {
        get(&gateway, "/a", &[("Cookie", cookie)]).await;
        gateway.client().await.request("PUT", "/b", &[("Cookie", cookie)], "").await;
    }
    assert!(get(&gateway, "/a", &[]).await.cache_says("hit"));
    assert_eq!(origin.count(), 1 + cookies.len());
    assert!(origin.requests().iter().all(|request| request.get("cookie").is_none()));
    for (sent, comes) in [
        ("a=1; freshgate_session=x; b=2", "a=1; b=2"),
        ("my_freshgate_session=x", "my_freshgate_session=x"),
        ("a=freshgate_session=x", "a=freshgate_session=x"),
        ("freshgate_sessions=x", "freshgate_sessions=x"),
    ] {
        get(&gateway, "/c", &[("Cookie", sent)]).await;
        assert_eq!(origin.requests().last().unwrap().get("cookie"), Some(comes), "{sent}");
    }
}
