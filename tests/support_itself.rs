//! The tools of the other tests, tested: an origin that misbehaves on purpose is seen by the client for what it is.

#![cfg(test)]

mod support;

use support::{Client, Gate, Origin, Piece, Reply};

#[tokio::test]
async fn a_connection_carries_several_requests_and_all_are_recorded() {
    let origin = Origin::start(async |request| Reply::ok(format!("{} {}", request.method, request.target))).await;
    let mut client = Client::connect(origin.addr).await;
    assert_eq!(client.get("/a?b=c").await.text(), "GET /a?b=c");
    let answer = client.request("PUT", "/d", &[("X-One", "1")], "hello").await;
    assert_eq!((answer.status, answer.text(), answer.complete), (200, "PUT /d", true));
    let requests = origin.requests();
    assert_eq!((origin.count(), origin.connections(), origin.faults().len()), (2, 1, 0));
    assert_eq!((requests[1].body.as_slice(), requests[1].get("x-one")), (&b"hello"[..], Some("1")));
}

#[tokio::test]
async fn chunks_trailers_and_early_hints_are_read() {
    let reply =
        Reply::status(200).early_hints("</style.css>; rel=preload").trailer("X-Sum", "42").body("ab").body("cd");
    let origin = Origin::always(reply).await;
    let mut client = Client::connect(origin.addr).await;
    for _ in 0..2 {
        let answer = client.get("/").await;
        assert_eq!((answer.text(), answer.trailers.get("x-sum"), answer.complete), ("abcd", Some("42"), true));
        assert_eq!((answer.interim[0].0, answer.interim[0].1.get("link")), (103, Some("</style.css>; rel=preload")));
    }
}

#[tokio::test]
async fn a_broken_body_is_told_from_a_whole_one() {
    let long = Reply::ok("half").claiming(8);
    let chunks = Reply::ok("half").chunked();
    for reply in [long.clone().cut(), long.reset(), chunks.clone().cut(), chunks.clone().reset()] {
        let origin = Origin::always(reply).await;
        let answer = Client::connect(origin.addr).await.get("/").await;
        assert!(!answer.complete, "{answer:?}");
    }
    for reply in [Reply::ok("half").until_close(), chunks.close(), Reply::ok("half").close()] {
        let origin = Origin::always(reply).await;
        let answer = Client::connect(origin.addr).await.get("/").await;
        assert_eq!((answer.text(), answer.complete), ("half", true));
    }
}

#[tokio::test]
async fn no_answer_is_none() {
    let origin = Origin::always(Reply::nothing()).await;
    let mut client = Client::connect(origin.addr).await;
    client.send("GET", "/", &[], "").await;
    assert!(client.try_answer().await.is_none());
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_usable() {
    let origin = Origin::start(async |request| match request.target.as_str() {
        "/204" => Reply::status(204),
        "/304" => Reply::status(304).field("ETag", "\"1\""),
        _ => Reply::ok("body"),
    })
    .await;
    let mut client = Client::connect(origin.addr).await;
    assert_eq!(client.get("/204").await.status, 204);
    assert_eq!(client.get("/304").await.status, 304);
    let head = client.request("HEAD", "/", &[], "").await;
    assert_eq!((head.get("content-length"), head.body.len()), (Some("4"), 0));
    assert_eq!(client.get("/").await.text(), "body");
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn a_gate_holds_a_body_back_until_it_is_opened() {
    let gate = Gate::closed();
    let origin = Origin::always(Reply::ok("first").wait(&gate).body("second")).await;
    let mut client = Client::connect(origin.addr).await;
    client.send("GET", "/", &[], "").await;
    assert_eq!(client.answer_head().await.map(|a| a.status), Some(200));
    assert_eq!(client.at_least(5).await, b"first");
    gate.arrived(1).await;
    gate.open();
    assert_eq!(client.at_least(6).await, b"second");
    assert!(matches!(client.piece().await, Piece::End(_)));
}

#[tokio::test]
async fn a_handler_waits_at_a_gate_while_others_arrive() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let held = held.clone();
        async move {
            held.pass().await;
            Reply::ok("late")
        }
    })
    .await;
    let (mut one, mut two) = (Client::connect(origin.addr).await, Client::connect(origin.addr).await);
    one.send("GET", "/1", &[], "").await;
    two.send("GET", "/2", &[], "").await;
    gate.arrived(2).await;
    assert_eq!(origin.count(), 2);
    gate.open();
    assert_eq!((one.answer().await.text(), two.answer().await.text()), ("late", "late"));
}

#[tokio::test]
async fn what_is_not_http_is_a_fault() {
    let origin = Origin::always(Reply::ok("")).await;
    let bad = [
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
    ];
    for (n, bytes) in bad.iter().enumerate() {
        let mut client = Client::connect(origin.addr).await;
        client.send_raw(bytes).await;
        assert_eq!(client.closed().await, b"");
        assert_eq!(origin.faults().len(), n + 1, "{bytes:?}");
    }
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn a_script_may_answer_before_the_request_has_ended() {
    let origin = Origin::raw(|mut conn| async move {
        let (request, mut body) = conn.head().await.unwrap();
        assert_eq!(conn.at_least(&mut body, 5).await, b"begun");
        conn.reply(&Reply::status(413).field("Connection", "close"), &request.method).await;
    })
    .await;
    let mut client = Client::connect(origin.addr).await;
    client.send("POST", "/", &[("Content-Length", "10")], "begun").await;
    assert_eq!(client.answer().await.status, 413);
    origin.ended(1).await;
    assert!(!origin.requests()[0].complete);
}
