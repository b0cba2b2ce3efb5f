//! URLs that their origin calls equivalent (No-Vary-Search).

#![cfg(test)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Answer, Gateway, Origin, Reply, Request};

const RULE: &str = "params=(\"utm\")";

/// Numbered answers, fresh for a minute, with this rule.
async fn numbered(rule: &'static str) -> (Gateway, Origin) {
    answering(move |_, reply| reply.field("No-Vary-Search", rule)).await
}

async fn answering(more: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static) -> (Gateway, Origin) {
    let count = AtomicUsize::new(0);
    let origin = Origin::start(move |r| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        std::future::ready(more(&r, Reply::ok(n.to_string()).field("Cache-Control", "max-age=60")))
    })
    .await;
    (Gateway::before(&origin, "").await, origin)
}

async fn get_with(gateway: &Gateway, target: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = gateway.client().await.get_with(target, fields).await;
    gateway.settled().await;
    answer
}

async fn get(gateway: &Gateway, target: &str) -> Answer {
    get_with(gateway, target, &[]).await
}

#[tokio::test]
async fn an_answer_is_used_for_every_equivalent_url() {
    let (gateway, origin) = numbered(RULE).await;
    get(&gateway, "/a?q=1&utm=x").await;
    for target in ["/a?q=1&utm=x", "/a?q=1&utm=y", "/a?utm=z&q=1", "/a?q=1", "/a?q=%31"] {
        let answer = get(&gateway, target).await;
        assert_eq!(
            (answer.text(), answer.cache_says("hit"), answer.get("no-vary-search")),
            ("0", true, Some(RULE)),
            "{target}"
        );
    }
    assert_eq!(origin.count(), 1);
    for (n, target) in ["/a?q=2&utm=x", "/a", "/b?q=1&utm=y", "/a?Utm=x&q=1"].into_iter().enumerate() {
        assert_eq!(get(&gateway, target).await.text(), (n + 1).to_string(), "{target}");
    }
    assert_eq!(origin.requests()[0].target, "/a?q=1&utm=x", "the origin is asked for what was asked");
    let counted = gateway.purge(serde_json::json!({ "api": "test/v1", "dry_run": true })).await;
    assert_eq!(counted["invalidated"], 5, "each counts once");
}

#[tokio::test]
async fn without_a_rule_that_is_understood_every_query_is_another() {
    for rule in ["params=(utm)", "params=(\"utm\"), except=(\"q\")", "utm"] {
        let (gateway, origin) = numbered(rule).await;
        for target in ["/a?q=1&utm=x", "/a?q=1&utm=y"] {
            get(&gateway, target).await;
        }
        assert_eq!(origin.count(), 2, "{rule}");
    }
}

#[tokio::test]
async fn a_rule_in_several_lines_is_one() {
    let (gateway, origin) =
        answering(|_, reply| reply.field("No-Vary-Search", RULE).field("No-Vary-Search", "key-order")).await;
    for target in ["/a?a=1&a=2&utm=x", "/a?utm=y&a=1&a=2"] {
        get(&gateway, target).await;
    }
    assert_eq!(origin.count(), 1, "RFC 9651 §4.2");
}

#[tokio::test]
async fn what_ends_an_answer_ends_it_under_every_url() {
    let (gateway, origin) = numbered(RULE).await;
    get(&gateway, "/a?utm=x").await;
    gateway.client().await.put("/a?utm=z", "").await;
    assert_eq!(get(&gateway, "/a?utm=y").await.text(), "2");
    gateway.purge(serde_json::json!({ "path": "/a" })).await;
    assert_eq!(get(&gateway, "/a?utm=q").await.text(), "3");
    gateway.step(61);
    assert_eq!(get(&gateway, "/a?utm=r").await.text(), "4");
    assert_eq!(origin.count(), 5);
}

#[tokio::test]
async fn a_stale_one_is_confirmed_for_the_url_asked_for() {
    let (gateway, origin) = answering(|r, reply| {
        let reply = if r.get("if-none-match").is_some() { Reply::status(304) } else { reply };
        reply.field("No-Vary-Search", RULE).field("ETag", "\"v1\"").field("Cache-Control", "max-age=60")
    })
    .await;
    get(&gateway, "/a?utm=x").await;
    gateway.step(61);
    let answer = get(&gateway, "/a?utm=y").await;
    assert_eq!((answer.text(), answer.cache_says("fwd-status=304")), ("0", true));
    assert_eq!(origin.requests()[1].target, "/a?utm=y");
    assert!(get(&gateway, "/a?utm=z").await.cache_says("hit"), "fresh again for all of them");
}

#[tokio::test]
async fn callers_and_variants_stay_apart() {
    let (gateway, _origin) =
        answering(|_, reply| reply.field("No-Vary-Search", RULE).field("Vary", "Accept-Language")).await;
    let alice = [("Authorization", "alice")];
    assert_eq!(get_with(&gateway, "/a?utm=x", &alice).await.text(), "0");
    assert_eq!(get(&gateway, "/a?utm=y").await.text(), "1");
    assert_eq!(get_with(&gateway, "/a?utm=y", &[("Authorization", "bob")]).await.text(), "2");
    assert_eq!(get_with(&gateway, "/a?utm=z", &alice).await.text(), "0");
    assert_eq!(get_with(&gateway, "/a?utm=z", &[("Accept-Language", "de")]).await.text(), "3");
    assert_eq!(get(&gateway, "/a?utm=z").await.text(), "1");
}

#[tokio::test]
async fn the_newest_rule_of_a_path_counts() {
    let (gateway, origin) = answering(|r, reply| {
        let rule = if r.target.contains("q=1") { RULE } else { "params=(\"ref\")" };
        reply.field("No-Vary-Search", rule)
    })
    .await;
    get(&gateway, "/a?q=1&utm=x").await;
    get(&gateway, "/a?q=2&ref=x").await;
    assert!(get(&gateway, "/a?q=2&ref=y").await.cache_says("hit"));
    assert!(get(&gateway, "/a?q=1&utm=x").await.cache_says("hit"), "its own URL finds it all the same");
    assert_eq!(origin.count(), 2);
}
