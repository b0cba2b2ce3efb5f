//! For how long an answer is used, what is asked when it isn't fresh, and what is said about it. The clock is stepped.
//!
//! The stepped clock runs on with the machine's, so expectations leave half a minute for a slow machine.

#![cfg(test)]

mod support;

use freshgate::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use support::{Answer, Gate, Gateway, Origin, Reply, Request, within};

type Fields = &'static [(&'static str, &'static str)];

/// A gateway before an origin whose answers come from `answer`, which gets the number of the request, from 0.
async fn before(api: &str, answer: impl Fn(usize, Request) -> Reply + Send + Sync + 'static) -> (Gateway, Origin) {
    let count = AtomicUsize::new(0);
    let origin = Origin::start(move |r| std::future::ready(answer(count.fetch_add(1, Ordering::SeqCst), r))).await;
    (Gateway::before(&origin, api).await, origin)
}

/// The same with numbered answers that have these fields.
async fn numbered(api: &str, fields: Fields) -> (Gateway, Origin) {
    before(api, move |n, _| with(Reply::ok(n.to_string()), fields)).await
}

fn with(reply: Reply, fields: Fields) -> Reply {
    fields.iter().fold(reply, |reply, (name, value)| reply.field(name, value))
}

/// Asks, and waits until what is kept of the answer is in the store.
async fn get_with(gateway: &Gateway, target: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = gateway.client().await.get_with(target, fields).await;
    gateway.settled().await;
    answer
}

async fn get(gateway: &Gateway, target: &str) -> Answer {
    get_with(gateway, target, &[]).await
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(Clock::system().now().unix)
}

fn date(seconds_ago: u64) -> String {
    httpdate::fmt_http_date(now() - Duration::from_secs(seconds_ago))
}

fn ahead(seconds: u64) -> String {
    httpdate::fmt_http_date(now() + Duration::from_secs(seconds))
}

/// A parameter of our `Cache-Status` as a number.
fn ttl(answer: &Answer) -> i64 {
    let line = answer.get("cache-status").unwrap();
    let value = line.split(';').find_map(|p| p.trim().strip_prefix("ttl="));
    value.unwrap_or_else(|| panic!("no ttl in {line}")).parse().unwrap()
}

fn age(answer: &Answer) -> i64 {
    answer.get("age").unwrap_or_else(|| panic!("no Age in {answer:?}")).parse().unwrap()
}

#[tokio::test]
async fn lifetimes() {
    let rows: &[Lifetime<'_>] = &[
        ("", &[], NEVER),
        ("", &[("Cache-Control", "max-age=600")], 600),
        ("", &[("Cache-Control", "MAX-AGE=600")], 600),
        ("", &[("Cache-Control", "max-age=60, s-maxage=600")], 600),
        ("", &[("Cache-Control", "s-maxage=60, max-age=600")], 60),
        ("", &[("Expires", &ahead(600)), ("Date", &date(0))], 600),
        ("", &[("Expires", "0")], NEVER),
        ("ttl = \"10m\"", &[("Expires", "0")], NEVER),
        ("", &[("Expires", &ahead(60)), ("Cache-Control", "max-age=600")], 600),
        ("", &[("Cache-Control", "max-age=600"), ("Age", "500")], 100),
        ("", &[("Cache-Control", "max-age=600"), ("Date", &date(500))], 100),
        ("", &[("Cache-Control", "max-age=600"), ("Age", "600")], NEVER),
        ("ttl = \"10m\"", &[], 600),
        ("ttl = \"10m\"", &[("Cache-Control", "max-age=60")], 60),
        ("ttl = \"10m\"", &[("Cache-Control", "no-store")], NEVER),
        ("ttl = \"10m\"", &[("Cache-Control", "private")], NEVER),
        ("ttl = \"10m\"", &[("Cache-Control", "No-Store")], NEVER),
        ("ttl = \"10m\"", &[("Cache-Control", "PRIVATE")], NEVER),
        ("ttl = \"10m\"", &[("Cache-Control", "no-cache")], NEVER),
        ("ttl = \"10m\"", &[("Cache-Control", "max-age=0")], NEVER),
        ("ttl = \"0\"", &[], FOR_EVER),
        ("ttl = \"forever\"", &[], FOR_EVER),
        ("ttl = \"forever\"", &[("Cache-Control", "max-age=60")], 60),
        ("ttl = \"10m\"\nfreshness = \"ttl\"", &[("Cache-Control", "max-age=60")], 600),
        ("ttl = \"10m\"\nfreshness = \"ttl\"", &[("Cache-Control", "s-maxage=0")], 600),
        ("ttl = \"10m\"\nfreshness = \"ttl\"", &[("Cache-Control", "no-cache")], 600),
        ("ttl = \"10m\"\nfreshness = \"ttl\"", &[("Expires", "0")], 600),
        ("ttl = \"10m\"\nfreshness = \"ttl\"", &[("Cache-Control", "no-store")], NEVER),
        ("ttl = \"10m\"\nfreshness = \"ttl\"", &[("Cache-Control", "private, max-age=60")], NEVER),
        ("ttl = \"10m\"\nfreshness = \"ttl\"", &[("CDN-Cache-Control", "max-age=60")], 60),
        ("", &[("CDN-Cache-Control", "max-age=600"), ("Cache-Control", "no-store")], 600),
        ("", &[("Freshgate-Cache-Control", "max-age=600"), ("CDN-Cache-Control", "max-age=60")], 600),
        ("", &[("Surrogate-Control", "max-age=600"), ("Cache-Control", "max-age=60")], 600),
        ("", &[("Surrogate-Control", "max-age=600;freshgate"), ("Cache-Control", "no-store")], 600),
        ("", &[("Last-Modified", &date(6_000))], NEVER),
        ("heuristic = true", &[("Last-Modified", &date(6_000)), ("Date", &date(0))], 600),
        ("heuristic = true", &[], NEVER),
    ];
    for row in rows {
        is_fresh_for(row).await;
    }
}

/// The operator's lines, the origin's fields, and the seconds for which an answer is fresh.
type Lifetime<'a> = (&'a str, &'a [(&'a str, &'a str)], u64);

const NEVER: u64 = 0;
const FOR_EVER: u64 = u64::MAX;

async fn is_fresh_for((api, fields, lifetime): &Lifetime<'_>) {
    let own: Vec<(String, String)> = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let (gateway, _origin) = before(api, move |n, _| {
        own.iter().fold(Reply::ok(n.to_string()), |reply, (name, value)| reply.field(name, value))
    })
    .await;
    let row = format!("{api} {fields:?}");
    get(&gateway, "/a").await;
    if *lifetime == FOR_EVER {
        gateway.step(10 * 365 * 86_400);
        assert!(get(&gateway, "/a").await.cache_says("hit"), "{row}");
        return;
    }
    if *lifetime > 0 {
        gateway.step(lifetime - 30);
        let hit = get(&gateway, "/a").await;
        assert!(hit.cache_says("hit"), "{row}: {hit:?}");
        gateway.step(31);
    }
    assert!(!get(&gateway, "/a").await.cache_says("hit"), "{row}");
}

/// A stored `0` with these fields becomes stale, then a HEAD is answered with those → what the next GET gets, whether from the
/// store, and whether the origin saw a condition.
async fn after_a_head(stored: Fields, head: Fields, length: &'static str) -> (String, bool, bool) {
    let (gateway, origin) = before("", move |n, r| match r.method.as_str() {
        "HEAD" => with(Reply::ok(length), head),
        _ => with(Reply::ok(n.to_string()), stored),
    })
    .await;
    get(&gateway, "/a").await;
    gateway.step(61);
    let answer = gateway.client().await.request("HEAD", "/a", &[], "").await;
    assert!(answer.status == 200 && answer.cache_says("fwd=stale"), "{answer:?}");
    let answer = get(&gateway, "/a").await;
    let conditional = origin.requests().last().unwrap().get("if-none-match").is_some();
    (answer.text().to_owned(), answer.cache_says("hit"), conditional)
}

#[tokio::test]
async fn a_head_brings_what_is_stored_up_to_date_or_makes_it_stale() {
    const STORED: Fields = &[("Cache-Control", "max-age=60"), ("ETag", "\"v1\"")];
    const FRESH: (&str, &str) = ("Cache-Control", "max-age=600");
    let kept = ("0".to_owned(), true, false);
    let asked = ("2".to_owned(), false, true);
    let rows: &[(&str, Fields, &'static str, &_)] = &[
        ("the same version", &[FRESH, ("ETag", "\"v1\"")], "x", &kept),
        ("another version", &[FRESH, ("ETag", "\"v2\"")], "x", &asked),
        ("another length", &[FRESH, ("ETag", "\"v1\"")], "xx", &asked),
        ("nothing to tell by", &[FRESH], "x", &asked),
        ("the same, not to be stored", &[("Cache-Control", "no-store"), ("ETag", "\"v1\"")], "x", &asked),
    ];
    for (why, head, length, want) in rows {
        assert_eq!(&after_a_head(STORED, head, length).await, *want, "RFC 9111 §4.3.5: {why}");
    }
}

#[tokio::test]
async fn a_head_that_hears_of_another_version_ends_a_fresh_one() {
    let (gateway, origin) = before("grace = \"1h\"\nkeep_on_error = \"1h\"", |n, r| match r.method.as_str() {
        "HEAD" => Reply::ok("0").field("ETag", "\"v2\""),
        _ => Reply::ok(n.to_string()).field("Cache-Control", "max-age=600").field("ETag", "\"v1\""),
    })
    .await;
    get(&gateway, "/a").await;
    gateway.step(2);
    gateway.client().await.request("HEAD", "/a", &[("Cache-Control", "no-cache")], "").await;
    assert_eq!((get(&gateway, "/a").await.text(), origin.count()), ("2", 3), "not even in grace");
}

/// DESIGN rule 7: what a HEAD says makes no answer younger than its question.
#[tokio::test]
async fn a_head_does_not_bring_back_what_a_write_has_ended() {
    let gate = Gate::closed();
    let theirs = gate.clone();
    let origin = Origin::start(move |r: Request| {
        let gate = theirs.clone();
        async move {
            if r.method == "HEAD" {
                gate.pass().await;
            }
            Reply::ok("x").field("Cache-Control", "max-age=60").field("ETag", "\"v1\"")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    get(&gateway, "/a").await;
    gateway.step(61);
    let mut asking = gateway.client().await;
    asking.send("HEAD", "/a", &[], "").await;
    origin.received(2).await;
    gateway.client().await.put("/a", "").await;
    gate.open();
    asking.answer_head().await;
    assert!(!get(&gateway, "/a").await.cache_says("hit"));
    assert_eq!(origin.requests().last().unwrap().get("if-none-match"), None, "nor is it confirmed");
}

#[tokio::test]
async fn statuses() {
    let rows: &[(&str, u16, Fields, bool)] = &[
        ("ttl = \"10m\"", 200, &[], true),
        ("ttl = \"10m\"", 203, &[], true),
        ("ttl = \"10m\"", 301, &[("Location", "/x")], true),
        ("ttl = \"10m\"", 308, &[("Location", "/x")], true),
        ("ttl = \"10m\"", 302, &[("Location", "/x")], false),
        ("ttl = \"10m\"", 204, &[], false),
        ("ttl = \"10m\"", 404, &[], false),
        ("ttl_by_status = { 404 = \"10m\", 204 = \"10m\" }", 404, &[], true),
        ("ttl_by_status = { 404 = \"10m\", 204 = \"10m\" }", 204, &[], true),
        ("ttl_by_status = { 404 = \"10m\" }", 200, &[], false),
        ("", 404, &[("Cache-Control", "max-age=60")], true),
        ("", 204, &[("Cache-Control", "max-age=60")], true),
        ("", 302, &[("Location", "/x"), ("Cache-Control", "max-age=60")], true),
        ("", 400, &[("Cache-Control", "max-age=60")], false),
        ("", 429, &[("Cache-Control", "max-age=60")], false),
        ("", 500, &[("Cache-Control", "max-age=60")], false),
        ("", 503, &[("Cache-Control", "max-age=60")], false),
        ("error_answers = \"rfc\"", 500, &[("Cache-Control", "max-age=60")], true),
        ("error_answers = \"rfc\"", 400, &[("Cache-Control", "max-age=60")], true),
        ("error_answers = \"rfc\"", 429, &[("Cache-Control", "max-age=60")], false),
        ("error_answers = \"rfc\"", 206, &[("Cache-Control", "max-age=60"), ("Content-Range", "bytes 0-1/9")], false),
    ];
    for (api, status, fields, stored) in rows {
        let (gateway, origin) = before(api, {
            let (status, fields) = (*status, *fields);
            move |_, _| with(Reply::status(status), fields)
        })
        .await;
        let mut client = gateway.client().await;
        for _ in 0..2 {
            let answer = client.get("/a").await;
            assert_eq!((answer.status, answer.body.len()), (*status, 0));
            gateway.settled().await;
        }
        assert_eq!(origin.count(), if *stored { 1 } else { 2 }, "{api} {status} {fields:?}");
        let head = client.request("HEAD", "/a", &[], "").await;
        assert_eq!((head.status, head.cache_says("hit")), (*status, *stored), "HEAD {api} {status}");
        assert_eq!(head.get("content-length").is_some(), *status != 204, "{status}");
    }
}

#[tokio::test]
async fn a_stored_204_has_no_length_and_leaves_the_connection_in_step() {
    let (gateway, origin) = before("ttl_by_status = { 204 = \"1m\" }", |_, _| Reply::status(204)).await;
    let mut client = gateway.client().await;
    for hit in [false, true, true] {
        let answer = client.get("/a").await;
        gateway.settled().await;
        assert_eq!((answer.status, answer.cache_says("hit")), (204, hit));
        assert_eq!((answer.get("content-length"), answer.get("transfer-encoding")), (None, None), "RFC 9110 §8.6");
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn age_and_ttl_are_told_and_add_up() {
    let (gateway, _origin) = numbered("", &[("Cache-Control", "max-age=600"), ("Age", "100")]).await;
    let miss = get(&gateway, "/a").await;
    assert!(miss.cache_says("fwd=uri-miss") && miss.cache_says("fwd-status=200") && miss.cache_says("stored"));
    assert_eq!(ttl(&miss), 500);
    gateway.step(300);
    let hit = get(&gateway, "/a").await;
    assert!((400..430).contains(&age(&hit)), "{hit:?}");
    assert_eq!(age(&hit) + ttl(&hit), 600);
    let (forever, _origin) = numbered("ttl = \"forever\"", &[]).await;
    get(&forever, "/a").await;
    forever.step(1_000);
    let hit = get(&forever, "/a").await;
    assert!(age(&hit) >= 1_000 && hit.cache_says("hit") && !hit.get("cache-status").unwrap().contains("ttl"));
}

#[tokio::test]
async fn a_client_that_has_it_is_told_304() {
    let fields = |reply: Reply| reply.field("ETag", "\"a\"").field("Last-Modified", date(1_000));
    let (gateway, origin) = before("ttl = \"10m\"", move |_, _| fields(Reply::ok("content"))).await;
    get(&gateway, "/a").await;
    let rows: &[(&[(&str, &str)], u16)] = &[
        (&[("If-None-Match", "\"a\"")], 304),
        (&[("If-None-Match", "W/\"a\"")], 304),
        (&[("If-None-Match", "\"x\", \"a\"")], 304),
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", "\"x\"")], 200),
        (&[("If-Modified-Since", &date(0))], 304),
        (&[("If-Modified-Since", &date(2_000))], 200),
        (&[("If-Modified-Since", "yesterday")], 200),
        (&[("If-None-Match", "\"x\""), ("If-Modified-Since", &date(0))], 200),
    ];
    let mut client = gateway.client().await;
    for (conditions, status) in rows {
        let answer = client.get_with("/a", conditions).await;
        assert_eq!(answer.status, *status, "{conditions:?}");
        assert!(answer.cache_says("hit"));
        assert_eq!(answer.get("etag"), Some("\"a\""), "RFC 9110 §15.4.5");
        assert_eq!(answer.body.len(), if *status == 304 { 0 } else { 7 });
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn an_etag_is_made_where_the_origin_sends_none() {
    let (gateway, _origin) = before("ttl = \"10m\"\netag = \"generate\"", |_, r| Reply::ok(r.target)).await;
    get(&gateway, "/a").await;
    let hit = get(&gateway, "/a").await;
    let tag = hit.get("etag").unwrap().to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(get_with(&gateway, "/a", &[("If-None-Match", &tag)]).await.status, 304);
    get(&gateway, "/b").await;
    assert_ne!(get(&gateway, "/b").await.get("etag"), Some(tag.as_str()));
    let (gateway, _origin) = numbered("ttl = \"10m\"\netag = \"generate\"", &[("ETag", "\"own\"")]).await;
    get(&gateway, "/a").await;
    assert_eq!(get(&gateway, "/a").await.get("etag"), Some("\"own\""));
}

#[tokio::test]
async fn what_clients_are_told_about_keeping_it() {
    const MAX_AGE: Fields = &[("Cache-Control", "max-age=60"), ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")];
    let rows: &[(&str, Fields, Option<&str>)] = &[
        ("origin", MAX_AGE, Some("max-age=60")),
        ("origin", &[], None),
        ("revalidate", MAX_AGE, Some("no-cache")),
        ("revalidate", &[], Some("no-cache")),
        ("revalidate", &[("Cache-Control", "no-store")], Some("no-store")),
        ("revalidate", &[("Cache-Control", "private, max-age=60")], Some("private, no-cache")),
        ("none", MAX_AGE, Some("no-store")),
    ];
    for (kind, fields, told) in rows {
        let (gateway, _origin) = numbered(&format!("ttl = \"1m\"\nclient_cache = \"{kind}\""), fields).await;
        for _ in 0..2 {
            let answer = get(&gateway, "/a").await;
            assert_eq!(answer.get("cache-control"), *told, "{kind} {fields:?}");
            assert_eq!(answer.get("expires").is_some(), *kind == "origin" && *fields == MAX_AGE);
        }
    }
}

/// An origin that answers a matching condition with 304 and these fields, all else with 200.
async fn validating(api: &str, validators: Fields, update: Fields) -> (Gateway, Origin) {
    before(api, move |n, request| {
        let asked = request.get("if-none-match").or(request.get("if-modified-since"));
        if asked.is_some_and(|asked| validators.iter().any(|(_, value)| *value == asked)) {
            with(Reply::status(304), update)
        } else {
            with(Reply::ok(n.to_string()).field("Cache-Control", "max-age=60").field("X-Kept", "old"), validators)
        }
    })
    .await
}

const MODIFIED: &str = "Sun, 06 Nov 2022 08:49:37 GMT";

#[tokio::test]
async fn a_stale_answer_is_revalidated_with_what_it_has() {
    let rows: &[(Fields, Option<&str>, Option<&str>)] = &[
        (&[("ETag", "\"a\"")], Some("\"a\""), None),
        (&[("ETag", "W/\"a\"")], Some("W/\"a\""), None),
        (&[("Last-Modified", MODIFIED)], None, Some(MODIFIED)),
        (&[("ETag", "\"a\""), ("Last-Modified", MODIFIED)], Some("\"a\""), Some(MODIFIED)),
    ];
    for (validators, etag, modified) in rows {
        let update: Fields = &[("Cache-Control", "max-age=600"), ("X-Kept", "new"), ("X-More", "1")];
        let (gateway, origin) = validating("", validators, update).await;
        get(&gateway, "/a").await;
        gateway.step(100);
        // The client's own condition is ours to answer.
        let answer = get_with(&gateway, "/a", &[("If-None-Match", "\"theirs\"")]).await;
        assert_eq!((answer.status, answer.text()), (200, "0"), "{validators:?}");
        assert!(answer.cache_says("fwd=stale") && answer.cache_says("fwd-status=304"), "{answer:?}");
        let asked = &origin.requests()[1];
        assert_eq!((asked.get("if-none-match"), asked.get("if-modified-since")), (*etag, *modified));
        gateway.step(500); // within the lifetime that came with the 304
        let hit = get(&gateway, "/a").await;
        assert!(hit.cache_says("hit"), "{hit:?}");
        assert_eq!((hit.text(), hit.get("x-kept"), hit.get("x-more")), ("0", Some("new"), Some("1")));
        assert_eq!((hit.get("content-length"), hit.get("cache-control")), (Some("1"), Some("max-age=600")));
        assert_eq!(origin.count(), 2);
    }
}

#[tokio::test]
async fn a_changed_answer_takes_the_place_of_the_stale_one() {
    let (gateway, _origin) = before("", |n, _| {
        Reply::ok(n.to_string()).field("ETag", format!("\"{n}\"")).field("Cache-Control", "max-age=60")
    })
    .await;
    get(&gateway, "/a").await;
    gateway.step(61);
    let answer = get(&gateway, "/a").await;
    assert_eq!((answer.text(), answer.cache_says("fwd=stale"), answer.cache_says("fwd-status=200")), ("1", true, true));
    let hit = get(&gateway, "/a").await;
    assert_eq!((hit.text(), hit.cache_says("hit"), hit.get("etag")), ("1", true, Some("\"1\"")));
}

#[tokio::test]
async fn no_cache_is_confirmed_each_time() {
    let fields: Fields = &[("ETag", "\"a\"")];
    let (gateway, origin) = before("", move |_, request| match request.get("if-none-match") {
        Some("\"a\"") => with(Reply::status(304), fields).field("Cache-Control", "no-cache"),
        _ => with(Reply::ok("kept"), fields).field("Cache-Control", "no-cache"),
    })
    .await;
    for n in 1..4 {
        let answer = get(&gateway, "/a").await;
        assert_eq!((answer.text(), answer.cache_says("hit"), origin.count()), ("kept", false, n));
        assert_eq!(answer.cache_says("fwd-status=304"), n > 1);
    }
    assert_eq!(get_with(&gateway, "/a", &[("If-None-Match", "\"a\"")]).await.status, 304);
    assert_eq!(origin.count(), 4, "asked even then");
}

#[tokio::test]
async fn waiters_of_a_revalidation_cost_one_request() {
    let gate = Gate::closed();
    let (held, count) = (gate.clone(), AtomicUsize::new(0));
    let origin = Origin::start(move |_| {
        let (gate, n) = (held.clone(), count.fetch_add(1, Ordering::SeqCst));
        async move {
            if n == 0 {
                return Reply::ok("old").field("ETag", "\"a\"").field("Cache-Control", "max-age=60");
            }
            gate.pass().await;
            Reply::status(304).field("ETag", "\"a\"").field("Cache-Control", "max-age=60")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    get(&gateway, "/a").await;
    gateway.step(61);
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = gateway.client().await;
        client.send("GET", "/a", &[], "").await;
        clients.push(client);
    }
    gate.arrived(1).await;
    within("19 waiting", async {
        while !gateway.admin("GET", "/metrics", "").await.text().contains("freshgate_waiting_requests 19\n") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open();
    for client in &mut clients {
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.text()), (200, "old"));
    }
    assert_eq!(origin.count(), 2);
    assert!(get(&gateway, "/a").await.cache_says("hit"));
}

#[tokio::test]
async fn a_clients_wish_reaches_the_origin_once_per_second_at_most() {
    for wish in ["no-cache", "max-age=0"] {
        let (gateway, origin) = numbered("ttl = \"10m\"", &[]).await;
        get(&gateway, "/a").await;
        gateway.step(2);
        let wish = [("Cache-Control", wish)];
        let answer = get_with(&gateway, "/a", &wish).await;
        assert_eq!((answer.text(), answer.cache_says("fwd=request")), ("1", true), "{wish:?}");
        gateway.step(2);
        assert_eq!(get_with(&gateway, "/a", &wish).await.text(), "2");
        assert_eq!(origin.count(), 3);
        let ignoring = Gateway::before(&origin, "ttl = \"10m\"\nclient_directives = \"ignore\"").await;
        assert_eq!(get(&ignoring, "/a").await.text(), "3");
        ignoring.step(2);
        assert!(get_with(&ignoring, "/a", &wish).await.cache_says("hit"), "{wish:?}");
    }
}

/// Twenty at once: the machine would have to stop for a second between two of them for more than a few to get through.
#[tokio::test]
async fn a_burst_of_reloads_does_not_reach_the_origin() {
    let (gateway, origin) = numbered("ttl = \"10m\"", &[]).await;
    get(&gateway, "/a").await;
    let mut client = gateway.client().await;
    for _ in 0..200 {
        client.get_with("/a", &[("Cache-Control", "no-cache")]).await;
    }
    assert!(origin.count() < 100, "{}", origin.count());
}

/// Within that second a stale answer used to be served as a fresh one.
#[tokio::test]
async fn a_clients_no_cache_does_not_make_a_stale_answer_fresh() {
    let (gateway, origin) = numbered("", &[("Cache-Control", "max-age=0"), ("ETag", "\"a\"")]).await;
    get(&gateway, "/a").await;
    let answer = get_with(&gateway, "/a", &[("Cache-Control", "no-cache")]).await;
    assert_eq!((answer.text(), answer.cache_says("hit"), origin.count()), ("1", false, 2));

    let (gateway, origin) = numbered("ttl = \"10m\"", &[]).await;
    get(&gateway, "/a").await;
    gateway.purge(serde_json::json!({ "path": "/a", "soft": true })).await;
    let answer = get_with(&gateway, "/a", &[("Cache-Control", "no-cache")]).await;
    assert_eq!((answer.text(), answer.cache_says("hit"), origin.count()), ("1", false, 2));
}

#[tokio::test]
async fn other_directives_of_a_client() {
    let (gateway, origin) = numbered("ttl = \"10m\"", &[]).await;
    let only = [("Cache-Control", "only-if-cached")];
    let none = get_with(&gateway, "/a", &only).await;
    assert_eq!((none.status, origin.count()), (504, 0));
    get(&gateway, "/a").await;
    assert_eq!(get_with(&gateway, "/a", &only).await.status, 200);
    gateway.step(300);
    assert!(get_with(&gateway, "/a", &[("Cache-Control", "min-fresh=200")]).await.cache_says("hit"));
    assert!(get_with(&gateway, "/a", &[("Cache-Control", "max-age=400")]).await.cache_says("hit"));
    assert_eq!(origin.count(), 1);
    assert_eq!(get_with(&gateway, "/a", &[("Cache-Control", "min-fresh=400")]).await.text(), "1");
    gateway.step(650);
    let stale = get_with(&gateway, "/a", &[("Cache-Control", "max-stale=300")]).await;
    assert_eq!((stale.text(), stale.cache_says("hit")), ("1", true));
    assert!(ttl(&stale) <= -50, "{stale:?}");
    assert!(get_with(&gateway, "/a", &[("Cache-Control", "max-stale")]).await.cache_says("hit"));
    assert_eq!(get_with(&gateway, "/a", &only).await.status, 504);
    assert_eq!(get_with(&gateway, "/a", &[("Cache-Control", "max-stale=10")]).await.text(), "2");

    let (gateway, origin) = numbered("ttl = \"10m\"", &[]).await;
    let no_store = [("Cache-Control", "no-store")];
    assert_eq!(get_with(&gateway, "/a", &no_store).await.text(), "0");
    assert_eq!(get(&gateway, "/a").await.text(), "1", "nothing was kept of the first");
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn a_client_cannot_have_it_stale_where_the_origin_forbids() {
    for forbids in ["max-age=60, must-revalidate", "max-age=60, proxy-revalidate", "s-maxage=60"] {
        let (gateway, _origin) = before("grace = \"10m\"\nkeep_on_error = \"10m\"", move |n, _| {
            if n > 0 { Reply::status(503) } else { Reply::ok("0").field("Cache-Control", forbids) }
        })
        .await;
        get(&gateway, "/a").await;
        gateway.step(61);
        assert_eq!(get_with(&gateway, "/a", &[("Cache-Control", "max-stale")]).await.status, 503, "{forbids}");
        assert_eq!(get(&gateway, "/a").await.status, 503, "{forbids}");
    }
}

#[tokio::test]
async fn in_grace_the_stale_answer_is_served_while_one_request_asks() {
    for (api, control) in [("grace = \"5m\"", "max-age=60"), ("", "max-age=60, stale-while-revalidate=300")] {
        let gate = Gate::closed();
        let (held, count) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
        let origin = Origin::start(move |_| {
            let (gate, n) = (held.clone(), count.fetch_add(1, Ordering::SeqCst));
            async move {
                if n > 0 {
                    gate.pass().await;
                }
                Reply::ok(n.to_string()).field("Cache-Control", control)
            }
        })
        .await;
        let gateway = Gateway::before(&origin, api).await;
        get(&gateway, "/a").await;
        gateway.step(100);
        let mut client = gateway.client().await;
        for _ in 0..10 {
            let stale = client.get("/a").await;
            assert_eq!((stale.text(), stale.cache_says("hit")), ("0", true), "{api}");
            assert!(stale.cache_says("detail=stale-while-revalidate") && ttl(&stale) < 0);
        }
        gate.arrived(1).await;
        assert_eq!(origin.count(), 2, "one asks in the background");
        gate.open();
        within("the fresh answer", async {
            while client.get("/a").await.text() != "1" {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let fresh = client.get("/a").await;
        assert!(fresh.cache_says("hit") && ttl(&fresh) > 0);
        assert_eq!(origin.count(), 2);
        gateway.step(60 + 301);
        assert_eq!(client.get("/a").await.text(), "2", "past its grace it isn't used");
    }
}

#[tokio::test]
async fn when_the_origin_fails_a_stale_answer_is_kept() {
    let failures: [fn() -> Reply; 5] = [
        || Reply::status(500),
        || Reply::status(502),
        || Reply::status(503).body("sorry"),
        || Reply::status(504),
        Reply::nothing,
    ];
    for (api, control) in [("keep_on_error = \"5m\"", "max-age=60"), ("", "max-age=60, stale-if-error=300")] {
        for (row, failure) in failures.iter().enumerate() {
            let failure = *failure;
            let (gateway, _origin) =
                before(
                    api,
                    move |n, _| {
                        if n == 0 { Reply::ok("old").field("Cache-Control", control) } else { failure() }
                    },
                )
                .await;
            get(&gateway, "/a").await;
            gateway.step(100);
            let stale = get(&gateway, "/a").await;
            assert_eq!((stale.status, stale.text()), (200, "old"), "{api} {row}");
            assert!(stale.cache_says("detail=stale-if-error") && ttl(&stale) < 0, "{stale:?}");
            gateway.step(300);
            assert!(get(&gateway, "/a").await.status >= 500, "past it there is nothing to use");
        }
    }
    // A 404 is no failure: it is what the origin has to say.
    let (gateway, _origin) = before("keep_on_error = \"5m\"", |n, _| {
        if n == 0 { Reply::ok("old").field("Cache-Control", "max-age=60") } else { Reply::status(404) }
    })
    .await;
    get(&gateway, "/a").await;
    gateway.step(100);
    assert_eq!(get(&gateway, "/a").await.status, 404);
}

#[tokio::test]
async fn a_slow_or_absent_origin_counts_as_failed() {
    let never = Gate::closed();
    let (held, count) = (never.clone(), AtomicUsize::new(0));
    let origin = Origin::start(move |_| {
        let (gate, n) = (held.clone(), count.fetch_add(1, Ordering::SeqCst));
        async move {
            if n > 0 {
                gate.pass().await;
            }
            Reply::ok("old").field("Cache-Control", "max-age=60")
        }
    })
    .await;
    let api = "keep_on_error = \"5m\"\ntimeouts = { first_byte = \"200ms\", connect = \"500ms\" }";
    let gateway = Gateway::before(&origin, api).await;
    get(&gateway, "/a").await;
    gateway.step(100);
    assert!(get(&gateway, "/a").await.cache_says("detail=stale-if-error"));
    drop(origin);
    assert!(get(&gateway, "/a").await.cache_says("detail=stale-if-error"));
}

#[tokio::test]
async fn an_invalidated_answer_is_not_kept_on_error() {
    let (gateway, _origin) = before("ttl = \"1m\"\nkeep_on_error = \"5m\"\ngrace = \"5m\"", |n, request| {
        match (n, request.method.as_str()) {
            (0, _) => Reply::ok("old").field("ETag", "\"strong\""), // so that it may still be asked about
            (_, "PUT") => Reply::status(204),
            _ => Reply::status(503),
        }
    })
    .await;
    get(&gateway, "/a").await;
    assert_eq!(gateway.client().await.put("/a", "x").await.status, 204);
    assert_eq!(get(&gateway, "/a").await.status, 503);
    gateway.step(100);
    assert_eq!(get(&gateway, "/a").await.status, 503);
}

#[tokio::test]
async fn a_softly_purged_answer_counts_as_stale() {
    let (gateway, _origin) = numbered("ttl = \"10m\"", &[]).await;
    get(&gateway, "/a").await;
    gateway.purge(serde_json::json!({ "path": "/a", "soft": true })).await;
    let answer = get(&gateway, "/a").await;
    assert_eq!((answer.text(), answer.cache_says("fwd=stale")), ("1", true), "{answer:?}");
    assert!(get(&gateway, "/a").await.cache_says("hit"));
}

/// Keys of the API test/v1 in the store, and their bytes.
async fn stored(gateway: &Gateway) -> (u64, u64) {
    let metrics = gateway.admin("GET", "/metrics", "").await;
    let value = |name: &str| {
        let line = metrics.text().lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64
    };
    (value("freshgate_stored_entries"), value("freshgate_stored_bytes"))
}

/// Waits until there is so much in the store: moka drops what was replaced or removed a few rounds later.
async fn comes_to(gateway: &Gateway, want: (u64, u64)) {
    within(&format!("{want:?} in the store"), async {
        while stored(gateway).await != want {
            gateway.running.store().sweep(gateway.clock.now());
        }
    })
    .await;
}

async fn of_one_mebibyte(eviction: &str, body: usize) -> (Gateway, Origin) {
    let origin = Origin::always(Reply::ok(vec![b'x'; body])).await;
    let url = origin.url();
    let api =
        format!("[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{url}\"]\nttl = \"10m\"\n");
    let cache = format!("[cache]\nmax_size = \"1MiB\"\nmax_object_size = \"512KiB\"\neviction = \"{eviction}\"");
    (Gateway::with(&cache, &api).await, origin)
}

#[tokio::test]
async fn the_store_keeps_within_its_size() {
    for eviction in ["lru", "tinylfu"] {
        let (gateway, _origin) = of_one_mebibyte(eviction, 50_000).await;
        let mut client = gateway.client().await;
        for n in 0..100 {
            assert_eq!(client.get(&format!("/{n}")).await.body.len(), 50_000);
        }
        gateway.settled().await;
        within("what is evicted to be dropped", async {
            while stored(&gateway).await.1 > 1 << 20 {
                gateway.running.store().sweep(gateway.clock.now());
            }
        })
        .await;
        let (entries, bytes) = stored(&gateway).await;
        assert!(entries > 5 && bytes <= 1 << 20, "{eviction}: {entries} entries, {bytes} bytes");
        assert!((50_000..51_500).contains(&(bytes / entries)), "{eviction}: {}", bytes / entries);
        let weighed = gateway.running.store().bytes();
        assert!(weighed <= 1 << 20 && weighed.abs_diff(bytes) < 16 * entries, "{eviction}: {weighed}, {bytes}");
    }
}

#[tokio::test]
async fn the_least_recently_used_goes_first() {
    let (gateway, origin) = of_one_mebibyte("lru", 300_000).await;
    let store = gateway.running.store();
    for target in ["/1", "/2", "/3"] {
        get(&gateway, target).await;
        store.sweep(gateway.clock.now());
    }
    assert!(get(&gateway, "/1").await.cache_says("hit"));
    store.sweep(gateway.clock.now());
    get(&gateway, "/4").await;
    store.sweep(gateway.clock.now());
    assert_eq!(origin.count(), 4);
    for (target, hit) in [("/1", true), ("/3", true), ("/4", true), ("/2", false)] {
        assert_eq!(get(&gateway, target).await.cache_says("hit"), hit, "{target}");
    }
}

#[tokio::test]
async fn what_is_replaced_or_swept_is_not_counted_any_more() {
    let (gateway, _origin) = numbered("ttl = \"1m\"", &[]).await;
    get(&gateway, "/a").await;
    let (entries, bytes) = stored(&gateway).await;
    assert_eq!(entries, 1);
    assert!((300..1_500).contains(&bytes), "{bytes} bytes for one of one byte");
    gateway.step(61);
    get(&gateway, "/a").await;
    comes_to(&gateway, (entries, bytes)).await; // one took the other's place
    gateway.step(61);
    comes_to(&gateway, (0, 0)).await; // expired and without a validator: no use to anybody
}

/// What an origin says to those who want German when English and French are stored.
async fn after_two_variants(german: impl Fn(Request) -> Reply + Send + Sync + 'static) -> (Gateway, Origin, Answer) {
    let (gateway, origin) = before("unique_etags = true", move |_, r| {
        let stated = |reply: Reply, tag: &str| {
            reply.field("Vary", "Accept-Language").field("Cache-Control", "max-age=60").field("ETag", tag)
        };
        match r.get("accept-language") {
            Some("en") => stated(Reply::ok("hello"), "\"en\""),
            Some("fr") => stated(Reply::ok("salut"), "\"fr\""),
            _ => german(r),
        }
    })
    .await;
    for language in ["en", "fr"] {
        get_with(&gateway, "/a", &[("Accept-Language", language)]).await;
    }
    let answer = get_with(&gateway, "/a", &[("Accept-Language", "de")]).await;
    (gateway, origin, answer)
}

#[tokio::test]
async fn the_variants_that_are_stored_are_offered_in_one_question() {
    let (gateway, origin, answer) = after_two_variants(|r| {
        assert_eq!(r.get("if-none-match"), Some("\"fr\", \"en\""), "RFC 9111 §4.3.1");
        Reply::status(304)
            .field("ETag", "\"en\"")
            .field("Vary", "Accept-Language")
            .field("Cache-Control", "max-age=600")
    })
    .await;
    assert_eq!((answer.status, answer.text(), answer.get("etag")), (200, "hello", Some("\"en\"")));
    assert!(answer.cache_says("fwd=vary-miss") && answer.cache_says("fwd-status=304"), "{answer:?}");
    let again = get_with(&gateway, "/a", &[("Accept-Language", "de")]).await;
    assert_eq!((again.text(), again.cache_says("hit"), ttl(&again) > 500, origin.count()), ("hello", true, true, 3));
    for (language, text) in [("en", "hello"), ("fr", "salut")] {
        let other = get_with(&gateway, "/a", &[("Accept-Language", language)]).await;
        assert_eq!((other.text(), other.cache_says("hit"), ttl(&other) <= 60), (text, true, true));
    }
}

#[tokio::test]
async fn a_304_that_names_none_of_the_variants_offered_confirms_none() {
    for tag in [None, Some("\"de\""), Some("W/\"xx\"")] {
        let (_gateway, origin, answer) = after_two_variants(move |r| match r.get("if-none-match") {
            Some(_) => tag.iter().fold(Reply::status(304), |reply, tag| reply.field("ETag", tag)),
            None => Reply::ok("hallo"),
        })
        .await;
        assert_eq!((answer.status, answer.text(), origin.count()), (200, "hallo", 4), "{tag:?}: RFC 9111 §4.3.4");
    }
}

#[tokio::test]
async fn only_current_variants_are_offered_and_only_to_whom_they_belong() {
    let origin = Origin::start(|r: Request| {
        let tag = format!("\"{}\"", r.get("accept-language").unwrap_or("none"));
        std::future::ready(
            Reply::ok("x").field("Vary", "Accept-Language").field("Cache-Control", "max-age=60").field("ETag", tag),
        )
    })
    .await;
    let gateway = Gateway::before(&origin, "unique_etags = true").await;
    let offered = || origin.requests().last().unwrap().get("if-none-match").map(ToOwned::to_owned);
    get_with(&gateway, "/a", &[("Accept-Language", "en"), ("Authorization", "alice")]).await;
    get_with(&gateway, "/a", &[("Accept-Language", "de"), ("Authorization", "bob")]).await;
    assert_eq!(offered(), None, "another caller's");
    get_with(&gateway, "/a", &[("Accept-Language", "de"), ("Authorization", "alice")]).await;
    assert_eq!(offered().as_deref(), Some("\"en\""));
    gateway.client().await.put("/a", "").await;
    get_with(&gateway, "/a", &[("Accept-Language", "fr"), ("Authorization", "alice")]).await;
    assert_eq!(offered(), None, "invalidated");
}

/// RFC 9110 §8.8.3 wants strong tags to differ between variants. Origins that make them of a version don't know that.
#[tokio::test]
async fn without_the_operators_word_no_variant_is_taken_for_another() {
    let (gateway, origin) = before("", |_, r| {
        let stated = |reply: Reply| {
            reply.field("Vary", "Accept-Language").field("Cache-Control", "max-age=60").field("ETag", "\"version-1\"")
        };
        match r.get("if-none-match") {
            Some(_) => stated(Reply::status(304)),
            None => stated(Reply::ok(r.get("accept-language").unwrap())),
        }
    })
    .await;
    for language in ["en", "de"] {
        assert_eq!(get_with(&gateway, "/a", &[("Accept-Language", language)]).await.text(), language);
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn an_answer_is_not_used_once_its_origin_has_said_otherwise() {
    const STATED: Fields = &[("Cache-Control", "max-age=60"), ("ETag", "\"v1\"")];
    // What comes in answer to the validation, and whether the old answer is still good when the origin fails after that.
    let rows: &[(u16, Fields, bool)] = &[
        (200, &[("Cache-Control", "no-store")], false),
        (200, &[("Cache-Control", "private")], false),
        (404, &[], false),
        (410, &[], false),
        (302, &[], false),
        (304, &[("Cache-Control", "no-store")], false),
        (304, &[("Cache-Control", "private")], false),
        (304, &[], true),
        (429, &[], true),
        (401, &[], true),
        (503, &[], true),
    ];
    for (status, fields, still) in rows {
        let (gateway, _origin) = before("keep_on_error = \"1h\"", |n, _| match n {
            0 => with(Reply::ok("old"), STATED),
            1 => with(Reply::status(*status), fields),
            _ => Reply::status(500),
        })
        .await;
        get(&gateway, "/a").await;
        gateway.step(61);
        get(&gateway, "/a").await;
        gateway.step(61);
        let answer = get(&gateway, "/a").await;
        assert_eq!(answer.status == 200, *still, "{status} {fields:?}: {answer:?}");
    }
}

/// Encodings are the origin's, each with a tag of its own as RFC 9110 §8.8.3.3 wants.
#[tokio::test]
async fn encodings_stay_apart_and_are_known_by_their_own_tags() {
    let (gateway, origin) = before("", |_, r| {
        let stated = |reply: Reply| reply.field("Vary", "Accept-Encoding").field("Cache-Control", "max-age=60");
        match r.get("accept-encoding") {
            Some("gzip") => stated(Reply::ok("packed")).field("Content-Encoding", "gzip").field("ETag", "W/\"1-gzip\""),
            _ => stated(Reply::ok("plain")).field("ETag", "\"1\""),
        }
    })
    .await;
    let gzip = [("Accept-Encoding", "gzip")];
    for _ in 0..2 {
        assert_eq!(get(&gateway, "/a").await.text(), "plain");
        let packed = get_with(&gateway, "/a", &gzip).await;
        assert_eq!((packed.text(), packed.get("content-encoding")), ("packed", Some("gzip")));
    }
    for (fields, status) in [
        (&[("If-None-Match", "\"1\"")][..], 304),
        (&[gzip[0], ("If-None-Match", "\"1-gzip\"")], 304),
        (&[gzip[0], ("If-None-Match", "\"1\"")], 200),
        (&[("If-None-Match", "W/\"1-gzip\"")], 200),
    ] {
        assert_eq!(get_with(&gateway, "/a", fields).await.status, status, "{fields:?}");
    }
    let part = get_with(&gateway, "/a", &[gzip[0], ("Range", "bytes=0-1"), ("If-Range", "W/\"1-gzip\"")]).await;
    assert_eq!((part.status, origin.count()), (200, 2), "RFC 9110 §13.1.5: a weak tag is good for no part");
}

#[tokio::test]
async fn a_client_that_forbids_to_store_is_answered_from_the_store_and_fills_nothing() {
    let (gateway, origin) = numbered("", &[("Cache-Control", "max-age=60"), ("ETag", "\"v1\"")]).await;
    let no_store = [("Cache-Control", "no-store")];
    for asked in 1..=2 {
        assert!(get_with(&gateway, "/a", &no_store).await.cache_says("detail=client-no-store"));
        assert_eq!(origin.count(), asked, "RFC 9111 §5.2.1.5");
    }
    get(&gateway, "/a").await;
    let hit = get_with(&gateway, "/a", &no_store).await;
    assert_eq!((hit.text(), hit.cache_says("hit")), ("2", true), "it is about storing, not about using");
    gateway.step(61);
    assert_eq!(get_with(&gateway, "/a", &no_store).await.text(), "3");
    let head = gateway.client().await.request("HEAD", "/a", &no_store, "").await;
    assert!(head.cache_says("detail=client-no-store"));
    assert_eq!(get(&gateway, "/a").await.text(), "5", "and what is stored has not become fresh by it");
}

#[tokio::test]
async fn an_encoding_that_only_ttl_keeps_is_for_those_who_take_it() {
    let (gateway, _origin) = before("ttl = \"10m\"", |_, r| match r.get("accept-encoding") {
        Some("gzip") => Reply::ok("packed").field("Content-Encoding", "gzip"),
        _ => Reply::ok("plain"),
    })
    .await;
    assert_eq!(get_with(&gateway, "/a", &[("Accept-Encoding", "gzip")]).await.text(), "packed");
    assert_eq!(get(&gateway, "/a").await.text(), "plain", "the origin has not thought of Vary");
}
