//! One endpoint behind a faulty link.

use crate::link::{Fault, Link};
use crate::support::{Gateway, Origin, Reply};

const BODY: &str = "0123456789";

/// What the client is to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Problem(u16, &'static str),
    /// The head and a part of the content, and then the end.
    Broken,
    Whole,
}
use Seen::{Broken, Problem, Whole};

/// `HTTP/1.1 200 Scripted\r\nCache-Control: max-age=600\r\nETag: "1"\r\nContent-Length: 10\r\n\r\n` has so many bytes.
const HEAD: usize = 84;

async fn origin() -> Origin {
    Origin::always(Reply::ok(BODY).field("Cache-Control", "max-age=600").field("ETag", "\"1\"")).await
}

/// Fault, what the client sees, and how many requests the origin has seen of one GET without and with one retry.
const ROWS: &[(&str, Fault, Seen, [usize; 2])] = &[
    ("nothing", Fault::None, Whole, [1, 1]),
    ("closed before a byte", Fault::Close(0), Problem(502, "origin-closed"), [1, 2]),
    ("reset before a byte", Fault::Reset(0), Problem(502, "origin-closed"), [1, 2]),
    ("closed inside the head", Fault::Close(20), Problem(502, "origin-closed"), [1, 1]),
    ("reset inside the head", Fault::Reset(HEAD - 1), Problem(502, "origin-closed"), [1, 1]),
    ("closed after the head", Fault::Close(HEAD), Broken, [1, 1]),
    ("closed inside the content", Fault::Close(HEAD + 4), Broken, [1, 1]),
    ("reset inside the content", Fault::Reset(HEAD + 4), Broken, [1, 1]),
    ("closed before the last byte", Fault::Close(HEAD + 9), Broken, [1, 1]),
    ("closed after the last byte", Fault::Close(HEAD + 10), Whole, [1, 1]),
    ("byte by byte", Fault::Trickle, Whole, [1, 1]),
    ("nothing ever comes", Fault::Hang, Problem(504, "first-byte-timeout"), [1, 1]),
    ("the request is cut off", Fault::ResetRequest(1), Problem(502, "origin-closed"), [1, 2]),
];

#[tokio::test]
async fn what_a_client_sees_what_is_stored_and_what_the_origin_saw() {
    for (why, fault, seen, requests) in ROWS {
        for (times, requests) in requests.iter().enumerate() {
            let why = format!("{why}, {times} retries");
            let origin = origin().await;
            let link = Link::to(origin.addr).await;
            // Only what hangs is waited for, and however long that takes, it hangs.
            let first_byte = if *fault == Fault::Hang { "200ms" } else { "30s" };
            let gateway = Gateway::with(
                "",
                &format!(
                    "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n\
                     retry = {{ times = {times}, backoff = \"0s\" }}\ntimeouts = {{ first_byte = \"{first_byte}\" }}\n",
                    link.url()
                ),
            )
            .await;
            link.set(*fault);
            let answer = gateway.client().await.get("/a").await;
            match seen {
                Problem(status, name) => {
                    assert_eq!(answer.status, *status, "{why}: {answer:?}");
                    assert_eq!(answer.json()["type"], format!("urn:freshgate:problem:{name}"), "{why}");
                }
                Broken => assert!(answer.status == 200 && !answer.complete, "{why}: {answer:?}"),
                Whole => assert!(answer.complete && answer.text() == BODY, "{why}: {answer:?}"),
            }
            if *fault != Fault::ResetRequest(1) {
                assert_eq!(origin.count(), *requests, "{why}");
            }
            gateway.settled().await;
            link.set(Fault::None);
            let (before, connections) = (origin.count(), link.connections());
            let next = gateway.client().await.get("/a").await;
            assert!(next.complete && next.text() == BODY, "{why}");
            let hit = *seen == Whole;
            assert_eq!((next.cache_says("hit"), origin.count() - before), (hit, usize::from(!hit)), "{why}");
            if !hit {
                assert_eq!(link.connections(), connections + 1, "{why}: a broken connection was used again");
            }
        }
    }
}

#[tokio::test]
async fn nobody_listens() {
    let origin = origin().await;
    let mut link = Link::to(origin.addr).await;
    let api = format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\nkeep_on_error = \"1h\"\n",
        link.url()
    );
    let gateway = Gateway::with("", &api).await;
    link.cut();
    for (method, body) in [("GET", ""), ("POST", "x"), ("PUT", "x"), ("OPTIONS", "")] {
        let answer = gateway.client().await.request(method, "/a", &[], body).await;
        let problem = answer.json()["type"].clone();
        assert_eq!((answer.status, problem), (502, "urn:freshgate:problem:origin-unreachable".into()), "{method}");
    }
    link.mend();
    assert_eq!(gateway.client().await.get("/a").await.text(), BODY);
    gateway.settled().await;
    link.cut();
    gateway.step(700);
    let stale = gateway.client().await.get("/a").await;
    assert!(stale.cache_says("detail=stale-if-error") && stale.text() == BODY, "{stale:?}");
    // What never reached an origin has changed nothing there.
    assert_eq!(gateway.client().await.request("PUT", "/a", &[], "x").await.status, 502);
    assert!(gateway.client().await.get("/a").await.cache_says("detail=stale-if-error"));
    link.mend();
    assert!(gateway.client().await.get("/a").await.cache_says("fwd=stale"));
    assert_eq!(origin.count(), 2);
}

/// What comes after an answer is nobody's: not the next one's, on this connection or another.
#[tokio::test]
async fn bytes_after_an_answer_are_no_answer() {
    const FORGED: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 6\r\n\r\nforged";
    let origin = Origin::always(Reply::ok(BODY).field("Cache-Control", "max-age=600")).await;
    let link = Link::to(origin.addr).await;
    let gateway = Gateway::with(
        "",
        &format!("[[api]]\nname = \"t\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n", link.url()),
    )
    .await;
    link.set(Fault::Extra(FORGED));
    for i in 0..20 {
        let answer = gateway.client().await.get(&format!("/{i}")).await;
        assert!(answer.complete && answer.text() == BODY, "{i}: {answer:?}");
    }
    for i in 0..20 {
        assert_eq!(gateway.client().await.get(&format!("/{i}")).await.text(), BODY);
    }
}

/// What a client gets of answers that are odd in themselves, with leave to keep them, and whether they are kept.
#[tokio::test]
async fn odd_answers_are_mended_or_refused_and_kept_only_whole() {
    const KEEP: &str = "Cache-Control: max-age=600\r\n";
    // Status line and framing; the client's status, content and length; whether the next one gets it from the store.
    type Row = (&'static str, &'static str, (u16, &'static str, Option<&'static str>), bool);
    let rows: &[Row] = &[
        ("200 OK", "Content-Length: 3, 3\r\n\r\nabc", (200, "abc", Some("3")), true),
        ("200 OK", "Content-Length: 3, 4\r\n\r\nabcd", (502, "bad-answer", None), false),
        ("200 OK", "Transfer-Encoding: gzip\r\n\r\nabc", (502, "bad-answer", None), false),
        ("200 OK", "Transfer-Encoding: identity\r\n\r\nabc", (200, "abc", None), true),
        ("205 Reset Content", "Content-Length: 3\r\n\r\nabc", (205, "", Some("0")), true),
        ("999 What", "Content-Length: 3\r\n\r\nabc", (999, "abc", Some("3")), false),
        ("600 What", "Content-Length: 3\r\n\r\nabc", (600, "abc", Some("3")), false),
    ];
    for (line, framing, (status, content, length), kept) in rows {
        let origin = Origin::always(Reply::raw(format!("HTTP/1.1 {line}\r\n{KEEP}{framing}")).cut()).await;
        let gateway = Gateway::before(&origin, "").await;
        let mut client = gateway.client().await;
        for again in [false, true] {
            let answer = client.get("/a").await;
            assert!(answer.complete && answer.status == *status, "{line}, {framing:?}: {answer:?}");
            match status {
                502 => assert_eq!(answer.json()["type"], format!("urn:freshgate:problem:{content}"), "{framing:?}"),
                _ => assert_eq!(answer.text(), *content, "{line}, {framing:?}"),
            }
            if *status != 502 && !(again && *kept) {
                assert_eq!(answer.get("content-length"), *length, "{line}, {framing:?}");
            }
            assert_eq!(answer.cache_says("hit"), again && *kept, "{line}, {framing:?}: {answer:?}");
            gateway.settled().await;
        }
    }
}
