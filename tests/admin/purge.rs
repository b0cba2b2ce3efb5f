//! What a purge asks for is what the gateway is told.

use crate::support::{Port, bearer, call, events, port, raw, send};
use freshgate::purge::{Selector, Target};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn hard(target: Target) -> Selector {
    Selector { target, api: None, soft: false, dry_run: false }
}

fn last(port: &Port) -> Selector {
    port.double.purges.lock().unwrap().last().unwrap().clone()
}

#[tokio::test]
async fn each_selector_arrives_as_it_was_meant() {
    let port = port().await;
    let path = |host: Option<&str>, path: &str| Target::Path { host: host.map(Into::into), path: path.into() };
    let prefix = |host: Option<&str>, path: &str| Target::Prefix { host: host.map(Into::into), path: path.into() };
    let narrowed = |target| Selector { api: Some("bookstore/v1".into()), ..hard(target) };
    for (body, selector) in [
        (r#"{"api":"bookstore/v1"}"#, hard(Target::Api("bookstore/v1".into()))),
        (r#"{"path":"/books/7"}"#, hard(path(None, "/books/7"))),
        (r#"{"path":"/books/7","host":"a.example"}"#, hard(path(Some("a.example"), "/books/7"))),
        (r#"{"prefix":"/books"}"#, hard(prefix(None, "/books"))),
        (r#"{"prefix":"/books","host":"a.example"}"#, hard(prefix(Some("a.example"), "/books"))),
        (r#"{"tag":"book-7"}"#, hard(Target::Tag("book-7".into()))),
        (r#"{"user":"alice"}"#, hard(Target::User("alice".into()))),
        (r#"{"all":true}"#, hard(Target::All)),
        (r#"{"api":"bookstore/v1","tag":"x"}"#, narrowed(Target::Tag("x".into()))),
        (r#"{"user":"x","api":"bookstore/v1"}"#, narrowed(Target::User("x".into()))),
        (r#"{"path":"/x","api":"bookstore/v1"}"#, narrowed(path(None, "/x"))),
        (r#"{"prefix":"/x","api":"bookstore/v1"}"#, narrowed(prefix(None, "/x"))),
        (r#"{"tag":"x","soft":true}"#, Selector { soft: true, ..hard(Target::Tag("x".into())) }),
        (r#"{"tag":"x","dry_run":true}"#, Selector { dry_run: true, ..hard(Target::Tag("x".into())) }),
        (r#"{"tag":"x","dry_run":false,"soft":false}"#, hard(Target::Tag("x".into()))),
    ] {
        let answer = send(&port, "administrator", "/v1/purge", body).await;
        assert_eq!((answer.status, last(&port)), (200, selector), "{body}");
    }
}

#[tokio::test]
async fn the_answer_tells_count_and_epoch() {
    let port = port().await;
    let answer = send(&port, "operator", "/v1/purge", r#"{"path":"/books/7"}"#).await;
    assert_eq!(answer.json(), json!({ "invalidated": 12, "epoch": 1 }));
    let answer = send(&port, "operator", "/v1/purge", r#"{"tag":"x"}"#).await;
    assert_eq!(answer.json(), json!({ "invalidated": null, "epoch": 2 }));
    let answer = send(&port, "operator", "/v1/purge", r#"{"tag":"x","dry_run":true}"#).await;
    assert_eq!(answer.json(), json!({ "invalidated": 1, "epoch": 0 }));
}

#[tokio::test]
async fn clearing_by_path_of_the_call() {
    let port = port().await;
    let answer = call(&port, "operator", "DELETE", "/v1/apis/bookstore/v1/cache").await;
    assert_eq!(
        (answer.json(), last(&port)),
        (json!({ "invalidated": null, "epoch": 1 }), hard(Target::Api("bookstore/v1".into())))
    );
    let answer = call(&port, "administrator", "DELETE", "/v1/cache").await;
    assert_eq!((answer.json(), last(&port)), (json!({ "invalidated": null, "epoch": 2 }), hard(Target::All)));
    call(&port, "operator", "DELETE", "/v1/apis/nobody/v1/cache").await.problem(404, "no-such-api");
}

#[tokio::test]
async fn all_is_for_administrators() {
    let port = port().await;
    for body in [r#"{"all":true}"#, r#"{"all":true,"dry_run":true}"#, r#"{"all":true,"soft":true}"#] {
        let detail = send(&port, "operator", "/v1/purge", body).await.problem(403, "forbidden");
        assert!(detail.contains("administrator"), "{detail}");
    }
    assert!(port.double.purges.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_bad_body_is_refused_with_the_members_name() {
    let port = port().await;
    for (body, named) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("[]", "an object"),
        ("null", "an object"),
        (r#""all""#, "an object"),
        (r#"["a/v1",null,null,null,null,null,null,false,false]"#, "an object"),
        (r#"{"tag":"x"} trailing"#, "trailing"),
        ("{}", "path, prefix, tag, user, api and all"),
        (r#"{"soft":true}"#, "must be given"),
        (r#"{"tag":"x","path":"/x"}"#, "only one"),
        (r#"{"tag":"x","all":true}"#, "only one"),
        (r#"{"path":"/x","prefix":"/x"}"#, "only one"),
        (r#"{"user":"x","tag":"x"}"#, "only one"),
        (r#"{"tag":"x","sfot":true}"#, "`sfot`"),
        (r#"{"tag":"x","tag":"y"}"#, "`tag`"),
        (r#"{"tag":5}"#, "expected a string"),
        (r#"{"tag":"x","soft":"yes"}"#, "expected a boolean"),
        (r#"{"path":"books"}"#, "`path` must begin with /"),
        (r#"{"path":""}"#, "`path` must begin with /"),
        (r#"{"prefix":"books"}"#, "`prefix` must begin with /"),
        (r#"{"tag":""}"#, "`tag` must not be empty"),
        (r#"{"user":""}"#, "`user` must not be empty"),
        (r#"{"api":""}"#, "`api` must not be empty"),
        (r#"{"path":"/x","host":""}"#, "`host` must not be empty"),
        (r#"{"all":false}"#, "`all`"),
        (r#"{"all":true,"api":"bookstore/v1"}"#, "`all` can't be narrowed"),
        (r#"{"tag":"x","host":"a.example"}"#, "`host` only goes with"),
        (r#"{"api":"bookstore/v1","host":"a.example"}"#, "`host` only goes with"),
    ] {
        let detail = send(&port, "administrator", "/v1/purge", body).await.problem(400, "bad-request");
        assert!(detail.contains(named), "{body}: {detail}");
    }
    assert!(port.double.purges.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_the_gateway_does_not_have_is_the_clients_fault() {
    let port = port().await;
    send(&port, "operator", "/v1/purge", r#"{"api":"nobody/v1"}"#).await.problem(404, "no-such-api");
    send(&port, "operator", "/v1/purge", r#"{"path":"/nowhere"}"#).await.problem(404, "no-such-path");
    let bad = send(&port, "operator", "/v1/purge", r#"{"path":"/a/../b"}"#).await;
    assert_eq!(bad.problem(400, "bad-request"), "the path has dots");
}

#[tokio::test]
async fn the_body_must_be_json_and_small() {
    let port = port().await;
    let head = format!("POST /v1/purge HTTP/1.1\r\nHost: x\r\n{}Connection: close\r\n", bearer("operator"));
    for kind in ["", "Content-Type: text/plain\r\n", "Content-Type: application/jsonp\r\n", "Content-Type: \r\n"] {
        let request = format!("{head}{kind}Content-Length: 11\r\n\r\n{{\"tag\":\"x\"}}");
        raw(port.address, &request).await.problem(415, "not-json");
    }
    let request =
        format!("{head}content-type: Application/JSON; charset=utf-8\r\nContent-Length: 11\r\n\r\n{{\"tag\":\"x\"}}");
    assert_eq!(raw(port.address, &request).await.status, 200);

    let padded = |size: usize| r#"{"tag":"x"}"#.to_owned() + &" ".repeat(size - 11);
    assert_eq!(send(&port, "operator", "/v1/purge", &padded(64 << 10)).await.status, 200);
    let answer = send(&port, "operator", "/v1/purge", &padded((64 << 10) + 1)).await;
    answer.problem(413, "body-too-large");
    let chunk = format!("{:x}\r\n{}\r\n", 40 << 10, padded(40 << 10));
    let request =
        format!("{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    raw(port.address, &request).await.problem(413, "body-too-large");
}

#[tokio::test]
async fn scans_take_turns_and_hold_up_nobody_else() {
    let port = port().await;
    let (go, gate) = mpsc::channel();
    *port.double.scan.lock().unwrap() = Some(gate);
    let scan = async || send(&port, "operator", "/v1/purge", r#"{"tag":"x","dry_run":true}"#).await;
    let (first, second, ()) = tokio::join!(scan(), scan(), async {
        for epoch in 1..=10 {
            let purged = send(&port, "operator", "/v1/purge", r#"{"tag":"x"}"#).await;
            assert_eq!(purged.json()["epoch"], epoch, "a purge overtakes scans");
        }
        go.send(()).unwrap();
        go.send(()).unwrap();
    });
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(port.double.scans.1.load(SeqCst), 1);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_body_purges_nothing() {
    let port = port().await;
    let mut socket = TcpStream::connect(port.address).await.unwrap();
    let head =
        format!("POST /v1/purge HTTP/1.1\r\nHost: x\r\n{}Content-Type: application/json\r\n", bearer("operator"));
    socket.write_all(format!("{head}Content-Length: 100\r\n\r\n{{\"tag\":\"x\"}}").as_bytes()).await.unwrap();
    drop(socket);
    port.ended().await;
    assert!(port.double.purges.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_purge_leaves_a_line_in_the_audit_without_secrets() {
    let port = port().await;
    send(&port, "operator", "/v1/purge", r#"{"path":"/audited","api":"bookstore/v1","soft":true}"#).await;
    send(&port, "administrator", "/v1/purge", r#"{"tag":"audited\n","dry_run":true}"#).await;
    call(&port, "operator", "DELETE", "/v1/apis/audited/v1/cache").await;
    send(&port, "guess", "/v1/purge", r#"{"tag":"audited-guess"}"#).await;
    let events = events();
    let audit = |what: &str| {
        let of = events.iter().filter(|event| event["target"] == "audit").map(|event| &event["fields"]);
        let found: Vec<_> = of.filter(|fields| fields["selector"].as_str().is_some_and(|s| s.contains(what))).collect();
        assert_eq!(found.len(), 1, "{what}: {found:?}");
        found[0]
    };
    let selector = |fields: &Value| serde_json::from_str::<Value>(fields["selector"].as_str().unwrap()).unwrap();

    let purged = audit("/audited");
    assert_eq!(selector(purged), json!({ "path": "/audited", "api": "bookstore/v1", "soft": true }));
    assert_eq!(
        (&purged["token"], &purged["epoch"], &purged["invalidated"]),
        (&json!("operator"), &json!(1), &json!(12))
    );
    assert!(purged["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    let counted = audit("audited\\n");
    assert_eq!(
        (&counted["token"], selector(counted)),
        (&json!("administrator"), json!({ "tag": "audited\n", "dry_run": true }))
    );
    let refused = audit("audited/v1");
    assert_eq!((&refused["token"], selector(refused)), (&json!("operator"), json!({ "api": "audited/v1" })));
    assert!(refused["refused"].as_str().unwrap().contains("audited/v1"));

    assert!(events.iter().any(|event| event["fields"]["message"] == "wrong token"));
    let all = json!(events).to_string();
    assert!(!all.contains("-secret") && !all.contains("audited-guess"));
}
