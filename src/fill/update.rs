//! What an origin says of an answer that is stored: that it holds (304), that it is of the same version or of another (HEAD), or that
//! something else is there now (RFC 9111 §4.3.3 to §4.3.5).

use super::Fills;
use super::ask::{Asked, Question, Shared};
use crate::clock::Now;
use crate::policy::{Keep, Rules, SetCookie, equivalent_key};
use crate::rfc9110::fields::has_token;
use crate::rfc9111::{self, Facts, Heard, UrlVariation};
use crate::store::{Asked as AskedAt, Entry, Tallied};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

impl Fills {
    /// The origin says that the stored answer still holds (RFC 9111 §4.3.4, DESIGN rule 9).
    pub(super) fn confirmed(
        &self,
        question: &Arc<Question>,
        at: &AskedAt,
        stored: &Arc<Entry>,
        fields: &HeaderMap,
        times: [Now; 2],
    ) -> Asked {
        let origin_ms = times[1].mono - times[0].mono;
        let (shared_fields, mut personal) = for_all(&question.routed.rules, fields);
        let fields = rfc9111::freshen(&stored.fields.unpack(fields.len()), &shared_fields);
        let judged = self.judge(question, at, stored.status, &fields, times);
        let (mut keep, unkept, shared) = match judged {
            Ok(keep) => {
                let shared = keep.shared;
                (keep, None, shared)
            }
            Err(reason) => {
                // What it was kept with doesn't hold any more.
                self.replace(question, stored, as_it_is(stored, stored.facts.expired()), times[1]);
                (Keep::confirmed(fields, stored.facts, stored.sharing, stored.selection.clone()), Some(reason), false)
            }
        };
        personal.extend(std::mem::take(&mut keep.personal));
        let mut entry = self.entry(question, at, stored.status, keep);
        entry.reason.clone_from(&stored.reason);
        entry.held = entry.held.union(&stored.held);
        entry.tally = in_place_of(stored, question);
        entry.hits = stored.hits.again();
        // Tags, new and old, may be settling where what was known before isn't.
        let unkept = unkept.or_else(|| entry.held.settles(at.time).then_some("settling"));
        // Confirmed, but no younger than its question: the tags of many an origin don't change with a write in the same second, and
        // what a write has ended while the origin was asked must not come back. (What is invalidated is never confirmed, so that
        // nothing would be gained.)
        entry.asked_at = stored.asked_at;
        if let Some(content) = stored.content.get() {
            drop(entry.content.set(content.clone()));
        }
        let entry = Arc::new(entry);
        if unkept.is_none() {
            self.put(question, &entry, shared);
        }
        let status = StatusCode::NOT_MODIFIED;
        Asked::Shared(
            Shared { entry, live: None, revalidated: true, status, origin_ms, personal: Arc::new(personal), unkept },
            None,
        )
    }

    /// What a 200 to HEAD says about the answer that is stored for the GET in `question` (RFC 9111 §4.3.5): that it is of the same
    /// version brings its fields up to date, that it is of another one makes it stale. Neither makes it younger than its
    /// question (DESIGN rule 7).
    pub fn heard(&self, question: &Question, head: &HeaderMap, times: [Now; 2]) {
        let Some(stored) = question.stored.one() else { return };
        let Some(content) = stored.content.get() else { return };
        let fields = stored.fields.unpack(head.len());
        let said = rfc9111::heard(head, &fields, content.body.len());
        let (shared, _) = for_all(&question.routed.rules, head);
        let fields = rfc9111::freshen(&fields, &shared);
        let judged = || self.judge(question, &age_of(stored), stored.status, &fields, times);
        match (said, judged()) {
            (Heard::Same, Ok(keep)) => self.replace(question, stored, keep, times[1]),
            (Heard::Same, Err(_)) | (Heard::Other, _) => self.outdate(question, stored, times[1]),
            (Heard::Nothing, _) => self.replace(question, stored, as_it_is(stored, stored.facts), times[1]),
        }
    }

    /// What is stored isn't what is there any more: from now on it is only good for being confirmed. What one caller was told ends
    /// nobody else's answer.
    pub(super) fn outdate(&self, question: &Question, stored: &Arc<Entry>, now: Now) {
        let keep = Keep { shared: question.shared_key.is_none(), ..as_it_is(stored, stored.facts.expired()) };
        self.replace(question, stored, keep, now);
    }

    /// Keeps what is stored, and as old as it is, by another judgement; `now` its origin was asked. Under the shared key only if that
    /// is shared.
    fn replace(&self, question: &Question, stored: &Arc<Entry>, keep: Keep, now: Now) {
        let (shared, at) = (keep.shared, AskedAt { time: now.mono, ..age_of(stored) });
        let mut entry = self.entry(question, &at, stored.status, keep);
        entry.reason.clone_from(&stored.reason);
        entry.held = entry.held.union(&stored.held);
        entry.tally = in_place_of(stored, question);
        entry.hits = stored.hits.again();
        entry.confirmed_at = stored.confirmed_at;
        if let Some(content) = stored.content.get() {
            drop(entry.content.set(content.clone()));
        }
        let entry = Arc::new(entry);
        let rule = UrlVariation::of(&stored.fields.unpack(0));
        let shared_key = question.shared_key.as_ref().filter(|_| shared);
        for key in [Some(&question.key), shared_key].into_iter().flatten() {
            self.store.replace(key, stored, &entry);
            if let Some(rule) = &rule {
                self.store.replace(&equivalent_key(key, rule), stored, &entry);
            }
        }
    }
}

/// Charged to the one who has asked for what is stored.
fn in_place_of(stored: &Entry, question: &Question) -> Tallied {
    Tallied::charged(Arc::clone(&question.tally), stored.tally.charge().clone())
}

fn age_of(stored: &Entry) -> AskedAt {
    AskedAt { held: stored.held.clone(), at: stored.asked_at, time: stored.asked_time }
}

fn as_it_is(stored: &Entry, facts: Facts) -> Keep {
    let keep = Keep::confirmed(stored.fields.unpack(0), facts, stored.sharing, stored.selection.clone());
    Keep { shared: true, ..keep }
}

/// What of an update is for whoever uses the answer, and what for the one who asked alone: a cookie that comes with the word that
/// something `public` still holds isn't public because of that.
fn for_all(rules: &Rules, update: &HeaderMap) -> (HeaderMap, HeaderMap) {
    let (mut all, mut personal) = (update.clone(), HeaderMap::new());
    if rules.set_cookie != SetCookie::Store && !has_token(update, &CACHE_CONTROL, "public") {
        personal.extend(update.get_all(SET_COOKIE).iter().map(|cookie| (SET_COOKIE, cookie.clone())));
        all.remove(SET_COOKIE);
    }
    (all, personal)
}
