//! One request over one connection, as far as the head of its answer.

use super::answer;
use super::doors::Place;
use super::error::{AskError, AskErrorKind};
use super::pool::{Lease, Sent};
use super::request::{Draft, HostChoice, InterimFn, Outbound, Progress};
use super::settings::{Retry, Timeouts};
use super::slot::Slot;
use super::time::TryTime;
use crate::alarm::later;
use crate::body::{Body, BodyError};
use crate::trace::{Trace, Try};
use http::{Request, Response, StatusCode};
use hyper::client::conn::TrySendError;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use tokio::time::Instant;

/// How a question is asked.
pub struct Manner<'a> {
    /// What the origin sees in Host.
    pub host: &'a HostChoice,
    /// How long it may take.
    pub timeouts: &'a Timeouts,
    /// When it is asked again.
    pub retry: &'a Retry,
    /// Whether asking twice is as good as asking once, whatever the method says.
    pub safe: bool,
    /// Takes interim answers.
    pub interim: Option<InterimFn>,
    /// The trace below which its tries lie, where there are traces.
    pub trace: Option<&'a Arc<Trace>>,
}

/// An exchange that brought no head.
pub(super) struct Failure {
    pub(super) why: Why,
    pub(super) error: AskError,
    pub(super) heard: bool,
    pub(super) place: Place,
}

#[derive(Clone, Copy)]
pub(super) enum Why {
    /// The request was never written.
    Unsent,
    /// The origin ended the connection (GOAWAY) before this request on it. Since when nobody uses it.
    TurnedAway(Instant),
    /// The connection closed and not a byte had come back.
    Unheard,
    Final,
}

impl Failure {
    /// Tells the endpoint's door.
    pub(super) fn told(mut self) -> (AskError, bool) {
        if let Some(pass) = &mut self.place.here {
            pass.failed(&self.error);
        }
        (self.error, self.heard)
    }
}

/// Sends it, and waits for the head.
pub(super) async fn exchange(
    slot: &Slot,
    mut lease: Lease,
    draft: &Draft,
    manner: &Manner<'_>,
    time: &TryTime<'_>,
    span: Option<&Try>,
) -> Result<Response<Body>, Failure> {
    let mut request = match slot.request(draft, manner.host, lease.is_http2(), manner.interim.as_ref()) {
        Ok(request) => request,
        Err(error) => return Err(Failure { why: Why::Final, error, heard: false, place: lease.into_place() }),
    };
    if let Some(span) = span {
        span.mark(request.headers_mut());
    }
    let progress = request.body().progress();
    lease.begin(progress.clone());
    match head(&mut lease, request, progress, time).await {
        Ok(Ok(answer)) if answer.status() == StatusCode::SWITCHING_PROTOCOLS && !draft.is_upgrade() => {
            let cause = "101 though no upgrade was asked for";
            let error = AskError::sent(AskErrorKind::BadAnswer).because(cause);
            Err(Failure { why: Why::Final, error, heard: true, place: lease.into_place() })
        }
        Ok(Ok(answer)) => {
            if let Some(pass) = &mut lease.place().here {
                pass.answered(&answer);
            }
            let received = answer::receive(answer, lease, time.between_bytes, time.total);
            received.map_err(|error| Failure { why: Why::Final, error, heard: true, place: Place::default() })
        }
        Ok(Err(error)) => {
            let heard = lease.heard();
            let (why, error) = failure(error, &lease);
            Err(Failure { why, error, heard, place: lease.into_place() })
        }
        Err(kind) => {
            lease.waited_in_vain();
            let heard = lease.heard();
            Err(Failure { why: Why::Final, error: AskError::sent(kind), heard, place: lease.into_place() })
        }
    }
}

/// Waits for the answer's head, or until the connection is gone. Dropping hyper's future, as a timeout does, closes the connection.
pub(super) async fn head(
    lease: &mut Lease,
    request: Request<Outbound>,
    progress: Option<Arc<Progress>>,
    time: &TryTime<'_>,
) -> Result<Sent, AskErrorKind> {
    let (begin, mut haste) = (Instant::now(), time.haste);
    let mut answer = lease.send(request);
    let (mut gone, mut is_gone) = (pin!(lease.gone()), false);
    poll_fn(|cx| {
        if let Poll::Ready(sent) = answer.as_mut().poll(cx) {
            return Poll::Ready(Ok(sent));
        }
        if !is_gone && gone.as_mut().poll(cx).is_ready() {
            is_gone = true;
            lease.let_go();
            if let Poll::Ready(sent) = answer.as_mut().poll(cx) {
                return Poll::Ready(Ok(sent));
            }
        }
        loop {
            // While the client is waited for, look again when the origin could be late at the earliest.
            let since = progress.as_ref().map_or(Some(begin), |p| p.origin_since());
            let patience = haste.map_or(time.first_byte, |haste| haste.after.min(time.first_byte));
            let late = later(since.unwrap_or_else(Instant::now), patience);
            let deadline = time.total.map_or(late, |total| total.min(late));
            ready!(lease.alarm().poll(deadline, cx));
            if time.total == Some(deadline) {
                return Poll::Ready(Err(AskErrorKind::TotalTimeout));
            }
            let unmoved = progress.as_ref().is_none_or(|p| p.origin_since() == since);
            if since.is_some() && unmoved {
                if let Some(haste) = haste.take()
                    && (lease.heard() || !haste.leaves())
                {
                    continue; // there is nothing better than to wait on
                }
                return Poll::Ready(Err(AskErrorKind::FirstByteTimeout));
            }
        }
    })
    .await
}

fn failure(mut error: TrySendError<Request<Outbound>>, lease: &Lease) -> (Why, AskError) {
    let unsent = error.take_message().is_some();
    let error = error.into_error();
    let why = if unsent { Some(Why::Unsent) } else { unprocessed(&error, lease) };
    if let Some(why) = why {
        return (why, AskError::unsent(AskErrorKind::Closed).because(error));
    }
    let kind = kind(&error, lease.is_http2());
    let why = if kind == AskErrorKind::Closed && !lease.heard() { Why::Unheard } else { Why::Final };
    (why, AskError::sent(kind).because(error))
}

/// HTTP/2 says when a request was not looked at (RFC 9113 §8.7): a stream that was refused, and one above the last that GOAWAY names. h2
/// gives GOAWAY as the error of these only; a stream at or below breaks with the connection, and may have done something.
/// One that ends the connection is no failure; one that refuses a request is, and the next try is one more that it sees.
fn unprocessed(error: &hyper::Error, lease: &Lease) -> Option<Why> {
    let error = error.source()?.downcast_ref::<h2::Error>().filter(|error| error.is_remote())?;
    if error.is_go_away() {
        return Some(Why::TurnedAway(lease.leave()));
    }
    (error.reason() == Some(h2::Reason::REFUSED_STREAM)).then_some(Why::Final)
}

fn kind(error: &hyper::Error, http2: bool) -> AskErrorKind {
    let body = error.source().and_then(|s| s.downcast_ref::<BodyError>());
    if let Some(body) = body {
        AskErrorKind::ClientBody(*body)
    } else if error.is_body_write_aborted() {
        // The body ended before its Content-Length.
        AskErrorKind::ClientBody(BodyError::Client)
    } else if error.is_parse() {
        AskErrorKind::BadAnswer
    } else if error.is_user() && !http2 {
        // Of HTTP/2 that is a connection whose task ended with a request in its hands.
        AskErrorKind::Request
    } else {
        AskErrorKind::Closed
    }
}
