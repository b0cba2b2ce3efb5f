//! From hyper's request to the handler, and from its answer back to hyper.

use super::line::{Line, Turn};
use super::refusal::Refused;
use super::stop::Stop;
use super::streams::{Steps, piece};
use super::upload::{Upload, UploadLimits};
use crate::body::{Body, BodyError};
use crate::client::Client;
use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Version};
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
    /// connection to `hyper::upgrade::on` of the request. A request of HTTP/2 names its host by `Host` like all others.
    fn handle(&self, request: Request<Body>, client: Arc<Client>) -> impl Future<Output = Response<Body>> + Send;

    /// Hears of a request that was refused before it could be read as one.
    fn refused(&self, peer: SocketAddr, refused: Refused) {
        let _ = (peer, refused);
    }
}

/// hyper's service for one connection; `client` is at its far end.
pub(super) fn service<H: Handler>(
    handler: H,
    line: Arc<Line>,
    limits: UploadLimits,
    client: Client,
    stop: Stop,
) -> impl HttpService<Incoming, ResBody = Answer, Error = Infallible, Future: Send + 'static> + Send {
    let client = RefCell::new(Arc::new(client));
    service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        let version = request.version();
        let number = line.request();
        // Interim answers go past hyper: an old client can't read them, and between frames there is no room.
        let hinted = if version == Version::HTTP_11 { number } else { 0 };
        let client = {
            let mut client = client.borrow_mut();
            Client::turn(&mut client, hinted);
            client.clone()
        };
        line.hints.begin(hinted);
        let turn = Turn::of_request(line.clone());
        let stop = stop.clone();
        let request = receive(request, &line, limits);
        async move {
            let mut answer = handler.handle(request, client).await;
            let line = turn.line();
            line.hints.end();
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                line.becomes_tunnel();
            } else if version != Version::HTTP_2 && stop.stirred() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let way = match version {
                Version::HTTP_2 => Way::Stream { steps: Steps::of_this_stream(), rest: Bytes::new() },
                Version::HTTP_11 => Way::Counted,
                _ => Way::Old,
            };
            Ok(answer.map(|body| Answer { body, turn, way }))
        }
    })
}

fn receive(mut request: Request<Incoming>, line: &Arc<Line>, limits: UploadLimits) -> Request<Body> {
    if request.version() == Version::HTTP_2 {
        name_host(&mut request);
    }
    request.map(|incoming| {
        if incoming.is_end_stream() {
            Body::empty()
        } else {
            Body::stream(Upload::new(incoming, Turn::new(line.clone()), limits))
        }
    })
}

/// Says by `Host` what `:authority` says, as RFC 9113 §8.3.1 has it for those who go on in HTTP/1.1. Where there are both, they
/// are left for `admit` to compare.
fn name_host(request: &mut Request<Incoming>) {
    if let Some(authority) = request.uri().authority()
        && !request.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::try_from(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
}

/// An answer's body; while it lives, its connection is busy.
pub(super) struct Answer {
    body: Body,
    turn: Turn,
    way: Way,
}

/// How an answer's body goes out.
enum Way {
    /// HTTP/1.1: where it breaks off can be seen.
    Counted,
    /// HTTP/1.0: the end of the connection may be the end of the message.
    Old,
    /// HTTP/2: in small pieces, each of which is a step that the stream's task sees.
    Stream { steps: Option<Arc<Steps>>, rest: Bytes },
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Answer { body, turn, way } = &mut *self;
        match way {
            Way::Counted => Pin::new(body).poll_frame(cx),
            Way::Old => {
                let polled = Pin::new(body).poll_frame(cx);
                if matches!(polled, Poll::Ready(Some(Err(_)))) {
                    turn.line().resets();
                }
                polled
            }
            Way::Stream { steps, rest } => {
                let polled = next_piece(body, rest, cx);
                if let Some(steps) = steps {
                    if polled.is_ready() { steps.given() } else { steps.awaited() }
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let left = matches!(&self.way, Way::Stream { rest, .. } if !rest.is_empty());
        !left && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let left = if let Way::Stream { rest, .. } = &self.way { rest.len() as u64 } else { 0 };
        if left == 0 {
            return self.body.size_hint();
        }
        let (of_body, mut hint) = (self.body.size_hint(), SizeHint::new());
        hint.set_lower(of_body.lower() + left);
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + left);
        }
        hint
    }
}

fn next_piece(
    body: &mut Body,
    rest: &mut Bytes,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    if rest.is_empty() {
        let frame = std::task::ready!(Pin::new(body).poll_frame(cx));
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => *rest = data,
            Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        }
    }
    Poll::Ready(Some(Ok(Frame::data(piece(rest)))))
}
