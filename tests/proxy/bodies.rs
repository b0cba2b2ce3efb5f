//! Bodies go through piece by piece, in both directions, with bounded memory; and what surrounds them: lengths,
//! trailers, interim answers.

use crate::support::{Client, Conn, Gate, Gateway, Origin, Piece, Reply, within};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn an_answers_first_piece_passes_before_its_last_is_sent() {
    for (method, api) in
        [("GET", "ttl = \"10m\""), ("GET", ""), ("GET", "cache = false"), ("POST", ""), ("OPTIONS", "")]
    {
        let gate = Gate::closed();
        let origin = Origin::always(Reply::status(200).chunked().body("first").wait(&gate).body(" last")).await;
        let gateway = Gateway::before(&origin, api).await;
        let mut client = gateway.client().await;
        client.send(method, "/x", &[], "").await;
        assert_eq!(client.answer_head().await.unwrap().status, 200);
        assert_eq!(client.at_least(5).await, b"first", "{method} {api}");
        gate.open();
        assert_eq!(client.at_least(5).await, b" last", "{method} {api}");
        assert!(matches!(client.piece().await, Piece::End(_)));
    }
}

#[tokio::test]
async fn a_requests_first_piece_passes_before_its_last_is_sent() {
    for (method, api) in [("PUT", ""), ("POST", ""), ("GET", ""), ("GET", "cache = false"), ("OPTIONS", "")] {
        let came = Gate::closed();
        came.open();
        let there = came.clone();
        let origin = Origin::raw(move |mut conn: Conn| {
            let there = there.clone();
            async move {
                let Some((request, mut reading)) = conn.head().await else { return };
                assert_eq!(conn.at_least(&mut reading, 5).await, b"first");
                there.pass().await;
                let rest = conn.at_least(&mut reading, 5).await;
                let whole = matches!(conn.piece(&mut reading).await, Piece::End(_));
                conn.reply(&Reply::ok(format!("{} {whole}", String::from_utf8_lossy(&rest))), &request.method).await;
            }
        })
        .await;
        let gateway = Gateway::before(&origin, api).await;
        let mut client = gateway.client().await;
        client.send(method, "/x", &[("Transfer-Encoding", "chunked")], "5\r\nfirst\r\n").await;
        came.arrived(1).await;
        client.send_raw("5\r\n last\r\n0\r\n\r\n").await;
        assert_eq!(client.answer().await.text(), " last true", "{method} {api}");
    }
}

#[tokio::test]
async fn an_answer_may_come_before_the_requests_end() {
    let origin = Origin::raw(|mut conn: Conn| async move {
        let Some((request, mut reading)) = conn.head().await else { return };
        conn.at_least(&mut reading, 1).await;
        conn.reply(&Reply::status(422).body("enough"), &request.method).await;
        conn.rest().await;
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    client.send("PUT", "/x", &[("Content-Length", "10")], "a").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text(), answer.complete), (422, "enough", true));
    // What is sent now is the rest of that body, and only then a request, if the connection is kept at all.
    client.send_raw("GET /eateGET /next HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nb").await;
    let next = client.try_answer().await;
    assert!(next.is_none_or(|answer| answer.status == 422 && answer.complete));
    assert!(origin.requests().iter().all(|r| matches!(r.target.as_str(), "/x" | "/next")), "{:?}", origin.requests());
}

/// Resident memory of this process.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_larger_than_the_memory_it_may_take_passes() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let origin = Origin::raw(move |mut conn: Conn| {
        let seen = Arc::clone(&seen);
        async move {
            let Some((request, mut reading)) = conn.head().await else { return };
            let mut bytes = 0;
            while let Piece::Data(piece) = conn.piece(&mut reading).await {
                bytes += piece.len();
                seen.fetch_max(resident(), SeqCst);
            }
            conn.reply(&Reply::ok(bytes.to_string()), &request.method).await;
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    let (piece, times) = (vec![b'x'; MIB], 200);
    let before = resident();
    client.send("PUT", "/x", &[("Content-Length", &(times * MIB).to_string())], "").await;
    for _ in 0..times {
        client.send_raw(&piece).await;
    }
    assert_eq!(client.answer().await.text(), (times * MIB).to_string());
    let grown = most.load(SeqCst).saturating_sub(before);
    assert!(grown < 100 * MIB, "{} MiB of 200 were in memory at once", grown / MIB);
}

/// What the sockets of this machine may hold beside what we do.
const SOCKETS: usize = 40 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_does_not_read_stops_the_client() {
    let gate = Gate::closed();
    let until = gate.clone();
    let origin = Origin::raw(move |mut conn: Conn| {
        let until = until.clone();
        async move {
            conn.head().await;
            until.pass().await;
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "timeouts = { first_byte = \"500ms\" }").await;
    let mut client = gateway.client().await;
    client.send("PUT", "/x", &[("Content-Length", &(200 * MIB).to_string())], "").await;
    // The gateway gives up only after half a second in which not a byte moved: so far the client got, and no further.
    let taken = client.flood(MIB, 200).await;
    assert!(taken < SOCKETS, "{} MiB went in", taken / MIB);
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_stops_the_origin() {
    for (method, api) in [("GET", "ttl = \"10m\""), ("GET", ""), ("POST", "")] {
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let origin = Origin::raw(move |mut conn: Conn| {
            let count = Arc::clone(&count);
            async move {
                conn.request().await;
                conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                let chunk = [format!("{MIB:x}\r\n").into_bytes(), vec![b'x'; MIB], b"\r\n".to_vec()].concat();
                while count.load(SeqCst) < 200 * MIB && conn.send(&chunk).await {
                    count.fetch_add(MIB, SeqCst);
                }
            }
        })
        .await;
        let api = format!(
            "[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n{api}\n",
            origin.url()
        );
        let gateway = Gateway::with("[server.limits]\nwrite_stall = \"1s\"", &api).await;
        let mut client = gateway.client().await;
        client.send(method, "/x", &[], "").await;
        origin.ended(1).await;
        let sent = sent.load(SeqCst);
        assert!(sent < SOCKETS, "{method} {api}: {} MiB were taken from the origin", sent / MIB);
    }
}

#[tokio::test]
async fn lengths_are_told_as_they_are() {
    let cacheable = |reply: Reply| reply.field("Cache-Control", "max-age=60");
    for (what, reply, body, miss, hit) in [
        ("counted", Reply::ok("12345"), "12345", Some("5"), Some("5")),
        ("chunked", Reply::ok("12345").chunked(), "12345", None, Some("5")),
        ("until the close", Reply::ok("12345").until_close(), "12345", None, Some("5")),
        ("empty", Reply::ok(""), "", Some("0"), Some("0")),
        ("empty and chunked", Reply::ok("").chunked(), "", None, Some("0")),
        ("204", Reply::status(204), "", None, None),
        ("205", Reply::status(205), "", Some("0"), Some("0")),
        ("404", Reply::status(404).body("no"), "no", Some("2"), Some("2")),
    ] {
        let origin = Origin::always(cacheable(reply)).await;
        let gateway = Gateway::before(&origin, "").await;
        let mut client = gateway.client().await;
        for (kind, expected) in [("miss", miss), ("hit", hit)] {
            let answer = client.get("/x").await;
            assert_eq!((answer.text(), answer.complete), (body, true), "{what}, {kind}");
            assert_eq!(answer.get("content-length"), expected, "{what}, {kind}");
            assert_eq!(answer.cache_says("hit"), kind == "hit", "{what}");
        }
    }
}

#[tokio::test]
async fn head_has_the_fields_and_not_the_body() {
    let reply = Reply::ok("12345").field("Cache-Control", "max-age=60").field("ETag", "\"a\"");
    let origin = Origin::always(reply).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    for (kind, asked) in [("miss", 1), ("miss again: HEAD stores nothing", 2), ("hit", 3)] {
        if asked == 3 {
            client.get("/x").await;
        }
        let answer = client.request("HEAD", "/x", &[], "").await;
        assert_eq!((answer.status, answer.get("content-length")), (200, Some("5")), "{kind}");
        assert_eq!((answer.get("etag"), answer.cache_says("hit")), (Some("\"a\""), asked == 3), "{kind}");
        assert_eq!(origin.count(), asked, "{kind}");
    }
}

#[tokio::test]
async fn a_coded_body_passes_as_it_is() {
    let coded = b"\x1f\x8b\x08\0\0\0\0\0\0\x03no gzip at all".to_vec();
    let reply = Reply::ok(&coded).field("Content-Encoding", "gzip").field("Vary", "Accept-Encoding");
    let origin = Origin::always(reply.field("Cache-Control", "max-age=60")).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    for hit in [false, true] {
        let answer = client.get_with("/x", &[("Accept-Encoding", "gzip")]).await;
        assert_eq!((&answer.body, answer.get("content-encoding")), (&coded, Some("gzip")));
        assert_eq!(answer.cache_says("hit"), hit);
    }
    assert_eq!(origin.requests()[0].get("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let reply = Reply::ok("body").field("Trailer", "X-Sum").trailer("X-Sum", "9").field("Cache-Control", "max-age=60");
    let origin = Origin::always(reply).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    for kind in ["miss", "hit"] {
        let answer = client.get_with("/x", &[("TE", "trailers")]).await;
        assert_eq!((answer.text(), answer.trailers.get("x-sum")), ("body", Some("9")), "{kind}");
        assert_eq!(answer.cache_says("hit"), kind == "hit");
    }
    assert_eq!(origin.requests()[0].get("te"), Some("trailers"));
    let body = "4\r\nbody\r\n0\r\nX-Sum: 7\r\n\r\n";
    client.request("POST", "/x", &[("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")], body).await;
    let seen = origin.requests().pop().unwrap();
    assert_eq!((seen.body.as_slice(), seen.trailers.get("x-sum")), (&b"body"[..], Some("7")));
}

#[tokio::test]
async fn early_hints_pass() {
    let gate = Gate::closed();
    let waiting = gate.clone();
    let origin = Origin::raw(move |mut conn: Conn| {
        let gate = waiting.clone();
        async move {
            while let Some(request) = conn.request().await {
                conn.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n").await;
                gate.pass().await;
                conn.reply(&Reply::ok("hi"), &request.method).await;
            }
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    for method in ["GET", "POST", "OPTIONS"] {
        let mut client = gateway.client().await;
        client.send(method, "/x", &[], "").await;
        let hint = String::from_utf8(client.tunnelled(44).await).unwrap().to_ascii_lowercase();
        assert_eq!(hint, "http/1.1 103 early hints\r\nlink: </a.css>\r\n\r\n", "{method}: before its answer is there");
        gate.open();
        assert_eq!(client.answer().await.text(), "hi");
        gate.close();
    }
}

#[tokio::test]
async fn a_client_that_waits_for_100_is_told_to_go_on() {
    let origin = Origin::start(|r| async move { Reply::ok(r.body) }).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    client.send("PUT", "/x", &[("Expect", "100-continue"), ("Content-Length", "4")], "").await;
    assert_eq!(client.tunnelled(25).await, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send_raw("body").await;
    assert_eq!(client.answer().await.text(), "body");
    assert_eq!(origin.requests()[0].get("expect"), None);
    let refused = client.request("PUT", "/%00", &[("Expect", "100-continue"), ("Content-Length", "4")], "").await;
    assert_eq!((refused.status, refused.interim.len()), (400, 0), "no body is asked for in vain");
}

#[tokio::test]
async fn endless_answers_are_streamed_at_once_and_are_nobody_elses() {
    let kinds = ["text/event-stream", "Text/Event-Stream; charset=utf-8", "multipart/x-mixed-replace;boundary=x"];
    for kind in kinds.into_iter().chain(["application/grpc", "application/grpc+proto"]) {
        let gate = Gate::closed();
        let reply = Reply::status(200).field("Content-Type", kind).field("Cache-Control", "public, max-age=600");
        let origin = Origin::always(reply.chunked().body("event").wait(&gate).body("s end")).await;
        let gateway = Gateway::before(&origin, "ttl = \"10m\"\nfreshness = \"ttl\"").await;
        let mut clients: Vec<Client> = Vec::new();
        for n in 1..=3 {
            let mut client = gateway.client().await;
            client.send("GET", "/x", &[], "").await;
            let head = client.answer_head().await.unwrap();
            assert!(!head.cache_says("stored") && head.cache_says("detail=stream"), "{kind}");
            assert_eq!(client.at_least(5).await, b"event", "{kind}");
            origin.received(n).await;
            clients.push(client);
        }
        gate.open();
        for client in &mut clients {
            assert_eq!(within("the end", client.at_least(5)).await, b"s end");
        }
        assert!(!gateway.client().await.get("/x").await.cache_says("hit"), "{kind}");
        assert_eq!(origin.count(), 4, "{kind}");
    }
}
