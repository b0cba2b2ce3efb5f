//! `[api.auth]` and `[api.route.auth]`.

use super::bounds;
use super::read::no_twins;
use super::secret::{from_env, from_file, secret};
use super::table::{Table, Value};
use super::unavailable;
use super::words::Words;
use crate::auth::{ApiKey, Demands, Jwt, Key, Place, Settings, TrustedHeader};
use http::HeaderName;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use std::sync::Arc;
use std::time::Duration;

/// How callers are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    ApiKey,
    Jwt,
    TrustedHeader,
    /// Named by the contract and not there yet.
    Later,
}

const KINDS: &Words<Kind> = &[
    ("none", Kind::None),
    ("api-key", Kind::ApiKey),
    ("trusted-header", Kind::TrustedHeader),
    ("jwt", Kind::Jwt),
    ("forward", Kind::Later),
];

/// Reads the table `auth` of `t`; it takes the place of what held before as a whole.
pub(super) fn auth(t: &Table<'_>, auth: &mut Settings) {
    let Some(t) = t.table("auth") else { return };
    let kind = t.need("kind", "\"none\", \"api-key\", \"jwt\" or \"trusted-header\"", |v| v.word(KINDS));
    let read = match kind {
        None => return,
        Some(Kind::Later) => return t.place_of("kind").fault(unavailable::MESSAGE),
        Some(Kind::None) => Some(Settings::None),
        Some(Kind::ApiKey) => api_key(&t).map(|keys| Settings::ApiKey(Arc::new(keys))),
        Some(Kind::Jwt) => jwt(&t).map(|jwt| Settings::Jwt(Arc::new(jwt))),
        Some(Kind::TrustedHeader) => t
            .need("header", "the name of the field that holds the caller's name", |v| v.parsed(field))
            .map(|header| Settings::TrustedHeader(Arc::new(TrustedHeader { header }))),
    };
    t.finish();
    if let Some(read) = read {
        *auth = read;
    }
}

fn api_key(t: &Table<'_>) -> Option<ApiKey> {
    let header = t.get("header", |v| v.parsed(field));
    let query = t.get("query", |v| v.parsed(parameter));
    let both = t.find("header").is_some() && t.find("query").is_some();
    if both {
        t.at.fault("has both header and query, expected the one place where keys are shown");
    }
    let required_scopes = t.get("required_scopes", |v| v.list(bounds::SCOPES, |v| v.parsed(scope))).unwrap_or_default();
    t.forbid(&["keys_file"], unavailable::MESSAGE);
    let keys = keys(t);
    let place = match query {
        Some(name) => Place::Query(name),
        None => Place::Header(header.unwrap_or(HeaderName::from_static("x-api-key"))),
    };
    Some(ApiKey { place, keys, required_scopes })
}

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

fn jwt(t: &Table<'_>) -> Option<Jwt> {
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
    t.forbid(&["jwks_url"], unavailable::MESSAGE);
    let family = demands.algorithms.first()?.family();
    if demands.algorithms.iter().any(|algorithm| algorithm.family() != family) {
        t.place_of("algorithms").fault("expected algorithms of one family: HS…, RS… with PS…, ES… or EdDSA");
        return None;
    }
    let (key, material) = verifying_key(t, family)?;
    Some(Jwt::new(demands, key, material.as_bytes()))
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
            t.at.fault("expected key_file, a public key in PEM, for these algorithms");
            None
        }
    }?;
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

fn keys(t: &Table<'_>) -> Vec<Key> {
    let tables = t.get("keys", |v| v.list(bounds::KEYS, Value::table)).unwrap_or_default();
    if tables.is_empty() {
        t.at.warn("no keys: nobody gets in");
    }
    let (mut keys, mut digests) = (Vec::new(), Vec::new());
    for table in tables {
        let user = table.need("user", "the caller's name", |v| v.parsed(name));
        let scopes = table.get("scopes", |v| v.list(bounds::SCOPES, |v| v.parsed(scope))).unwrap_or_default();
        let sha256 = secret(&table, ["sha256", "key_env", "key_file"]);
        digests.extend(sha256.map(|sha256| (table.at.clone(), sha256)));
        table.finish();
        if let (Some(user), Some(sha256)) = (user, sha256) {
            keys.push(Key { user, scopes: scopes.into(), sha256 });
        }
    }
    no_twins(&digests);
    keys
}

fn field(text: &str) -> Result<HeaderName, &'static str> {
    const NEVER: [&str; 6] = ["host", "cookie", "connection", "content-length", "transfer-encoding", "content-type"];
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| "expected the name of a request field")?;
    if NEVER.contains(&name.as_str()) { Err("this field can't say who is calling") } else { Ok(name) }
}

fn parameter(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let fits = !text.is_empty() && text.len() <= 64 && text.chars().all(plain);
    fits.then(|| text.into()).ok_or("expected the name of a parameter: letters, digits, `-`, `_` and `.`")
}

fn name_of(text: &str) -> Result<String, &'static str> {
    name(text).map(|name| name.to_string())
}

fn name(text: &str) -> Result<Arc<str>, &'static str> {
    let fits = (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.into()).ok_or("expected a name of 1 to 256 bytes")
}

fn scope(text: &str) -> Result<String, &'static str> {
    let fits = (1..=256).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    fits.then(|| text.into()).ok_or("expected a scope: 1 to 256 bytes without blanks")
}
