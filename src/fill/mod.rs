//! Asking the origin once, for everybody who waits, and keeping what it says.
//!
//! A [`Question`] goes to the origin in a task of its own, so that a client that leaves strands nobody. Once the head
//! of the answer is there it is decided whether it can be shared: if so, all who wait get the same entry and read the
//! same [`Recording`] while it grows; if not, the one who asked gets the answer itself and the others go to the origin
//! at once, in parallel, as do those who come within the next moments (`recent`).
//!
//! Whatever it waits for and however often it asks, a request has one deadline (`timeouts.total`), counted from its own beginning.

mod ask;
mod candidates;
mod flight;
mod part;
mod put;
mod recent;
mod recording;
mod refresh;
mod unshared;
mod update;

pub use ask::{Again, Question, Shared};
pub use candidates::Candidates;
pub use flight::{Comer, Flight, Flights, Turn, may_take};
pub use part::{Wanted, can_be_completed, span};
pub use put::generated_etag;
pub use recording::{Recording, Room};

use crate::body::Body;
use crate::clock::{Clock, millis};
use crate::counted::Counted;
use crate::policy::{may_use_shared, unshared_for};
use crate::reached::{Bound, Reached};
use crate::store::{Entry, Standing, Store};
use crate::tasks::Tasks;
use crate::trace::Context;
use crate::upstream::AskError;
use http::{Response, StatusCode};
use recent::Recent;
use refresh::Refreshing;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use unshared::Unshared;

/// Who has waited for so many answers in vain asks for himself and waits for nobody any more.
const MOST_WAITS: usize = 3;

/// Bounds on fills; each comes from the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Larger answers are not kept, and not joined past this point.
    pub max_object_size: u64,
    /// An older fill can't be stored.
    pub max_fill_time: Duration,
    /// How long a reader may take nothing while others wait for it.
    pub write_stall: Duration,
    /// Requests that may wait for somebody else's fill.
    pub waiting: usize,
    /// Questions that may be kept while they stream.
    pub fills: usize,
    /// Questions that nobody has to wait for.
    pub background: usize,
}

/// The questions in flight, and what is needed to ask more.
#[derive(Debug)]
pub struct Fills {
    store: Arc<Store>,
    flights: Flights<Place>,
    /// Keys whose next requests go to the origin at once, in parallel.
    unshared: Unshared,
    /// Keys for which the origin was lately asked in the background.
    refreshed: Recent,
    settings: Settings,
    tasks: Tasks,
    clock: Clock,
    waiting: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
    background: Arc<AtomicUsize>,
    reached: Arc<Reached>,
}

/// Where those who joined await the answer.
#[derive(Debug)]
struct Place {
    answer: watch::Sender<Option<Answer>>,
    /// What it is joined by.
    key: Box<[u8]>,
    /// The span of who asks, for those who join.
    asker: Option<Context>,
}

/// What those who joined are told.
#[derive(Clone, Debug)]
enum Answer {
    Shared(Shared),
    /// Everybody for himself.
    Unshared,
    Failed(Arc<AskError>),
}

/// What came of a question for one who asked it.
#[derive(Debug)]
pub enum Got {
    /// An entry that is, or could be, kept.
    Shared {
        /// The entry.
        shared: Shared,
        /// Its content while that grows; `None` when the entry is complete.
        body: Option<Body>,
        /// Whether somebody else had asked.
        joined: bool,
    },
    /// The origin's answer as it is, and why it isn't kept.
    Own {
        /// The answer.
        response: Response<Body>,
        /// Why it isn't kept.
        reason: &'static str,
        /// Milliseconds that the origin took.
        origin_ms: u64,
    },
    /// The origin couldn't be asked, or didn't answer.
    Failed(Arc<AskError>),
    /// Too many wait already (`limits.waiting_requests`).
    Overloaded,
}

impl Fills {
    /// Nothing in flight. Which of its bounds are reached is counted in `reached`.
    pub fn new(store: Arc<Store>, settings: Settings, tasks: Tasks, clock: Clock, reached: Arc<Reached>) -> Arc<Self> {
        Arc::new(Fills {
            store,
            flights: Flights::default(),
            unshared: Unshared::default(),
            refreshed: Recent::default(),
            settings,
            tasks,
            clock,
            waiting: Arc::default(),
            running: Arc::default(),
            background: Arc::default(),
            reached,
        })
    }

    /// Answers that are being recorded.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Requests that wait for somebody else's question.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether answers for this key could lately not be shared, so that its requests go to the origin on their own.
    pub fn is_unshared(&self, key: &[u8], now: u64) -> bool {
        self.unshared.contains(key, now)
    }

    /// Why the last answer for this key wasn't kept, if that is known; `None` where it isn't lately that one wasn't.
    pub fn why_unshared(&self, key: &[u8], now: u64) -> Option<Option<&'static str>> {
        self.unshared.why(key, now)
    }

    /// Whether this comer would wait for somebody else's question for `key`.
    pub fn would_join(&self, key: &[u8], comer: &Comer) -> bool {
        !self.is_unshared(key, comer.began_time) && self.flights.would_join(key, comer)
    }

    /// Gets an answer to `question`: asks, or waits for one who has asked already.
    pub async fn get(self: &Arc<Self>, question: Question, comer: Comer) -> Got {
        let question = Arc::new(question);
        if question.is_for_part() || self.is_unshared(&question.key, comer.began_time) {
            return self.alone(question).await;
        }
        let (mut failed, mut refused, mut variant) = (false, None, None::<Vec<u8>>);
        for _ in 0..MOST_WAITS {
            let key = variant.as_ref().unwrap_or(&question.key);
            let flight = match self.enter(key, &question, &comer, refused.as_ref()) {
                Turn::Lead(flight) => return self.lead(question, flight).await,
                Turn::Join(flight) => flight,
            };
            let Some(counted) = Counted::up_to(&self.waiting, self.settings.waiting) else {
                self.reached.note(Bound::WaitingRequests);
                return Got::Overloaded;
            };
            // Who came later, or for another variant, may have more time than is left here.
            let Some(answer) = question.deadline.within(wait(&flight)).await else {
                return Got::Failed(Arc::new(AskError::late()));
            };
            drop(counted);
            match answer {
                Some(Answer::Shared(shared)) if question.may_take(&shared, &comer) => {
                    if let Some(body) = shared.reader() {
                        if let Some(trace) = &question.trace {
                            trace.joined(flight.answer.asker);
                        }
                        let body = body.map(|body| question.deadline.bound(body));
                        return Got::Shared { shared, body, joined: true };
                    }
                }
                Some(Answer::Shared(shared)) if !question.is_answered_by(&shared) => {
                    // Another variant's answer. Those who want the same one wait for one another from here on; who finds
                    // that `Vary` has changed meanwhile doesn't wait a third time.
                    if variant.is_some() {
                        return self.alone(question).await;
                    }
                    variant = Some(question.variant_key(&shared));
                }
                Some(Answer::Unshared) => return self.alone(question).await,
                Some(Answer::Failed(error)) if failed || error.kind.is_timeout() => return Got::Failed(error),
                // One who failed before a head came doesn't fail the rest: one of them asks again, once.
                Some(Answer::Failed(_)) | None => failed = true,
                Some(Answer::Shared(_)) => {}
            }
            refused = Some(flight);
        }
        self.alone(question).await
    }

    fn enter(
        &self,
        key: &[u8],
        question: &Question,
        comer: &Comer,
        refused: Option<&Arc<Flight<Place>>>,
    ) -> Turn<Place> {
        let ask = || self.store.scopes.ask(&question.routed.standing().known(question.user()), self.clock.mono());
        self.flights.enter(key, comer, refused, ask, || {
            let asker = question.trace.as_ref().and_then(|trace| trace.linkable());
            Place { answer: watch::Sender::new(None), key: key.into(), asker }
        })
    }

    /// Nobody joins `flight` any more, and those who have are told.
    fn tell(&self, flight: &Arc<Flight<Place>>, shared: Shared) {
        self.flights.close(&flight.answer.key, flight);
        flight.answer.answer.send_replace(Some(Answer::Shared(shared)));
    }

    /// The answer of a question that ended between this request's look into the store and its turn to ask. Without this
    /// second look a crowd on a cold key would now and then cost the origin a second request.
    fn came_meanwhile(&self, question: &Question) -> Option<Shared> {
        let now = self.clock.now();
        let is_new = |entry: &Arc<Entry>| {
            entry.selection.matches(&question.fields)
                && !question.stored.one().is_some_and(|stored| Arc::ptr_eq(stored, entry))
                && entry.facts.is_fresh(now)
                && entry.standing() == Standing::Current
        };
        let own = || self.store.find(&question.key)?.iter().find(|entry| is_new(entry)).cloned();
        // Where something was found before, the request may have its own reasons not to be content with it.
        let shared_key = question.shared_key.as_ref().filter(|_| question.stored.one().is_none());
        let rules = &question.routed.rules;
        let shared = || {
            let variants = self.store.find(shared_key?)?;
            variants.iter().find(|entry| may_use_shared(rules, entry.sharing) && is_new(entry)).cloned()
        };
        let entry = own().or_else(shared)?;
        let status = entry.status;
        Some(Shared {
            entry,
            live: None,
            revalidated: false,
            status,
            origin_ms: 0,
            personal: Arc::default(),
            unkept: None,
        })
    }

    /// Asks on everybody's behalf, in a task that goes on when this caller leaves.
    async fn lead(self: &Arc<Self>, question: Arc<Question>, flight: Arc<Flight<Place>>) -> Got {
        if let Some(shared) = self.came_meanwhile(&question) {
            self.tell(&flight, shared.clone());
            return Got::Shared { shared, body: None, joined: true };
        }
        let (sender, receiver) = oneshot::channel();
        self.start(question, flight, sender, None);
        receiver.await.unwrap_or_else(|_| Got::Failed(Arc::new(AskError::lost())))
    }

    fn start(
        self: &Arc<Self>,
        question: Arc<Question>,
        flight: Arc<Flight<Place>>,
        leader: oneshot::Sender<Got>,
        refreshing: Option<Refreshing>,
    ) {
        let fills = Arc::clone(self);
        self.tasks.spawn(async move {
            let guard = Closing { fills: &fills, flight: &flight };
            let (told, got, recorder) = match fills.ask(&question, &flight.asked).await {
                ask::Asked::Shared(shared @ Shared { unkept: Some(reason), .. }, None) => {
                    // What nobody else may take is said at once: they would refuse it one after the other.
                    fills.remember_unshared(&question, shared.entry.status, reason);
                    (Answer::Unshared, Got::Shared { shared, body: None, joined: false }, None)
                }
                ask::Asked::Shared(shared, growing) => {
                    fills.unshared.forget(&question.key);
                    let (body, recorder) = growing.unzip();
                    let others = Shared { personal: Arc::default(), ..shared.clone() };
                    (Answer::Shared(others), Got::Shared { shared, body, joined: false }, recorder)
                }
                ask::Asked::Own { response, reason, origin_ms } => {
                    // Of an object it wasn't kept because one was put meanwhile; the next ones wait for one another as ever.
                    if !(question.is_of_object() && reason == ask::SETTLING) {
                        fills.remember_unshared(&question, response.status(), reason);
                    }
                    (Answer::Unshared, Got::Own { response, reason, origin_ms }, None)
                }
                ask::Asked::Failed(error) => (Answer::Failed(Arc::clone(&error)), Got::Failed(error), None),
            };
            if recorder.is_none() {
                fills.flights.close(&flight.answer.key, &flight);
            }
            let mut kept = recorder.is_none() && matches!(told, Answer::Shared(_));
            flight.answer.answer.send_replace(Some(told));
            drop(leader.send(got)); // a client that left misses nothing
            if let Some(recorder) = recorder {
                kept = fills.record(&question, recorder, || fills.flights.close(&flight.answer.key, &flight)).await;
            }
            if let Some(refreshing) = refreshing.filter(|_| kept) {
                fills.refreshed.forget(&refreshing.key);
            }
            drop(guard);
        });
    }

    fn remember_unshared(&self, question: &Question, status: StatusCode, why: &str) {
        self.unshared.remember(&question.key, why, self.clock.mono(), millis(unshared_for(status)));
    }

    /// Asks for one caller only; what can be kept is kept all the same. Where the caller may leave for something stale it goes on without
    /// it, if there is a place for that.
    async fn alone(self: &Arc<Self>, question: Arc<Question>) -> Got {
        let Some(place) = question.outlasts.then(|| self.place_in_background()).flatten() else {
            return self.ask_alone(question).await;
        };
        let (fills, (sender, receiver)) = (Arc::clone(self), oneshot::channel());
        self.tasks.spawn(async move {
            drop(sender.send(fills.ask_alone(question).await));
            drop(place);
        });
        receiver.await.unwrap_or_else(|_| Got::Failed(Arc::new(AskError::lost())))
    }

    async fn ask_alone(self: &Arc<Self>, question: Arc<Question>) -> Got {
        let asked = self.store.scopes.ask(&question.routed.standing().known(question.user()), self.clock.mono());
        // What an application has put since this request looked is no older than the source, and mustn't be taken for it.
        if question.is_of_object()
            && let Some(shared) = self.came_meanwhile(&question)
        {
            return Got::Shared { shared, body: None, joined: true };
        }
        match self.ask(&question, &asked).await {
            ask::Asked::Own { response, reason, origin_ms } => Got::Own { response, reason, origin_ms },
            ask::Asked::Failed(error) => Got::Failed(error),
            ask::Asked::Shared(shared, growing) => {
                if shared.unkept.is_none() && !question.is_for_part() {
                    self.unshared.forget(&question.key);
                }
                let (body, recorder) = growing.unzip();
                if let Some(recorder) = recorder {
                    let fills = Arc::clone(self);
                    self.tasks.spawn(async move {
                        fills.record(&question, recorder, || ()).await;
                    });
                }
                Got::Shared { shared, body, joined: false }
            }
        }
    }
}

/// Waits for the answer; `None` when the one who asked is gone without one.
async fn wait(flight: &Flight<Place>) -> Option<Answer> {
    let mut answer = flight.answer.answer.subscribe();
    let found = answer.wait_for(Option::is_some).await.ok()?;
    found.clone()
}

/// Takes a question out of the table whatever becomes of its task, and tells those who wait.
struct Closing<'a> {
    fills: &'a Fills,
    flight: &'a Arc<Flight<Place>>,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.fills.flights.close(&self.flight.answer.key, self.flight);
        self.flight.answer.answer.send_if_modified(|answer| {
            let unanswered = answer.is_none();
            if unanswered {
                *answer = Some(Answer::Failed(Arc::new(AskError::lost())));
            }
            unanswered
        });
    }
}
