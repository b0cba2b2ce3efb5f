//! How APIs are read in pages and changed: what a request may say, and who may say it.

use crate::support::{Answer, Port, bearer, call, port, raw};
use serde_json::{Value, json};

/// A request with these fields and this body.
async fn asked(port: &Port, who: &str, (method, path): (&str, &str), fields: &str, body: &str) -> Answer {
    let (token, length) = (bearer(who), body.len());
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{token}Connection: close\r\n{fields}");
    raw(port.address, &format!("{head}Content-Length: {length}\r\n\r\n{body}")).await
}

const JSON: &str = "Content-Type: application/json\r\n";
const BOOKSTORE: &str = "/v1/apis/bookstore/v1";

#[tokio::test]
async fn what_is_put_and_patched_is_answered_with_its_entity_tag() {
    let port = port().await;
    let body = r#"{"path":"/x","upstream":["http://127.0.0.1:9000"]}"#;
    let new = asked(&port, "administrator", ("PUT", "/v1/apis/new/v1"), JSON, body).await;
    assert_eq!((new.status, new.field("etag"), new.field("location")), (201, Some("\"e1\""), Some("/v1/apis/new/v1")));
    assert_eq!(
        (&new.json()["cache"], &new.json()["warnings"], &new.json()["name"]),
        (&json!("kept"), &json!([]), &json!("new"))
    );
    let old = asked(&port, "administrator", ("PUT", BOOKSTORE), JSON, body).await;
    assert_eq!((old.status, old.field("location")), (200, None));
    let merge = "Content-Type: application/merge-patch+json; charset=utf-8\r\n";
    assert_eq!(asked(&port, "administrator", ("PATCH", BOOKSTORE), merge, r#"{"path":null}"#).await.status, 200);
    assert_eq!(asked(&port, "administrator", ("DELETE", BOOKSTORE), "", "").await.status, 204);
    let asked: Vec<Value> = port.double.asked.lock().unwrap().iter().cloned().map(Value::Object).collect();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(asked, [body.clone(), body, json!({ "path": null })]);
}

#[tokio::test]
async fn an_operator_changes_intervals_and_nothing_else() {
    let port = port().await;
    for (body, status) in [
        (r#"{"ttl":"5m"}"#, 200),
        (r#"{"ttl":null,"grace":"1s","keep_on_error":"1h"}"#, 200),
        ("{}", 200),
        (r#"{"ttl":"5m","path":"/y"}"#, 403),
        (r#"{"name":"bookstore"}"#, 403),
        (r#"{"ttl_by_status":{"404":"1s"}}"#, 403),
    ] {
        let answer = asked(&port, "operator", ("PATCH", BOOKSTORE), JSON, body).await;
        assert_eq!(answer.status, status, "{body}");
        if status == 403 {
            let detail = answer.problem(403, "forbidden");
            assert!(detail.contains("ttl, grace and keep_on_error"), "{detail}");
        }
    }
    let long = format!("{{\"{}\":1}}", "x".repeat(5_000));
    let answer = asked(&port, "operator", ("PATCH", BOOKSTORE), JSON, &long).await;
    assert!(answer.problem(403, "forbidden").len() < 300, "{answer:?}");
    let many: Vec<String> = (0..2_000).map(|n| format!("\"k{n}\":1")).collect();
    assert_eq!(
        asked(&port, "operator", ("PATCH", BOOKSTORE), JSON, &format!("{{{}}}", many.join(","))).await.status,
        403
    );
    let told = port.double.audit.page(None, 1).0.remove(0);
    assert_eq!(told.details["keys"].as_array().map(Vec::len), Some(100), "{told:?}");
    assert_eq!(asked(&port, "operator", ("PUT", BOOKSTORE), JSON, "{}").await.status, 403);
    assert_eq!(call(&port, "operator", "DELETE", BOOKSTORE).await.status, 403);
    assert_eq!(asked(&port, "viewer", ("PATCH", BOOKSTORE), JSON, r#"{"ttl":"5m"}"#).await.status, 403);
    assert_eq!(asked(&port, "", ("PATCH", BOOKSTORE), JSON, r#"{"ttl":"5m"}"#).await.status, 401);
    assert_eq!(port.double.asked.lock().unwrap().len(), 3, "what was refused was never asked for");
}

#[tokio::test]
async fn a_body_that_is_no_object_of_json_is_refused_with_its_reason() {
    let port = port().await;
    for method in ["PUT", "PATCH"] {
        let ask =
            async |fields: &str, body: &str| asked(&port, "administrator", (method, BOOKSTORE), fields, body).await;
        ask("Content-Type: text/plain\r\n", "{}").await.problem(415, "not-json");
        ask("", "{}").await.problem(415, "not-json");
        for body in ["", "{", "nonsense", "[1]", "\"x\"", "null", "{\"a\":1}x", "{\"a\":\u{1}}"] {
            ask(JSON, body).await.problem(400, "bad-request");
        }
        let twice = ask(JSON, r#"{"ttl":"1s","key":{"a":1,"a":2}}"#).await.problem(400, "bad-request");
        assert!(twice.contains("`a` stands twice"), "{twice}");
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        ask(JSON, &deep).await.problem(400, "bad-request");
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
        assert!(ask(JSON, &deep).await.problem(400, "bad-request").contains("32 deep"));
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(256 << 10));
        let detail = ask(JSON, &large).await.problem(413, "body-too-large");
        assert!(detail.contains("262144"), "{detail}");
        let faulty = ask(JSON, r#"{"fault":1}"#).await;
        faulty.problem(422, "bad-configuration");
        assert_eq!(faulty.json()["faults"], json!([{ "key": "fault", "message": "not so" }]));
    }
    call(&port, "administrator", "DELETE", "/v1/apis/nobody/v1").await.problem(404, "no-such-api");
    asked(&port, "administrator", ("PATCH", "/v1/apis/nobody/v1"), JSON, "{}").await.problem(404, "no-such-api");
    asked(&port, "administrator", ("PUT", "/v1/apis/%ff/v1"), JSON, "{}").await.problem(400, "bad-request");
}

#[tokio::test]
async fn conditions_hold_or_nothing_is_done() {
    let port = port().await;
    for (fields, status) in [
        ("If-Match: \"e1\"\r\n", 200),
        ("If-Match: \"x\", \"e1\"\r\n", 200),
        ("If-Match: \"x\"\r\nIf-Match: \"e1\"\r\n", 200),
        ("If-Match: *\r\n", 200),
        ("If-Match: \"e2\"\r\n", 412),
        ("If-Match: W/\"e1\"\r\n", 412),
        ("If-Match: e1\r\n", 412),
        ("If-Match: \r\n", 412),
        ("If-None-Match: *\r\n", 412),
        ("If-None-Match: \"e1\"\r\n", 412),
        ("If-None-Match: \"e2\"\r\n", 200),
    ] {
        let answer = asked(&port, "administrator", ("PUT", BOOKSTORE), &format!("{JSON}{fields}"), "{}").await;
        assert_eq!(answer.status, status, "{fields:?}");
        if status == 412 {
            answer.problem(412, "precondition-failed");
            assert_eq!(answer.json()["etag"], "\"e1\"");
        }
    }
    let new = async |fields: &str| {
        asked(&port, "administrator", ("PUT", "/v1/apis/new/v1"), &format!("{JSON}{fields}"), "{}").await.status
    };
    assert_eq!((new("If-Match: *\r\n").await, new("If-None-Match: *\r\n").await), (412, 201));
    let read = async |fields: &str| asked(&port, "viewer", ("GET", BOOKSTORE), fields, "").await;
    let one = read("").await;
    assert_eq!((one.status, one.field("etag"), &one.json()["etag"]), (200, Some("\"e1\""), &json!("\"e1\"")));
    let same = read("If-None-Match: W/\"e1\"\r\n").await;
    assert_eq!((same.status, same.field("etag"), same.body.as_str()), (304, Some("\"e1\""), ""));
    assert_eq!(read("If-None-Match: \"e2\"\r\n").await.status, 200);
}

#[tokio::test]
async fn the_list_is_read_in_pages() {
    let port = port().await;
    let page = async |query: &str| call(&port, "viewer", "GET", &format!("/v1/apis{query}")).await;
    let first = page("?limit=1").await.json();
    assert_eq!((first["apis"].as_array().unwrap().len(), &first["apis"][0]["name"]), (1, &json!("bookstore")));
    let cursor = first["cursor"].as_str().unwrap().to_owned();
    let second = page(&format!("?limit=1&cursor={cursor}")).await.json();
    assert_eq!((&second["apis"][0]["name"], &second["cursor"]), (&json!("a b/ü"), &Value::Null));
    for (query, member) in [
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?limit=-1", "limit"),
        ("?limit=", "limit"),
        ("?limit=1&limit=2", "limit"),
        ("?cursor=x", "cursor"),
        ("?cursor=%ff", "cursor"),
        ("?cursor=x:y", "cursor"),
        ("?offset=1", "limit"),
    ] {
        let detail = page(query).await.problem(400, "bad-request");
        assert!(detail.contains(&format!("`{member}`")), "{query}: {detail}");
    }
}

#[tokio::test]
async fn who_did_what_is_told_to_administrators() {
    let port = port().await;
    call(&port, "operator", "DELETE", "/v1/apis/bookstore/v1/cache").await;
    call(&port, "administrator", "DELETE", "/v1/cache").await;
    asked(&port, "administrator", ("PATCH", BOOKSTORE), JSON, r#"{"ttl":"1s"}"#).await;
    asked(&port, "operator", ("PATCH", BOOKSTORE), JSON, r#"{"auth":{"secret":"s3cret"}}"#).await;
    asked(&port, "administrator", ("PUT", BOOKSTORE), &format!("{JSON}If-Match: \"x\"\r\n"), r#"{"auth":"s3cret"}"#)
        .await;
    call(&port, "administrator", "DELETE", BOOKSTORE).await;
    call(&port, "administrator", "POST", "/v1/config/reload").await;
    let page = call(&port, "administrator", "GET", "/v1/audit").await;
    let records = page.json()["records"].as_array().unwrap().clone();
    let told: Vec<_> = records
        .iter()
        .rev()
        .map(|r| {
            ["actor", "role", "action", "target", "result"]
                .map(|key| r[key].as_str().unwrap_or("-").to_owned())
                .join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "operator operator clear bookstore/v1 done",
            "administrator administrator clear everything done",
            "administrator administrator change-api bookstore/v1 done",
            "operator operator change-api bookstore/v1 refused",
            "administrator administrator change-api bookstore/v1 refused",
            "administrator administrator remove-api bookstore/v1 done",
            "administrator administrator reload - applied",
        ]
    );
    assert!(!page.body.contains("s3cret") && !page.body.contains("-secret"), "{}", page.body);
    assert_eq!(records[3]["details"], json!({ "keys": ["auth"], "reason": "forbidden" }));
    assert!(
        records[0]["peer"].as_str().unwrap().starts_with("127.0.0.1:")
            && records[0]["time"].as_str().unwrap().ends_with('Z')
    );
    let two = call(&port, "administrator", "GET", "/v1/audit?limit=2").await.json();
    assert_eq!((two["records"].as_array().unwrap().len(), &two["cursor"]), (2, &json!("6")));
    let rest = call(&port, "administrator", "GET", "/v1/audit?limit=5&cursor=6").await.json();
    assert_eq!((rest["records"].as_array().unwrap().len(), &rest["cursor"]), (5, &Value::Null));
    call(&port, "administrator", "GET", "/v1/audit?cursor=x").await.problem(400, "bad-request");
    call(&port, "operator", "GET", "/v1/audit").await.problem(403, "forbidden");
}
