//! Events on the admin port: how they come, what their sender is told, and that nothing happens where he is told no.

use crate::support::{Answer, Port, bearer, events as logged, port, raw};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

async fn send(port: &Port, fields: &str, body: &str) -> Answer {
    let head = format!("POST /v1/events HTTP/1.1\r\nHost: x\r\n{}{fields}Connection: close\r\n", bearer("operator"));
    raw(port.address, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await
}

async fn sent_as(port: &Port, kind: &str, body: &Value) -> Answer {
    send(port, &format!("Content-Type: {kind}\r\n"), &body.to_string()).await
}

fn event(id: &str, subject: &str) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": "/db", "type": "t", "subject": subject })
}

/// Subjects of events that were acted on.
fn acted_on(port: &Port) -> Vec<String> {
    port.double.events.lock().unwrap().drain(..).flatten().collect()
}

#[tokio::test]
async fn events_come_structured_in_batches_and_binary() {
    let port = port().await;
    let did = |id: &str, subject: &str| {
        let rules = json!([{ "rule": 0, "did": [{ "refresh": subject }] }]);
        json!({ "id": id, "source": "/db", "duplicate": false, "rules": rules })
    };
    let answer = sent_as(&port, STRUCTURED, &event("1", "AT")).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "events": [did("1", "AT")] })));
    assert_eq!(answer.field("content-type"), Some("application/json"));
    let answer = sent_as(&port, BATCH, &json!([event("1", "DE"), event("2", "CH")])).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "events": [did("1", "DE"), did("2", "CH")] })));
    let answer = sent_as(&port, BATCH, &json!([])).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "events": [] })));
    let fields = "CE-SpecVersion: 1.0\r\nce-id: 3\r\nce-source: /db\r\nce-type: t\r\nce-subject: A%20B\r\n";
    let answer = send(&port, fields, "").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "events": [did("3", "A B")] })));
    assert_eq!(acted_on(&port), ["AT", "DE", "CH", "A B"]);
}

#[tokio::test]
async fn who_is_refused_is_told_why_and_nothing_is_done() {
    let port = port().await;
    let with = |name: &str, value: Value| {
        let mut event = event("1", "AT");
        event[name] = value;
        event
    };
    let good = event("1", "AT");
    for (kind, body, status, problem, reason) in [
        (STRUCTURED, with("specversion", json!("0.3")), 400, "bad-event", "`specversion` must be \"1.0\""),
        (STRUCTURED, with("id", json!(null)), 400, "bad-event", "`id` is missing"),
        (STRUCTURED, with("type", json!("nobody")), 400, "no-rule", "no [[events.rule]] is for this event"),
        (STRUCTURED, json!([good]), 400, "bad-event", "a structured event is a JSON object"),
        (BATCH, good.clone(), 400, "bad-event", "a batch is a JSON array"),
        (BATCH, json!([good, good, with("id", json!(7))]), 400, "bad-event", "event 2 of the batch: `id` must be"),
        (BATCH, json!([good, with("type", json!("nobody"))]), 400, "no-rule", "event 1 of the batch: no [["),
        (BATCH, json!([good, good, good, good]), 413, "batch-too-large", "3 events"),
        (STRUCTURED, with("data", json!("x".repeat(4_096))), 413, "body-too-large", "4096 bytes"),
        ("application/json", good.clone(), 415, "not-cloudevents", "application/cloudevents+json"),
        ("application/cloudevents+xml", good.clone(), 415, "not-cloudevents", "application/cloudevents+json"),
    ] {
        let answer = sent_as(&port, kind, &body).await;
        let detail = answer.problem(status, problem);
        assert!(detail.contains(reason), "{detail}");
        let index = detail.strip_prefix("event ").and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
        assert_eq!(answer.json().get("index").and_then(Value::as_u64), index, "{detail}");
    }
    send(&port, "Content-Type: application/cloudevents+json\r\n", "{").await.problem(400, "bad-event");
    send(&port, "ce-id: 1\r\n", "").await.problem(400, "bad-event");
    assert_eq!(acted_on(&port), [""; 0]);
}

#[tokio::test]
async fn a_sender_that_leaves_in_the_middle_of_its_body_changes_nothing() {
    let port = port().await;
    let mut socket = TcpStream::connect(port.address).await.unwrap();
    let head = format!("POST /v1/events HTTP/1.1\r\nHost: x\r\n{}Content-Type: {STRUCTURED}\r\n", bearer("operator"));
    socket.write_all(format!("{head}Content-Length: 9999\r\n\r\n{}", event("1", "AT")).as_bytes()).await.unwrap();
    drop(socket);
    port.ended().await;
    assert_eq!(acted_on(&port), [""; 0]);
}

#[tokio::test]
async fn a_sender_may_ask_before_whether_it_may_send() {
    let port = port().await;
    let ask = async |fields: &str| {
        let bearer = bearer("operator");
        raw(
            port.address,
            &format!("OPTIONS /v1/events HTTP/1.1\r\nHost: x\r\n{bearer}{fields}Connection: close\r\n\r\n"),
        )
        .await
    };
    let answer = ask("WebHook-Request-Origin: events.example\r\nWebHook-Request-Rate: 120\r\n").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("webhook-allowed-origin"), Some("events.example"));
    assert_eq!(answer.field("webhook-allowed-rate"), Some("*"));
    ask("").await.problem(400, "bad-request");
}

#[tokio::test]
async fn each_event_leaves_a_line_in_the_audit() {
    let port = port().await;
    sent_as(&port, BATCH, &json!([event("audited-1", "AT"), event("audited-2\u{e9}", "DE")])).await;
    sent_as(&port, STRUCTURED, &json!({ "specversion": "audited-3" })).await;
    let lines = logged();
    let fields = lines.iter().filter(|line| line["target"] == "audit").map(|line| &line["fields"]);
    let events: Vec<_> = fields.filter(|fields| fields["message"] == "event").collect();
    let of = |id: &str| events.iter().find(|fields| fields["id"] == id).unwrap_or_else(|| panic!("{id}: {events:?}"));
    let first = of("audited-1");
    assert_eq!((&first["token"], &first["source"]), (&json!("operator"), &json!("/db")));
    assert_eq!(first["did"], r#"[{"did":[{"refresh":"AT"}],"rule":0}]"#);
    assert!(first["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    of("audited-2\u{e9}");
    let refused = events.iter().filter(|fields| fields["refused"] == "`specversion` must be \"1.0\"").count();
    assert!(refused >= 1 && !json!(lines).to_string().contains("-secret"));
}
