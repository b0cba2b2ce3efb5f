//! `compress`: contents that the origin sends as they are, encoded for clients that take that; real decoders read them again.
#![cfg(test)]

mod support;

use async_compression::codecs::{BrotliDecoder, DecodeV2, GzipDecoder, ZstdDecoder};
use async_compression::core::util::{PartialBuffer, WriteBuffer};
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Answer, Client, Gate, Gateway, Origin, Reply, within};

const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];
const ON: &str = "compress = true\n";

/// Text that is worth compressing.
fn text(bytes: usize) -> Vec<u8> {
    let lines =
        (0..).flat_map(|n: usize| format!("{{\"id\":{n},\"title\":\"a book of the number {n}\"}}\n").into_bytes());
    lines.take(bytes).collect()
}

fn json(body: impl AsRef<[u8]>) -> Reply {
    Reply::ok(body).field("Content-Type", "application/json")
}

/// Kept for a minute, with a strong tag.
fn kept(body: impl AsRef<[u8]>) -> Reply {
    json(body).field("Cache-Control", "max-age=60").field("ETag", "\"a\"")
}

/// What can be read of this beginning, and whether it is the whole.
fn decoded(coding: &str, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut decoder: Box<dyn DecodeV2> = match coding {
        "gzip" => Box::new(GzipDecoder::new()),
        "br" => Box::new(BrotliDecoder::new()),
        "zstd" => Box::new(ZstdDecoder::new()),
        other => panic!("{other} isn't known"),
    };
    let (mut input, mut out, mut piece) = (PartialBuffer::new(bytes), Vec::new(), vec![0; 64 << 10]);
    loop {
        let mut buffer = WriteBuffer::new_initialized(&mut piece);
        let before = input.written_len();
        let ended = match decoder.decode(&mut input, &mut buffer) {
            Err(_) if input.unwritten().is_empty() => false, // one of them takes it ill to be given nothing
            ended => ended.unwrap(),
        };
        let (read, wrote) = (input.written_len() - before, buffer.written_len());
        out.extend_from_slice(buffer.written());
        if ended {
            assert!(input.unwritten().is_empty(), "something stands behind the end");
            return (out, true);
        }
        if read == 0 && wrote == 0 {
            let mut buffer = WriteBuffer::new_initialized(&mut piece);
            decoder.flush(&mut buffer).unwrap();
            out.extend_from_slice(buffer.written());
            return (out, false);
        }
    }
}

/// The content that an answer stands for.
fn content(answer: &Answer) -> Vec<u8> {
    assert!(answer.complete, "{answer:?}");
    let Some(coding) = answer.get("content-encoding") else { return answer.body.clone() };
    let (content, whole) = decoded(coding, &answer.body);
    assert!(whole, "{answer:?}");
    content
}

fn says_vary(answer: &Answer) -> bool {
    answer.lists("vary", "accept-encoding")
}

async fn get(gateway: &Gateway, target: &str, accept: &str) -> Answer {
    with(gateway, "GET", target, &[("Accept-Encoding", accept)]).await
}

async fn with(gateway: &Gateway, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
    gateway.client().await.request(method, target, fields, "").await
}

#[tokio::test]
async fn each_client_gets_what_it_takes_of_one_stored_answer() {
    for size in [2_000, 300_000] {
        for first in ["zstd", "br", "gzip", "identity"] {
            let origin = Origin::always(kept(text(size))).await;
            let gateway = Gateway::before(&origin, ON).await;
            let missed = get(&gateway, "/a", first).await;
            assert_eq!(content(&missed), text(size), "{first} on its way");
            gateway.settled().await;
            for accept in ["br", "identity", "zstd", "gzip", "br", "identity", "gzip;q=0.1, *;q=0"] {
                let hit = get(&gateway, "/a", accept).await;
                let coding = accept.split(';').next().filter(|coding| *coding != "identity");
                assert!(hit.cache_says("hit") && says_vary(&hit), "{accept}: {hit:?}");
                assert_eq!((hit.get("content-encoding"), content(&hit) == text(size)), (coding, true), "{accept}");
                assert_eq!(
                    hit.get("etag"),
                    Some(if coding.is_some() { "W/\"a\"" } else { "\"a\"" }),
                    "RFC 9110 §8.8.1"
                );
                assert_eq!(hit.get("content-length"), Some(hit.body.len().to_string().as_str()), "it is there whole");
                assert_eq!(get(&gateway, "/a", accept).await.body, hit.body, "and was made once");
            }
            assert!(says_vary(&missed) && missed.get("content-length").is_none() == (first != "identity"));
            let tag = if first == "identity" { "\"a\"" } else { "W/\"a\"" };
            assert_eq!((missed.get("etag"), origin.count()), (Some(tag), 1));
        }
    }
}

#[tokio::test]
async fn it_is_off_unless_it_is_switched_on_and_a_route_may_have_its_own() {
    let origin = Origin::always(kept(text(2_000))).await;
    let gateway = Gateway::before(&origin, "").await;
    let plain = get(&gateway, "/a", "gzip").await;
    assert_eq!((plain.get("content-encoding"), says_vary(&plain), plain.get("etag")), (None, false, Some("\"a\"")));
    let api = "compress = { encodings = [\"gzip\"], min = 0, types = [\"application/*\"] }\n\
        [[api.route]]\non = \"/secret\"\ncompress = false\n[[api.route]]\non = \"/br\"\ncompress.encodings = [\"br\", \"gzip\"]";
    let gateway = Gateway::before(&origin, api).await;
    for (target, coding) in [("/a", Some("gzip")), ("/secret", None), ("/br", Some("br"))] {
        assert_eq!(get(&gateway, target, "gzip, br, zstd").await.get("content-encoding"), coding, "{target}");
    }
}

/// What the origin says → whether it is encoded for who takes that, and whether it might have been.
#[tokio::test]
async fn what_is_left_alone() {
    let rows: &[(&str, Reply, bool)] = &[
        ("nothing against it", kept(text(2_000)), true),
        ("an error page", Reply::status(404).body(text(2_000)).field("Content-Type", "text/html"), true),
        ("of unknown length", kept(text(2_000)).chunked(), true),
        ("charset", Reply::ok(text(2_000)).field("Content-Type", "text/css; charset=utf-8"), true),
        ("encoded by the origin", kept(text(2_000)).field("Content-Encoding", "x-own"), false),
        ("no-transform", json(text(2_000)).field("Cache-Control", "max-age=60, no-transform"), false),
        ("small", kept(text(1_000)), false),
        ("another type", Reply::ok(text(2_000)).field("Content-Type", "image/png"), false),
        ("no type", Reply::ok(text(2_000)), false),
        ("two types", kept(text(2_000)).field("Content-Type", "text/html"), false),
        ("a stream", Reply::ok(text(2_000)).field("Content-Type", "text/event-stream"), false),
        ("a digest of the content", kept(text(2_000)).field("Content-Digest", "sha-256=:AA==:"), false),
        ("a digest of the representation", kept(text(2_000)).field("Repr-Digest", "sha-256=:AA==:"), false),
        ("an old digest", kept(text(2_000)).field("Digest", "sha-256=AA=="), false),
        ("an older one", kept(text(2_000)).field("Content-MD5", "AA=="), false),
        ("a signature", kept(text(2_000)).field("Signature", "a=:AA==:"), false),
        (
            "a digest behind it",
            kept(text(2_000)).field("Trailer", "Content-Digest").trailer("Content-Digest", "x"),
            false,
        ),
        ("a redirection without content", Reply::status(301).field("Content-Type", "text/html"), false),
        (
            "a part",
            Reply::status(206)
                .body(text(2_000))
                .field("Content-Type", "text/html")
                .field("Content-Range", "bytes 0-1999/4000"),
            false,
        ),
    ];
    for (what, reply, encoded) in rows {
        let origin = Origin::always(reply.clone()).await;
        let gateway = Gateway::before(&origin, ON).await;
        for _ in 0..2 {
            let answer = get(&gateway, "/a", "gzip").await;
            let own = answer.get("content-encoding").filter(|coding| *coding != "x-own");
            assert_eq!((own, says_vary(&answer)), (encoded.then_some("gzip"), *encoded), "{what}: {answer:?}");
            let plain = get(&gateway, "/a", "identity").await;
            assert_eq!(says_vary(&plain), *encoded, "{what}: {plain:?}");
            if *encoded {
                assert_eq!(content(&answer), plain.body, "{what}");
            }
            gateway.settled().await;
        }
    }
}

/// Fields of a request, and the coding of its answer.
type Row = (&'static [(&'static str, &'static str)], Option<&'static str>);

/// What a request says → what it gets, on the way, from the store, and of an answer that isn't kept.
#[tokio::test]
async fn what_a_client_says_against_it() {
    let rows: &[Row] = &[
        (&[("Accept-Encoding", "gzip"), ("Cache-Control", "no-transform")], None),
        (&[("Accept-Encoding", "gzip"), ("Cache-Control", "max-stale")], Some("gzip")),
        (&[], None),
        (&[("Accept-Encoding", "")], None),
        (&[("Accept-Encoding", "gzip;q=0")], None),
        (&[("Accept-Encoding", "identity, gzip;q=0.5")], None),
        (&[("Accept-Encoding", "*")], Some("zstd")),
    ];
    for stored in ["max-age=60", "no-store"] {
        for (fields, coding) in rows {
            let origin = Origin::always(json(text(2_000)).field("Cache-Control", stored)).await;
            let gateway = Gateway::before(&origin, ON).await;
            for _ in 0..2 {
                let answer = with(&gateway, "GET", "/a", fields).await;
                assert_eq!(
                    (answer.get("content-encoding"), content(&answer) == text(2_000)),
                    (*coding, true),
                    "{fields:?}"
                );
                assert!(says_vary(&answer), "{stored} {fields:?}: {answer:?}");
                gateway.settled().await;
            }
        }
    }
}

#[tokio::test]
async fn a_part_is_one_of_the_content_as_it_is() {
    let date = "Wed, 01 Jul 2026 00:00:00 GMT";
    let origin = Origin::always(kept(text(2_000)).field("Last-Modified", date).field("Accept-Ranges", "bytes")).await;
    let gateway = Gateway::before(&origin, ON).await;
    let whole = get(&gateway, "/a", "gzip").await;
    assert_eq!(whole.get("accept-ranges"), None, "of what is encoded no parts are given");
    gateway.settled().await;
    let ranged = |condition: Option<&'static str>| {
        let mut fields = vec![("Accept-Encoding", "gzip"), ("Range", "bytes=10-19")];
        fields.extend(condition.map(|condition| ("If-Range", condition)));
        fields
    };
    for condition in [None, Some("\"a\"")] {
        let part = with(&gateway, "GET", "/a", &ranged(condition)).await;
        assert_eq!((part.status, part.body.as_slice()), (206, &text(2_000)[10..20]), "{part:?}");
        assert_eq!((part.get("content-encoding"), part.get("etag")), (None, Some("\"a\"")));
        assert!(says_vary(&part), "RFC 9110 §15.3.7");
    }
    let weak = with(&gateway, "GET", "/a", &ranged(Some("W/\"a\""))).await;
    assert_eq!((weak.status, content(&weak) == text(2_000)), (200, true), "a weak tag is good for no part");
    let dated = with(&gateway, "GET", "/a", &ranged(Some(date))).await;
    assert_eq!((dated.status, dated.get("content-encoding")), (200, Some("gzip")), "the date is that of both forms");
    let plain = with(&gateway, "GET", "/a", &[("Range", "bytes=10-19"), ("If-Range", date)]).await;
    assert_eq!((plain.status, plain.body.len()), (206, 10));
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn a_head_says_what_a_get_would() {
    for control in ["max-age=60", "no-store"] {
        for size in [2_000, 100_000] {
            let origin = Origin::always(json(text(size)).field("Cache-Control", control).field("ETag", "\"a\"")).await;
            let gateway = Gateway::before(&origin, ON).await;
            for accept in ["gzip", "identity"] {
                let head = with(&gateway, "HEAD", "/a", &[("Accept-Encoding", accept)]).await;
                let got = get(&gateway, "/a", accept).await;
                gateway.settled().await;
                let later = with(&gateway, "HEAD", "/a", &[("Accept-Encoding", accept)]).await;
                let hit = get(&gateway, "/a", accept).await;
                for (head, got) in [(head, got), (later, hit)] {
                    for name in ["content-encoding", "etag", "vary", "content-type"] {
                        assert_eq!(head.get(name), got.get(name), "{control} {size} {accept} {name}");
                    }
                    let length = got.body.len().to_string();
                    assert!(head.get("content-length").is_none_or(|told| told == length), "{head:?} {length}");
                }
            }
        }
    }
}

#[tokio::test]
async fn conditions_know_both_forms_and_the_origin_is_asked_with_its_own_tag() {
    let count = AtomicUsize::new(0);
    let origin = Origin::start(move |request| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        let known = request.get("if-none-match") == Some("\"a\"");
        std::future::ready(match first {
            true => kept(text(2_000)),
            false if known => Reply::status(304).field("ETag", "\"a\"").field("Cache-Control", "max-age=60"),
            false => Reply::status(500),
        })
    })
    .await;
    let gateway = Gateway::before(&origin, ON).await;
    get(&gateway, "/a", "gzip").await;
    gateway.settled().await;
    let encoded = get(&gateway, "/a", "gzip").await;
    let ask =
        async |accept, tag| with(&gateway, "GET", "/a", &[("Accept-Encoding", accept), ("If-None-Match", tag)]).await;
    for tag in ["W/\"a\"", "\"a\"", "\"x\", W/\"a\"", "*"] {
        for (accept, own) in [("gzip", "W/\"a\""), ("identity", "\"a\"")] {
            let answer = ask(accept, tag).await;
            assert_eq!(
                (answer.status, answer.get("etag"), says_vary(&answer)),
                (304, Some(own), true),
                "{tag} {accept}"
            );
            assert!(answer.get("content-encoding").is_none());
        }
    }
    assert_eq!(ask("gzip", "\"b\"").await.status, 200);
    gateway.step(61);
    let confirmed = get(&gateway, "/a", "gzip").await;
    assert!(confirmed.cache_says("fwd-status=304"), "{confirmed:?}");
    assert_eq!((confirmed.body, origin.count()), (encoded.body, 2), "what was made of it is confirmed with it");
}

/// A 304 of the origin's own tells neither type nor length; its tag may be that of what we have encoded.
#[tokio::test]
async fn a_tag_that_is_passed_on_is_weak_for_those_who_may_hold_the_encoded_form() {
    let origin = Origin::start(|request| {
        std::future::ready(match request.get("if-none-match").is_some() {
            true => Reply::status(304).field("ETag", "\"a\""),
            false => json(text(2_000)).field("Cache-Control", "no-store").field("ETag", "\"a\""),
        })
    })
    .await;
    let gateway = Gateway::before(&origin, ON).await;
    for (accept, tag) in [("gzip", "W/\"a\""), ("identity", "\"a\"")] {
        assert_eq!(get(&gateway, "/a", accept).await.get("etag"), Some(tag));
        let fields = [("Accept-Encoding", accept), ("If-None-Match", tag)];
        let confirmed = with(&gateway, "GET", "/a", &fields).await;
        assert_eq!((confirmed.status, confirmed.get("etag")), (304, Some(tag)), "{accept}: {confirmed:?}");
    }
}

#[tokio::test]
async fn a_trickle_trickles_on() {
    for coding in CODINGS {
        for control in ["max-age=60", "no-store"] {
            let (one, two) = (Gate::closed(), Gate::closed());
            let reply = json("first").field("Cache-Control", control).chunked();
            let reply = reply.wait(&one).body("second").wait(&two).body(text(50_000));
            let origin = Origin::always(reply).await;
            let gateway = Gateway::before(&origin, ON).await;
            let mut client = gateway.client().await;
            client.send("GET", "/a", &[("Accept-Encoding", coding)], "").await;
            let head = client.answer_head().await.unwrap();
            assert_eq!(head.get("content-encoding"), Some(coding));
            let mut came = reads(&mut client, coding, Vec::new(), b"first").await;
            one.open();
            came = reads(&mut client, coding, came, b"firstsecond").await;
            two.open();
            came.extend(client.at_least(usize::MAX).await);
            assert_eq!(decoded(coding, &came), ([b"firstsecond".as_slice(), &text(50_000)].concat(), true));
        }
    }
}

/// Reads on until what has come stands for `want`, which is all that there is.
async fn reads(client: &mut Client, coding: &str, mut came: Vec<u8>, want: &[u8]) -> Vec<u8> {
    within("a piece that can be read", async {
        while decoded(coding, &came).0.len() < want.len() {
            came.extend(client.at_least(1).await);
        }
    })
    .await;
    assert_eq!(decoded(coding, &came), (want.to_vec(), false));
    came
}

#[tokio::test]
async fn trailers_stand_behind_the_encoded_content_too() {
    let reply =
        kept(text(2_000)).field("Trailer", "X-Sum").trailer("X-Sum", "7").trailer("Repr-Digest", "sha-256=:AA==:");
    let origin = Origin::always(reply).await;
    let gateway = Gateway::before(&origin, ON).await;
    for _ in 0..2 {
        let fields = [("Accept-Encoding", "gzip"), ("TE", "trailers"), ("Connection", "te")];
        let answer = with(&gateway, "GET", "/a", &fields).await;
        assert_eq!((content(&answer) == text(2_000), answer.get("content-encoding")), (true, Some("gzip")));
        assert_eq!(answer.trailers.get("x-sum"), Some("7"), "{answer:?}");
        assert_eq!(answer.trailers.get("repr-digest"), None, "that is of another content: {answer:?}");
        gateway.settled().await;
    }
}

#[tokio::test]
async fn the_origins_own_encoding_is_passed_on_and_kept_apart_by_its_own_vary() {
    let origin = Origin::start(|request| {
        let reply = kept(text(2_000)).field("Vary", "Accept-Encoding");
        let takes = request.lists("accept-encoding", "gzip");
        std::future::ready(if takes { reply.field("Content-Encoding", "gzip") } else { reply })
    })
    .await;
    let gateway = Gateway::before(&origin, ON).await;
    for _ in 0..2 {
        let own = get(&gateway, "/a", "gzip").await;
        assert_eq!((own.get("content-encoding"), own.body == text(2_000)), (Some("gzip"), true), "byte for byte");
        assert_eq!((own.get("etag"), own.all("vary").len()), (Some("\"a\""), 1));
        gateway.settled().await;
        let ours = get(&gateway, "/a", "br").await;
        assert_eq!((ours.get("content-encoding"), content(&ours) == text(2_000)), (Some("br"), true));
        assert_eq!(ours.all("vary").len(), 1);
        gateway.settled().await;
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn a_post_is_encoded_and_what_a_put_says_stays_as_it_is() {
    let origin = Origin::always(json(text(2_000)).field("ETag", "\"a\"")).await;
    let gateway = Gateway::before(&origin, ON).await;
    for (method, coding) in [("POST", Some("gzip")), ("PUT", None), ("PATCH", None), ("DELETE", None)] {
        let answer = with(&gateway, method, "/a", &[("Accept-Encoding", "gzip"), ("Content-Length", "0")]).await;
        assert_eq!((answer.get("content-encoding"), content(&answer) == text(2_000)), (coding, true), "{method}");
        assert_eq!(answer.get("etag"), Some(if coding.is_some() { "W/\"a\"" } else { "\"a\"" }), "{method}");
    }
}

#[tokio::test]
async fn what_would_not_get_smaller_goes_as_it_is() {
    let mut seed = 7_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 56) as u8
    })
    .take(60_000)
    .collect();
    for size in [2_000, 60_000] {
        let origin = Origin::always(kept(&noise[..size])).await;
        let gateway = Gateway::before(&origin, ON).await;
        get(&gateway, "/a", "identity").await;
        gateway.settled().await;
        for method in ["GET", "HEAD", "GET"] {
            let hit = with(&gateway, method, "/a", &[("Accept-Encoding", "gzip")]).await;
            assert_eq!((hit.get("content-encoding"), hit.get("etag")), (None, Some("\"a\"")), "{hit:?}");
            assert_eq!((hit.get("content-length"), says_vary(&hit)), (Some(size.to_string().as_str()), true));
        }
    }
}

#[tokio::test]
async fn a_crowd_has_a_large_content_encoded_once_and_waits_for_it() {
    let origin = Origin::always(kept(text(2_000_000))).await;
    let api =
        format!("[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n{ON}", origin.url());
    let gateway = Gateway::with("[server.limits]\ncompressions = 1", &api).await;
    get(&gateway, "/a", "identity").await;
    gateway.settled().await;
    let mut crowd = Vec::new();
    for _ in 0..8 {
        let mut client = gateway.client().await;
        client.send("GET", "/a", &[("Accept-Encoding", "zstd")], "").await;
        crowd.push(client);
    }
    for client in &mut crowd {
        let answer = client.answer().await;
        assert_eq!((answer.get("content-encoding"), content(&answer) == text(2_000_000)), (Some("zstd"), true));
        assert!(answer.get("content-length").is_some());
    }
    assert_eq!(gateway.reached("compressions").await, 0, "one encoder did for all of them");
}

#[tokio::test]
async fn where_too_much_is_encoded_already_it_goes_as_it_is() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let reply = if request.target == "/held" { json("begins").chunked().wait(&held) } else { kept(text(100_000)) };
        std::future::ready(reply)
    })
    .await;
    let api =
        format!("[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n{ON}", origin.url());
    let gateway = Gateway::with("[server.limits]\ncompressions = 1", &api).await;
    let mut first = gateway.client().await;
    first.send("GET", "/held", &[("Accept-Encoding", "gzip")], "").await;
    assert_eq!(first.answer_head().await.unwrap().get("content-encoding"), Some("gzip"));
    for _ in 0..2 {
        let plain = get(&gateway, "/a", "gzip").await;
        assert_eq!((plain.get("content-encoding"), plain.get("etag")), (None, Some("\"a\"")), "{plain:?}");
        assert!(plain.body == text(100_000) && says_vary(&plain) && plain.get("content-length") == Some("100000"));
        gateway.settled().await;
    }
    assert!(gateway.reached("compressions").await >= 2);
    gate.open();
    drop(first);
    within("the encoder to be free", async {
        while get(&gateway, "/a", "gzip").await.get("content-encoding").is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Bytes in the store as its API counts them, and as the store does that has to keep within its size.
async fn bytes(gateway: &Gateway) -> (u64, u64) {
    let metrics = gateway.admin("GET", "/metrics", "").await;
    let line = metrics.text().lines().find(|line| line.starts_with("freshgate_stored_bytes{")).unwrap();
    gateway.running.store().sweep(gateway.clock.now());
    (line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64, gateway.running.store().bytes())
}

#[tokio::test]
async fn what_is_encoded_counts_in_the_store_and_goes_with_its_content() {
    let origin = Origin::always(kept(text(200_000))).await;
    let gateway = Gateway::before(&origin, ON).await;
    get(&gateway, "/a", "identity").await;
    gateway.settled().await;
    let mut before = bytes(&gateway).await;
    for coding in CODINGS {
        let encoded = get(&gateway, "/a", coding).await.body.len() as u64;
        let after = bytes(&gateway).await;
        // What holds them, once.
        let more = encoded..=encoded + 300;
        assert!(
            more.contains(&(after.0 - before.0)) && more.contains(&(after.1 - before.1)),
            "{encoded}: {before:?} {after:?}"
        );
        get(&gateway, "/a", coding).await;
        assert_eq!(bytes(&gateway).await, after, "once");
        before = after;
    }
    assert_eq!(gateway.client().await.put("/a", "x").await.status, 200);
    assert_eq!(bytes(&gateway).await.1, 0, "a write ends all forms of it");
    let again = get(&gateway, "/a", "gzip").await;
    assert!(again.cache_says("fwd=miss") || again.cache_says("fwd=uri-miss"), "{again:?}");

    let api =
        format!("[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n{ON}", origin.url());
    let gateway = Gateway::with("[cache]\nmax_size = \"1MiB\"\nmax_object_size = \"256KiB\"", &api).await;
    for n in 0..4 {
        let target = format!("/{n}");
        get(&gateway, &target, "identity").await;
        gateway.settled().await;
        for coding in CODINGS {
            get(&gateway, &target, coding).await;
        }
    }
    let kept = bytes(&gateway).await;
    for n in 4..20 {
        let target = format!("/{n}");
        get(&gateway, &target, "identity").await;
        gateway.settled().await;
        for coding in CODINGS {
            get(&gateway, &target, coding).await;
        }
        assert!(bytes(&gateway).await.1 <= 1 << 20);
    }
    assert!(kept.1 > 800_000 && gateway.running.store().evicted() >= 10, "{kept:?}");
}

#[tokio::test]
async fn a_content_that_breaks_off_is_an_incomplete_message_in_every_coding() {
    for coding in CODINGS {
        let origin = Origin::always(kept(text(5_000)).claiming(6_000).cut()).await;
        let gateway = Gateway::before(&origin, ON).await;
        let answer = get(&gateway, "/a", coding).await;
        assert!(!answer.complete, "{answer:?}");
        assert!(get(&gateway, "/a", coding).await.cache_says("fwd=uri-miss"), "nothing of it is kept");
    }
}

#[tokio::test]
async fn readers_of_one_answer_each_have_it_as_they_take_it() {
    let gate = Gate::closed();
    let reply = kept(text(1_000)).chunked().wait(&gate).body(text(40_000));
    let origin = Origin::always(reply).await;
    let gateway = Gateway::before(&origin, ON).await;
    let mut crowd = Vec::new();
    for accept in ["gzip", "identity", "zstd", "br"] {
        let mut client = gateway.client().await;
        client.send("GET", "/a", &[("Accept-Encoding", accept)], "").await;
        let head = client.answer_head().await.unwrap();
        assert_eq!(head.get("content-encoding"), Some(accept).filter(|accept| *accept != "identity"));
        crowd.push((client, accept));
    }
    gate.open();
    let whole = [text(1_000), text(40_000)].concat();
    for (client, accept) in &mut crowd {
        let came = client.at_least(usize::MAX).await;
        let got = if *accept == "identity" { (came, true) } else { decoded(accept, &came) };
        assert_eq!(got, (whole.clone(), true), "{accept}");
    }
    assert_eq!(origin.count(), 1);
}

/// curl brings decoders of its own: zlib's, Google's and the reference one of zstd, as far as it was built with them.
#[tokio::test]
async fn curl_reads_every_coding() {
    let Ok(version) = std::process::Command::new("curl").arg("--version").output() else {
        println!("curl isn't there");
        return;
    };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    for (coding, library) in [("zstd", "zstd/"), ("br", "brotli/"), ("gzip", "zlib/")] {
        if !version.contains(library) {
            println!("curl was built without {library}");
            continue;
        }
        let origin = Origin::always(kept(text(300_000))).await;
        let gateway = Gateway::before(&origin, ON).await;
        for http2 in [false, true, true, false] {
            let mut curl = std::process::Command::new("curl");
            curl.args(["--silent", "--show-error", "--compressed", "--max-time", "30"]);
            curl.args(http2.then_some("--http2-prior-knowledge"));
            curl.args(["--header", &format!("Accept-Encoding: {coding}"), &format!("http://{}/a", gateway.addr)]);
            let out = tokio::task::spawn_blocking(move || curl.output().unwrap()).await.unwrap();
            assert!(out.stdout == text(300_000), "{coding}: {}", String::from_utf8_lossy(&out.stderr));
            gateway.settled().await;
        }
        assert!(get(&gateway, "/a", coding).await.get("content-encoding") == Some(coding) && origin.count() == 1);
    }
}
