//! One test for each bug that the history check, or reading for it, has found.

mod support;

use serde_json::json;
use support::{Gate, Gateway, Origin, Reply, within};

/// A client's wish that isn't passed on, since it was granted less than a second ago, was taken as if it had proved the
/// stored answer fresh.
#[tokio::test]
async fn no_cache_soon_after_a_soft_purge_is_no_fresh_hit() {
    let origin = Origin::start(|_| async { Reply::ok("x") }).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let mut client = gateway.client().await;
    client.get("/a").await;
    gateway.purge(json!({ "path": "/a", "soft": true })).await;
    let answer = client.get_with("/a", &[("cache-control", "no-cache")]).await;
    assert!(!answer.cache_says("hit"), "{answer:?}");
    assert_eq!(origin.count(), 2);
}

/// One who had to refuse an answer on its way, being another variant, joined the same question again and again, as long as
/// its body was growing.
#[tokio::test]
async fn another_variant_does_not_wait_for_the_end_of_a_slow_body() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let held = held.clone();
        async move {
            let language = request.get("accept-language").unwrap_or_default().to_owned();
            let reply = Reply::status(200).field("vary", "accept-language").chunked().body(&language);
            if language == "mi" { reply.wait(&held).body("!") } else { reply }
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let (mut slow, mut other) = (gateway.client().await, gateway.client().await);
    slow.send("GET", "/a", &[("accept-language", "mi")], "").await;
    within("the slow body to begin", gate.arrived(1)).await;
    assert_eq!(other.get_with("/a", &[("accept-language", "en")]).await.text(), "en");
    gate.open();
    assert_eq!(slow.answer().await.text(), "mi!");
}
