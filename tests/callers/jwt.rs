//! Tokens that are verified by a key of the file.

use crate::support::{Answer, Gateway};
use crate::{get, numbered};
use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, Header};
use serde_json::{Value, json};

/// A key pair of an issuer, and the lines of `[api.auth]` that name its public half.
pub(crate) struct Issuer {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: EncodingKey,
    /// The public half's bytes, where it has any.
    pub(crate) public: Vec<u8>,
    _folder: tempfile::TempDir,
    lines: String,
}

impl Issuer {
    pub(crate) fn new(algorithm: Algorithm) -> Issuer {
        let folder = tempfile::tempdir().unwrap();
        let file = |text: &str| {
            let path = folder.path().join("key");
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let pair = |kind| rcgen::KeyPair::generate_for(kind).unwrap();
        let mut public = Vec::new();
        let (key, lines) = match algorithm.family() {
            AlgorithmFamily::Hmac => {
                let secret = "a secret that is long enough to be one";
                (EncodingKey::from_secret(secret.as_bytes()), format!("secret_file = \"{}\"", file(secret)))
            }
            AlgorithmFamily::Ec => {
                let pair = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
                let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
                (key, format!("key_file = \"{}\"", file(&pair.public_key_pem())))
            }
            AlgorithmFamily::Ed => {
                let pair = pair(&rcgen::PKCS_ED25519);
                public = pair.public_key_raw().to_vec();
                let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
                (key, format!("key_file = \"{}\"", file(&pair.public_key_pem())))
            }
            AlgorithmFamily::Rsa => {
                let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
                let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
                (key, format!("key_file = \"{}\"", file(&pair.public_key_pem())))
            }
        };
        Issuer { algorithm, key, public, _folder: folder, lines }
    }

    pub(crate) fn api(&self, more: &str) -> String {
        let Issuer { algorithm, lines, .. } = self;
        format!(
            "auth = {{ kind = \"jwt\", algorithms = [\"{algorithm:?}\"], {lines}, issuer = \"https://issuer/\", audience = \"shop\"{more} }}"
        )
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(self.algorithm), claims, &self.key).unwrap()
    }
}

/// Claims of a token that is good for ten minutes, with what is different about it; null takes a claim away.
pub(crate) fn claims(gateway: &Gateway, other: Value) -> Value {
    let now = gateway.clock.now().unix / 1000;
    let mut claims = json!({ "sub": "alice", "iss": "https://issuer/", "aud": "shop", "exp": now + 600, "nbf": now });
    for (name, value) in other.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

pub(crate) async fn with_token(gateway: &Gateway, token: &str) -> Answer {
    get(gateway, "/a", &[("Authorization", &format!("Bearer {token}"))]).await
}

#[tokio::test]
async fn tokens_of_every_kind_of_key() {
    for algorithm in [Algorithm::HS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS256] {
        let (origin, issuer) = (numbered().await, Issuer::new(algorithm));
        let gateway = Gateway::before(&origin, &issuer.api("")).await;
        let token = issuer.sign(&claims(&gateway, json!({})));
        assert_eq!(with_token(&gateway, &token).await.text(), "0", "{algorithm:?}");
        let next = issuer.sign(&claims(&gateway, json!({ "jti": "another token of hers" })));
        let again = with_token(&gateway, &next).await;
        assert_eq!((again.text(), again.cache_says("hit")), ("0", true), "{algorithm:?}: she is who she was");
        let stranger = Issuer::new(algorithm);
        if algorithm != Algorithm::HS256 {
            let forged = stranger.sign(&claims(&gateway, json!({})));
            assert_eq!(with_token(&gateway, &forged).await.status, 401, "{algorithm:?}");
        }
        assert_eq!(origin.count(), 1, "{algorithm:?}");
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn tokens_that_are_refused() {
    let (origin, issuer) = (numbered().await, Issuer::new(Algorithm::RS256));
    let gateway = Gateway::before(&origin, &issuer.api(", required_scopes = [\"read\"]")).await;
    let of = |other: Value| {
        let mut all = json!({ "scope": "write read" });
        all.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        issuer.sign(&claims(&gateway, all))
    };
    let now = gateway.clock.now().unix / 1000;
    let good = of(json!({}));
    let mut parts = good.split('.');
    let (head, body, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let none = "eyJhbGciOiJub25lIn0"; // {"alg":"none"}
    // The public key taken for a shared secret.
    let pem = std::fs::read(issuer._folder.path().join("key")).unwrap();
    let confused = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims(&gateway, json!({ "scope": "read" })),
        &EncodingKey::from_secret(&pem),
    )
    .unwrap();
    let critical = Header { crit: Some(vec!["exp".into()]), ..Header::new(Algorithm::RS256) };
    let critical = jsonwebtoken::encode(&critical, &claims(&gateway, json!({})), &issuer.key).unwrap();
    let rows: Vec<(&str, String, u16, &str)> = vec![
        ("expired", of(json!({ "exp": now - 31 })), 401, "token-expired"),
        ("without an end", of(json!({ "exp": null })), 401, "token-incomplete"),
        ("not yet", of(json!({ "nbf": now + 100 })), 401, "token-not-yet-valid"),
        ("of another issuer", of(json!({ "iss": "https://other/" })), 401, "token-issuer"),
        ("of nobody", of(json!({ "iss": null })), 401, "token-issuer"),
        ("for somebody else", of(json!({ "aud": ["a", "b"] })), 401, "token-audience"),
        ("for nobody", of(json!({ "aud": [] })), 401, "token-audience"),
        ("for whomever", of(json!({ "aud": null })), 401, "token-audience"),
        ("without a user", of(json!({ "sub": "" })), 401, "token-incomplete"),
        ("a user of whom there are two", of(json!({ "sub": 1e20 })), 401, "token-incomplete"),
        ("with fewer rights", of(json!({ "scope": "write", "scp": ["readers"] })), 403, "scope-missing"),
        ("none", format!("{none}.{body}."), 401, "credentials-unknown"),
        ("none, signed", format!("{none}.{body}.{signature}"), 401, "credentials-unknown"),
        ("the key as a secret", confused, 401, "credentials-unknown"),
        ("what is critical isn't understood", critical, 401, "credentials-malformed"),
        (
            "another body",
            format!("{head}.{}.{signature}", of(json!({ "sub": "bob" })).split('.').nth(1).unwrap()),
            401,
            "credentials-unknown",
        ),
        ("truncated", good[..good.len() - 4].into(), 401, "credentials-unknown"),
        ("no signature", format!("{head}.{body}"), 401, "credentials-unknown"),
        ("oversized", of(json!({ "more": "x".repeat(20_000) })), 401, "credentials-malformed"),
        ("nothing", String::new(), 401, "credentials-missing"),
        ("dots", "..".into(), 401, "credentials-unknown"),
    ];
    for (why, token, status, name) in rows {
        let answer = with_token(&gateway, &token).await;
        assert_eq!(answer.status, status, "{why}");
        assert!(answer.cache_says(&format!("detail={name}")), "{why}: {answer:?}");
        let challenge = match name {
            "credentials-missing" => "Bearer",
            "scope-missing" => "Bearer error=\"insufficient_scope\"",
            _ => "Bearer error=\"invalid_token\"",
        };
        assert_eq!(answer.get("www-authenticate"), Some(challenge), "{why}: RFC 6750 §3");
    }
    assert_eq!(get(&gateway, "/a", &[("Authorization", "Basic YTpi")]).await.status, 401);
    assert_eq!(origin.count(), 0, "none has reached the origin");
    assert_eq!(with_token(&gateway, &good).await.text(), "0");
    gateway.step(620);
    assert!(with_token(&gateway, &good).await.status == 200, "within the leeway");
    gateway.step(11);
    let over = with_token(&gateway, &good).await;
    assert_eq!((over.status, over.cache_says("detail=token-expired")), (401, true), "also for one that is remembered");
}

#[tokio::test]
async fn rights_are_part_of_a_partition_and_a_claim_may_be_one() {
    let (origin, issuer) = (numbered().await, Issuer::new(Algorithm::ES256));
    let gateway = Gateway::before(&origin, &issuer.api("")).await;
    let ask = async |gateway: &Gateway, other: Value| {
        let token = issuer.sign(&claims(gateway, other));
        with_token(gateway, &token).await.text().to_owned()
    };
    assert_eq!(ask(&gateway, json!({ "roles": ["admin"] })).await, "0");
    assert_eq!(ask(&gateway, json!({ "roles": [] })).await, "1", "fewer rights never get the richer answer");
    assert_eq!(ask(&gateway, json!({ "roles": ["admin"], "scope": "x" })).await, "2");
    assert_eq!(ask(&gateway, json!({ "sub": "bob", "roles": ["admin"] })).await, "3");
    assert_eq!(ask(&gateway, json!({ "roles": ["admin"] })).await, "0");

    let by_tenant = format!("{}\nkey = {{ share = \"claim:tenant\" }}", issuer.api(""));
    let gateway = Gateway::before(&origin, &by_tenant).await;
    assert_eq!(ask(&gateway, json!({ "tenant": 7 })).await, "4");
    assert_eq!(ask(&gateway, json!({ "tenant": 7, "sub": "bob" })).await, "4", "one partition for the tenant");
    assert_eq!(ask(&gateway, json!({ "tenant": "7" })).await, "5");
    assert_eq!(ask(&gateway, json!({ "tenant": 7, "roles": ["admin"] })).await, "6");
    assert_eq!(ask(&gateway, json!({})).await, "7");
    assert_eq!(ask(&gateway, json!({ "sub": "bob" })).await, "8", "without the claim everybody has his own");
    assert_eq!(
        ask(&gateway, json!({ "sub": "bob", "tenant": 1e20 })).await,
        "8",
        "and with one that tells nobody apart"
    );
}

/// RFC 7519 §4.1.3: who isn't named by a token that names somebody refuses it.
#[tokio::test]
async fn without_an_audience_of_ours_a_token_may_name_none() {
    let (origin, issuer) = (numbered().await, Issuer::new(Algorithm::EdDSA));
    let gateway = Gateway::before(&origin, &issuer.api("").replace(", audience = \"shop\"", "")).await;
    for (aud, status) in [(json!("shop"), 401), (json!(["shop"]), 401), (Value::Null, 200)] {
        let token = issuer.sign(&claims(&gateway, json!({ "aud": aud })));
        assert_eq!(with_token(&gateway, &token).await.status, status, "{aud}");
    }
}
