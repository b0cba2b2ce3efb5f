//! What there is to see.

use crate::support::{call, port};
use serde_json::json;

#[tokio::test]
async fn not_ready_says_why() {
    let port = port().await;
    assert_eq!(call(&port, "", "GET", "/readyz").await.json(), json!({ "status": "ready" }));
    *port.double.reasons.lock().unwrap() = vec!["draining".into(), "no listener yet".into()];
    let answer = call(&port, "", "GET", "/readyz").await;
    assert_eq!(answer.problem(503, "not-ready"), "draining; no listener yet");
    assert_eq!(answer.json()["reasons"], json!(["draining", "no listener yet"]));
    assert_eq!(call(&port, "", "GET", "/livez").await.status, 200);
}

#[tokio::test]
async fn a_reload_that_was_refused_shows_and_leaves_it_ready() {
    let port = port().await;
    *port.double.last_reload.lock().unwrap() = Some(json!({ "result": "refused" }));
    let ready = call(&port, "", "GET", "/readyz").await;
    assert_eq!((ready.status, ready.json()["reload"]["result"].clone()), (200, json!("refused")));
    assert_eq!(call(&port, "administrator", "POST", "/v1/config/reload").await.json(), json!({ "result": "applied" }));
    *port.double.faults.lock().unwrap() = vec![json!({ "line": 3, "message": "not so" })];
    let answer = call(&port, "administrator", "POST", "/v1/config/reload").await;
    let detail = answer.problem(422, "bad-configuration");
    assert_eq!(detail, "the configuration has 7 faults; what was in force stays in force");
    assert_eq!(answer.json()["faults"], json!([{ "line": 3, "message": "not so" }]));
}

#[tokio::test]
async fn apis_are_listed_and_found_by_name_and_version() {
    let port = port().await;
    let bookstore = json!({
        "name": "bookstore", "version": "v1", "settings": { "ttl": "10m" }, "entries": 3, "bytes": 1_000,
        "hits": 9, "misses": 1, "hit_ratio": 0.9, "origin_ms_saved": 180, "etag": "\"e1\"", "editable": true,
        "requests": 12, "requests_per_second": 0.4, "health": { "well": 1, "resting": 0, "down": 0, "open": 0 },
        "hit_ms": { "p50": 0.1, "p99": 0.5 }, "origin_ms": { "p50": null, "p99": null },
    });
    let list = call(&port, "viewer", "GET", "/v1/apis").await.json();
    assert_eq!((list["apis"].as_array().unwrap().len(), &list["apis"][0]), (2, &bookstore));
    assert_eq!(call(&port, "viewer", "GET", "/v1/apis/bookstore/v1").await.json(), bookstore);
    assert_eq!(call(&port, "viewer", "GET", "/v1/apis/a%20b%2F%C3%BC/v1").await.json()["name"], "a b/ü");
    let detail = call(&port, "viewer", "GET", "/v1/apis/bookstore/v2").await.problem(404, "no-such-api");
    assert!(detail.contains("bookstore/v2"), "{detail}");
    call(&port, "viewer", "GET", "/v1/apis/%ff/v1").await.problem(400, "bad-request");
}

#[tokio::test]
async fn metrics_and_configuration_are_passed_on() {
    let port = port().await;
    let metrics = call(&port, "viewer", "GET", "/metrics").await;
    assert_eq!(metrics.body, "freshgate_build_info 1\n");
    assert_eq!(metrics.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let config = call(&port, "viewer", "GET", "/v1/config").await;
    assert_eq!(config.json()["admin"]["tokens"][0]["sha256"], "(hidden)");
    assert_eq!(config.field("content-type"), Some("application/json"));
}
