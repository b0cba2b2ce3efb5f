//! Other protocols over the same connection: only those that the API lists.

use crate::support::{Conn, Gateway, Origin, Piece, Reply};

const ASK: [(&str, &str); 3] = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "x")];

/// Switches to `protocol`, then gives back every byte; other requests get an ordinary answer.
async fn switching(protocol: &'static str) -> Origin {
    Origin::raw(move |mut conn: Conn| async move {
        let Some(request) = conn.request().await else { return };
        if request.get("upgrade").is_none() {
            conn.reply(&Reply::ok("ordinary"), &request.method).await;
            return;
        }
        conn.send(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\r\n"))
            .await;
        conn.send("hello ").await;
        conn.echo().await;
    })
    .await
}

#[tokio::test]
async fn a_listed_protocol_is_carried_both_ways() {
    let origin = switching("websocket").await;
    let gateway = Gateway::before(&origin, "upgrade = [\"websocket\"]\nttl = \"10m\"").await;
    let mut client = gateway.client().await;
    client.send("GET", "/ws", &ASK, "").await;
    let answer = client.answer_head().await.unwrap();
    assert_eq!((answer.status, answer.get("upgrade")), (101, Some("websocket")));
    assert!(answer.lists("connection", "upgrade") && answer.get("via").is_some());
    assert_eq!(client.tunnelled(6).await, b"hello ");
    // Bytes that would be a bad head.
    let bytes = b"\n#\0\r\r\n\n\xff GET";
    client.send_raw(bytes).await;
    assert_eq!(client.tunnelled(bytes.len()).await, bytes);
    let seen = &origin.requests()[0];
    assert_eq!((seen.get("upgrade"), seen.get("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!(seen.get("sec-websocket-key"), Some("x"));
    client.finish().await;
    assert_eq!(client.closed().await, b"", "the end passes as well");
    origin.ended(1).await;
}

#[tokio::test]
async fn another_protocol_is_ignored() {
    let origin = switching("websocket").await;
    for upgrade in ["", "upgrade = [\"soap\"]"] {
        let gateway = Gateway::before(&origin, upgrade).await;
        let answer = gateway.client().await.get_with("/ws", &ASK).await;
        assert_eq!((answer.status, answer.text()), (200, "ordinary"));
        let seen = origin.requests().pop().unwrap();
        assert_eq!((seen.get("upgrade"), seen.get("connection")), (None, None));
    }
}

#[tokio::test]
async fn an_origin_that_declines_gives_an_ordinary_answer() {
    let origin = Origin::always(Reply::status(403).body("no")).await;
    let gateway = Gateway::before(&origin, "upgrade = [\"websocket\"]").await;
    let mut client = gateway.client().await;
    let answer = client.get_with("/ws", &ASK).await;
    assert_eq!((answer.status, answer.text()), (403, "no"));
    assert_eq!(client.get("/x").await.status, 403, "the connection goes on");
}

#[tokio::test]
async fn an_upgrade_is_no_way_around_a_writes_invalidation() {
    let origin = Origin::always(Reply::ok("x")).await;
    let gateway = Gateway::before(&origin, "upgrade = [\"websocket\"]\nttl = \"10m\"").await;
    let mut client = gateway.client().await;
    client.get("/x").await;
    assert!(client.get("/x").await.cache_says("hit"));
    assert_eq!(client.request("POST", "/x", &ASK, "").await.status, 200);
    assert!(!client.get("/x").await.cache_says("hit"));
}

#[tokio::test]
async fn an_origin_that_switches_to_something_else_has_broken_its_answer() {
    let origin = switching("gopher").await;
    let gateway = Gateway::before(&origin, "upgrade = [\"websocket\"]").await;
    let answer = gateway.client().await.get_with("/ws", &ASK).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["type"], "urn:freshgate:problem:bad-answer");
}

#[tokio::test]
async fn a_101_that_nobody_asked_for_opens_nothing() {
    let raw =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    let origin = Origin::always(Reply::raw(raw)).await;
    let gateway = Gateway::before(&origin, "upgrade = [\"websocket\"]\nttl = \"10m\"").await;
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        let mut client = gateway.client().await;
        client.send(method, "/x", &[], "").await;
        let answer = client.answer_head().await.unwrap();
        assert_eq!(answer.status, 502, "{method}");
        assert!(method == "HEAD" || matches!(client.piece().await, Piece::Data(_)));
    }
}
