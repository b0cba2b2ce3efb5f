//! What a stop does to those who are connected, and to those who come.

#![cfg(test)]

mod support;

use std::io::ErrorKind;
use std::net::SocketAddr;
use support::process::{ADMIN, Process};
use support::{Client, Gate, Gateway, H2, Origin, Piece, Reply, within};
use tokio::net::TcpStream;

/// Two of an origin's answers wait for a gate: GET /slow after its beginning, PUT before its answer.
async fn origin(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |request| {
        let gate = gate.clone();
        async move {
            match (request.method.as_str(), request.target.as_str()) {
                ("PUT", "/held") => {
                    gate.pass().await;
                    Reply::status(204)
                }
                ("PUT", _) => Reply::ok(request.body.len().to_string()),
                (_, "/slow") => Reply::status(200).chunked().body("begun").wait(&gate).body(" and done"),
                _ => Reply::ok("x").field("cache-control", "max-age=60").field("etag", "\"v1\""),
            }
        }
    })
    .await
}

async fn draining(origin: &Origin, server: &str) -> Gateway {
    let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n", origin.url());
    Gateway::from_parts(server, "", &api).await
}

async fn is_refused(addr: SocketAddr) -> bool {
    match TcpStream::connect(addr).await {
        Ok(_) => false,
        // Who connects in the very moment in which the socket is closed.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            true
        }
    }
}

#[tokio::test]
async fn during_the_delay_all_are_served_and_told_to_end() {
    let origin = origin(&Gate::closed()).await;
    let gateway = draining(&origin, "limits = { idle_timeout = \"1h\" }\ndrain = { delay = \"1h\" }\n").await;
    let (mut before, mut idle) = (gateway.client().await, gateway.client().await);
    assert_eq!(before.get("/").await.get("connection"), None);
    let mut h2 = H2::connect(gateway.addr).await;
    assert_eq!(h2.get("/").await.status, 200);
    let (addr, probe) = (gateway.addr, gateway.running.probe.unwrap());
    let story = async {
        while Client::connect(probe).await.get("/readyz").await.status == 200 {}
        let mut after = Client::connect(addr).await;
        for client in [&mut before, &mut after, &mut idle] {
            let answer = client.get("/").await;
            assert_eq!((answer.status, answer.get("connection")), (200, Some("close")));
            assert!(client.closed().await.is_empty());
        }
        within("GOAWAY", async {
            while h2.send.clone().ready().await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(H2::connect(addr).await.get("/").await.status, 200, "a new one may ask first");
    };
    tokio::select! { biased; _ = gateway.running.stop() => panic!("stopped within the delay"), () = story => {} }
}

#[tokio::test]
async fn after_the_delay_new_ones_are_refused_and_idle_ones_closed() {
    let gate = Gate::closed();
    let origin = origin(&gate).await;
    let gateway = draining(&origin, "drain = { delay = \"100ms\" }\n").await;
    let (mut idle, mut busy) = (gateway.client().await, gateway.client().await);
    idle.get("/").await;
    busy.send("GET", "/slow", &[], "").await;
    assert_eq!(busy.answer_head().await.unwrap().get("connection"), None, "it was told before");
    let addr = gateway.addr;
    let story = async {
        within("a refusal", async { while !is_refused(addr).await {} }).await;
        assert!(idle.closed().await.is_empty());
        gate.open();
        assert_eq!(busy.at_least(14).await, b"begun and done");
        assert!(matches!(busy.piece().await, Piece::End(_)));
    };
    let (ended, ()) = tokio::join!(gateway.running.stop(), story);
    assert!(ended);
}

#[tokio::test]
async fn an_upload_and_an_answer_that_are_under_way_are_finished() {
    let gate = Gate::closed();
    let origin = origin(&gate).await;
    let gateway = draining(&origin, "").await;
    let (mut upload, mut slow) = (gateway.client().await, gateway.client().await);
    upload.send("PUT", "/x", &[("content-length", "10")], "12345").await;
    slow.send("GET", "/slow", &[], "").await;
    origin.received(1).await;
    slow.at_least(0).await;
    let addr = gateway.addr;
    let story = async {
        within("a refusal", async { while !is_refused(addr).await {} }).await;
        upload.send_raw("67890").await;
        let answer = upload.answer().await;
        assert_eq!((answer.status, answer.text(), answer.get("connection")), (200, "10", Some("close")));
        gate.open();
        assert_eq!(slow.answer().await.text(), "begun and done");
    };
    let (ended, ()) = tokio::join!(gateway.running.stop(), story);
    assert!(ended);
}

/// A connection that stands already, and may have sent its request, would be reset with the socket in whose queue it waits.
#[tokio::test]
async fn who_waits_to_be_accepted_is_served() {
    let gate = Gate::closed();
    let origin = origin(&gate).await;
    let gateway = draining(&origin, "limits = { connections = 1 }\n").await;
    let mut first = gateway.client().await;
    first.send("GET", "/slow", &[], "").await;
    assert_eq!(first.at_least(5).await, b"");
    origin.received(1).await;
    let mut queue = Vec::new();
    for n in 0..3 {
        let mut client = gateway.client().await;
        client.send("GET", &format!("/{n}"), &[], "").await;
        queue.push(client);
    }
    let addr = gateway.addr;
    let story = async {
        within("a refusal", async { while !is_refused(addr).await {} }).await;
        gate.open();
        assert_eq!(first.answer().await.text(), "begun and done");
        for client in &mut queue {
            let answer = client.answer().await;
            assert_eq!((answer.status, answer.get("connection")), (200, Some("close")));
        }
    };
    let (ended, ()) = tokio::join!(gateway.running.stop(), story);
    assert!(ended);
}

#[tokio::test]
async fn what_does_not_end_is_cut_at_the_deadline() {
    let origin = origin(&Gate::closed()).await;
    let gateway = draining(&origin, "drain = { deadline = \"100ms\" }\n").await;
    let mut client = gateway.client().await;
    client.send("GET", "/slow", &[], "").await;
    assert_eq!(client.answer_head().await.unwrap().status, 200);
    assert!(!gateway.running.stop().await);
    assert!(!matches!(client.at_least(14).await.as_slice(), b"begun and done"));
}

/// The snapshot tells: what the write has touched isn't in it.
#[tokio::test]
async fn a_write_whose_client_has_left_is_carried_to_its_invalidation() {
    let gate = Gate::closed();
    let origin = origin(&gate).await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("cache");
    let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n", origin.url());
    let gateway = Gateway::with(&format!("[cache]\nsnapshot = {file:?}\n"), &api).await;
    within("the start of the snapshot", async {
        while !gateway.admin("GET", "/metrics", "").await.text().contains("freshgate_snapshot_entries") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut client = gateway.client().await.host("shop.example");
    for target in ["/held", "/other"] {
        client.get(target).await;
    }
    gateway.settled().await;
    client.send("PUT", "/held", &[], "x").await;
    gate.arrived(1).await;
    drop(client);
    let addr = gateway.addr;
    let story = async {
        within("a refusal", async { while !is_refused(addr).await {} }).await;
        gate.open();
    };
    let (ended, ()) = tokio::join!(gateway.running.stop(), story);
    assert!(ended);
    let saved = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
    assert!(saved.contains("shop.example/other") && !saved.contains("shop.example/held"), "{saved}");
}

/// The program, with more lines of `[server]`.
fn program(origin: &Origin, server: &str) -> (Process, tempfile::TempDir) {
    let folder = tempfile::TempDir::new().unwrap();
    let config = folder.path().join("freshgate.toml");
    let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n", origin.url());
    std::fs::write(&config, format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{server}{ADMIN}{api}")).unwrap();
    (Process::start(&config), folder)
}

/// It was logged as if its client had left.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_cut_at_the_deadline_is_logged_as_that() {
    let origin = origin(&Gate::closed()).await;
    let (mut process, _folder) = program(&origin, "drain = { deadline = \"100ms\" }\n");
    let mut busy = Client::connect(process.addr).await;
    busy.send("PUT", "/held", &[], "x").await;
    origin.received(1).await;
    process.signal("-TERM");
    assert_eq!(process.ended().await, Some(0));
    process.says("\"reason\":\"drain-deadline\"").await;
    let said = process.said.lock().unwrap();
    let line = said.iter().find(|line| line.contains("drain-deadline")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["status"], &line["api"], &line["method"]), (&503.into(), &"a/v1".into(), &"PUT".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let gate = Gate::closed();
    let origin = origin(&gate).await;
    let (mut process, _folder) = program(&origin, "");
    let mut busy = Client::connect(process.addr).await;
    busy.send("GET", "/slow", &[], "").await;
    assert_eq!(busy.at_least(0).await, b"");
    origin.received(1).await;
    process.signal("-TERM");
    process.says("\"draining\"").await;
    within("a refusal", async { while !is_refused(process.addr).await {} }).await;
    process.signal("-INT");
    assert_eq!(process.ended().await, Some(0));
    assert!(process.has_said("stopped at once"));
}
