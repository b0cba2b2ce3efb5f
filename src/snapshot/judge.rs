//! Which entries are worth a place in the file, and which of the file's a place in the store.

use crate::policy::{Apis, Mounted, Routed, Rules, is_credential, shared_place};
use crate::rfc9110::{date, etag::EntityTag};
use crate::rfc9111::Selection;
use crate::store::{Entry, Standing};
use http::{Method, StatusCode};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// A fingerprint of the settings that decide what is stored, and how it is told apart.
pub(super) type Print = [u8; 16];

/// The request to which what lies under a key is the answer, and the generation in the key; `None` where it isn't everybody's, or nobody
/// answers it, or it isn't cached.
pub(super) fn routed(apis: &Apis, key: &[u8]) -> Option<(Routed, u64)> {
    let (host, path, generation) = shared_place(key)?;
    let routed = apis.find(host, path)?.route(&Method::GET, path.to_owned());
    (routed.rules.cache && !routed.place().is_too_deep()).then_some((routed, generation))
}

/// Whether an entry can be saved: complete and current, it can be confirmed, and no credential is part of it.
pub(super) fn is_worth_it(entry: &Entry, rules: &Rules) -> bool {
    entry.status != StatusCode::PARTIAL_CONTENT
        && entry.content.get().is_some()
        && entry.standing() == Standing::Current
        && can_be_confirmed(entry)
        && is_impersonal(&entry.selection, rules)
}

/// A change in the same second as the one that `Last-Modified` names doesn't show in it, so it counts only where the answer is from a later
/// second (RFC 9110 §8.8.2.2).
fn can_be_confirmed(entry: &Entry) -> bool {
    let modified = || date::parse(entry.last_modified()?, entry.date());
    entry.etag().and_then(EntityTag::parse).is_some() || modified().is_some_and(|modified| modified < entry.date())
}

/// Whether it wasn't chosen by a credential, which would be written down with it.
pub(super) fn is_impersonal(selection: &Selection, rules: &Rules) -> bool {
    !selection.names().any(|name| is_credential(&rules.key, name))
}

/// The fingerprints of all rules, each made once.
#[derive(Default)]
pub(super) struct Prints(HashMap<(usize, *const Rules), Print>);

impl Prints {
    pub(super) fn of(&mut self, routed: &Routed) -> Print {
        let key = (routed.mounted.number, Arc::as_ptr(&routed.rules));
        *self.0.entry(key).or_insert_with(|| print(&routed.mounted, &routed.rules))
    }
}

fn print(mounted: &Mounted, r: &Rules) -> Print {
    let origins: Vec<_> = mounted.api.upstream.iter().map(|e| (e.tls, e.authority(), e.base.clone())).collect();
    let keyed = (&r.key, &r.strip_prefix, &r.host_header, std::mem::discriminant(&r.auth));
    let stored = (&r.ttl, &r.ttl_by_status, &r.freshness, r.heuristic, &r.error_answers, &r.set_cookie);
    let told = (&r.content_types, r.generate_etag, r.unique_etags);
    let text = format!("{:?} {origins:?} {keyed:?} {stored:?} {told:?}", mounted.id);
    let digest = Sha256::digest(text.as_bytes());
    let mut print = Print::default();
    print.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    print
}
