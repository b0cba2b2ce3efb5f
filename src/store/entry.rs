//! One stored answer.

use super::accounts::Charge;
use super::encodings::{Encoding, Encodings};
use super::fields::Fields;
use super::scopes::{Epoch, Held, Standing};
use crate::clock::Now;
use crate::rfc9110::accept_encoding::Coding;
use crate::rfc9110::date;
use crate::rfc9111::{Facts, Selection, Sharing};
use bytes::Bytes;
use http::header::{DATE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// An answer as it is kept: made when its head has come, complete when its [`Content`] is set.
#[derive(Debug)]
pub struct Entry {
    /// The status.
    pub status: StatusCode,
    /// The words behind the status, where they aren't the usual ones; boxed, since few answers have them.
    pub reason: Option<Box<ReasonPhrase>>,
    /// The end-to-end fields.
    pub fields: Fields,
    /// What decides about its freshness.
    pub facts: Facts,
    /// How widely the origin lets it be shared.
    pub sharing: Sharing,
    /// The fields of its request that it depends on (`Vary`), with their values.
    pub selection: Selection,
    /// The cells of its scopes.
    pub held: Held,
    /// When it was asked for; what a hard invalidation is compared with.
    pub asked_at: Epoch,
    /// When its origin last said that it is current; what a soft one is compared with.
    pub confirmed_at: Epoch,
    /// Monotonic milliseconds when it was last asked for or confirmed.
    pub asked_time: u64,
    /// How often it was used.
    pub hits: Hits,
    /// Content and trailers, once they have come whole.
    pub content: OnceLock<Content>,
    /// The API's count of what is stored, and the account that it is charged to.
    pub tally: Tallied,
}

/// How often an entry was used since it was stored; at 2^32 it begins anew. It lies in the same block as the count of references, which
/// every use writes as well, and where there was room.
#[derive(Debug, Default)]
pub struct Hits(AtomicU32);

impl Hits {
    /// The count.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// For an entry that takes this one's place.
    #[must_use]
    pub fn again(&self) -> Hits {
        Hits(self.get().into())
    }
}

/// A whole content.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The bytes.
    pub body: Bytes,
    /// What few have.
    pub extra: Option<Box<Extra>>,
}

/// What comes with few contents.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// Trailer fields, when there were any.
    pub trailers: Option<Arc<HeaderMap>>,
    /// An entity tag of our own (`etag = "generate"`), where the origin gave none.
    pub etag: Option<HeaderValue>,
    /// What it was encoded to, where it may be (`compress`).
    pub encoded: Option<Arc<Encodings>>,
}

/// What a value costs that is shared, beside its bytes.
const SHARED: usize = 40;

impl Extra {
    /// Bytes of memory that it takes, but for the trailer fields, which few have.
    fn size(&self) -> usize {
        let etag = self.etag.as_ref().map_or(0, |etag| etag.len() + SHARED);
        size_of::<Self>() + etag + self.encoded.as_ref().map_or(0, |encoded| encoded.size())
    }
}

impl Content {
    /// With these, if there are any.
    pub fn new(body: Bytes, extra: Extra) -> Self {
        let some = extra.trailers.is_some() || extra.etag.is_some() || extra.encoded.is_some();
        Content { body, extra: some.then(|| Box::new(extra)) }
    }

    /// Trailer fields, when there were any.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.extra.as_ref()?.trailers.as_deref()
    }

    /// It in this coding, if it was ever encoded; `Some(None)` where that makes it no smaller.
    pub fn encoded(&self, coding: Coding) -> Option<Option<&Bytes>> {
        self.encoding(coding)?.get().map(Option::as_ref)
    }

    /// Where it is to be put in this coding, if that is kept. Who does calls [`Store::reweigh`](super::Store::reweigh).
    pub fn encoding(&self, coding: Coding) -> Option<&Encoding> {
        Some(self.extra.as_ref()?.encoded.as_ref()?.of(coding))
    }

    /// An entity tag of our own.
    pub fn etag(&self) -> Option<&HeaderValue> {
        self.extra.as_ref()?.etag.as_ref()
    }
}

impl Entry {
    /// What its scopes say now.
    pub fn standing(&self) -> Standing {
        self.held.standing(self.asked_at, self.confirmed_at)
    }

    /// Counts a use of it.
    pub fn hit(&self) {
        self.tally.tally().hit();
        self.hits.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Its entity tag.
    pub fn etag(&self) -> Option<&[u8]> {
        self.fields.get(&ETAG)
    }

    /// Its modification date.
    pub fn last_modified(&self) -> Option<&[u8]> {
        self.fields.get(&LAST_MODIFIED)
    }

    /// Counts that it leaves the store.
    pub(super) fn goes(&self, why: Gone) {
        let why = if why != Gone::Size && self.standing() == Standing::Invalidated { Gone::Invalidated } else { why };
        if let Some(count) = self.tally.tally.gone.get(why as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Its `Date`, in milliseconds; zero where that can't be read.
    pub fn date(&self) -> u64 {
        self.fields.get(&DATE).and_then(|value| date::parse(value, 0)).unwrap_or(0)
    }

    /// Whether nothing can be done with it any more: invalidated, or stale beyond every use and without a validator.
    pub fn is_dead(&self, now: Now) -> bool {
        match self.standing() {
            Standing::Invalidated => true,
            Standing::Current | Standing::Outdated => {
                let whole = self.status != StatusCode::PARTIAL_CONTENT; // a part isn't validated, it is fetched anew
                let validator = whole && (self.etag().is_some() || self.last_modified().is_some());
                !validator && is_useless(&self.facts, now)
            }
        }
    }

    /// Bytes of memory it takes, without its key.
    pub fn size(&self) -> usize {
        let extra = |content: &Content| content.extra.as_ref().map_or(0, |extra| extra.size());
        let body = self.content.get().map_or(0, |c| c.body.len() + extra(c));
        size_of::<Entry>()
            + 2 * size_of::<usize>()
            + self.fields.size()
            + body
            + self.held.len() * size_of::<usize>()
            + self.selection.weight()
    }
}

/// Stale beyond every use.
fn is_useless(facts: &Facts, now: Now) -> bool {
    facts.staleness(now) > facts.stale_while_revalidate.max(facts.stale_if_error)
}

/// What one API has in the store.
#[derive(Debug, Default)]
pub struct Tally {
    entries: AtomicI64,
    bytes: AtomicI64,
    hits: AtomicU64,
    asked: AtomicU64,
    gone: [AtomicU64; Gone::ALL.len()],
}

/// Why an answer left the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// For want of room.
    Size,
    /// Swept: stale beyond every use.
    Expired,
    /// Invalidated, and then swept or replaced.
    Invalidated,
    /// A younger answer to its request has come.
    Replaced,
}

impl Gone {
    /// All of them, in the order of the declaration.
    pub const ALL: [Gone; 4] = [Gone::Size, Gone::Expired, Gone::Invalidated, Gone::Replaced];

    /// The word that metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Gone::Size => "size",
            Gone::Expired => "expired",
            Gone::Invalidated => "invalidated",
            Gone::Replaced => "replaced",
        }
    }
}

impl Tally {
    /// Answers stored, invalidated ones that are not yet swept included.
    pub fn entries(&self) -> u64 {
        u64::try_from(self.entries.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Bytes they take.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.bytes.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Counts a use of a stored answer.
    fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a question to the origin.
    pub fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// How many questions the origin was asked for the cache's sake, whether or not somebody waited for the answer.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many answers left the store, by why.
    pub fn gone(&self) -> impl Iterator<Item = (Gone, u64)> + '_ {
        Gone::ALL.into_iter().zip(&self.gone).map(|(why, count)| (why, count.load(Ordering::Relaxed)))
    }

    /// How often stored answers were used.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }
}

/// Counts an entry in while it is stored and out when it goes, by whatever way; for its API, and for the one who asked for it.
#[derive(Debug)]
pub struct Tallied {
    tally: Arc<Tally>,
    charge: Charge,
    /// The bytes that were counted in; 0 before.
    counted: AtomicI64,
}

impl Tallied {
    /// Not counted yet, and charged to nobody.
    pub fn new(tally: Arc<Tally>) -> Self {
        Tallied::charged(tally, Charge::default())
    }

    /// Not counted yet.
    pub fn charged(tally: Arc<Tally>, charge: Charge) -> Self {
        Tallied { tally, charge, counted: AtomicI64::new(0) }
    }

    /// For an entry that is made of this one and takes its place.
    #[must_use]
    pub fn again(&self) -> Self {
        Tallied::charged(Arc::clone(&self.tally), self.charge.clone())
    }

    /// Whose place it takes in an account.
    pub fn charge(&self) -> &Charge {
        &self.charge
    }

    /// The tally it is counted in.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Counts it as `bytes` from now on, if it was counted in.
    pub(super) fn recount(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX).max(1);
        let changed = |before: i64| (before > 0).then_some(bytes);
        if let Ok(before) = self.counted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed) {
            self.tally.bytes.fetch_add(bytes - before, Ordering::Relaxed);
        }
    }

    /// Counts `bytes` in, once.
    pub(super) fn count(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX).max(1);
        if self.counted.compare_exchange(0, bytes, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.tally.entries.fetch_add(1, Ordering::Relaxed);
            self.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Tallied {
    fn drop(&mut self) {
        let bytes = *self.counted.get_mut();
        if bytes > 0 {
            self.tally.entries.fetch_sub(1, Ordering::Relaxed);
            self.tally.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}
