//! A read that is only thought of: what it would find, whether that may be used, and what the origin would be asked.

use super::super::Gateway;
use super::super::admit::Admitted;
use super::super::fallback::Fallback;
use super::super::find::{Found, Lookup, find};
use super::super::outcome::Kind;
use super::super::read::{Asking, IN_GRACE, MAX_STALE, Past, Reading, looked_up, past, wishes};
use super::super::status::Fwd;
use super::super::view::{view, whose};
use super::answer::{KeyView, VerdictView};
use super::telling::Telling;
use super::way::{asks, passes};
use super::words::word;
use crate::client::Client;
use crate::clock::Now;
use crate::fill::{Candidates, Comer, Wanted};
use crate::policy::{Names, Rules, may_use_shared, part_key, read_key};
use crate::rfc9111::freshness::Source;
use crate::store::{Entry, Standing};
use http::header::{COOKIE, SET_COOKIE};
use std::sync::Arc;

impl Gateway {
    /// Steps 2 to 5 of a read.
    pub(super) fn reads(
        &self,
        mut admitted: Admitted,
        client: &Client,
        telling: &mut Telling<'_>,
        now: Now,
    ) -> VerdictView {
        let wishes = wishes(&admitted);
        if let Some(past) = past(&admitted) {
            return passes(telling, past);
        }
        let cookies = admitted.fields.contains_key(COOKIE);
        let lookup = looked_up(&mut admitted);
        if cookies && !admitted.fields.contains_key(COOKIE) {
            let key = telling.key("key.cookies");
            telling.step("policy", "none of its cookies counts, and the origin doesn't get them", None, key);
        }
        self.lies(&lookup, &admitted, telling, now);
        let reading = Reading { admitted: &admitted, client, lookup: &lookup, encoders: &self.encoders };
        let (stored, past) = match find(&self.store, &lookup, &admitted, &wishes, now) {
            Found::Fresh(entry) => return given(telling, &reading, &entry, (Kind::Hit, None), now),
            Found::Stale(entry) => return given(telling, &reading, &entry, (Kind::Stale, MAX_STALE), now),
            Found::Refresh(entry) => return given(telling, &reading, &entry, (Kind::Stale, IN_GRACE), now),
            Found::Ask { stored, fwd, why } => (stored, Past::of(fwd, why)),
        };
        match self.asking(&reading, &stored, past, &wishes, now) {
            Asking::Within(entry) => given(telling, &reading, &entry, (Kind::Hit, None), now),
            Asking::Refused(problem) => {
                missing(telling, &admitted, past);
                telling.refused("store", &problem)
            }
            Asking::Past { past, fallback, .. } => {
                missing(telling, &admitted, past);
                instead(telling, &fallback, now);
                let says = past_store(&admitted, past);
                telling.step("origin", says, Some("RFC 9111 §3"), None);
                asks("pass", past, says, "RFC 9111 §3")
            }
            Asking::Fill { wanted, past, fallback } => {
                missing(telling, &admitted, past);
                self.remembered(&lookup, &admitted, telling, now);
                instead(telling, &fallback, now);
                let comer = Comer { began_at: self.store.scopes.epoch(), began_time: now.mono, hops: admitted.hops };
                let joins = !matches!(wanted, Wanted::Part) && self.fills.would_join(&lookup.key, &comer);
                asked(telling, past, joins, stored.confirmable(), &wanted)
            }
        }
    }

    /// What it is looked for by, and all that lies there.
    fn lies(&self, lookup: &Lookup, admitted: &Admitted, telling: &mut Telling<'_>, now: Now) {
        let mounted = &admitted.routed.mounted;
        let keys = [Some(&lookup.key), lookup.shared_key.as_ref()];
        let mut fields: Vec<String> = admitted.routed.rules.key.headers.iter().map(ToString::to_string).collect();
        for key in keys.into_iter().flatten() {
            for key in [key.clone(), part_key(key)] {
                let Some(variants) = self.store.find(&key) else { continue };
                for entry in variants.iter() {
                    fields.extend(entry.selection.names().map(ToString::to_string));
                    telling.told.stored.extend(view(&key, entry, Some(mounted), telling.around.hide, now));
                }
                apart(telling, &variants, admitted, Some(&key) == lookup.shared_key.as_ref());
            }
        }
        let parts = read_key(&lookup.key).unwrap_or_default();
        fields.extend(parts.partition.iter().flat_map(|own| &own.credentials).map(ToString::to_string));
        fields.sort_unstable();
        fields.dedup();
        let partition = parts.partition.as_ref().map(whose);
        let (host, path) = (parts.host.to_owned(), parts.path.to_owned());
        let query = parts.query.map(|query| (telling.around.hide)(query));
        if let Some(own) = &parts.partition {
            credentials(telling, &own.credentials, &admitted.routed.rules);
        }
        telling.told.key = Some(KeyView { host, path, query, partition, fields });
    }

    /// Whether the last answer for it wasn't kept.
    fn remembered(&self, lookup: &Lookup, admitted: &Admitted, telling: &mut Telling<'_>, now: Now) {
        match self.fills.why_unshared(&lookup.key, now.mono) {
            Some(Some(why)) => {
                telling.step(
                    "origin",
                    "the last answer to this wasn't kept; its reason follows",
                    Some("RFC 9111 §3"),
                    None,
                );
                telling.reason("origin", why);
            }
            Some(None) => telling.step("origin", "the last answer to this couldn't be kept", Some("RFC 9111 §3"), None),
            None if admitted.routed.rules.ttl.is_none() && telling.told.stored.is_empty() => {
                let key = telling.key("ttl");
                let says = "no ttl is set here: its answer is stored if the origin states how long it is fresh";
                telling.step("origin", says, Some("RFC 9111 §3"), key);
                telling.change("if its answers should be stored and aren't: set ttl for this API, or have the origin say Cache-Control: max-age");
            }
            None => {}
        }
    }
}

/// Why some of what lies there isn't for this request.
fn apart(telling: &mut Telling<'_>, variants: &[Arc<Entry>], admitted: &Admitted, shared: bool) {
    let rules = &admitted.routed.rules;
    let others = variants.iter().filter(|entry| !entry.selection.matches(&admitted.fields));
    let mut names: Vec<String> = others.flat_map(|entry| entry.selection.names()).map(ToString::to_string).collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        let says = format!("what lies there for other values of {} isn't for this request", names.join(", "));
        telling.step("store", says, Some("RFC 9111 §4.1"), None);
        if !variants.iter().any(|entry| entry.selection.matches(&admitted.fields)) {
            telling.change(format!(
                "send {} as one of the stored answers has it, or have the origin leave it out of Vary",
                names.join(", ")
            ));
        }
    }
    if shared && variants.iter().any(|entry| !may_use_shared(rules, entry.sharing)) {
        let key = telling.key("key.share");
        telling.step(
            "store",
            "what is shared there doesn't say public, so it isn't for who has credentials",
            Some("RFC 9111 §3.5"),
            key,
        );
        telling.change(
            "have the origin say public, or set share = \"assume-public\" if its answers don't depend on the caller",
        );
    }
}

/// What would put it among those who share.
fn credentials(telling: &mut Telling<'_>, names: &[&str], rules: &Rules) {
    for name in names {
        let change = match *name {
            "cookie" if rules.key.cookies == Names::All => {
                "send it without Cookie, or list the cookies that say nothing of the caller in key.cookies.ignore"
                    .to_owned()
            }
            "cookie" => "send it without those cookies, or change key.cookies".to_owned(),
            name => format!("send it without {name}; or set share = \"assume-public\" if answers don't depend on it"),
        };
        telling.change(change);
    }
}

/// It is answered from the store.
fn given(
    telling: &mut Telling<'_>,
    reading: &Reading<'_>,
    entry: &Arc<Entry>,
    (kind, why): (Kind, Option<&'static str>),
    now: Now,
) -> VerdictView {
    fresh(telling, entry, now);
    let response = reading.told(entry, kind, why, now);
    let cache_status = response.headers().get_all("cache-status").iter().next_back();
    let left = match entry.facts.fresh_for(now) {
        i64::MAX => "without end".to_owned(),
        left => format!("for {} s", left.max(0) / 1000),
    };
    let (decision, says, section) = match why {
        Some(why) => {
            telling.reason("freshness", why);
            ("stale", word(why).says.to_owned(), word(why).section)
        }
        None => ("hit", format!("it is answered from the store, where it is fresh {left}"), "RFC 9111 §4.2"),
    };
    if kind == Kind::Hit {
        telling.change("a write to it through the gateway, or a purge, ends it");
        if reading.admitted.routed.rules.refresh_ahead.is_some_and(|share| entry.facts.is_due(share, now)) {
            let key = telling.key("refresh_ahead");
            telling.step(
                "freshness",
                "it is time to ask for the next one, in the background",
                Some("RFC 5861 §3"),
                key,
            );
        }
    }
    VerdictView {
        decision,
        status: Some(response.status().as_u16()),
        reason: why,
        says,
        section,
        cache_status: cache_status.and_then(|line| line.to_str().ok()).map(String::from),
    }
}

/// How long it is fresh, and by whose word.
fn fresh(telling: &mut Telling<'_>, entry: &Entry, now: Now) {
    let (facts, age) = (&entry.facts, entry.facts.age(now) / 1000);
    let by = match facts.source {
        Source::Ttl => "ttl says so here".to_owned(),
        Source::Heuristic => "by its Last-Modified".to_owned(),
        Source::Unstated => "nobody states a lifetime".to_owned(),
        source @ (Source::Targeted | Source::Surrogate | Source::SharedMaxAge | Source::MaxAge | Source::Expires) => {
            format!("the origin says so by {}", source.name())
        }
    };
    let lifetime = match facts.lifetime {
        u64::MAX => "it is fresh without end".to_owned(),
        lifetime => format!("it is fresh for {} s", lifetime / 1000),
    };
    let key = if facts.source == Source::Ttl { telling.key("ttl") } else { None };
    telling.step("freshness", format!("{lifetime}, {by}; it is {age} s old"), Some("RFC 9111 §4.2.1"), key);
    if entry.fields.get(&SET_COOKIE).is_some() {
        telling.step("freshness", "it sets a cookie for everybody who gets it", Some("RFC 9111 §7.3"), None);
    }
}

/// Why what is stored isn't used as it is.
fn missing(telling: &mut Telling<'_>, admitted: &Admitted, past: Past) {
    if let Some(why) = past.why().filter(|why| !matches!(*why, "client-no-store" | "unshared" | "path-too-deep")) {
        telling.reason("freshness", why);
        return;
    }
    let (says, section) = match past.fwd() {
        Fwd::VaryMiss => (
            "something is stored for this URL, but for other values of the fields that it was chosen by, or for others",
            "RFC 9111 §4.1",
        ),
        Fwd::Partial => ("only a part is stored", "RFC 9111 §3.4"),
        Fwd::Bypass | Fwd::Method | Fwd::UriMiss | Fwd::Miss | Fwd::Request | Fwd::Stale => {
            ("nothing is stored for this URL that this request may have", "RFC 9111 §4")
        }
    };
    telling.step("store", says, Some(section), None);
    if telling.told.stored.is_empty() && admitted.routed.mounted.api.host.is_none() {
        telling.step(
            "store",
            format!("host and port are part of the key: it was looked for under {}", admitted.host),
            Some("RFC 9111 §2"),
            None,
        );
        telling.change("clients that call it by another host or port have answers of their own: ask with the whole URL that they use");
    }
}

/// What would be given if the origin failed.
fn instead(telling: &mut Telling<'_>, fallback: &Fallback, now: Now) {
    let Some(entry) = &fallback.entry else { return };
    match fallback.usable(now) {
        Some(_) => {
            let key = telling.key("keep_on_error");
            telling.step(
                "origin",
                "if the origin fails, what is stored is given all the same",
                Some("RFC 5861 §4"),
                key,
            );
        }
        None if entry.standing() == Standing::Invalidated => {}
        None => {
            let key = telling.key("keep_on_error");
            telling.step(
                "origin",
                "if the origin fails, so does this request: what is stored may not be given then",
                Some("RFC 5861 §4"),
                key,
            );
        }
    }
    if let Some(patience) = fallback.patience {
        let key = telling.key("stale_after");
        let says =
            format!("if the origin takes longer than {} ms, what is stored is given meanwhile", patience.as_millis());
        telling.step("origin", says, Some("RFC 5861 §4"), key);
    }
}

/// Why the answer won't be kept.
fn past_store(admitted: &Admitted, past: Past) -> &'static str {
    match past.why() {
        Some(why @ ("client-no-store" | "unshared" | "path-too-deep")) => word(why).says,
        Some(_) | None if admitted.method.as_str() == "HEAD" => {
            "it goes to the origin as it is: a HEAD's answer has no content to store"
        }
        Some(_) | None => "it goes to the origin as it is, and its answer isn't stored",
    }
}

/// What the origin would be asked.
fn asked(telling: &mut Telling<'_>, past: Past, joins: bool, stored: Candidates, wanted: &Wanted) -> VerdictView {
    let validates = match &stored {
        Candidates::One(entry) => entry.etag().is_some() || entry.last_modified().is_some(),
        Candidates::Others(_) => true,
        Candidates::None => false,
    };
    let (decision, says, section) = match wanted {
        _ if joins => ("join", "somebody is asking the origin for this already: its answer is awaited", "RFC 9111 §4"),
        _ if validates => ("validate", "the origin is asked whether what is stored still holds", "RFC 9111 §4.3.1"),
        Wanted::Rest(_) => ("miss", "the origin is asked for the rest of the stored part", "RFC 9111 §3.4"),
        Wanted::Part => ("miss", "the origin is asked for the part", "RFC 9110 §14.2"),
        Wanted::Whole => ("miss", "the origin is asked", "RFC 9111 §4"),
    };
    telling.step("origin", says, Some(section), None);
    let because = past.why().map(|why| format!(": {}", word(why).says)).unwrap_or_default();
    asks(decision, past, &format!("{says}{because}"), section)
}
