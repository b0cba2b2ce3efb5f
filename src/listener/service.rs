//! From hyper's request to the handler, and from its answer back to hyper.

use super::upload::{Upload, UploadLimits};
use super::wire::{Line, Turn};
use crate::body::{Body, BodyError};
use crate::client::{Client, Interim};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::{HttpService, service_fn};
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What answers requests.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request. It may be dropped at any await when the client goes away. An answer of 101 hands the
    /// connection to `hyper::upgrade::on` of the request.
    fn handle(&self, request: Request<Body>, client: Arc<Client>) -> impl Future<Output = Response<Body>> + Send;
}

/// hyper's service for one connection.
pub(super) fn service<H: Handler>(
    handler: H,
    line: Arc<Line>,
    limits: UploadLimits,
    address: SocketAddr,
    local: SocketAddr,
) -> impl HttpService<Incoming, ResBody = Answer, Error = Infallible, Future: Send> + Send {
    let interim = Interim::new(line.hints.clone(), 0);
    let client = RefCell::new(Arc::new(Client::new(address, local, interim)));
    service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        let old = request.version() < Version::HTTP_11;
        let number = line.request();
        let client = {
            let mut client = client.borrow_mut();
            Client::turn(&mut client, if old { 0 } else { number });
            client.clone()
        };
        line.hints.begin(if old { 0 } else { number });
        let turn = Turn::new(line.clone());
        let request = receive(request, &line, limits);
        async move {
            let answer = handler.handle(request, client).await;
            let line = turn.line();
            line.hints.end();
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                line.becomes_tunnel();
            }
            Ok(answer.map(|body| Answer { body, turn, old }))
        }
    })
}

fn receive(request: Request<Incoming>, line: &Arc<Line>, limits: UploadLimits) -> Request<Body> {
    request.map(|incoming| {
        if incoming.is_end_stream() {
            Body::empty()
        } else {
            Body::stream(Upload::new(incoming, Turn::new(line.clone()), limits))
        }
    })
}

/// An answer's body; while it lives, its connection is busy.
pub(super) struct Answer {
    body: Body,
    turn: Turn,
    /// HTTP/1.0: the end of the connection may be the end of the message.
    old: bool,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if self.old && matches!(polled, Poll::Ready(Some(Err(_)))) {
            self.turn.line().resets();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
