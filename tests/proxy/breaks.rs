//! Origins that break off, dawdle or can't be reached: the client sees it, and nothing of it is kept.

use crate::support::{Answer, Client, Conn, Gate, Gateway, Origin, Reply};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Breaks the first answer, then behaves.
async fn breaking_once(broken: Reply) -> Origin {
    let asked = Arc::new(AtomicUsize::new(0));
    let good = Reply::ok("whole again").field("Cache-Control", "max-age=60");
    Origin::start(move |_| {
        let reply = if asked.fetch_add(1, SeqCst) == 0 { broken.clone() } else { good.clone() };
        async move { reply }
    })
    .await
}

/// Asks for `/x`; a break shows as 502 or an incomplete message, never as a shorter whole.
async fn broken(client: &mut Client, method: &str) -> Answer {
    let answer = client.request(method, "/x", &[], "").await;
    assert!(!answer.complete || answer.status == 502, "{method}: {answer:?}");
    answer
}

fn breaks() -> Vec<(&'static str, Option<&'static str>, Reply)> {
    let fresh = |reply: Reply| reply.field("Cache-Control", "max-age=600");
    let raw = |bytes: &str| Reply::raw(bytes).close();
    vec![
        ("closed before the head", Some("origin-closed"), Reply::nothing()),
        ("reset before the head", Some("origin-closed"), Reply::raw("").reset()),
        ("closed inside the head", None, raw("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n")),
        ("garbage", Some("bad-answer"), raw("I am not HTTP\r\n\r\n")),
        ("a bad status", Some("bad-answer"), raw("HTTP/1.1 2x0 OK\r\n\r\n")),
        ("two lengths", Some("bad-answer"), raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")),
        ("a bad length", Some("bad-answer"), raw("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab")),
        (
            "codings in a row",
            Some("bad-answer"),
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ),
        ("a folded line", Some("bad-answer"), raw("HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 1\r\n\r\na")),
        ("a short body", None, fresh(Reply::ok("12345")).claiming(10).cut()),
        ("a reset body", None, fresh(Reply::ok("12345")).claiming(10).reset()),
        ("no last chunk", None, fresh(Reply::ok("12345")).chunked().cut()),
        ("a reset after a chunk", None, fresh(Reply::ok("12345")).chunked().reset()),
        (
            "a bad chunk",
            None,
            raw(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n",
            ),
        ),
        (
            "a long chunk",
            None,
            raw(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n12345\r\n0\r\n\r\n",
            ),
        ),
    ]
}

#[tokio::test]
async fn a_break_is_seen_and_not_stored() {
    for (what, name, reply) in breaks() {
        for (method, api) in [("GET", "ttl = \"10m\""), ("GET", "cache = false"), ("POST", ""), ("OPTIONS", "")] {
            let origin = breaking_once(reply.clone()).await;
            let gateway = Gateway::before(&origin, api).await;
            let answer = broken(&mut gateway.client().await, method).await;
            if let Some(name) = name {
                assert_eq!(answer.status, 502, "{what}, {method} {api}");
                assert_eq!(answer.json()["type"], format!("urn:freshgate:problem:{name}"), "{what}, {method} {api}");
            }
            let next = gateway.client().await.get("/x").await;
            assert_eq!((next.text(), next.cache_says("hit")), ("whole again", false), "{what}, {method} {api}");
            assert_eq!(origin.count(), 2, "{what}, {method} {api}: nothing is repeated after something was sent");
        }
    }
}

#[tokio::test]
async fn all_who_joined_see_the_break() {
    let gate = Gate::closed();
    let reply = Reply::ok("12345").field("Cache-Control", "max-age=600").claiming(10).wait(&gate).cut();
    let origin = breaking_once(reply).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut clients = Vec::new();
    for n in 0..3 {
        let mut client = gateway.client().await;
        client.send("GET", "/x", &[], "").await;
        let head = client.answer_head().await.unwrap();
        assert_eq!((head.status, head.cache_says("collapsed")), (200, n > 0));
        clients.push(client);
    }
    gate.open();
    for mut client in clients {
        assert_eq!(client.at_least(10).await, b"12345");
        assert!(client.piece().await == crate::support::Piece::Broken);
    }
    assert_eq!(gateway.client().await.get("/x").await.text(), "whole again");
    assert_eq!(origin.count(), 2);
}

fn problem(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["type"].as_str().unwrap().replace("urn:freshgate:problem:", ""))
}

async fn gateway_to(url: &str, api: &str) -> Gateway {
    let one = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{url}\"]\n{api}\n");
    Gateway::with("", &one).await
}

/// An address that nobody listens on.
async fn nobody() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn an_origin_that_cannot_be_reached_is_502_or_504() {
    let gone = gateway_to(&format!("http://{}", nobody().await), "ttl = \"10m\"").await;
    // Takes the connection and never answers the handshake.
    let mute = Origin::raw(|mut conn: Conn| async move { drop(conn.rest().await) }).await;
    let url = mute.url().replace("http:", "https:");
    let silent = gateway_to(&url, "ttl = \"10m\"\ntimeouts = { connect = \"200ms\" }").await;
    let over = gateway_to(&url, "timeouts = { total = \"200ms\" }").await;
    for method in ["GET", "POST", "OPTIONS"] {
        let ask = async |gateway: &Gateway| problem(&gateway.client().await.request(method, "/x", &[], "").await);
        assert_eq!(ask(&gone).await, (502, "origin-unreachable".into()), "{method}");
        assert_eq!(ask(&silent).await, (504, "connect-timeout".into()), "{method}");
        assert_eq!(ask(&over).await, (504, "total-timeout".into()), "{method}");
    }
}

#[tokio::test]
async fn an_origin_that_dawdles_is_504_before_the_head_and_a_break_after_it() {
    let gate = Gate::closed();
    let origin = {
        let gate = gate.clone();
        Origin::start(move |r| {
            let gate = gate.clone();
            async move {
                if r.target == "/head" {
                    gate.pass().await;
                }
                let fresh = Reply::ok("12345").field("Cache-Control", "max-age=600");
                if r.target == "/body" { fresh.chunked().wait(&gate) } else { fresh }
            }
        })
        .await
    };
    let quick = "timeouts = { first_byte = \"200ms\", between_bytes = \"200ms\" }";
    let total = "timeouts = { total = \"300ms\" }";
    for (timeouts, late) in [(quick, "first-byte-timeout"), (total, "total-timeout")] {
        let gateway = Gateway::before(&origin, timeouts).await;
        let mut client = gateway.client().await;
        for method in ["GET", "POST", "OPTIONS"] {
            assert_eq!(problem(&client.request(method, "/head", &[], "").await), (504, late.into()), "{method}");
        }
        for method in ["GET", "POST"] {
            let answer = gateway.client().await.request(method, "/body", &[], "").await;
            assert_eq!((answer.status, answer.text(), answer.complete), (200, "12345", false), "{method} {timeouts}");
        }
        let before = origin.count();
        gateway.client().await.get("/body").await;
        assert_eq!(origin.count(), before + 1, "nothing was stored");
        assert_eq!(gateway.client().await.get("/fine").await.text(), "12345");
    }
}

#[tokio::test]
async fn a_client_that_is_too_slow_or_leaves_is_not_the_origins_fault() {
    let origin = Origin::start(|r| async move { Reply::ok(r.body) }).await;
    let one = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n", origin.url());
    let gateway = Gateway::with("[server.limits]\nidle_timeout = \"1s\"\nrequest_body = \"64B\"", &one).await;
    let chunked = [("Transfer-Encoding", "chunked")];
    for (what, body, expected) in [
        ("slow", "5\r\nab", (400, "client-slow")),
        ("bad size", "zz\r\nab", (400, "client-broke")),
        ("a size beyond 64 bits", "10000000000000000\r\nab", (400, "client-broke")),
        ("negative size", "-1\r\nab", (400, "client-broke")),
        ("no end of a chunk", "2\r\nabcd\r\n0\r\n\r\n", (400, "client-broke")),
        ("bare LF", "2\nab\r\n0\r\n\r\n", (400, "client-broke")),
        ("bad trailers", "2\r\nab\r\n0\r\nno colon\r\n\r\n", (400, "client-broke")),
        (
            "too large",
            "41\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n0\r\n\r\n",
            (413, "request-too-large"),
        ),
    ] {
        for method in ["PUT", "OPTIONS"] {
            let before = origin.requests().len();
            let mut client = gateway.client().await;
            client.send(method, "/x", &chunked, body).await;
            let follower = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
            client.send_raw(if what == "slow" { "" } else { follower }).await;
            let answer = client.answer().await;
            assert_eq!(problem(&answer), (expected.0, expected.1.into()), "{what} {method}");
            assert_eq!(client.closed().await, b"", "{what}: closed");
            let seen = origin.requests().split_off(before);
            assert!(seen.iter().all(|r| !r.complete), "{what}: never looks whole: {seen:?}");
        }
    }
    let mut leaving = gateway.client().await;
    leaving.send("PUT", "/left", &[("Content-Length", "10")], "half").await;
    leaving.finish().await;
    assert_eq!(gateway.client().await.get("/fine").await.status, 200);
    assert!(origin.requests().iter().all(|r| r.target != "/left" || !r.complete));
}

#[tokio::test]
async fn connections_are_used_again() {
    let origin = Origin::always(Reply::ok("hi")).await;
    let gateway = Gateway::before(&origin, "").await;
    for method in ["GET", "POST", "HEAD", "GET", "OPTIONS", "DELETE", "GET"] {
        gateway.client().await.request(method, "/x", &[], "").await;
    }
    assert_eq!((origin.count(), origin.connections()), (7, 1));
}

/// Serves one request per connection and closes it on the second, unanswered.
async fn closing_when_asked_again() -> Origin {
    Origin::raw(|mut conn: Conn| async move {
        let Some(request) = conn.request().await else { return };
        conn.reply(&Reply::ok("hi"), &request.method).await;
        conn.request().await;
    })
    .await
}

#[tokio::test]
async fn a_read_is_repeated_when_its_idle_connection_closes_and_a_write_is_not() {
    for (method, status, arrived) in
        [("GET", 200, 3), ("HEAD", 200, 3), ("OPTIONS", 200, 3), ("POST", 502, 2), ("DELETE", 502, 2), ("PUT", 502, 2)]
    {
        let origin = closing_when_asked_again().await;
        let gateway = Gateway::before(&origin, "").await;
        let mut client = gateway.client().await;
        client.get("/warm").await;
        assert_eq!(client.request(method, "/x", &[], "").await.status, status, "{method}");
        assert_eq!(origin.count(), arrived, "{method}: how often anything arrived");
    }
}
