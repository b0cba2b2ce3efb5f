//! The way of a request that is only thought of.

use super::super::Gateway;
use super::super::admit::{Admitted, Way, admit, switched_to};
use super::super::authenticate::{accept, checked_by, would_be_within_rate};
use super::super::forward;
use super::super::list::Bad;
use super::super::read::{METHOD, Past, TOO_LONG};
use super::answer::{CallerView, Explained, VerdictView};
use super::asked::{Asked, GivenCaller};
use super::telling::{Around, Telling};
use super::words::word;
use crate::auth::{Found, Settings, without_parameters};
use crate::body::Body;
use crate::client::Client;
use crate::clock::Now;
use crate::policy::{Reach, Share, partition};
use bytes::Bytes;
use http::Request;

impl Gateway {
    /// What would happen to this request at `now`.
    ///
    /// # Errors
    /// Which member of it is no part of a request.
    pub fn explain(&self, asked: &Asked, around: &Around<'_>, now: Now) -> Result<Explained, Bad> {
        let (request, client) = (asked.request(around.host)?, asked.client());
        let content = asked.content.clone().unwrap_or_default();
        let mut telling = Telling::new(&request, content.len(), around);
        telling.told.verdict = match self.let_in(request, asked, &client, &mut telling, now) {
            Err(verdict) => verdict,
            Ok(admitted) => self.way_on(admitted, Bytes::from(content), &client, &mut telling, now),
        };
        Ok(telling.told)
    }

    /// Step 1: as far as it is known without asking anybody.
    fn let_in(
        &self,
        request: Request<Body>,
        asked: &Asked,
        client: &Client,
        telling: &mut Telling<'_>,
        now: Now,
    ) -> Result<Admitted, VerdictView> {
        let (method, fields) = (request.method().clone(), request.headers().clone());
        let (mut admitted, _) =
            admit(request, &self.apis, &self.settings).map_err(|problem| telling.refused("admit", &problem))?;
        let trusts = |peer| (self.settings.trusts)(peer);
        let peer = client.address.ip();
        admitted.scheme = client.scheme();
        let parameters = &admitted.routed.mounted.parameters;
        let query = admitted.uri.query().map(|query| without_parameters(query, parameters).unwrap_or(query.to_owned()));
        telling.admitted(&admitted, query.as_deref());
        if self.settings.may_purge.is_some() && method.as_str() == "PURGE" {
            return Err(purge(telling));
        }
        let found = self.caller(&mut admitted, asked.caller.as_ref(), client, now, telling)?;
        accept(&mut admitted, found).map_err(|problem| telling.refused("caller", &problem))?;
        admitted.claims = forward::claims(&admitted, || trusts(peer));
        called(telling, &admitted);
        would_be_within_rate(&admitted, peer, trusts, now).map_err(|problem| telling.refused("caller", &problem))?;
        let protocol = switched_to(&admitted.routed.rules.upgrade, &method, &fields);
        match protocol {
            Some(protocol) => Err(upgraded(telling, &protocol)),
            None => Ok(admitted),
        }
    }

    /// Who is calling: as the one who asks says, or as the request does.
    fn caller(
        &self,
        admitted: &mut Admitted,
        given: Option<&GivenCaller>,
        client: &Client,
        now: Now,
        telling: &mut Telling<'_>,
    ) -> Result<Found, VerdictView> {
        let trusted = || (self.settings.trusts)(client.address.ip());
        let checked = match given {
            Some(given) => checked_by(admitted, client, trusted, now, |auth, _| {
                Some(Ok((!auth.is_none()).then(|| given.found_by(auth))))
            }),
            None => checked_by(admitted, client, trusted, now, Settings::recall),
        };
        let auth = telling.key("auth");
        let how = match (&checked, given) {
            (None | Some(Some(Ok(None))), None) => "nobody is asked here who is calling",
            (None | Some(Some(Ok(None))), Some(_)) => {
                "nobody is asked here who is calling; the caller that you give counts for nothing"
            }
            (Some(Some(_)), Some(_)) => "as you say; the check was not asked",
            (Some(Some(_)), None) => "as the check says",
            (Some(None), _) => {
                let says = "whoever tells callers apart would have to be asked, and isn't for an explanation; give caller to see the rest";
                telling.told.caller.how = "not known without asking".into();
                telling.step("caller", says, None, auth);
                telling.change("give caller (its user, and its rights) to see what would happen once it was let in");
                let section = "RFC 9110 §11.6.2";
                return Err(VerdictView { decision: "unknown", says: says.into(), section, ..VerdictView::default() });
            }
        };
        telling.told.caller = CallerView { user: None, partition: "shared", how: how.into() };
        Ok(checked.flatten().unwrap_or(Ok(None)))
    }

    /// Steps 2 to 5.
    fn way_on(
        &self,
        mut admitted: Admitted,
        content: Bytes,
        client: &Client,
        telling: &mut Telling<'_>,
        now: Now,
    ) -> VerdictView {
        match admitted.way() {
            Way::Read => self.reads(admitted, client, telling, now),
            Way::Query if content.len() as u64 > self.settings.query_body => passes(telling, TOO_LONG),
            Way::Query => {
                admitted.has_body = false;
                admitted.content = Some(content);
                self.reads(admitted, client, telling, now)
            }
            Way::Pass => {
                let safe = admitted.routed.rules.safe;
                let says = if safe {
                    "its route is safe: it goes to the origin and invalidates nothing"
                } else {
                    "its method is safe, and not answered from the cache"
                };
                let key = if safe { telling.key("safe") } else { None };
                telling.step("policy", says, Some("RFC 9110 §9.2.1"), key);
                telling.change("ask by GET, or by QUERY, which is cached by its content");
                asks("pass", METHOD, says, "RFC 9110 §9.2.1")
            }
            Way::Change => changes(telling, &admitted),
        }
    }
}

/// Who was found, and whose partition that is.
fn called(telling: &mut Telling<'_>, admitted: &Admitted) {
    let rules = &admitted.routed.rules;
    let own = !partition(&rules.key, &admitted.identity, &admitted.fields).is_empty();
    let user = admitted.shown.as_ref().map(ToString::to_string);
    let how = telling.told.caller.how.clone();
    let who = match &user {
        Some(user) => format!("{user} is calling ({how})"),
        None => how,
    };
    let auth = telling.key("auth");
    telling.step("caller", who, Some("RFC 9110 §11.6.2"), auth);
    let share = match &rules.key.share {
        Share::AssumePublic => "answers are taken not to depend on the caller, by the operator's word",
        _ if !own => "it has no credentials: it finds what is shared",
        Share::Everyone => "it has credentials: it finds what is its own, and what is shared",
        Share::User | Share::Claim(_) => {
            "it has credentials: it finds what is its own, and of what is shared only what says public"
        }
    };
    let key = telling.key("key.share");
    telling.step("policy", share, Some("RFC 9111 §3.5"), key);
    telling.told.caller.user = user;
    telling.told.caller.partition = if own { "own" } else { "shared" };
}

fn purge(telling: &mut Telling<'_>) -> VerdictView {
    let says = "PURGE is a purge of this URL here, for whoever shows a token that may";
    telling.step("policy", says, None, Some("server.purge_method".into()));
    let reason = Some("purge");
    VerdictView {
        decision: "write",
        reason,
        says: says.into(),
        section: "config server.purge_method",
        ..VerdictView::default()
    }
}

fn upgraded(telling: &mut Telling<'_>, protocol: &str) -> VerdictView {
    let says = format!("it wants to switch to {protocol}, which is tunnelled to the origin");
    let key = telling.key("upgrade");
    telling.step("policy", says.clone(), Some("RFC 9110 §7.8"), key);
    VerdictView { decision: "pass", says, section: "RFC 9110 §7.8", ..VerdictView::default() }
}

/// A write: what it would invalidate.
fn changes(telling: &mut Telling<'_>, admitted: &Admitted) -> VerdictView {
    let reach = match admitted.routed.rules.invalidate {
        Reach::Tree => "its own path with every query, everything below it, and each path above it in this API",
        Reach::Collection => "its own path with every query, and the path above it",
        Reach::Own => "its own path with every query",
        Reach::Api => "everything of this API",
    };
    let says =
        format!("it is a write: it goes to the origin, and if that takes it, or nobody knows, it invalidates {reach}");
    let key = telling.key("invalidate");
    telling.step("origin", says.clone(), Some("RFC 9111 §4.4"), key);
    telling.change("if it only asks for something (a search by POST), give its path a route with safe = true: then it invalidates nothing");
    asks("write", METHOD, &says, "RFC 9111 §4.4")
}

/// It goes past the cache, for a named reason.
pub(super) fn passes(telling: &mut Telling<'_>, past: Past) -> VerdictView {
    let reason = past.why().unwrap_or_default();
    let section = telling.reason("policy", reason);
    asks("pass", past, &format!("it goes past the cache: {}", word(reason).says), section)
}

/// The origin answers.
pub(super) fn asks(decision: &'static str, past: Past, says: &str, section: &'static str) -> VerdictView {
    VerdictView {
        decision,
        status: None,
        reason: past.why(),
        says: says.into(),
        section,
        cache_status: Some(past.status().text()),
    }
}
