//! Writes and purges that meet questions in flight, and writes whose outcome nobody knows.

#![cfg(test)]

mod support;

use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Answer, Client, Gate, Gateway, Origin, Reply, within};

/// An origin whose n-th answer to GET says `n`, and for which a test may hold answers back.
struct Counting {
    origin: Origin,
    gates: Vec<Gate>,
}

/// The n-th GET waits at the n-th gate, if there is one, before its answer or (`late`) after its head.
async fn counting(gates: usize, late: bool, dress: impl Fn(usize, Reply) -> Reply + Send + Sync + 'static) -> Counting {
    let gates: Vec<Gate> = (0..gates).map(|_| Gate::closed()).collect();
    let (theirs, dress, reads) = (gates.clone(), Arc::new(dress), Arc::new(AtomicUsize::new(0)));
    let origin = Origin::start(move |request| {
        let n = if request.method == "GET" { reads.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        let (gate, dress) = (n.checked_sub(1).and_then(|n| theirs.get(n).cloned()), Arc::clone(&dress));
        async move {
            let reply = match (&gate, late) {
                (Some(gate), true) => Reply::status(200).wait(gate),
                (Some(gate), false) => {
                    gate.pass().await;
                    Reply::status(200)
                }
                (None, _) => Reply::status(200),
            };
            dress(n, reply.body(n.to_string()))
        }
    })
    .await;
    Counting { origin, gates }
}

fn plain(_: usize, reply: Reply) -> Reply {
    reply
}

/// Waits until so many requests wait for somebody else's question.
async fn waiting(gateway: &Gateway, n: usize) {
    let line = format!("freshgate_waiting_requests {n}");
    let told = async { while !gateway.admin("GET", "/metrics", "").await.text().lines().any(|l| l == line) {} };
    within(&line, told).await;
}

fn hit(answer: &Answer) -> bool {
    answer.cache_says("hit")
}

#[tokio::test]
async fn a_fill_in_flight_across_a_write_is_neither_joined_nor_used_afterwards() {
    for late in [false, true] {
        let Counting { origin, gates } = counting(2, late, plain).await;
        let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
        let mut writer = gateway.client().await;
        let (mut early, mut joined, mut after) =
            (gateway.client().await, gateway.client().await, gateway.client().await);
        early.send("GET", "/books/1", &[], "").await;
        gates[0].arrived(1).await;
        if !late {
            joined.send("GET", "/books/1", &[], "").await;
            waiting(&gateway, 1).await;
        }
        assert_eq!(writer.put("/books/1", "{}").await.status, 200);
        after.send("GET", "/books/1", &[], "").await;
        gates[1].arrived(1).await; // it asks for itself: nobody has opened the first gate

        gates[0].open();
        assert_eq!(early.answer().await.text(), "1", "late {late}: who asked before the write may see what was before");
        if !late {
            assert_eq!(joined.answer().await.text(), "1", "so may who joined before the write");
        }
        let mut next = gateway.client().await;
        next.send("GET", "/books/1", &[], "").await;
        waiting(&gateway, usize::from(!late)).await;
        gates[1].open();
        for client in [&mut after, &mut next] {
            assert_eq!(client.answer().await.text(), "2", "late {late}: the first answer is kept by nobody");
        }
        let last = writer.get("/books/1").await;
        assert_eq!((last.text(), hit(&last), origin.count()), ("2", true, 3), "late {late}");
    }
}

#[tokio::test]
async fn a_fill_that_ends_after_a_younger_one_does_not_replace_it() {
    let Counting { origin, gates } = counting(1, false, plain).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let (mut slow, mut quick) = (gateway.client().await, gateway.client().await);
    slow.send("GET", "/books/1", &[], "").await;
    gates[0].arrived(1).await;
    quick.put("/books/1", "{}").await;
    assert_eq!(quick.get("/books/1").await.text(), "2");
    gates[0].open();
    assert_eq!(slow.answer().await.text(), "1");
    let last = slow.get("/books/1").await;
    assert_eq!((last.text(), hit(&last)), ("2", true));
}

#[tokio::test]
async fn purges_while_a_fill_is_in_flight() {
    let tagged = |_, reply: Reply| reply.field("surrogate-key", "book-1 books");
    for (selector, covers) in [
        (json!({ "path": "/books/1" }), true),
        (json!({ "path": "/books/1/" }), true),
        (json!({ "prefix": "/books" }), true),
        (json!({ "prefix": "/" }), true),
        (json!({ "tag": "book-1" }), true), // nobody knows yet that it has this tag
        (json!({ "tag": "books", "api": "test/v1" }), true),
        (json!({ "api": "test/v1" }), true),
        (json!({ "all": true }), true),
        (json!({ "path": "/books/1", "soft": true }), true),
        (json!({ "tag": "book-1", "soft": true }), true),
        (json!({ "tag": "book-2" }), false),
        (json!({ "path": "/books" }), false),
        (json!({ "prefix": "/books/1/x" }), false),
        (json!({ "user": "alice" }), false),
        (json!({ "path": "/books/1", "dry_run": true }), false),
    ] {
        for late in [false, true] {
            let Counting { origin, gates } = counting(1, late, tagged).await;
            let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
            let (mut early, mut after) = (gateway.client().await, gateway.client().await);
            early.send("GET", "/books/1", &[], "").await;
            gates[0].arrived(1).await;
            gateway.purge(selector.clone()).await;
            after.send("GET", "/books/1", &[], "").await;
            if !covers && !late {
                waiting(&gateway, 1).await;
            }
            gates[0].open();
            assert_eq!(early.answer().await.text(), "1", "{selector}");
            let wanted = if covers { "2" } else { "1" };
            assert_eq!(after.answer().await.text(), wanted, "{selector}: joined, late {late}");
            let next = early.get("/books/1").await;
            assert_eq!((next.text(), hit(&next)), (wanted, true), "{selector}: kept, late {late}");
        }
    }
}

#[tokio::test]
async fn a_tag_that_is_purged_while_many_wait_sends_them_all_to_ask_anew_together() {
    let Counting { origin, gates } = counting(2, false, |_, r| r.field("xkey", "t")).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let mut first = gateway.client().await;
    first.send("GET", "/books/1", &[], "").await;
    gates[0].arrived(1).await;
    gateway.purge(json!({ "tag": "t" })).await;
    let mut others = Vec::new();
    for n in 1..=4 {
        let mut client = gateway.client().await;
        client.send("GET", "/books/1", &[], "").await;
        waiting(&gateway, n).await;
        others.push(client);
    }
    gates[0].open();
    assert_eq!(first.answer().await.text(), "1");
    gates[1].arrived(1).await;
    waiting(&gateway, 3).await;
    gates[1].open();
    for client in &mut others {
        assert_eq!(client.answer().await.text(), "2");
    }
    assert_eq!(origin.count(), 2);
}

/// An origin with an entity tag and tags that change: 304 to whoever knows the tag.
async fn validating(etag: &'static str) -> Origin {
    let reads = AtomicUsize::new(0);
    Origin::start(move |request| {
        let n = if request.method == "GET" { reads.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        let known = request.get("if-none-match") == Some(etag);
        let reply = if known { Reply::status(304) } else { Reply::ok("content") };
        std::future::ready(reply.field("etag", etag).field("xkey", format!("tag-{n}")))
    })
    .await
}

/// The strong tag of many an origin is made of a size and a second, and doesn't change with a write in the same second.
#[tokio::test]
async fn what_was_invalidated_is_fetched_whole_and_what_was_outdated_is_confirmed() {
    for (etag, soft) in [("\"a\"", false), ("W/\"a\"", false), ("\"a\"", true), ("W/\"a\"", true)] {
        let origin = validating(etag).await;
        let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
        let mut client = gateway.client().await;
        client.get("/books/1").await;
        if soft {
            gateway.purge(json!({ "path": "/books/1", "soft": true })).await;
        } else {
            client.put("/books/1", "{}").await;
        }
        let answer = client.get("/books/1").await;
        assert_eq!((answer.status, answer.text()), (200, "content"));
        let asked = origin.requests().last().unwrap().get("if-none-match").is_some();
        assert_eq!(asked, soft, "{etag}, soft {soft}");
        assert_eq!(answer.cache_says("fwd-status=304"), soft, "{etag}, soft {soft}");
        assert!(hit(&client.get("/books/1").await), "{etag}, soft {soft}: confirmed or fetched, it is as good as new");
    }
}

#[tokio::test]
async fn last_modified_alone_is_not_offered_for_what_was_invalidated() {
    let origin = Origin::always(Reply::ok("x").field("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT")).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let mut client = gateway.client().await;
    client.get("/books/1").await;
    client.put("/books/1", "{}").await;
    client.get("/books/1").await;
    assert_eq!(origin.requests()[2].get("if-modified-since"), None);
}

#[tokio::test]
async fn tags_before_and_after_a_confirmation_both_count() {
    for tag in ["tag-1", "tag-2"] {
        let origin = validating("\"a\"").await;
        let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
        let mut client = gateway.client().await;
        client.get("/books/1").await;
        gateway.step(601);
        assert!(client.get("/books/1").await.cache_says("fwd-status=304"));
        assert!(hit(&client.get("/books/1").await));
        gateway.purge(json!({ "tag": tag })).await;
        assert!(!hit(&client.get("/books/1").await), "{tag}");
    }
}

/// Each 304 with tags of its own added to the cells of the entry, without end.
#[tokio::test]
async fn confirmations_with_ever_new_tags_stay_bounded() {
    let origin = validating("\"a\"").await;
    let gateway = Gateway::before(&origin, "ttl = \"1s\"").await;
    let mut client = gateway.client().await;
    let (mut most, mut whole) = (0, 0);
    for _ in 0..700 {
        whole += usize::from(!client.get("/books/1").await.cache_says("fwd-status=304"));
        gateway.running.store().scan(|_, entries| most = entries.iter().map(|e| e.held.len()).fold(most, usize::max));
        gateway.step(2);
    }
    assert!(most < 600, "{most} cells");
    assert_eq!((whole, origin.count()), (3, 700), "asked in full now and then");
}

/// A 304 whose revalidation began before a write doesn't revive what the write invalidated.
#[tokio::test]
async fn a_confirmation_that_was_asked_for_before_a_write_is_as_old_as_its_question() {
    for etag in ["\"a\"", "W/\"a\""] {
        let (gate, reads) = (Gate::closed(), AtomicUsize::new(0));
        let held = gate.clone();
        let origin = Origin::start(move |request| {
            let n = if request.method == "GET" { reads.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
            let gate = (n == 2).then(|| held.clone());
            async move {
                if let Some(gate) = gate {
                    gate.pass().await;
                    return Reply::status(304).field("etag", etag);
                }
                Reply::ok(n.to_string()).field("etag", etag)
            }
        })
        .await;
        let gateway = Gateway::before(&origin, "ttl = \"10s\"").await;
        let (mut early, mut client) = (gateway.client().await, gateway.client().await);
        client.get("/books/1").await;
        gateway.step(11);
        early.send("GET", "/books/1", &[], "").await;
        gate.arrived(1).await;
        client.put("/books/1", "{}").await;
        gate.open();
        assert_eq!(early.answer().await.text(), "1");
        assert_eq!(client.get("/books/1").await.text(), "3", "{etag}");
        assert!(hit(&client.get("/books/1").await), "{etag}");
    }
}

/// One who waited asks again when the first question fails, and what it had found may be invalidated by then. It isn't offered
/// any more: the tags of many an origin don't change with a write in the same second.
#[tokio::test]
async fn what_a_write_has_ended_meanwhile_is_not_confirmed_by_one_who_waited() {
    for etag in ["\"a\"", "W/\"a\""] {
        let (gate, reads) = (Gate::closed(), AtomicUsize::new(0));
        let held = gate.clone();
        let origin = Origin::start(move |request| {
            let n = if request.method == "GET" { reads.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
            let (gate, known) = (held.clone(), request.get("if-none-match").is_some());
            async move {
                match n {
                    1 => return Reply::ok("1").field("etag", etag).field("connection", "close").close(),
                    2 => gate.pass().await,
                    _ if known => return Reply::status(304).field("etag", etag),
                    _ => return Reply::ok(n.to_string()).field("etag", etag),
                }
                Reply::nothing()
            }
        })
        .await;
        let gateway = Gateway::before(&origin, "ttl = \"10s\"").await;
        let (mut first, mut second) = (gateway.client().await, gateway.client().await);
        let mut client = gateway.client().await;
        client.get("/books/1").await;
        gateway.step(11);
        first.send("GET", "/books/1", &[], "").await;
        gate.arrived(1).await;
        second.send("GET", "/books/1", &[], "").await;
        waiting(&gateway, 1).await;
        client.put("/books/1", "{}").await;
        gate.open();
        assert_eq!(first.answer().await.status, 502);
        assert_eq!(second.answer().await.text(), "3", "{etag}");
        assert_eq!(origin.requests().last().unwrap().get("if-none-match"), None, "{etag}");
    }
}

/// What becomes of a write that the origin has got.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Hangs,
    Closes,
    Resets,
    Babbles,
    BreaksHead,
    Says(u16),
}

async fn doing(fate: Fate, never: Gate) -> Origin {
    let reads = Arc::new(AtomicUsize::new(0));
    Origin::start(move |request| {
        let (never, reads) = (never.clone(), Arc::clone(&reads));
        async move {
            if request.method == "GET" {
                return Reply::ok((reads.fetch_add(1, Ordering::SeqCst) + 1).to_string())
                    .field("xkey", "book")
                    .field("etag", "\"e\"");
            }
            match fate {
                Fate::Hangs => {
                    never.pass().await;
                    Reply::nothing()
                }
                Fate::Closes => Reply::nothing(),
                Fate::Resets => Reply::raw("").reset(),
                Fate::Babbles => Reply::raw("not HTTP at all\r\n\r\n").close(),
                Fate::BreaksHead => Reply::raw("HTTP/1.1 200 OK\r\nx: ").cut(),
                Fate::Says(status) => Reply::status(status),
            }
        }
    })
    .await
}

/// Of a write whose outcome is unknown: invalidated at once, then nothing is kept until it has settled.
#[tokio::test]
async fn an_unknown_outcome_invalidates_at_once_and_settles() {
    use Fate::{Babbles, BreaksHead, Closes, Hangs, Resets, Says};
    for (fate, status) in [
        (Hangs, 504),
        (Closes, 502),
        (Resets, 502),
        (Babbles, 502),
        (BreaksHead, 502),
        (Says(502), 502),
        (Says(503), 503),
        (Says(504), 504),
    ] {
        let origin = doing(fate, Gate::closed()).await;
        let settings = "ttl = \"10m\"\ntimeouts = { first_byte = \"300ms\" }\nwrite_settle = \"60s\"\n[[api.purge]]\non = \"/books/1\"\ntags = [\"book\"]";
        let gateway = Gateway::before(&origin, settings).await;
        let mut client = gateway.client().await;
        for target in ["/books", "/books/1", "/elsewhere", "/books/2"] {
            client.get(target).await;
            assert!(hit(&client.get(target).await), "{target}");
        }
        assert_eq!(client.put("/books/1", "{}").await.status, status, "{fate:?}");
        // `/elsewhere` and `/books/2` are reached by their tag, which is known with the answer only.
        for target in ["/books", "/books/1", "/elsewhere", "/books/2"] {
            let (one, two) = (client.get(target).await, client.get(target).await);
            assert!(!hit(&one) && !hit(&two), "{fate:?} {target}: {two:?}");
            assert_ne!(one.text(), two.text(), "{fate:?} {target}: nothing is kept while it settles");
        }
        gateway.step(61);
        for target in ["/books", "/books/1", "/elsewhere", "/books/2"] {
            client.get(target).await;
            assert!(hit(&client.get(target).await), "{fate:?} {target}: afterwards all is as usual");
        }
    }
}

/// A 304 that brought a tag which was settling was kept: only scopes known before were looked at.
#[tokio::test]
async fn a_confirmation_of_what_settles_is_not_kept() {
    let origin = Origin::start(async |request| match (request.method.as_str(), request.get("if-none-match")) {
        ("PUT", _) => Reply::status(504),
        (_, Some(_)) => Reply::status(304).field("etag", "\"e\"").field("xkey", "book"),
        (_, None) => Reply::ok("x").field("etag", "\"e\""),
    })
    .await;
    let settings = "ttl = \"1s\"\n[[api.purge]]\non = \"/books/1\"\ntags = [\"book\"]";
    let gateway = Gateway::before(&origin, settings).await;
    let mut client = gateway.client().await;
    client.get("/elsewhere").await;
    client.put("/books/1", "{}").await;
    gateway.step(2); // stale, and the write (30 s) still settles
    assert!(client.get("/elsewhere").await.cache_says("fwd-status=304"));
    let again = client.get("/elsewhere").await;
    assert!(!hit(&again), "{again:?}");
    assert!(again.cache_says("detail=settling"), "{again:?}");
    assert_eq!(origin.count(), 4);
}

#[tokio::test]
async fn what_is_asked_for_while_a_write_settles_is_not_joined() {
    let Counting { origin, gates } = counting(3, false, plain).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"\nwrite_settle = \"60s\"").await;
    let mut writer = gateway.client().await;
    writer.put("/books/1", "{}").await;
    gateway.step(1); // so that the readers come later than the write by the clock as well
    let (mut one, mut two) = (gateway.client().await, gateway.client().await);
    one.send("GET", "/books/1", &[], "").await;
    gates[0].arrived(1).await;
    gateway.step(1);
    two.send("GET", "/books/1", &[], "").await;
    gates[1].arrived(1).await; // it didn't wait for the first
    gates.iter().for_each(Gate::open);
    assert_eq!((one.answer().await.text(), two.answer().await.text()), ("1", "2"));
    assert_eq!(writer.get("/books/1").await.text(), "3");
}

/// At the end of settling everything is invalidated once more: the write may have been applied until then.
#[tokio::test]
async fn settling_ends_with_another_invalidation() {
    tokio::join!(
        settles(Fate::Says(200), "write_settle = \"2s\""),
        settles(Fate::Says(504), "timeouts = { first_byte = \"2s\" }"),
        settles(Fate::Says(503), "timeouts = { first_byte = \"1s\" }\nwrite_settle = \"2s\""),
    );
}

async fn settles(put: Fate, settings: &str) {
    let origin = doing(put, Gate::closed()).await;
    let gateway = Gateway::before(&origin, &format!("ttl = \"10m\"\n{settings}")).await;
    let mut client = gateway.client().await;
    client.put("/books/1", "{}").await;
    let before = client.get("/books/1").await;
    assert!(before.cache_says("detail=settling"), "{put:?}: {before:?}");
    gateway.step(3); // by its clock the time is over, but its timer runs with the machine's
    client.get("/books/1").await;
    assert!(hit(&client.get("/books/1").await), "{put:?}");
    within("the second invalidation", async { while hit(&client.get("/books/1").await) {} }).await;
    assert!(hit(&client.get("/books/1").await), "{put:?}: there is no third");
}

/// Sends the head of an upload and a part of its body.
async fn begin_upload(gateway: &Gateway) -> Client {
    let mut client = gateway.client().await;
    client.send_raw("PUT /books/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nthe beginning").await;
    client
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_upload() {
    for reset in [false, true] {
        let heads = Gate::closed();
        heads.open();
        let seen = heads.clone();
        let origin = Origin::raw(move |mut conn| {
            let seen = seen.clone();
            async move {
                while let Some((request, mut reading)) = conn.head().await {
                    if request.method == "GET" {
                        conn.reply(&Reply::ok("x"), "GET").await;
                        continue;
                    }
                    conn.at_least(&mut reading, 13).await;
                    seen.pass().await;
                    conn.rest().await;
                    return;
                }
            }
        })
        .await;
        let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
        let mut client = gateway.client().await;
        client.get("/books/1").await;
        assert!(hit(&client.get("/books/1").await));
        let leaver = begin_upload(&gateway).await;
        heads.arrived(1).await;
        assert!(hit(&client.get("/books/1").await), "nothing is applied yet as far as anybody knows");
        if reset {
            leaver.reset()
        } else {
            drop(leaver)
        }
        within("the invalidation", async { while hit(&client.get("/books/1").await) {} }).await;
        assert!(client.get("/books/1").await.cache_says("detail=settling"), "reset {reset}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_after_sending() {
    for reset in [false, true] {
        let gate = Gate::closed();
        let held = gate.clone();
        let origin = Origin::start(move |request| {
            let gate = (request.method == "PUT").then(|| held.clone());
            async move {
                if let Some(gate) = gate {
                    gate.pass().await;
                }
                Reply::ok("x")
            }
        })
        .await;
        let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
        let (mut client, mut leaver) = (gateway.client().await, gateway.client().await);
        client.get("/books/1").await;
        leaver.send("PUT", "/books/1", &[], "{}").await;
        gate.arrived(1).await;
        if reset {
            leaver.reset()
        } else {
            drop(leaver)
        }
        assert!(hit(&client.get("/books/1").await), "the origin hasn't answered yet");
        gate.open();
        within("the invalidation", async { while hit(&client.get("/books/1").await) {} }).await;
        assert!(hit(&client.get("/books/1").await), "reset {reset}: the outcome is known, so nothing settles");
        let put = origin.requests().into_iter().find(|r| r.method == "PUT").unwrap();
        assert!(put.complete && put.body == b"{}", "it was carried to its end");
    }
}

#[tokio::test]
async fn a_write_that_is_too_large_is_an_unknown_outcome() {
    let origin = Origin::start(async |_| Reply::ok("x")).await;
    let apis = format!(
        "[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\nttl = \"10m\"",
        origin.url()
    );
    let gateway = Gateway::with("[server.limits]\nrequest_body = 10", &apis).await;
    let mut client = gateway.client().await;
    client.get("/books/1").await;
    let mut large = gateway.client().await;
    let chunked = [("transfer-encoding", "chunked")];
    large.request("PUT", "/books/1", &chunked, "8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n").await;
    assert!(!hit(&client.get("/books/1").await), "the origin may have made something of the first bytes");
}
