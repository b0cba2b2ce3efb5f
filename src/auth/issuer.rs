//! An issuer's public keys, fetched from a URL (JWK Set, RFC 7517) and kept fresh.
//!
//! The set in force is replaced as a whole and numbered. It stays in force while the issuer can't be reached, however long that is: who
//! signs isn't doubted because a network is down. Before the first set has come nobody gets in. A set that says that there are no keys
//! is believed.
//!
//! Who asks the issuer when: the watch, once the set is [`REFRESH`] old (and at each of its looks while there is none); and a token whose
//! key isn't known, once in [`UNKNOWN_KEY`], so that strangers can't make us ask more often. There is one fetch at a time, in a task of
//! its own; who needs its outcome waits for it, at most as long as a fetch may take.
//!
//! A key is used only for what it says it is for: its type must be of the family that the file names, `alg` and `use` must agree where
//! they are given, and a shared secret in a public set is no key at all. What isn't usable is passed over, as RFC 7517 §5 has it.

use super::remote::{Outside, Remote, Url};
use crate::clock::millis;
use crate::counted::Counted;
use arc_swap::ArcSwapOption;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How old a set may be before it is fetched anew.
const REFRESH: Duration = Duration::from_secs(300);
/// How often tokens of unknown keys may cause a fetch.
const UNKNOWN_KEY: Duration = Duration::from_secs(30);
/// How long a fetch may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A set of more bytes isn't read.
const LONGEST: usize = 1 << 20;
/// A set of more keys isn't used.
const MOST_KEYS: usize = 100;

/// The keys of an issuer, as they were when it was asked last.
pub(super) struct Issuer {
    remote: Remote,
    family: AlgorithmFamily,
    keys: ArcSwapOption<KeySet>,
    /// When the fetches began that made the set what it is, and the one that an unknown key caused; in monotonic milliseconds plus one.
    fetched: AtomicU64,
    wondered: AtomicU64,
    /// Cancelled when the latest fetch has ended.
    fetch: Mutex<CancellationToken>,
    /// Why the last fetch failed, so that the same isn't told again and again.
    failure: Mutex<Option<&'static str>>,
}

/// Usable keys.
pub(super) struct KeySet {
    /// Which set it is: another number, other keys.
    pub(super) number: u64,
    keys: Vec<(Jwk, DecodingKey)>,
}

impl KeySet {
    /// Whether another fetch could tell nothing new: the key is here, or none is named.
    pub(super) fn knows(&self, header: &Header) -> bool {
        header.kid.is_none() || self.keys.iter().any(|(jwk, _)| jwk.common.key_id == header.kid)
    }

    /// The one key that a token can be signed by. `kid` is a token's word, so it only ever chooses among usable keys; without it there
    /// must be no choice.
    pub(super) fn find(&self, header: &Header) -> Option<&DecodingKey> {
        let named = |jwk: &Jwk| header.kid.is_none() || jwk.common.key_id == header.kid;
        let mut found = self.keys.iter().filter(|(jwk, _)| named(jwk));
        let (Some((jwk, key)), None) = (found.next(), found.next()) else { return None };
        is_for(jwk, header.alg).then_some(key)
    }
}

impl Issuer {
    pub(super) fn new(url: Url, family: AlgorithmFamily) -> Self {
        let fetch = CancellationToken::new();
        fetch.cancel();
        Issuer {
            remote: Remote::new(url, TIMEOUT),
            family,
            keys: ArcSwapOption::empty(),
            fetched: AtomicU64::new(0),
            wondered: AtomicU64::new(0),
            fetch: Mutex::new(fetch),
            failure: Mutex::new(None),
        }
    }

    pub(super) fn url(&self) -> &Url {
        &self.remote.url
    }

    /// The first time begins the first fetch.
    pub(super) fn join(self: &Arc<Self>, outside: &Outside) {
        if self.remote.join(outside) {
            drop(self.begin());
        }
    }

    /// The set in force.
    pub(super) fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// Fetches the set if it is old, or isn't there.
    pub(super) fn look(self: &Arc<Self>) {
        let Some(outside) = self.remote.outside() else { return };
        let fetched = self.fetched.load(Ordering::SeqCst);
        if fetched == 0 || outside.clock.mono() + 1 >= fetched.saturating_add(millis(REFRESH)) {
            drop(self.begin());
        }
    }

    /// The fetch that a token of an unknown key may wait for: one that is under way, or a new one if one may begin.
    pub(super) fn wonder(self: &Arc<Self>) -> Option<CancellationToken> {
        let under_way = self.latest();
        if !under_way.is_cancelled() {
            return Some(under_way);
        }
        let now = self.remote.outside()?.clock.mono() + 1;
        let due = |last: u64| (last == 0 || now >= last.saturating_add(millis(UNKNOWN_KEY))).then_some(now);
        let may = self.wondered.fetch_update(Ordering::SeqCst, Ordering::SeqCst, due).is_ok();
        if may { self.begin() } else { None }
    }

    /// A place among those who wait.
    pub(super) fn place(&self) -> Option<Counted> {
        self.remote.outside()?.waiting.take()
    }

    /// Waits for a fetch, at most as long as it may take.
    pub(super) async fn wait(&self, fetch: CancellationToken) {
        drop(tokio::time::timeout(TIMEOUT, fetch.cancelled()).await);
    }

    fn latest(&self) -> CancellationToken {
        self.fetch.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins a fetch, or finds the one that is under way.
    fn begin(self: &Arc<Self>) -> Option<CancellationToken> {
        let outside = self.remote.outside()?;
        let mut latest = self.fetch.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.is_cancelled() {
            *latest = CancellationToken::new();
            let (issuer, ended) = (Arc::clone(self), latest.clone().drop_guard());
            let began = outside.clock.mono() + 1;
            outside.tasks.spawn(async move {
                let fetched = issuer.fetch().await;
                issuer.take(fetched, began);
                drop(ended);
            });
        }
        Some(latest.clone())
    }

    async fn fetch(&self) -> Result<Vec<(Jwk, DecodingKey)>, &'static str> {
        let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
        let fields = HeaderMap::from_iter([(ACCEPT, accept)]);
        let answer = self.remote.get(fields, LONGEST).await?;
        if answer.status() != http::StatusCode::OK {
            return Err("not-200");
        }
        usable(answer.body().as_ref().ok_or("too-long")?, self.family)
    }

    /// Puts what was fetched in force. One fetch at a time, so none overtakes another.
    fn take(&self, fetched: Result<Vec<(Jwk, DecodingKey)>, &'static str>, began: u64) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let url = &*self.url().shown();
        let keys = match fetched {
            Err(why) => {
                if failure.replace(why) != Some(why) {
                    let kept = self.keys.load().is_some();
                    tracing::warn!(url, why, kept, "an issuer's keys can't be fetched");
                }
                return;
            }
            Ok(keys) => keys,
        };
        *failure = None;
        self.fetched.store(began, Ordering::SeqCst);
        let old = self.keys.load_full();
        if old.as_ref().is_some_and(|old| old.keys.iter().map(|(jwk, _)| jwk).eq(keys.iter().map(|(jwk, _)| jwk))) {
            return;
        }
        if keys.is_empty() {
            tracing::warn!(url, "an issuer has no usable key: nobody gets in");
        }
        let number = old.map_or(0, |old| old.number) + 1;
        tracing::info!(url, keys = keys.len(), "an issuer's keys were fetched");
        self.keys.store(Some(Arc::new(KeySet { number, keys })));
    }
}

/// The keys of a set that tokens of this family can be verified by.
fn usable(set: &[u8], family: AlgorithmFamily) -> Result<Vec<(Jwk, DecodingKey)>, &'static str> {
    let set: Value = serde_json::from_slice(set).map_err(|_| "not-json")?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("not-a-key-set")?;
    if keys.len() > MOST_KEYS {
        return Err("too-many-keys");
    }
    let read = |key: &Value| serde_json::from_value::<Jwk>(key.clone()).ok();
    let key = |jwk: Jwk| Some((DecodingKey::from_jwk(&jwk).ok()?, jwk)).map(|(key, jwk)| (jwk, key));
    Ok(keys
        .iter()
        .filter_map(read)
        .filter(|jwk| family_of(jwk) == Some(family) && verifies(jwk))
        .filter_map(key)
        .collect())
}

/// The family of a key by its type and curve; none for a shared secret, and for what isn't known here.
fn family_of(jwk: &Jwk) -> Option<AlgorithmFamily> {
    if matches!(jwk.algorithm, AlgorithmParameters::RSA(_)) {
        return Some(AlgorithmFamily::Rsa);
    }
    match (ec_curve(jwk), &jwk.algorithm) {
        (Some(EllipticCurve::P256 | EllipticCurve::P384), _) => Some(AlgorithmFamily::Ec),
        (None, AlgorithmParameters::OctetKeyPair(key)) if key.curve == EllipticCurve::Ed25519 => {
            Some(AlgorithmFamily::Ed)
        }
        (_, _) => None,
    }
}

fn ec_curve(jwk: &Jwk) -> Option<&EllipticCurve> {
    if let AlgorithmParameters::EllipticCurve(key) = &jwk.algorithm { Some(&key.curve) } else { None }
}

/// Whether it is for signatures (RFC 7517 §4.2, §4.3).
fn verifies(jwk: &Jwk) -> bool {
    let common = &jwk.common;
    common.public_key_use.as_ref().is_none_or(|r#use| *r#use == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|may| may.contains(&KeyOperations::Verify))
}

/// Whether it is for this algorithm: by its own word (RFC 7517 §4.4), and by its curve (RFC 7518 §3.4).
fn is_for(jwk: &Jwk, algorithm: Algorithm) -> bool {
    let says = jwk.common.key_algorithm.is_none_or(|own| own == KeyAlgorithm::from(algorithm));
    let wanted = match ec_curve(jwk) {
        Some(EllipticCurve::P384) => algorithm == Algorithm::ES384,
        Some(_) => algorithm == Algorithm::ES256,
        None => true,
    };
    says && wanted
}
