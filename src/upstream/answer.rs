//! An answer: its framing checked once more, so that it means the same to whoever gets it next, and its body with the origin's time limits.

use super::doors::Held;
use super::error::{AskError, AskErrorKind};
use super::pool::Lease;
use crate::alarm::later;
use crate::body::{Body, BodyError};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
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
    let lengths = one_length(&mut parts.headers);
    let resets = parts.status == StatusCode::RESET_CONTENT;
    if resets {
        parts.headers.remove(TRANSFER_ENCODING);
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
    }
    if incoming.is_end_stream() {
        if !lengths && !resets {
            parts.headers.remove(CONTENT_LENGTH); // HEAD, 204, 304: it frames nothing (RFC 9112 §6.3, item 1)
        }
        let lease = if parts.version == Version::HTTP_10 { lease.retire() } else { lease };
        lease.give_back();
        return Ok(Response::from_parts(parts, Body::empty()));
    }
    if resets {
        // It has no content (RFC 9110 §15.3.6). What comes all the same goes with its connection.
        return Ok(Response::from_parts(parts, Body::empty()));
    }
    let framing = check_framing(&mut parts.headers, lengths)?;
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

/// hyper lets pass what would be ambiguous further on: transfer codings that it doesn't decode (RFC 9112, 6.1), and a
/// Content-Length beside Transfer-Encoding (6.3, to be removed).
///
/// We have asked for no coding but chunks, and decode no other: what is coded any other way, alone or around them, is no content that could
/// be given to anybody. `identity` is none; without chunks the content goes to where the origin closes (6.3, item 4).
fn check_framing(headers: &mut HeaderMap, lengths: bool) -> Result<Framing, AskError> {
    let bad = |cause: &'static str| AskError::sent(AskErrorKind::BadAnswer).because(cause);
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let one = codings.next().is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        let mut members =
            headers.get_all(TRANSFER_ENCODING).into_iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
        if !one && !members.all(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"identity")) {
            return Err(bad("Transfer-Encoding names something else than `chunked` alone"));
        }
        headers.remove(CONTENT_LENGTH);
        return Ok(if one { Framing::Told } else { Framing::Closing });
    }
    if lengths { Ok(Framing::Told) } else { Err(bad("Content-Length is no number, or several")) }
}

/// Makes equal lengths one (RFC 9110 §8.6), whether they stand in several lines or in one; false where there are others, or what is no number.
/// hyper reads them the same way, but leaves them as they are. Zeros before one make it octal to some.
fn one_length(headers: &mut HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lines.next() else { return true };
    let plain = |line: &HeaderValue| line.as_bytes().iter().all(u8::is_ascii_digit) && line.as_bytes()[..1] != *b"0";
    if lines.next().is_none() && !first.is_empty() && plain(first) {
        return true;
    }
    let members = headers.get_all(CONTENT_LENGTH).into_iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
    let mut lengths = members.map(|member| number(member.trim_ascii()));
    let Some(length) = lengths.next().flatten().filter(|length| lengths.all(|other| other == Some(*length))) else {
        return false;
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    true
}

/// Digits and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
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
