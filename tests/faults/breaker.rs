//! The circuit breaker, and how much an endpoint is asked at a time.

use crate::support::{Gate, Gateway, Origin, Reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

const BREAKER: &str = "breaker = { failures = 0.5, calls = 4, window = \"1h\", open = \"30s\", trials = 2 }\n";

/// Answers 502 while `ill`.
async fn origin(ill: &Arc<AtomicBool>) -> Origin {
    let ill = Arc::clone(ill);
    Origin::start(move |_| {
        let reply = if ill.load(SeqCst) { Reply::status(502) } else { Reply::ok("well") };
        async move { reply.field("Cache-Control", "max-age=60") }
    })
    .await
}

#[tokio::test]
async fn it_opens_lets_a_few_through_and_closes() {
    let ill = Arc::new(AtomicBool::new(true));
    let origin = origin(&ill).await;
    let gateway = Gateway::before(&origin, BREAKER).await;
    for i in 0..4 {
        assert_eq!(gateway.client().await.get(&format!("/{i}")).await.status, 502);
    }
    for method in ["GET", "PUT", "OPTIONS"] {
        let refused = gateway.client().await.request(method, "/x", &[], "").await;
        assert_eq!((refused.status, refused.get("retry-after")), (503, Some("30")), "{method}");
        assert_eq!(refused.json()["type"], "urn:freshgate:problem:breaker-open");
    }
    assert_eq!(origin.count(), 4, "nothing is asked");
    let metrics = gateway.admin("GET", "/metrics", "").await;
    assert!(metrics.text().contains("freshgate_endpoints{api=\"test/v1\",state=\"open\"} 1"), "{}", metrics.text());

    gateway.step(31);
    assert_eq!(gateway.client().await.get("/y").await.status, 502, "on trial, and as ill as before");
    assert_eq!(gateway.client().await.get("/y").await.status, 503);
    ill.store(false, SeqCst);
    gateway.step(31);
    for i in 0..6 {
        assert_eq!(gateway.client().await.get(&format!("/w{i}")).await.text(), "well");
    }
    assert_eq!(origin.count(), 11);
}

#[tokio::test]
async fn what_is_stored_is_given_first_where_that_is_allowed() {
    let ill = Arc::new(AtomicBool::new(false));
    let origin = origin(&ill).await;
    let gateway = Gateway::before(&origin, &format!("{BREAKER}keep_on_error = \"1h\"\n")).await;
    assert_eq!(gateway.client().await.get("/kept").await.text(), "well");
    gateway.settled().await;
    ill.store(true, SeqCst);
    for i in 0..4 {
        gateway.client().await.get(&format!("/{i}")).await;
    }
    gateway.step(20);
    let before = origin.count();
    assert!(gateway.client().await.get("/kept").await.cache_says("hit"), "a hit asks nobody");
    gateway.step(5);
    gateway.clock.step(std::time::Duration::from_secs(3600));
    // The breaker's time is over by now: it is opened again.
    for i in 0..2 {
        gateway.client().await.get(&format!("/again{i}")).await;
    }
    assert_eq!(gateway.client().await.get("/none").await.status, 503);
    assert_eq!(origin.count(), before + 1);
}

#[tokio::test]
async fn a_stale_answer_takes_the_place_of_a_refusal() {
    let ill = Arc::new(AtomicBool::new(false));
    let origin = origin(&ill).await;
    let gateway = Gateway::before(&origin, &format!("{BREAKER}keep_on_error = \"1h\"\n")).await;
    assert_eq!(gateway.client().await.get("/kept").await.text(), "well");
    gateway.settled().await;
    gateway.step(61);
    ill.store(true, SeqCst);
    for i in 0..4 {
        gateway.client().await.get(&format!("/{i}")).await;
    }
    let before = origin.count();
    let stale = gateway.client().await.get("/kept").await;
    assert!(stale.text() == "well" && stale.cache_says("detail=stale-if-error"), "{stale:?}");
    assert_eq!(origin.count(), before);
    // A write that wasn't let through has changed nothing; a purge makes it unusable.
    assert_eq!(gateway.client().await.request("PUT", "/kept", &[], "x").await.status, 503);
    assert!(gateway.client().await.get("/kept").await.cache_says("detail=stale-if-error"));
    gateway.purge(serde_json::json!({ "path": "/kept" })).await;
    assert_eq!(gateway.client().await.get("/kept").await.status, 503);
}

#[tokio::test]
async fn so_many_at_a_time_and_so_many_wait() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let held = held.clone();
        async move {
            held.pass().await;
            Reply::ok(request.target)
        }
    })
    .await;
    let breaker = "breaker = { requests = 1, queue = 1, queue_time = \"1m\" }\ncache = false\n";
    let gateway = Gateway::before(&origin, breaker).await;
    let (mut first, mut second) = (gateway.client().await, gateway.client().await);
    first.send("GET", "/first", &[], "").await;
    gate.arrived(1).await;
    second.send("POST", "/second", &[], "").await;
    // The second one waits when the third is refused.
    let refused = loop {
        let answer = gateway.client().await.request("OPTIONS", "/third", &[("max-forwards", "1")], "").await;
        if answer.status == 503 {
            break answer;
        }
    };
    assert_eq!((refused.get("retry-after"), origin.count()), (Some("1"), 1));
    assert_eq!(refused.json()["type"], "urn:freshgate:problem:origin-queue-full");
    gate.open();
    assert_eq!(first.answer().await.text(), "/first");
    assert_eq!(second.answer().await.text(), "/second");
}

#[tokio::test]
async fn who_waits_too_long_is_told() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let held = held.clone();
        async move {
            held.pass().await;
            Reply::ok("")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "breaker = { requests = 1, queue_time = \"10ms\" }\ncache = false\n").await;
    let mut first = gateway.client().await;
    first.send("GET", "/first", &[], "").await;
    gate.arrived(1).await;
    let refused = gateway.client().await.get("/second").await;
    assert_eq!(refused.json()["type"], "urn:freshgate:problem:origin-queue-timeout");
    assert_eq!((refused.status, origin.count()), (503, 1));
    gate.open();
    assert_eq!(first.answer().await.status, 200);
    assert_eq!(gateway.client().await.get("/third").await.status, 200, "the place is free again");
}
