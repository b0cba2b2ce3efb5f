//! A write's way: forward, invalidate, and only then let the client know.
//!
//! It runs in a task of its own: a client that leaves can't take it back, so it is carried to its end and what it
//! touched is invalidated whoever still listens. When nobody can tell whether the origin has applied it (a timeout, a
//! reset, 502, 503, 504, a client that left in the middle of the body), what it would have touched is invalidated at
//! once, settles for as long as it might still be applied, and is invalidated once more at the end. And so it is before the client has the last
//! of an answer that wasn't complete with its head (`acknowledged`).
//!
//! A write may end when its configuration isn't in force any more; `succession` has what follows from that.

use super::acknowledged::{Ended, Sent, watched};
use super::admit::Admitted;
use super::{Gateway, Served};
use crate::body::Body;
use crate::fill::{Again, Question};
use crate::policy::{Apis, Mounted, Named, Place, Routed, Rules, Scope, canonical_path, named};
use crate::rfc9111::{self, RequestDirectives};
use crate::store::{Asked, Epoch, Held, Payer, Severity};
use crate::trace::Trace;
use crate::upstream::{AskError, AskedAgain, Doubtful, HostChoice, InterimFn, Manner};
use http::header::{CONTENT_LOCATION, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use std::sync::Arc;
use std::time::Duration;

/// A write on its way.
pub(super) struct Write {
    pub(super) routed: Routed,
    pub(super) method: Method,
    /// Scheme and authority as the client sees them, for `Location` of the same origin.
    pub(super) host: String,
    pub(super) request: Request<Body>,
    pub(super) to: HostChoice,
    /// The GET of the same target, where the answer to this write may be its answer.
    pub(super) reading: Option<Admitted>,
    /// To whom that answer is charged.
    pub(super) payer: Option<Payer>,
    pub(super) interim: Option<InterimFn>,
    pub(super) trace: Option<Arc<Trace>>,
}

/// What came of a write.
pub(super) struct Written {
    pub(super) answer: Result<Response<Body>, AskError>,
    pub(super) invalidated: bool,
    pub(super) origin_ms: u64,
}

/// What is to be done when the answer to a write has ended.
struct Watch {
    gateway: Arc<Gateway>,
    held: Held,
    /// The cells of the GET whose answer it may be, and how often they had been invalidated with the head.
    own: Option<(u64, Held)>,
    again: Arc<Again>,
    sent: Sent,
    /// `write_settle`, and the write's timeout.
    settles: (Duration, Duration),
}

impl Watch {
    /// Watches the end of this answer; what will be told of it.
    fn over(self, response: &mut Response<Body>) -> Arc<Again> {
        let again = Arc::clone(&self.again);
        let body = std::mem::replace(response.body_mut(), Body::empty());
        *response.body_mut() = watched(body, move |ended| self.ended(ended));
        again
    }

    fn ended(self, ended: Ended) {
        let Watch { gateway, held, own, again, sent, settles: (settle, patience) } = self;
        let known = ended == Ended::Whole && sent.wholly();
        let settle = if known { settle } else { settle.max(patience) };
        let until = gateway.clock.mono() + crate::clock::millis(settle);
        if !settle.is_zero() {
            gateway.settings.succession.settle(until);
        }
        let held = held.union(&gateway.hold_younger());
        let undisturbed = own.filter(|(touched, own)| own.touched() == *touched);
        let epoch = gateway.invalidate(&held, settle, until);
        let alone = undisturbed.is_some_and(|(touched, own)| own.touched() == touched + own.touched_by(&held));
        let _ = again.set(alone.then_some(epoch)); // nobody else sets it
    }
}

/// What the answer to a write names beside the write's own target.
#[derive(Debug, Default)]
struct Told {
    locations: Vec<Location>,
    groups: Vec<String>,
}

/// What an answer means for what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Applied,
    Refused,
    Unknown,
}

impl Gateway {
    /// Carries a write to its end. Everything it invalidates is invalidated when this returns.
    pub(super) async fn write(self: &Arc<Self>, served: &Served, write: Write) -> Written {
        let own = write.reading.map(|reading| {
            let held = self.store.scopes.hold(&reading.routed.standing().known(reading.user.as_deref()));
            (held.touched(), held, reading)
        });
        let began = self.clock.now();
        let rules = Arc::clone(&write.routed.rules);
        let (host, timeouts, retry) = (&write.to, &rules.timeouts, &rules.retry);
        let manner = Manner { host, timeouts, retry, safe: false, interim: write.interim, trace: write.trace.as_ref() };
        let (parts, body) = write.request.into_parts();
        let (body, sent) = Sent::of(body);
        let mut answer = served.origin.ask_in(Request::from_parts(parts, body), &manner).await;
        let answered = self.clock.now();
        let origin_ms = answered.mono - began.mono;
        let doubtful = match &answer {
            Ok(response) => response.extensions().get::<Doubtful>().is_some(),
            Err(error) => error.doubtful,
        };
        let meaning = match &answer {
            Ok(response) if doubtful && meaning(response, &rules.login) == Meaning::Refused => Meaning::Unknown,
            Ok(response) => meaning(response, &rules.login),
            Err(error) if error.sent => Meaning::Unknown,
            Err(_) => Meaning::Refused,
        };
        if meaning != Meaning::Refused {
            let told = answer.as_ref().map(|r| self.told(&write.routed, &write.host, r)).unwrap_or_default();
            let settle = settle(meaning, doubtful, sent.wholly(), &rules, origin_ms);
            // Announced before it is looked which APIs are younger.
            let until = self.clock.mono() + crate::clock::millis(settle);
            if !settle.is_zero() {
                self.settings.succession.settle(until);
            }
            let held = self.hold_reached(&write.routed, &write.method, &told);
            let epoch = self.invalidate(&held, settle, until);
            let again = match &mut answer {
                Ok(response) if meaning == Meaning::Applied && !response.body().is_end_stream() => {
                    let own = own.as_ref().map(|(touched, own, _)| (touched + own.touched_by(&held), own.clone()));
                    let (gateway, held) = (Arc::clone(self), held.clone());
                    let settles = (rules.write_settle, rules.timeouts.first_byte);
                    Some(Watch { gateway, held, own, again: Arc::default(), sent, settles }.over(response))
                }
                Ok(_) | Err(_) => None,
            };
            if let (Ok(response), Some((touched, own, reading)), false) = (&mut answer, own, doubtful)
                && own.touched() == touched + own.touched_by(&held)
                && let Some(question) = self.reads_same(reading, write.payer, &write.host, response)
            {
                // It is as old as its own invalidation, since there was no other one.
                let at = Asked { held: own, at: epoch, time: began.mono };
                let asked = AskedAgain::or(began, response);
                self.fills.keep_written(question, &at, response, [asked, answered], again);
            }
        }
        Written { answer, invalidated: meaning != Meaning::Refused, origin_ms }
    }

    /// The question to which a write's answer says to be the answer (RFC 9110 §9.3.3).
    fn reads_same(
        &self,
        reading: Admitted,
        payer: Option<Payer>,
        host: &str,
        response: &Response<Body>,
    ) -> Option<Question> {
        let fields = response.headers();
        let wishes = || RequestDirectives::parse(&reading.fields);
        let forbidden = || reading.routed.rules.client_directives && wishes().no_store;
        if response.status() != StatusCode::OK || !fields.contains_key(CONTENT_LOCATION) || forbidden() {
            return None;
        }
        let public = reading.uri.path_and_query().map_or("/", |target| target.as_str());
        let query = reading.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let sent = format!("{}{query}", reading.routed.sent());
        let endpoints = &reading.routed.mounted.api.upstream;
        let same = ["http", "https"].into_iter().any(|s| rfc9111::is_of_target(s, host, public, fields))
            || endpoints.iter().any(|e| rfc9111::is_of_target(scheme(e.tls), &e.authority(), &sent, fields));
        same.then_some(())?;
        self.answered_by_write(reading, payer)
    }

    /// What an answer names.
    fn told(&self, routed: &Routed, host: &str, response: &Response<Body>) -> Told {
        Told {
            locations: locations(&self.apis, routed, host, response),
            groups: rfc9111::groups(response.headers(), &rfc9111::CACHE_GROUP_INVALIDATION),
        }
    }

    /// The cells of all that a write of `method` here touches.
    fn hold_reached(&self, routed: &Routed, method: &Method, told: &Told) -> Held {
        let mounted = &routed.mounted;
        let standing = routed.standing();
        let named = named(&mounted.api.purges, method, routed.relative());
        let paths: Vec<Place> = named.iter().filter_map(|n| named_place(mounted, n)).collect();
        let mut scopes = standing.reached(routed.rules.invalidate);
        scopes.extend(paths.iter().map(|place| place.path(&mounted.origin)));
        scopes.extend(told.locations.iter().map(|(origin, place)| place.path(origin)));
        // Groups are an origin's (RFC 9875 §2.1), whichever API led to it.
        let sharing = self.apis.iter().filter(|api| api.origin == mounted.origin);
        scopes.extend(sharing.flat_map(|api| told.groups.iter().map(|group| Scope::Tag(&api.id, group))));
        scopes.extend(named.iter().filter_map(|n| match n {
            Named::Path(_) => None,
            Named::Pattern(text, filled) => Some(Scope::Pattern(&mounted.id, text, filled.clone())),
            Named::Tag(tag) => Some(Scope::Tag(&mounted.id, tag)),
        }));
        self.store.scopes.hold(&scopes).union(&self.hold_younger())
    }

    /// The cells of the APIs that have come into force since.
    fn hold_younger(&self) -> Held {
        let younger = self.settings.succession.younger_than(&self.apis);
        let younger: Vec<Scope<'_>> = younger.iter().map(|api| Scope::Api(&api.id)).collect();
        self.store.scopes.hold(&younger)
    }

    /// `until` is when what settles for `settle` has settled.
    fn invalidate(&self, held: &Held, settle: Duration, until: u64) -> Epoch {
        if settle.is_zero() {
            return self.store.scopes.raise(held, Severity::Hard);
        }
        // Settling is announced before the epoch is taken: an answer asked for after it then knows that it can't be kept.
        held.settle(until);
        let epoch = self.store.scopes.raise(held, Severity::Hard);
        let (store, held) = (Arc::clone(&self.store), held.clone());
        let (succession, apis) = (Arc::clone(&self.settings.succession), self.apis.clone());
        self.background.spawn(async move {
            tokio::time::sleep(settle).await;
            let younger = succession.younger_than(&apis);
            let younger: Vec<Scope<'_>> = younger.iter().map(|api| Scope::Api(&api.id)).collect();
            store.scopes.raise(&held.union(&store.scopes.hold(&younger)), Severity::Hard);
        });
        epoch
    }
}

/// For how long what a write touches isn't kept: at least `write_settle`, and as long as it may still be applied.
fn settle(meaning: Meaning, doubtful: bool, sent_wholly: bool, rules: &Rules, origin_ms: u64) -> Duration {
    let patience = rules.timeouts.first_byte;
    rules.write_settle.max(match meaning {
        // A try that was given up early has as much time to be applied as one that wasn't.
        _ if doubtful => patience * 2 - Duration::from_millis(origin_ms).min(patience),
        Meaning::Unknown => patience,
        // It says that it has applied what it can't have read.
        Meaning::Applied if !sent_wholly => patience,
        Meaning::Applied | Meaning::Refused => Duration::ZERO,
    })
}

fn named_place(mounted: &Arc<Mounted>, named: &Named<'_>) -> Option<Place> {
    match named {
        Named::Path(relative) => Some(read_at(mounted, &format!("{}{relative}", mounted.api.path))),
        Named::Pattern(..) | Named::Tag(_) => None,
    }
}

/// The place of a public path of this API as a read of it sees it: routes may differ in `strip_prefix`.
fn read_at(mounted: &Arc<Mounted>, path: &str) -> Place {
    mounted.route(&Method::GET, path.to_owned()).place()
}

fn meaning(response: &Response<Body>, login: &[String]) -> Meaning {
    match response.status() {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Meaning::Unknown,
        status if status.is_redirection() && leads_to_login(response, login) => Meaning::Refused,
        status if rfc9111::invalidates(status) => Meaning::Applied,
        _ => Meaning::Refused,
    }
}

/// A 3xx to a login page says that nothing was done.
fn leads_to_login(response: &Response<Body>, login: &[String]) -> bool {
    let Some(location) = response.headers().get(LOCATION).and_then(|v| v.to_str().ok()) else { return false };
    let path = location.split_once("://").map_or(location, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    login.iter().any(|page| page == path)
}

fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

/// A place and the name of its origin.
type Location = (Arc<str>, Place);

/// What `Location` and `Content-Location` of the same origin name. They may be written as the client sees paths, which
/// may lead to another API, or as the origin does; both are meant then.
fn locations(apis: &Apis, routed: &Routed, host: &str, response: &Response<Body>) -> Vec<Location> {
    let mounted = &routed.mounted;
    let mut found: Vec<Location> = Vec::new();
    let endpoints = mounted.api.upstream.iter().map(|e| (scheme(e.tls), e.authority()));
    let public = [true, false].map(|tls| (scheme(tls), host.to_owned()));
    for (scheme, authority) in endpoints.chain(public) {
        for named in rfc9111::targets(scheme, &authority, &routed.sent(), response.headers()) {
            let Ok(path) = canonical_path(named.split(['?', '#']).next().unwrap_or_default()) else { continue };
            let own = [Place::new(&path), mounted.place(&path)].map(|place| (Arc::clone(&mounted.origin), place));
            let others = apis.find(host, &path).into_iter().chain(mounted.covers(&path).then_some(mounted));
            let public = others.map(|api| (Arc::clone(&api.origin), read_at(api, &path)));
            for location in own.into_iter().chain(public) {
                if !found.contains(&location) {
                    found.push(location);
                }
            }
        }
    }
    found
}
