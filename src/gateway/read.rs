//! A read's way: what is stored, else the origin, and what to do when it fails.

use super::Gateway;
use super::admit::Admitted;
use super::asked::Asked;
use super::compress;
use super::deliver;
use super::fallback::Fallback;
use super::find::{Found, FoundPart, Lookup, find, find_part};
use super::forward;
use super::outcome::{Answered, Kind, Outcome, Step};
use super::problem::Problem;
use super::status::{Fwd, Status};
use crate::body::Body;
use crate::client::Client;
use crate::clock::Now;
use crate::encode::Encoders;
use crate::fill::{Candidates, Comer, Question, Shared, Wanted};
use crate::policy::{Names, canonical_query};
use crate::rfc9110::conditional;
use crate::rfc9111::{RequestDirectives, strip_conditionals};
use crate::store::{Entry, Payer, Rare, Standing};
use crate::upstream::{AskError, Deadline, InterimFn, Manner};
use bytes::Bytes;
use http::header::{COOKIE, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use std::sync::Arc;

/// Why a request goes past the cache: what `Cache-Status` says, and the reason behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past(Fwd, Option<&'static str>);

impl Past {
    pub(super) fn of(fwd: Fwd, why: Option<&'static str>) -> Past {
        Past(fwd, why)
    }

    pub(super) fn fwd(self) -> Fwd {
        self.0
    }

    pub(super) fn why(self) -> Option<&'static str> {
        self.1
    }

    pub(super) fn status(self) -> Status {
        Status { fwd: Some(self.0), detail: self.1, ..Status::default() }
    }
}

/// A method that isn't answered from the cache.
pub(super) const METHOD: Past = Past(Fwd::Method, None);

/// The content of a QUERY is longer than a key may be.
pub(super) const TOO_LONG: Past = Past(Fwd::Bypass, Some("query-too-long"));

/// A path of more segments than answers are stored for.
const TOO_DEEP: Past = Past(Fwd::Bypass, Some("path-too-deep"));

/// One read on its way: the request and what was looked up for it.
pub(super) struct Reading<'a> {
    pub(super) admitted: &'a Admitted,
    pub(super) client: &'a Client,
    pub(super) lookup: &'a Lookup,
    pub(super) encoders: &'a Encoders,
}

/// What a read does that has to go further than the store.
pub(super) enum Asking {
    /// It needn't: a stored part has what it wants.
    Within(Arc<Entry>),
    /// It mayn't.
    Refused(Problem),
    /// It goes past the store; whether its answer may say something of what is stored.
    Past { past: Past, heard: bool, fallback: Fallback },
    /// It asks for what will be kept, if that may be.
    Fill { wanted: Wanted, past: Past, fallback: Fallback },
}

/// Why something stale is given.
pub(super) const MAX_STALE: Option<&str> = Some("max-stale");
pub(super) const IN_GRACE: Option<&str> = Some("stale-while-revalidate");

/// What its client wishes, as far as that counts.
pub(super) fn wishes(admitted: &Admitted) -> RequestDirectives {
    if admitted.routed.rules.client_directives {
        RequestDirectives::parse(&admitted.fields)
    } else {
        RequestDirectives::default()
    }
}

/// What a read looks for; of its fields it loses what doesn't count.
pub(super) fn looked_up(admitted: &mut Admitted) -> Lookup {
    forward::drop_ignored_cookies(admitted);
    let query = canonical_query(&admitted.routed.rules.key, admitted.uri.query());
    Lookup::new(admitted, query.as_deref())
}

impl Gateway {
    /// Answers GET and HEAD, and QUERY once its content was read.
    pub(super) fn read<'a>(
        self: &'a Arc<Self>,
        mut admitted: Admitted,
        body: Body,
        client: &'a Client,
        comer: Comer,
        now: Now,
    ) -> Step<'a> {
        let wishes = wishes(&admitted);
        if let Some(past) = past(&admitted) {
            return Step::later(self.pass(admitted, body, client, past, None));
        }
        let lookup = looked_up(&mut admitted);
        let found = find(&self.store, &lookup, &admitted, &wishes, now);
        let reading = Reading { admitted: &admitted, client, lookup: &lookup, encoders: &self.encoders };
        let (stored, past) = match found {
            Found::Fresh(entry) => {
                self.refresh_ahead(&reading, &entry, &wishes, &comer, now);
                return self.give(admitted, client, lookup, entry, (Kind::Hit, None), now);
            }
            Found::Stale(entry) => return self.give(admitted, client, lookup, entry, (Kind::Stale, MAX_STALE), now),
            Found::Refresh(entry) => {
                self.refresh(&reading, &entry, &comer, now);
                return self.give(admitted, client, lookup, entry, (Kind::Stale, IN_GRACE), now);
            }
            Found::Ask { stored, fwd, why } => (stored, Past(fwd, why)),
        };
        match self.asking(&reading, &stored, past, &wishes, now) {
            Asking::Within(entry) => Step::Now(reading.hit(&entry, Kind::Hit, None, now)),
            Asking::Refused(problem) => {
                let api = Some(reading.api());
                Step::Now((problem.response(Status::default()), problem.outcome(Kind::Refused, api)))
            }
            Asking::Past { past, heard, fallback } => {
                let of = heard.then(|| self.question(&reading, stored, Wanted::Whole)).flatten();
                Step::later(self.pass_or_stale(admitted, body, client, past, of, fallback))
            }
            Asking::Fill { wanted, past, fallback } => Step::later(async move {
                let reading = Reading { admitted: &admitted, client, lookup: &lookup, encoders: &self.encoders };
                self.ask(&reading, stored, wanted, past, fallback, comer).await
            }),
        }
    }

    /// What to do where nothing that is stored may be used as it is. It asks nobody and changes nothing.
    pub(super) fn asking(
        &self,
        reading: &Reading<'_>,
        stored: &Candidates,
        Past(fwd, why): Past,
        wishes: &RequestDirectives,
        now: Now,
    ) -> Asking {
        let admitted = reading.admitted;
        let nothing = stored.one().is_none();
        let part = self.part(reading, nothing, wishes, now);
        if let FoundPart::Within(entry) = part {
            return Asking::Within(entry);
        }
        let api = &admitted.routed.mounted.api;
        if api.namespace.is_some() && api.source().is_none() {
            return Asking::Refused(Problem::no_object());
        }
        if wishes.only_if_cached {
            return Asking::Refused(Problem::not_cached());
        }
        let fwd = if matches!(part, FoundPart::Nothing) { fwd } else { Fwd::Partial };
        let past = Past(fwd, why);
        let fallback = self.fallback(admitted, stored, past, wishes, now);
        if let Some(past) = self.past_store(reading, !nothing, wishes.no_store, past, now) {
            // The answer to a HEAD may say something of what is stored, unless its client forbids to keep any of it.
            let heard = !nothing && admitted.method == Method::HEAD && !wishes.no_store;
            return Asking::Past { past, heard, fallback };
        }
        let is_part = nothing && admitted.fields.contains_key(RANGE);
        let wanted = match part {
            FoundPart::Beginning(of) => Wanted::Rest(of),
            FoundPart::Within(_) | FoundPart::Other | FoundPart::Nothing if is_part => Wanted::Part,
            FoundPart::Within(_) | FoundPart::Other | FoundPart::Nothing => Wanted::Whole,
        };
        Asking::Fill { wanted, past, fallback }
    }

    /// From the store: at once, but for the first who wants a large content encoded.
    fn give<'a>(
        self: &'a Arc<Self>,
        admitted: Admitted,
        client: &'a Client,
        lookup: Lookup,
        entry: Arc<Entry>,
        how: (Kind, Option<&'static str>),
        now: Now,
    ) -> Step<'a> {
        let Some(coding) = self.to_encode(&admitted, &lookup, &entry) else {
            let reading = Reading { admitted: &admitted, client, lookup: &lookup, encoders: &self.encoders };
            return Step::Now(reading.hit(&entry, how.0, how.1, now));
        };
        Step::later(async move {
            self.encode(&lookup, &entry, coding).await;
            let reading = Reading { admitted: &admitted, client, lookup: &lookup, encoders: &self.encoders };
            reading.hit(&entry, how.0, how.1, now)
        })
    }

    /// A stored part that helps where the whole isn't stored.
    fn part(&self, reading: &Reading<'_>, nothing: bool, wishes: &RequestDirectives, now: Now) -> FoundPart {
        if nothing && reading.admitted.method == Method::GET && self.store.may_have(Rare::Parts) {
            find_part(&self.store, reading.lookup, reading.admitted, wishes, now)
        } else {
            FoundPart::Nothing
        }
    }

    /// Why the answer to a read that has to be asked for won't be kept, if that is known: its client forbids that, or it is a HEAD's, one to
    /// conditions of the client's own, one too deep.
    fn past_store(&self, reading: &Reading<'_>, stored: bool, no_store: bool, past: Past, now: Now) -> Option<Past> {
        let (fields, head) = (&reading.admitted.fields, reading.admitted.method == Method::HEAD);
        if no_store {
            return Some(Past(Fwd::Request, Some("client-no-store")));
        }
        let conditional = fields.contains_key(IF_NONE_MATCH) || fields.contains_key(IF_MODIFIED_SINCE);
        let part = !stored && fields.contains_key(RANGE);
        let may_fill = reading.admitted.method == Method::GET && !conditional;
        if head || part && !may_fill {
            return Some(past);
        }
        // Nothing is stored, and the last answer couldn't be: conditions are a matter between the client and its origin. A fill
        // would ask without them and get a content that the client has already.
        if conditional && !stored && self.fills.is_unshared(&reading.lookup.key, now.mono) {
            return Some(Past(past.0, Some("unshared")));
        }
        reading.admitted.routed.place().is_too_deep().then_some(TOO_DEEP)
    }

    /// Sends a request past the cache; nothing is stored, nothing invalidated. The answer to a HEAD may tell something of what is
    /// stored for the GET.
    pub(super) async fn pass(
        &self,
        mut admitted: Admitted,
        body: Body,
        client: &Client,
        past: Past,
        of: Option<Question>,
    ) -> Answered {
        let api = Some(Arc::clone(&admitted.routed.mounted.id));
        let status = past.status();
        let Some(request) = self.request(&mut admitted, client, body) else {
            let problem = Problem::unsendable();
            return (problem.response(Status::default()), problem.outcome(Kind::Failed, api));
        };
        let began = self.clock.now();
        let served = self.served(&admitted.routed.mounted);
        let rules = &admitted.routed.rules;
        let (host, timeouts, retry) = (&forward::host(&admitted), &rules.timeouts, &rules.retry);
        let manner = Manner {
            host,
            timeouts,
            retry,
            safe: rules.safe,
            interim: interim(client),
            trace: admitted.trace.as_ref(),
        };
        let answer = served.origin.ask_in(request, &manner).await;
        let answered = self.clock.now();
        let origin_ms = Some(answered.mono - began.mono);
        match answer {
            Ok(response) => {
                if let Some(of) = of.filter(|_| response.status() == StatusCode::OK) {
                    self.fills.heard(&of, response.headers(), [began, answered]);
                }
                let status = Status { fwd_status: Some(response.status()), ..status };
                let outcome = Outcome { api, kind: Kind::Pass, reason: past.1, origin_ms, ..Outcome::default() };
                (deliver::own(Asked::new(&admitted, &self.encoders), response, &status), outcome)
            }
            Err(error) => {
                let problem = self.problem(&error);
                (problem.response(status), Outcome { origin_ms, ..problem.outcome(Kind::Failed, api) })
            }
        }
    }

    /// The request for the origin, everything of the client's but what belongs to its connection; takes the fields,
    /// but those that decide about encoding its answer.
    pub(super) fn request(&self, admitted: &mut Admitted, client: &Client, body: Body) -> Option<Request<Body>> {
        let mut request = Request::new(forward::body(admitted, body));
        *request.method_mut() = admitted.method.clone();
        *request.uri_mut() = forward::uri(admitted, false)?;
        let trusted = (self.settings.trusts)(client.address.ip());
        let kept = compress::kept(admitted);
        let fields = std::mem::replace(&mut admitted.fields, kept);
        *request.headers_mut() = forward::fields(admitted, fields, client, trusted);
        Some(request)
    }

    /// The question that a write's own answer answers; it is never asked. `None` where a read of the same client would have
    /// asked less: a write is sent with all its cookies and with its query as written, and its answer may depend on those
    /// that the key leaves out.
    pub(super) fn answered_by_write(&self, admitted: Admitted, payer: Option<Payer>) -> Option<Question> {
        let rules = &admitted.routed.rules.key;
        let query = canonical_query(rules, admitted.uri.query());
        let cookies = rules.cookies == Names::All || !admitted.fields.contains_key(COOKIE);
        if !cookies || query.as_deref() != admitted.uri.query() {
            return None;
        }
        let Lookup { key, shared_key } = Lookup::new(&admitted, query.as_deref());
        let served = self.served(&admitted.routed.mounted);
        Some(Question {
            key,
            shared_key,
            user: admitted.user.clone(),
            payer,
            method: Method::GET,
            content: Bytes::new(),
            sent: HeaderMap::new(),
            uri: forward::uri(&admitted, true)?,
            host: forward::host(&admitted),
            origin: Arc::clone(&served.origin),
            tally: Arc::clone(&served.tally),
            interim: None,
            trace: None,
            stored: Candidates::None,
            wanted: Wanted::Whole,
            outlasts: false,
            deadline: Deadline::new(&admitted.routed.rules.timeouts),
            fields: admitted.fields,
            routed: admitted.routed,
        })
    }

    pub(super) fn question(&self, reading: &Reading<'_>, stored: Candidates, wanted: Wanted) -> Option<Question> {
        let admitted = reading.admitted;
        let trusted = (self.settings.trusts)(reading.client.address.ip());
        let mut sent = forward::fields(admitted, admitted.fields.clone(), reading.client, trusted);
        strip_conditionals(&mut sent);
        if matches!(wanted, Wanted::Part) {
            for name in [RANGE, IF_RANGE] {
                sent.extend(admitted.fields.get(&name).map(|value| (name, value.clone())));
            }
        }
        let served = self.served(&admitted.routed.mounted);
        Some(Question {
            key: reading.lookup.key.clone(),
            shared_key: reading.lookup.shared_key.clone(),
            routed: admitted.routed.clone(),
            user: admitted.user.clone(),
            payer: self.payer(admitted, reading.client),
            fields: admitted.fields.clone(),
            method: if admitted.content.is_some() { admitted.method.clone() } else { Method::GET },
            content: admitted.content.clone().unwrap_or_default(),
            sent,
            uri: forward::uri(admitted, true)?,
            host: forward::host(admitted),
            origin: Arc::clone(&served.origin),
            tally: Arc::clone(&served.tally),
            interim: interim(reading.client),
            trace: admitted.trace.clone(),
            stored: stored.confirmable(),
            wanted,
            outlasts: false,
            deadline: Deadline::new(&admitted.routed.rules.timeouts),
        })
    }
}

impl Reading<'_> {
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked::new(self.admitted, self.encoders)
    }

    fn api(&self) -> Arc<str> {
        Arc::clone(&self.admitted.routed.mounted.id)
    }

    /// From the store.
    fn hit(&self, entry: &Entry, kind: Kind, detail: Option<&'static str>, now: Now) -> Answered {
        entry.hit();
        let response = self.told(entry, kind, detail, now);
        (response, Outcome { api: Some(self.api()), kind, reason: detail, ..Outcome::default() })
    }

    /// What a hit is told.
    pub(super) fn told(&self, entry: &Entry, kind: Kind, detail: Option<&'static str>, now: Now) -> Response<Body> {
        // What was softly invalidated has no freshness left, however long it would have been fresh.
        let soft = kind == Kind::Stale && entry.standing() == Standing::Outdated;
        let left = ttl(entry, now).map(|left| if soft { left.min(0) } else { left });
        let status = Status { detail, ..Status::hit(if soft { left.or(Some(0)) } else { left }) };
        deliver::from_entry(self.asked(), entry, None, true, &HeaderMap::new(), &status, now)
    }

    /// From a fill, our own or somebody else's.
    pub(super) fn shared(
        &self,
        shared: &Shared,
        body: Option<Body>,
        joined: bool,
        status: Status,
        now: Now,
    ) -> Answered {
        let stored = shared.unkept.is_none();
        let kind = match (joined, shared.revalidated) {
            (true, _) => Kind::Joined,
            (false, true) => Kind::Revalidated,
            (false, false) => Kind::Miss,
        };
        let reason = shared.unkept.or(status.detail);
        let status = Status {
            fwd_status: Some(shared.status),
            stored,
            collapsed: joined,
            detail: reason,
            ttl: ttl(&shared.entry, now),
            ..status
        };
        let aged = joined || shared.revalidated;
        let (fields, asked) = (&*shared.personal, self.asked());
        let response = deliver::from_entry(asked, &shared.entry, body, aged, fields, &status, now);
        let outcome = Outcome {
            api: Some(self.api()),
            kind,
            reason,
            origin_ms: Some(shared.origin_ms),
            stored,
            ..Outcome::default()
        };
        (response, outcome)
    }

    /// The origin's answer, which isn't kept.
    pub(super) fn own(
        &self,
        response: Response<Body>,
        reason: &'static str,
        origin_ms: u64,
        status: Status,
    ) -> Answered {
        let status = Status { fwd_status: Some(response.status()), detail: Some(reason), ..status };
        let response = deliver::own(self.asked(), response, &status);
        let api = Some(self.api());
        (
            response,
            Outcome { api, kind: Kind::Miss, reason: Some(reason), origin_ms: Some(origin_ms), ..Outcome::default() },
        )
    }

    pub(super) fn failed(&self, error: &AskError, status: Status) -> Answered {
        let problem = Problem::of(error);
        (problem.response(status), problem.outcome(Kind::Failed, Some(self.api())))
    }
}

/// Why a read doesn't even look into the cache.
pub(super) fn past(admitted: &Admitted) -> Option<Past> {
    if !admitted.routed.rules.cache {
        return Some(Past(Fwd::Bypass, Some("cache-off")));
    }
    if admitted.has_body {
        return Some(Past(Fwd::Request, Some("request-body")));
    }
    if conditional::has_precondition_for_origin(&admitted.fields) {
        return Some(Past(Fwd::Request, Some("precondition")));
    }
    None
}

/// Seconds of freshness that are left; `None` where it has no end.
pub(super) fn ttl(entry: &Entry, now: Now) -> Option<i64> {
    let left = entry.facts.fresh_for(now);
    (left != i64::MAX).then(|| left.saturating_add(999).div_euclid(1000)) // with Age, which is rounded down, it adds up to the lifetime
}

/// Passes interim answers to the client.
pub(super) fn interim(client: &Client) -> Option<InterimFn> {
    let interim = client.interim.clone();
    Some(Arc::new(move |head| interim.send(&head)))
}
