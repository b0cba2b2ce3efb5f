//! Parts of answers: from what is stored, else the origin's business.

use crate::support::{Answer, Gateway, Origin, Reply, Request};

const BODY: &str = "0123456789";

/// Answers `bytes=2-4` with a part, all else with the whole.
fn ranged(request: &Request) -> Reply {
    let whole = |reply: Reply| reply.field("ETag", "\"v1\"").field("Cache-Control", "max-age=60");
    match request.get("range") {
        Some("bytes=2-4") => whole(Reply::status(206).body("234").field("Content-Range", "bytes 2-4/10")),
        Some(_) | None => whole(Reply::ok(BODY)),
    }
}

async fn origin() -> Origin {
    Origin::start(|r| async move { ranged(&r) }).await
}

fn part(answer: &Answer) -> (u16, &str, Option<&str>) {
    (answer.status, answer.text(), answer.get("content-range"))
}

#[tokio::test]
async fn a_part_before_the_whole_is_stored_is_no_answer_for_the_whole() {
    let origin = origin().await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let mut client = gateway.client().await;
    let answer = client.get_with("/x", &[("Range", "bytes=2-4")]).await;
    assert_eq!(part(&answer), (206, "234", Some("bytes 2-4/10")));
    assert!(answer.cache_says("fwd=uri-miss"), "nothing of it is stored");
    gateway.settled().await;
    assert_eq!(client.get("/x").await.text(), BODY);
}

#[tokio::test]
async fn parts_of_a_stored_answer_come_from_it() {
    let origin = origin().await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    client.get("/x").await;
    for (range, status, body, content_range) in [
        ("bytes=0-0", 206, "0", Some("bytes 0-0/10")),
        ("bytes=5-", 206, "56789", Some("bytes 5-9/10")),
        ("bytes=-3", 206, "789", Some("bytes 7-9/10")),
        ("bytes=8-99", 206, "89", Some("bytes 8-9/10")),
        ("bytes=10-", 416, "", Some("bytes */10")),
        ("bytes=11-,5-6", 206, "56", Some("bytes 5-6/10")),
        ("bytes=11-,12-", 416, "", Some("bytes */10")),
        ("bytes=0-1,1-2", 200, BODY, None),
        ("bytes=4-2", 200, BODY, None),
        ("pages=1-2", 200, BODY, None),
    ] {
        let answer = client.get_with("/x", &[("Range", range)]).await;
        assert_eq!(part(&answer), (status, body, content_range), "{range}");
        assert!(answer.cache_says("hit") && answer.complete, "{range}");
        let lifetime = if status == 416 { "no-store" } else { "max-age=60" };
        assert_eq!(answer.get("cache-control"), Some(lifetime), "a 416 is no answer for the next cache to keep");
    }
    assert_eq!(client.request("HEAD", "/x", &[("Range", "bytes=0-0")], "").await.status, 200, "only GET has parts");
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn a_part_of_another_version_is_not_given() {
    let origin = origin().await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    client.get("/x").await;
    for (tag, expected) in
        [("\"v1\"", (206, "0", Some("bytes 0-0/10"))), ("\"v0\"", (200, BODY, None)), ("W/\"v1\"", (200, BODY, None))]
    {
        let answer = client.get_with("/x", &[("Range", "bytes=0-0"), ("If-Range", tag)]).await;
        assert_eq!(part(&answer), expected, "{tag}");
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn several_parts_of_a_stored_answer_come_as_one_message() {
    for (media_type, line) in [(Some("text/plain"), "Content-Type: text/plain\r\n"), (None, "")] {
        let origin = Origin::start(move |_| async move {
            let reply = Reply::ok(BODY).field("Cache-Control", "max-age=60").field("ETag", "\"v1\"");
            media_type.iter().fold(reply, |reply, value| reply.field("Content-Type", value))
        })
        .await;
        let gateway = Gateway::before(&origin, "").await;
        let mut client = gateway.client().await;
        client.get("/x").await;
        let answer = client.get_with("/x", &[("Range", "bytes=7-8, 0-2,-1, 20-")]).await;
        assert_eq!((answer.status, answer.get("content-range"), answer.get("etag")), (206, None, Some("\"v1\"")));
        let boundary =
            answer.get("content-type").and_then(|v| v.strip_prefix("multipart/byteranges; boundary=")).unwrap();
        let part = |range: &str, bytes: &str| {
            format!("--{boundary}\r\n{line}Content-Range: bytes {range}/10\r\n\r\n{bytes}\r\n")
        };
        let whole = part("7-8", "78") + &part("0-2", "012") + &part("9-9", "9") + &format!("--{boundary}--\r\n");
        assert_eq!(answer.text(), whole, "RFC 9110 §14.6");
        assert_eq!(answer.get("content-length"), Some(whole.len().to_string().as_str()));
        assert!(answer.cache_says("hit") && origin.count() == 1);
    }
}
