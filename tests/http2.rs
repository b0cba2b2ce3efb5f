//! HTTP/2 towards clients: the same answers as over HTTP/1.1, and every limit that the library under it leaves open.

#![cfg(test)]

mod support;

use bytes::Bytes;
use h2::Reason;
use std::future::ready;
use support::{Client, Gate, Gateway, H2, Origin, Reply, receive, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const API: &str = "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"ORIGIN\"]\n";

/// Before `origin`, with these limits.
async fn limited(origin: &Origin, limits: &str) -> Gateway {
    let server = format!("limits = {{ {limits} }}\n");
    Gateway::from_parts(&server, "", &API.replace("ORIGIN", &origin.url())).await
}

async fn kept() -> Origin {
    Origin::start(|request| ready(Reply::ok(request.target).field("Cache-Control", "max-age=60"))).await
}

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The fields of a GET, none of them by a dynamic table (RFC 7541 §6).
fn get_block(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    [&[0x82, 0x86, 0x04, length], path.as_bytes(), &[0x01, 0x01, b'a']].concat()
}

/// A connection as bytes, after the preface.
async fn raw(gateway: &Gateway) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    stream
}

/// Waits until the other side has ended the connection.
async fn ended(stream: &mut TcpStream) {
    let mut space = [0; 4096];
    within("the end of the connection", async { while stream.read(&mut space).await.is_ok_and(|n| n > 0) {} }).await;
}

#[tokio::test]
async fn a_hit_is_a_hit_whatever_is_spoken() {
    let origin = kept().await;
    let gateway = Gateway::before(&origin, "").await;
    let mut two = H2::connect(gateway.addr).await;
    let missed = two.get("/a?b=1").await;
    assert_eq!((missed.status, missed.text()), (200, "/a?b=1"));
    assert!(missed.cache_says("fwd=uri-miss") && missed.get("via").is_some(), "{missed:?}");
    gateway.settled().await;
    assert!(two.get("/a?b=1").await.cache_says("hit"));
    assert!(gateway.client().await.get("/a?b=1").await.cache_says("hit"), "the same host, the same key");
    let head = two.ask("HEAD", "/a?b=1", &[], "").await.unwrap();
    assert!(head.cache_says("hit") && head.body.is_empty());
    let tag = two.ask("GET", "/a?b=1", &[("if-none-match", "*")], "").await.unwrap();
    assert_eq!(tag.status, 304);
    let requests = origin.requests();
    assert_eq!(requests.len(), 1);
    let host = gateway.addr.to_string();
    assert_eq!(
        (requests[0].get("x-forwarded-host"), requests[0].get("x-forwarded-proto")),
        (Some(&*host), Some("http"))
    );
    assert_eq!(requests[0].get("host"), Some(&*origin.addr.to_string()));
}

#[tokio::test]
async fn streams_of_one_connection_share_one_question() {
    let gate = Gate::closed();
    let closed = gate.clone();
    let origin = Origin::start(move |_| {
        let gate = closed.clone();
        async move {
            gate.pass().await;
            Reply::ok("shared").field("Cache-Control", "max-age=60")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = H2::connect(gateway.addr).await;
    let mut answers = Vec::new();
    for _ in 0..50 {
        let request = client.request_of("GET", "/a", &[]);
        answers.push(client.open(request, true).await.0);
    }
    gate.arrived(1).await;
    gate.open();
    for answer in answers {
        assert_eq!(receive(answer).await.unwrap().text(), "shared");
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn bodies_of_any_size_pass_both_ways() {
    let large = "0123456789abcdef".repeat(40_000);
    let stored = large.clone();
    let origin = Origin::start(move |request| {
        let reply = if request.method == "GET" {
            Reply::ok(&stored).field("Cache-Control", "max-age=60")
        } else {
            Reply::ok(request.body)
        };
        ready(reply)
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = H2::connect(gateway.addr).await;
    for way in ["fwd=uri-miss", "hit"] {
        let answer = client.get("/a").await;
        assert!(answer.complete && answer.cache_says(way) && answer.text() == large);
        gateway.settled().await;
    }
    let part = client.ask("GET", "/a", &[("range", "bytes=16-31")], "").await.unwrap();
    assert_eq!((part.status, part.text()), (206, "0123456789abcdef"));

    let request = client.request_of("PUT", "/a", &[]);
    let (answer, mut stream) = client.open(request, false).await;
    for piece in large.as_bytes().chunks(10_000) {
        stream.reserve_capacity(piece.len());
        while stream.capacity() < piece.len() {
            within("room", std::future::poll_fn(|cx| stream.poll_capacity(cx))).await.unwrap().unwrap();
        }
        stream.send_data(Bytes::copy_from_slice(piece), false).unwrap();
    }
    stream.send_data(Bytes::new(), true).unwrap();
    assert!(receive(answer).await.unwrap().text() == large);
}

/// Method, target, fields; status and the name of the refusal.
type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16, &'a str);

#[tokio::test]
async fn what_is_ambiguous_is_refused_as_over_http1() {
    let origin = kept().await;
    let gateway = limited(&origin, "header_count = 20").await;
    let host = gateway.addr.to_string();
    let mut client = H2::connect(gateway.addr).await;
    let many: Vec<(String, String)> = (0..21).map(|n| (format!("x-{n}"), "1".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let rows: [Row<'_>; 9] = [
        ("GET", "/a", &[("host", "b.example")], 400, "host-mismatch"),
        ("GET", "/a", &[("host", "a/b")], 400, "bad-host"),
        ("GET", "/a", &[("host", &host), ("host", &host)], 400, "bad-host"),
        ("GET", "/a/%00", &[], 400, "bad-escape"),
        ("GET", "/../a", &[], 400, "above-root"),
        ("TRACE", "/a", &[], 405, "method-refused"),
        ("GET", "/a", &[("content-length", "0"), ("content-length", "0")], 400, "two-lengths"),
        ("GET", "/a", &many, 431, "head-too-large"),
        ("GET", "/a", &[("host", &host)], 200, ""),
    ];
    for (method, target, fields, status, name) in rows {
        let answer = client.ask(method, target, fields, "").await.unwrap();
        assert_eq!(answer.status, status, "{method} {target} {fields:?}");
        assert!(status == 200 || answer.cache_says(&format!("detail={name}")), "{answer:?}");
        assert!(answer.get("connection").is_none(), "RFC 9113 §8.2.2");
    }
    // What the library refuses: fields of one connection, names in capitals, a length that the body doesn't have (RFC 9113
    // §8.2.1, §8.2.2, §8.1.1).
    for (name, value) in [
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("te", "gzip"),
        ("upgrade", "h2c"),
        ("X-Capital", "1"),
        ("x-line", "a\r\nb: c"),
        ("x-nul", "a\0b"),
        (":path", "/again"),
        (":unknown", "/"),
    ] {
        let mut stream = raw(&gateway).await;
        let length = |text: &str| u8::try_from(text.len()).unwrap();
        let field = [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat();
        stream.write_all(&frame(1, 0x5, 1, &[get_block("/b"), field].concat())).await.unwrap();
        let mut seen = Vec::new();
        // RST_STREAM of this stream, or GOAWAY, for PROTOCOL_ERROR.
        let refused = |seen: &[u8]| {
            seen.windows(17).any(|w| w[3] == 7 && w[13..17] == [0, 0, 0, 1])
                || seen.windows(13).any(|w| w[3] == 3 && w[5..13] == [0, 0, 0, 1, 0, 0, 0, 1])
        };
        while !refused(&seen) {
            let mut space = [0; 4096];
            let n = within(name, stream.read(&mut space)).await.unwrap();
            assert!(n > 0, "{name}");
            seen.extend_from_slice(&space[..n]);
        }
    }
    let ended = client.ask("PUT", "/b", &[("content-length", "3")], "four").await;
    assert!(ended.is_err() || ended.is_ok_and(|answer| answer.status == 400));
    assert!(origin.requests().iter().all(|request| request.target == "/a"), "{:?}", origin.requests());
}

#[tokio::test]
async fn a_head_that_is_too_large_gets_431_and_the_connection_lives() {
    let origin = kept().await;
    let gateway = limited(&origin, "header_bytes = \"8KiB\"").await;
    let mut client = H2::connect(gateway.addr).await;
    let large = "x".repeat(9_000);
    let answer = client.ask("GET", "/a", &[("x-large", &large)], "").await.unwrap();
    assert_eq!(answer.status, 431);
    assert_eq!(client.get("/a").await.status, 200);
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn a_head_that_never_ends_ends_the_connection() {
    let origin = kept().await;
    let gateway = limited(&origin, "header_timeout = \"200ms\"").await;
    // Not even begun; begun with a byte; a HEADERS frame without END_HEADERS; one that goes on a byte at a time.
    let mut silent = TcpStream::connect(gateway.addr).await.unwrap();
    ended(&mut silent).await;
    let mut begun = TcpStream::connect(gateway.addr).await.unwrap();
    begun.write_all(&PREFACE[..5]).await.unwrap();
    ended(&mut begun).await;
    let mut open = raw(&gateway).await;
    open.write_all(&frame(1, 0x1, 1, &get_block("/a"))).await.unwrap();
    ended(&mut open).await;
    assert_eq!(gateway.reached("header_timeout").await, 3);
    // While another request is under way, so that the connection doesn't idle.
    let mut trickling = raw(&gateway).await;
    trickling.write_all(&frame(1, 0x4, 1, &get_block("/unfinished"))).await.unwrap();
    trickling.write_all(&frame(1, 0x1, 3, &[0x82])).await.unwrap();
    let (mut read, mut write) = trickling.into_split();
    let trickle = async {
        loop {
            if write.write_all(&frame(9, 0, 3, &[0x86])).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let mut space = [0; 4096];
    let gone = async { while read.read(&mut space).await.is_ok_and(|n| n > 0) {} };
    within("the end of a trickle", async {
        tokio::select! { () = trickle => {}, () = gone => {} }
    })
    .await;
    assert!(origin.requests().is_empty());
}

#[tokio::test]
async fn who_idles_is_sent_away_and_who_waits_is_not() {
    let gate = Gate::closed();
    let closed = gate.clone();
    let origin = Origin::start(move |request| {
        let gate = closed.clone();
        async move {
            if request.target == "/slow" {
                gate.pass().await;
            }
            Reply::ok("x")
        }
    })
    .await;
    let gateway = limited(&origin, "idle_timeout = \"300ms\", header_timeout = \"300ms\"").await;
    let mut waiting = H2::connect(gateway.addr).await;
    let request = waiting.request_of("GET", "/slow", &[]);
    let (answer, _) = waiting.open(request, true).await;
    gate.arrived(1).await;
    let mut idle = H2::connect(gateway.addr).await;
    assert_eq!(idle.get("/fast").await.status, 200);
    within("the end of an idle connection", idle.carrying.ended()).await;
    assert_eq!(gateway.reached("idle_timeout").await, 1);
    gate.open();
    assert_eq!(receive(answer).await.unwrap().text(), "x", "longer than both limits");
}

#[tokio::test]
async fn a_slow_upload_ends_and_its_neighbours_do_not() {
    let origin = kept().await;
    let gateway = limited(&origin, "idle_timeout = \"200ms\"").await;
    let mut client = H2::connect(gateway.addr).await;
    let request = client.request_of("PUT", "/a", &[]);
    let (answer, mut stream) = client.open(request, false).await;
    stream.send_data(Bytes::from_static(b"beginning"), false).unwrap();
    let answer = receive(answer).await.unwrap();
    assert_eq!((answer.status, answer.cache_says("detail=client-slow")), (400, true), "{answer:?}");
    assert_eq!(client.get("/b").await.status, 200);
    assert_eq!(gateway.reached("body_min_rate").await, 1);
}

#[tokio::test]
async fn what_nobody_reads_of_an_upload_doesnt_use_up_the_connection() {
    let origin = kept().await;
    let gateway = Gateway::before(&origin, "auth = { kind = \"api-key\", keys = [] }").await;
    let mut client = H2::connect(gateway.addr).await;
    let body = "x".repeat(60_000);
    // In all three times what the connection's window has room for.
    for _ in 0..50 {
        let request = client.request_of("PUT", "/a", &[]);
        let (answer, mut stream) = client.open(request, false).await;
        stream.reserve_capacity(body.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx));
        // A stream that was answered and reset has no use for more.
        if let Some(Ok(room)) = within("room", room).await {
            let _ = stream.send_data(Bytes::copy_from_slice(&body.as_bytes()[..room]), true);
        }
        assert_eq!(receive(answer).await.unwrap().status, 401);
    }
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_loses_that_stream_only() {
    let origin = Origin::start(|request| {
        let body = if request.target == "/large" { "x".repeat(200_000) } else { "small".to_owned() };
        ready(Reply::ok(body).field("Cache-Control", "max-age=60"))
    })
    .await;
    let gateway = limited(&origin, "write_stall = \"300ms\"").await;
    gateway.client().await.get("/large").await;
    gateway.settled().await;
    // The connection's own window is large enough: only the stream's is used up.
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 20);
    let stream = TcpStream::connect(gateway.addr).await.unwrap();
    let mut client = H2::over(stream, "a.example", "http", builder).await;
    let request = client.request_of("GET", "/large", &[]);
    let (answer, _) = client.open(request, true).await;
    let mut body = within("a head", answer).await.unwrap().into_body();
    // The first window is taken without a word, and nothing after it.
    let mut taken = 0;
    let why = loop {
        match within("the end of the stream", body.data()).await {
            Some(Ok(data)) => taken += data.len(),
            Some(Err(error)) => break error.reason(),
            None => break None,
        }
    };
    assert_eq!(why, Some(Reason::CANCEL));
    assert!(taken < 200_000, "{taken}");
    assert_eq!(gateway.reached("write_stall").await, 1);
    assert_eq!(client.get("/small").await.text(), "small");
}

#[tokio::test]
async fn rapid_resets_cost_the_origin_no_more_than_the_streams_that_may_be_open() {
    let origin = kept().await;
    let gateway = limited(&origin, "h2_streams = 30").await;
    let mut client = raw(&gateway).await;
    let (mut read, mut write) = client.split();
    let attack = async {
        for n in 0..5_000u32 {
            let stream = 2 * n + 1;
            let both =
                [frame(1, 0x5, stream, &get_block(&format!("/{n}"))), frame(3, 0, stream, &[0, 0, 0, 8])].concat();
            if write.write_all(&both).await.is_err() {
                return;
            }
            // Each on its own, so that it is looked at before it is reset.
            tokio::task::yield_now().await;
        }
    };
    let mut space = [0; 4096];
    let gone = async { while read.read(&mut space).await.is_ok_and(|n| n > 0) {} };
    within("the end of the connection", async { tokio::join!(attack, gone) }).await;
    assert_eq!(gateway.client().await.get("/after").await.status, 200);
    assert!(origin.count() <= 31, "{}", origin.count());
    assert_eq!(gateway.reached("h2_resets").await, 1);
}

#[tokio::test]
async fn who_makes_us_reset_streams_is_sent_away_as_well() {
    let origin = kept().await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = raw(&gateway).await;
    let (mut read, mut write) = client.split();
    let attack = async {
        for n in 0..5_000u32 {
            let stream = 2 * n + 1;
            // A window that grows by nothing is a fault of its stream (RFC 9113 §6.9).
            let both = [frame(1, 0x5, stream, &get_block(&format!("/{n}"))), frame(8, 0, stream, &[0; 4])].concat();
            if write.write_all(&both).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("all were taken");
    };
    let mut space = [0; 4096];
    let gone = async { while read.read(&mut space).await.is_ok_and(|n| n > 0) {} };
    within("the end of the connection", async { tokio::join!(attack, gone) }).await;
    assert!(origin.count() <= 101, "{}", origin.count());
}

#[tokio::test]
async fn frames_that_carry_nothing_end_the_connection() {
    let origin = kept().await;
    let gateway = Gateway::before(&origin, "").await;
    let floods: [(&str, Vec<u8>); 5] = [
        ("PING", frame(6, 0, 0, &[0; 8])),
        ("SETTINGS", frame(4, 0, 0, &[])),
        ("PRIORITY", frame(2, 0, 1, &[0, 0, 0, 0, 1])),
        ("WINDOW_UPDATE", frame(8, 0, 0, &[0, 0, 0, 1])),
        ("an unknown kind", frame(0xbe, 0, 0, &[0; 100])),
    ];
    for (n, (name, flood)) in (1..).zip(floods) {
        let mut client = raw(&gateway).await;
        let (mut read, mut write) = client.split();
        let attack = async {
            for _ in 0..1_000_000 {
                if write.write_all(&flood).await.is_err() {
                    return;
                }
            }
            panic!("{name}: a million were taken");
        };
        let mut space = [0; 4096];
        let gone = async { while read.read(&mut space).await.is_ok_and(|n| n > 0) {} };
        within(name, async { tokio::join!(attack, gone) }).await;
        assert_eq!(gateway.reached("h2_frames").await, n, "{name}");
    }
}

#[tokio::test]
async fn no_more_streams_than_the_limit_are_taken() {
    let gate = Gate::closed();
    let closed = gate.clone();
    let origin = Origin::start(move |_| {
        let gate = closed.clone();
        async move {
            gate.pass().await;
            Reply::ok("x")
        }
    })
    .await;
    let gateway = limited(&origin, "h2_streams = 5").await;
    let mut client = raw(&gateway).await;
    for n in 0..8u32 {
        client.write_all(&frame(1, 0x5, 2 * n + 1, &get_block(&format!("/{n}")))).await.unwrap();
    }
    // The client hasn't acknowledged the limit; the sixth is refused all the same (RFC 9113 §5.1.2).
    let mut seen = Vec::new();
    let refused =
        |seen: &[u8]| seen.windows(13).filter(|w| w[..5] == [0, 0, 4, 3, 0] && w[9..] == [0, 0, 0, 7]).count();
    while refused(&seen) < 3 {
        let mut space = [0; 4096];
        let n = within("refused streams", client.read(&mut space)).await.unwrap();
        assert!(n > 0);
        seen.extend_from_slice(&space[..n]);
    }
    gate.arrived(5).await;
    assert_eq!(gate.count(), 5);
    assert_eq!(gateway.reached("h2_streams").await, 3);
    gate.open();
    let mut polite = H2::connect(gateway.addr).await;
    for n in 0..20 {
        assert_eq!(polite.get(&format!("/polite/{n}")).await.status, 200);
    }
    assert_eq!(gateway.reached("h2_streams").await, 3, "one after the other is never too many");
}

#[tokio::test]
async fn a_write_whose_stream_is_reset_is_carried_to_its_end() {
    let gate = Gate::closed();
    let closed = gate.clone();
    let origin = Origin::start(move |request| {
        let gate = closed.clone();
        async move {
            if request.method == "PUT" {
                gate.pass().await;
            }
            Reply::ok("x").field("Cache-Control", "max-age=60")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = H2::connect(gateway.addr).await;
    client.get("/a").await;
    gateway.settled().await;
    let request = client.request_of("PUT", "/a", &[]);
    let (answer, mut stream) = client.open(request, true).await;
    gate.arrived(1).await;
    stream.send_reset(Reason::CANCEL);
    drop(answer);
    assert!(client.get("/a").await.cache_says("hit"), "the connection lives, and nothing has been written yet");
    gate.open();
    within("the invalidation", async {
        while client.get("/a").await.cache_says("hit") {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_stop_says_goaway_and_lets_streams_finish() {
    let gate = Gate::closed();
    let closed = gate.clone();
    let origin = Origin::start(move |_| {
        let gate = closed.clone();
        async move {
            gate.pass().await;
            Reply::ok("late")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = H2::connect(gateway.addr).await;
    let request = client.request_of("GET", "/a", &[]);
    let (answer, _) = client.open(request, true).await;
    gate.arrived(1).await;
    let mut stopping = std::pin::pin!(gateway.running.stop());
    let refused = async {
        // Until the client has heard of it, further streams are taken.
        while client.send.clone().ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { _ = &mut stopping => panic!("stopped before the stream"), () = within("GOAWAY", refused) => {} }
    gate.open();
    let (ended, answer) = tokio::join!(stopping, receive(answer));
    assert!(ended && answer.unwrap().text() == "late");
}

#[tokio::test]
async fn the_preface_is_known_however_it_comes_and_only_where_it_is_wanted() {
    let origin = kept().await;
    let gateway = Gateway::before(&origin, "").await;
    let mut slow = TcpStream::connect(gateway.addr).await.unwrap();
    slow.set_nodelay(true).unwrap();
    let all = [PREFACE, SETTINGS, &frame(1, 0x5, 1, &get_block("/a"))].concat();
    for byte in all {
        slow.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut head = [0; 9];
    within("SETTINGS", slow.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[3..], [4, 0, 0, 0, 0, 0]);
    origin.received(1).await;
    // What only begins like it is HTTP/1.
    for (begin, status) in [("PRI", 400), ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 400), ("PR", 400)] {
        let mut client = gateway.client().await;
        client.send_raw(begin).await;
        client.finish().await;
        let answer = client.closed().await;
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with(&format!("HTTP/1.1 {status}")), "{begin}: {text}");
    }
    assert_eq!(gateway.client().await.request("PURGE", "/p", &[], "").await.status, 200, "a P isn't enough");

    let plain = Gateway::from_parts("http2 = false\n", "", &API.replace("ORIGIN", &origin.url())).await;
    let mut client = plain.client().await;
    client.send_raw([PREFACE, SETTINGS].concat()).await;
    assert!(client.closed().await.is_empty());
    assert_eq!(Client::connect(plain.addr).await.get("/b").await.status, 200);
}
