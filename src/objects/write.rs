//! Putting, creating and removing objects: one step each (see the essay in [`super`]).

use super::answer::{answer, matches_one};
use super::{Objects, problems};
use crate::body::Body;
use crate::clock::Now;
use crate::gateway::{Answered, Kind, Object, Outcome, Problem};
use crate::policy::{Routed, Ttl, tags};
use crate::rfc9110::etag::{self, EntityTag};
use crate::rfc9111::freshness::{FOREVER, Source};
use crate::rfc9111::{Facts, Selection, Sharing};
use crate::store::{Content, Entry, Extra, Held, NotKept, Scopes, Severity, Store, Tallied};
use bytes::Bytes;
use http::header::{
    CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, DATE, ETAG, IF_MATCH, IF_NONE_MATCH,
    LOCATION,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, request};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

/// What describes an object, and is kept with it.
const KEPT: [HeaderName; 4] = [CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE];

/// What the answer to a change says of the cache.
const CACHE_STATUS: HeaderValue = HeaderValue::from_static("freshgate; fwd=method; stored");
const REMOVED: HeaderValue = HeaderValue::from_static("freshgate; fwd=method");

/// One change at a time for each key. Two keys may share a lock, and then wait for one another for a few microseconds.
#[derive(Debug)]
pub(super) struct Locks {
    list: Box<[Mutex<()>]>,
    hasher: RandomState,
    /// Makes entity tags of this process unlike those of the one before.
    process: u64,
}

impl Default for Locks {
    fn default() -> Self {
        let hasher = RandomState::new();
        let process = hasher.hash_one("process");
        Locks { list: (0..256).map(|_| Mutex::default()).collect(), hasher, process }
    }
}

impl Locks {
    fn lock(&self, key: &[u8]) -> MutexGuard<'_, ()> {
        let at = self.hasher.hash_one(key) as usize % self.list.len();
        self.list[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Objects::overtake`].
struct Overtaking<'a> {
    scopes: &'a Scopes,
    held: Held,
}

impl Drop for Overtaking<'_> {
    fn drop(&mut self) {
        self.scopes.raise(&self.held, Severity::Hard);
        self.held.settled(0);
    }
}

/// What is to be there.
struct New {
    content: Bytes,
    fields: HeaderMap,
    ttl: Ttl,
    tags: Vec<String>,
}

impl Objects {
    /// PUT, POST and DELETE of an object.
    pub(super) async fn change(
        &self,
        (object, room): (Object, u64),
        ttl: Option<Ttl>,
        parts: request::Parts,
        body: Body,
    ) -> Result<Answered, Problem> {
        let request::Parts { method, headers, .. } = parts;
        let content = self.content(body).await?;
        let api = Some(Arc::clone(&object.mounted.id));
        let response = if method == Method::DELETE {
            self.remove(&object, &headers)?
        } else {
            let tags = tags(&headers).map_err(problems::bad_tags)?;
            let fields = headers.iter().filter(|(name, _)| KEPT.contains(name));
            let fields: HeaderMap = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
            let ttl = ttl.or(object.mounted.api.rules.ttl).unwrap_or(Ttl::Forever);
            let new = New { content, fields, ttl, tags };
            self.put(object, new, (method == Method::POST, room), &headers)?
        };
        Ok((response, Outcome { api, kind: Kind::Write, invalidated: true, ..Outcome::default() }))
    }

    fn put(
        &self,
        object: Object,
        new: New,
        (create, room): (bool, u64),
        expected: &HeaderMap,
    ) -> Result<Response<Body>, Problem> {
        let key = object.key();
        let _one = self.around.lasting.locks.lock(&key);
        let now = self.around.clock.now();
        let current = self.current(&key, now);
        let tag = current.as_deref().and_then(etag_of);
        expect(expected, current.is_some(), tag.as_ref())?;
        if create && current.is_some() {
            return Err(problems::exists(tag));
        }
        let (mounted, path) = (Arc::clone(&object.mounted), object.path.clone());
        let overtaking = self.overtake(&object);
        let entry = Arc::new(self.entry(object, new, now));
        let etag = etag_of(&entry);
        if Store::weight(&key, std::slice::from_ref(&entry)) > room {
            return Err(problems::no_room(room));
        }
        match self.around.store.put(&key, &entry, &HeaderMap::new()) {
            // What has invalidated it already came at the same time: it has been there, and has gone.
            Ok(()) | Err(NotKept::Invalidated) => {}
            Err(NotKept::NoShelf) => return Err(problems::no_namespace(&mounted.api.version)),
            Err(NotKept::OlderThanStored) => return Err(problems::overtaken()),
        }
        drop(overtaking);
        let created = current.is_none();
        let mut response = answer(if created { StatusCode::CREATED } else { StatusCode::NO_CONTENT }, CACHE_STATUS);
        response.headers_mut().extend(etag.map(|etag| (ETAG, etag)));
        if created {
            response.headers_mut().extend(HeaderValue::try_from(path).ok().map(|path| (LOCATION, path)));
        }
        Ok(response)
    }

    fn remove(&self, object: &Object, expected: &HeaderMap) -> Result<Response<Body>, Problem> {
        let key = object.key();
        let _one = self.around.lasting.locks.lock(&key);
        let current = self.current(&key, self.around.clock.now());
        let tag = current.as_deref().and_then(etag_of);
        expect(expected, current.is_some(), tag.as_ref())?;
        // Also where nothing is there: something may be on its way from the source.
        self.invalidate(object);
        if current.is_none() {
            return Err(Problem::no_object());
        }
        self.around.store.forget(&key);
        Ok(answer(StatusCode::NO_CONTENT, REMOVED))
    }

    /// Takes the next epoch for an object's own scope.
    pub(super) fn invalidate(&self, object: &Object) {
        let routed = routed(object);
        let place = routed.place();
        self.around.store.scopes.invalidate(&[place.path(&object.mounted.origin)], Severity::Hard);
    }

    /// As long as this lives nothing is kept of what is asked of the object's source; when it goes, what was asked of it is no longer used.
    /// What is put meanwhile is not meant.
    fn overtake(&self, object: &Object) -> Overtaking<'_> {
        let scopes = &self.around.store.scopes;
        let held = match object.mounted.api.source() {
            Some(_) => scopes.hold(&[routed(object).place().below(&object.mounted.origin)]),
            None => Held::default(),
        };
        held.settle(u64::MAX);
        Overtaking { scopes, held }
    }

    /// The object as it lies in the store, younger than every question so far.
    fn entry(&self, object: Object, new: New, now: Now) -> Entry {
        let (store, locks) = (&self.around.store, &self.around.lasting.locks);
        let routed = routed(&object);
        let standing = routed.standing();
        let mut scopes = standing.known(None);
        scopes.retain(|scope| *scope != standing.place.below(standing.origin)); // which is for what was asked for
        scopes.extend(new.tags.iter().map(|tag| crate::policy::Scope::Tag(&object.mounted.id, tag)));
        let held = store.scopes.hold(&scopes);
        let epoch = store.scopes.raise(&Held::default(), Severity::Hard);
        let mut fields = new.fields;
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(now.unix));
        fields.extend(HeaderValue::try_from(date).ok().map(|date| (DATE, date)));
        let tag = HeaderValue::try_from(format!("\"{:x}-{:x}\"", locks.process, epoch)).ok();
        let content = Content::new(new.content, Extra { etag: tag, ..Extra::default() });
        let tally = Arc::clone(self.around.gateway.tally_of(&object.mounted));
        Entry {
            status: StatusCode::OK,
            reason: None,
            fields: store.names.pack(&fields),
            facts: facts(new.ttl, object.mounted.api.rules.keep_on_error, now),
            sharing: Sharing::Unstated,
            selection: Selection::default(),
            held,
            asked_at: epoch,
            confirmed_at: epoch,
            asked_time: now.mono,
            hits: Default::default(),
            content: OnceLock::from(content),
            tally: Tallied::new(tally),
        }
    }
}

fn routed(object: &Object) -> Routed {
    object.mounted.route(&Method::GET, object.path.clone())
}

fn facts(ttl: Ttl, keep_on_error: Duration, now: Now) -> Facts {
    Facts {
        answered: now.mono,
        initial_age: 0,
        lifetime: match ttl {
            Ttl::For(ttl) => crate::clock::millis(ttl),
            Ttl::Forever => FOREVER,
        },
        stale_while_revalidate: 0,
        stale_if_error: crate::clock::millis(keep_on_error),
        always_validate: false,
        must_revalidate: false,
        immutable: false,
        source: Source::Ttl,
    }
}

/// Its entity tag: ours, or the source's, which is a strong one then.
pub(super) fn etag_of(entry: &Entry) -> Option<HeaderValue> {
    let ours = entry.content.get().and_then(Content::etag).cloned();
    ours.or_else(|| HeaderValue::from_bytes(entry.etag()?).ok())
}

/// `If-Match` and `If-None-Match` for a change (RFC 9110 §13.2.2, steps 1 and 3).
fn expect(fields: &HeaderMap, exists: bool, etag: Option<&HeaderValue>) -> Result<(), Problem> {
    let failed = || Err(problems::precondition(etag.cloned()));
    if fields.contains_key(IF_MATCH) && !(exists && matches_one(fields, etag)) {
        return failed();
    }
    let lines = fields.get_all(IF_NONE_MATCH).into_iter().map(HeaderValue::as_bytes);
    let tag = etag.and_then(|etag| EntityTag::parse(etag.as_bytes()));
    if exists && etag::named(lines, tag, |a, b| a.weak_match(b)) { failed() } else { Ok(()) }
}
