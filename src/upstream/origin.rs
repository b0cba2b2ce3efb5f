//! One question to an origin: to which endpoint, over which connection, and what is done when no answer comes.
//!
//! What may be sent twice? hyper tells exactly whether a request has left its queue: one that comes back from it was
//! never written and goes out again on a new connection, whatever its method; so does, once, what an origin of HTTP/2 has turned away by
//! ending the connection before it. A safe request without a body
//! is repeated at once if its connection had been idle in the pool and closed without a single byte: that is
//! how an origin's own idle timeout looks from here, and it says nothing about the endpoint. Everything else is a try that failed:
//! `retry` says whether there is another one, at another endpoint if possible, and each has less time than the one before. One that is
//! merely slow is given up early only when all is ready for the next one (`haste`).
//!
//! A try that may have reached an endpoint stays in doubt when a later one is answered: it may still be applied. The answer then
//! carries [`Doubtful`], and whoever asked for a change has to reckon with that (DESIGN rule 11).

use super::checks::begin;
use super::doors::{Condition, Doors, Place};
use super::error::{AskError, AskErrorKind};
use super::exchange::{Failure, Manner, Why, exchange};
use super::haste::Haste;
use super::names::Resolver;
use super::request::{Draft, HostChoice, InterimFn};
use super::retry::{self, Failed};
use super::settings::{Budget, Endpoint, Retry, Settings, Timeouts};
use super::slot::{Around, Slot};
use super::time::{Deadline, Time, TryTime};
use super::tls::TlsClient;
use crate::body::Body;
use crate::clock::{Clock, Now};
use crate::counted::Counted;
use crate::tasks::Tasks;
use crate::trace::Try;
use http::{Method, Request, Response};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The endpoints of one API with their connections. Dropping it closes those that are idle; the tasks that drive
/// connections end with them.
pub struct Origin {
    slots: Vec<Arc<Slot>>,
    doors: Arc<Doors>,
    around: Around,
    budget: Option<Arc<Budget>>,
    retries: retry::Budget,
    retried: AtomicU64,
    /// Retries that the budget didn't allow.
    spared: AtomicU64,
    clock: Clock,
    _checks: Option<DropGuard>,
}

/// How often in a row it may turn out that a connection wasn't there any more.
const REPEATS: usize = 3;

/// An extension of an answer: an earlier try of the same request may have reached an endpoint, and may still be applied there.
#[derive(Clone, Copy, Debug)]
pub struct Doubtful;

/// An extension of an answer to a question that was asked more than once: when it was asked this time. Its age counts from there (RFC 9111
/// §4.2.3); which invalidations it has seen counts from the first time.
#[derive(Clone, Copy, Debug)]
pub struct AskedAgain(pub Now);

impl AskedAgain {
    /// When the question was asked that this answers, the first time being `first`.
    pub fn or<B>(first: Now, answer: &Response<B>) -> Now {
        answer.extensions().get::<AskedAgain>().map_or(first, |again| again.0)
    }
}

/// How an origin is just now, and what it took since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// Its endpoints.
    pub condition: Condition,
    /// Open connections.
    pub connections: usize,
    /// Of these, how many nobody uses.
    pub idle: usize,
    /// Questions that were asked again.
    pub retried: u64,
    /// Those that weren't, since too many were.
    pub spared: u64,
}

impl Origin {
    /// With the settings of who says nothing. Opens nothing yet. Reads the system's roots if they are needed and haven't been read.
    pub fn new(endpoints: Vec<Endpoint>, tls: TlsClient, tasks: Tasks) -> Origin {
        let around = (tls, Resolver::system(), tasks);
        Origin::with("", endpoints, &Settings::default(), around, Clock::system())
    }

    /// The same with settings, a name for the log, and a clock for how long endpoints rest.
    pub fn with(
        api: &str,
        endpoints: Vec<Endpoint>,
        settings: &Settings,
        (tls, resolver, tasks): (TlsClient, Resolver, Tasks),
        clock: Clock,
    ) -> Origin {
        let tls = settings.pool.tls.clone().unwrap_or(tls);
        if endpoints.iter().any(|e| e.tls) {
            tls.load();
        }
        let doors = Doors::new(api, &endpoints, settings, clock.clone());
        let slots = endpoints.into_iter().map(|endpoint| Arc::new(Slot::new(endpoint, &settings.pool)));
        let slots: Vec<Arc<Slot>> = slots.collect();
        let around = Around { tls, resolver, tasks };
        let checks = settings.health.check.as_ref().map(|check| {
            let stop = CancellationToken::new();
            begin(check, &slots, &doors, &around, &stop);
            stop.drop_guard()
        });
        let (budget, retries, retried, spared) = Default::default();
        Origin { slots, doors, around, budget, retries, retried, spared, clock, _checks: checks }
    }

    /// Asks no more than `budget` has room for.
    pub fn within(self, budget: Arc<Budget>) -> Origin {
        Origin { budget: Some(budget), ..self }
    }

    /// How it is.
    pub fn shown(&self) -> Shown {
        let connections = self.slots.iter().map(|slot| slot.pool.connections()).sum();
        let idle = self.slots.iter().map(|slot| slot.pool.idle()).sum();
        let (retried, spared) = (self.retried.load(Relaxed), self.spared.load(Relaxed));
        Shown { condition: self.doors.condition(), connections, idle, retried, spared }
    }

    /// A place for one more request; given back when its answer has ended.
    fn place(&self) -> Result<Option<Counted>, AskError> {
        let Some(budget) = &self.budget else { return Ok(None) };
        budget.take().map(Some).ok_or_else(|| AskError::unsent(AskErrorKind::TooMany))
    }

    /// [Asks](Origin::ask_in), and never again.
    ///
    /// # Errors
    /// See [`AskErrorKind`].
    pub async fn ask(
        &self,
        request: Request<Body>,
        host: &HostChoice,
        timeouts: &Timeouts,
        interim: Option<InterimFn>,
    ) -> Result<Response<Body>, AskError> {
        self.ask_in(request, &Manner { host, timeouts, retry: &Retry::NEVER, safe: false, interim, trace: None }).await
    }

    /// [Asks](Origin::ask_until) for a request that begins now.
    ///
    /// # Errors
    /// See [`AskErrorKind`].
    pub async fn ask_in(&self, request: Request<Body>, manner: &Manner<'_>) -> Result<Response<Body>, AskError> {
        self.ask_until(request, manner, Deadline::new(manner.timeouts)).await
    }

    /// Sends `request` to an endpoint and returns the answer as soon as its head is there.
    ///
    /// The request's URI is path and query, without the endpoint's base; its fields are complete but for Host, and
    /// free of hop-by-hop fields and `Expect`. On a 101 `hyper::upgrade::on` gives the connection.
    ///
    /// # Errors
    /// See [`AskErrorKind`]. What breaks after the head shows in the answer's body: `BodyError::Origin` and
    /// `BodyError::OriginSlow`.
    pub async fn ask_until(
        &self,
        request: Request<Body>,
        manner: &Manner<'_>,
        deadline: Deadline,
    ) -> Result<Response<Body>, AskError> {
        let times = manner.retry.times.unwrap_or(u32::from(self.slots.len() > 1));
        let idempotent = manner.safe || is_idempotent(request.method());
        // Of what isn't idempotent no beginning is needed: it is asked again only if none of it was sent. But HTTP/2 may say that
        // a request was not looked at when some of its body is gone already.
        let keeps = times > 0 && idempotent || self.slots.iter().any(|slot| slot.http2);
        let draft = Draft::new(request, if keeps { manner.retry.body } else { 0 });
        let mut time = Time::new(manner.timeouts, deadline);
        let (mut tried, mut tries, mut doubtful, mut ready) = (0, 0, false, None);
        self.retries.asked(self.clock.mono());
        loop {
            let (last, end) = (tries >= times, time.total);
            let place = match ready {
                Some(place) => place,
                None => self.enter(draft.target(), tried, end).await.map_err(|e| e.maybe_sent(doubtful))?,
            };
            let (index, bit) = place.here.as_ref().map_or((0, 0), |pass| (pass.index, pass.bit()));
            if tries > 0 && tried & bit != 0 {
                time.pause(retry::pause(manner.retry, tries, fastrand::u64(..))).await;
            }
            tried |= bit;
            let (slot, again) = (Arc::clone(&self.slots[index]), (tries > 0).then(|| self.clock.now()));
            let left = time;
            let prepare = || left.is_left().then(|| self.prepare(&draft, manner, tried)).flatten();
            let hasty = manner.retry.try_timeout.filter(|_| !last && idempotent);
            let haste = hasty.map(|after| Haste::new(after, &prepare));
            let (error, heard) =
                match self.attempt(&slot, &draft, manner, &time.of_try(haste.as_ref()), (place, tries)).await {
                    Ok(mut answer) => {
                        again.map(|now| answer.extensions_mut().insert(AskedAgain(now)));
                        if doubtful {
                            answer.extensions_mut().insert(Doubtful);
                        }
                        return Ok(answer);
                    }
                    Err(failed) => failed,
                };
            ready = haste.and_then(Haste::into_place);
            if ready.is_none() {
                let failed = Failed { idempotent, whole: draft.take_back(), heard };
                if last || !retry::may(&error, failed) || !time.is_left() || !self.has_room(manner.retry) {
                    return Err(error.maybe_sent(doubtful));
                }
            }
            doubtful |= error.sent;
            tries += 1;
            self.retried.fetch_add(1, Relaxed);
            tracing::debug!(%error, endpoint = slot.endpoint.authority(), "asked again");
        }
    }

    /// A place for a try.
    async fn enter(&self, target: &str, tried: u64, end: Option<Instant>) -> Result<Place, AskError> {
        let here = Some(self.doors.enter(target, tried, end).await?);
        Ok(Place { _everywhere: self.place()?, here })
    }

    /// All that one more try needs while another one is under way. What can't be given back is taken last, and the body last of all: the
    /// try that reads it can't go on without it.
    fn prepare(&self, draft: &Draft, manner: &Manner<'_>, tried: u64) -> Option<Place> {
        if !draft.is_whole() {
            return None;
        }
        let here = Some(self.doors.enter_at_once(draft.target(), tried)?);
        let place = Place { _everywhere: self.place().ok()?, here };
        (self.has_room(manner.retry) && draft.take_back()).then_some(place)
    }

    /// Takes room for one retry, if there is some.
    fn has_room(&self, retry: &Retry) -> bool {
        let taken = self.retries.take(retry.budget, self.clock.mono());
        if !taken {
            self.spared.fetch_add(1, Relaxed);
        }
        taken
    }

    /// One try, after so many others; what went wrong, and whether anything had come back.
    async fn attempt(
        &self,
        slot: &Arc<Slot>,
        draft: &Draft,
        manner: &Manner<'_>,
        time: &TryTime<'_>,
        (place, tries): (Place, u32),
    ) -> Result<Response<Body>, (AskError, bool)> {
        let Some(trace) = manner.trace else { return self.exchanged(slot, draft, manner, time, (place, None)).await };
        let span = slot.span(trace, draft, tries);
        let outcome = self.exchanged(slot, draft, manner, time, (place, Some(&span))).await;
        span.ended(match &outcome {
            Ok(answer) => Ok((answer.status(), answer.version())),
            Err((error, _)) => Err(error.kind.name()),
        });
        outcome
    }

    /// The same, whoever watches.
    async fn exchanged(
        &self,
        slot: &Arc<Slot>,
        draft: &Draft,
        manner: &Manner<'_>,
        time: &TryTime<'_>,
        (mut place, span): (Place, Option<&Try>),
    ) -> Result<Response<Body>, (AskError, bool)> {
        let repeatable = is_safe(draft.method()) && !draft.has_body();
        slot.look_again(&self.around);
        let (mut pooled, mut repeats, mut since) = (true, 0, None);
        loop {
            let there = if pooled { slot.pool.take(draft.is_upgrade()).await } else { None };
            let (was_there, lease) = match there {
                Some(lease) => (true, Ok(lease)),
                None => (false, slot.lease(draft.is_upgrade(), &self.around, time, since).await),
            };
            let lease = match lease {
                Ok(lease) => lease,
                Err(error) => return Err(Failure { why: Why::Final, error, heard: false, place }.told()),
            };
            let http2 = lease.is_http2();
            let failure = match exchange(slot, lease.at(place), draft, manner, time, span).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let again = match failure.why {
                Why::Unsent => draft.is_whole() && (was_there || http2),
                Why::TurnedAway(_) => draft.is_whole() && since.is_none(),
                Why::Unheard => repeatable && was_there && !http2,
                Why::Final => false,
            };
            if !again || repeats == REPEATS {
                return Err(failure.told());
            }
            if let Why::TurnedAway(at) = failure.why {
                since = Some(at);
            }
            (place, pooled, repeats) = (failure.place, http2 && since.is_none(), repeats + 1);
        }
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || method.as_str() == "QUERY"
}

/// RFC 9110 §9.2.2; QUERY is safe.
fn is_idempotent(method: &Method) -> bool {
    is_safe(method) || matches!(*method, Method::PUT | Method::DELETE | Method::TRACE)
}
