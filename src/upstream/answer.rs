//! An answer: its framing checked once more, and its body with the origin's time limits.

use super::doors::Held;
use super::error::{AskError, AskErrorKind};
use super::pool::Lease;
use crate::alarm::later;
use crate::body::{Body, BodyError};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// Turns hyper's answer into ours. `lease` goes back to its pool when the body has ended cleanly, at once if there
/// is none; a connection that changes its protocol (101) never does.
pub(super) fn receive(
    answer: Response<Incoming>,
    lease: Lease,
    pause: Duration,
    total: Option<Instant>,
) -> Result<Response<Body>, AskError> {
    let (mut parts, incoming) = answer.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        parts.extensions.insert(Held(Arc::new(lease.into_place())));
        return Ok(Response::from_parts(parts, Body::empty()));
    }
    if incoming.is_end_stream() {
        let lease = if parts.version == Version::HTTP_10 { lease.retire() } else { lease };
        lease.give_back();
        return Ok(Response::from_parts(parts, Body::empty()));
    }
    let framing = check_framing(&mut parts.headers)?;
    // Towards a peer of HTTP/1.0 hyper writes HTTP/1.0 from then on, where a body of unknown length is silently lost.
    let lasts = parts.version != Version::HTTP_10 && framing == Framing::Told;
    let (http2, lease) = (lease.is_http2(), Some(if lasts { lease } else { lease.retire() }));
    let body = Body::stream(Answer { incoming, http2, lease, pause, total, waiting: None });
    Ok(Response::from_parts(parts, body))
}

/// How an answer says where its body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// By its fields, or not at all.
    Told,
    /// By closing, whatever its fields say.
    Closing,
}

/// hyper lets pass what would be ambiguous further on: transfer codings that it doesn't decode (RFC 9112, 6.1), a
/// Content-Length beside Transfer-Encoding (6.3, to be removed), and the same Content-Length twice (6.3, to be one).
///
/// Codings without `chunked` are read until the origin closes (6.3, item 4); we have asked for none, so what comes is taken
/// for the content. Where chunks are wrapped in something else, or something else in chunks, there is no content to be had.
fn check_framing(headers: &mut HeaderMap) -> Result<Framing, AskError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let one = codings.next().is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        let members = headers.get_all(TRANSFER_ENCODING).into_iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
        let chunked = members.map(name).any(|name| name.is_empty() || name.eq_ignore_ascii_case(b"chunked"));
        if chunked && !one {
            let cause = "Transfer-Encoding names `chunked` among others, or nothing";
            return Err(AskError::sent(AskErrorKind::BadAnswer).because(cause));
        }
        headers.remove(CONTENT_LENGTH);
        return Ok(if one { Framing::Told } else { Framing::Closing });
    }
    if headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some()
        && let Some(first) = headers.get(CONTENT_LENGTH).cloned()
    {
        headers.insert(CONTENT_LENGTH, first);
    }
    Ok(Framing::Told)
}

/// A coding without its parameters.
fn name(coding: &[u8]) -> &[u8] {
    coding.split(|b| *b == b';').next().unwrap_or_default().trim_ascii()
}

struct Answer {
    incoming: Incoming,
    /// Whether it is one of HTTP/2.
    http2: bool,
    /// The connection; gone once the body has ended or broken.
    lease: Option<Lease>,
    pause: Duration,
    total: Option<Instant>,
    /// Until when the next frame must come; set while we wait for one.
    waiting: Option<Instant>,
}

impl Answer {
    /// Waits with `between_bytes` and `total`, whichever is over first.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let pause = *self.waiting.get_or_insert_with(|| later(Instant::now(), self.pause));
        let deadline = self.total.map_or(pause, |total| total.min(pause));
        let Some(lease) = &mut self.lease else { return Poll::Ready(None) };
        ready!(lease.alarm().poll(deadline, cx));
        self.break_off();
        Poll::Ready(Some(Err(BodyError::OriginSlow)))
    }

    /// Whether it is whole, once nothing more comes. hyper says of HTTP/1.1 when it isn't. Of HTTP/2 it takes a stream that the origin ends with
    /// NO_ERROR for one that has ended, whether its content has (RFC 9113 §8.1: then the rest of the *request* isn't needed) or
    /// not; only END_STREAM tells.
    fn is_whole(&self) -> bool {
        !self.http2 || self.incoming.is_end_stream()
    }

    /// The endpoint has failed; nobody uses the connection again.
    fn break_off(&mut self) {
        if let Some(mut lease) = self.lease.take()
            && let Some(pass) = &mut lease.place().here
        {
            pass.broke();
        }
    }

    fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.lease.is_none() {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else { return this.wait(cx) };
        this.waiting = None;
        match frame {
            Some(Ok(frame)) => {
                if frame.is_trailers() || this.incoming.is_end_stream() {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "an answer broke off");
                this.break_off();
                Poll::Ready(Some(Err(BodyError::Origin)))
            }
            None if !this.is_whole() => {
                tracing::debug!("an answer broke off without an error");
                this.break_off();
                Poll::Ready(Some(Err(BodyError::Origin)))
            }
            None => {
                this.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
