//! Both rims joined by the smallest possible handler: what comes in at one side comes out at the other.
#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

mod wire_support;

use freshgate::body::Body;
use freshgate::client::Client;
use freshgate::listener::{Gate, Handler, Serving, Settings, Stopper, run, stop};
use freshgate::tasks::Tasks;
use freshgate::upstream::{Endpoint, HostChoice, InterimFn, Origin, Timeouts, TlsClient};
use http::header::{CONNECTION, EXPECT, HeaderMap, TRANSFER_ENCODING, UPGRADE};
use http::{Request, Response};
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use wire_support::{Raw, soon};

#[derive(Clone)]
struct Through {
    origin: Arc<Origin>,
    tasks: Tasks,
}

fn strip(fields: &mut HeaderMap, keep_upgrade: bool) {
    for name in [TRANSFER_ENCODING, EXPECT] {
        fields.remove(name);
    }
    if !keep_upgrade {
        fields.remove(CONNECTION);
    }
}

impl Handler for Through {
    async fn handle(&self, mut request: Request<Body>, client: Arc<Client>) -> Response<Body> {
        let upgrade = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
        strip(request.headers_mut(), upgrade.is_some());
        let interim: InterimFn = Arc::new(move |head| client.interim.send(&head));
        let asked = self.origin.ask(request, &HostChoice::Endpoint, &Timeouts::default(), Some(interim)).await;
        let mut answer = match asked {
            Ok(answer) => answer,
            Err(error) => {
                return Response::builder().status(502).body(Body::full(error.kind.name())).unwrap();
            }
        };
        strip(answer.headers_mut(), upgrade.is_some());
        if let (Some(upgrade), 101) = (upgrade, answer.status().as_u16()) {
            let other = hyper::upgrade::on(&mut answer);
            self.tasks.spawn(async move {
                let (Ok(a), Ok(b)) = tokio::join!(upgrade, other) else { return };
                let (mut a, mut b) = (hyper_util::rt::TokioIo::new(a), hyper_util::rt::TokioIo::new(b));
                drop(tokio::io::copy_bidirectional(&mut a, &mut b).await);
            });
        }
        answer
    }
}

async fn through() -> (Raw, TcpListener, Stopper) {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = upstream.local_addr().unwrap().port();
    let endpoint = Endpoint { tls: false, host: "127.0.0.1".into(), port, base: String::new(), weight: 1 };
    let tasks = Tasks::default();
    let origin = Arc::new(Origin::new(vec![endpoint], TlsClient::default(), tasks.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = Arc::new(Settings::default());
    let (stopper, stopped) = stop();
    let gate = Gate::new(&settings.limits, Default::default());
    let handler = Through { origin, tasks: tasks.clone() };
    tasks.spawn(run(listener, Serving::new(&settings, None, handler, gate, tasks.clone()), stopped));
    (Raw::new(TcpStream::connect(address).await.unwrap()), upstream, stopper)
}

async fn accept(upstream: &TcpListener) -> Raw {
    Raw::new(soon(upstream.accept()).await.unwrap().0)
}

#[tokio::test]
async fn early_hints_and_trailers_pass_through() {
    let (mut client, upstream, _stopper) = through().await;
    client
        .send("POST /x HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntrailer: x-up\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let mut origin = accept(&upstream).await;
    assert!(origin.head().await.starts_with("POST /x HTTP/1.1\r\n"));
    origin.send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    client.send("2\r\nup\r\n0\r\nx-up: 1\r\n\r\n").await;
    assert_eq!(origin.until("\r\n\r\n").await, "2\r\nup\r\n0\r\nx-up: 1\r\n\r\n");
    origin.send("HTTP/1.1 200 OK\r\ntrailer: x-down\r\ntransfer-encoding: chunked\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
    origin.send("4\r\ndown\r\n0\r\nx-down: 2\r\n\r\n").await;
    assert_eq!(client.until("\r\n\r\n").await, "4\r\ndown\r\n0\r\nx-down: 2\r\n\r\n");
}

#[derive(Clone)]
struct Echo;

impl Handler for Echo {
    async fn handle(&self, request: Request<Body>, _: Arc<Client>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::builder().header("x-path", path).body(Body::full(body)).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_get_their_own_answers_over_few_connections() {
    const CLIENTS: usize = 16;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = Arc::new(Settings::default());
    let (_stopper, stopped) = stop();
    let (tasks, connections, clients) = (Tasks::default(), Tasks::default(), Tasks::default());
    let gate = Gate::new(&settings.limits, Default::default());
    tasks.spawn(run(listener, Serving::new(&settings, None, Echo, gate, connections.clone()), stopped));
    let endpoint = Endpoint { tls: false, host: "127.0.0.1".into(), port, base: String::new(), weight: 1 };
    let origin = Arc::new(Origin::new(vec![endpoint], TlsClient::default(), Tasks::default()));
    let (done, mut results) = tokio::sync::mpsc::unbounded_channel();
    for client in 0..CLIENTS {
        let (origin, done) = (origin.clone(), done.clone());
        clients.spawn(async move {
            for turn in 0..100 {
                let path = format!("/{client}/{turn}");
                let body = if turn % 2 == 0 { Body::empty() } else { Body::full(path.clone().repeat(turn * 20)) };
                let request = Request::post(&path).body(body).unwrap();
                let asked = origin.ask(request, &HostChoice::Endpoint, &Timeouts::default(), None).await;
                let answer = asked.unwrap();
                assert_eq!(answer.headers()["x-path"], path.as_str());
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, if turn % 2 == 0 { String::new() } else { path.repeat(turn * 20) });
            }
            done.send(()).unwrap();
        });
    }
    drop(done);
    for _ in 0..CLIENTS {
        soon(results.recv()).await.unwrap();
    }
    assert!(connections.running() <= CLIENTS, "{} connections", connections.running());
}

#[tokio::test]
async fn an_upload_is_never_whole_at_the_origin_when_it_broke_at_the_client() {
    for broken in ["content-length: 10\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let (mut client, upstream, _stopper) = through().await;
        client.send(format!("PUT / HTTP/1.1\r\nhost: a\r\n{broken}")).await;
        let mut origin = accept(&upstream).await;
        origin.until("half").await;
        drop(client);
        let rest = origin.rest().await.unwrap_or_default();
        assert!(!rest.contains("0\r\n\r\n"), "{rest:?}");
    }
}

#[tokio::test]
async fn an_answer_cut_at_the_origin_is_cut_at_the_client() {
    let (mut client, upstream, _stopper) = through().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut origin = accept(&upstream).await;
    origin.head().await;
    origin.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
    client.until("half").await;
    drop(origin);
    assert!(!client.rest().await.unwrap_or_default().contains("0\r\n\r\n"));
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_origin() {
    let (mut client, upstream, _stopper) = through().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut origin = accept(&upstream).await;
    origin.head().await;
    drop(client);
    origin.closed().await;
}

#[tokio::test]
async fn a_tunnel_passes_bytes_both_ways_and_ends_with_either_side() {
    let (mut client, upstream, _stopper) = through().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n").await;
    let mut origin = accept(&upstream).await;
    origin.head().await;
    origin.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\nhello").await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.until("hello").await;
    client.send("hi there").await;
    origin.until("hi there").await;
    drop(origin);
    client.closed().await;
}
