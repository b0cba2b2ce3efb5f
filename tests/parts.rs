//! Parts that are kept before the whole is, and what becomes of them (RFC 9111 §3.3, §3.4; RFC 9110 §15.3.7).

#![cfg(test)]

mod support;

use std::future::ready;
use std::sync::{Arc, Mutex};
use support::{Answer, Client, Gateway, Origin, Reply, Request};
use tokio::net::TcpStream;

const BODY: &str = "0123456789";
const TAG: &str = "\"v1\"";

/// A resource with this tag, whole or in the part asked for, fresh for a minute.
fn resource(body: &str, tag: Option<&str>, request: &Request) -> Reply {
    let stated = |reply: Reply| {
        let reply = reply.field("Cache-Control", "max-age=60");
        tag.iter().fold(reply, |reply, tag| reply.field("ETag", tag))
    };
    let current = request.get("if-range").is_none_or(|wanted| Some(wanted) == tag);
    match request.get("range").filter(|_| current).and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
        Some((first, last)) => {
            let first: usize = first.parse().unwrap();
            let last = last.parse().unwrap_or(body.len() - 1).min(body.len() - 1);
            let range = format!("bytes {first}-{last}/{}", body.len());
            stated(Reply::status(206).body(&body[first..=last])).field("Content-Range", range)
        }
        None => stated(Reply::ok(body)),
    }
}

async fn origin(tag: Option<&'static str>) -> Origin {
    Origin::start(move |r| ready(resource(BODY, tag, &r))).await
}

struct Story {
    gateway: Gateway,
    origin: Origin,
    client: Client<TcpStream>,
}

impl Story {
    async fn of(origin: Origin, api: &str) -> Story {
        let gateway = Gateway::before(&origin, api).await;
        let client = gateway.client().await;
        Story { gateway, origin, client }
    }

    async fn get_with(&mut self, fields: &[(&str, &str)]) -> Answer {
        let answer = self.client.get_with("/x", fields).await;
        self.gateway.settled().await;
        answer
    }

    async fn range(&mut self, range: &str) -> Answer {
        self.get_with(&[("Range", range)]).await
    }

    async fn whole(&mut self) -> Answer {
        self.get_with(&[]).await
    }

    /// What the origin was asked last: `Range` and `If-Range`.
    fn asked(&self) -> (usize, Option<String>, Option<String>) {
        let last = self.origin.requests().pop().unwrap();
        (self.origin.count(), last.get("range").map(Into::into), last.get("if-range").map(Into::into))
    }
}

fn part(answer: &Answer) -> (u16, &str, Option<&str>) {
    (answer.status, answer.text(), answer.get("content-range"))
}

#[tokio::test]
async fn a_part_answers_for_what_lies_within_it() {
    let mut story = Story::of(origin(Some(TAG)).await, "").await;
    let first = story.range("bytes=2-6").await;
    assert_eq!(part(&first), (206, "23456", Some("bytes 2-6/10")));
    assert!(first.cache_says("fwd=uri-miss") && first.cache_says("stored"));
    for (range, body, content_range) in [
        ("bytes=2-6", "23456", "bytes 2-6/10"),
        ("bytes=3-4", "34", "bytes 3-4/10"),
        ("bytes=6-6", "6", "bytes 6-6/10"),
    ] {
        let answer = story.range(range).await;
        assert_eq!(part(&answer), (206, body, Some(content_range)));
        assert!(answer.cache_says("hit") && answer.get("age").is_some(), "{range}");
    }
    assert_eq!(story.origin.count(), 1);
    let beyond = story.range("bytes=6-7").await;
    assert_eq!(part(&beyond), (206, "67", Some("bytes 6-7/10")));
    assert!(beyond.cache_says("fwd=partial"));
    assert_eq!(story.origin.count(), 2);
}

#[tokio::test]
async fn a_client_that_has_the_part_is_told_so() {
    let mut story = Story::of(origin(Some(TAG)).await, "").await;
    story.range("bytes=2-6").await;
    let answer = story.get_with(&[("Range", "bytes=2-3"), ("If-None-Match", TAG)]).await;
    assert_eq!((answer.status, answer.get("content-range"), answer.get("etag")), (304, None, Some(TAG)));
    let current = story.get_with(&[("Range", "bytes=2-3"), ("If-Range", TAG)]).await;
    assert_eq!(part(&current), (206, "23", Some("bytes 2-3/10")));
    assert_eq!(story.origin.count(), 1);
    let other = story.get_with(&[("Range", "bytes=2-3"), ("If-Range", "\"v0\"")]).await;
    assert_eq!(part(&other), (200, BODY, None), "RFC 9110 §13.1.5: the origin decides");
    assert_eq!(story.origin.count(), 2);
}

#[tokio::test]
async fn a_part_is_never_given_as_the_whole() {
    for (range, tag) in [("bytes=2-6", Some(TAG)), ("bytes=0-6", Some("W/\"v1\"")), ("bytes=0-6", None)] {
        let mut story = Story::of(origin(tag).await, "").await;
        story.range(range).await;
        let whole = story.whole().await;
        assert_eq!(part(&whole), (200, BODY, None), "{range}");
        assert_eq!(story.asked(), (2, None, None), "{range} {tag:?}: RFC 9111 §3.4 wants a strong tag");
    }
}

#[tokio::test]
async fn a_beginning_is_completed() {
    let mut story = Story::of(origin(Some(TAG)).await, "").await;
    story.range("bytes=0-3").await;
    let whole = story.whole().await;
    assert_eq!(part(&whole), (200, BODY, None));
    assert_eq!(whole.get("content-length"), Some("10"));
    assert!(whole.cache_says("fwd=partial") && whole.cache_says("fwd-status=206"));
    assert_eq!(story.asked(), (2, Some("bytes=4-".into()), Some(TAG.into())), "RFC 9111 §3.3");
    let again = story.whole().await;
    assert_eq!((part(&again), again.cache_says("hit")), ((200, BODY, None), true), "it is stored as the whole");
    assert_eq!(story.origin.count(), 2);
}

/// What the origin says to a question for the rest → what the client gets, and how often the origin was asked.
#[tokio::test]
async fn what_does_not_fit_behind_a_beginning_is_not_put_there() {
    let rest = |body: &str, range: &str, tag: &str| {
        Reply::status(206)
            .body(body)
            .field("Content-Range", range)
            .field("ETag", tag)
            .field("Cache-Control", "max-age=60")
    };
    let rows = [
        ("another version", rest("456789", "bytes 4-9/10", "\"v2\""), (200, BODY), 3),
        ("a weak tag", rest("456789", "bytes 4-9/10", "W/\"v1\""), (200, BODY), 3),
        ("another length", rest("4567890", "bytes 4-10/11", TAG), (200, BODY), 3),
        ("from elsewhere", rest("56789", "bytes 5-9/10", TAG), (200, BODY), 3),
        ("not to the end", rest("45678", "bytes 4-8/10", TAG), (200, BODY), 3),
        ("at odds with itself", rest("45678", "bytes 4-9/10", TAG), (200, BODY), 3),
        ("no Content-Range", Reply::status(206).body("456789").field("ETag", TAG), (200, BODY), 3),
        ("nothing there", Reply::status(416), (200, BODY), 3),
        ("a new whole", Reply::ok("new").field("ETag", "\"v2\""), (200, "new"), 2),
        ("gone", Reply::status(404).body("gone"), (404, "gone"), 2),
        ("broken", Reply::status(500).body("broken"), (500, "broken"), 2),
    ];
    for (why, reply, (status, body), count) in rows {
        let origin = Origin::start(move |r| {
            ready(if r.get("if-range").is_some() { reply.clone() } else { resource(BODY, Some(TAG), &r) })
        });
        let mut story = Story::of(origin.await, "").await;
        story.range("bytes=0-3").await;
        let answer = story.whole().await;
        assert_eq!((answer.status, answer.text(), answer.complete), (status, body, true), "{why}");
        assert_eq!(story.origin.count(), count, "{why}");
    }
}

#[tokio::test]
async fn a_rest_that_breaks_off_is_an_incomplete_answer_and_not_stored() {
    let origin = Origin::start(|r| {
        ready(match r.get("if-range") {
            Some(_) => Reply::status(206)
                .body("45")
                .field("Content-Range", "bytes 4-9/10")
                .field("ETag", TAG)
                .field("Cache-Control", "max-age=60")
                .claiming(6)
                .cut(),
            None => resource(BODY, Some(TAG), &r),
        })
    });
    let mut story = Story::of(origin.await, "").await;
    story.range("bytes=0-3").await;
    let broken = story.client.get("/x").await;
    assert!(!broken.complete && BODY.starts_with(broken.text()), "{broken:?}");
    story.gateway.settled().await;
    story.client = story.gateway.client().await;
    assert!(!story.whole().await.complete, "and is asked for again");
    assert_eq!(story.origin.count(), 3);
}

#[tokio::test]
async fn parts_that_touch_become_one_and_at_last_the_whole() {
    let mut story = Story::of(origin(Some(TAG)).await, "").await;
    for range in ["bytes=6-7", "bytes=2-4", "bytes=4-6"] {
        story.range(range).await;
    }
    assert_eq!(part(&story.range("bytes=2-6").await), (206, "23456", Some("bytes 2-6/10")));
    assert_eq!(story.origin.count(), 3, "the last two lie side by side");
    story.range("bytes=0-2").await;
    story.range("bytes=7-9").await;
    let whole = story.whole().await;
    assert_eq!((part(&whole), whole.get("content-length")), ((200, BODY, None), Some("10")));
    assert!(whole.cache_says("hit") && story.origin.count() == 5);
}

#[tokio::test]
async fn parts_of_versions_that_may_differ_stay_apart() {
    for tags in [[Some("\"a\""), Some("\"b\"")], [Some("W/\"a\""), Some("W/\"a\"")], [None, None]] {
        let versions = ["aaaaaaaaaa", "bbbbbbbbbb"];
        let answered = Arc::new(Mutex::new(0));
        let origin = Origin::start(move |r| {
            let n = std::mem::replace(&mut *answered.lock().unwrap(), 1);
            ready(resource(versions[n], tags[n], &r))
        });
        let mut story = Story::of(origin.await, "").await;
        assert_eq!(story.range("bytes=0-4").await.text(), "aaaaa");
        assert_eq!(story.range("bytes=5-9").await.text(), "bbbbb");
        let whole = story.whole().await;
        assert_eq!(part(&whole), (200, "bbbbbbbbbb", None), "{tags:?}");
        assert_eq!(story.origin.count(), 3);
    }
}

#[tokio::test]
async fn a_part_is_kept_only_as_long_as_it_says() {
    let mut story = Story::of(origin(Some(TAG)).await, "").await;
    story.range("bytes=0-3").await;
    story.gateway.step(61);
    assert!(story.range("bytes=0-3").await.cache_says("fwd=partial"));
    assert_eq!(story.origin.count(), 2);
    story.gateway.step(61);
    assert_eq!(story.whole().await.text(), BODY);
    assert_eq!(story.asked(), (3, None, None), "nor is the rest of a stale one asked for");
}

#[tokio::test]
async fn what_is_not_kept_as_a_part() {
    let ranged = || Reply::status(206).body("012").field("ETag", TAG);
    let stated = || ranged().field("Cache-Control", "max-age=60");
    let rows = [
        ("no lifetime, whatever the ttl", ranged().field("Content-Range", "bytes 0-2/10")),
        ("no-store", stated().field("Cache-Control", "no-store").field("Content-Range", "bytes 0-2/10")),
        ("no-cache", stated().field("Cache-Control", "no-cache").field("Content-Range", "bytes 0-2/10")),
        ("no Content-Range", stated()),
        ("two Content-Range", stated().field("Content-Range", "bytes 0-2/10").field("Content-Range", "bytes 3-5/10")),
        ("a length that nobody knows", stated().field("Content-Range", "bytes 0-2/*")),
        ("at odds with its length", stated().field("Content-Range", "bytes 0-4/10")),
        ("at odds with its bytes", stated().field("Content-Range", "bytes 0-4/10").chunked()),
        ("broken off", stated().field("Content-Range", "bytes 0-4/10").claiming(5).cut()),
        ("unsatisfiable", Reply::status(416).field("Cache-Control", "max-age=60").field("Content-Range", "bytes */2")),
    ];
    for (why, reply) in rows {
        let origin = Origin::start(move |_| ready(reply.clone()));
        let mut story = Story::of(origin.await, "ttl = \"10m\"\nerror_answers = \"rfc\"").await;
        for asked in 1..=2 {
            story.client = story.gateway.client().await;
            story.range("bytes=0-2").await;
            assert_eq!(story.origin.count(), asked, "{why}");
        }
    }
}

#[tokio::test]
async fn a_whole_answer_to_a_range_is_kept_as_the_whole() {
    let mut story = Story::of(Origin::always(Reply::ok(BODY).field("Cache-Control", "max-age=60")).await, "").await;
    let answer = story.range("bytes=2-4").await;
    assert_eq!(part(&answer), (200, BODY, None), "RFC 9110 §14.2: a server may ignore Range");
    assert_eq!(part(&story.range("bytes=2-4").await), (206, "234", Some("bytes 2-4/10")));
    assert_eq!(story.whole().await.text(), BODY);
    assert_eq!(story.origin.count(), 1);
}

#[tokio::test]
async fn a_write_and_a_purge_end_parts_as_well() {
    for purge in [false, true] {
        let mut story = Story::of(origin(Some(TAG)).await, "").await;
        story.range("bytes=0-3").await;
        if purge {
            story.gateway.purge(serde_json::json!({ "path": "/x" })).await;
        } else {
            story.client.put("/x", "").await;
        }
        let before = story.origin.count();
        assert_eq!(story.range("bytes=0-3").await.text(), "0123");
        assert_eq!(story.origin.count(), before + 1, "purge: {purge}");
        let (count, range, _) = {
            story.gateway.purge(serde_json::json!({ "path": "/x" })).await;
            story.whole().await;
            story.asked()
        };
        assert_eq!((count, range), (before + 2, None), "nor is it completed");
    }
}

#[tokio::test]
async fn a_write_while_the_rest_is_asked_for_makes_the_beginning_useless() {
    let gate = support::Gate::closed();
    let theirs = gate.clone();
    let origin = Origin::start(move |r| {
        let gate = theirs.clone();
        async move {
            if r.get("if-range").is_some() {
                gate.pass().await;
            }
            resource(BODY, Some(TAG), &r)
        }
    });
    let mut story = Story::of(origin.await, "").await;
    story.range("bytes=0-3").await;
    story.client.send("GET", "/x", &[], "").await;
    story.origin.received(2).await;
    story.gateway.client().await.put("/x", "").await;
    gate.open();
    assert_eq!(story.client.answer().await.text(), BODY);
    assert_eq!(story.asked(), (4, None, None), "the whole is asked for: an origin's tags may not tell the two apart");
}

#[tokio::test]
async fn one_callers_part_is_not_anothers() {
    let origin = Origin::start(|r| {
        let who = if r.get("authorization").is_some() { "aaaaaaaaaa" } else { "bbbbbbbbbb" };
        ready(resource(who, Some(TAG), &r))
    });
    let mut story = Story::of(origin.await, "").await;
    let hers = [("Authorization", "Bearer alice"), ("Range", "bytes=0-3")];
    assert_eq!(story.get_with(&hers).await.text(), "aaaa");
    assert_eq!(story.range("bytes=0-3").await.text(), "bbbb");
    assert_eq!(story.get_with(&hers).await.text(), "aaaa");
    assert_eq!(story.origin.count(), 2);
    assert_eq!(story.whole().await.text(), "bbbbbbbbbb");
    assert_eq!(story.get_with(&hers[..1]).await.text(), "aaaaaaaaaa");
}

#[tokio::test]
async fn a_part_is_of_one_variant() {
    let origin = Origin::start(|r| {
        let body = if r.get("accept-language") == Some("de") { "dddddddddd" } else { "eeeeeeeeee" };
        ready(resource(body, Some(TAG), &r).field("Vary", "Accept-Language"))
    });
    let mut story = Story::of(origin.await, "").await;
    let german = [("Accept-Language", "de"), ("Range", "bytes=0-3")];
    assert_eq!(story.get_with(&german).await.text(), "dddd");
    assert_eq!(story.range("bytes=0-3").await.text(), "eeee");
    assert_eq!(story.get_with(&german).await.text(), "dddd");
    assert_eq!(story.whole().await.text(), "eeeeeeeeee");
    assert_eq!(story.origin.count(), 3);
}

#[tokio::test]
async fn what_is_put_together_has_the_tags_of_all_its_parts() {
    for rest in ["", "bytes=4-9"] {
        let origin = Origin::start(|r| {
            let tags = if r.get("range") == Some("bytes=0-3") { "a" } else { "b" };
            ready(resource(BODY, Some(TAG), &r).field("Surrogate-Key", tags))
        });
        let mut story = Story::of(origin.await, "").await;
        for tag in ["a", "b"] {
            let before = story.origin.count();
            story.range("bytes=0-3").await;
            if !rest.is_empty() {
                story.range(rest).await;
            }
            story.whole().await;
            assert!(story.whole().await.cache_says("hit"), "{rest}");
            assert_eq!(story.origin.count(), before + 2, "{rest}");
            story.gateway.purge(serde_json::json!({ "tag": tag })).await;
            assert!(!story.whole().await.cache_says("hit"), "{rest} {tag}");
            story.gateway.purge(serde_json::json!({ "path": "/x" })).await;
        }
    }
}

#[tokio::test]
async fn an_end_that_is_public_does_not_make_a_callers_beginning_so() {
    let origin = Origin::start(|r| {
        let who = if r.get("authorization").is_some() { "aaaaaaaaaa" } else { "bbbbbbbbbb" };
        let reply = resource(who, Some(TAG), &r);
        ready(if r.get("if-range").is_some() { reply.field("Cache-Control", "public") } else { reply })
    });
    let mut story = Story::of(origin.await, "").await;
    let hers = [("Authorization", "Bearer alice"), ("Range", "bytes=0-3")];
    story.get_with(&hers).await;
    assert_eq!(story.get_with(&hers[..1]).await.text(), "aaaaaaaaaa");
    assert_eq!(story.asked().1.as_deref(), Some("bytes=4-"));
    assert_eq!(story.whole().await.text(), "bbbbbbbbbb");
    assert!(story.get_with(&hers[..1]).await.cache_says("hit"), "she has it still");
}
