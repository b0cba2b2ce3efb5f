//! `kind = "forward"`: somebody else is asked by a request of our own, and its answer decides.
//!
//! The judge sees the credential fields and what is asked for, the way it will be matched here: method, scheme, Host, canonical path. So its
//! answer is for exactly these, and is remembered for exactly these. What it says about the caller goes to the origin and makes the
//! partition. Only 2xx lets anybody through; no answer, or one that says something else, is never a yes.
//!
//! Identical questions at one time are one question, asked in a task of its own: who leaves strands nobody. To revoke is to forget what is
//! remembered *and* to disown the questions under way, both under one lock, which an answer also takes to be remembered: so none that was
//! asked before the revocation is remembered after it, or joined.

use super::caller::{Caller, Checked, Denied, Found, Presented, Refusal};
use super::remote::{Outside, Remote, Url};
use crate::clock::millis;
use crate::secret::{Digest, digest};
use http::header::{COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use moka::sync::Cache;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Answers that are remembered.
const REMEMBERED: u64 = 100_000;
/// Questions under way; beyond that nobody is asked.
const MOST_ASKED: usize = 1000;
/// Of a judge's content so much is read and thrown away, so that the connection can be used again.
const LONGEST: usize = 64 << 10;

/// Who is asked, and what is made of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// `url`.
    pub url: Url,
    /// `headers`: the fields that are the credential.
    pub headers: Vec<HeaderName>,
    /// `pass_back`: fields of the answer that the origin gets.
    pub pass_back: Vec<HeaderName>,
    /// `user_header`: the field of the answer that names the caller.
    pub user_header: Option<HeaderName>,
    /// `remember`: how long a yes counts.
    pub remember: Duration,
    /// `timeout`.
    pub timeout: Duration,
}

/// A judge of callers, and what it has said.
pub struct Forward {
    question: Question,
    remote: Remote,
    remembered: Cache<Digest, Arc<Allowed>>,
    flights: Mutex<HashMap<Digest, Arc<Flight>>>,
}

/// A yes.
struct Allowed {
    caller: Caller,
    /// Monotonic milliseconds.
    until: u64,
}

/// A question under way.
#[derive(Default)]
struct Flight {
    answer: OnceLock<Result<Caller, Refusal>>,
    ended: CancellationToken,
}

impl Forward {
    /// Nobody was asked yet.
    pub fn new(question: Question) -> Self {
        let remote = Remote::new(question.url.clone(), question.timeout);
        Forward { question, remote, remembered: Cache::new(REMEMBERED), flights: Mutex::default() }
    }

    /// Who is asked, and what is made of the answer.
    pub fn question(&self) -> &Question {
        &self.question
    }

    pub(super) fn join(&self, outside: &Outside) {
        self.remote.join(outside);
    }

    /// Forgets what was said of this caller; it is asked about anew.
    pub(super) fn forget(&self, user: &str) {
        let mut flights = self.flights();
        flights.clear();
        for (name, allowed) in &self.remembered {
            if *allowed.caller.user == *user {
                self.remembered.invalidate(&*name);
            }
        }
    }

    fn flights(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Arc<Flight>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the credential is given twice. Of two lines the judge might look at the one and the origin at the other. Cookies may come in
    /// several (RFC 9113 §8.2.3).
    fn is_twice(&self, request: &Presented<'_>) -> bool {
        let twice = |name: &HeaderName| *name != COOKIE && request.fields.get_all(name).iter().nth(1).is_some();
        self.question.headers.iter().any(twice)
    }

    /// What is known of a caller without asking; `None` where nothing is remembered.
    pub(super) fn recall(&self, request: &Presented<'_>) -> Option<Result<Caller, Denied>> {
        if self.is_twice(request) {
            return Some(Err(Denied::Malformed));
        }
        let allowed = self.remembered.get(&name(&self.credential(request.fields), request))?;
        (request.now.mono < allowed.until).then(|| Ok(allowed.caller.clone()))
    }

    pub(super) fn check(self: &Arc<Self>, request: &Presented<'_>) -> Checked {
        if self.is_twice(request) {
            return Checked::of(Err(Denied::Malformed));
        }
        let credential = self.credential(request.fields);
        let name = name(&credential, request);
        if let Some(allowed) = self.remembered.get(&name)
            && request.now.mono < allowed.until
        {
            return Checked::of(Ok(allowed.caller.clone()));
        }
        let Some(place) = self.remote.outside().and_then(|outside| outside.waiting.take()) else {
            return Checked::of(Err(Denied::NoAnswer));
        };
        match self.fly(name, credential, request) {
            Ok(flight) => Checked::Later(Box::pin(async move {
                let _waits = place;
                flight.wait().await
            })),
            Err(denied) => Checked::of(Err(denied)),
        }
    }

    /// The fields that are the credential, as the judge gets them.
    fn credential(&self, fields: &HeaderMap) -> HeaderMap {
        let mut credential = HeaderMap::new();
        for name in &self.question.headers {
            credential.extend(fields.get_all(name).iter().map(|value| (name.clone(), value.clone())));
        }
        credential
    }

    /// The question under way that is this one, or a new one.
    fn fly(
        self: &Arc<Self>,
        name: Digest,
        credential: HeaderMap,
        request: &Presented<'_>,
    ) -> Result<Arc<Flight>, Denied> {
        let outside = self.remote.outside().ok_or(Denied::NoAnswer)?;
        let mut flights = self.flights();
        if let Some(flight) = flights.get(&name) {
            return Ok(Arc::clone(flight));
        }
        if flights.len() >= MOST_ASKED {
            return Err(Denied::NoAnswer);
        }
        let flight = Arc::new(Flight::default());
        flights.insert(name, Arc::clone(&flight));
        drop(flights);
        let until = request.now.mono.saturating_add(millis(self.question.remember));
        let fields = told(credential.clone(), request);
        let (forward, own) = (Arc::clone(self), Arc::clone(&flight));
        outside.tasks.spawn(async move {
            let landing = Landing { forward: &forward, name, flight: &own };
            let answer = forward.ask(fields, &credential).await;
            landing.remember(&answer, until);
            drop(own.answer.set(answer));
        });
        Ok(flight)
    }

    async fn ask(&self, fields: HeaderMap, credential: &HeaderMap) -> Result<Caller, Refusal> {
        let answer = self.remote.get(fields, LONGEST).await.map_err(|why| {
            tracing::warn!(url = &*self.question.url.shown(), why, "the judge of callers gives no answer");
            Denied::NoAnswer
        })?;
        let refused = |why| {
            let challenges = answer.headers().get_all(WWW_AUTHENTICATE).iter().cloned().collect();
            Err(Refusal { why, challenges })
        };
        match answer.status() {
            status if status.is_success() => Ok(self.caller(answer.headers(), credential).inspect_err(|_| {
                tracing::warn!(url = &*self.question.url.shown(), "the judge of callers names nobody, or two");
            })?),
            StatusCode::UNAUTHORIZED => refused(Denied::Refused),
            StatusCode::FORBIDDEN => refused(Denied::Forbidden),
            // To a page where a person signs in; a client of an API can't.
            status if status.is_redirection() => Err(Denied::Refused.into()),
            status => {
                let status = status.as_u16();
                tracing::warn!(
                    url = &*self.question.url.shown(),
                    status,
                    "the judge of callers says neither yes nor no"
                );
                Err(Denied::NoAnswer.into())
            }
        }
    }

    /// The caller by the answer's fields.
    fn caller(&self, answer: &HeaderMap, credential: &HeaderMap) -> Result<Caller, Denied> {
        let mut lines = self.question.user_header.iter().flat_map(|name| answer.get_all(name));
        let named = match (lines.next(), lines.next()) {
            (None, _) => None,
            (Some(user), None) => Some(text(user).ok_or(Denied::NoAnswer)?),
            (Some(_), Some(_)) => return Err(Denied::NoAnswer),
        };
        let user = named.map_or_else(|| nameless(credential), Into::into);
        let (mut told, mut rights) = (Vec::new(), Vec::new());
        for name in &self.question.pass_back {
            let values: Vec<&HeaderValue> = answer.get_all(name).iter().collect();
            told.extend(values.iter().map(|value| (name.clone(), (*value).clone())));
            if !values.is_empty() {
                // One text for all its lines, a char for each byte: two answers that differ make two texts.
                let lines = values.iter().map(|value| value.as_bytes().iter().map(|b| char::from(*b)).collect());
                rights.push(format!("{name}: {}", lines.collect::<Vec<String>>().join("\n")));
            }
        }
        // A judge that says no more than a name says nothing of what these very credentials may do, and the origin gets them.
        if self.question.pass_back.is_empty() && named.is_some() {
            rights.push(nameless(credential).to_string());
        }
        // Cookies say more than who is calling, and the origin gets them.
        let consumed = self.question.headers.iter().filter(|name| **name != COOKIE).cloned().collect();
        let (rights, told) = (rights.into(), told.into());
        Ok(Caller { user, named: named.is_some(), rights, claims: None, consumed, told })
    }
}

/// Takes a question off the list when it has ended, however it has.
struct Landing<'a> {
    forward: &'a Forward,
    name: Digest,
    flight: &'a Arc<Flight>,
}

impl Landing<'_> {
    /// Keeps a yes, unless it was disowned meanwhile.
    fn remember(&self, answer: &Result<Caller, Refusal>, until: u64) {
        let Ok(caller) = answer else { return };
        let flights = self.forward.flights();
        if self.forward.question.remember > Duration::ZERO && self.is_own(&flights) {
            self.forward.remembered.insert(self.name, Arc::new(Allowed { caller: caller.clone(), until }));
        }
    }

    fn is_own(&self, flights: &HashMap<Digest, Arc<Flight>>) -> bool {
        flights.get(&self.name).is_some_and(|flight| Arc::ptr_eq(flight, self.flight))
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let mut flights = self.forward.flights();
        if self.is_own(&flights) {
            flights.remove(&self.name);
        }
        self.flight.ended.cancel();
    }
}

impl Flight {
    /// A question ends within its timeout, so this does.
    async fn wait(&self) -> Found {
        self.ended.cancelled().await;
        self.answer.get().cloned().unwrap_or_else(|| Err(Denied::NoAnswer.into())).map(Some)
    }
}

/// What the judge is told: the credential, and what is asked for.
fn told(mut fields: HeaderMap, request: &Presented<'_>) -> HeaderMap {
    let target = match request.query {
        Some(query) => format!("{}?{query}", request.path),
        None => request.path.to_owned(),
    };
    let told = [
        ("x-forwarded-method", request.method.as_str()),
        ("x-forwarded-host", request.host),
        ("x-forwarded-proto", request.scheme),
        ("x-forwarded-uri", &target),
    ];
    let field = |(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?));
    for (name, value) in told.into_iter().filter_map(field) {
        fields.insert(name, value);
    }
    fields
}

/// The name of a question: all that its answer may depend on.
fn name(credential: &HeaderMap, request: &Presented<'_>) -> Digest {
    let mut text = written(credential);
    for part in [request.method.as_str(), request.scheme, request.host, request.path, request.query.unwrap_or("\n")] {
        measured(&mut text, part.as_bytes());
    }
    digest(&text)
}

fn text(name: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(name.as_bytes()).ok().filter(|name| !name.is_empty())
}

/// A name for one whom nobody names: it is never shown, and only the same credentials make it. No field holds a NUL.
fn nameless(credential: &HeaderMap) -> Arc<str> {
    let hex: String = digest(&written(credential)).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\0{hex}").into()
}

/// Fields in the order of the file, each with its length, so that no two lists look alike.
fn written(fields: &HeaderMap) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in fields {
        measured(&mut text, name.as_str().as_bytes());
        measured(&mut text, value.as_bytes());
    }
    measured(&mut text, b"");
    text
}

fn measured(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.question.fmt(f)
    }
}

impl PartialEq for Forward {
    fn eq(&self, other: &Self) -> bool {
        self.question == other.question
    }
}

impl Eq for Forward {}
