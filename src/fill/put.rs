//! Under which keys an answer is stored: its URL's, in the caller's partition or the shared one; as a part; and, where its origin says
//! that not all of the query counts, for all URLs that it calls equivalent.

use super::Fills;
use super::ask::Question;
use super::part::{as_whole, joined, span};
use crate::policy::{equivalent_key, part_key, rule_key};
use crate::rfc9110::etag::is_strong;
use crate::rfc9111::{NO_VARY_SEARCH, UrlVariation};
use crate::store::{Content, Entry, Extra, Rare, Tallied};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};

impl Fills {
    pub(super) fn put(&self, question: &Question, entry: &Arc<Entry>, shared: bool) {
        let key = question.key_for(shared);
        // Refused only when it is invalidated or a younger one is there: then nobody misses it.
        let kept = self.store.put(key, entry, &question.fields);
        if kept.is_ok() && !question.is_of_object() && entry.fields.get(&NO_VARY_SEARCH).is_some() {
            self.put_equivalent(key, question, entry);
        }
    }

    /// Stores it once more under what counts of its query, and beside it, for its path, what does count: the way that the draft
    /// describes ("Caching").
    fn put_equivalent(&self, key: &[u8], question: &Question, entry: &Arc<Entry>) {
        let fields = entry.fields.unpack(0);
        let Some(rule) = UrlVariation::of(&fields) else { return };
        let mut said = HeaderMap::new();
        said.extend(fields.get_all(NO_VARY_SEARCH).iter().map(|line| (NO_VARY_SEARCH, line.clone())));
        let noted = Arc::new(self.note(entry, &said));
        self.store.note(Rare::Rules);
        let _ = self.store.put(&rule_key(key), &noted, &question.fields);
        let _ = self.store.put(&equivalent_key(key, &rule), entry, &question.fields);
    }

    /// An entry without content or selection that has these fields and goes when `entry` does; nobody counts it.
    fn note(&self, entry: &Entry, fields: &HeaderMap) -> Entry {
        Entry {
            status: entry.status,
            reason: None,
            fields: self.store.names.pack(fields),
            facts: entry.facts,
            sharing: entry.sharing,
            selection: Default::default(),
            held: entry.held.clone(),
            asked_at: entry.asked_at,
            confirmed_at: entry.confirmed_at,
            asked_time: entry.asked_time,
            hits: Default::default(),
            content: OnceLock::new(),
            tally: Tallied::new(Arc::default()),
        }
    }

    pub(super) fn put_whole(
        &self,
        question: &Question,
        entry: &Arc<Entry>,
        body: Bytes,
        trailers: Option<Arc<HeaderMap>>,
        shared: bool,
    ) {
        let told = entry.fields.get(&CONTENT_LENGTH);
        if told.is_some_and(|told| told != body.len().to_string().as_bytes()) {
            return; // an end that isn't as long as it said
        }
        let of_object = question.is_of_object();
        let tagged = entry.etag().is_some_and(|etag| !of_object || is_strong(etag));
        let generate = question.routed.rules.generate_etag && !tagged;
        let etag = generate.then(|| generated_etag(&body, of_object)).flatten();
        let may_be = question.routed.rules.may_encode(entry.fields.get(&CONTENT_TYPE), body.len());
        let encoded = may_be.then(Arc::default);
        drop(entry.content.set(Content::new(body, Extra { trailers, etag, encoded })));
        self.put(question, entry, shared);
        if question.is_for_rest() {
            self.store.forget(&part_key(question.key_for(shared)));
        }
    }

    /// Stores a part, together with what is stored of the same version if that touches it. One whose bytes aren't those that its
    /// head named is not stored.
    pub(super) fn put_part(&self, question: &Question, entry: &Arc<Entry>, body: Bytes, shared: bool) {
        if span(entry).is_none_or(|span| span.part.len() != body.len() as u64) {
            return;
        }
        drop(entry.content.set(Content { body, ..Content::default() }));
        let key = part_key(question.key_for(shared));
        self.store.note(Rare::Parts);
        let stored = self.store.find(&key);
        if let Some(whole) = as_whole(&self.store.names, entry) {
            return self.put(question, &Arc::new(whole), shared);
        }
        let same = stored.iter().flat_map(|all| all.iter()).find(|other| other.selection.matches(&question.fields));
        let most = self.settings.max_object_size;
        match same.and_then(|other| joined(&self.store.names, other, entry, most)).map(Arc::new) {
            Some(whole) if whole.status == StatusCode::OK => {
                self.put(question, &whole, shared);
                self.store.forget(&key);
            }
            Some(more) => drop(self.store.put(&key, &more, &question.fields)),
            None => drop(self.store.put(&key, entry, &question.fields)),
        }
    }
}

/// An entity tag made of the content: the same bytes have the same tag. It is weak, since there may be other ways to what is at the URL; to an
/// object there are none.
pub fn generated_etag(body: &[u8], strong: bool) -> Option<HeaderValue> {
    let digest = Sha256::digest(body);
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let weak = if strong { "" } else { "W/" };
    HeaderValue::try_from(format!("{weak}\"{hex}\"")).ok()
}
