//! The bookstore on a socket.

use super::answer::{Answer, Refusal};
use super::{Bookstore, routes};
use crate::tasks::Tasks;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Bytes that a request body may have.
const MAX_BODY: usize = 64 << 10;

/// Connections at a time; more wait in the listen queue.
const MAX_CONNECTIONS: usize = 512;

/// How long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves `store` on `listener` until `stop`; then ends every connection after the answer it is giving.
pub async fn run(listener: TcpListener, store: Arc<Bookstore>, stop: CancellationToken) {
    let tasks = Tasks::default();
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Some(stream) = accept(&listener, &stop).await {
        // The semaphore is never closed, so this only waits.
        let Ok(place) = Arc::clone(&free).acquire_owned().await else { break };
        let (store, stop) = (Arc::clone(&store), stop.clone());
        tasks.spawn(async move {
            connection(stream, store, stop).await;
            drop(place);
        });
    }
    tasks.ended().await;
}

/// The next connection, or `None` on stop. Running out of descriptors is no reason to end.
async fn accept(listener: &TcpListener, stop: &CancellationToken) -> Option<TcpStream> {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => return Some(stream),
            Err(error) => {
                tracing::warn!(%error, "the bookstore can't accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, store: Arc<Bookstore>, stop: CancellationToken) {
    let service = service_fn(move |request| {
        let store = Arc::clone(&store);
        async move { Ok::<_, Infallible>(serve(&store, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the bookstore broke");
    }
}

async fn serve(store: &Bookstore, request: Request<Incoming>) -> Answer {
    let switch = routes::is_switch(request.uri().path());
    if !switch {
        store.count();
    }
    let answer = match whole(request).await {
        Ok(request) => routes::answer(store, &request),
        Err(refusal) => refusal.answer(),
    };
    if !switch {
        tokio::time::sleep(store.delay()).await;
    }
    answer
}

/// The request with its body read to the end.
async fn whole(request: Request<Incoming>) -> Result<Request<Bytes>, Refusal> {
    let (head, body) = request.into_parts();
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(Request::from_parts(head, body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::too_large(MAX_BODY)),
        Ok(Err(error)) => Err(Refusal::bad(format!("the body broke off: {error}"))),
        Err(_) => Err(Refusal::bad(format!("the body took longer than {} s", BODY_TIMEOUT.as_secs()))),
    }
}
