//! One question to the origin: what is sent, what its answer means for the store, and recording it.

use super::candidates::Candidates;
use super::part::{Completed, Wanted, ask_for_rest, completed};
use super::recording::{Ending, Recording, Room};
use super::{Comer, Fills, may_take};
use crate::body::{Body, BodyError};
use crate::clock::Now;
use crate::counted::Counted;
use crate::policy::{Asker, Keep, Routed, Scope, keep, part_key, variant_key};
use crate::reached::Bound;
use crate::rfc9110::range::ContentRange;
use crate::store::{Asked as AskedAt, Charge, Entry, Epoch, Payer, Standing, Tallied, Tally};
use crate::trace::Trace;
use crate::upstream::{AskError, AskedAgain, Deadline, HostChoice, InterimFn, Manner, Origin};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::ext::ReasonPhrase;
use std::sync::Arc;
use std::time::Duration;

/// All that is needed to ask for one key and to judge the answer.
pub struct Question {
    /// The key in the caller's partition, which is the shared one for who has no credentials.
    pub key: Vec<u8>,
    /// The shared key, where it isn't the same.
    pub shared_key: Option<Vec<u8>>,
    /// API, rules and place.
    pub routed: Routed,
    /// The authenticated caller.
    pub user: Option<Arc<str>>,
    /// To whom the answer is charged; `None` where one can't tell.
    pub payer: Option<Payer>,
    /// The request's fields as the client sent them; `Vary` is about these.
    pub fields: HeaderMap,
    /// GET, or QUERY.
    pub method: Method,
    /// The content of a QUERY.
    pub content: Bytes,
    /// What the origin is sent, without conditions of the client's.
    pub sent: HeaderMap,
    /// Path and query at the origin.
    pub uri: Uri,
    /// The Host that the origin sees.
    pub host: HostChoice,
    /// Where to ask.
    pub origin: Arc<Origin>,
    /// Where the API's entries are counted.
    pub tally: Arc<Tally>,
    /// Takes interim answers for the client.
    pub interim: Option<InterimFn>,
    /// The trace of the request that it is asked for, where there are traces.
    pub trace: Option<Arc<Trace>>,
    /// What is stored and may be confirmed, as it was found.
    pub stored: Candidates,
    /// The whole, or what of it; where something is stored it is the whole.
    pub wanted: Wanted,
    /// Whether it is to be asked to its end where the one who asks leaves, having been given something stale meanwhile.
    pub outlasts: bool,
    /// Until when the request that it is asked for has to have its answer, whoever is asked, and however often.
    pub deadline: Deadline,
}

/// An entry on its way to those who asked.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Its content while that grows; `None` when the entry is complete.
    pub live: Option<Arc<Recording>>,
    /// Whether the origin confirmed a stored answer.
    pub revalidated: bool,
    /// The status that the origin sent.
    pub status: StatusCode,
    /// Milliseconds that the origin took to its head.
    pub origin_ms: u64,
    /// Fields for the one who asked alone; they aren't kept, and those who joined don't get them.
    pub personal: Arc<HeaderMap>,
    /// Why it isn't kept. Where there is nothing to read on it is for the one who asked alone; else those who wait get it too.
    pub unkept: Option<&'static str>,
}

impl Shared {
    /// The content for one more reader: `Some(None)` when the entry is complete, `None` when its beginning is forgotten.
    pub(super) fn reader(&self) -> Option<Option<Body>> {
        match &self.live {
            None => Some(None),
            Some(live) => live.reader().map(Some),
        }
    }
}

/// What the origin said.
pub(super) enum Asked {
    /// An entry, the asker's own reading of its content while that grows, and what is left to do.
    Shared(Shared, Option<(Body, Recorder)>),
    Own {
        response: Response<Body>,
        reason: &'static str,
        origin_ms: u64,
    },
    Failed(Arc<AskError>),
}

/// The epoch of the invalidation at the end of a write's answer, once it has ended; `None` where another one came between.
pub type Again = std::sync::OnceLock<Option<Epoch>>;

/// What is left to do for an answer whose head was handed on.
pub(super) struct Recorder {
    entry: Arc<Entry>,
    recording: Ending,
    body: Body,
    shared: bool,
    /// Whether it is to be stored at its end.
    keeps: bool,
    running: Counted,
    /// Of a write's own answer that has to be as old as its end.
    again: Option<Arc<Again>>,
}

/// What an answer needs in order to be recorded, and in order to be kept.
struct Permit {
    running: Counted,
    /// Its place in its asker's account, or in nobody's; `None` when there is none for it.
    charge: Option<Charge>,
}

/// What was asked for while its scopes settle.
pub(super) const SETTLING: &str = "settling";

/// What a namespace's source says that is no object, and not that there is none.
const NO_OBJECT: &str = "no-object";

/// The asker has as many keys as it may (`limits.keys_per_caller`).
const KEYS_PER_CALLER: &str = "keys-per-caller";

/// For how long some have waited for others while the last window's worth of bytes came.
#[derive(Default)]
struct Pace {
    held_up: Duration,
    /// How many bytes there were when it began.
    since: u64,
}

impl Question {
    /// The authenticated caller.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether the answer to somebody else's question answers this one (DESIGN rules 5 and 6; partitions are apart by their keys).
    pub(super) fn may_take(&self, shared: &Shared, comer: &Comer) -> bool {
        let e = &*shared.entry;
        (shared.unkept.is_none() || shared.live.is_some())
            && self.is_answered_by(shared)
            && may_take(&e.held, e.asked_at, e.confirmed_at, e.asked_time, comer)
    }

    /// Whether the answer is of the variant that was asked for (RFC 9111 §4.1).
    pub(super) fn is_answered_by(&self, shared: &Shared) -> bool {
        shared.entry.selection.matches(&self.fields)
    }

    /// The key of those who want the same variant, as far as this answer tells variants apart.
    pub(super) fn variant_key(&self, shared: &Shared) -> Vec<u8> {
        variant_key(&self.key, |key| shared.entry.selection.write_variant(&self.fields, key))
    }

    fn asker(&self) -> Asker<'_> {
        Asker {
            method: &Method::GET,
            fields: &self.fields,
            authenticated: self.user.is_some(),
            partitioned: self.shared_key.is_some(),
            no_store: false,
            part: self.is_for_part(),
        }
    }

    /// The stored part of which it wants the rest.
    fn beginning(&self) -> Option<&Entry> {
        match &self.wanted {
            Wanted::Rest(of) => Some(of),
            Wanted::Whole | Wanted::Part => None,
        }
    }

    /// Whether it asks for what follows a stored part.
    pub(super) fn is_for_rest(&self) -> bool {
        matches!(self.wanted, Wanted::Rest(_))
    }

    /// Whether it asks for an object of the cache.
    pub(super) fn is_of_object(&self) -> bool {
        self.routed.mounted.api.namespace.is_some()
    }

    pub(super) fn key_for(&self, shared: bool) -> &[u8] {
        self.shared_key.as_ref().filter(|_| shared).unwrap_or(&self.key)
    }

    /// Whether it asks for what its client asked for, a part.
    pub(super) fn is_for_part(&self) -> bool {
        matches!(self.wanted, Wanted::Part)
    }

    /// Sends it, conditional on what is stored, or for the rest of it.
    async fn send(
        &self,
        stored: &Candidates,
        rest_of: Option<&Entry>,
        deadline: Deadline,
    ) -> Result<Response<Body>, AskError> {
        let mut request = Request::new(Body::full(self.content.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.sent.clone();
        stored.add_to(request.headers_mut());
        if let Some(of) = rest_of {
            ask_for_rest(request.headers_mut(), of);
        }
        let rules = &self.routed.rules;
        let (timeouts, retry, interim) = (&rules.timeouts, &rules.retry, self.interim.clone());
        self.tally.ask();
        let manner = Manner { host: &self.host, timeouts, retry, safe: true, interim, trace: self.trace.as_ref() };
        self.origin.ask_until(request, &manner, deadline).await
    }
}

impl Fills {
    /// Asks the origin and decides what its answer is good for. `at` was noted before.
    pub(super) async fn ask(&self, question: &Arc<Question>, at: &AskedAt) -> Asked {
        let asked = self.clock.now();
        let mut beginning = question.beginning().filter(|of| of.standing() == Standing::Current);
        let stored = question.stored.current();
        let again = question.deadline.after_another(&question.routed.rules.timeouts);
        let mut answer = question.send(&stored, beginning, question.deadline).await;
        if let Ok(response) = &answer
            && response.status() == StatusCode::NOT_MODIFIED
            && stored.are_offered()
        {
            if let Some(stored) = stored.confirmed_by(response.headers()) {
                let times = [AskedAgain::or(asked, response), self.clock.now()];
                return self.confirmed(question, at, stored, response.headers(), times);
            }
            answer = question.send(&Candidates::None, None, again).await; // it confirms something else; RFC 9111 §4.3.4
        }
        if let Some(of) = beginning {
            (beginning, answer) = match answer.map(|rest| completed(of, rest)) {
                Ok(Completed::Whole(whole)) => (Some(of), Ok(whole)),
                Ok(Completed::Other(other)) => (None, Ok(other)),
                Ok(Completed::Nothing) => (None, question.send(&Candidates::None, None, again).await),
                Err(error) => (None, Err(error)),
            };
        }
        let answered = self.clock.now();
        let origin_ms = answered.mono - asked.mono;
        let mut response = match answer {
            Ok(response) => response,
            Err(error) => return Asked::Failed(Arc::new(error)),
        };
        let times = [AskedAgain::or(asked, &response), answered];
        match self.judge(question, at, response.status(), response.headers(), times) {
            Err(reason) => {
                if let Some(stored) = question.stored.one().filter(|_| says_what_is_there(response.status())) {
                    self.outdate(question, stored, answered);
                }
                Asked::Own { response, reason, origin_ms }
            }
            Ok(mut keep) => {
                let Some(permit) = self.permit(question, response.status(), keep.shared, beginning) else {
                    return Asked::Own { response, reason: "too-many-fills", origin_ms };
                };
                let personal = Arc::new(std::mem::take(&mut keep.personal));
                let (entry, recorder) = self.begin(question, at, &mut response, keep, beginning, permit);
                let unkept = (!recorder.keeps).then_some(KEYS_PER_CALLER);
                let live = Some(Arc::clone(&recorder.recording.0));
                let status = beginning.map_or(response.status(), |_| StatusCode::PARTIAL_CONTENT);
                Asked::Shared(
                    Shared { entry, live, revalidated: false, status, origin_ms, personal, unkept },
                    Some((response.into_body(), recorder)),
                )
            }
        }
    }

    /// Leave to record an answer; `None` when too many are being recorded. What begins with a stored part takes that one's place.
    fn permit(
        &self,
        question: &Question,
        status: StatusCode,
        shared: bool,
        beginning: Option<&Entry>,
    ) -> Option<Permit> {
        let Some(running) = Counted::up_to(&self.running, self.settings.fills) else {
            self.reached.note(Bound::Fills);
            return None;
        };
        let charged = |payer| {
            let key = question.key_for(shared);
            match status {
                StatusCode::PARTIAL_CONTENT => self.store.charge(payer, &part_key(key), &question.fields),
                _ => self.store.charge(payer, key, &question.fields),
            }
        };
        let charge = match (beginning, question.payer) {
            (Some(of), _) => Some(of.tally.charge().clone()),
            (None, Some(payer)) => charged(payer),
            (None, None) => Some(Charge::default()),
        };
        Some(Permit { running, charge })
    }

    /// Begins to record an answer: the entry, and what is left to do. The one who asked reads on from what is recorded.
    fn begin(
        &self,
        question: &Question,
        at: &AskedAt,
        response: &mut Response<Body>,
        keep: Keep,
        beginning: Option<&Entry>,
        permit: Permit,
    ) -> (Arc<Entry>, Recorder) {
        let length = response.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        let (recording, own) = Recording::new(length);
        let body = std::mem::replace(response.body_mut(), own);
        // What is made of a beginning and a caller's end is as narrow as both, and who tells how narrow the end is?
        let shared = keep.shared && (beginning.is_none() || question.shared_key.is_none());
        let reason = response.extensions().get::<ReasonPhrase>().cloned().map(Box::new);
        let Permit { running, charge } = permit;
        let keeps = charge.is_some();
        let tally = Tallied::charged(Arc::clone(&question.tally), charge.unwrap_or_default());
        let mut entry = Entry { reason, tally, ..self.entry(question, at, response.status(), keep) };
        if let Some(of) = beginning {
            entry.held = entry.held.union(&of.held);
            entry.asked_at = entry.asked_at.min(of.asked_at);
            entry.confirmed_at = entry.confirmed_at.min(of.confirmed_at);
            entry.sharing = entry.sharing.min(of.sharing);
            entry.selection = entry.selection.and(&of.selection);
        }
        let entry = Arc::new(entry);
        let recorder = Recorder {
            entry: Arc::clone(&entry),
            recording: Ending(recording),
            body,
            shared,
            keeps,
            running,
            again: None,
        };
        (entry, recorder)
    }

    /// Keeps a write's own answer as that of the GET in `question`, if it states how long it is fresh (RFC 9110 §9.3.3); its
    /// writer reads on from what is recorded. `at` is the write's own invalidation; whoever calls has made sure that no
    /// other one touched these scopes since the write was sent. That can't be known of tags, which the answer names only now. Where all is
    /// invalidated once more at the answer's end, `again` tells of it by then.
    pub fn keep_written(
        self: &Arc<Self>,
        question: Question,
        at: &AskedAt,
        response: &mut Response<Body>,
        times: [Now; 2],
        again: Option<Arc<Again>>,
    ) {
        let judged = self.judge(&question, at, response.status(), response.headers(), times);
        let stated = judged.ok().filter(|keep| keep.facts.source.is_explicit() && keep.tags.is_empty());
        let Some(keep) = stated else { return };
        let permit = self.permit(&question, response.status(), keep.shared, None);
        let Some(permit) = permit.filter(|permit| permit.charge.is_some()) else { return };
        let (_, recorder) = self.begin(&question, at, response, keep, None, permit);
        let recorder = Recorder { again, ..recorder };
        let (fills, question) = (Arc::clone(self), Arc::new(question));
        self.tasks.spawn(async move {
            fills.record(&question, recorder, || ()).await;
        });
    }

    pub(super) fn judge(
        &self,
        question: &Question,
        at: &AskedAt,
        status: StatusCode,
        fields: &HeaderMap,
        times: [Now; 2],
    ) -> Result<Keep, &'static str> {
        let rules = &question.routed.rules;
        if question.is_of_object()
            && !matches!(status.as_u16(), 200 | 203)
            && !rules.ttl_by_status.contains_key(&status.as_u16())
        {
            return Err(NO_OBJECT);
        }
        let mut keep = keep(rules, &question.asker(), status, fields, times[0], times[1])?;
        if rules.ttl_jitter > 0.0 {
            keep.facts = keep.facts.shortened(rules.ttl_jitter * fastrand::f64());
        }
        let length = fields.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.settings.max_object_size) {
            return Err("too-large");
        }
        if status == StatusCode::PARTIAL_CONTENT && !is_sound_part(fields, length) {
            return Err("content-range");
        }
        if at.held.settles(at.time) {
            return Err(SETTLING);
        }
        Ok(keep)
    }

    pub(super) fn entry(&self, question: &Question, at: &AskedAt, status: StatusCode, keep: Keep) -> Entry {
        let id = &*question.routed.mounted.id;
        let tags: Vec<Scope<'_>> = keep.tags.iter().map(|tag| Scope::Tag(id, tag)).collect();
        let held = if tags.is_empty() { at.held.clone() } else { at.held.union(&self.store.scopes.hold(&tags)) };
        Entry {
            status,
            reason: None,
            fields: self.store.names.pack(&keep.fields),
            facts: keep.facts,
            sharing: keep.sharing,
            selection: keep.selection,
            held,
            asked_at: at.at,
            confirmed_at: at.at,
            asked_time: at.time,
            hits: Default::default(),
            content: std::sync::OnceLock::new(),
            tally: Tallied::new(Arc::clone(&question.tally)),
        }
    }

    /// Reads the content to its end and stores the entry, and says whether it has; `close` is called when nobody may join any more.
    pub(super) async fn record(&self, question: &Arc<Question>, recorder: Recorder, close: impl Fn()) -> bool {
        let Recorder { mut entry, recording: ending, mut body, shared, keeps, running, again } = recorder;
        let recording = &*ending.0;
        let (mut keeping, mut pace) = (true, Pace::default());
        let ended = loop {
            let Some(frame) = body.frame().await else { break Ok(()) };
            let written = match frame.map(http_body::Frame::into_data) {
                Err(error) => break Err(error),
                Ok(Ok(piece)) => recording.write(piece),
                Ok(Err(frame)) => {
                    frame.into_trailers().into_iter().for_each(|fields| recording.trailers(fields));
                    continue;
                }
            };
            if keeping && (written > self.settings.max_object_size || self.is_too_old(&entry)) {
                keeping = false;
                close();
                recording.give_up_keeping();
            }
            if !keeping && !self.paced(recording, &mut pace, written).await {
                break Err(BodyError::Lagged);
            }
        };
        let keeps = keeps && keeping && ended.is_ok() && again.is_none_or(|again| is_of(&mut entry, &again));
        let keeps = keeps && !self.is_too_old(&entry) && !entry.held.settles(entry.asked_time);
        if keeps {
            let (body, trailers) = recording.whole();
            if entry.status == StatusCode::PARTIAL_CONTENT {
                self.put_part(question, &entry, body, shared);
            } else {
                self.put_whole(question, &entry, body, trailers, shared);
            }
        }
        close();
        recording.end(ended);
        drop(running);
        keeps
    }

    /// Waits for the readers of an answer that isn't kept, of which `written` bytes have come; false when there are none
    /// left.
    async fn paced(&self, recording: &Recording, pace: &mut Pace, written: u64) -> bool {
        let most = self.settings.max_object_size.min(1 << 20);
        if written.saturating_sub(pace.since) > most {
            *pace = Pace { held_up: Duration::ZERO, since: written };
        }
        loop {
            match recording.room(most) {
                Room::Abandoned => return false,
                Room::Free => return true,
                Room::Full => recording.watch(),
            }
            let began = tokio::time::Instant::now();
            let patience = self.settings.write_stall.saturating_sub(pace.held_up);
            let waited = tokio::time::timeout(patience, recording.wait_for_room(most)).await;
            if waited.is_err() {
                let cut = recording.cut_slowest();
                (0..cut).for_each(|_| self.reached.note(Bound::WriteStall));
            }
            let held_up = waited.is_ok() && recording.holds_up();
            pace.held_up = if held_up { pace.held_up + began.elapsed() } else { Duration::ZERO };
        }
    }

    fn is_too_old(&self, entry: &Entry) -> bool {
        let age = self.clock.mono().saturating_sub(entry.asked_time);
        u128::from(age) > self.settings.max_fill_time.as_millis()
    }
}

/// Makes the entry as old as that invalidation, if there was no other one.
fn is_of(entry: &mut Arc<Entry>, again: &Again) -> bool {
    let (Some(Some(epoch)), Some(entry)) = (again.get(), Arc::get_mut(entry)) else { return false };
    (entry.asked_at, entry.confirmed_at) = (*epoch, *epoch);
    true
}

/// Whether an answer says what is at its URL now, so that an older one isn't it; others speak of the request, or of trouble.
fn says_what_is_there(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection() || matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// Whether a partial answer says which bytes it has, and isn't at odds with its own length.
fn is_sound_part(fields: &HeaderMap, length: Option<u64>) -> bool {
    ContentRange::of(fields).is_some_and(|range| length.is_none_or(|length| length == range.part.len()))
}
