//! Origins over real sockets: what goes out, when a connection is used again, and what each failure is called.
#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

mod wire_feed;
mod wire_support;

use bytes::Bytes;
use freshgate::body::{Body, BodyError};
use freshgate::clock::Clock;
use freshgate::tasks::Tasks;
use freshgate::upstream::{
    AskError, AskErrorKind, Balance, Endpoint, HostChoice, InterimFn, Origin, Resolver, Settings, Timeouts, TlsClient,
    Whose,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wire_feed::{data, fed};
use wire_support::{Raw, soon};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(100);

struct Bench {
    listener: TcpListener,
    origin: Arc<Origin>,
    tasks: Tasks,
    timeouts: Timeouts,
}

fn endpoint(address: SocketAddr) -> Endpoint {
    let (host, port) = (address.ip().to_string(), address.port());
    Endpoint { tls: false, host, port, base: String::new(), weight: 1 }
}

fn patient() -> Timeouts {
    Timeouts { connect: LONG, first_byte: LONG, between_bytes: LONG, total: None }
}

async fn bench_with(change: impl FnOnce(&mut Endpoint)) -> Bench {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut endpoint = endpoint(listener.local_addr().unwrap());
    change(&mut endpoint);
    let tasks = Tasks::default();
    let origin = Arc::new(Origin::new(vec![endpoint], TlsClient::default(), tasks.clone()));
    Bench { listener, origin, tasks, timeouts: patient() }
}

async fn bench() -> Bench {
    bench_with(|_| ()).await
}

impl Bench {
    /// The origin's end of the next connection.
    async fn accept(&self) -> Raw {
        Raw::new(soon(self.listener.accept()).await.unwrap().0)
    }

    async fn ask(&self, request: Request<Body>) -> Result<Response<Body>, AskError> {
        soon(self.origin.ask(request, &HostChoice::Endpoint, &self.timeouts, None)).await
    }

    /// Asks while the origin does its part.
    async fn with<T>(
        &self,
        request: Request<Body>,
        origin: impl Future<Output = T>,
    ) -> (Result<Response<Body>, AskError>, T) {
        tokio::join!(self.ask(request), origin)
    }

    /// A connection that has served one exchange and lies in the pool.
    async fn warm(&self) -> Raw {
        let (answer, raw) =
            self.with(get("/warm"), self.answer_first("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")).await;
        assert_eq!(text(answer.unwrap()).await.unwrap(), "ok");
        raw
    }

    async fn answer_first(&self, answer: &str) -> Raw {
        let mut raw = self.accept().await;
        raw.head().await;
        raw.send(answer).await;
        raw
    }

    /// Whether nobody has connected since the last `accept`.
    fn nobody_else(&self) -> bool {
        use std::task::{Context, Poll, Waker};
        matches!(self.listener.poll_accept(&mut Context::from_waker(Waker::noop())), Poll::Pending)
    }

    /// Waits until no connection to the origin is driven any more.
    async fn all_closed(&self) {
        soon(async {
            while self.tasks.running() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post(body: impl Into<Bytes>) -> Request<Body> {
    Request::post("/").body(Body::full(body)).unwrap()
}

async fn text(answer: Response<Body>) -> Result<String, BodyError> {
    let bytes = soon(answer.into_body().collect()).await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// Head and body of the answer to one GET, when the origin sends `bytes` and then closes.
async fn answered(bytes: &str) -> Result<(HeaderMap, Result<String, BodyError>), AskError> {
    let bench = bench().await;
    let (answer, ()) = bench.with(get("/"), async { drop(bench.answer_first(bytes).await) }).await;
    let answer = answer?;
    Ok((answer.headers().clone(), text(answer).await))
}

#[tokio::test]
async fn the_origin_gets_base_path_and_its_own_host() {
    let bench = bench_with(|e| e.base = "/api".into()).await;
    let authority = format!("127.0.0.1:{}", bench.listener.local_addr().unwrap().port());
    let request =
        Request::get("/books?page=%2F2").header("x-a", "1").header("host", "wrong").body(Body::empty()).unwrap();
    let (answer, head) = bench
        .with(request, async {
            let mut raw = bench.accept().await;
            let head = raw.head().await;
            raw.send("HTTP/1.1 204 No Content\r\n\r\n").await;
            head
        })
        .await;
    assert_eq!(answer.unwrap().status(), 204);
    assert_eq!(head, format!("GET /api/books?page=%2F2 HTTP/1.1\r\nx-a: 1\r\nhost: {authority}\r\n\r\n"));
}

#[tokio::test]
async fn a_given_host_is_sent_as_it_is() {
    let bench = bench().await;
    let host = HostChoice::Given(HeaderValue::from_static("api.example.org"));
    let asked = bench.origin.ask(get("/"), &host, &bench.timeouts, None);
    let (answer, head) = tokio::join!(asked, async {
        let mut raw = bench.accept().await;
        let head = raw.head().await;
        raw.send("HTTP/1.1 204 No Content\r\n\r\n").await;
        head
    });
    answer.unwrap();
    assert_eq!(head, "GET / HTTP/1.1\r\nhost: api.example.org\r\n\r\n");
}

#[tokio::test]
async fn one_connection_serves_one_exchange_after_the_other() {
    let bench = bench().await;
    let serve = async {
        let mut raw = bench.accept().await;
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nd",
        ] {
            raw.head().await;
            raw.send(answer).await;
        }
    };
    let ask = async {
        let mut all = String::new();
        for _ in 0..4 {
            all += &text(bench.ask(get("/")).await.unwrap()).await.unwrap();
        }
        all
    };
    let (all, ()) = tokio::join!(ask, serve);
    assert_eq!(all, "abd");
    assert!(bench.nobody_else());
}

#[tokio::test]
async fn a_connection_with_a_doubtful_past_is_not_used_again() {
    for answer in [
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    ] {
        let bench = bench().await;
        let (first, _raw) = bench.with(get("/"), bench.answer_first(answer)).await;
        assert_eq!(text(first.unwrap()).await.unwrap(), "ok");
        let good = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood";
        let (second, _raw) = bench.with(get("/"), bench.answer_first(good)).await;
        assert_eq!(text(second.unwrap()).await.unwrap(), "good", "{answer}");
    }
}

#[tokio::test]
async fn exchanges_at_the_same_time_never_share_a_connection() {
    let bench = bench().await;
    let (a, b, serve) = tokio::join!(bench.ask(get("/a")), bench.ask(get("/b")), async {
        let (mut one, mut two) = (bench.accept().await, bench.accept().await);
        for raw in [&mut two, &mut one] {
            let path = raw.head().await.split(' ').nth(1).unwrap().to_owned();
            raw.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{path}")).await;
        }
        (one, two)
    });
    assert_eq!((text(a.unwrap()).await.unwrap(), text(b.unwrap()).await.unwrap()), ("/a".into(), "/b".into()));
    drop(serve);
}

#[tokio::test]
async fn an_answer_left_half_read_closes_its_connection() {
    let bench = bench().await;
    let (answer, mut raw) =
        bench.with(get("/"), bench.answer_first("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nabc")).await;
    let mut body = answer.unwrap().into_body();
    assert_eq!(soon(body.frame()).await.unwrap().unwrap().into_data().unwrap(), "abc");
    drop(body);
    raw.closed().await;
    let (answer, _raw) = bench.with(get("/"), bench.answer_first("HTTP/1.1 204 No Content\r\n\r\n")).await;
    assert_eq!(answer.unwrap().status(), 204, "over a new connection");
}

#[tokio::test]
async fn a_post_is_not_sent_twice_when_its_connection_closes() {
    let bench = bench().await;
    let mut raw = bench.warm().await;
    let (answer, ()) = bench
        .with(post("pay"), async {
            raw.until("pay").await;
            drop(raw);
        })
        .await;
    let error = answer.unwrap_err();
    assert_eq!((error.kind, error.sent), (AskErrorKind::Closed, true));
    assert_eq!(error.kind.name(), "origin-closed");
    assert!(bench.nobody_else());
}

#[tokio::test]
async fn an_unsafe_request_is_not_sent_twice_even_without_a_body() {
    let bench = bench().await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let mut raw = bench.warm().await;
        let request = Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
        let (answer, ()) = bench
            .with(request, async {
                raw.head().await;
                drop(raw);
            })
            .await;
        let error = answer.unwrap_err();
        assert_eq!((error.kind, error.sent), (AskErrorKind::Closed, true));
        assert!(bench.nobody_else());
    }
}

#[tokio::test]
async fn a_get_is_repeated_once_when_its_idle_connection_closes() {
    let bench = bench().await;
    let mut raw = bench.warm().await;
    let (answer, second) = bench
        .with(get("/again"), async {
            raw.head().await;
            drop(raw);
            let mut second = bench.accept().await;
            let head = second.head().await;
            second.send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes").await;
            head
        })
        .await;
    assert_eq!(text(answer.unwrap()).await.unwrap(), "yes");
    assert!(second.starts_with("GET /again HTTP/1.1\r\nhost: 127.0.0.1:"), "{second}");

    let mut raw = bench.warm_again().await;
    let (answer, ()) = bench
        .with(get("/twice"), async {
            raw.head().await;
            drop(raw);
            drop(bench.answer_first("").await);
        })
        .await;
    assert_eq!(answer.unwrap_err().kind, AskErrorKind::Closed, "a fresh connection's close is final");
    assert!(bench.nobody_else());
}

impl Bench {
    /// Empties the pool, then warms a new connection.
    async fn warm_again(&self) -> Raw {
        self.all_closed().await;
        self.warm().await
    }
}

#[tokio::test]
async fn a_get_of_which_something_came_back_is_not_repeated() {
    let bench = bench().await;
    let mut raw = bench.warm().await;
    let (answer, ()) = bench
        .with(get("/"), async {
            raw.head().await;
            raw.send("HTTP/1.1 2").await;
            drop(raw);
        })
        .await;
    assert_eq!(answer.unwrap_err().kind, AskErrorKind::Closed);
    assert!(bench.nobody_else());
}

#[tokio::test]
async fn a_connection_that_closed_in_the_pool_costs_nothing() {
    let bench = bench().await;
    drop(bench.warm().await);
    bench.all_closed().await;
    let (answer, _raw) = bench
        .with(post("pay"), async {
            let mut raw = bench.accept().await;
            raw.until("pay").await;
            raw.send("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await;
            raw
        })
        .await;
    assert_eq!(answer.unwrap().status(), 201);
}

#[tokio::test]
async fn idle_connections_are_closed_after_a_minute_and_with_the_origin() {
    let bench = bench().await;
    let mut raw = bench.warm().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(bench.tasks.running(), 1);
    tokio::time::advance(Duration::from_secs(62)).await;
    bench_closed(&bench).await;
    tokio::time::resume();
    raw.closed().await;

    let mut raw = bench.warm().await;
    let Bench { origin, .. } = bench;
    drop(origin);
    raw.closed().await;
}

async fn bench_closed(bench: &Bench) {
    while bench.tasks.running() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn no_connection_no_request() {
    let bench = bench().await;
    let Bench { listener, origin, timeouts, .. } = bench;
    drop(listener);
    let error = soon(origin.ask(post("x"), &HostChoice::Endpoint, &timeouts, None)).await.unwrap_err();
    assert_eq!((error.kind, error.sent, error.kind.whose()), (AskErrorKind::Connect, false, Whose::Origin));

    let bench = bench_with(|e| e.host = "no such host".into()).await;
    let error = bench.ask(get("/")).await.unwrap_err();
    assert_eq!((error.kind, error.sent), (AskErrorKind::Resolve, false));
}

#[tokio::test]
async fn a_handshake_that_hangs_is_a_connect_timeout() {
    let mut bench = bench_with(|e| e.tls = true).await;
    bench.timeouts.connect = SHORT;
    let (answer, _raw) = bench.with(get("/"), bench.accept()).await;
    let error = answer.unwrap_err();
    assert_eq!((error.kind, error.sent), (AskErrorKind::ConnectTimeout, false));
    bench.timeouts = Timeouts { total: Some(SHORT), ..patient() };
    let (answer, _raw) = bench.with(get("/"), bench.accept()).await;
    let error = answer.unwrap_err();
    assert_eq!((error.kind, error.sent), (AskErrorKind::TotalTimeout, false));
}

#[tokio::test]
async fn a_late_head_is_a_timeout_and_closes() {
    let mut bench = bench().await;
    for (timeouts, kind) in [
        (Timeouts { first_byte: SHORT, ..patient() }, AskErrorKind::FirstByteTimeout),
        (Timeouts { total: Some(SHORT), ..patient() }, AskErrorKind::TotalTimeout),
    ] {
        bench.timeouts = timeouts;
        let (answer, mut raw) = bench
            .with(get("/"), async {
                let mut raw = bench.accept().await;
                raw.head().await;
                raw.send("HTTP/1.1 200 O").await;
                raw
            })
            .await;
        let error = answer.unwrap_err();
        assert_eq!((error.kind, error.sent), (kind, true));
        raw.closed().await;
    }
}

#[tokio::test]
async fn a_late_body_breaks_off_as_slow() {
    let mut bench = bench().await;
    for timeouts in [Timeouts { between_bytes: SHORT, ..patient() }, Timeouts { total: Some(SHORT), ..patient() }] {
        bench.timeouts = timeouts;
        let (answer, mut raw) =
            bench.with(get("/"), bench.answer_first("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab")).await;
        assert_eq!(text(answer.unwrap()).await, Err(BodyError::OriginSlow));
        raw.closed().await;
    }
}

#[tokio::test]
async fn a_slow_client_is_not_the_origins_first_byte() {
    let mut bench = bench().await;
    bench.timeouts.first_byte = SHORT;
    let (feed, body) = fed();
    feed.send(data("begin ")).unwrap();
    let upload = Request::put("/").body(body).unwrap();
    let ask = bench.ask(upload);
    let serve = async {
        let mut raw = bench.accept().await;
        raw.until("begin ").await;
        // Another question runs into the same limit meanwhile, so that the upload has certainly waited longer.
        for _ in 0..3 {
            let (late, _silent) = bench.with(get("/"), bench.accept()).await;
            assert_eq!(late.unwrap_err().kind, AskErrorKind::FirstByteTimeout);
        }
        feed.send(data("end")).unwrap();
        drop(feed);
        raw.until("0\r\n\r\n").await;
        raw.send("HTTP/1.1 204 No Content\r\n\r\n").await;
        raw
    };
    let (answer, _raw) = tokio::join!(ask, serve);
    assert_eq!(answer.unwrap().status(), 204);
}

#[tokio::test]
async fn an_origin_that_takes_no_upload_is_late_too() {
    let mut bench = bench().await;
    bench.timeouts.first_byte = SHORT;
    let (feed, body) = fed();
    for _ in 0..1024 {
        feed.send(data(vec![b'x'; 64 << 10])).unwrap();
    }
    let (answer, _raw) = bench.with(Request::put("/").body(body).unwrap(), bench.accept()).await;
    assert_eq!(answer.unwrap_err().kind, AskErrorKind::FirstByteTimeout);
    drop(feed);
}

#[tokio::test]
async fn a_body_that_is_cut_or_malformed_never_looks_whole() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_owned(),
        format!("{chunked}3\r\nabc\r\n"),
        format!("{chunked}9\r\nabc"),
        format!("{chunked}3\r\nabc\r\n0\r\n"),
        format!("{chunked}3\r\nabc\r\nzz\r\n"),
        format!("{chunked}3\r\nabcde\r\n0\r\n\r\n"),
    ] {
        let (_, body) = answered(&bytes).await.unwrap();
        assert_eq!(body, Err(BodyError::Origin), "{bytes:?}");
    }
    let (_, body) = answered("HTTP/1.1 200 OK\r\n\r\nuntil the end").await.unwrap();
    assert_eq!(body.unwrap(), "until the end");
}

#[tokio::test]
async fn a_bad_head_is_named_so() {
    let many: String = (0..300).map(|i| format!("x-{i}: 1\r\n")).collect();
    let huge = "x".repeat(300 << 10);
    for bytes in [
        "garbage\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\nab".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 1,\r\n\r\nab".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nabc".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity, gzip\r\n\r\nabc".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: identity\r\ntransfer-encoding: x\r\n\r\nabc"
            .to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\nabc".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: gzip\r\n\r\nabc".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked;a=b\r\n\r\nabc".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: ,chunked\r\n\r\nabc".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding:\r\n\r\nabc".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        format!("HTTP/1.1 200 OK\r\nx: {huge}\r\n\r\n"),
    ] {
        let start: String = bytes.chars().take(80).collect();
        let Err(error) = answered(&bytes).await else { panic!("{start:?} was taken") };
        assert_eq!((error.kind, error.sent), (AskErrorKind::BadAnswer, true), "{start:?}: {error}");
    }
    assert_eq!(answered("HTTP/1.1 200 OK\r\n").await.unwrap_err().kind, AskErrorKind::Closed);
}

#[tokio::test]
async fn what_is_in_no_coding_is_read_until_the_origin_closes() {
    for framing in ["transfer-encoding: identity", "content-length: 2\r\ntransfer-encoding: Identity , identity"] {
        let (fields, body) = answered(&format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\nabc")).await.unwrap();
        assert_eq!((fields.get("content-length"), body.unwrap().as_str()), (None, "abc"), "RFC 9112 §6.3: {framing}");
    }
}

#[tokio::test]
async fn the_length_that_counts_is_the_only_one_passed_on() {
    let both = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let (fields, body) = answered(both).await.unwrap();
    assert_eq!((fields.get("content-length"), body.unwrap().as_str()), (None, "a"));
    // RFC 9110 §8.6, and zeros before it make it octal to some.
    for lengths in ["1\r\ncontent-length: 1", "1, 1", "1 ,01\r\ncontent-length: 1", "001", " 1 "] {
        let (fields, body) = answered(&format!("HTTP/1.1 200 OK\r\ncontent-length: {lengths}\r\n\r\na")).await.unwrap();
        let passed: Vec<_> = fields.get_all("content-length").iter().map(|v| v.to_str().unwrap()).collect();
        assert_eq!((passed, body.unwrap().as_str()), (vec!["1"], "a"), "{lengths}");
    }
    let (fields, _) = answered("HTTP/1.1 200 OK\r\ncontent-length: 0, 00\r\n\r\n").await.unwrap();
    assert_eq!(fields["content-length"], "0");
    for (lengths, passed) in [("5, 5", Some("5")), ("5, 6", None), ("five", None)] {
        let (fields, _) =
            answered(&format!("HTTP/1.1 304 Not Modified\r\ncontent-length: {lengths}\r\n\r\n")).await.unwrap();
        assert_eq!(fields.get("content-length").map(|length| length.to_str().unwrap()), passed, "{lengths}");
    }
}

/// A 205 has no content (RFC 9110 §15.3.6): what comes with it goes with its connection.
#[tokio::test]
async fn a_205_loses_its_content() {
    let bench = bench().await;
    for framing in
        ["content-length: 5\r\n\r\nabcde", "transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "\r\nabc"]
    {
        let answer = format!("HTTP/1.1 205 Reset Content\r\n{framing}");
        let (answer, mut raw) = bench.with(get("/"), bench.answer_first(&answer)).await;
        let answer = answer.unwrap();
        assert_eq!(
            (answer.headers()["content-length"].as_bytes(), answer.headers().len()),
            (&b"0"[..], 1),
            "{framing}"
        );
        assert_eq!(text(answer).await.unwrap(), "", "{framing}");
        raw.closed().await;
    }
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let bench = bench().await;
    let (feed, body) = fed();
    feed.send(data("up")).unwrap();
    feed.send(Ok(Frame::trailers(HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("1"))]))))
        .unwrap();
    drop(feed);
    let request = Request::post("/").header("trailer", "x-sum").body(body).unwrap();
    let (answer, sent) = bench
        .with(request, async {
            let mut raw = bench.accept().await;
            raw.head().await;
            let sent = raw.until("\r\n\r\n").await;
            raw.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ndown\r\n0\r\nx-end: 2\r\n\r\n").await;
            (sent, raw)
        })
        .await;
    assert_eq!(sent.0, "2\r\nup\r\n0\r\nx-sum: 1\r\n\r\n");
    let whole = soon(answer.unwrap().into_body().collect()).await.unwrap();
    assert_eq!(whole.trailers().unwrap()["x-end"], "2");
    assert_eq!(whole.to_bytes(), "down");
}

#[tokio::test]
async fn a_get_with_a_body_of_unknown_length_keeps_it() {
    let bench = bench().await;
    let (feed, body) = fed();
    feed.send(data("query")).unwrap();
    drop(feed);
    let (answer, sent) = bench
        .with(Request::get("/").body(body).unwrap(), async {
            let mut raw = bench.accept().await;
            let sent = raw.until("0\r\n\r\n").await;
            raw.send("HTTP/1.1 204 No Content\r\n\r\n").await;
            sent
        })
        .await;
    answer.unwrap();
    assert!(sent.contains("transfer-encoding: chunked") && sent.ends_with("5\r\nquery\r\n0\r\n\r\n"), "{sent}");
}

#[tokio::test]
async fn interim_answers_but_100_reach_the_caller() {
    let bench = bench().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let interim: InterimFn = {
        let seen = seen.clone();
        Arc::new(move |head| seen.lock().unwrap().push((head.status().as_u16(), head.headers()["link"].clone())))
    };
    let asked = bench.origin.ask(get("/"), &HostChoice::Endpoint, &bench.timeouts, Some(interim));
    let (answer, _raw) = tokio::join!(
        asked,
        bench.answer_first(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
             HTTP/1.1 103 Early Hints\r\nlink: </b>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        )
    );
    assert_eq!(text(answer.unwrap()).await.unwrap(), "ok");
    let hint = |link| (103, HeaderValue::from_static(link));
    assert_eq!(*seen.lock().unwrap(), [hint("</a>"), hint("</b>")]);
}

#[tokio::test]
async fn a_switch_of_protocol_hands_the_connection_over() {
    let bench = bench().await;
    let request =
        Request::get("/").header("connection", "upgrade").header("upgrade", "websocket").body(Body::empty()).unwrap();
    let (answer, mut raw) = bench
        .with(
            request,
            bench.answer_first(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhi",
            ),
        )
        .await;
    let mut answer = answer.unwrap();
    let tunnel = soon(hyper::upgrade::on(&mut answer)).await.unwrap();
    let mut tunnel = hyper_util::rt::TokioIo::new(tunnel);
    let mut two = [0; 2];
    soon(tunnel.read_exact(&mut two)).await.unwrap();
    assert_eq!(&two, b"hi");
    tunnel.write_all(b"there").await.unwrap();
    raw.until("there").await;

    let (answer, _raw) = bench.with(get("/"), bench.answer_first("HTTP/1.1 204 No Content\r\n\r\n")).await;
    assert_eq!(answer.unwrap().status(), 204, "over a connection of its own");
}

#[tokio::test]
async fn a_broken_upload_is_the_clients_fault_and_stays_incomplete() {
    let bench = bench().await;
    for fault in [BodyError::Client, BodyError::ClientSlow, BodyError::TooLarge] {
        let (feed, body) = fed();
        feed.send(data("half")).unwrap();
        let request = Request::put("/").body(body).unwrap();
        let (answer, rest) = bench
            .with(request, async {
                let mut raw = bench.accept().await;
                raw.until("half").await;
                feed.send(Err(fault)).unwrap();
                raw.rest().await.unwrap_or_default()
            })
            .await;
        let error = answer.unwrap_err();
        assert_eq!((error.kind, error.kind.whose()), (AskErrorKind::ClientBody(fault), Whose::Client));
        assert!(!rest.contains("0\r\n\r\n"), "{rest:?}");
    }
}

#[tokio::test]
async fn an_upload_shorter_than_it_said_is_the_clients_fault() {
    let bench = bench().await;
    let (feed, body) = fed();
    feed.send(data("ab")).unwrap();
    drop(feed);
    let request = Request::put("/").header("content-length", "5").body(body).unwrap();
    let (answer, ()) = bench
        .with(request, async {
            let mut raw = bench.accept().await;
            raw.closed().await;
        })
        .await;
    assert_eq!(answer.unwrap_err().kind, AskErrorKind::ClientBody(BodyError::Client));
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_upload_costs_its_connection() {
    let bench = bench().await;
    let (feed, body) = fed();
    feed.send(data("half")).unwrap();
    let (answer, _raw) = bench
        .with(Request::put("/").body(body).unwrap(), async {
            let mut raw = bench.accept().await;
            raw.until("half").await;
            raw.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno").await;
            raw
        })
        .await;
    assert_eq!(text(answer.unwrap()).await.unwrap(), "no");
    let (answer, _raw) = bench.with(get("/"), bench.answer_first("HTTP/1.1 204 No Content\r\n\r\n")).await;
    assert_eq!(answer.unwrap().status(), 204);
    drop(feed);
}

#[tokio::test]
async fn endpoints_take_turns_by_weight() {
    let (a, b) = (bench().await, bench().await);
    let mut heavy = endpoint(a.listener.local_addr().unwrap());
    heavy.weight = 2;
    let light = endpoint(b.listener.local_addr().unwrap());
    let settings = Settings { balance: Balance::RoundRobin, ..Settings::default() };
    let around = (TlsClient::default(), Resolver::system(), Tasks::default());
    let origin = Origin::with("", vec![heavy, light], &settings, around, Clock::system());
    let mut turns = String::new();
    for _ in 0..6 {
        let serve = async {
            tokio::select! {
                raw = a.accept() => ("a", raw),
                raw = b.accept() => ("b", raw),
            }
        };
        let asked = origin.ask(get("/"), &HostChoice::Endpoint, &a.timeouts, None);
        let (answer, who) = tokio::join!(asked, async {
            let (who, mut raw) = serve.await;
            raw.head().await;
            raw.send("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
            who
        });
        answer.unwrap();
        turns += who;
    }
    assert_eq!(turns, "abaaba");
    let none = Origin::new(vec![], TlsClient::default(), Tasks::default());
    let error = none.ask(get("/"), &HostChoice::Endpoint, &a.timeouts, None).await.unwrap_err();
    assert_eq!((error.kind, error.sent), (AskErrorKind::Request, false));
}

#[tokio::test]
async fn tls_trusts_the_given_roots_only() {
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let certificate = made.cert.der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut endpoint = endpoint(listener.local_addr().unwrap());
    (endpoint.tls, endpoint.host) = (true, "localhost".into());

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    for (roots, trusted) in [(roots, true), (rustls::RootCertStore::empty(), false)] {
        let origin = Origin::new(vec![endpoint.clone()], TlsClient::with_roots(roots), Tasks::default());
        let timeouts = patient();
        let asked = origin.ask(get("/"), &HostChoice::Endpoint, &timeouts, None);
        let (answer, ()) = tokio::join!(soon(asked), async {
            let (stream, _) = soon(listener.accept()).await.unwrap();
            if let Ok(mut tls) = acceptor.accept(stream).await {
                let mut head = [0; 4];
                tls.read_exact(&mut head).await.unwrap();
                assert_eq!(&head, b"GET ");
                tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret").await.unwrap();
                tls.flush().await.unwrap();
            }
        });
        match (answer, trusted) {
            (Ok(answer), true) => assert_eq!(text(answer).await.unwrap(), "secret"),
            (Err(error), false) => assert_eq!((error.kind, error.sent), (AskErrorKind::Tls, false)),
            (answer, _) => panic!("trusted: {trusted}, but {answer:?}"),
        }
    }
}

#[tokio::test]
async fn head_and_304_have_no_body_whatever_they_say() {
    let bench = bench().await;
    let head = Request::builder().method(Method::HEAD).uri("/").body(Body::empty()).unwrap();
    let (answer, mut raw) = bench.with(head, bench.answer_first("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")).await;
    let answer = answer.unwrap();
    assert_eq!(answer.headers()["content-length"], "10");
    assert_eq!(text(answer).await.unwrap(), "");
    let (answer, ()) = bench
        .with(get("/"), async {
            raw.head().await;
            raw.send("HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n").await;
        })
        .await;
    assert_eq!(text(answer.unwrap()).await.unwrap(), "");
}
