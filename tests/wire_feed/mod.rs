//! A body whose frames the test sends when it likes.

use bytes::Bytes;
use freshgate::body::{Body, BodyError};
use http_body::{Body as HttpBody, Frame};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// A body that is fed by the test.
pub(crate) struct Fed(mpsc::UnboundedReceiver<Result<Frame<Bytes>, BodyError>>);

pub(crate) type Feed = mpsc::UnboundedSender<Result<Frame<Bytes>, BodyError>>;

impl HttpBody for Fed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.poll_recv(cx)
    }
}

pub(crate) fn fed() -> (Feed, Body) {
    let (feed, frames) = mpsc::unbounded_channel();
    (feed, Body::stream(Fed(frames)))
}

pub(crate) fn data(bytes: impl Into<Bytes>) -> Result<Frame<Bytes>, BodyError> {
    Ok(Frame::data(bytes.into()))
}
