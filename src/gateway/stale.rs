//! What is stale and may be given all the same: because the origin fails, because it is slow, or while it is asked for the next answer.
//!
//! Whoever asks with something stale in hand has a *fallback*: what is stored, as far as `keep_on_error` or `stale-if-error` let it be used
//! and nothing has invalidated it. Whether that holds is looked at in the moment in which it is given, by each request for itself (DESIGN
//! rule 10): a write that is acknowledged while one waits takes the fallback away, and then one waits on.
//!
//! * **It fails**: it can't be reached, is too slow, answers 500, 502, 503, 504 or what is no status (600 and more), breaks off before the first
//!   byte of its content; or we ask it for too much already. What breaks off later is an incomplete message: the client has seen its beginning.
//! * **It is slow** (`stale_after`): the fallback is given and the question goes on without its asker. The one who leads a question has it
//!   asked by a task anyway, who joined one just leaves, and who asks alone has a place in the background or takes the question
//!   back. A HEAD is taken back: its answer would fill nothing. Nobody who asked by `no-cache`, `max-age` or `min-fresh` for something younger
//!   is given something older for being impatient on its behalf.
//! * **It isn't asked for this answer at all** (`grace`, `refresh_ahead`): see [`crate::fill`], which bounds how often.

use super::Gateway;
use super::admit::Admitted;
use super::asked::Asked;
use super::deliver;
use super::fallback::{Fallback, is_valid};
use super::outcome::{Answered, Kind, Outcome};
use super::problem::Problem;
use super::read::{Past, Reading, ttl};
use super::status::{Fwd, Status};
use crate::body::Body;
use crate::client::Client;
use crate::clock::Now;
use crate::fill::{Candidates, Comer, Got, Question, Wanted};
use crate::rfc9111::{RequestDirectives, usable_when_slow};
use crate::store::Entry;
use http::{HeaderMap, StatusCode};
use std::pin::pin;
use std::sync::Arc;

/// Why something stale was given.
const ON_ERROR: &str = "stale-if-error";
const SLOW: &str = "stale-after";

/// What came of asking.
enum Heard {
    Got(Got),
    /// A content broke off before its first byte.
    Broke(&'static str),
}

impl Gateway {
    /// What a request that has to ask may be given instead.
    pub(super) fn fallback(
        &self,
        admitted: &Admitted,
        stored: &Candidates,
        past: Past,
        wishes: &RequestDirectives,
        now: Now,
    ) -> Fallback {
        let entry = stored.one().cloned();
        let may_hurry = past.fwd() == Fwd::Stale
            && entry.as_ref().is_some_and(|entry| is_valid(entry) && usable_when_slow(&entry.facts, wishes, now));
        Fallback { entry, patience: admitted.routed.rules.stale_after.filter(|_| may_hurry) }
    }

    /// Asks the origin, or waits for one who does.
    pub(super) async fn ask(
        self: &Arc<Self>,
        reading: &Reading<'_>,
        stored: Candidates,
        wanted: Wanted,
        past: Past,
        fallback: Fallback,
        comer: Comer,
    ) -> Answered {
        let api = || Some(Arc::clone(&reading.admitted.routed.mounted.id));
        let Some(question) = self.question(reading, stored, wanted) else {
            let problem = Problem::unsendable();
            return (problem.response(Status::default()), problem.outcome(Kind::Failed, api()));
        };
        let question = Question { outlasts: fallback.patience.is_some(), ..question };
        let mut asking = pin!(self.hear(question, comer, fallback.entry.is_some()));
        let in_time = match fallback.patience {
            Some(patience) => tokio::time::timeout(patience, asking.as_mut()).await.ok(),
            None => Some(asking.as_mut().await),
        };
        let heard = match in_time {
            Some(heard) => heard,
            None => {
                let now = self.clock.now();
                if let Some(entry) = fallback.usable(now) {
                    return stale(reading.asked(), api(), entry, None, SLOW, now);
                }
                asking.await
            }
        };
        let now = self.clock.now();
        let instead = |status| fallback.usable(now).map(|e| stale(reading.asked(), api(), e, status, ON_ERROR, now));
        let status = past.status();
        match heard {
            Heard::Got(Got::Shared { shared, body, joined }) => reading.shared(&shared, body, joined, status, now),
            Heard::Got(Got::Own { response, reason, origin_ms }) => {
                let failed = Some(response.status()).filter(|status| is_failure(*status));
                let instead = failed.and_then(|status| instead(Some(status)));
                instead.unwrap_or_else(|| reading.own(response, reason, origin_ms, status))
            }
            Heard::Got(Got::Failed(error)) => instead(None).unwrap_or_else(|| reading.failed(&error, status)),
            Heard::Got(Got::Overloaded) => instead(None).unwrap_or_else(|| {
                let problem = Problem::overloaded();
                (problem.response(status), problem.outcome(Kind::Refused, api()))
            }),
            Heard::Broke(name) => instead(None).unwrap_or_else(|| {
                let problem = Problem::broken(name);
                (problem.response(status), problem.outcome(Kind::Failed, api()))
            }),
        }
    }

    /// Waits for an answer; where there is something else to give also for the first byte of its content.
    async fn hear(&self, question: Question, comer: Comer, has_other: bool) -> Heard {
        match self.fills.get(question, comer).await {
            Got::Shared { shared, body: Some(body), joined } if has_other => match body.begun().await {
                Ok(body) => Heard::Got(Got::Shared { shared, body: Some(body), joined }),
                Err(error) => Heard::Broke(error.name()),
            },
            got @ (Got::Shared { .. } | Got::Own { .. } | Got::Failed(_) | Got::Overloaded) => Heard::Got(got),
        }
    }

    /// Sends a read past the cache, whose answer would fill nothing; what is stored is its fallback all the same.
    pub(super) async fn pass_or_stale(
        &self,
        admitted: Admitted,
        body: Body,
        client: &Client,
        past: Past,
        of: Option<Question>,
        fallback: Fallback,
    ) -> Answered {
        if fallback.entry.is_none() {
            return self.pass(admitted, body, client, past, of).await;
        }
        let (method, fields, routed) = (admitted.method.clone(), admitted.fields.clone(), admitted.routed.clone());
        let (rules, api, encoders) = (&*routed.rules, &routed.mounted.api, &self.encoders);
        let asked = Asked { method: &method, fields: &fields, rules, api, encoders };
        let api = || Some(Arc::clone(&routed.mounted.id));
        let mut passing = pin!(self.pass(admitted, body, client, past, of));
        let in_time = match fallback.patience {
            Some(patience) => tokio::time::timeout(patience, passing.as_mut()).await.ok(),
            None => Some(passing.as_mut().await),
        };
        let (response, outcome) = match in_time {
            Some(answered) => answered,
            None => {
                let now = self.clock.now();
                if let Some(entry) = fallback.usable(now) {
                    return stale(asked, api(), entry, None, SLOW, now);
                }
                passing.await
            }
        };
        let now = self.clock.now();
        let answered = Some(response.status()).filter(|_| outcome.kind != Kind::Failed);
        let failed = answered.is_none_or(is_failure);
        match fallback.usable(now).filter(|_| failed) {
            Some(entry) => stale(asked, api(), entry, answered, ON_ERROR, now),
            None => (response, outcome),
        }
    }

    /// Asks in the background for what is to take the place of `entry`, which is given meanwhile; not more often than makes sense.
    pub(super) fn refresh(self: &Arc<Self>, reading: &Reading<'_>, entry: &Arc<Entry>, comer: &Comer, now: Now) {
        let (key, shared_key) = (&reading.lookup.key, reading.lookup.shared_key.as_deref());
        if self.fills.is_refreshed(key, shared_key, entry, now.mono) {
            return;
        }
        if let Some(question) = self.question(reading, Candidates::One(Arc::clone(entry)), Wanted::Whole) {
            let trace = question.trace.as_ref().map(|trace| trace.apart());
            self.fills.refresh(Question { trace, ..question }, comer);
        }
    }

    /// The same for one that is fresh, if it is time (`refresh_ahead`). A client that forbids to store what it is answered is no reason.
    #[inline]
    pub(super) fn refresh_ahead(
        self: &Arc<Self>,
        reading: &Reading<'_>,
        entry: &Arc<Entry>,
        wishes: &RequestDirectives,
        comer: &Comer,
        now: Now,
    ) {
        let share = reading.admitted.routed.rules.refresh_ahead;
        if share.is_some_and(|share| entry.facts.is_due(share, now)) && !wishes.no_store {
            self.refresh(reading, entry, comer, now);
        }
    }
}

/// What is stored, in the place of the origin's answer (RFC 5861 §4); `status` is what the origin said, if it said anything.
fn stale(
    asked: Asked<'_>,
    api: Option<Arc<str>>,
    entry: &Entry,
    status: Option<StatusCode>,
    reason: &'static str,
    now: Now,
) -> Answered {
    entry.hit();
    let detail = Some(reason);
    // RFC 9211 §2.2: what went forward is no hit, wherever the answer comes from.
    let status =
        Status { fwd: Some(Fwd::Stale), fwd_status: status, detail, ttl: ttl(entry, now), ..Status::default() };
    let response = deliver::from_entry(asked, entry, None, true, &HeaderMap::new(), &status, now);
    (response, Outcome { api, kind: Kind::Stale, reason: detail, ..Outcome::default() })
}

/// Answers of the origin that stale-if-error is for (RFC 5861 §4).
fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504 | 600..)
}
