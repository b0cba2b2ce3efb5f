//! Purges through the admin API: what each selector covers, hard, soft and dry.

#![cfg(test)]

mod support;

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Client, Gate, Gateway, Origin, Reply, within};

type Covers<'a> = &'a dyn Fn(&str) -> bool;

/// A read: what it is called in tables, Host, target and one more field.
type Read = (&'static str, &'static str, &'static str, (&'static str, &'static str));

const NONE: (&str, &str) = ("x-nothing", "");
const READS: [Read; 14] = [
    ("v1", "h", "/shop/v1", NONE),
    ("v1 books", "h", "/shop/v1/books", NONE),
    ("v1 book", "h", "/shop/v1/books/1", NONE),
    ("v1 book query", "h", "/shop/v1/books/1?x=1", NONE),
    ("v1 book slash", "h", "/shop/v1/books/1/", NONE),
    ("v1 book host", "other", "/shop/v1/books/1", NONE),
    ("v1 book caller", "h", "/shop/v1/books/1", ("authorization", "Bearer alice")),
    ("v1 book variant", "h", "/shop/v1/books/1", ("accept-language", "mi")),
    ("v1 page", "h", "/shop/v1/books/1/pages/7", NONE),
    ("v1 page caller", "h", "/shop/v1/books/1/pages/7", ("cookie", "session=7")),
    ("v1 lookalike", "h", "/shop/v1/books/10", NONE),
    ("v2 book", "h", "/shop/v2/books/1", NONE),
    ("hosted book", "a.example", "/shop/v1/books/1", NONE),
    ("hosted page", "a.example", "/shop/v1/books/1/pages/7", NONE),
];

async fn read(client: &mut Client, (_, host, target, field): Read, more: (&str, &str)) -> bool {
    client.get_with(target, &[("host", host), field, more]).await.cache_says("hit")
}

/// Labels of the reads that aren't answered from the cache.
async fn gone(client: &mut Client) -> Vec<&'static str> {
    let mut gone = Vec::new();
    for one in READS {
        if !read(client, one, ("cache-control", "only-if-cached")).await {
            gone.push(one.0);
        }
    }
    gone
}

async fn warm(client: &mut Client) {
    for one in READS {
        read(client, one, NONE).await;
        assert!(read(client, one, NONE).await, "{} isn't kept", one.0);
    }
}

/// Three APIs of three origins, one of them on a host of its own.
async fn shops() -> (Gateway, [Origin; 3]) {
    let answer = async |request: support::Request| {
        let tags = if request.target.contains("/books/1") { "book-1, shop" } else { "shop" };
        Reply::ok("x").field("cache-tag", tags)
    };
    let origins = [Origin::start(answer).await, Origin::start(answer).await, Origin::start(answer).await];
    let api = |n: usize, name: &str, version: &str, rest: &str| {
        format!(
            "[[api]]\nname = \"{name}\"\nversion = \"{version}\"\nupstream = [\"{}\"]\nttl = \"10m\"\n{rest}\n",
            origins[n].url()
        )
    };
    let apis = [
        api(0, "shop", "v1", "path = \"/shop/v1\"\nstrip_prefix = true"),
        api(1, "shop", "v2", "path = \"/shop/v2\"\nstrip_prefix = true"),
        api(2, "hosted", "v1", "path = \"/shop/v1\"\nhost = \"a.example\""),
    ];
    (Gateway::with("", &apis.concat()).await, origins)
}

fn all(test: impl Fn(&str) -> bool) -> Vec<&'static str> {
    READS.iter().map(|r| r.0).filter(|label| test(label)).collect()
}

#[tokio::test]
async fn what_each_selector_covers() {
    let (gateway, _origins) = shops().await;
    let mut client = gateway.client().await;
    let book = |l: &str| l.contains("book") && l != "v1 books" && l != "v2 book";
    let tagged = |l: &str| !["v1", "v1 books"].contains(&l);
    let cases: [(Value, Covers<'_>); 27] = [
        (json!({ "all": true }), &|_| true),
        (json!({ "api": "shop/v1" }), &|l| l.starts_with("v1")),
        (json!({ "api": "shop/v2" }), &|l| l.starts_with("v2")),
        (json!({ "api": "hosted/v1" }), &|l| l.starts_with("hosted")),
        (json!({ "path": "/shop/v1/books/1" }), &book),
        (json!({ "path": "/shop/v1/books/1/" }), &book),
        (json!({ "path": "/shop/v1/books/1?x=2" }), &book),
        (json!({ "path": "/shop//v1/%62ooks;v=2/1" }), &book),
        (json!({ "path": "/shop/v1/books/1", "api": "shop/v1" }), &|l| book(l) && l.starts_with("v1")),
        (json!({ "path": "/shop/v1/books/1", "host": "other" }), &|l| book(l) && l.starts_with("v1")),
        (json!({ "path": "/shop/v1/books/1", "host": "A.Example.", "api": "hosted/v1" }), &|l| l == "hosted book"),
        (json!({ "path": "/shop/v1/" }), &|l| l == "v1"),
        (json!({ "path": "/shop/v1/nothing/here" }), &|_| false),
        (json!({ "prefix": "/shop/v1/books/1" }), &|l| book(l) || l.ends_with("page") || l == "v1 page caller"),
        (json!({ "prefix": "/shop/v1/books" }), &|l| l != "v1" && l != "v2 book"),
        (json!({ "prefix": "/shop/v1/books/1/pages/?x" }), &|l| l.contains("page")),
        (json!({ "prefix": "/shop/v1/book" }), &|_| false),
        (json!({ "prefix": "/shop/v1" }), &|l| !l.starts_with("v2")),
        (json!({ "prefix": "/shop/v1", "host": "other" }), &|l| l.starts_with("v1")),
        (json!({ "prefix": "/shop/" }), &|_| true),
        (json!({ "prefix": "/" }), &|_| true),
        (json!({ "prefix": "/", "api": "shop/v2" }), &|l| l.starts_with("v2")),
        (json!({ "tag": "book-1" }), &tagged),
        (json!({ "tag": "book-1", "api": "shop/v1" }), &|l| tagged(l) && l.starts_with("v1")),
        (json!({ "tag": "shop" }), &|_| true),
        (json!({ "tag": "book" }), &|_| false),
        (json!({ "user": "alice" }), &|_| false), // nobody is authenticated here; a bearer of a token isn't known by name
    ];
    for (selector, covers) in cases {
        warm(&mut client).await;
        let covered = all(covers);

        let mut dry = selector.clone();
        dry["dry_run"] = json!(true);
        let told = gateway.purge(dry.clone()).await;
        // `…/books/1` and `…/books/1/` are two keys of one path.
        assert_eq!(told, json!({ "invalidated": covered.len(), "epoch": 0 }), "{dry}");
        assert_eq!(gone(&mut client).await, all(|_| false), "{dry}");

        let before = gateway.running.store().scopes.epoch();
        let told = gateway.purge(selector.clone()).await;
        assert_eq!(gone(&mut client).await, covered, "{selector}");
        assert_eq!(told["epoch"], json!(before + 1), "{selector}");
        let counted = selector.get("all").is_some()
            || (selector.as_object().unwrap().len() == 1 && selector.get("api").is_some());
        assert_eq!(told["invalidated"].is_number(), counted, "{selector}: {told}");
        assert_eq!(gateway.purge(dry).await["invalidated"], 0, "{selector}");
    }
}

#[tokio::test]
async fn clearing_by_delete() {
    let (gateway, _origins) = shops().await;
    let mut client = gateway.client().await;
    for (target, covered) in [("/v1/apis/shop/v1/cache", all(|l| l.starts_with("v1"))), ("/v1/cache", all(|_| true))] {
        gateway.running.store().sweep(gateway.clock.now());
        warm(&mut client).await;
        let answer = gateway.admin("DELETE", target, "").await;
        assert_eq!((answer.status, answer.json()["invalidated"].clone()), (200, json!(covered.len())), "{target}");
        assert_eq!(gone(&mut client).await, covered, "{target}");
    }
}

#[tokio::test]
async fn a_selector_that_means_nothing_is_refused() {
    let (gateway, _origins) = shops().await;
    for (selector, status, named) in [
        (json!({ "api": "shop/v3" }), 404, "shop/v3"),
        (json!({ "tag": "book-1", "api": "nobody/v1" }), 404, "nobody/v1"),
        (json!({ "path": "/nowhere" }), 404, "/nowhere"),
        (json!({ "path": "/shop/v10/books" }), 404, "/shop/v10/books"),
        (json!({ "path": "/shop" }), 404, "/shop"),
        (json!({ "prefix": "/sho" }), 404, "/sho"),
        (json!({ "prefix": "/shop/v1x" }), 404, "/shop/v1x"),
        (json!({ "path": "/shop/v1/books", "api": "shop/v2" }), 404, "/shop/v1/books"),
        (json!({ "path": "/shop/v1/books", "host": "other", "api": "hosted/v1" }), 404, "/shop/v1/books"),
        (json!({ "path": "/shop/%zz" }), 400, "%"),
        (json!({ "path": "/shop/../../x" }), 400, ".."),
        (json!({ "path": "/shop/v1", "host": "a b" }), 400, "Host"),
    ] {
        let answer = gateway.admin("POST", "/v1/purge", &selector.to_string()).await;
        assert_eq!(answer.status, status, "{selector}: {}", answer.text());
        assert!(answer.json()["detail"].as_str().unwrap().contains(named), "{selector}: {}", answer.text());
    }
    assert_eq!(gateway.running.store().scopes.epoch(), 0, "nothing was invalidated");
}

/// Answers GET with its number; from the second on it passes `gate` first, and fails when `fails` says so.
async fn numbering(gate: &Gate, fails: bool) -> Origin {
    let (gate, reads) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    Origin::start(move |_| {
        let n = reads.fetch_add(1, Ordering::SeqCst) + 1;
        let gate = gate.clone();
        async move {
            if n > 1 {
                gate.pass().await;
            }
            if n > 1 && fails { Reply::status(500) } else { Reply::ok(n.to_string()) }
        }
    })
    .await
}

#[tokio::test]
async fn soft_without_grace_is_asked_for_again_before_it_is_used() {
    let open = Gate::closed();
    open.open();
    for selector in
        [json!({ "path": "/books/1" }), json!({ "prefix": "/" }), json!({ "api": "test/v1" }), json!({ "all": true })]
    {
        let origin = numbering(&open, false).await;
        let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
        let mut client = gateway.client().await;
        client.get("/books/1").await;
        let mut soft = selector.clone();
        soft["soft"] = json!(true);
        gateway.purge(soft).await;
        let answer = client.get_with("/books/1", &[("cache-control", "max-stale")]).await;
        assert_eq!(answer.text(), "2", "{selector}: a client's max-stale knows nothing of purges");
        assert!(answer.cache_says("fwd=stale") && answer.cache_says("detail=outdated"), "{selector}: {answer:?}");
        assert!(client.get("/books/1").await.cache_says("hit"), "{selector}");
    }
}

#[tokio::test]
async fn soft_with_grace_is_used_as_stale_while_it_is_asked_for_again() {
    let gate = Gate::closed();
    let origin = numbering(&gate, false).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"\ngrace = \"1m\"").await;
    let mut client = gateway.client().await;
    client.get("/books/1").await;
    gateway.purge(json!({ "path": "/books/1", "soft": true })).await;
    for _ in 0..3 {
        let answer = client.get("/books/1").await;
        assert_eq!(answer.text(), "1");
        assert!(answer.cache_says("detail=stale-while-revalidate"), "never fresh: {answer:?}");
    }
    gate.arrived(1).await;
    gate.open();
    within("the new answer", async { while client.get("/books/1").await.text() == "1" {} }).await;
    let answer = client.get("/books/1").await;
    assert!(answer.text() == "2" && answer.cache_says("hit") && !answer.cache_says("detail=stale-while-revalidate"));
    assert_eq!(origin.count(), 2, "asked once for all");
}

#[tokio::test]
async fn soft_then_hard_is_hard() {
    let open = Gate::closed();
    open.open();
    for order in [[true, false], [false, true]] {
        let origin = numbering(&open, false).await;
        let gateway = Gateway::before(&origin, "ttl = \"10m\"\ngrace = \"1m\"").await;
        let mut client = gateway.client().await;
        client.get("/books/1").await;
        for soft in order {
            gateway.purge(json!({ "path": "/books/1", "soft": soft })).await;
        }
        assert_eq!(client.get("/books/1").await.text(), "2");
    }
}

#[tokio::test]
async fn when_the_origin_fails_only_what_was_softly_purged_may_help() {
    let open = Gate::closed();
    open.open();
    for (soft, status) in [(true, 200), (false, 500)] {
        let origin = numbering(&open, true).await;
        let gateway = Gateway::before(&origin, "ttl = \"10m\"\nkeep_on_error = \"1h\"").await;
        let mut client = gateway.client().await;
        client.get("/books/1").await;
        gateway.purge(json!({ "path": "/books/1", "soft": soft })).await;
        let answer = client.get("/books/1").await;
        assert_eq!(answer.status, status, "soft {soft}: {answer:?}");
        assert_eq!(answer.cache_says("detail=stale-if-error"), soft);
    }
}

#[tokio::test]
async fn what_was_purged_while_the_origin_was_asked_again_does_not_help_when_it_fails() {
    let gate = Gate::closed();
    let origin = numbering(&gate, true).await;
    let gateway = Gateway::before(&origin, "ttl = \"1s\"\nkeep_on_error = \"1h\"").await;
    let (mut client, mut other) = (gateway.client().await, gateway.client().await);
    client.get("/books/1").await;
    gateway.step(2);
    client.send("GET", "/books/1", &[], "").await;
    gate.arrived(1).await;
    gateway.purge(json!({ "path": "/books/1" })).await;
    other.send("GET", "/books/1", &[], "").await;
    gate.arrived(2).await;
    gate.open();
    assert_eq!(other.answer().await.status, 500, "it began after the purge");
    assert_eq!(client.answer().await.status, 500, "an invalidated answer is never used");
}
