//! One question to an origin.
//!
//! What may be sent twice? hyper tells exactly whether a request has left its queue: one that comes back from it was
//! never written and goes out again on a new connection, whatever its method. Else only a safe request without a body
//! is repeated, once, and only if its connection had been idle in the pool and closed without a single byte: that is
//! how an origin's own idle timeout looks from here. Everything else is the caller's decision (`AskError::sent`).

use super::answer;
use super::balance::Balance;
use super::connect::connect;
use super::error::{AskError, AskErrorKind};
use super::pool::{Lease, Pool};
use super::request::{HostChoice, InterimFn, Outbound, Progress, copy, prepare, relay};
use super::settings::{Budget, Endpoint, Timeouts};
use super::tls::TlsClient;
use crate::alarm::later;
use crate::body::{Body, BodyError};
use crate::counted::Counted;
use crate::tasks::Tasks;
use http::header::UPGRADE;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// The endpoints of one API with their connections. Dropping it closes those that are idle; the tasks that drive
/// connections end with them.
pub struct Origin {
    slots: Vec<Slot>,
    balance: Balance,
    tls: TlsClient,
    tasks: Tasks,
    budget: Option<Arc<Budget>>,
}

struct Slot {
    endpoint: Endpoint,
    authority: Option<HeaderValue>,
    pool: Arc<Pool>,
}

impl Origin {
    /// Opens nothing yet. Reads the system's roots if they are needed and haven't been read.
    pub fn new(endpoints: Vec<Endpoint>, tls: TlsClient, tasks: Tasks) -> Origin {
        if endpoints.iter().any(|e| e.tls) {
            tls.load();
        }
        let balance = Balance::new(endpoints.iter().map(|e| e.weight));
        let slot = |endpoint: Endpoint| Slot {
            authority: HeaderValue::try_from(endpoint.authority()).ok(),
            pool: Arc::default(),
            endpoint,
        };
        Origin { slots: endpoints.into_iter().map(slot).collect(), balance, tls, tasks, budget: None }
    }

    /// Asks no more than `budget` has room for.
    pub fn within(self, budget: Arc<Budget>) -> Origin {
        Origin { budget: Some(budget), ..self }
    }

    /// A place for one more request; given back when its answer has ended.
    fn place(&self) -> Result<Option<Counted>, AskError> {
        let Some(budget) = &self.budget else { return Ok(None) };
        budget.take().map(Some).ok_or_else(|| AskError::unsent(AskErrorKind::TooMany))
    }

    /// Sends `request` to the endpoint whose turn it is and returns the answer as soon as its head is there.
    ///
    /// The request's URI is path and query, without the endpoint's base; its fields are complete but for Host, and
    /// free of hop-by-hop fields and `Expect`. On a 101 `hyper::upgrade::on` gives the connection.
    ///
    /// # Errors
    /// See [`AskErrorKind`]. What breaks after the head shows in the answer's body: [`BodyError::Origin`] and
    /// [`BodyError::OriginSlow`].
    pub async fn ask(
        &self,
        request: Request<Body>,
        host: &HostChoice,
        timeouts: &Timeouts,
        interim: Option<InterimFn>,
    ) -> Result<Response<Body>, AskError> {
        let unusable = |why: &'static str| AskError::unsent(AskErrorKind::Request).because(why);
        let slot = self.slots.get(self.balance.next()).ok_or_else(|| unusable("the API has no endpoint"))?;
        let authority = slot.authority.as_ref().ok_or_else(|| unusable("the endpoint's name is no Host"))?;
        let request = prepare(request, &slot.endpoint.base, authority, host, interim.as_ref())?;
        let total = timeouts.total.map(|t| later(Instant::now(), t));
        let place = self.place()?;
        let Some(lease) = slot.pool.take().await else {
            return self.ask_anew(slot, request, timeouts, total, place).await;
        };
        let lease = lease.at(place);
        let again = copy(&request);
        match exchange(lease, request, timeouts, total).await {
            Ok(answer) => Ok(answer),
            Err(Failure::Unsent(request, _)) => self.ask_anew(slot, *request, timeouts, total, self.place()?).await,
            Err(Failure::Unheard(error)) => match again {
                Some(mut request) => {
                    if let Some(interim) = interim {
                        relay(&mut request, interim);
                    }
                    self.ask_anew(slot, request, timeouts, total, self.place()?).await
                }
                None => Err(error),
            },
            Err(Failure::Final(error)) => Err(error),
        }
    }

    /// Asks over a connection of its own.
    async fn ask_anew(
        &self,
        slot: &Slot,
        request: Request<Outbound>,
        timeouts: &Timeouts,
        total: Option<Instant>,
        place: Option<Counted>,
    ) -> Result<Response<Body>, AskError> {
        let left = total.map(|t| t.saturating_duration_since(Instant::now()));
        let within = left.map_or(timeouts.connect, |left| left.min(timeouts.connect));
        let stream = connect(&slot.endpoint, &self.tls, within).await.map_err(|error| {
            let over = error.kind == AskErrorKind::ConnectTimeout && within < timeouts.connect;
            if over { AskError::unsent(AskErrorKind::TotalTimeout) } else { error }
        })?;
        let lease = slot.pool.open(stream, &self.tasks).await?.at(place);
        exchange(lease, request, timeouts, total).await.map_err(|failure| match failure {
            Failure::Unsent(_, error) | Failure::Unheard(error) | Failure::Final(error) => error,
        })
    }
}

/// An exchange that brought no head.
enum Failure {
    /// The request was never written; here it is.
    Unsent(Box<Request<Outbound>>, AskError),
    /// The connection closed and not a byte had come back.
    Unheard(AskError),
    Final(AskError),
}

async fn exchange(
    mut lease: Lease,
    request: Request<Outbound>,
    timeouts: &Timeouts,
    total: Option<Instant>,
) -> Result<Response<Body>, Failure> {
    let progress = request.body().progress();
    let may_switch = request.headers().contains_key(UPGRADE);
    lease.begin(progress.clone());
    match head(&mut lease, request, progress, timeouts.first_byte, total).await {
        Ok(Ok(answer)) if answer.status() == StatusCode::SWITCHING_PROTOCOLS && !may_switch => {
            let cause = "101 though no upgrade was asked for";
            Err(Failure::Final(AskError::sent(AskErrorKind::BadAnswer).because(cause)))
        }
        Ok(Ok(answer)) => answer::receive(answer, lease, timeouts.between_bytes, total).map_err(Failure::Final),
        Ok(Err(error)) => Err(failure(error, &lease)),
        Err(kind) => Err(Failure::Final(AskError::sent(kind))),
    }
}

type Sent = Result<Response<Incoming>, TrySendError<Request<Outbound>>>;

/// Waits for the answer's head. Dropping hyper's future, as a timeout does, closes the connection.
async fn head(
    lease: &mut Lease,
    request: Request<Outbound>,
    progress: Option<Arc<Progress>>,
    first_byte: Duration,
    total: Option<Instant>,
) -> Result<Sent, AskErrorKind> {
    let begin = Instant::now();
    let mut answer = pin!(lease.sender().try_send_request(request));
    poll_fn(|cx| {
        if let Poll::Ready(sent) = answer.as_mut().poll(cx) {
            return Poll::Ready(Ok(sent));
        }
        loop {
            // While the client is waited for, look again when the origin could be late at the earliest.
            let since = progress.as_ref().map_or(Some(begin), |p| p.origin_since());
            let late = later(since.unwrap_or_else(Instant::now), first_byte);
            let deadline = total.map_or(late, |total| total.min(late));
            ready!(lease.alarm().poll(deadline, cx));
            if total == Some(deadline) {
                return Poll::Ready(Err(AskErrorKind::TotalTimeout));
            }
            let unmoved = progress.as_ref().is_none_or(|p| p.origin_since() == since);
            if since.is_some() && unmoved {
                return Poll::Ready(Err(AskErrorKind::FirstByteTimeout));
            }
        }
    })
    .await
}

fn failure(mut error: TrySendError<Request<Outbound>>, lease: &Lease) -> Failure {
    let message = error.take_message();
    let error = error.into_error();
    if let Some(request) = message {
        return Failure::Unsent(Box::new(request), AskError::unsent(AskErrorKind::Closed).because(error));
    }
    let kind = kind(&error);
    let error = AskError::sent(kind).because(error);
    let unheard = kind == AskErrorKind::Closed && !lease.heard();
    if unheard { Failure::Unheard(error) } else { Failure::Final(error) }
}

fn kind(error: &hyper::Error) -> AskErrorKind {
    let body = error.source().and_then(|s| s.downcast_ref::<BodyError>());
    if let Some(body) = body {
        AskErrorKind::ClientBody(*body)
    } else if error.is_body_write_aborted() {
        // The body ended before its Content-Length.
        AskErrorKind::ClientBody(BodyError::Client)
    } else if error.is_parse() {
        AskErrorKind::BadAnswer
    } else if error.is_user() {
        AskErrorKind::Request
    } else {
        AskErrorKind::Closed
    }
}
