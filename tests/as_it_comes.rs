//! Answers as origins write them (RFC 9112): odd, but with one meaning. A client sees what the origin said, from the origin
//! and from the cache alike.

mod support;

use support::{Gateway, Origin, Reply};

/// The status line of an answer, as text.
fn status_line(answer: &support::Answer) -> String {
    let head = String::from_utf8_lossy(&answer.raw_head).into_owned();
    head.split("\r\n").next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_status_keeps_its_words() {
    let cases = [
        ("200 Here you are", "200 Here you are"),
        ("200 OK", "200 OK"),
        ("200 ", "200 "),
        ("299 Nearly", "299 Nearly"),
        ("404 No Such Book", "404 No Such Book"),
        ("418 I'm a teapot", "418 I'm a teapot"),
        ("599 All Is Lost", "599 All Is Lost"),
    ];
    for (written, seen) in cases {
        let head = format!("HTTP/1.1 {written}\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nab");
        let origin = Origin::always(Reply::raw(head)).await;
        let gateway = Gateway::before(&origin, "error_answers = \"rfc\"\n").await;
        let mut client = gateway.client().await;
        let (fetched, stored) = (client.get("/x").await, client.get("/x").await);
        let passed = client.request("OPTIONS", "/x", &[], "").await;
        assert_eq!(status_line(&fetched), format!("HTTP/1.1 {seen}"), "RFC 9112 §4");
        assert_eq!((stored.cache_says("hit"), status_line(&stored)), (true, format!("HTTP/1.1 {seen}")), "{written}");
        assert_eq!(status_line(&passed), format!("HTTP/1.1 {seen}"), "{written}");
    }
}

#[tokio::test]
async fn the_words_belong_to_their_status() {
    for (written, seen) in [("200 Fine", "304 Not Modified"), ("404 No Such Book", "404 No Such Book")] {
        let fields = "ETag: \"a\"\r\nCache-Control: max-age=60\r\nContent-Length: 2";
        let origin = Origin::always(Reply::raw(format!("HTTP/1.1 {written}\r\n{fields}\r\n\r\nab"))).await;
        let gateway = Gateway::before(&origin, "").await;
        let mut client = gateway.client().await;
        client.get("/x").await;
        let confirmed = client.get_with("/x", &[("if-none-match", "\"a\"")]).await;
        assert_eq!(status_line(&confirmed), format!("HTTP/1.1 {seen}"));
    }
}

#[tokio::test]
async fn a_transfer_coding_that_nobody_asked_for_is_not_taken_for_content() {
    for coding in ["x-mine", "gzip", "gzip, chunked"] {
        let fields = format!("Transfer-Encoding: {coding}\r\nCache-Control: max-age=60");
        let origin = Origin::always(Reply::raw(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\ncoded")).close()).await;
        let gateway = Gateway::before(&origin, "").await;
        let mut client = gateway.client().await;
        for asked in 1..=2 {
            // To decode it is ours to do (RFC 9112 §6.1), and we can't: as content it would be another one.
            let answer = client.get("/x").await;
            assert!(answer.status == 502 && !answer.text().contains("coded"), "{coding}: {answer:?}");
            assert_eq!(origin.count(), asked, "{coding}: nothing is kept");
        }
    }
}

#[tokio::test]
async fn what_comes_after_the_end_of_a_message_is_dropped_with_its_connection() {
    let surplus = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\ngood";
    let forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    let origin = Origin::always(Reply::raw(format!("{surplus}{forged}"))).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    for n in 1..=4 {
        let answer = client.get(&format!("/{n}")).await;
        assert_eq!((answer.status, answer.text(), answer.complete), (200, "good", true), "RFC 9112 §6.3");
        assert_eq!(origin.connections(), n, "no request goes to a connection with something left on it");
    }
    assert!(client.get("/1").await.cache_says("hit"));
}

#[tokio::test]
async fn an_answer_that_has_no_content_has_none_whatever_its_length_says() {
    for (status, line) in [(204, "204 No Content"), (304, "304 Not Modified")] {
        let origin = Origin::always(Reply::raw(format!("HTTP/1.1 {line}\r\nContent-Length: 5\r\n\r\n"))).await;
        let gateway = Gateway::before(&origin, "").await;
        let mut client = gateway.client().await;
        for _ in 0..2 {
            let answer = client.get_with("/x", &[("if-none-match", "\"mine\"")]).await;
            assert_eq!((answer.status, answer.body.len(), answer.complete), (status, 0, true), "RFC 9112 §6.3, item 1");
        }
        assert_eq!(origin.connections(), 1, "the connection is as good as before");
    }
}

#[tokio::test]
async fn bytes_beyond_ascii_pass_in_values() {
    let value = b"caf\xe9 \xf0\x9f\x8d\xb5";
    let head =
        [b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 0\r\nX-Text: ", &value[..], b"\r\n\r\n"];
    let origin = Origin::always(Reply::raw(head.concat())).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    for hit in [false, true] {
        let answer = client.get("/x").await;
        assert_eq!(answer.cache_says("hit"), hit);
        let there = answer.raw_head.windows(value.len()).any(|bytes| bytes == value);
        assert!(there, "RFC 9110 §5.5 obs-text");
    }
}

#[tokio::test]
async fn languages_and_codings_are_compared_without_case() {
    let reply = Reply::ok("de").field("Vary", "Accept-Language, Accept-Encoding").field("Cache-Control", "max-age=60");
    let origin = Origin::always(reply).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    for (languages, codings, hit) in
        [("de-CH, en", "gzip, br", false), ("DE-ch,EN", "GZip,BR", true), ("en, de-CH", "gzip, br", false)]
    {
        let answer = client.get_with("/x", &[("accept-language", languages), ("accept-encoding", codings)]).await;
        assert_eq!(answer.cache_says("hit"), hit, "RFC 9110 §12.5.5, §12.5.4: {languages}");
    }
}
