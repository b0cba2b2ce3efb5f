//! `kind = "jwt"`: each caller shows a token that an issuer has signed (RFC 7519, RFC 6750).
//!
//! The algorithms are the file's, never the token's, and the key is of their family, so that neither `none` nor a public key taken for a
//! shared secret gets anywhere. Signatures are the library's; what the claims say is judged here, by the time that is given.
//! A token whose signature held is remembered by its digest; its times are looked at again each time.

use super::caller::{Caller, Denied, Presented, has_all, one_value};
use crate::secret::{Digest, digest};
use http::header::AUTHORIZATION;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
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

/// A key, and what the tokens that it has signed must be.
pub struct Jwt {
    demands: Demands,
    key: DecodingKey,
    /// Of the key's material, to tell two apart.
    material: Digest,
    validation: Validation,
    remembered: Cache<Digest, Arc<Verified>>,
}

/// A token whose signature held.
struct Verified {
    caller: Caller,
    scopes: Vec<String>,
    /// Seconds since 1970.
    expires: f64,
    not_before: f64,
}

impl Jwt {
    /// `material` is what the key was made of.
    pub fn new(demands: Demands, key: DecodingKey, material: &[u8]) -> Self {
        let mut validation = Validation::default();
        validation.algorithms.clone_from(&demands.algorithms);
        // All of these are judged below, by our own clock.
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        Jwt { demands, key, material: digest(material), validation, remembered: Cache::new(REMEMBERED) }
    }

    /// What a token must be.
    pub fn demands(&self) -> &Demands {
        &self.demands
    }

    pub(super) fn check(&self, request: &Presented<'_>) -> Result<Caller, Denied> {
        let token = bearer(one_value(request.fields, &AUTHORIZATION)?)?;
        let name = digest(token);
        let known = self.remembered.get(&name);
        let is_new = known.is_none();
        let verified = match known {
            Some(verified) => verified,
            None => Arc::new(self.verify(token)?),
        };
        let (now, leeway) = (request.unix as f64 / 1000.0, self.demands.leeway.as_secs_f64());
        if now >= verified.expires + leeway {
            return Err(Denied::Expired);
        }
        if now < verified.not_before - leeway {
            return Err(Denied::NotYet);
        }
        has_all(&verified.scopes, &self.demands.required_scopes)?;
        let caller = verified.caller.clone();
        if is_new {
            self.remembered.insert(name, verified);
        }
        Ok(caller)
    }

    /// All that doesn't change with time.
    fn verify(&self, token: &[u8]) -> Result<Verified, Denied> {
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &self.key, &self.validation);
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
            Some(_) | None => return Err(Denied::Malformed),
        };
        let right = |name: &String| Some(format!("{name}={}", claims.get(name)?));
        let rights = self.demands.permission_claims.iter().filter_map(right).collect();
        let expires = claims.get("exp").and_then(Value::as_f64).ok_or(Denied::Malformed)?;
        let not_before = match claims.get("nbf") {
            None => f64::MIN,
            Some(at) => at.as_f64().ok_or(Denied::Malformed)?,
        };
        let scopes = ["scope", "scp"].iter().flat_map(|name| words(claims.get(*name))).collect();
        let caller = Caller { user, rights, claims: Some(Arc::new(claims)), consumed: Some(AUTHORIZATION) };
        Ok(Verified { caller, scopes, expires, not_before })
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
        self.demands == other.demands && self.material == other.material
    }
}

impl Eq for Jwt {}
