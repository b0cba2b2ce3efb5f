//! What `Cache-Status` says (RFC 9211): every reason to go forward, and the parameters beside it.

#![cfg(test)]

mod support;

use std::future::ready;
use support::{Answer, Gateway, Origin, Reply, Request};

/// An answer with a tag, a variant for each language, and parts.
fn reply(request: &Request) -> Reply {
    let stated = |reply: Reply| {
        reply.field("Cache-Control", "max-age=60").field("Vary", "Accept-Language").field("ETag", "\"v1\"")
    };
    match (request.get("if-none-match"), request.get("range")) {
        (Some(_), _) => stated(Reply::status(304)),
        (None, Some("bytes=0-1")) => stated(Reply::status(206).body("01")).field("Content-Range", "bytes 0-1/4"),
        (None, _) => stated(Reply::ok("0123")),
    }
}

type Fields<'a> = &'a [(&'a str, &'a str)];

async fn gateway() -> (Gateway, Origin) {
    let origin = Origin::start(|r| ready(reply(&r))).await;
    let routes = "[[api.route]]\non = \"GET /off\"\ncache = false\n";
    (Gateway::before(&origin, routes).await, origin)
}

async fn ask(gateway: &Gateway, method: &str, target: &str, fields: Fields<'_>) -> Answer {
    let answer = gateway.client().await.request(method, target, fields, "").await;
    gateway.settled().await;
    answer
}

fn status(answer: &Answer) -> &str {
    answer.get("cache-status").unwrap()
}

#[tokio::test]
async fn every_reason_to_go_forward_is_said() {
    let (gateway, _origin) = gateway().await;
    let german = [("Accept-Language", "de")];
    let rows: &[(u64, &str, &str, Fields<'_>, &str)] = &[
        (0, "GET", "/off", &[], "freshgate; fwd=bypass; fwd-status=200; detail=cache-off"),
        (0, "OPTIONS", "/a", &[], "freshgate; fwd=method; fwd-status=200"),
        (0, "GET", "/a", &[], "freshgate; fwd=uri-miss; fwd-status=200; ttl=60; stored"),
        (0, "GET", "/a", &german, "freshgate; fwd=vary-miss; fwd-status=200; ttl=60; stored"),
        (0, "GET", "/a", &[("If-Match", "\"v1\"")], "freshgate; fwd=request; fwd-status=200; detail=precondition"),
        (
            5,
            "GET",
            "/a",
            &[("Cache-Control", "no-cache")],
            "freshgate; fwd=request; fwd-status=304; ttl=60; stored; detail=client-no-cache",
        ),
        (61, "GET", "/a", &[], "freshgate; fwd=stale; fwd-status=304; ttl=60; stored; detail=stale"),
        (0, "PUT", "/a", &[], "freshgate; fwd=method; fwd-status=200"),
        (0, "GET", "/a", &[], "freshgate; fwd=miss; fwd-status=200; ttl=60; stored; detail=invalidated"),
        (0, "GET", "/p", &[("Range", "bytes=0-1")], "freshgate; fwd=uri-miss; fwd-status=206; ttl=60; stored"),
        (0, "GET", "/p", &[("Range", "bytes=2-3")], "freshgate; fwd=partial; fwd-status=200; ttl=60; stored"),
    ];
    for (step, method, target, fields, want) in rows {
        gateway.step(*step);
        let answer = ask(&gateway, method, target, fields).await;
        assert_eq!(status(&answer), *want, "{method} {target} {fields:?}");
    }
}

#[tokio::test]
async fn what_comes_from_the_store_says_how_fresh_it_is() {
    let (gateway, _origin) = gateway().await;
    ask(&gateway, "GET", "/a", &[]).await;
    gateway.step(20);
    let hit = ask(&gateway, "GET", "/a", &[]).await;
    assert!(hit.cache_says("hit") && !status(&hit).contains("fwd"), "RFC 9211 §2.2: {}", status(&hit));
    let ttl = |answer: &Answer| {
        let value = status(answer).split("ttl=").nth(1).unwrap().split(';').next().unwrap();
        value.parse::<i64>().unwrap()
    };
    assert!((35..=40).contains(&ttl(&hit)), "{}", status(&hit));
    gateway.step(60);
    let stale = ask(&gateway, "GET", "/a", &[("Cache-Control", "max-stale")]).await;
    assert!((-25..=-20).contains(&ttl(&stale)), "RFC 9211 §2.4: negative when stale: {}", status(&stale));
    assert!(stale.cache_says("detail=max-stale"));
}

#[tokio::test]
async fn members_of_caches_nearer_to_the_origin_stay_before_ours() {
    let origin = Origin::always(Reply::ok("x").field("Cache-Status", "inner; hit")).await;
    let gateway = Gateway::before(&origin, "").await;
    let answer = ask(&gateway, "GET", "/a", &[]).await;
    assert_eq!(
        answer.all("cache-status"),
        ["inner; hit", "freshgate; fwd=uri-miss; fwd-status=200; detail=no-lifetime"]
    );
}
