//! The end of a write's answer, and of what was sent.
//!
//! A write is acknowledged when its client has the answer: all of it. Some origins send the head first and apply the write then: a stream of
//! progress, or an answer that comes while the content is still on its way. What was asked for in between shows what was there before.
//! So an answer that isn't complete with its head is watched ([`watched`]): what the write touched is invalidated once more before the client has the
//! last of it. If it breaks off, or its client leaves, nobody can tell any more whether the origin has applied the write (DESIGN rule 11), and
//! neither can one whose content the origin hasn't had when it answers: that is what [`Sent`] tells.
//!
//! The last of an answer whose length is known is the frame that completes it: its client waits for nothing after that.

use crate::body::{Body, BodyError};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// How an answer has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Whole,
    /// It broke off, or nobody has read it to its end.
    Broken,
}

/// Whether the content of a request has been read to its end, to be sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent(Arc<AtomicBool>);

impl Sent {
    /// The content, and what tells of its end.
    pub(super) fn of(body: Body) -> (Body, Sent) {
        let sent = Sent::default();
        let told = sent.clone();
        if body.in_memory().is_some() || body.is_end_stream() {
            told.0.store(true, Ordering::Release);
            return (body, sent);
        }
        (watched(body, move |ended| told.0.store(ended == Ended::Whole, Ordering::Release)), sent)
    }

    /// Whether it was.
    pub(super) fn wholly(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// So much of an answer is read of which nobody waits for any more, only to know how it ends.
const LEFT_OVER: u64 = 64 << 10;

/// Reads the rest of an answer whose client has left.
pub(super) async fn read_out(mut body: Body) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
        if read > LEFT_OVER {
            return;
        }
    }
}

/// The same body; `then` is called once, before the last of it is given.
pub(super) fn watched(body: Body, then: impl FnOnce(Ended) + Send + 'static) -> Body {
    let left = body.size_hint().exact();
    Body::stream(Watched { body, left, then: Some(Box::new(then)) })
}

struct Watched {
    body: Body,
    /// Bytes that are missing, where that is known.
    left: Option<u64>,
    then: Option<Box<dyn FnOnce(Ended) + Send>>,
}

impl Watched {
    fn end(&mut self, ended: Ended) {
        if let Some(then) = self.then.take() {
            then(ended);
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.end(Ended::Whole),
            Some(Err(_)) => self.end(Ended::Broken),
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.left = self.left.map(|left| left.saturating_sub(length));
                if self.left == Some(0) || frame.is_trailers() || self.body.is_end_stream() {
                    self.end(Ended::Whole);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.end(Ended::Broken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Gives these frames; what was told, and when.
    fn told(body: Body) -> (Body, Arc<Mutex<Vec<Ended>>>) {
        let told = Arc::<Mutex<Vec<Ended>>>::default();
        let tell = Arc::clone(&told);
        (watched(body, move |ended| tell.lock().unwrap().push(ended)), told)
    }

    #[tokio::test]
    async fn it_is_told_before_the_last_is_given_and_once() {
        let (mut body, known) = told(Body::full("abc"));
        assert!(body.frame().await.is_some());
        assert_eq!(*known.lock().unwrap(), [Ended::Whole], "nothing is waited for after the last byte");
        while body.frame().await.is_some() {}
        drop(body);
        assert_eq!(*known.lock().unwrap(), [Ended::Whole]);
        let (mut body, known) = told(Body::chained("a".into(), Body::chained("b".into(), Body::empty())));
        assert!(body.frame().await.is_some());
        assert_eq!(*known.lock().unwrap(), []);
        while body.frame().await.is_some() {}
        assert_eq!(*known.lock().unwrap(), [Ended::Whole]);
    }

    #[tokio::test]
    async fn one_that_nobody_reads_to_its_end_is_broken() {
        let (body, known) = told(Body::full("abc"));
        drop(body);
        assert_eq!(*known.lock().unwrap(), [Ended::Broken]);
    }
}
