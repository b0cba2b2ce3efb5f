//! Accepts and serves connections, each with a bound on everything it may take.
//!
//! At most `admin.limits.connections` are open; the next ones wait in the system's queue, so they cost nothing here. A failed accept
//! (the process is out of descriptors, the client has gone already) never ends the loop; where it was for want of a descriptor one that
//! was kept aside is given up for it. A connection that doesn't
//! finish a head in time, or idles, is closed by hyper; one that takes its answers too slowly, or simply goes on, ends with its
//! lifetime: what it is being told without an end is ended then.

use super::connections::Connections;
use super::guard::Peer;
use super::leaving::Leaving;
use crate::descriptors::{Spares, is_want_of_descriptors};
use crate::reached::{Bound, Reached};
use crate::tls;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// From accept, or the end of the last answer, to the end of a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head. hyper looks at it when a read has not completed the head: up to twice as much can pass,
/// more gets 431.
const HEADER_BYTES: usize = 32 << 10;
/// Fields of a request; 431 beyond.
const HEADER_COUNT: usize = 64;
/// After this a connection is closed at the end of its request.
const LIFETIME: Duration = Duration::from_secs(120);
/// How long that end may take; a request has 30 s.
const LAST_REQUEST: Duration = Duration::from_secs(35);
/// How long after its accept a connection that hasn't asked anything is left open at a stop: its request is probably on its way.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// Descriptors kept for connections that come when there are no others.
const SPARES: usize = 4;
/// The wait after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// `listener` in the form that [`serve`] takes.
pub(super) fn accepting(listener: TcpListener) -> impl Fn() -> Accepting + Send {
    let listener = Arc::new(listener);
    move || {
        let listener = Arc::clone(&listener);
        Box::pin(async move { listener.accept().await })
    }
}

/// One accept under way.
pub(super) type Accepting = std::pin::Pin<Box<dyn Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send>>;

/// Serves `router` on what `accept` brings until it is told to stop; connections then finish their request.
pub(super) async fn serve(
    accept: impl Fn() -> Accepting + Send,
    router: Router,
    tls: Option<Arc<tls::Server>>,
    reached: Arc<Reached>,
    all: Connections,
) {
    let (connections, spares) = (Arc::new(Semaphore::new(all.most)), Arc::new(Spares::new(SPARES)));
    let accept_one = async || {
        if connections.available_permits() == 0 {
            reached.note(Bound::AdminConnections);
        }
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return None };
        Some((accept().await, permit))
    };
    while let Some(Some((accepted, permit))) = all.stop.run_until_cancelled(accept_one()).await {
        match accepted {
            Ok((socket, peer)) => {
                let (tls, router, stop, spares) = (tls.clone(), router.clone(), all.stop.clone(), Arc::clone(&spares));
                all.spawn(async move {
                    opened(socket, peer, tls, router, stop).await;
                    spares.take_back();
                    drop(permit);
                });
            }
            Err(error) if is_want_of_descriptors(&error) && spares.give_up() => {
                reached.note(Bound::Descriptors);
                tracing::warn!(%error, "admin accept takes a spare descriptor");
            }
            Err(error) => {
                tracing::warn!(%error, "admin accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                spares.take_back();
            }
        }
    }
}

/// Serves a connection, after its handshake where there is one.
async fn opened(
    socket: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<tls::Server>>,
    router: Router,
    stop: CancellationToken,
) {
    let Some(tls) = tls else { return connection(socket, Peer::at(peer), router, stop).await };
    match tokio::time::timeout(HEADER_TIMEOUT, tls.accept(socket)).await {
        Ok(Ok((stream, certificate))) => {
            let peer = Peer { address: peer, certificate: certificate.map(Arc::new), encrypted: true };
            connection(stream, peer, router, stop).await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "admin handshake failed"),
        Err(_) => tracing::debug!(%peer, "admin handshake took too long"),
    }
}

async fn connection<S>(socket: S, peer: Peer, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (address, leaving) = (peer.address, Leaving(stop.child_token()));
    let (since, asked) = (Instant::now(), CancellationToken::new());
    let (told, asks) = (leaving.clone(), asked.clone());
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        asks.cancel();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(told.clone());
        TowerToHyperService::new(router.clone()).call(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEADER_BYTES)
            .max_headers(HEADER_COUNT)
            .serve_connection(TokioIo::new(socket), service)
    );
    tokio::select! {
        ended = connection.as_mut() => return log_end(address, ended),
        () = stop.cancelled() => {}
        () = tokio::time::sleep(LIFETIME) => {}
    }
    // hyper closes one that hasn't asked yet at once, which its client would take for a failure.
    tokio::select! {
        ended = connection.as_mut() => return log_end(address, ended),
        () = asked.cancelled() => {}
        () = tokio::time::sleep_until(since + FIRST_REQUEST) => {}
    }
    leaving.0.cancel();
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = tokio::time::timeout(LAST_REQUEST, connection).await {
        log_end(address, ended);
    }
}

/// Clients that vanish are everyday.
fn log_end(peer: SocketAddr, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "admin connection broke");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn the_loop_survives_accepts_that_fail() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (real, tried) = (accepting(listener), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&tried);
        let accept = move || -> Accepting {
            match count.fetch_add(1, Ordering::SeqCst) {
                0..3 => Box::pin(async { Err(io::Error::other("out of descriptors")) }),
                _ => real(),
            }
        };
        let all = Connections::new(64);
        let router = Router::new().route("/", get(|| async { "here" }));
        all.spawn(serve(accept, router, None, Arc::default(), all.clone()));
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("here"), "{text}");
        assert!(tried.load(Ordering::SeqCst) > 3);
        all.ended(LIFETIME).await;
    }
    #[tokio::test]
    async fn who_connected_just_before_a_stop_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (real, accepted) = (accepting(listener), Arc::new(tokio::sync::Notify::new()));
        let tell = Arc::clone(&accepted);
        let accept = move || -> Accepting {
            let (accepting, tell) = (real(), Arc::clone(&tell));
            Box::pin(async move { accepting.await.inspect(|_| tell.notify_one()) })
        };
        let all = Connections::new(64);
        let router = Router::new().route("/", get(|| async { "here" }));
        all.spawn(serve(accept, router, None, Arc::default(), all.clone()));
        let mut socket = TcpStream::connect(address).await.unwrap();
        accepted.notified().await;
        all.stop();
        for _ in 0..100 {
            tokio::task::yield_now().await; // the connection hears of it
        }
        socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("here"), "{text}");
        assert!(all.ended(LIFETIME).await);
    }

    #[tokio::test]
    async fn who_is_not_done_when_patience_ends_is_cut() {
        struct Dropped(Arc<AtomicUsize>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, dropped) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicUsize::new(0)));
        let (ask, count) = (Arc::clone(&asked), Arc::clone(&dropped));
        let endless = async move || {
            let _dropped = Dropped(Arc::clone(&count));
            ask.notify_one();
            std::future::pending::<&str>().await
        };
        let (all, router) = (Connections::new(64), Router::new().route("/", get(endless)));
        all.spawn(serve(accepting(listener), router, None, Arc::default(), all.clone()));
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        asked.notified().await;
        assert!(!all.ended(Duration::ZERO).await);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "");
    }
}
