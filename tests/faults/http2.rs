//! Endpoints that speak HTTP/2: over TLS where they take it, in the clear by prior knowledge.

use crate::support::{Authority, Gate, Gateway, Origin, Reply, within};
use bytes::Bytes;
use freshgate::tasks::Tasks;
use h2::Reason;
use h2::server::SendResponse;
use http::{Request, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What it does with a request.
#[derive(Clone, Debug)]
enum Act {
    Answer(&'static str),
    /// A head, half of the content that it promises, and then this.
    BreakOff(Reason),
    /// No head.
    Reset(Reason),
    /// Less than its Content-Length.
    Short,
    /// Nothing before the gate is open.
    Wait(Gate),
}

/// An origin of HTTP/2.
struct H2Origin {
    addr: SocketAddr,
    requests: Arc<Mutex<Vec<Request<Vec<u8>>>>>,
    connections: Arc<Mutex<usize>>,
    acts: Arc<Mutex<Vec<Act>>>,
    _stop: DropGuard,
}

impl H2Origin {
    /// Does `acts` one after the other, and the last one for ever.
    async fn start(acts: &[Act], tls: Option<TlsAcceptor>) -> H2Origin {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, stop, tasks) = (listener.local_addr().unwrap(), CancellationToken::new(), Tasks::default());
        let acts = Arc::new(Mutex::new(acts.to_vec()));
        let (requests, connections) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<usize>>::default());
        let (their_requests, their_acts, count, until) =
            (Arc::clone(&requests), Arc::clone(&acts), Arc::clone(&connections), stop.clone());
        tasks.clone().spawn(async move {
            while let Some(Ok((stream, _))) = until.run_until_cancelled(listener.accept()).await {
                *count.lock().unwrap() += 1;
                let (requests, acts, tls) = (Arc::clone(&their_requests), Arc::clone(&their_acts), tls.clone());
                let (until, more) = (until.clone(), tasks.clone());
                tasks.spawn(async move {
                    let serve = async {
                        match tls {
                            None => serve(stream, requests, acts, more).await,
                            Some(tls) => {
                                let Ok(stream) = tls.accept(stream).await else { return };
                                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                                serve(stream, requests, acts, more).await;
                            }
                        }
                    };
                    until.run_until_cancelled(serve).await;
                });
            }
        });
        H2Origin { addr, requests, connections, acts, _stop: stop.drop_guard() }
    }

    fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    requests: Arc<Mutex<Vec<Request<Vec<u8>>>>>,
    acts: Arc<Mutex<Vec<Act>>>,
    tasks: Tasks,
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (requests, acts) = (Arc::clone(&requests), Arc::clone(&acts));
        tasks.spawn(async move {
            let (head, mut body) = request.into_parts();
            let mut content = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                content.extend_from_slice(&piece);
            }
            requests.lock().unwrap().push(Request::from_parts(head, content));
            let act = {
                let mut acts = acts.lock().unwrap();
                if acts.len() > 1 { acts.remove(0) } else { acts[0].clone() }
            };
            answer(respond, act).await;
        });
    }
}

async fn answer(mut respond: SendResponse<Bytes>, act: Act) {
    let head = |length: usize| {
        let fields = Response::builder().header("cache-control", "max-age=60");
        fields.header("content-length", length.to_string()).body(()).unwrap()
    };
    match act {
        Act::Reset(reason) => respond.send_reset(reason),
        Act::Answer(text) => {
            let mut body = respond.send_response(head(text.len()), false).unwrap();
            body.send_data(Bytes::from_static(text.as_bytes()), true).unwrap();
        }
        Act::BreakOff(reason) => {
            let mut body = respond.send_response(head(10), false).unwrap();
            body.send_data(Bytes::from_static(b"01234"), false).unwrap();
            // What is reset takes along what isn't sent yet.
            (0..50).for_each(|_| body.reserve_capacity(1));
            tokio::task::yield_now().await;
            body.send_reset(reason);
        }
        Act::Short => {
            let mut body = respond.send_response(head(10), false).unwrap();
            body.send_data(Bytes::from_static(b"01234"), true).unwrap();
        }
        Act::Wait(gate) => {
            gate.pass().await;
            let mut body = respond.send_response(head(4), false).unwrap();
            body.send_data(Bytes::from_static(b"late"), true).unwrap();
        }
    }
}

fn api(url: &str, more: &str) -> String {
    format!("[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{url}\"]\n{more}\n")
}

const HTTP2: &str = "pool = { http2 = true }\n";

async fn in_the_clear(acts: &[Act], more: &str) -> (H2Origin, Gateway) {
    let origin = H2Origin::start(acts, None).await;
    let gateway = Gateway::with("", &api(&format!("http://{}/base", origin.addr), &format!("{HTTP2}{more}"))).await;
    (origin, gateway)
}

#[tokio::test]
async fn requests_go_out_as_requests_of_http2() {
    let (origin, gateway) = in_the_clear(&[Act::Answer("two")], "").await;
    let answer = gateway.client().await.get_with("/a?b=1", &[("accept", "text/plain"), ("te", "trailers")]).await;
    assert_eq!((answer.status, answer.text(), answer.get("content-length")), (200, "two", Some("3")));
    assert!(gateway.client().await.get("/a?b=1").await.cache_says("hit"));
    let mut client = gateway.client().await;
    let put = client.request("PUT", "/c", &[("transfer-encoding", "chunked")], "3\r\nabc\r\n0\r\n\r\n").await;
    assert_eq!(put.status, 200);
    let seen = origin.requests.lock().unwrap();
    assert_eq!(seen[0].uri().to_string(), format!("http://{}/base/a?b=1", origin.addr));
    let fields = seen[0].headers();
    assert!(!fields.contains_key("host") && !fields.contains_key("connection") && fields["accept"] == "text/plain");
    assert_eq!((seen[1].method().as_str(), seen[1].body().as_slice()), ("PUT", b"abc".as_slice()));
    assert!(!seen[1].headers().contains_key("transfer-encoding"));
}

#[tokio::test]
async fn one_connection_carries_many_at_a_time() {
    let gate = Gate::closed();
    let (origin, gateway) = in_the_clear(&[Act::Wait(gate.clone())], "cache = false\n").await;
    let mut clients = Vec::new();
    for i in 0..30 {
        let mut client = gateway.client().await;
        client.send("GET", &format!("/{i}"), &[], "").await;
        clients.push(client);
    }
    gate.arrived(30).await;
    assert_eq!(origin.connections(), 1);
    gate.open();
    for mut client in clients {
        assert_eq!(client.answer().await.text(), "late");
    }
}

#[tokio::test]
async fn so_many_streams_and_then_another_connection() {
    let gate = Gate::closed();
    let origin = H2Origin::start(&[Act::Wait(gate.clone())], None).await;
    let more = "cache = false\npool = { http2 = true, streams = 2 }\n";
    let gateway = Gateway::with("", &api(&format!("http://{}", origin.addr), more)).await;
    let mut clients = Vec::new();
    for i in 0..5 {
        let mut client = gateway.client().await;
        client.send("GET", &format!("/{i}"), &[], "").await;
        clients.push(client);
    }
    gate.arrived(5).await;
    assert_eq!(origin.connections(), 3);
    gate.open();
    for mut client in clients {
        assert_eq!(client.answer().await.text(), "late");
    }
}

#[tokio::test]
async fn what_breaks_is_seen_and_not_stored() {
    let rows = [
        ("reset inside the content", Act::BreakOff(Reason::INTERNAL_ERROR), None),
        ("less than was promised", Act::Short, None),
        ("reset without a head", Act::Reset(Reason::INTERNAL_ERROR), Some(502)),
        ("cancelled without a head", Act::Reset(Reason::CANCEL), Some(502)),
    ];
    for (why, act, status) in rows {
        let (origin, gateway) = in_the_clear(&[act, Act::Answer("whole")], "").await;
        let mut client = gateway.client().await;
        client.send("GET", "/a", &[], "").await;
        let answer = client.try_answer().await;
        match status {
            Some(status) => assert_eq!(answer.map(|answer| answer.status), Some(status), "{why}"),
            None => assert!(answer.as_ref().is_none_or(|answer| !answer.complete), "{why}: {answer:?}"),
        }
        gateway.settled().await;
        let next = gateway.client().await.get("/a").await;
        assert_eq!((next.text(), next.cache_says("hit"), origin.count()), ("whole", false, 2), "{why}");
    }
}

/// RFC 9113 §8.7: a stream that was refused was not looked at, so that whatever it was may be sent again where `retry` allows it.
#[tokio::test]
async fn what_was_refused_goes_out_again_even_a_post() {
    let acts = [Act::Reset(Reason::REFUSED_STREAM), Act::Answer("done")];
    let (origin, gateway) = in_the_clear(&acts, "retry = { times = 1, backoff = \"1ms\" }\n").await;
    let answer = gateway.client().await.post("/a", "some").await;
    assert_eq!((answer.status, answer.text(), origin.count()), (200, "done", 2));
    assert_eq!(origin.requests.lock().unwrap()[1].body().as_slice(), b"some");
}

#[tokio::test]
async fn nothing_comes_in_time_and_the_connection_lives_on() {
    let acts = [Act::Wait(Gate::closed()), Act::Answer("next")];
    let (origin, gateway) = in_the_clear(&acts, "timeouts = { first_byte = \"100ms\" }\n").await;
    assert_eq!(gateway.client().await.get("/a").await.status, 504);
    assert_eq!(gateway.client().await.get("/b").await.text(), "next");
    assert_eq!((origin.count(), origin.connections()), (2, 1));
    assert!(origin.acts.lock().unwrap().len() == 1);
}

/// A server with a certificate for `localhost`; with `asks` it wants one of the same authority from its clients.
fn acceptor(authority: &Authority, protocols: &[&str], asks: bool) -> TlsAcceptor {
    let pair = authority.pair("origin");
    let cert = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = if asks {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(vec![cert], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn tls_with_its_own_authority_name_and_certificate() {
    let authority = Authority::new();
    let ca = authority.write("ca.pem", &authority.pem());
    let pair = authority.pair("gateway");
    let (cert, key) = (authority.write("gw.pem", &pair.cert), authority.write("gw.key", &pair.key));
    let own = format!(", cert = \"{}\", key = \"{}\"", cert.display(), key.display());
    let tls = |more: &str| format!("tls = {{ ca = \"{}\"{more} }}", ca.display());
    let origin = H2Origin::start(&[Act::Answer("safe")], Some(acceptor(&authority, &["h2"], true))).await;
    let url = format!("https://127.0.0.1:{}", origin.addr.port());
    for (more, status) in [
        (format!("{}, http2 = true", tls(&own)), 200),
        (format!("{}, http2 = true", tls(&format!("{own}, name = \"localhost\""))), 200),
        (format!("{}, http2 = true", tls(&format!("{own}, name = \"elsewhere.test\""))), 502),
        (format!("{}, http2 = true", tls("")), 502), // it wants to see a certificate
        ("http2 = true".to_owned(), 502),            // the system's authorities don't know it
    ] {
        let gateway = Gateway::with("", &api(&url, &format!("pool = {{ {more} }}"))).await;
        assert_eq!(gateway.client().await.get("/a").await.status, status, "{more}");
    }
}

/// Where the origin takes no HTTP/2 it is asked by HTTP/1.1, and so is whoever wants to switch to another protocol.
#[tokio::test]
async fn an_origin_of_http1_is_asked_as_ever() {
    let authority = Authority::new();
    let ca = authority.write("ca.pem", &authority.pem());
    let tls = acceptor(&authority, &["http/1.1"], false);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (plain, tasks) = (Origin::always(Reply::ok("one")).await, Tasks::default());
    let to = plain.addr;
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut above) = tls.accept(stream).await else { continue };
            let mut below = tokio::net::TcpStream::connect(to).await.unwrap();
            drop(tokio::io::copy_bidirectional(&mut above, &mut below).await);
        }
    });
    let more = format!("cache = false\npool = {{ http2 = true, tls = {{ ca = \"{}\" }} }}", ca.display());
    let gateway = Gateway::with("", &api(&format!("https://127.0.0.1:{}", addr.port()), &more)).await;
    for _ in 0..3 {
        assert_eq!(gateway.client().await.get("/a").await.text(), "one");
    }
    assert_eq!((plain.count(), plain.connections()), (3, 1));
}

/// Whoever hopes for a place on the connection that another one opens doesn't hope longer than connecting may take: here nobody gets one
/// before most of them try.
#[tokio::test]
async fn nobody_waits_for_one_that_does_not_get_through() {
    let authority = Authority::new();
    let ca = authority.write("ca.pem", &authority.pem());
    let tls = acceptor(&authority, &["http/1.1"], false);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, tasks, gate) = (listener.local_addr().unwrap(), Tasks::default(), Gate::closed());
    let doorkeeper = gate.clone();
    tasks.clone().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (gate, tls) = (doorkeeper.clone(), tls.clone());
            tasks.spawn(async move {
                gate.pass().await;
                drop(tls.accept(stream).await);
            });
        }
    });
    let more = "cache = false\nhealth = { failures = 0 }\nretry = { times = 0 }\ntimeouts = { connect = \"1s\" }\n";
    let pool = format!("pool = {{ http2 = true, tls = {{ ca = \"{}\" }} }}\n", ca.display());
    let gateway =
        Gateway::with("", &api(&format!("https://127.0.0.1:{}", addr.port()), &format!("{more}{pool}"))).await;
    let mut clients = Vec::new();
    for i in 0..12 {
        let mut client = gateway.client().await;
        client.send("GET", &format!("/{i}"), &[], "").await;
        clients.push(client);
    }
    gate.arrived(7).await;
    gate.open();
    let mut late = 0;
    for mut client in clients {
        late += usize::from(client.answer().await.status == 504);
    }
    assert!(late < 6, "{late} were too late");
}

/// A check has a connection of its own, and takes it along.
#[tokio::test]
async fn checks_leave_no_connection_behind() {
    let check = "health = { path = \"/healthz\", interval = \"10ms\" }\n";
    let (origin, gateway) = in_the_clear(&[Act::Answer("well")], check).await;
    within("twenty checks", async {
        while origin.count() < 20 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    within("few connections", async {
        let few = ["0", "1", "2"].map(|n| format!("freshgate_origin_connections{{api=\"test/v1\"}} {n}\n"));
        loop {
            let metrics = gateway.admin("GET", "/metrics", "").await;
            if few.iter().any(|line| metrics.text().contains(line.as_str())) {
                break;
            }
        }
    })
    .await;
}
