//! An event has made an object out of date: it is dropped at once and loaded again.

use super::support::{Client, Gate, Gateway, Origin, Reply, TOKEN, within};
use super::{cache_beside, codes};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

const RULE: &str = "[[events.rule]]\nwhen = { type = \"codes.changed\" }\nrefresh = \"codes/{subject}\"\n";

fn event(id: usize) -> Value {
    json!({ "specversion": "1.0", "id": id.to_string(), "source": "/db", "type": "codes.changed", "subject": "AT" })
}

/// Sends events, as many in one request as may be.
async fn send(gateway: &Gateway, ids: std::ops::Range<usize>) {
    let bearer = format!("Bearer {TOKEN}");
    let fields = [("authorization", &*bearer), ("content-type", "application/cloudevents-batch+json")];
    let mut admin = Client::connect(gateway.admin).await;
    for first in ids.clone().step_by(100) {
        let batch: Vec<Value> = (first..(first + 100).min(ids.end)).map(event).collect();
        let answer = admin.request("POST", "/v1/events", &fields, &json!(batch).to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// A source that counts, and answers each question when the gate is open.
async fn gated() -> (Origin, Gate, Arc<AtomicUsize>) {
    let (gate, count) = (Gate::closed(), Arc::new(AtomicUsize::new(0)));
    let (held, counted) = (gate.clone(), Arc::clone(&count));
    let origin = Origin::start(move |_| {
        let n = counted.fetch_add(1, Ordering::SeqCst) + 1;
        let gate = held.clone();
        async move {
            gate.pass().await;
            Reply::ok(n.to_string())
        }
    })
    .await;
    (origin, gate, count)
}

async fn before(origin: &Origin) -> (Gateway, Client) {
    cache_beside(&codes(&format!("source = \"{}/{{key}}\"", origin.url())), "", RULE).await
}

#[tokio::test]
async fn who_reads_while_it_is_loaded_waits_for_the_new_one() {
    let (origin, gate, count) = gated().await;
    let (gateway, mut client) = before(&origin).await;
    let addr = gateway.running.objects.unwrap();
    gate.open();
    assert_eq!(client.get("/codes/AT").await.text(), "1");
    gate.close();
    send(&gateway, 0..1).await;
    gate.arrived(2).await;
    let mut readers = JoinSet::new();
    for _ in 0..10 {
        readers.spawn(async move { Client::connect(addr).await.get("/codes/AT").await.text().to_owned() });
    }
    let waiting = "freshgate_waiting_requests 10\n";
    within("the readers to wait", async {
        while !gateway.admin("GET", "/metrics", "").await.text().contains(waiting) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open();
    assert_eq!(readers.join_all().await, vec!["2"; 10]);
    gateway.settled().await;
    assert!(client.get("/codes/AT").await.cache_says("hit"));
    assert_eq!(count.load(Ordering::SeqCst), 2);
    gateway.step(99 * 86_400);
    assert!(client.get("/codes/AT").await.cache_says("hit"), "with a new lifetime");
}

/// While the first question is under way all other events come: one more question covers them, and the last of them is not forgotten.
#[tokio::test]
async fn ten_thousand_events_on_one_key_cost_two_questions() {
    let (origin, gate, count) = gated().await;
    let (gateway, mut client) = before(&origin).await;
    send(&gateway, 0..1).await;
    gate.arrived(1).await;
    send(&gateway, 1..10_000).await;
    assert_eq!(count.load(Ordering::SeqCst), 1);
    gate.open();
    origin.received(2).await;
    gateway.settled().await;
    assert_eq!(client.get("/codes/AT").await.text(), "2", "what was asked before the last event isn't used");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_source_that_fails_leaves_nothing_old_behind() {
    let says = Arc::new(AtomicUsize::new(200));
    let status = Arc::clone(&says);
    let origin = Origin::start(move |_| {
        let status = u16::try_from(status.load(Ordering::SeqCst)).unwrap();
        async move { Reply::status(status).body("code") }
    })
    .await;
    let source = format!("source = \"{}/{{key}}\"\nkeep_on_error = \"1d\"", origin.url());
    let (gateway, mut client) = cache_beside(&codes(&source), "", RULE).await;
    assert_eq!(client.get("/codes/AT").await.status, 200);
    says.store(500, Ordering::SeqCst);
    send(&gateway, 0..1).await;
    assert_eq!(
        client.get("/codes/AT").await.status,
        502,
        "keep_on_error is not for what an event has made out of date"
    );
    says.store(200, Ordering::SeqCst);
    assert_eq!(client.get("/codes/AT").await.status, 200);
}
