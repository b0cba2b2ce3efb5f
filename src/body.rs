//! The one body type that flows through: nothing, bytes in memory, or a stream of frames.

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A message body on its way to a client or to an origin.
pub struct Body(Kind);

enum Kind {
    Empty,
    Full(Bytes),
    Stream(Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError> + Send>>),
}

/// Why a body broke off, and whose fault it is. The peer sees an incomplete message, never a shortened whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The origin closed, reset or broke its framing in the middle of the message.
    Origin,
    /// The origin sent nothing for longer than `timeouts.between_bytes`, or exceeded `timeouts.total`.
    OriginSlow,
    /// The client closed, reset or broke its framing in the middle of its request.
    Client,
    /// The client sent slower than `limits.body_min_rate` or paused longer than `limits.idle_timeout`.
    ClientSlow,
    /// The request body grew past `limits.request_body`.
    TooLarge,
    /// This reader of a shared answer fell too far behind the others (`limits.write_stall`).
    Lagged,
}

impl BodyError {
    /// The name that logs and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            BodyError::Origin => "origin-broke",
            BodyError::OriginSlow => "origin-slow",
            BodyError::Client => "client-broke",
            BodyError::ClientSlow => "client-slow",
            BodyError::TooLarge => "request-too-large",
            BodyError::Lagged => "client-lagged",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for BodyError {}

impl Body {
    /// A body of no bytes.
    pub fn empty() -> Self {
        Body(Kind::Empty)
    }

    /// A body that is wholly in memory; costs no copy.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() { Body::empty() } else { Body(Kind::Full(bytes)) }
    }

    /// Bytes in memory and trailer fields after them. Its length isn't told: trailer fields need a chunked message.
    pub fn with_trailers(bytes: Bytes, trailers: HeaderMap) -> Self {
        let data = (!bytes.is_empty()).then(|| Frame::data(bytes));
        Body::stream(Trailed([data, Some(Frame::trailers(trailers))]))
    }

    /// Bytes in memory and another body after them.
    pub fn chained(first: Bytes, rest: Body) -> Self {
        Body::stream(Chained { first: Some(first).filter(|first| !first.is_empty()), rest })
    }

    /// Waits for its first frame, which stays in it; the error is one that came before any.
    ///
    /// # Errors
    /// Why it broke off.
    pub async fn begun(mut self) -> Result<Self, BodyError> {
        if self.is_end_stream() || self.in_memory().is_some() {
            return Ok(self);
        }
        let hint = self.size_hint();
        match std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {
            None => Ok(Body::empty()),
            Some(frame) => Ok(Body::stream(Begun { first: Some((frame?, hint)), rest: self })),
        }
    }

    /// How many bytes it has if they are all in memory.
    pub fn in_memory(&self) -> Option<u64> {
        match &self.0 {
            Kind::Empty => Some(0),
            Kind::Full(bytes) => Some(bytes.len() as u64),
            Kind::Stream(_) => None,
        }
    }

    /// All of its bytes if they are in memory, else the body again.
    ///
    /// # Errors
    /// The body, when it arrives frame by frame.
    pub fn into_whole(self) -> Result<Bytes, Body> {
        match self.0 {
            Kind::Empty => Ok(Bytes::new()),
            Kind::Full(bytes) => Ok(bytes),
            Kind::Stream(_) => Err(self),
        }
    }

    /// A body that arrives frame by frame.
    pub fn stream<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error = BodyError> + Send + 'static,
    {
        Body(Kind::Stream(Box::pin(body)))
    }
}

/// Bytes to give first, and what comes after them.
struct Chained {
    first: Option<Bytes>,
    rest: Body,
}

impl HttpBody for Chained {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}

/// A body whose first frame has been read, and what it said of its size before.
struct Begun {
    first: Option<(Frame<Bytes>, SizeHint)>,
    rest: Body,
}

impl HttpBody for Begun {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.first.take() {
            Some((first, _)) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.first.as_ref().map_or_else(|| self.rest.size_hint(), |(_, hint)| *hint)
    }
}

/// Frames to give, in their order.
struct Trailed([Option<Frame<Bytes>>; 2]);

impl HttpBody for Trailed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(self.0.iter_mut().find_map(Option::take).map(Ok))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Body::Empty"),
            Kind::Full(bytes) => write!(f, "Body::Full({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("Body::Stream"),
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(body) => body.size_hint(),
        }
    }
}
