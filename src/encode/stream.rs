//! A body that encodes another one while it comes.
//!
//! What has come is given on as soon as there is nothing more to read: the encoder is flushed whenever its source makes it wait, so that a
//! trickle trickles on. A source that is always ready fills whole pieces instead. One turn takes a bounded number of bytes, since what
//! is in memory already would else keep a thread for as long as its encoding takes.

use super::bound::Encoders;
use super::coder::Coder;
use crate::body::{Body, BodyError};
use crate::counted::Counted;
use crate::rfc9110::accept_encoding::Coding;
use crate::rfc9110::fields::{OF_ONE_REPRESENTATION, remove_all};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes of output that are worth a frame.
const FRAME: usize = 16 << 10;
/// Bytes of input that are taken in one turn.
const TURN: usize = 64 << 10;

/// `body` in this coding, if there is room for one more encoder.
///
/// # Errors
/// The body itself, where there isn't.
pub fn encoded(body: Body, coding: Coding, encoders: &Encoders) -> Result<Body, Body> {
    match encoders.place() {
        Some(place) => Ok(Body::stream(Encoded {
            source: body,
            coder: Some((Coder::new(coding), place)),
            input: Bytes::new(),
            output: Vec::new(),
            unflushed: false,
            trailers: None,
        })),
        None => Err(body),
    }
}

struct Encoded {
    source: Body,
    /// Gone once its end is written.
    coder: Option<(Coder, Counted)>,
    /// What has been read and not been encoded.
    input: Bytes,
    output: Vec<u8>,
    /// Whether the encoder holds anything back.
    unflushed: bool,
    trailers: Option<HeaderMap>,
}

/// What to do next.
enum Next {
    Give,
    Wait,
    GoOn,
    End,
}

impl Encoded {
    /// Encodes some, or reads on.
    fn step(&mut self, turn: &mut usize, cx: &mut Context<'_>) -> Result<Next, BodyError> {
        let Some((coder, _)) = &mut self.coder else { return Ok(Next::End) };
        if !self.input.is_empty() {
            let taken = self.input.split_to(self.input.len().min(*turn));
            *turn -= taken.len();
            self.unflushed = true;
            coder.encode(&taken, &mut self.output).map_err(broken)?;
            return Ok(match (self.output.len() >= FRAME, *turn) {
                (true, _) => Next::Give,
                (false, 0) => {
                    cx.waker().wake_by_ref();
                    Next::Wait
                }
                (false, _) => Next::GoOn,
            });
        }
        match Pin::new(&mut self.source).poll_frame(cx) {
            Poll::Pending if self.unflushed => {
                self.unflushed = false;
                coder.flush(&mut self.output).map_err(broken)?;
                Ok(Next::Give)
            }
            Poll::Pending => Ok(Next::Wait),
            Poll::Ready(None) => {
                coder.finish(&mut self.output).map_err(broken)?;
                self.coder = None;
                Ok(Next::Give)
            }
            Poll::Ready(Some(Err(error))) => Err(error),
            Poll::Ready(Some(Ok(frame))) => {
                match frame.into_data() {
                    Ok(data) => self.input = data,
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                }
                Ok(Next::GoOn)
            }
        }
    }
}

impl HttpBody for Encoded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let (this, mut turn) = (&mut *self, TURN);
        loop {
            match this.step(&mut turn, cx) {
                Ok(Next::GoOn) => {}
                Ok(Next::Wait) if this.output.is_empty() => return Poll::Pending,
                Ok(Next::Give | Next::Wait) if !this.output.is_empty() => {
                    return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.output).into()))));
                }
                Ok(Next::Give | Next::Wait) => {}
                Ok(Next::End) => {
                    let trailers = this.trailers.take().map(|mut trailers| {
                        remove_all(&mut trailers, &OF_ONE_REPRESENTATION);
                        trailers
                    });
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Err(error) => {
                    this.coder = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.coder.is_none() && self.output.is_empty() && self.trailers.is_none() && !self.input.has_remaining()
    }
}

/// A codec that fails is our fault; all that a client can be told is that its message is incomplete.
fn broken(error: std::io::Error) -> BodyError {
    tracing::error!(%error, "a content couldn't be encoded");
    BodyError::Origin
}
