//! Origins that apply a write after they have begun to answer it.

#![cfg(test)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use support::{Client, Gate, Gateway, Origin, Piece, Reply, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const API: &str = "ttl = \"10m\"\ntimeouts.first_byte = \"300ms\"\n";

/// What GET shows is the number of writes that are applied: whenever the test says so.
async fn origin(gate: &Gate, answer: fn(&Gate) -> Reply) -> (Origin, Arc<AtomicUsize>) {
    let (applied, gate) = (Arc::<AtomicUsize>::default(), gate.clone());
    let now = Arc::clone(&applied);
    let origin = Origin::start(move |request| {
        let reply = match request.method.as_str() {
            "GET" => Reply::ok(now.load(SeqCst).to_string()),
            _ => answer(&gate),
        };
        std::future::ready(reply)
    })
    .await;
    (origin, applied)
}

async fn read(gateway: &Gateway) -> String {
    let answer = gateway.client().await.get("/a").await;
    answer.text().into()
}

/// A second GET is answered from memory, some time.
async fn cached(gateway: &Gateway) -> String {
    within("an answer that is kept", async {
        loop {
            let answer = gateway.client().await.get("/a").await;
            if answer.cache_says("hit") {
                return answer.text().into();
            }
        }
    })
    .await
}

#[tokio::test]
async fn what_is_applied_before_the_last_of_the_answer_is_seen_after_it() {
    type Row = (&'static str, fn(&Gate) -> Reply);
    let rows: [Row; 3] = [
        ("chunked", |gate| Reply::status(200).chunked().body("begun").wait(gate).body("done")),
        ("of a known length", |gate| Reply::status(201).body("begun").wait(gate).body("done")),
        ("trailers", |gate| Reply::status(200).chunked().body("begundone").wait(gate).trailer("x-sum", "1")),
    ];
    for (why, answer) in rows {
        let gate = Gate::closed();
        let (origin, applied) = origin(&gate, answer).await;
        let gateway = Gateway::before(&origin, API).await;
        let mut writer = gateway.client().await;
        writer.send("POST", "/a", &[], "x").await;
        assert!(writer.answer_head().await.is_some());
        writer.at_least(5).await;
        assert_eq!((read(&gateway).await, cached(&gateway).await), ("0".into(), "0".into()), "{why}");
        applied.store(1, SeqCst);
        gate.open();
        let last: &[u8] = if why == "trailers" { b"" } else { b"done" };
        assert_eq!(writer.at_least(4).await, last, "{why}");
        if why == "chunked" {
            assert!(matches!(writer.piece().await, Piece::End(_)));
        }
        assert_eq!(read(&gateway).await, "1", "{why}");
    }
}

#[tokio::test]
async fn of_an_answer_that_breaks_off_nobody_knows_what_it_means() {
    let (origin, applied) = origin(&Gate::closed(), |_| Reply::status(200).claiming(100).body("begun").cut()).await;
    let gateway = Gateway::before(&origin, API).await;
    let answer = gateway.client().await.put("/a", "x").await;
    assert!(answer.status == 200 && !answer.complete, "{answer:?}");
    let meanwhile = gateway.client().await.get("/a").await;
    assert!(meanwhile.text() == "0" && meanwhile.cache_says("detail=settling"), "{meanwhile:?}");
    applied.store(1, SeqCst);
    assert_eq!(cached(&gateway).await, "1");
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_the_answer_does_not_know_either() {
    let gate = Gate::closed();
    let (origin, applied) =
        origin(&gate, |gate| Reply::status(200).chunked().body("begun").wait(gate).body("done")).await;
    let gateway = Gateway::before(&origin, API).await;
    let mut writer = gateway.client().await;
    writer.send("POST", "/a", &[], "x").await;
    assert!(writer.answer_head().await.is_some());
    writer.at_least(5).await;
    writer.reset();
    within("something that settles", async { while !settles(&gateway).await {} }).await;
    applied.store(1, SeqCst);
    gate.open();
    assert_eq!(cached(&gateway).await, "1");
}

async fn settles(gateway: &Gateway) -> bool {
    gateway.client().await.get("/a").await.cache_says("detail=settling")
}

/// It answers as soon as it has a head.
async fn hasty(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0").await
}

#[tokio::test]
async fn an_answer_before_the_content_is_there_does_not_mean_that_it_is_applied() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move {
        let mut all = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            all.spawn(async move {
                while hasty(&mut stream).await.is_ok() {}
                // An upload goes on where the connection does.
                drop(stream.read_to_end(&mut Vec::new()).await);
            });
        }
    });
    let gateway = Gateway::with(
        "",
        &format!("[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{url}\"]\n{API}"),
    )
    .await;
    let mut writer = Client::connect(gateway.addr).await;
    writer.send_raw("PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbegun").await;
    assert_eq!(writer.answer_head().await.unwrap().status, 200);
    assert!(settles(&gateway).await);
    drop(serving);
}
