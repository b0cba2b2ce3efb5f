//! Steps 3 and 4: what is stored for a request, and whether it may be used.

use super::admit::Admitted;
use super::status::Fwd;
use crate::clock::Now;
use crate::fill::{Candidates, can_be_completed, span};
use crate::policy::{
    equivalent_key, may_use_shared, part_key, partition, rule_key, write_generation, write_key, write_query,
};
use crate::rfc9110::Validators;
use crate::rfc9110::range::{self, Ranged};
use crate::rfc9111::{self, RequestDirectives, Reuse, UrlVariation};
use crate::store::{Entry, Rare, Standing, Store};
use http::header::RANGE;
use std::sync::Arc;

/// How often a client's `no-cache` or `max-age` reaches the origin for one key: once in so many milliseconds.
const CLIENT_WISH_INTERVAL: u64 = 1000;

/// What is looked for.
#[derive(Debug)]
pub(super) struct Lookup {
    /// The key in the caller's partition.
    pub(super) key: Vec<u8>,
    /// The shared key, where it isn't the same.
    pub(super) shared_key: Option<Vec<u8>>,
}

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// Use it.
    Fresh(Arc<Entry>),
    /// Use it though it is stale: the client takes that.
    Stale(Arc<Entry>),
    /// Use it, and ask the origin meanwhile.
    Refresh(Arc<Entry>),
    /// Ask; what is stored may be confirmed, or be used if the origin fails.
    Ask { stored: Candidates, fwd: Fwd, why: Option<&'static str> },
}

impl Lookup {
    pub(super) fn new(admitted: &Admitted, query: Option<&str>) -> Self {
        let rules = &admitted.routed.rules;
        let partition = partition(&rules.key, &admitted.identity, &admitted.fields);
        let mut key = Vec::with_capacity(
            admitted.host.len() + admitted.routed.path.len() + query.map_or(0, str::len) + partition.len() + 2,
        );
        write_key(&mut key, &admitted.host, &admitted.routed.path, query, b"");
        write_generation(&mut key, admitted.routed.mounted.generation);
        key.extend_from_slice(&admitted.claims);
        if let Some(content) = &admitted.content {
            write_query(&mut key, &admitted.fields, content);
        }
        key.extend_from_slice(&partition);
        let shared_key = (!partition.is_empty()).then(|| key[..key.len() - partition.len()].to_vec());
        Lookup { key, shared_key }
    }
}

/// A stored part that has what is asked for, or is of use for it.
#[derive(Debug)]
pub(super) enum FoundPart {
    /// Use it.
    Within(Arc<Entry>),
    /// It is the beginning of what is asked for.
    Beginning(Arc<Entry>),
    /// It is no help, but there is one.
    Other,
    /// There is none.
    Nothing,
}

/// Looks for a part where the whole isn't stored. Only a fresh one counts.
pub(super) fn find_part(
    store: &Store,
    lookup: &Lookup,
    admitted: &Admitted,
    wishes: &RequestDirectives,
    now: Now,
) -> FoundPart {
    let shared_key = lookup.shared_key.as_ref().map(|key| part_key(key));
    let parts = Lookup { key: part_key(&lookup.key), shared_key };
    let own = under(store, &parts.key, admitted, wishes, now, |_| true);
    let found = match (own, &parts.shared_key) {
        (Found::Fresh(entry), _) => Found::Fresh(entry),
        (own, None) => own,
        (_, Some(key)) => {
            let rules = &*admitted.routed.rules;
            under(store, key, admitted, wishes, now, |entry| may_use_shared(rules, entry.sharing))
        }
    };
    match found {
        Found::Fresh(part) if !admitted.fields.contains_key(RANGE) => match can_be_completed(&part) {
            true => FoundPart::Beginning(part),
            false => FoundPart::Other,
        },
        Found::Fresh(part) if has(&part, admitted, now) => FoundPart::Within(part),
        Found::Fresh(_) | Found::Stale(_) | Found::Refresh(_) => FoundPart::Other,
        Found::Ask { stored: Candidates::One(_), .. } => FoundPart::Other,
        Found::Ask { stored: Candidates::None | Candidates::Others(_), .. } => FoundPart::Nothing,
    }
}

fn has(part: &Entry, admitted: &Admitted, now: Now) -> bool {
    let fields = part.fields.unpack(0);
    let Some(span) = span(part) else { return false };
    match range::select(&admitted.fields, &Validators::of(&fields), span.complete, now) {
        Ranged::Part(wanted) => span.covers(&wanted),
        Ranged::Whole | Ranged::Parts(_) | Ranged::Unsatisfiable => false,
    }
}

/// Looks under the request's own URL, then under those that its origin calls equivalent.
pub(super) fn find(store: &Store, lookup: &Lookup, admitted: &Admitted, wishes: &RequestDirectives, now: Now) -> Found {
    let found = by_key(store, lookup, admitted, wishes, now);
    let missed = matches!(found, Found::Ask { stored: Candidates::None | Candidates::Others(_), .. });
    if !missed || !store.may_have(Rare::Rules) {
        return found;
    }
    let equivalent = Lookup {
        key: equivalent(store, &lookup.key).unwrap_or_default(),
        shared_key: lookup.shared_key.as_ref().and_then(|key| equivalent(store, key)),
    };
    let other = by_key(store, &equivalent, admitted, wishes, now);
    if worth(&other) > worth(&found) { other } else { found }
}

/// The key of the URLs that are equivalent to this key's by what was last said of its path, if anything was.
fn equivalent(store: &Store, key: &[u8]) -> Option<Vec<u8>> {
    let noted = store.find(&rule_key(key))?;
    let rule = UrlVariation::of(&noted.first()?.fields.unpack(0))?;
    Some(equivalent_key(key, &rule))
}

/// Looks in the caller's partition first, then among what is shared.
fn by_key(store: &Store, lookup: &Lookup, admitted: &Admitted, wishes: &RequestDirectives, now: Now) -> Found {
    let rules = &*admitted.routed.rules;
    let own = under(store, &lookup.key, admitted, wishes, now, |_| true);
    let Some(shared_key) = lookup.shared_key.as_ref().filter(|_| !matches!(own, Found::Fresh(_))) else { return own };
    let shared = under(store, shared_key, admitted, wishes, now, |entry| may_use_shared(rules, entry.sharing));
    if worth(&shared) > worth(&own) { shared } else { own }
}

/// Which of two findings is the better one.
fn worth(found: &Found) -> u8 {
    match found {
        Found::Fresh(_) => 4,
        Found::Stale(_) | Found::Refresh(_) => 3,
        Found::Ask { stored: Candidates::One(_), .. } => 2,
        Found::Ask { fwd: Fwd::Miss, .. } => 1,
        Found::Ask { .. } => 0,
    }
}

fn under(
    store: &Store,
    key: &[u8],
    admitted: &Admitted,
    wishes: &RequestDirectives,
    now: Now,
    may: impl Fn(&Entry) -> bool,
) -> Found {
    let nothing = |stored, fwd| Found::Ask { stored, fwd, why: None };
    let Some(variants) = store.find(key) else { return nothing(Candidates::None, Fwd::UriMiss) };
    let mut matching = variants.iter().filter(|entry| entry.selection.matches(&admitted.fields) && may(entry));
    match matching.next() {
        Some(entry) => judge(entry, wishes, now),
        None if admitted.routed.rules.unique_etags => {
            nothing(Candidates::variants(variants.iter().filter(|entry| may(entry))), Fwd::VaryMiss)
        }
        None => nothing(Candidates::None, Fwd::VaryMiss),
    }
}

fn judge(entry: &Arc<Entry>, wishes: &RequestDirectives, now: Now) -> Found {
    let outdated = match entry.standing() {
        Standing::Current => false,
        Standing::Outdated => true,
        // Not even to be confirmed: the strong tags of many origins are made of a size and a second, and don't change
        // with a write in the same second. What a write or a purge has invalidated is fetched whole.
        Standing::Invalidated => {
            return Found::Ask { stored: Candidates::None, fwd: Fwd::Miss, why: Some("invalidated") };
        }
    };
    let entry_ = || Arc::clone(entry);
    match rfc9111::reuse(&entry.facts, outdated, wishes, now) {
        Reuse::Fresh => Found::Fresh(entry_()),
        Reuse::Stale => Found::Stale(entry_()),
        Reuse::WhileRevalidating => Found::Refresh(entry_()),
        Reuse::Validate(why) if why.is_clients_wish() && now.mono < entry.asked_time + CLIENT_WISH_INTERVAL => {
            // The wish has been granted a moment ago; what else there is against this answer still counts.
            judge(entry, &RequestDirectives::default(), now)
        }
        Reuse::Validate(why) => {
            let fwd = if why.is_clients_wish() { Fwd::Request } else { Fwd::Stale };
            Found::Ask { stored: Candidates::One(entry_()), fwd, why: Some(why.name()) }
        }
    }
}
