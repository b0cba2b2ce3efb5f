//! `kind = "jwt"`: each caller shows a token that an issuer has signed (RFC 7519, RFC 6750).
//!
//! The algorithms are the file's, never the token's, and the key is of their family, so that neither `none` nor a public key taken for a
//! shared secret gets anywhere. Signatures are the library's; what the claims say is judged here, by the time that is given.
//! A token whose signature held is remembered by its digest, with the set of keys that it was verified by: of another set it says nothing.
//! Its times are looked at again each time.

use super::caller::{Caller, Checked, Denied, Presented, has_all, has_large_number, one_value};
use super::issuer::{Issuer, KeySet};
use super::remote::{Outside, Url};
use crate::clock::Now;
use crate::secret::{Digest, digest};
use http::header::AUTHORIZATION;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header, Validation};
use moka::sync::Cache;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A longer token isn't looked at.
const LONGEST: usize = 16 << 10;

/// Tokens that are remembered.
const REMEMBERED: u64 = 10_000;

/// What a token must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demands {
    /// `algorithms`, all of the key's family.
    pub algorithms: Vec<Algorithm>,
    /// `issuer`: what `iss` must be.
    pub issuer: Option<String>,
    /// `audience`: what `aud` must be or hold. Without it a token that names an audience is refused (RFC 7519 §4.1.3).
    pub audience: Option<String>,
    /// `leeway`: how far clocks may be apart.
    pub leeway: Duration,
    /// `user_claim`: the claim that names the caller.
    pub user_claim: String,
    /// `required_scopes`: what `scope` or `scp` must hold.
    pub required_scopes: Vec<String>,
    /// `permission_claims`: what the caller may do, part of its partition.
    pub permission_claims: Vec<String>,
}

/// Keys, and what the tokens that they have signed must be.
pub struct Jwt {
    demands: Demands,
    keys: Keys,
    validation: Validation,
    remembered: Cache<Digest, Arc<Verified>>,
}

/// Where the keys come from.
enum Keys {
    /// One, from a file; and the digest of its material, to tell two apart.
    One(Box<DecodingKey>, Digest),
    /// An issuer's.
    Of(Arc<Issuer>),
}

impl Demands {
    /// What claims say that their caller may do.
    pub fn rights(&self, claims: &Map<String, Value>) -> Vec<String> {
        let right = |name: &String| Some(format!("{name}={}", claims.get(name)?));
        self.permission_claims.iter().filter_map(right).collect()
    }
}

/// A token whose signature held.
struct Verified {
    caller: Caller,
    scopes: Vec<String>,
    /// Seconds since 1970.
    expires: f64,
    not_before: f64,
    /// The number of the set of keys that it was verified by; 0 for the one from a file.
    by: u64,
}

impl Jwt {
    /// With one key; `material` is what it was made of.
    pub fn new(demands: Demands, key: DecodingKey, material: &[u8]) -> Self {
        Jwt::with(demands, Keys::One(Box::new(key), digest(material)))
    }

    /// With the keys that an issuer has at `url`; `None` where no public key can verify what is demanded.
    pub fn of_issuer(demands: Demands, url: Url) -> Option<Self> {
        let family = demands.algorithms.first()?.family();
        let issuer = Arc::new(Issuer::new(url, family));
        (family != AlgorithmFamily::Hmac).then(|| Jwt::with(demands, Keys::Of(issuer)))
    }

    fn with(demands: Demands, keys: Keys) -> Self {
        let mut validation = Validation::default();
        validation.algorithms.clone_from(&demands.algorithms);
        // All of these are judged below, by our own clock.
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        Jwt { demands, keys, validation, remembered: Cache::new(REMEMBERED) }
    }

    /// What a token must be.
    pub fn demands(&self) -> &Demands {
        &self.demands
    }

    /// `jwks_url`, if that is where the keys come from.
    pub fn issuer(&self) -> Option<&Url> {
        match &self.keys {
            Keys::One(..) => None,
            Keys::Of(issuer) => Some(issuer.url()),
        }
    }

    pub(super) fn join(&self, outside: &Outside) {
        if let Keys::Of(issuer) = &self.keys {
            issuer.join(outside);
        }
    }

    /// Fetches the keys of an issuer, in the background, if they are old.
    pub(super) fn look(&self) {
        if let Keys::Of(issuer) = &self.keys {
            issuer.look();
        }
    }

    /// Forgets that tokens of this caller held: they are verified anew.
    pub(super) fn forget(&self, user: &str) {
        for (name, verified) in &self.remembered {
            if *verified.caller.user == *user {
                self.remembered.invalidate(&*name);
            }
        }
    }

    pub(super) fn check(self: &Arc<Self>, request: &Presented<'_>) -> Checked {
        let token = match one_value(request.fields, &AUTHORIZATION).and_then(bearer) {
            Ok(token) => token,
            Err(denied) => return Checked::of(Err(denied)),
        };
        let name = digest(token);
        match &self.keys {
            Keys::One(key, _) => Checked::of(self.judge(token, name, Some(key), 0, request.now)),
            Keys::Of(issuer) => self.check_by(issuer, token, name, request.now),
        }
    }

    /// The same as far as it is known without asking anybody; nothing is remembered. `None` where the issuer might have to be asked.
    pub(super) fn recall(&self, request: &Presented<'_>) -> Option<Result<Caller, Denied>> {
        let token = match one_value(request.fields, &AUTHORIZATION).and_then(bearer) {
            Ok(token) => token,
            Err(denied) => return Some(Err(denied)),
        };
        let (name, now) = (digest(token), request.now);
        let told = |key: Option<&DecodingKey>, by| match self.remembered(&name, by) {
            Some(verified) => self.admit(&verified, now),
            None => self.admit(&self.verify(token, key.ok_or(Denied::Unknown)?, by)?, now),
        };
        match &self.keys {
            Keys::One(key, _) => Some(told(Some(key), 0)),
            Keys::Of(issuer) => {
                let Some(header) = self.header(token) else { return Some(Err(Denied::Unknown)) };
                let set = issuer.keys().filter(|set| set.knows(&header))?;
                Some(told(set.find(&header), set.number))
            }
        }
    }

    /// By the keys that are there, or those that are about to be.
    fn check_by(self: &Arc<Self>, issuer: &Arc<Issuer>, token: &[u8], name: Digest, now: Now) -> Checked {
        let set = issuer.keys();
        if let Some(verified) = set.as_ref().and_then(|set| self.remembered(&name, set.number)) {
            return Checked::of(self.admit(&verified, now));
        }
        let Some(header) = self.header(token) else { return Checked::of(Err(Denied::Unknown)) };
        let nobody_to_ask = set.as_ref().is_some_and(|set| set.knows(&header));
        let fetch = if nobody_to_ask { None } else { issuer.wonder() };
        let (jwt, issuer, token) = (Arc::clone(self), Arc::clone(issuer), token.to_vec());
        let judge = move |set: Option<Arc<KeySet>>| {
            let set = set.ok_or(Denied::NoKeys)?;
            jwt.judge(&token, name, set.find(&header), set.number, now)
        };
        match fetch {
            None => Checked::of(judge(set)),
            Some(fetch) => Checked::Later(Box::pin(async move {
                let Some(_waits) = issuer.place() else { return Err(Denied::NoKeys.into()) };
                issuer.wait(fetch).await;
                Ok(Some(judge(issuer.keys())?))
            })),
        }
    }

    /// What a token says of how it is signed, if it can be read and the algorithm is one of the file's.
    fn header(&self, token: &[u8]) -> Option<Header> {
        jsonwebtoken::decode_header(token).ok().filter(|header| self.demands.algorithms.contains(&header.alg))
    }

    fn remembered(&self, name: &Digest, by: u64) -> Option<Arc<Verified>> {
        self.remembered.get(name).filter(|verified| verified.by == by)
    }

    /// Whose token it is, by `key` of the set number `by`.
    fn judge(
        &self,
        token: &[u8],
        name: Digest,
        key: Option<&DecodingKey>,
        by: u64,
        now: Now,
    ) -> Result<Caller, Denied> {
        if let Some(verified) = self.remembered(&name, by) {
            return self.admit(&verified, now);
        }
        let verified = self.verify(token, key.ok_or(Denied::Unknown)?, by)?;
        let caller = self.admit(&verified, now)?;
        self.remembered.insert(name, Arc::new(verified));
        Ok(caller)
    }

    /// All that changes with time, and what the caller may do.
    fn admit(&self, verified: &Verified, now: Now) -> Result<Caller, Denied> {
        let (now, leeway) = (now.unix as f64 / 1000.0, self.demands.leeway.as_secs_f64());
        if now >= verified.expires + leeway {
            return Err(Denied::Expired);
        }
        if now < verified.not_before - leeway {
            return Err(Denied::NotYet);
        }
        has_all(&verified.scopes, &self.demands.required_scopes)?;
        Ok(verified.caller.clone())
    }

    /// All that doesn't change with time.
    fn verify(&self, token: &[u8], key: &DecodingKey, by: u64) -> Result<Verified, Denied> {
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, key, &self.validation);
        let decoded = decoded.map_err(|_| Denied::Unknown)?;
        if decoded.header.crit.is_some() {
            return Err(Denied::Malformed); // RFC 7515 §4.1.11: nothing that a token may call critical is understood here
        }
        let claims = decoded.claims;
        if let Some(issuer) = &self.demands.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(Denied::Issuer);
        }
        if !is_for(claims.get("aud"), self.demands.audience.as_deref()) {
            return Err(Denied::Audience);
        }
        let user = match claims.get(&self.demands.user_claim) {
            Some(Value::String(user)) if !user.is_empty() => user.as_str().into(),
            // Not one with a fraction, nor one so large that two of them would be read alike.
            Some(Value::Number(user)) if !user.is_f64() => user.to_string().into(),
            Some(_) | None => return Err(Denied::Incomplete),
        };
        // Two rights that are read alike would be one partition.
        if self.demands.permission_claims.iter().filter_map(|name| claims.get(name)).any(has_large_number) {
            return Err(Denied::Incomplete);
        }
        let rights = self.demands.rights(&claims).into();
        let expires = claims.get("exp").and_then(Value::as_f64).ok_or(Denied::Incomplete)?;
        let not_before = match claims.get("nbf") {
            None => f64::MIN,
            Some(at) => at.as_f64().ok_or(Denied::Incomplete)?,
        };
        let scopes = ["scope", "scp"].iter().flat_map(|name| words(claims.get(*name))).collect();
        let (claims, consumed) = (Some(Arc::new(claims)), Arc::from([AUTHORIZATION]));
        let caller = Caller { user, named: true, rights, claims, consumed, told: Arc::default() };
        Ok(Verified { caller, scopes, expires, not_before, by })
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1).
fn bearer(value: &[u8]) -> Result<&[u8], Denied> {
    let Some((scheme, token)) = value.split_at_checked(7) else { return Err(Denied::Missing) };
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(Denied::Missing);
    }
    let token = token.trim_ascii();
    if token.is_empty() || token.len() > LONGEST { Err(Denied::Malformed) } else { Ok(token) }
}

/// Whether a token is for `audience` (RFC 7519 §4.1.3).
fn is_for(aud: Option<&Value>, audience: Option<&str>) -> bool {
    match (aud, audience) {
        (None, audience) => audience.is_none(),
        (Some(_), None) => false,
        (Some(Value::String(aud)), Some(audience)) => aud == audience,
        (Some(Value::Array(all)), Some(audience)) => all.iter().any(|aud| aud.as_str() == Some(audience)),
        (Some(_), Some(_)) => false,
    }
}

/// The words of a claim that is a string of them or a list.
fn words(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::String(text)) => text.split_whitespace().map(Into::into).collect(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(Into::into).collect(),
        Some(_) | None => Vec::new(),
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.demands.fmt(f)
    }
}

impl PartialEq for Jwt {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.keys, &other.keys) {
            (Keys::One(_, a), Keys::One(_, b)) => a == b,
            (Keys::Of(a), Keys::Of(b)) => a.url() == b.url(),
            (Keys::One(..), Keys::Of(_)) | (Keys::Of(_), Keys::One(..)) => false,
        };
        same && self.demands == other.demands
    }
}

impl Eq for Jwt {}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};
    use jsonwebtoken::{EncodingKey, encode};

    #[test]
    fn what_held_is_remembered_until_its_caller_is_forgotten() {
        let secret = b"a secret that is long enough to be one";
        let demands = Demands {
            algorithms: vec![Algorithm::HS256],
            issuer: None,
            audience: None,
            leeway: Duration::ZERO,
            user_claim: "sub".into(),
            required_scopes: Vec::new(),
            permission_claims: Vec::new(),
        };
        let jwt = Arc::new(Jwt::new(demands, DecodingKey::from_secret(secret), secret));
        let names = ["alice", "bob"].map(|user| {
            let claims = serde_json::json!({ "sub": user, "exp": 1 });
            let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(secret)).unwrap();
            let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
            let fields = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            assert!(matches!(jwt.check(&Presented::get(&fields, None)), Checked::Now(Ok(Some(_)))));
            digest(token.as_bytes())
        });
        let remembered = || names.map(|name| jwt.remembered.contains_key(&name));
        assert_eq!(remembered(), [true, true]);
        jwt.forget("alice");
        assert_eq!(remembered(), [false, true]);
    }
}
