//! Clients' connections over real sockets: limits, deadlines, what follows an early answer, interim answers, stopping.
#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

mod wire_feed;
mod wire_support;

use bytes::Bytes;
use freshgate::body::{Body, BodyError};
use freshgate::client::{Client, Interim};
use freshgate::listener::{Gate, Handler, Limits, Serving, Settings, Stopper, run, stop};
use freshgate::tasks::Tasks;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use wire_feed::{data, fed};
use wire_support::{Raw, soon};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(150);

type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

#[derive(Clone)]
struct App {
    answer: Arc<dyn Fn(Request<Body>, Arc<Client>) -> Answering + Send + Sync>,
    calls: Arc<AtomicUsize>,
}

impl Handler for App {
    async fn handle(&self, request: Request<Body>, client: Arc<Client>) -> Response<Body> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        (self.answer)(request, client).await
    }
}

struct Server {
    address: SocketAddr,
    stopper: Stopper,
    /// The accept loop.
    accepting: Tasks,
    connections: Tasks,
    calls: Arc<AtomicUsize>,
}

/// Limits that no test reaches unless it sets them.
fn limits() -> Limits {
    Limits { header_timeout: LONG, idle_timeout: LONG, write_stall: LONG, body_min_rate: 0, ..Limits::default() }
}

async fn serve<F, A>(limits: Limits, answer: F) -> Server
where
    F: Fn(Request<Body>, Arc<Client>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let app = App { answer: Arc::new(move |r, c| Box::pin(answer(r, c))), calls: calls.clone() };
    let (accepting, connections) = (Tasks::default(), Tasks::default());
    let (stopper, stopped) = stop();
    let gate = Gate::new(&limits, Default::default());
    let settings = Arc::new(Settings { limits, ..Settings::default() });
    accepting.spawn(run(listener, Serving::new(&settings, None, app, gate, connections.clone()), stopped));
    Server { address, stopper, accepting, connections, calls }
}

impl Server {
    async fn connect(&self) -> Raw {
        Raw::new(TcpStream::connect(self.address).await.unwrap())
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn say(text: impl Into<Bytes>) -> Response<Body> {
    Response::builder().header("date", "now").body(Body::full(text)).unwrap()
}

/// Answers with the path.
async fn echo_path(request: Request<Body>, _: Arc<Client>) -> Response<Body> {
    say(request.uri().path().to_owned())
}

/// Answers with the body, or the name of its error.
async fn echo_body(request: Request<Body>, _: Arc<Client>) -> Response<Body> {
    match request.into_body().collect().await {
        Ok(body) => say(body.to_bytes()),
        Err(error) => say(error.name()),
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn one_connection_answers_one_request_after_the_other() {
    let server = serve(limits(), echo_path).await;
    let mut raw = server.connect().await;
    for path in ["/a", "/b"] {
        raw.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert_eq!(raw.until(path).await, ok(path));
    }
}

#[tokio::test]
async fn an_oversized_head_gets_431_and_a_close() {
    let server = serve(Limits { header_bytes: 8 << 10, header_count: 20, ..limits() }, echo_path).await;
    let field = format!("x: {}\r\n", "y".repeat(9000));
    let many: String = (0..21).map(|i| format!("x-{i}: 1\r\n")).collect();
    let endless = "z".repeat(100_000);
    for fields in [format!("{field}\r\n"), format!("{many}\r\n"), endless] {
        let mut raw = server.connect().await;
        raw.send(format!("GET / HTTP/1.1\r\n{fields}")).await;
        let answer = raw.rest().await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    assert_eq!(server.calls(), 0);
    let mut raw = server.connect().await;
    let twenty: String = (0..20).map(|i| format!("x-{i}: 1\r\n")).collect();
    raw.send(format!("GET / HTTP/1.1\r\n{twenty}\r\n")).await;
    assert_eq!(raw.until("\r\n\r\n/").await, ok("/"));
}

#[tokio::test]
async fn a_malformed_head_gets_400_and_a_close() {
    let server = serve(limits(), echo_path).await;
    for head in [
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nspace : 1\r\n\r\n",
        "GET / HTTP/1.1\r\na: 1\r\n folded\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "G\u{1}T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\na: \0\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
    ] {
        let mut raw = server.connect().await;
        raw.send(format!("{head}GET /smuggled HTTP/1.1\r\n\r\n")).await;
        let answer = raw.rest().await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.matches("HTTP/1.1").count() == 1, "{head:?}: {answer}");
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a_head_must_come_within_its_time() {
    let server = serve(Limits { header_timeout: SHORT, ..limits() }, echo_path).await;
    let mut silent = server.connect().await;
    let mut partial = server.connect().await;
    partial.send("GET / HTTP/1.1\r\nhost:").await;
    let mut later = server.connect().await;
    later.send("GET /a HTTP/1.1\r\n\r\n").await;
    later.until("/a").await;
    let mut idle = server.connect().await;
    idle.send("GET /a HTTP/1.1\r\n\r\n").await;
    idle.until("/a").await;
    later.send("G").await;

    assert_eq!(silent.rest().await.unwrap(), "");
    assert_eq!(partial.rest().await.unwrap(), "");
    assert_eq!(later.rest().await.unwrap(), "");
    // By now header_timeout is over for the idle connection as well: it has idle_timeout.
    idle.send("GET /b HTTP/1.1\r\n\r\n").await;
    idle.until("/b").await;
}

#[tokio::test]
async fn a_trickled_head_gets_no_more_time() {
    let server = serve(Limits { header_timeout: SHORT, ..limits() }, echo_path).await;
    let raw = server.connect().await;
    let (mut read, mut write) = raw.stream.into_split();
    let trickle = async {
        write.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        let mut beat = tokio::time::interval(SHORT / 10);
        loop {
            beat.tick().await;
            if write.write_all(b"y").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut all = Vec::new();
    tokio::select! {
        () = trickle => unreachable!(),
        read = soon(read.read_to_end(&mut all)) => drop(read),
    }
    assert_eq!((all.len(), server.calls()), (0, 0));
}

#[tokio::test]
async fn an_idle_connection_is_closed_but_not_a_busy_one() {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let server = serve(Limits { header_timeout: SHORT, idle_timeout: SHORT, ..limits() }, move |request, _| {
        let wait = wait.clone();
        async move {
            if request.uri().path() == "/slow" {
                wait.notified().await;
            }
            say("done")
        }
    })
    .await;
    let mut busy = server.connect().await;
    busy.send("GET /slow HTTP/1.1\r\n\r\n").await;
    for _ in 0..2 {
        let mut idle = server.connect().await;
        idle.send("GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(idle.rest().await.unwrap(), ok("done"));
    }
    go.notify_one();
    assert_eq!(busy.rest().await.unwrap(), ok("done"));
}

#[tokio::test]
async fn a_request_without_a_body_has_the_empty_one() {
    let server = serve(limits(), async |request: Request<Body>, _| say(format!("{:?}", request.body()))).await;
    let mut raw = server.connect().await;
    raw.send("GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n").await;
    for _ in 0..2 {
        assert_eq!(raw.until("Empty").await, ok("Body::Empty"));
    }
}

#[tokio::test]
async fn a_body_has_its_limits() {
    let server = serve(Limits { request_body: Some(5), idle_timeout: SHORT, ..limits() }, echo_body).await;
    let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let sized = "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n";
    for (message, answer) in [
        (format!("{sized}12345"), "12345"),
        (format!("{chunked}5\r\n12345\r\n0\r\n\r\n"), "12345"),
        (format!("{chunked}3\r\n123\r\n3\r\n456\r\n0\r\n\r\n"), "request-too-large"),
        ("POST / HTTP/1.1\r\ncontent-length: 6\r\n\r\n123456".to_owned(), "request-too-large"),
        (format!("{sized}123"), "client-slow"),
        (format!("{chunked}3\r\n123\r\n"), "client-slow"),
        (format!("{chunked}x\r\n"), "client-broke"),
        (format!("{chunked}1\r\n123\r\n0\r\n\r\n"), "client-broke"),
    ] {
        let mut raw = server.connect().await;
        raw.send(&message).await;
        let got = raw.until(answer).await;
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{message:?}: {got}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_its_body_is_seen() {
    let (seen, mut errors) = mpsc::unbounded_channel();
    let server = serve(limits(), move |request: Request<Body>, _| {
        let seen = seen.clone();
        async move {
            seen.send(request.into_body().collect().await.map(|_| ()).unwrap_err()).unwrap();
            say("")
        }
    })
    .await;
    let mut raw = server.connect().await;
    raw.send("POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n123").await;
    drop(raw);
    assert_eq!(soon(errors.recv()).await.unwrap(), BodyError::Client);
}

#[tokio::test]
async fn a_client_that_leaves_drops_its_handler() {
    struct Gone(mpsc::UnboundedSender<()>);
    impl Drop for Gone {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (gone, mut dropped) = mpsc::unbounded_channel();
    let server = serve(limits(), move |_, _| {
        let guard = Gone(gone.clone());
        async move {
            let _ = guard.0.send(());
            std::future::pending::<()>().await;
            drop(guard);
            say("")
        }
    })
    .await;
    let mut raw = server.connect().await;
    raw.send("GET / HTTP/1.1\r\n\r\n").await;
    soon(dropped.recv()).await.unwrap();
    drop(raw);
    soon(dropped.recv()).await.unwrap();
}

#[tokio::test]
async fn pipelined_requests_survive_an_answer_that_read_no_body() {
    let server = serve(limits(), echo_path).await;
    let mut raw = server.connect().await;
    raw.send(
        "POST /a HTTP/1.1\r\ncontent-length: 22\r\n\r\nGET /no HTTP/1.1\r\n\r\n..\
         GET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\nconnection: close\r\n\r\n",
    )
    .await;
    let all = raw.rest().await.unwrap();
    let closed = ok("/c").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let bodies: Vec<&str> = all.split("HTTP/1.1 200 OK").filter_map(|a| a.split("\r\n\r\n").nth(1)).collect();
    assert_eq!(bodies, ["/a", "/b", "/c"], "{all} {closed}");
}

#[tokio::test]
async fn a_large_unread_body_is_never_read_as_requests() {
    let server = serve(limits(), echo_path).await;
    for framing in ["content-length: 1000000", "transfer-encoding: chunked"] {
        let before = server.calls();
        let mut raw = server.connect().await;
        raw.send(format!("POST /a HTTP/1.1\r\n{framing}\r\n\r\n")).await;
        let evil = "GET /evil HTTP/1.1\r\n\r\n".repeat(10_000);
        let body = if framing.contains("chunked") { format!("{:x}\r\n{evil}", evil.len() + 1) } else { evil };
        // The answer comes while the body is still being sent, and must not be lost to a reset.
        raw.send(body).await;
        let all = raw.rest().await.unwrap();
        assert!(all.ends_with("\r\n\r\n/a") && all.matches("HTTP/1.1").count() == 1, "{all}");
        assert_eq!(server.calls(), before + 1);
    }
}

#[tokio::test]
async fn a_client_may_finish_sending_what_nobody_reads() {
    let server = serve(limits(), echo_path).await;
    let mut raw = server.connect().await;
    raw.send("POST /a HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n").await;
    assert_eq!(raw.rest().await.unwrap(), ok("/a"));
    // A socket that had been closed whole would answer the first of these with a reset, and the next would fail.
    for _ in 0..10 {
        raw.send([b'x'; 1000]).await;
    }
    drop(raw);
    soon(async {
        while server.connections.running() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn expect_is_answered_when_the_body_is_read_and_not_before() {
    let server = serve(limits(), async |request: Request<Body>, client| match request.uri().path() {
        "/read" => echo_body(request, client).await,
        _ => say("no"),
    })
    .await;
    let fields = "expect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    let mut raw = server.connect().await;
    raw.send(format!("PUT /read HTTP/1.1\r\n{fields}")).await;
    assert_eq!(raw.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    raw.send("hi").await;
    assert_eq!(raw.until("\r\n\r\nhi").await, ok("hi"));
    raw.send(format!("PUT /no HTTP/1.1\r\n{fields}")).await;
    assert_eq!(raw.rest().await.unwrap(), ok("no"), "no 100, and a close, since the body may or may not follow");
}

fn hint(link: &str) -> Response<()> {
    Response::builder().status(103).header("link", link).body(()).unwrap()
}

fn hinted(link: &str) -> String {
    format!("HTTP/1.1 103 Early Hints\r\nlink: {link}\r\n\r\n")
}

#[tokio::test]
async fn an_interim_answer_comes_before_its_own_answer_only() {
    let go = Arc::new(Notify::new());
    let (handles, mut late) = mpsc::unbounded_channel::<Interim>();
    let wait = go.clone();
    let server = serve(limits(), move |request: Request<Body>, client: Arc<Client>| {
        let (wait, handles) = (wait.clone(), handles.clone());
        async move {
            let path = request.uri().path().to_owned();
            client.interim.send(&hint(&path));
            handles.send(client.interim.clone()).unwrap();
            wait.notified().await;
            say(path)
        }
    })
    .await;
    let mut raw = server.connect().await;
    raw.send("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n").await;
    assert_eq!(raw.head().await, hinted("/a"));
    let first = soon(late.recv()).await.unwrap();
    first.send(&hint("more"));
    assert_eq!(raw.head().await, hinted("more"), "sent from elsewhere while the handler waits");
    go.notify_one();
    assert_eq!(raw.until("\r\n\r\n/a").await, ok("/a"));
    assert_eq!(raw.head().await, hinted("/b"));
    first.send(&hint("too late"));
    go.notify_one();
    assert_eq!(raw.until("\r\n\r\n/b").await, ok("/b"));

    let mut old = server.connect().await;
    old.send("GET /c HTTP/1.0\r\n\r\n").await;
    soon(late.recv()).await.unwrap();
    soon(late.recv()).await.unwrap().send(&hint("never"));
    go.notify_one();
    let all = old.rest().await.unwrap();
    assert!(all.starts_with("HTTP/1.0 200 OK\r\n") && all.ends_with("/c"), "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interim_answers_stand_between_whole_messages_even_under_backpressure() {
    const SIZE: usize = 8 << 20;
    let senders = Tasks::default();
    let server = serve(limits(), move |_, client: Arc<Client>| {
        let senders = senders.clone();
        async move {
            client.interim.send(&hint("early"));
            // Sends on from another thread, far into the answer.
            senders.spawn(async move {
                for _ in 0..2000 {
                    client.interim.send(&hint("again"));
                    tokio::task::yield_now().await;
                }
            });
            tokio::task::yield_now().await;
            let (feed, body) = fed();
            for _ in 0..SIZE >> 16 {
                feed.send(data(vec![b'.'; 1 << 16])).unwrap();
            }
            Response::builder().header("content-length", SIZE).body(body).unwrap()
        }
    })
    .await;
    let mut raw = server.connect().await;
    raw.send("GET / HTTP/1.1\r\n\r\n".repeat(4) + "GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    let all = raw.rest().await.unwrap();
    let mut rest = all.as_str();
    for _ in 0..5 {
        while let Some(after) = rest.strip_prefix(&hinted("early")).or_else(|| rest.strip_prefix(&hinted("again"))) {
            rest = after;
        }
        let (head, body) = rest.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(body.as_bytes()[..SIZE].iter().all(|b| *b == b'.'));
        rest = &body[SIZE..];
    }
    assert_eq!(rest, "");
    assert!(all.matches("link: early").count() == 5, "the first of each went out before its answer");
}

#[tokio::test]
async fn a_tunnel_echoes_may_be_silent_and_keeps_its_place() {
    let tasks = Tasks::default();
    let spawner = tasks.clone();
    let limits = Limits { connections_per_address: 2, idle_timeout: SHORT, header_timeout: SHORT, ..limits() };
    let server = serve(limits, move |mut request, _| {
        let upgrade = hyper::upgrade::on(&mut request);
        spawner.spawn(async move {
            let Ok(tunnel) = upgrade.await else { return };
            let mut tunnel = hyper_util::rt::TokioIo::new(tunnel);
            let mut four = [0; 4];
            while tunnel.read_exact(&mut four).await.is_ok() {
                tunnel.write_all(&four).await.unwrap();
                tunnel.flush().await.unwrap();
            }
        });
        async {
            let head = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "echo");
            head.body(Body::empty()).unwrap()
        }
    })
    .await;
    let mut raw = server.connect().await;
    raw.send("GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nping").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    raw.until("ping").await;
    for _ in 0..2 {
        server.connect().await.closed().await;
    }
    raw.send("pong").await;
    raw.until("pong").await;
    let mut second = server.connect().await;
    second.send("GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nping").await;
    second.until("ping").await;
    let mut third = server.connect().await;
    // Refused at once, so this may fail already.
    drop(third.stream.write_all(b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n").await);
    third.closed().await;
    assert_eq!(server.calls(), 2);
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let server = serve(limits(), async |request: Request<Body>, _| {
        let whole = request.into_body().collect().await.unwrap();
        let sum = whole.trailers().unwrap()["x-sum"].clone();
        let (feed, body) = fed();
        feed.send(data(whole.to_bytes())).unwrap();
        feed.send(Ok(Frame::trailers(HeaderMap::from_iter([("x-sum".parse().unwrap(), sum)])))).unwrap();
        Response::builder().header("trailer", HeaderValue::from_static("x-sum")).body(body).unwrap()
    })
    .await;
    let mut raw = server.connect().await;
    raw.send("POST / HTTP/1.1\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n")
        .await;
    raw.head().await;
    assert_eq!(raw.until("\r\n\r\n").await, "2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n");
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let server = serve(Limits { connections_per_address: 1, ..limits() }, echo_path).await;
    let mut first = server.connect().await;
    first.send("GET /a HTTP/1.1\r\n\r\n").await;
    first.until("/a").await;
    server.connect().await.closed().await;
    drop(first);
    soon(async {
        while server.connections.running() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut third = server.connect().await;
    third.send("GET /c HTTP/1.1\r\n\r\n").await;
    third.until("/c").await;
}

#[tokio::test]
async fn a_full_house_lets_others_wait() {
    let server = serve(Limits { connections: 1, ..limits() }, echo_path).await;
    let mut first = server.connect().await;
    first.send("GET /a HTTP/1.1\r\n\r\n").await;
    first.until("/a").await;
    let mut second = server.connect().await;
    second.send("GET /b HTTP/1.1\r\n\r\n").await;
    first.send("GET /c HTTP/1.1\r\n\r\n").await;
    first.until("/c").await;
    assert_eq!(server.calls(), 2);
    drop(first);
    second.until("/b").await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let server = serve(Limits { write_stall: SHORT, ..limits() }, async |_, _| {
        let (feed, body) = fed();
        for _ in 0..1024 {
            feed.send(data(vec![b'.'; 64 << 10])).unwrap();
        }
        Response::new(body)
    })
    .await;
    let mut raw = server.connect().await;
    raw.send("GET / HTTP/1.1\r\n\r\n").await;
    raw.head().await;
    soon(async {
        while server.connections.running() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_takes_its_time_is_not_idle() {
    const SIZE: usize = 32 << 20;
    let limits = Limits { idle_timeout: SHORT, header_timeout: SHORT, ..limits() };
    let server = serve(limits, async |_, _| say(vec![b'.'; SIZE])).await;
    let mut raw = server.connect().await;
    raw.send("GET / HTTP/1.1\r\n\r\n").await;
    raw.head().await;
    for _ in 0..3 {
        server.connect().await.closed().await;
        let mut some = vec![0; 1 << 20];
        soon(raw.stream.read_exact(&mut some)).await.unwrap();
    }
    let rest = raw.rest().await.unwrap().len();
    assert!(rest > SIZE - (4 << 20) && rest <= SIZE - (3 << 20), "{rest}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_whole() {
    let server = serve(limits(), async |_, _| {
        let (feed, body) = fed();
        feed.send(data("half")).unwrap();
        feed.send(Err(BodyError::Origin)).unwrap();
        Response::new(body)
    })
    .await;
    let mut raw = server.connect().await;
    raw.send("GET / HTTP/1.1\r\n\r\n").await;
    assert!(!raw.rest().await.unwrap_or_default().contains("0\r\n\r\n"));
    let mut old = server.connect().await;
    old.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(old.rest().await.is_err(), "its end is the connection's end, so it must not be a clean one");
}

#[tokio::test]
async fn draining_ends_idle_connections_now_and_busy_ones_after_their_answer() {
    let (go, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (wait, begins) = (go.clone(), begun.clone());
    let server = serve(limits(), move |request: Request<Body>, client| {
        let (wait, begins) = (wait.clone(), begins.clone());
        async move {
            if request.uri().path() == "/slow" {
                begins.notify_one();
                wait.notified().await;
            }
            echo_path(request, client).await
        }
    })
    .await;
    let mut idle = server.connect().await;
    idle.send("GET /a HTTP/1.1\r\n\r\n").await;
    idle.until("/a").await;
    let mut busy = server.connect().await;
    busy.send("GET /slow HTTP/1.1\r\n\r\n").await;
    soon(begun.notified()).await;

    server.stopper.drain();
    soon(server.accepting.ended()).await;
    assert_eq!(idle.rest().await.unwrap(), "");
    go.notify_one();
    let all = busy.rest().await.unwrap();
    assert!(all.contains("connection: close") && all.ends_with("/slow"), "{all}");
    soon(server.connections.ended()).await;
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn closing_cuts_what_draining_waits_for() {
    let begun = Arc::new(Notify::new());
    let begins = begun.clone();
    let server = serve(limits(), move |_, _| {
        begins.notify_one();
        async { std::future::pending().await }
    })
    .await;
    let mut busy = server.connect().await;
    busy.send("GET / HTTP/1.1\r\n\r\n").await;
    soon(begun.notified()).await;
    server.stopper.drain();
    soon(server.accepting.ended()).await;
    assert_eq!(server.connections.running(), 1);
    server.stopper.close();
    busy.closed().await;
    soon(server.connections.ended()).await;
}
