//! The doors of an API's endpoints: which one a question goes through, whether it has to wait there, and what its end says of
//! the endpoint behind it.
//!
//! [`Doors::enter`] chooses among those that may be asked: never one that its checks have taken out or whose circuit is open; before
//! one that rests or was tried already, or has no place free, one that isn't and hasn't. A [`Pass`] is a question's place. It
//! lives as long as the question, its answer's content included, and hears how that went.

use super::balance::{Candidate, Chooser};
use super::breaker::{Circuit, Let, Turned};
use super::error::{AskError, AskErrorKind, Whose};
use super::health::{Standing, Turn};
use super::settings::{Breaker, Endpoint, Health, Settings};
use crate::alarm::later;
use crate::clock::{Clock, millis};
use crate::counted::Counted;
use http::header::{DATE, RETRY_AFTER};
use http::{Response, StatusCode};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// All endpoints of an API; numbers are those of `upstream`.
pub(super) struct Doors {
    /// Whose they are, for the log.
    api: Box<str>,
    doors: Vec<Door>,
    chooser: Chooser,
    health: Health,
    breaker: Option<Breaker>,
    clock: Clock,
    rested: AtomicU64,
    opened: AtomicU64,
}

struct Door {
    /// For the log.
    name: String,
    weight: u64,
    standing: Standing,
    circuit: Mutex<Circuit>,
    places: Option<Arc<Semaphore>>,
    waiting: Arc<AtomicUsize>,
    load: Arc<AtomicUsize>,
}

/// How an API's endpoints are just now, and what has happened to them since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Those that are asked as usual.
    pub well: usize,
    /// Those that are left alone for a while: for their failures, or because they asked for it.
    pub resting: usize,
    /// Those whose checks have failed.
    pub down: usize,
    /// Those whose circuit breaker is open.
    pub open: usize,
    /// Requests that wait for a place at one (`breaker.requests`).
    pub waiting: usize,
    /// How often one was sent to rest.
    pub rested: u64,
    /// How often a circuit breaker has opened.
    pub opened: u64,
}

impl Doors {
    pub(super) fn new(api: &str, endpoints: &[Endpoint], settings: &Settings, clock: Clock) -> Arc<Doors> {
        let places = settings.breaker.as_ref().and_then(|breaker| breaker.requests);
        let door = |endpoint: &Endpoint| Door {
            name: endpoint.authority(),
            weight: u64::from(endpoint.weight.max(1)),
            standing: Standing::default(),
            circuit: Mutex::default(),
            places: places.map(|places| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)))),
            waiting: Arc::default(),
            load: Arc::default(),
        };
        Arc::new(Doors {
            api: api.into(),
            doors: endpoints.iter().map(door).collect(),
            chooser: Chooser::new(settings.balance, endpoints.len()),
            health: settings.health.clone(),
            breaker: settings.breaker.clone(),
            clock,
            rested: AtomicU64::new(0),
            opened: AtomicU64::new(0),
        })
    }

    /// A place at an endpoint, if possible at none of `tried` (a bit for each); whoever has to wait waits until `end` at most.
    ///
    /// # Errors
    /// When there is none to be asked, or no room.
    pub(super) async fn enter(
        self: &Arc<Self>,
        target: &str,
        tried: u64,
        end: Option<Instant>,
    ) -> Result<Pass, AskError> {
        let mut shut = 0;
        loop {
            let (index, _) = self.choose(target, tried, shut)?;
            let permit = self.place(index, end).await?;
            match self.let_in(index) {
                Some(let_in) => return Ok(self.pass(index, let_in, permit)),
                None => shut |= bit(index), // somebody else was let in for the last trial
            }
        }
    }

    /// The same for one more try while another one is still under way at one of `tried`: `None` where there is no place at once at an
    /// endpoint that is well and wasn't tried. One alone may be many behind one address.
    pub(super) fn enter_at_once(self: &Arc<Self>, target: &str, tried: u64) -> Option<Pass> {
        let (index, rank) = self.choose(target, tried, 0).ok()?;
        if rank > 0 && self.doors.len() > 1 {
            return None;
        }
        let permit = match &self.doors[index].places {
            Some(places) => Some(Arc::clone(places).try_acquire_owned().ok()?),
            None => None,
        };
        self.let_in(index).map(|let_in| self.pass(index, let_in, permit))
    }

    fn pass(self: &Arc<Self>, index: usize, let_in: Option<Let>, permit: Option<OwnedSemaphorePermit>) -> Pass {
        let load = Counted::up_to(&self.doors[index].load, usize::MAX);
        Pass { doors: Arc::clone(self), index, let_in, _load: load, _permit: permit }
    }

    /// An endpoint's number, and how much there is against it.
    fn choose(&self, target: &str, tried: u64, shut: u64) -> Result<(usize, u8), AskError> {
        if let ([only], None, None) = (self.doors.as_slice(), &self.breaker, &self.health.check) {
            debug_assert!(!only.standing.is_down());
            return Ok((0, 0)); // there is nothing to choose and nothing to wait for
        }
        let now = self.clock.mono();
        let (mut best, mut candidates, mut wait) = (u8::MAX, Vec::new(), None::<u64>);
        let mut up = 0;
        for (index, door) in self.doors.iter().enumerate() {
            if door.standing.is_down() {
                continue;
            }
            up += 1;
            if let Some(left) = self.shut_for(door, now).or((shut & bit(index) != 0).then_some(1000)) {
                wait = Some(wait.map_or(left, |wait| wait.min(left)));
                continue;
            }
            let full = door.places.as_ref().is_some_and(|places| places.available_permits() == 0);
            let rank = 4 * u8::from(door.standing.rests(now)) + 2 * u8::from(tried & bit(index) != 0) + u8::from(full);
            if rank < best {
                candidates.clear();
                best = rank;
            }
            if rank == best {
                let weight = door.weight * door.standing.share(&self.health, now);
                candidates.push(Candidate { index, weight, load: door.load.load(Relaxed) });
            }
        }
        let chosen = self.chooser.choose(&candidates, target).map(|index| (index, best));
        chosen.ok_or_else(|| match (up, wait) {
            _ if self.doors.is_empty() => AskError::unsent(AskErrorKind::Request).because("the API has no endpoint"),
            (_, Some(wait)) if up > 0 => AskError::unsent(AskErrorKind::BreakerOpen).wait(Duration::from_millis(wait)),
            _ => {
                let interval = self.health.check.as_ref().map_or(Duration::from_secs(1), |check| check.interval);
                AskError::unsent(AskErrorKind::NoEndpoint).wait(interval)
            }
        })
    }

    /// For how many milliseconds its circuit lets nobody through, if it does not.
    fn shut_for(&self, door: &Door, now: u64) -> Option<u64> {
        let breaker = self.breaker.as_ref()?;
        let circuit = door.circuit.lock().unwrap_or_else(PoisonError::into_inner);
        (!circuit.admits(breaker, now)).then(|| circuit.shut_for(breaker, now))
    }

    /// `Some(None)` where there is no breaker; `None` where it lets nobody through.
    fn let_in(&self, index: usize) -> Option<Option<Let>> {
        let Some(breaker) = &self.breaker else { return Some(None) };
        let mut circuit = self.doors[index].circuit.lock().unwrap_or_else(PoisonError::into_inner);
        circuit.enter(breaker, self.clock.mono()).map(Some)
    }

    async fn place(&self, index: usize, end: Option<Instant>) -> Result<Option<OwnedSemaphorePermit>, AskError> {
        let door = &self.doors[index];
        let (Some(places), Some(breaker)) = (&door.places, &self.breaker) else { return Ok(None) };
        if let Ok(permit) = Arc::clone(places).try_acquire_owned() {
            return Ok(Some(permit));
        }
        let refused = |kind| AskError::unsent(kind).wait(Duration::from_secs(1));
        let Some(_waiting) = Counted::up_to(&door.waiting, breaker.queue) else {
            return Err(refused(AskErrorKind::QueueFull));
        };
        let patience = later(Instant::now(), breaker.queue_time);
        match timeout_at(end.map_or(patience, |end| end.min(patience)), Arc::clone(places).acquire_owned()).await {
            Ok(permit) => Ok(permit.ok()),
            Err(_elapsed) => Err(refused(AskErrorKind::QueueTimeout)),
        }
    }

    /// What a check of an endpoint said.
    pub(super) fn checked(&self, index: usize, result: Result<(), String>) {
        let (Some(door), Some(check)) = (self.doors.get(index), &self.health.check) else { return };
        match door.standing.checked(result.is_ok(), check.rise, check.fall, self.clock.mono()) {
            Some(Turn::Up) => {
                tracing::info!(api = self.api, endpoint = door.name, "its checks are good again: it is asked again")
            }
            Some(Turn::Down) => {
                let reason = result.err().unwrap_or_default();
                tracing::warn!(
                    api = self.api,
                    endpoint = door.name,
                    reason,
                    "its checks have failed: it isn't asked any more"
                );
            }
            None => {}
        }
    }

    /// How they are.
    pub(super) fn condition(&self) -> Condition {
        let now = self.clock.mono();
        let (rested, opened) = (self.rested.load(Relaxed), self.opened.load(Relaxed));
        let mut condition = Condition { rested, opened, ..Condition::default() };
        for door in &self.doors {
            let kind = if door.standing.is_down() {
                &mut condition.down
            } else if self.shut_for(door, now).is_some() {
                &mut condition.open
            } else if door.standing.rests(now) {
                &mut condition.resting
            } else {
                &mut condition.well
            };
            *kind += 1;
            condition.waiting += door.waiting.load(Relaxed);
        }
        condition
    }

    /// Whether one more may rest for its failures.
    fn may_rest_one_more(&self, now: u64) -> bool {
        let resting = self.doors.iter().filter(|door| door.standing.rests(now)).count() + 1;
        resting as f64 <= self.doors.len() as f64 * self.health.max_resting
    }
}

/// Endpoints are at most 64, so that a bit for each fits.
fn bit(index: usize) -> u64 {
    1u64.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0)
}

/// A question's place at an endpoint. Dropping it gives the place back; if nobody [has told](Pass::answered) how it went, nothing
/// is known of that.
pub(super) struct Pass {
    doors: Arc<Doors>,
    /// The endpoint's number.
    pub(super) index: usize,
    let_in: Option<Let>,
    _load: Option<Counted>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Pass {
    /// The endpoint as a bit of those that were tried.
    pub(super) fn bit(&self) -> u64 {
        bit(self.index)
    }

    /// The head of an answer is there.
    pub(super) fn answered<B>(&mut self, answer: &Response<B>) {
        let status = answer.status();
        if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) {
            self.fell_ill(status.as_str());
        } else {
            let Doors { doors, health, clock, .. } = &*self.doors;
            doors[self.index].standing.succeeded(health, clock.mono());
            self.tell(Some(true));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE
            && let Some(rest) = retry_after(answer, &self.doors.clock)
        {
            let Doors { doors, health, clock, .. } = &*self.doors;
            let (door, now) = (&doors[self.index], clock.mono());
            if !door.standing.rests(now) {
                self.doors.rested.fetch_add(1, Relaxed);
                tracing::info!(
                    api = self.doors.api,
                    endpoint = door.name,
                    seconds = rest.as_secs(),
                    "it has asked to be left alone"
                );
            }
            door.standing.asked_for(rest, health, now);
        }
    }

    /// There is no answer.
    pub(super) fn failed(&mut self, error: &AskError) {
        if error.kind.whose() == Whose::Origin {
            self.fell_ill(error.kind.name());
        }
    }

    /// The answer's content broke off.
    pub(super) fn broke(&mut self) {
        self.fell_ill("broke-off");
    }

    fn fell_ill(&mut self, reason: &str) {
        let Doors { doors, health, clock, rested, .. } = &*self.doors;
        let (door, now) = (&doors[self.index], clock.mono());
        if let Some(rest) = door.standing.failed(health, || self.doors.may_rest_one_more(now), now) {
            rested.fetch_add(1, Relaxed);
            tracing::warn!(
                api = self.doors.api,
                endpoint = door.name,
                reason,
                rest_ms = millis(rest),
                "it has failed too often: it rests"
            );
        }
        self.tell(Some(false));
    }

    fn tell(&mut self, good: Option<bool>) {
        let (Some(let_in), Some(breaker)) = (self.let_in.take(), &self.doors.breaker) else { return };
        let door = &self.doors.doors[self.index];
        let mut circuit = door.circuit.lock().unwrap_or_else(PoisonError::into_inner);
        let turned = circuit.result(let_in, good, breaker, self.doors.clock.mono());
        drop(circuit);
        match turned {
            Some(Turned::Opened) => {
                self.doors.opened.fetch_add(1, Relaxed);
                let open_ms = millis(breaker.open);
                tracing::warn!(
                    api = self.doors.api,
                    endpoint = door.name,
                    open_ms,
                    "most of what it was asked has failed: the breaker opens"
                );
            }
            Some(Turned::Closed) => {
                tracing::info!(api = self.doors.api, endpoint = door.name, "it answers again: the breaker closes")
            }
            None => {}
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.tell(None);
    }
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pass({})", self.index)
    }
}

/// What a question takes of what may be under way: everywhere, and at its endpoint.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) _everywhere: Option<Counted>,
    pub(super) here: Option<Pass>,
}

/// What a connection that goes on as a tunnel takes of what may be under way, for as long as this lives; an extension of its 101.
#[derive(Clone, Debug)]
pub struct Held(#[expect(dead_code, reason = "it is only held")] pub(super) Arc<Place>);

/// `Retry-After`: seconds, or a date (RFC 9110 §10.2.3). That is one of the endpoint's clock, as the answer's own `Date` is: it is counted from
/// there, since ours may be wrong.
fn retry_after<B>(answer: &Response<B>, clock: &Clock) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = |text| httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok();
    let theirs = answer.headers().get(DATE).and_then(|value| date(value.to_str().ok()?));
    Some(date(value)?.saturating_sub(theirs.unwrap_or_else(|| Duration::from_millis(clock.now().unix))))
}
