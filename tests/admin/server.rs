//! The connection itself: limits, keep-alive, stopping.

use crate::support::{Answer, bearer, port, raw};
use std::cell::Cell;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn heads_are_limited_in_bytes_and_fields() {
    let port = port().await;
    let request = |fields: &str| format!("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    let many = |count: usize| (0..count).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    assert_eq!(raw(port.address, &request(&many(60))).await.status, 200);
    assert_eq!(raw(port.address, &request(&many(80))).await.status, 431);
    assert_eq!(raw(port.address, &request(&format!("X: {}\r\n", "a".repeat(16 << 10)))).await.status, 200);
    assert_eq!(raw(port.address, &request(&format!("X: {}\r\n", "a".repeat(128 << 10)))).await.status, 431);
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let port = port().await;
    let mut socket = TcpStream::connect(port.address).await.unwrap();
    let ask = |last| format!("GET /v1/config HTTP/1.1\r\nHost: x\r\n{}{last}\r\n", bearer("viewer"));
    let both = ask("") + &ask("Connection: close\r\n");
    socket.write_all(both.as_bytes()).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
}

#[tokio::test]
async fn a_body_that_was_refused_unread_is_not_taken_for_the_next_request() {
    let port = port().await;
    let hidden = format!("DELETE /v1/cache HTTP/1.1\r\nHost: x\r\n{}\r\n", bearer("administrator"));
    let head = format!("POST /v1/purge HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", hidden.len());
    let last = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut socket = TcpStream::connect(port.address).await.unwrap();
    socket.write_all(format!("{head}{hidden}{last}").as_bytes()).await.unwrap();
    let mut text = Vec::new();
    drop(socket.read_to_end(&mut text).await);
    assert_eq!(Answer::of(&String::from_utf8(text).unwrap()).status, 401);
    assert!(port.double.purges.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_stop_closes_idle_connections_and_the_port() {
    let port = port().await;
    let mut idle = TcpStream::connect(port.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 12];
    idle.read_exact(&mut some).await.unwrap();
    port.ended().await;
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(TcpStream::connect(port.address).await.is_err());
}

/// Reads one answer of `/livez`.
async fn whole_answer(socket: &mut TcpStream) {
    let mut text = Vec::new();
    while !text.ends_with(b"\"alive\"}") {
        assert_ne!(socket.read_buf(&mut text).await.unwrap(), 0, "closed");
    }
}

/// Sends `half` of something, then nothing. The clock is stopped, so it runs ahead while everybody waits.
async fn what_becomes_of(half: &str) -> String {
    let port = port().await;
    let mut socket = TcpStream::connect(port.address).await.unwrap();
    socket.write_all(half.as_bytes()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 10);
    text
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_ends_the_connection() {
    assert_eq!(what_becomes_of("").await, "");
    let half = what_becomes_of("GET /livez HTTP/1.1\r\nHost: x\r\n").await;
    assert!(!half.contains("200"), "{half}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends() {
    let answered = what_becomes_of("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(Answer::of(&answered).status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_gets_408() {
    let json = "Content-Type: application/json\r\nContent-Length: 9\r\nConnection: close";
    let half = format!("POST /v1/purge HTTP/1.1\r\nHost: x\r\n{}{json}\r\n\r\n{{", bearer("operator"));
    Answer::of(&what_becomes_of(&half).await).problem(408, "body-too-slow");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answer_loses_its_connection() {
    let port = port().await;
    port.double.more_metrics.store(1 << 20, SeqCst);
    let mut socket = TcpStream::connect(port.address).await.unwrap();
    socket.write_all(format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{}\r\n", bearer("viewer")).as_bytes()).await.unwrap();
    socket.read_exact(&mut [0; 12]).await.unwrap();
    let begun = tokio::time::Instant::now();
    while port.connections.running() > 1 {
        assert!(begun.elapsed().as_secs() < 300, "still there");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(begun.elapsed().as_secs() >= 120);
}

#[tokio::test]
async fn connections_over_the_bound_wait_for_one_to_end() {
    let port = port().await;
    let mut open = Vec::new();
    for _ in 0..64 {
        let mut socket = TcpStream::connect(port.address).await.unwrap();
        socket.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        whole_answer(&mut socket).await;
        open.push(socket);
    }
    assert_eq!(port.connections.running(), 65, "the loop and 64 connections");
    let answered = Cell::new(false);
    let next = async {
        let answer = raw(port.address, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        answered.set(true);
        answer
    };
    let (answer, ()) = tokio::join!(next, async {
        for socket in &mut open {
            socket.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            whole_answer(socket).await;
        }
        assert!(!answered.get(), "64 answers later the one over the bound still waits");
        drop(open.pop());
    });
    assert_eq!(answer.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_its_comments_and_ends_properly_with_its_connections_lifetime() {
    let port = port().await;
    let begun = tokio::time::Instant::now();
    let request = "GET /v1/traffic HTTP/1.1\r\nHost: x\r\nAccept: text/html, Text/Event-Stream;q=0.5\r\n";
    let answer = raw(port.address, &format!("{request}{}\r\n", bearer("viewer"))).await;
    assert_eq!((answer.status, answer.field("content-type")), (200, Some("text/event-stream")));
    assert_eq!(begun.elapsed().as_secs(), 120);
    let comments = "3\r\n:\n\n\r\n".repeat(8);
    assert_eq!(answer.body, format!("D\r\nretry: 2000\n\n\r\n{comments}0\r\n\r\n"), "every fourteen seconds");
    assert_eq!(port.double.history.get().unwrap().followers(), 0);
}
