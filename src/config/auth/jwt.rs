//! `kind = "jwt"`.

use super::super::bounds;
use super::super::secret::{from_env, from_file};
use super::super::table::Table;
use super::super::words::Words;
use super::texts::{name_of, scope, url};
use crate::auth::{Demands, Jwt};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use std::time::Duration;

/// The algorithms by name, each with its family.
const ALGORITHMS: &Words<Algorithm> = &[
    ("HS256", Algorithm::HS256),
    ("HS384", Algorithm::HS384),
    ("HS512", Algorithm::HS512),
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

pub(super) fn jwt(t: &Table<'_>) -> Option<Jwt> {
    let algorithms =
        t.need("algorithms", "a list such as [\"RS256\"]", |v| v.list(bounds::SCOPES, |v| v.word(ALGORITHMS)));
    let scopes = |name| t.get(name, |v| v.list(bounds::SCOPES, |v| v.parsed(scope)));
    let text = |name| t.get(name, |v| v.parsed(name_of));
    let mut leeway = Duration::from_secs(30);
    t.set("leeway", &mut leeway, |v| v.duration(&bounds::LEEWAY));
    let permissions = || ["scope", "scp", "roles", "groups", "permissions"].map(String::from).to_vec();
    let demands = Demands {
        algorithms: algorithms.unwrap_or_default(),
        issuer: text("issuer"),
        audience: text("audience"),
        leeway,
        user_claim: text("user_claim").unwrap_or_else(|| "sub".into()),
        required_scopes: scopes("required_scopes").unwrap_or_default(),
        permission_claims: scopes("permission_claims").unwrap_or_else(permissions),
    };
    if demands.issuer.is_none() || demands.audience.is_none() {
        t.at.warn(
            "without issuer and audience a token that the key's owner signed for something else is taken as well",
        );
    }
    let family = demands.algorithms.first()?.family();
    if demands.algorithms.iter().any(|algorithm| algorithm.family() != family) {
        t.place_of("algorithms").fault("expected algorithms of one family: HS…, RS… with PS…, ES… or EdDSA");
        return None;
    }
    if t.find("jwks_url").is_some() {
        return of_issuer(t, family, demands);
    }
    let (key, material) = verifying_key(t, family)?;
    Some(Jwt::new(demands, key, material.as_bytes()))
}

/// With the keys that an issuer publishes.
fn of_issuer(t: &Table<'_>, family: AlgorithmFamily, demands: Demands) -> Option<Jwt> {
    t.forbid(
        &["key_file", "secret_env", "secret_file"],
        "stands beside jwks_url, expected one place where the keys are",
    );
    let url = t.get("jwks_url", url);
    if family == AlgorithmFamily::Hmac {
        t.place_of("jwks_url")
            .fault("HS… has a shared secret, and those aren't published; expected RS…, PS…, ES… or EdDSA");
    }
    Jwt::of_issuer(demands, url?)
}

/// The key that tokens are verified by: a shared secret, or a public key in PEM.
fn verifying_key(t: &Table<'_>, family: AlgorithmFamily) -> Option<(DecodingKey, String)> {
    let env = t.get("secret_env", |v| v.parsed(|name| from_env(v, name)));
    let file = t.get("secret_file", |v| v.parsed(|path| from_file(v, path)));
    let pem = t.get("key_file", |v| v.parsed(|path| from_file(v, path)));
    let given = ["secret_env", "secret_file", "key_file"].map(|name| t.find(name).is_some());
    let wanted = match (family, given) {
        (AlgorithmFamily::Hmac, [true, false, false] | [false, true, false]) => env.or(file),
        (AlgorithmFamily::Hmac, _) => {
            t.at.fault("expected one of secret_env and secret_file for these algorithms");
            None
        }
        (_, [false, false, true]) => pem,
        _ => {
            t.at.fault("expected key_file, a public key in PEM, or jwks_url for these algorithms");
            None
        }
    }?;
    if family != AlgorithmFamily::Hmac && wanted.contains("PRIVATE KEY") {
        t.place_of("key_file").fault("holds a private key; expected the public one, which is all that verifying needs");
        return None;
    }
    let material = wanted.trim_end_matches(['\r', '\n']).to_owned();
    let key = match family {
        AlgorithmFamily::Hmac => Ok(DecodingKey::from_secret(material.as_bytes())),
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(wanted.as_bytes()),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(wanted.as_bytes()),
        AlgorithmFamily::Ed => DecodingKey::from_ed_pem(wanted.as_bytes()),
    };
    if family == AlgorithmFamily::Hmac && material.len() < 32 {
        t.at.warn("the secret has fewer than 32 bytes; it can be guessed from a token (RFC 7518 §3.2)");
    }
    match key {
        Ok(key) => Some((key, material)),
        Err(_) => {
            t.place_of("key_file").fault("expected a public key in PEM of the kind that the algorithms need");
            None
        }
    }
}
