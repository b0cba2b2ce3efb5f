//! Tokens that are verified by the keys that an issuer publishes.

use crate::jwt::{Issuer, claims, with_token};
use crate::numbered;
use crate::support::{Answer, Gate, Gateway, Origin, Reply};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Where keys are published; what is said there can be changed, and held back.
struct Published {
    origin: Origin,
    says: Arc<Mutex<Reply>>,
    gate: Gate,
}

impl Published {
    async fn new(reply: Reply) -> Published {
        let (says, gate) = (Arc::new(Mutex::new(reply)), Gate::closed());
        gate.open();
        let (their, before) = (Arc::clone(&says), gate.clone());
        let origin = Origin::start(move |_| {
            let (says, gate) = (Arc::clone(&their), before.clone());
            async move {
                gate.pass().await;
                says.lock().unwrap().clone()
            }
        })
        .await;
        Published { origin, says, gate }
    }

    async fn keys(keys: &[Value]) -> Published {
        Published::new(set(keys)).await
    }

    fn say(&self, reply: Reply) {
        *self.says.lock().unwrap() = reply;
    }

    async fn gateway(&self, origin: &Origin, algorithm: Algorithm) -> Gateway {
        let auth = format!(
            "auth = {{ kind = \"jwt\", algorithms = [\"{algorithm:?}\"], jwks_url = \"{}/jwks?v=1\", \
             issuer = \"https://issuer/\", audience = \"shop\" }}",
            self.origin.url()
        );
        Gateway::before(origin, &auth).await
    }
}

fn set(keys: &[Value]) -> Reply {
    Reply::ok(json!({ "keys": keys }).to_string())
}

/// The public half of an issuer's key, with what is different about it; null takes a member away.
fn public(issuer: &Issuer, kid: &str, other: Value) -> Value {
    let of = |key, algorithm| serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    let mut jwk = if issuer.algorithm == Algorithm::EdDSA {
        // The library can't read the private half's public one; but it can write any bytes.
        let x = of(&EncodingKey::from_secret(&issuer.public), Algorithm::HS256)["k"].take();
        json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x })
    } else {
        of(&issuer.key, issuer.algorithm)
    };
    jwk["kid"] = kid.into();
    for (name, value) in other.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    jwk
}

fn token(gateway: &Gateway, issuer: &Issuer, kid: Option<&str>, other: Value) -> String {
    let header = Header { kid: kid.map(Into::into), ..Header::new(issuer.algorithm) };
    jsonwebtoken::encode(&header, &claims(gateway, other), &issuer.key).unwrap()
}

async fn ask(gateway: &Gateway, issuer: &Issuer, kid: &str) -> Answer {
    with_token(gateway, &token(gateway, issuer, Some(kid), json!({}))).await
}

#[tokio::test]
async fn keys_of_every_kind_are_fetched_once() {
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS256] {
        let (origin, issuer) = (numbered().await, Issuer::new(algorithm));
        let published = Published::keys(&[public(&issuer, "a", json!({ "use": "sig" }))]).await;
        let gateway = published.gateway(&origin, algorithm).await;
        assert_eq!(ask(&gateway, &issuer, "a").await.text(), "0", "{algorithm:?}");
        let next = token(&gateway, &issuer, Some("a"), json!({ "jti": "another" }));
        assert!(with_token(&gateway, &next).await.cache_says("hit"), "{algorithm:?}");
        let forged = ask(&gateway, &Issuer::new(algorithm), "a").await;
        assert_eq!((forged.status, forged.cache_says("detail=credentials-unknown")), (401, true), "{algorithm:?}");
        assert_eq!(published.origin.count(), 1, "{algorithm:?}");
        assert_eq!(published.origin.requests()[0].target, "/jwks?v=1");
    }
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_and_one_that_is_gone_counts_no_more() {
    let (origin, old, new) = (numbered().await, Issuer::new(Algorithm::ES256), Issuer::new(Algorithm::ES256));
    let published = Published::keys(&[public(&old, "a", json!({}))]).await;
    let gateway = published.gateway(&origin, Algorithm::ES256).await;
    let remembered = token(&gateway, &old, Some("a"), json!({}));
    assert_eq!(with_token(&gateway, &remembered).await.text(), "0");
    assert_eq!(with_token(&gateway, &remembered).await.text(), "0");
    published.say(set(&[public(&new, "b", json!({}))]));
    assert_eq!(ask(&gateway, &new, "b").await.text(), "0", "at once, and she is who she was");
    let gone = with_token(&gateway, &remembered).await;
    assert_eq!((gone.status, gone.cache_says("detail=credentials-unknown")), (401, true), "though it was remembered");
    assert_eq!(published.origin.count(), 2);
}

#[tokio::test]
async fn a_set_is_fetched_anew_when_it_is_five_minutes_old() {
    let (origin, old, new) = (numbered().await, Issuer::new(Algorithm::ES256), Issuer::new(Algorithm::ES256));
    let published = Published::keys(&[public(&old, "a", json!({}))]).await;
    let gateway = published.gateway(&origin, Algorithm::ES256).await;
    let remembered = token(&gateway, &old, Some("a"), json!({}));
    assert_eq!(with_token(&gateway, &remembered).await.status, 200);
    gateway.step(290);
    gateway.running.look_at_files();
    assert_eq!(with_token(&gateway, &remembered).await.status, 200);
    assert_eq!(published.origin.count(), 1, "not before its time");
    published.say(set(&[public(&new, "b", json!({}))]));
    gateway.step(11);
    gateway.running.look_at_files();
    assert_eq!(ask(&gateway, &new, "b").await.status, 200, "waits for the fetch that is under way");
    assert_eq!(published.origin.count(), 2);
    assert_eq!(with_token(&gateway, &remembered).await.status, 401);
}

#[tokio::test]
async fn strangers_keys_make_us_ask_every_thirty_seconds_at_most() {
    let (origin, issuer) = (numbered().await, Issuer::new(Algorithm::ES256));
    let published = Published::keys(&[public(&issuer, "a", json!({}))]).await;
    let gateway = published.gateway(&origin, Algorithm::ES256).await;
    assert_eq!(ask(&gateway, &issuer, "a").await.status, 200);
    for fetches in [2, 3] {
        for n in 0..10 {
            assert_eq!(ask(&gateway, &issuer, &format!("x{n}")).await.status, 401);
        }
        assert_eq!(published.origin.count(), fetches);
        gateway.step(29);
        assert_eq!(ask(&gateway, &issuer, "x").await.status, 401);
        assert_eq!(published.origin.count(), fetches);
        gateway.step(2);
    }
    // What couldn't be true whatever the issuer says.
    for garbage in ["e30.e30.e30", "a.b.c", "eyJhbGciOiJIUzI1NiIsImtpZCI6IngifQ.e30.eA"] {
        assert_eq!(with_token(&gateway, garbage).await.status, 401);
    }
    assert_eq!(published.origin.count(), 3);
}

#[tokio::test]
async fn those_who_wait_for_a_new_key_share_one_fetch() {
    let (origin, old, new) = (numbered().await, Issuer::new(Algorithm::ES256), Issuer::new(Algorithm::ES256));
    let published = Published::keys(&[public(&old, "a", json!({}))]).await;
    let gateway = published.gateway(&origin, Algorithm::ES256).await;
    assert_eq!(ask(&gateway, &old, "a").await.status, 200);
    published.gate.close();
    published.say(set(&[public(&old, "a", json!({})), public(&new, "b", json!({}))]));
    let mut waiting = Vec::new();
    for n in 0..5 {
        let bearer = format!("Bearer {}", token(&gateway, &new, Some("b"), json!({ "jti": n })));
        let mut client = gateway.client().await;
        client.send("GET", "/a", &[("Authorization", &bearer)], "").await;
        waiting.push(client);
    }
    published.gate.arrived(2).await;
    assert_eq!(ask(&gateway, &old, "a").await.status, 200, "whose key is known needn't wait");
    published.gate.open();
    for mut client in waiting {
        assert_eq!(client.answer().await.status, 200);
    }
    assert_eq!(published.origin.count(), 2);
}

#[tokio::test]
async fn there_is_one_fetch_at_a_time() {
    let (origin, issuer) = (numbered().await, Issuer::new(Algorithm::ES256));
    let published = Published::keys(&[public(&issuer, "a", json!({}))]).await;
    published.gate.close();
    let gateway = published.gateway(&origin, Algorithm::ES256).await;
    for _ in 0..3 {
        gateway.running.look_at_files();
    }
    published.gate.arrived(1).await;
    published.gate.open();
    assert_eq!(ask(&gateway, &issuer, "a").await.status, 200, "the first request waits for the first set");
    assert_eq!(published.origin.count(), 1);
}

#[tokio::test]
async fn while_the_issuer_is_down_its_keys_are_kept() {
    let (origin, old, new) = (numbered().await, Issuer::new(Algorithm::ES256), Issuer::new(Algorithm::ES256));
    let published = Published::keys(&[public(&old, "a", json!({}))]).await;
    let gateway = published.gateway(&origin, Algorithm::ES256).await;
    assert_eq!(ask(&gateway, &old, "a").await.status, 200);
    let bad = [Reply::status(500), Reply::ok("<html>"), Reply::ok("{}"), Reply::nothing(), Reply::status(302)];
    for (n, bad) in bad.into_iter().enumerate() {
        published.say(bad);
        gateway.step(301);
        let before = published.origin.count();
        gateway.running.look_at_files();
        published.origin.received(before + 1).await;
        assert_eq!(ask(&gateway, &new, "b").await.status, 401, "who waits for that fetch is refused");
        assert_eq!(ask(&gateway, &old, "a").await.status, 200, "{n}");
    }
    published.say(set(&[public(&new, "b", json!({}))]));
    gateway.step(31);
    assert_eq!(ask(&gateway, &new, "b").await.status, 200);
    assert_eq!(ask(&gateway, &old, "a").await.status, 401);
}

#[tokio::test]
async fn before_the_first_set_has_come_nobody_gets_in() {
    let (origin, issuer) = (numbered().await, Issuer::new(Algorithm::ES256));
    let good = public(&issuer, "a", json!({}));
    let rows = [
        Reply::status(500).body(json!({ "keys": [good] }).to_string()),
        Reply::status(302).field("Location", "/"),
        Reply::ok("keys"),
        Reply::ok("{\"keys\":{}}"),
        Reply::ok(json!([good]).to_string()),
        set(&vec![good.clone(); 101]),
        Reply::ok(json!({ "keys": [good], "more": "x".repeat(1 << 20) }).to_string()),
        Reply::ok(json!({ "keys": [good] }).to_string()).claiming(10_000).cut(),
    ];
    for (n, reply) in rows.into_iter().enumerate() {
        let published = Published::new(reply).await;
        let gateway = published.gateway(&origin, Algorithm::ES256).await;
        for _ in 0..20 {
            let refused = ask(&gateway, &issuer, "a").await;
            assert_eq!((refused.status, refused.get("retry-after")), (503, Some("5")), "row {n}");
            assert!(refused.cache_says("detail=issuer-unavailable"), "row {n}");
        }
        // At the start, for the first token, and at a look of the watch if this has taken so long.
        assert!(published.origin.count() < 10, "row {n}: {}", published.origin.count());
        assert_eq!(with_token(&gateway, "a.b.c").await.status, 401, "whatever the issuer says");
        published.say(set(std::slice::from_ref(&good)));
        gateway.running.look_at_files();
        assert_eq!(ask(&gateway, &issuer, "a").await.status, 200, "row {n}: found at the next look");
        assert_eq!(origin.count(), n + 1, "that one alone");
    }
}

#[tokio::test]
async fn a_key_is_used_for_what_it_is_for_and_nothing_else() {
    let origin = numbered().await;
    let (ec, other, rsa) =
        (Issuer::new(Algorithm::ES256), Issuer::new(Algorithm::ES256), Issuer::new(Algorithm::RS256));
    let key = |other: Value| public(&ec, "a", other);
    let rows: Vec<(&str, Vec<Value>, Option<&str>, u16)> = vec![
        ("as it should be", vec![key(json!({ "use": "sig", "key_ops": ["verify"] }))], Some("a"), 200),
        ("says less", vec![key(json!({ "alg": null }))], Some("a"), 200),
        ("for another algorithm", vec![key(json!({ "alg": "ES384" }))], Some("a"), 401),
        ("of another curve", vec![key(json!({ "alg": null, "crv": "P-384" }))], Some("a"), 401),
        ("for encryption", vec![key(json!({ "use": "enc" }))], Some("a"), 401),
        ("not for verifying", vec![key(json!({ "key_ops": ["encrypt"] }))], Some("a"), 401),
        ("another name", vec![key(json!({}))], Some("b"), 401),
        ("a name in another case", vec![key(json!({}))], Some("A"), 401),
        ("the name of another family's", vec![key(json!({})), public(&rsa, "r", json!({}))], Some("r"), 401),
        ("the name of another one's", vec![key(json!({})), public(&other, "b", json!({}))], Some("b"), 401),
        ("no name, one key", vec![key(json!({}))], None, 200),
        ("no name, one of the family", vec![public(&rsa, "r", json!({})), key(json!({}))], None, 200),
        ("no name, two keys", vec![key(json!({})), public(&other, "b", json!({}))], None, 401),
        ("one name, two keys", vec![key(json!({})), public(&other, "a", json!({}))], Some("a"), 401),
        ("among rubbish", vec![json!({ "kty": "new" }), json!(7), key(json!({}))], Some("a"), 200),
        ("no keys at all", vec![], Some("a"), 401),
    ];
    for (why, keys, kid, status) in rows {
        let published = Published::keys(&keys).await;
        let gateway = published.gateway(&origin, Algorithm::ES256).await;
        let token = token(&gateway, &ec, kid, json!({}));
        assert_eq!(with_token(&gateway, &token).await.status, status, "{why}");
    }
}

/// RFC 8725 §2.1, by way of a published set.
#[tokio::test]
async fn a_shared_secret_in_a_set_is_no_key() {
    let (origin, rsa) = (numbered().await, Issuer::new(Algorithm::RS256));
    let secret = b"a secret that everybody can read";
    let oct = |alg: Value| {
        let key = Jwk::from_encoding_key(&EncodingKey::from_secret(secret), Algorithm::HS256).unwrap();
        let mut jwk = serde_json::to_value(key).unwrap();
        (jwk["kid"], jwk["alg"]) = ("s".into(), alg);
        jwk.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        jwk
    };
    for alg in [json!("HS256"), json!("RS256"), Value::Null] {
        let published = Published::keys(&[oct(alg), public(&rsa, "r", json!({}))]).await;
        let gateway = published.gateway(&origin, Algorithm::RS256).await;
        let modulus = public(&rsa, "r", json!({}))["n"].as_str().unwrap().to_owned();
        for (kid, secret) in [("s", &secret[..]), ("r", &secret[..]), ("r", modulus.as_bytes())] {
            let header = Header { kid: Some(kid.into()), ..Header::new(Algorithm::HS256) };
            let key = EncodingKey::from_secret(secret);
            let forged = jsonwebtoken::encode(&header, &claims(&gateway, json!({})), &key).unwrap();
            assert_eq!(with_token(&gateway, &forged).await.status, 401, "{kid}");
        }
        let unnamed = token(&gateway, &rsa, None, json!({}));
        assert_eq!(with_token(&gateway, &unnamed).await.status, 200, "the one key that there is");
    }
}
