//! Read-through: what isn't there is asked for.

use super::support::{Client, Gate, Gateway, Origin, Reply, Request, within};
use super::{cache, codes};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use tokio::task::JoinSet;

/// Answers each request with its number and target, or with a status.
async fn counting(status: Arc<AtomicU16>) -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |request: Request| {
        let n = count.fetch_add(1, Ordering::SeqCst) + 1;
        let status = status.load(Ordering::SeqCst);
        async move { Reply::status(status).body(format!("{n} {}", request.target)) }
    })
    .await
}

/// Answers with this text as soon as the gate is open.
async fn held(text: &'static str) -> (Origin, Gate) {
    let gate = Gate::closed();
    let held = gate.clone();
    let answer = move |_| {
        let gate = held.clone();
        async move {
            gate.pass().await;
            Reply::ok(text)
        }
    };
    (Origin::start(answer).await, gate)
}

fn status(status: u16) -> Arc<AtomicU16> {
    Arc::new(AtomicU16::new(status))
}

fn from(origin: &Origin, source: &str, more: &str) -> String {
    codes(&format!("source = \"{}{source}\"\n{more}", origin.url()))
}

#[tokio::test]
async fn a_miss_reads_through_once_and_lives_as_long_as_the_namespace_says() {
    let origin = Origin::start(|request: Request| async move {
        Reply::ok(format!("of {}", request.target)).field("Cache-Control", "max-age=5").field("Content-Type", "a/b")
    })
    .await;
    let (gateway, mut client) = cache(&from(&origin, "/codes/{key}.json?full=1", "")).await;
    let first = client.get("/codes/AT").await;
    assert_eq!((first.status, first.text()), (200, "of /codes/AT.json?full=1"));
    assert!(first.cache_says("fwd=uri-miss") && first.cache_says("stored"));
    let second = client.get("/codes/AT").await;
    assert!(second.cache_says("hit"));
    assert_eq!((second.text(), second.fields.one("content-type")), (first.text(), "a/b"));
    assert_eq!(first.fields.one("etag"), second.fields.one("etag"), "each answer has it");
    assert!(first.fields.one("etag").starts_with('"'), "and it is a strong one");
    gateway.step(99 * 86_400);
    assert!(client.get("/codes/AT").await.cache_says("hit"), "the operator's ttl, not the source's");
    gateway.step(2 * 86_400);
    assert!(!client.get("/codes/AT").await.cache_says("hit"));
    assert_eq!(origin.count(), 2);
    let key = client.get("/codes/a%2Fb%3F").await;
    assert_eq!(key.text(), "of /codes/a%2Fb%3F.json?full=1", "the key is one segment");
}

#[tokio::test]
async fn the_key_may_be_in_the_query_and_the_source_be_shown_fields() {
    let origin = Origin::start(|request: Request| async move {
        let key = request.fields.get("authorization").unwrap_or("-").to_owned();
        let others = ["cookie", "x-mine", "host"].map(|name| request.fields.get(name).unwrap_or("-").to_owned());
        Reply::ok(format!("{} {key} {}", request.target, others[..2].join(" ")))
    })
    .await;
    let fields = "headers = [{ name = \"Authorization\", value = \"Bearer source\" }]";
    let (_gateway, mut client) = cache(&from(&origin, "/codes?code={key}", fields)).await;
    let mine = [("authorization", "Bearer mine"), ("cookie", "a=b"), ("x-mine", "x")];
    let got = client.get_with("/codes/A%26T", &mine).await;
    assert_eq!(got.text(), "/codes?code=A%26T Bearer source - -", "nobody's own fields");
    assert_eq!(client.get("/codes/CH").await.text(), "/codes?code=CH Bearer source - -");
    client.put("/codes/CH", "mine").await;
    assert!(client.get("/codes/A%26T").await.cache_says("hit"), "one object's change is not another's");
}

#[tokio::test]
async fn a_crowd_costs_one_question() {
    let (origin, gate) = held("20").await;
    let (gateway, _) = cache(&from(&origin, "/{key}", "")).await;
    let addr = gateway.running.objects.unwrap();
    let mut crowd = JoinSet::new();
    for _ in 0..50 {
        crowd.spawn(async move { Client::connect(addr).await.get("/codes/AT").await });
    }
    gate.arrived(1).await;
    waiting(&gateway, 49).await;
    gate.open();
    assert!(crowd.join_all().await.iter().all(|answer| (answer.status, answer.text()) == (200, "20")));
    assert_eq!(origin.count(), 1);
}

async fn waiting(gateway: &Gateway, n: usize) {
    let metric = format!("freshgate_waiting_requests {n}\n");
    within("everybody to wait", async {
        while !gateway.admin("GET", "/metrics", "").await.text().contains(&metric) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn that_there_is_none_is_remembered_for_a_while() {
    let says = status(404);
    let origin = counting(Arc::clone(&says)).await;
    let (gateway, mut client) = cache(&from(&origin, "/{key}", "negative_ttl = \"10s\"")).await;
    for _ in 0..3 {
        let none = client.get("/codes/AT").await;
        assert_eq!((none.status, none.json()["type"].as_str()), (404, Some("urn:freshgate:problem:no-object")));
    }
    assert_eq!(origin.count(), 1);
    says.store(200, Ordering::SeqCst);
    assert_eq!(client.post("/codes/CH", "8").await.status, 201);
    assert_eq!(client.post("/codes/AT", "20").await.status, 201, "what is remembered as missing isn't there");
    assert_eq!(client.get("/codes/AT").await.text(), "20");
    says.store(404, Ordering::SeqCst);
    client.get("/codes/DE").await;
    gateway.step(11);
    says.store(200, Ordering::SeqCst);
    assert_eq!(client.get("/codes/DE").await.status, 200);
}

#[tokio::test]
async fn a_source_in_trouble() {
    let says = status(200);
    let origin = counting(Arc::clone(&says)).await;
    let (gateway, mut client) = cache(&from(&origin, "/{key}", "keep_on_error = \"1d\"")).await;
    assert_eq!(client.get("/codes/AT").await.text(), "1 /AT");
    says.store(500, Ordering::SeqCst);
    gateway.step(100 * 86_400 + 60);
    let old = client.get("/codes/AT").await;
    assert_eq!((old.status, old.text()), (200, "1 /AT"), "the old object, for a day");
    let never = client.get("/codes/CH").await;
    assert_eq!((never.status, never.json()["type"].as_str()), (502, Some("urn:freshgate:problem:source-answered")));
    says.store(302, Ordering::SeqCst);
    assert_eq!(client.get("/codes/CH").await.status, 502, "a redirect is no object");
    gateway.step(86_400);
    says.store(503, Ordering::SeqCst);
    assert_eq!(client.get("/codes/AT").await.status, 502);
    drop(origin);
    assert_eq!(client.get("/codes/AT").await.status, 502);
}

#[tokio::test]
async fn a_source_that_says_nothing_is_504() {
    let (origin, _gate) = held("late").await;
    let (_gateway, mut client) = cache(&from(&origin, "/{key}", "timeouts.first_byte = \"50ms\"")).await;
    assert_eq!(client.get("/codes/AT").await.status, 504);
}

/// What an application puts or removes while the source is being asked is never overtaken by that question's answer.
#[tokio::test]
async fn a_question_under_way_is_older_than_what_is_put() {
    let (origin, gate) = held("of the source").await;
    let (gateway, mut client) = cache(&from(&origin, "/{key}", "")).await;
    let addr = gateway.running.objects.unwrap();
    let mut readers = JoinSet::new();
    readers.spawn(async move { Client::connect(addr).await.get("/codes/AT").await });
    gate.arrived(1).await;
    assert_eq!(client.put("/codes/AT", "mine").await.status, 201);
    assert_eq!(client.get("/codes/AT").await.text(), "mine", "nobody joins what is older");
    gate.open();
    let first = readers.join_next().await.unwrap().unwrap();
    assert_eq!(first.text(), "of the source", "its reader asked before");
    gateway.settled().await;
    assert_eq!(client.get("/codes/AT").await.text(), "mine");
    client.delete("/codes/AT").await;
    assert_eq!(client.get("/codes/AT").await.text(), "of the source", "it is only a cache");
}

#[tokio::test]
async fn head_of_what_isnt_there_reads_through() {
    let origin = Origin::always(Reply::ok("20")).await;
    let (_gateway, mut client) = cache(&from(&origin, "/{key}", "")).await;
    let head = client.request("HEAD", "/codes/AT", &[], "").await;
    assert_eq!((head.status, head.fields.one("content-length")), (200, "2"));
    assert!(client.get("/codes/AT").await.cache_says("hit"));
    assert_eq!(origin.requests()[0].method, "GET");
}

/// What was put may be gone again before a question that is older has been answered: nobody joins that one all the same.
#[tokio::test]
async fn nobody_joins_a_question_that_is_older_than_what_was_put() {
    let (origin, gate) = held("of the source").await;
    let (gateway, mut client) = cache(&from(&origin, "/{key}", "")).await;
    let addr = gateway.running.objects.unwrap();
    let mut readers = JoinSet::new();
    readers.spawn(async move { Client::connect(addr).await.get("/codes/AT").await });
    gate.arrived(1).await;
    assert_eq!(client.put("/codes/AT?ttl=1", "mine").await.status, 201);
    gateway.step(2);
    readers.spawn(async move { Client::connect(addr).await.get("/codes/AT").await });
    gate.arrived(2).await;
    gate.open();
    assert!(readers.join_all().await.iter().all(|answer| answer.text() == "of the source"));
}

/// Only an object is kept: what else a source says is its trouble, and gone with it.
#[tokio::test]
async fn what_is_no_object_is_not_kept() {
    let says = status(200);
    let origin = counting(Arc::clone(&says)).await;
    let (_gateway, mut client) = cache(&from(&origin, "/{key}", "")).await;
    for (n, status) in [204, 206, 300, 301, 304, 308, 401, 403, 416, 418, 500].into_iter().enumerate() {
        says.store(status, Ordering::SeqCst);
        let answer = client.get(&format!("/codes/{n}")).await;
        assert_eq!(answer.status, 502, "{status}");
        assert_eq!(answer.json()["type"], "urn:freshgate:problem:source-answered", "{status}");
        says.store(200, Ordering::SeqCst);
        assert_eq!(client.get(&format!("/codes/{n}")).await.status, 200, "{status}");
        assert!(client.get(&format!("/codes/{n}")).await.cache_says("hit"), "{status}");
    }
}

/// A tag that tells no versions apart is no help to who wants to replace one.
#[tokio::test]
async fn a_weak_tag_of_the_source_is_replaced_by_a_strong_one() {
    for tag in ["W/\"1\"", "unquoted"] {
        let origin = Origin::always(Reply::ok("20").field("ETag", tag)).await;
        let (_gateway, mut client) = cache(&from(&origin, "/{key}", "")).await;
        let several = client.post("/codes/_get", "[\"CH\"]").await.json();
        assert!(several["objects"][0]["etag"].as_str().unwrap().starts_with('"'), "{several}");
        let first = client.get("/codes/AT").await;
        let etag = first.fields.one("etag").to_owned();
        assert!(etag.starts_with('"'), "{etag}");
        assert_eq!(client.get("/codes/AT").await.fields.one("etag"), etag);
        assert_eq!(client.get_with("/codes/AT", &[("if-none-match", &etag)]).await.status, 304);
        assert_eq!(client.get_with("/codes/AT", &[("if-match", "\"x\""), ("if-none-match", &etag)]).await.status, 412);
        assert_eq!(client.request("PUT", "/codes/AT", &[("if-match", &etag)], "21").await.status, 204, "{tag}");
    }
}

#[tokio::test]
async fn a_part_of_what_isnt_there_asks_for_the_whole() {
    let origin = Origin::always(Reply::ok("0123456789")).await;
    let (_gateway, mut client) = cache(&from(&origin, "/{key}", "")).await;
    assert_eq!(client.get_with("/codes/AT", &[("range", "bytes=2-4")]).await.text(), "0123456789");
    assert_eq!(origin.requests()[0].fields.get("range"), None);
    assert_eq!(client.get_with("/codes/AT", &[("range", "bytes=2-4")]).await.text(), "234");
}

/// A source that leads back here is noticed, and nobody waits for himself.
#[tokio::test]
async fn a_ring_ends() {
    let here = Arc::new(std::sync::OnceLock::new());
    let leads = Arc::clone(&here);
    let origin = Origin::start(move |request: Request| {
        let leads = Arc::clone(&leads);
        async move {
            let via = request.fields.all("via").join(", ");
            let mut client = Client::connect(*leads.get().unwrap()).await;
            let back = client.get_with(&request.target, &[("via", &via)]).await;
            Reply::status(back.status).body(back.body)
        }
    })
    .await;
    let (gateway, mut client) = cache(&from(&origin, "/codes/{key}", "")).await;
    here.set(gateway.running.objects.unwrap()).unwrap();
    assert_eq!(client.get("/codes/AT").await.status, 502);
    assert_eq!(origin.count(), 8);
}
