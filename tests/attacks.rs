//! What attacks on parts, HEAD, confirmations, No-Vary-Search and fields for one alone have found. Each was a fault once.

#![cfg(test)]

mod support;

use serde_json::json;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::{Answer, Gate, Gateway, Origin, Reply, Request, within};

const BODY: &str = "0123456789";
const TAG: &str = "\"v1\"";
const MINUTE: (&str, &str) = ("Cache-Control", "max-age=60");
const ALICE: (&str, &str) = ("Authorization", "Bearer alice");

/// A resource with this tag, whole or in the part asked for; says nothing of caching.
fn resource(body: &str, request: &Request) -> Reply {
    let current = request.get("if-range").is_none_or(|wanted| wanted == TAG);
    let reply = match request.get("range").filter(|_| current).and_then(|r| r.strip_prefix("bytes=")?.split_once('-')) {
        Some((first, _)) if first.parse::<usize>().unwrap() >= body.len() => {
            return Reply::status(416).field("Content-Range", format!("bytes */{}", body.len()));
        }
        Some((first, last)) => {
            let first: usize = first.parse().unwrap();
            let last = last.parse().unwrap_or(body.len() - 1).min(body.len() - 1);
            let range = format!("bytes {first}-{last}/{}", body.len());
            Reply::status(206).body(&body[first..=last]).field("Content-Range", range)
        }
        None => Reply::ok(body),
    };
    reply.field("ETag", TAG)
}

fn with(reply: Reply, (name, value): (&str, &str)) -> Reply {
    reply.field(name, value)
}

async fn before<F>(api: &str, handler: impl Fn(Request) -> F + Send + Sync + 'static) -> (Gateway, Origin)
where
    F: Future<Output = Reply> + Send + 'static,
{
    let origin = Origin::start(handler).await;
    (Gateway::before(&origin, api).await, origin)
}

async fn variants<F>(most: usize, handler: impl Fn(Request) -> F + Send + Sync + 'static) -> (Gateway, Origin)
where
    F: Future<Output = Reply> + Send + 'static,
{
    let origin = Origin::start(handler).await;
    let table = "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nunique_etags = true";
    let cache = format!("[server.limits]\nvariants_per_path = {most}");
    (Gateway::with(&cache, &format!("{table}\nupstream = [\"{}\"]\n", origin.url())).await, origin)
}

async fn ask(gateway: &Gateway, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = gateway.client().await.request(method, target, fields, "").await;
    gateway.settled().await;
    answer
}

async fn get(gateway: &Gateway, target: &str, fields: &[(&str, &str)]) -> Answer {
    ask(gateway, "GET", target, fields).await
}

async fn waiting(gateway: &Gateway, n: usize) {
    within("those who wait", async {
        while !gateway.admin("GET", "/metrics", "").await.text().contains(&format!("freshgate_waiting_requests {n}")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_write_has_invalidated_is_not_confirmed_by_one_who_waited() {
    let gate = Gate::closed();
    let (theirs, new) = (gate.clone(), Arc::new(AtomicBool::new(false)));
    // An origin whose tags are made of a size and a second.
    let (gateway, origin) = before("", move |r| {
        let (gate, new) = (theirs.clone(), Arc::clone(&new));
        async move {
            if r.method == "PUT" {
                new.store(true, Ordering::SeqCst);
                return Reply::status(204);
            }
            if r.get("if-none-match").is_some() {
                gate.pass().await;
                return with(Reply::status(304), MINUTE).field("ETag", TAG);
            }
            let body = if new.load(Ordering::SeqCst) { "new" } else { "old" };
            with(Reply::ok(body), MINUTE).field("ETag", TAG)
        }
    })
    .await;
    get(&gateway, "/x", &[]).await;
    gateway.step(61);
    let (mut first, mut second) = (gateway.client().await, gateway.client().await);
    first.send("GET", "/x", &[], "").await;
    origin.received(2).await;
    gateway.purge(json!({ "path": "/elsewhere" })).await; // any invalidation: the second comes after it
    second.send("GET", "/x", &[], "").await;
    waiting(&gateway, 1).await;
    assert_eq!(gateway.client().await.put("/x", "").await.status, 204);
    gate.open();
    first.answer().await;
    second.answer().await;
    let later = get(&gateway, "/x", &[]).await;
    assert_eq!(later.text(), "new", "the write was acknowledged before: {later:?}");
}

/// The same with an origin that breaks the first question off: who waited asks again.
#[tokio::test]
async fn what_a_write_has_invalidated_is_not_confirmed_after_a_failure() {
    let gate = Gate::closed();
    let (theirs, new, count) = (gate.clone(), Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
    let (gateway, origin) = before("", move |r| {
        let (gate, new) = (theirs.clone(), Arc::clone(&new));
        let n = if r.get("if-none-match").is_some() { count.fetch_add(1, Ordering::SeqCst) } else { 9 };
        async move {
            if r.method == "PUT" {
                new.store(true, Ordering::SeqCst);
                return Reply::status(204);
            }
            if n < 9 {
                gate.pass().await;
                return if n < 1 {
                    Reply::raw("no answer\r\n\r\n").cut()
                } else {
                    with(Reply::status(304), MINUTE).field("ETag", TAG)
                };
            }
            let body = if new.load(Ordering::SeqCst) { "new" } else { "old" };
            with(Reply::ok(body), MINUTE).field("ETag", TAG)
        }
    })
    .await;
    get(&gateway, "/x", &[]).await;
    gateway.step(61);
    let (mut first, mut second) = (gateway.client().await, gateway.client().await);
    first.send("GET", "/x", &[], "").await;
    origin.received(2).await;
    second.send("GET", "/x", &[], "").await;
    waiting(&gateway, 1).await;
    assert_eq!(gateway.client().await.put("/x", "").await.status, 204);
    gate.open();
    first.answer().await;
    second.answer().await;
    let later = get(&gateway, "/x", &[]).await;
    assert_eq!(later.text(), "new", "the write was acknowledged before: {later:?}");
}

#[tokio::test]
async fn the_cookie_of_a_304_to_one_caller_is_not_given_to_another() {
    let (gateway, _origin) = before("", |r| {
        ready(if r.get("if-none-match").is_some() {
            Reply::status(304).field("ETag", TAG).field("Set-Cookie", "session=alice")
        } else {
            Reply::ok("page").field("ETag", TAG).field("Cache-Control", "public, max-age=60")
        })
    })
    .await;
    get(&gateway, "/x", &[]).await;
    gateway.step(61);
    let hers = get(&gateway, "/x", &[ALICE]).await;
    assert_eq!(hers.get("set-cookie"), Some("session=alice"));
    let other = get(&gateway, "/x", &[]).await;
    assert_eq!(other.get("set-cookie"), None, "{other:?}");
}

#[tokio::test]
async fn the_cookie_of_a_head_of_one_caller_is_not_given_to_another() {
    let (gateway, _origin) = before("", |r| {
        ready(if r.method == "HEAD" {
            Reply::status(200).field("ETag", TAG).field("Set-Cookie", "session=alice").claiming(4)
        } else {
            Reply::ok("page").field("ETag", TAG).field("Cache-Control", "public, max-age=60")
        })
    })
    .await;
    get(&gateway, "/x", &[]).await;
    gateway.step(61);
    ask(&gateway, "HEAD", "/x", &[ALICE]).await;
    let other = get(&gateway, "/x", &[]).await;
    assert_eq!(other.get("set-cookie"), None, "{other:?}");
}

#[tokio::test]
async fn a_callers_end_behind_a_public_beginning_is_not_public() {
    let (gateway, _origin) = before("", |r| {
        let who = if r.get("authorization").is_some() { "aaaaaaaaaa" } else { "bbbbbbbbbb" };
        let reply = resource(who, &r);
        ready(match r.get("authorization") {
            Some(_) if r.get("if-range").is_some() => reply,
            Some(_) => with(reply, MINUTE),
            None => reply.field("Cache-Control", "public, max-age=60"),
        })
    })
    .await;
    get(&gateway, "/x", &[("Range", "bytes=0-3")]).await;
    get(&gateway, "/x", &[ALICE]).await;
    let other = get(&gateway, "/x", &[]).await;
    assert_eq!(other.text(), "bbbbbbbbbb", "{other:?}");
}

#[tokio::test]
async fn a_part_for_nobody_in_particular_is_not_joined_to_a_public_one() {
    let (gateway, _origin) = before("", |r| {
        let hers = r.get("authorization").is_some();
        let reply = resource(if hers { "aaaaaaaaaa" } else { "bbbbbbbbbb" }, &r);
        ready(if hers { reply.field("Cache-Control", "public, max-age=60") } else { with(reply, MINUTE) })
    })
    .await;
    assert_eq!(get(&gateway, "/x", &[("Range", "bytes=0-3")]).await.text(), "bbbb");
    assert_eq!(get(&gateway, "/x", &[ALICE, ("Range", "bytes=4-9")]).await.text(), "aaaaaa");
    let whole = get(&gateway, "/x", &[ALICE]).await;
    assert_eq!(whole.text(), "aaaaaaaaaa", "{whole:?}");
}

#[tokio::test]
async fn what_is_joined_varies_by_what_either_part_varies_by() {
    let (gateway, _origin) = before("", |r| {
        let german = r.get("accept-language") == Some("de");
        let reply = with(resource(if german { "dddddddddd" } else { "eeeeeeeeee" }, &r), MINUTE);
        let varies = r.get("range").is_none_or(|range| range.starts_with("bytes=0-"));
        ready(if varies { reply.field("Vary", "Accept-Language") } else { reply })
    })
    .await;
    let german = ("Accept-Language", "de");
    get(&gateway, "/x", &[german, ("Range", "bytes=0-3")]).await;
    get(&gateway, "/x", &[german, ("Range", "bytes=4-9")]).await;
    let english = get(&gateway, "/x", &[("Accept-Language", "en")]).await;
    assert_eq!(english.text(), "eeeeeeeeee", "{english:?}");
}

#[tokio::test]
async fn a_rest_of_other_length_than_it_says_is_not_stored() {
    let mut got = Vec::new();
    for (rest, close) in [("45", false), ("4567890000", false), ("45", true)] {
        let (gateway, _origin) = before("", move |r| {
            ready(match r.get("if-range") {
                Some(_) => {
                    let reply = with(Reply::status(206).body(rest), MINUTE).field("ETag", TAG);
                    let reply = reply.field("Content-Range", "bytes 4-9/10");
                    if close { reply.until_close() } else { reply.chunked() }
                }
                None => with(resource(BODY, &r), MINUTE),
            })
        })
        .await;
        get(&gateway, "/x", &[("Range", "bytes=0-3")]).await;
        ask(&gateway, "GET", "/x", &[]).await;
        let again = get(&gateway, "/x", &[]).await;
        if again.cache_says("hit") && again.text() != BODY {
            got.push((rest, close, again.text().to_owned()));
        }
    }
    assert!(got.is_empty(), "hits: {got:?}");
}

#[tokio::test]
async fn an_answer_is_used_by_its_own_rule_only() {
    let (gateway, _origin) = before("", |r| {
        let rule = if r.target.contains("q=1") { "params=(\"utm\")" } else { "params=(\"page\")" };
        ready(with(Reply::ok(&r.target), MINUTE).field("No-Vary-Search", rule))
    })
    .await;
    get(&gateway, "/a?q=1&utm=x", &[]).await;
    get(&gateway, "/a?q=2", &[]).await;
    let page = get(&gateway, "/a?page=7&q=1", &[]).await;
    assert_eq!(page.text(), "/a?page=7&q=1", "of q=1 the page counts: {page:?}");
}

#[tokio::test]
async fn what_its_origin_has_taken_back_is_not_used_for_an_equivalent_url() {
    let mut got = Vec::new();
    for method in ["GET", "HEAD"] {
        let new = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&new);
        let (gateway, _origin) = before("", move |_| {
            ready(if theirs.load(Ordering::SeqCst) {
                Reply::ok("new").field("ETag", "\"v2\"").field("Cache-Control", "no-store")
            } else {
                with(Reply::ok("old"), MINUTE).field("ETag", TAG).field("No-Vary-Search", "params=(\"utm\")")
            })
        })
        .await;
        get(&gateway, "/a?utm=x", &[]).await;
        gateway.step(5);
        new.store(true, Ordering::SeqCst);
        ask(&gateway, method, "/a?utm=x", &[("Cache-Control", "no-cache")]).await;
        assert_eq!(get(&gateway, "/a?utm=x", &[]).await.text(), "new", "{method}: its own URL");
        got.push((method, get(&gateway, "/a?utm=y", &[]).await.text().to_owned()));
    }
    assert!(got.iter().all(|(_, text)| text == "new"), "an equivalent one: {got:?}");
}

#[tokio::test]
async fn what_a_hostile_range_provokes_is_not_everybodys_answer() {
    let mut got = Vec::new();
    for status in [403, 404, 301, 204] {
        let (gateway, _origin) = before("", move |r| {
            let hostile = r.get("range").is_some_and(|range| range.contains("18446744073709551615"));
            ready(with(if hostile { Reply::status(status).body("go away") } else { Reply::ok(BODY) }, MINUTE))
        })
        .await;
        get(&gateway, "/x", &[("Range", "bytes=0-18446744073709551615")]).await;
        let other = get(&gateway, "/x", &[]).await;
        got.push(other.status);
    }
    assert_eq!(got, [200; 4]);
}

#[tokio::test]
async fn a_part_does_not_carry_the_digest_of_the_whole() {
    let (gateway, _origin) =
        before("", |_| ready(with(Reply::ok(BODY), MINUTE).field("Content-Digest", "sha-256=:whole:"))).await;
    get(&gateway, "/x", &[]).await;
    for range in ["bytes=0-3", "bytes=0-1,4-5"] {
        let part = get(&gateway, "/x", &[("Range", range)]).await;
        assert_eq!((part.status, part.get("content-digest")), (206, None));
    }
}

#[tokio::test]
async fn a_field_that_is_named_twice_is_given_once() {
    let (gateway, _origin) = before("", |_| {
        let reply = Reply::ok("x").field("Set-Cookie", "a=1");
        ready(reply.field("Cache-Control", "max-age=60, private=\"set-cookie\", no-cache=\"set-cookie\""))
    })
    .await;
    assert_eq!(get(&gateway, "/x", &[]).await.all("set-cookie"), ["a=1"]);
}

#[tokio::test]
async fn surrogate_control_by_name_does_not_hand_out_what_no_cache_names() {
    let (gateway, _origin) = before("", |_| {
        let reply = Reply::ok("x").field("Set-Cookie", "a=1").field("X-Who", "alice");
        let reply = reply.field("Cache-Control", "public, no-cache=\"set-cookie, x-who\"");
        ready(reply.field("Surrogate-Control", "max-age=60;freshgate"))
    })
    .await;
    get(&gateway, "/x", &[]).await;
    let other = get(&gateway, "/x", &[]).await;
    assert_eq!((other.get("set-cookie"), other.get("x-who")), (None, None), "{other:?}");
}

#[tokio::test]
async fn personal_fields_are_told_like_others() {
    let (gateway, origin) = before("", |r| {
        let own = format!("http://{}/other", r.get("host").unwrap());
        let reply = Reply::ok("x").field("Content-Location", own).field("Surrogate-Key", "secret");
        ready(reply.field("Cache-Control", "max-age=60, private=\"content-location, surrogate-key\""))
    })
    .await;
    let answer = get(&gateway, "/x", &[]).await;
    assert_eq!(answer.get("surrogate-key"), None);
    assert_eq!(answer.get("content-location"), Some("/other"), "not {}", origin.addr);
}

#[tokio::test]
async fn no_cache_of_a_head_reaches_the_origin_once_a_second_only() {
    let (gateway, origin) = before("", |_| ready(with(Reply::ok("x"), MINUTE).field("ETag", TAG))).await;
    get(&gateway, "/x", &[]).await;
    gateway.step(5);
    for _ in 0..5 {
        ask(&gateway, "HEAD", "/x", &[("Cache-Control", "no-cache")]).await;
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn a_head_of_the_same_version_that_says_no_store_ends_what_is_stored() {
    let (gateway, _origin) = before("", |r| {
        let cache = if r.method == "HEAD" { "no-store" } else { "max-age=60" };
        ready(Reply::ok("x").field("ETag", TAG).field("Cache-Control", cache))
    })
    .await;
    get(&gateway, "/x", &[]).await;
    gateway.step(5);
    ask(&gateway, "HEAD", "/x", &[("Cache-Control", "no-cache")]).await;
    assert!(!get(&gateway, "/x", &[]).await.cache_says("hit"));
}

#[tokio::test]
async fn a_part_that_is_all_is_the_whole() {
    let (gateway, origin) = before("", |r| ready(with(resource(BODY, &r), MINUTE))).await;
    get(&gateway, "/x", &[("Range", "bytes=0-")]).await;
    let whole = get(&gateway, "/x", &[]).await;
    assert_eq!(whole.text(), BODY);
    let asked: Vec<_> = origin.requests().iter().map(|r| r.get("range").map(String::from)).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
}

#[tokio::test]
async fn a_416_has_no_fields_of_the_whole() {
    let (gateway, _origin) = before("", |_| {
        let reply = Reply::ok(BODY).field("Content-Encoding", "gzip").field("Content-Digest", "sha-256=:whole:");
        ready(with(reply, MINUTE).field("Content-Language", "de"))
    })
    .await;
    get(&gateway, "/x", &[]).await;
    let answer = get(&gateway, "/x", &[("Range", "bytes=99-")]).await;
    assert_eq!(answer.status, 416);
    for name in ["content-encoding", "content-digest", "content-language"] {
        assert_eq!(answer.get(name), None, "{name}");
    }
}

#[tokio::test]
async fn joined_parts_do_not_gather_tags_without_end() {
    let count = AtomicUsize::new(0);
    let body: String = "x".repeat(4000);
    let (gateway, _origin) = before("", move |r| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        let tags: Vec<String> = (0..100).map(|t| format!("t{n}-{t}")).collect();
        ready(with(resource(&body, &r), MINUTE).field("Surrogate-Key", tags.join(" ")))
    })
    .await;
    for at in 0..60 {
        get(&gateway, "/x", &[("Range", &format!("bytes={at}-{at}"))]).await;
    }
    let metrics = gateway.admin("GET", "/metrics", "").await;
    let cells =
        metrics.text().lines().find_map(|l| l.strip_prefix("freshgate_scope_cells ")).map(str::to_owned).unwrap();
    // Cells that nobody holds go with a sweep, so this counts what is held by asking for what one entry keeps.
    let hits = get(&gateway, "/x", &[("Range", "bytes=0-59")]).await;
    assert!(!hits.cache_says("hit"), "one entry holds cells of {cells}");
}

#[tokio::test]
async fn a_variant_confirmed_and_not_kept_does_not_push_out_others() {
    let (gateway, origin) = variants(3, |r| {
        let language = r.get("accept-language").unwrap_or("none").to_owned();
        ready(if r.get("if-none-match").is_some() && language == "x" {
            Reply::status(304).field("ETag", "\"a\"").field("Cache-Control", "private")
        } else {
            let reply = with(Reply::ok(&language), MINUTE).field("Vary", "Accept-Language");
            reply.field("ETag", format!("\"{language}\""))
        })
    })
    .await;
    for language in ["a", "b"] {
        get(&gateway, "/x", &[("Accept-Language", language)]).await;
    }
    for _ in 0..3 {
        get(&gateway, "/x", &[("Accept-Language", "x")]).await;
    }
    let before = origin.count();
    let other = get(&gateway, "/x", &[("Accept-Language", "b")]).await;
    assert!(other.cache_says("hit"), "{} {other:?}", origin.count() - before);
}

#[tokio::test]
async fn one_callers_own_answer_does_not_end_the_public_one() {
    let down = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&down);
    let (gateway, _origin) = before("", move |r| {
        ready(if theirs.load(Ordering::SeqCst) {
            Reply::status(503)
        } else if r.get("authorization").is_some() {
            Reply::status(302).field("Location", "/login").field("Cache-Control", "no-store")
        } else {
            Reply::ok("page").field("Cache-Control", "public, max-age=600, stale-if-error=600")
        })
    })
    .await;
    get(&gateway, "/x", &[]).await;
    gateway.step(5);
    get(&gateway, "/x", &[("Authorization", "garbage"), ("Cache-Control", "no-cache")]).await;
    down.store(true, Ordering::SeqCst);
    let other = get(&gateway, "/x", &[]).await;
    assert_eq!((other.status, other.text()), (200, "page"), "{other:?}");
}

#[tokio::test]
async fn what_parts_became_is_one_answer() {
    let (gateway, _origin) = before("", |r| ready(with(resource(BODY, &r), MINUTE))).await;
    for range in ["bytes=0-3", "bytes=4-6", "bytes=7-9"] {
        get(&gateway, "/x", &[("Range", range)]).await;
    }
    assert!(get(&gateway, "/x", &[]).await.cache_says("hit"));
    let counted = gateway.purge(json!({ "api": "test/v1", "dry_run": true })).await;
    assert_eq!(counted["invalidated"], 1);
}

// What was tried and held. Each of these passes.

#[tokio::test]
async fn huge_numbers_and_strange_parts_panic_nobody() {
    let most = u64::MAX;
    for (range, content_range) in [
        (format!("bytes=0-{most}"), format!("bytes 0-0/{most}")),
        (format!("bytes={}-{most}", most - 1), format!("bytes {}-{}/{most}", most - 1, most - 1)),
        ("bytes=-99999999999999999999999".into(), format!("bytes 0-0/{most}9")),
        (format!("bytes={most}-{most}"), format!("bytes {}-{most}/{most}", most - 1)),
    ] {
        let (gateway, _origin) = before("", move |r| {
            let reply = with(Reply::status(206).body("x"), MINUTE).field("ETag", TAG);
            ready(match r.get("range") {
                Some(_) => reply.field("Content-Range", &content_range),
                None => Reply::ok("whole"),
            })
        })
        .await;
        for _ in 0..2 {
            assert_eq!(get(&gateway, "/x", &[("Range", &range)]).await.status, 206, "{range}");
            assert_eq!(get(&gateway, "/x", &[("Range", "bytes=0-0")]).await.status, 206, "{range}");
            assert_eq!(get(&gateway, "/x", &[]).await.text(), "whole", "{range}");
        }
    }
}

/// A beginning that a write invalidates while its rest is in flight, with others who joined.
#[tokio::test]
async fn nobody_who_comes_after_a_write_gets_a_rest_behind_an_old_beginning() {
    let gate = Gate::closed();
    let (theirs, new) = (gate.clone(), Arc::new(AtomicBool::new(false)));
    let (gateway, origin) = before("", move |r| {
        let (gate, new) = (theirs.clone(), Arc::clone(&new));
        async move {
            if r.method == "PUT" {
                new.store(true, Ordering::SeqCst);
                return Reply::status(204);
            }
            let body = if new.load(Ordering::SeqCst) { "nnnnnnnnnn" } else { "oooooooooo" };
            if r.get("if-range").is_none() {
                return with(resource(body, &r), MINUTE);
            }
            let rest = Reply::status(206).body(&body[4..6]).wait(&gate).body(&body[6..]);
            with(rest.field("Content-Range", "bytes 4-9/10").field("ETag", TAG), MINUTE)
        }
    })
    .await;
    get(&gateway, "/x", &[("Range", "bytes=0-3")]).await;
    let (mut first, mut second) = (gateway.client().await, gateway.client().await);
    first.send("GET", "/x", &[], "").await;
    origin.received(2).await;
    gateway.client().await.put("/x", "").await;
    second.send("GET", "/x", &[], "").await;
    origin.received(4).await;
    gate.open();
    first.answer().await;
    assert_eq!(second.answer().await.text(), "nnnnnnnnnn");
    gateway.settled().await;
    assert_eq!(get(&gateway, "/x", &[]).await.text(), "nnnnnnnnnn");
    assert_eq!(get(&gateway, "/x", &[("Range", "bytes=0-3")]).await.text(), "nnnn");
}

/// Variants are offered to a question for a part as well; its 304 is about a whole.
#[tokio::test]
async fn a_part_of_a_variant_that_is_confirmed() {
    let (gateway, _origin) = variants(8, |r| {
        let language = r.get("accept-language").unwrap_or("none").to_owned();
        let offered = r.get("if-none-match").is_some_and(|tags| tags.contains("\"en\""));
        ready(if offered && language == "en-GB" {
            with(Reply::status(304), MINUTE).field("ETag", "\"en\"").field("Vary", "Accept-Language")
        } else {
            let reply = with(Reply::ok(format!("{language}{language}")), MINUTE).field("Vary", "Accept-Language");
            reply.field("ETag", format!("\"{language}\""))
        })
    })
    .await;
    get(&gateway, "/x", &[("Accept-Language", "en")]).await;
    let part = get(&gateway, "/x", &[("Accept-Language", "en-GB"), ("Range", "bytes=0-1")]).await;
    assert_eq!((part.status, part.text(), part.get("content-range")), (206, "en", Some("bytes 0-1/4")));
    assert_eq!(get(&gateway, "/x", &[("Accept-Language", "en-GB")]).await.text(), "enen");
    assert_eq!(get(&gateway, "/x", &[("Accept-Language", "de")]).await.text(), "dede");
}

/// An invalidation takes its epoch before it raises its cells. A question that comes between the two has that epoch and finds nothing
/// invalidated yet; were its 304 to make the answer as young, the write would never reach it.
#[tokio::test]
async fn a_confirmed_answer_is_as_old_as_its_question() {
    let (gateway, origin) = before("", |r| {
        ready(if r.get("if-none-match").is_some() {
            with(Reply::status(304), MINUTE).field("ETag", TAG)
        } else {
            with(Reply::ok("x"), MINUTE).field("ETag", TAG)
        })
    })
    .await;
    get(&gateway, "/x", &[]).await;
    gateway.step(61);
    gateway.purge(json!({ "path": "/elsewhere" })).await; // the next epoch
    assert!(get(&gateway, "/x", &[]).await.cache_says("fwd-status=304"));
    let mut ages = Vec::new();
    gateway.running.store().scan(|_, entries| ages.extend(entries.iter().map(|e| (e.asked_at, e.confirmed_at))));
    assert_eq!((ages, origin.count()), (vec![(0, 1)], 2));
}
