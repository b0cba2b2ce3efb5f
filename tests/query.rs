//! QUERY: read like a GET, and known by its content (draft-ietf-httpbis-safe-method-w-body).

#![cfg(test)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Answer, Gate, Gateway, Origin, Reply, Request};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Numbered answers, fresh for a minute.
async fn numbered(rest: &str, api: &str) -> (Gateway, Origin) {
    answering(rest, api, |_, reply| reply.field("Cache-Control", "max-age=60")).await
}

async fn answering(
    rest: &str,
    api: &str,
    more: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
) -> (Gateway, Origin) {
    let count = AtomicUsize::new(0);
    let origin = Origin::start(move |r| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        std::future::ready(more(&r, Reply::ok(n.to_string())))
    })
    .await;
    let table = "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"";
    let gateway = Gateway::with(rest, &format!("{table}\nupstream = [\"{}\"]\n{api}\n", origin.url())).await;
    (gateway, origin)
}

async fn query_with(gateway: &Gateway, target: &str, fields: &[(&str, &str)], content: &str) -> Answer {
    let answer = gateway.client().await.request("QUERY", target, fields, content).await;
    gateway.settled().await;
    answer
}

async fn query(gateway: &Gateway, target: &str, content: &str) -> Answer {
    query_with(gateway, target, &[JSON], content).await
}

#[tokio::test]
async fn the_same_question_is_answered_from_the_store() {
    let (gateway, origin) = numbered("", "").await;
    assert_eq!(query(&gateway, "/find", "{\"a\":1}").await.text(), "0");
    let asked = &origin.requests()[0];
    assert_eq!(
        (asked.method.as_str(), &asked.body[..], asked.get("content-type")),
        ("QUERY", &b"{\"a\":1}"[..], Some(JSON.1))
    );
    let again = query(&gateway, "/find", "{\"a\":1}").await;
    assert_eq!((again.text(), again.cache_says("hit"), again.get("age").is_some()), ("0", true, true));
    for (n, (target, fields, content)) in [
        ("/find", &[JSON][..], "{\"a\":2}"),
        ("/find?x", &[JSON], "{\"a\":1}"),
        ("/seek", &[JSON], "{\"a\":1}"),
        ("/find", &[("Content-Type", "text/plain")], "{\"a\":1}"),
        ("/find", &[JSON, ("Content-Encoding", "x")], "{\"a\":1}"),
        ("/find", &[], "{\"a\":1}"),
        ("/find", &[JSON], ""),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            query_with(&gateway, target, fields, content).await.text(),
            (n + 1).to_string(),
            "{target} {fields:?} {content}"
        );
    }
    assert_eq!(gateway.client().await.get("/find").await.text(), "8", "nor is it the answer to a GET");
    assert!(query(&gateway, "/find", "{\"a\":1}").await.cache_says("hit"));
}

#[tokio::test]
async fn it_is_kept_by_the_rules_of_a_get() {
    for (api, fields, kept) in [
        ("", &[][..], false),
        ("ttl = \"10m\"", &[], true),
        ("ttl = \"10m\"", &[("Cache-Control", "no-store")], false),
        ("", &[("Cache-Control", "private, max-age=60")], false),
        ("cache = false", &[("Cache-Control", "max-age=60")], false),
    ] {
        let (gateway, _origin) =
            answering("", api, move |_, reply| fields.iter().fold(reply, |reply, (n, v)| reply.field(n, v))).await;
        query(&gateway, "/find", "x").await;
        assert_eq!(query(&gateway, "/find", "x").await.cache_says("hit"), kept, "{api} {fields:?}");
    }
}

#[tokio::test]
async fn it_invalidates_nothing_and_is_invalidated_with_its_path() {
    let (gateway, _origin) = numbered("", "").await;
    let mut client = gateway.client().await;
    client.get("/find").await;
    query(&gateway, "/find", "x").await;
    assert!(client.get("/find").await.cache_says("hit"));
    client.put("/find", "").await;
    assert!(!query(&gateway, "/find", "x").await.cache_says("hit"));
    gateway.purge(serde_json::json!({ "path": "/find" })).await;
    assert!(!query(&gateway, "/find", "x").await.cache_says("hit"));
}

#[tokio::test]
async fn callers_and_variants_stay_apart() {
    let (gateway, _origin) =
        answering("", "ttl = \"10m\"", |_, reply| reply.field("Vary", "Accept").field("Cache-Control", "max-age=60"))
            .await;
    let alice = [JSON, ("Authorization", "alice")];
    assert_eq!(query_with(&gateway, "/find", &alice, "x").await.text(), "0");
    assert_eq!(query(&gateway, "/find", "x").await.text(), "1");
    assert_eq!(query_with(&gateway, "/find", &[JSON, ("Accept", "a/b")], "x").await.text(), "2");
    assert_eq!(query_with(&gateway, "/find", &alice, "x").await.text(), "0");
    assert_eq!(query(&gateway, "/find", "x").await.text(), "1");
}

#[tokio::test]
async fn a_long_content_passes_whole_and_its_answer_is_not_kept() {
    let (gateway, origin) = numbered("[server.limits]\nquery_body = \"10B\"", "").await;
    for (content, kept) in [("0123456789", true), ("01234567890", false)] {
        for _ in 0..2 {
            query(&gateway, "/find", content).await;
        }
        let hit = query(&gateway, "/find", content).await;
        assert_eq!((hit.cache_says("hit"), hit.cache_says("detail=query-too-long")), (kept, !kept));
        assert_eq!(origin.requests().last().unwrap().body, content.as_bytes());
    }
    let mut client = gateway.client().await;
    client
        .send_raw("QUERY /find HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n9\r\n456789abc\r\n0\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(origin.requests().last().unwrap().body, b"0123456789abc");
    client
        .send_raw("QUERY /find HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n1\r\nq\r\n0\r\nx: 1\r\n\r\n")
        .await;
    assert!(client.answer().await.cache_says("detail=query-too-long"));
    let last = origin.requests().pop().unwrap();
    assert_eq!((&last.body[..], last.trailers.get("x")), (&b"q"[..], Some("1")), "nothing is lost");
}

#[tokio::test]
async fn a_content_that_comes_in_chunks_is_the_same_question() {
    let (gateway, origin) = numbered("", "").await;
    query_with(&gateway, "/find", &[], "question").await;
    let mut client = gateway.client().await;
    client
        .send_raw(
            "QUERY /find HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nquest\r\n3\r\nion\r\n0\r\n\r\n",
        )
        .await;
    // The Host is another one than before, so this is the first of its kind; the next isn't.
    assert_eq!(client.answer().await.text(), "1");
    gateway.settled().await;
    let same = client.host("a").request("QUERY", "/find", &[], "question").await;
    assert_eq!((same.text(), same.cache_says("hit"), origin.count()), ("1", true, 2));
}

#[tokio::test]
async fn a_crowd_with_one_question_asks_once() {
    let gate = Gate::closed();
    let theirs = gate.clone();
    let origin = Origin::start(move |_| {
        let gate = theirs.clone();
        async move {
            gate.pass().await;
            Reply::ok("found").field("Cache-Control", "max-age=60")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = gateway.client().await;
        client.send("QUERY", "/find", &[JSON], "x").await;
        clients.push(client);
    }
    origin.received(1).await;
    support::within("nineteen who wait", async {
        while !gateway.admin("GET", "/metrics", "").await.text().contains("freshgate_waiting_requests 19") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().await.text(), "found");
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn a_stale_answer_is_confirmed_with_the_question() {
    let (gateway, origin) = answering("", "", |r, reply| {
        let reply = if r.get("if-none-match").is_some() { Reply::status(304) } else { reply };
        reply.field("Cache-Control", "max-age=60").field("ETag", "\"v1\"")
    })
    .await;
    query(&gateway, "/find", "x").await;
    let known = query_with(&gateway, "/find", &[JSON, ("If-None-Match", "\"v1\"")], "x").await;
    assert_eq!((known.status, known.cache_says("hit")), (304, true));
    gateway.step(61);
    let answer = query(&gateway, "/find", "x").await;
    assert_eq!((answer.text(), answer.cache_says("fwd-status=304")), ("0", true));
    let asked = origin.requests().pop().unwrap();
    assert_eq!((asked.method.as_str(), &asked.body[..]), ("QUERY", &b"x"[..]));
    let part = query_with(&gateway, "/find", &[JSON, ("Range", "bytes=0-0")], "x").await;
    assert_eq!((part.status, part.get("content-range")), (206, Some("bytes 0-0/1")));
}

#[tokio::test]
async fn a_question_that_breaks_off_is_not_asked() {
    let (gateway, origin) = numbered("", "").await;
    let mut client = gateway.client().await;
    client.send_raw("QUERY /find HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1234").await;
    client.finish().await;
    client.closed().await;
    query(&gateway, "/find", "other").await;
    assert_eq!(origin.count(), 1);
}
