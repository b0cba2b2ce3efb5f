//! Who is calling (`[api.auth]`): asked before anything else, and what of the answer makes a partition.

#![cfg(test)]

mod support;

use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Answer, Gateway, Origin, Reply};

const ALICE: (&str, &str) = ("X-Api-Key", "alice-secret");
const BOB: (&str, &str) = ("X-Api-Key", "bob-secret");

/// Alice may read and write, so may Ann; Bob, of the same name as another key of his, may only read; Eve may nothing.
fn keys() -> String {
    let key = |user: &str, scopes: &str, secret: &str| {
        let digest: String = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{{ user = \"{user}\", scopes = [{scopes}], sha256 = \"{digest}\" }}")
    };
    [
        key("alice", "\"read\", \"write\"", "alice-secret"),
        key("alice", "\"read\"", "alice-reads"),
        key("bob", "\"read\"", "bob-secret"),
        key("alice", "\"write\", \"read\"", "alices-next-secret"),
        key("eve", "", "eve-secret"),
    ]
    .join(", ")
}

fn by_key(more: &str) -> String {
    format!("auth = {{ kind = \"api-key\", required_scopes = [\"read\"], keys = [{}]{more} }}", keys())
}

type Fields = &'static [(&'static str, &'static str)];

/// Numbered answers that are fresh for a minute.
async fn numbered() -> Origin {
    let count = AtomicUsize::new(0);
    Origin::start(move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        ready(Reply::ok(n.to_string()).field("Cache-Control", "max-age=60"))
    })
    .await
}

async fn get(gateway: &Gateway, target: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = gateway.client().await.get_with(target, fields).await;
    gateway.settled().await;
    answer
}

#[tokio::test]
async fn who_is_not_known_reaches_neither_origin_nor_cache() {
    let origin = numbered().await;
    let gateway = Gateway::before(&origin, &by_key("")).await;
    assert_eq!(get(&gateway, "/a", &[ALICE]).await.status, 200);
    let rows: &[(Fields, u16, &str)] = &[
        (&[], 401, "credentials-missing"),
        (&[("X-Api-Key", "")], 401, "credentials-missing"),
        (&[("X-Api-Key", "mallory")], 401, "credentials-unknown"),
        (&[("X-Api-Key", "ALICE-SECRET")], 401, "credentials-unknown"),
        (&[ALICE, BOB], 401, "credentials-malformed"),
        (&[("Authorization", "Bearer alice-secret")], 401, "credentials-missing"),
        (&[("X-Api-Key", "eve-secret")], 403, "scope-missing"),
    ];
    for method in ["GET", "HEAD", "PUT", "OPTIONS", "QUERY"] {
        for (fields, status, name) in rows {
            let answer = gateway.client().await.request(method, "/a", fields, "").await;
            assert_eq!(answer.status, *status, "{method} {fields:?}");
            assert!(answer.cache_says(&format!("detail={name}")), "{method} {fields:?} {answer:?}");
            assert_eq!(answer.get("www-authenticate"), (*status == 401).then_some("ApiKey"), "RFC 9110 §15.5.2");
            assert_eq!(answer.get("cache-control"), Some("no-store"));
        }
    }
    assert_eq!(origin.count(), 1);
    assert!(get(&gateway, "/a", &[ALICE]).await.cache_says("hit"), "and nothing was invalidated");
    assert!(
        get(&gateway, "/a", &[ALICE, ("Connection", "X-Api-Key")]).await.cache_says("hit"),
        "nor can that be taken away"
    );
}

#[tokio::test]
async fn a_caller_is_a_name_with_its_rights() {
    let origin = numbered().await;
    let gateway = Gateway::before(&origin, &by_key("")).await;
    assert_eq!(get(&gateway, "/a", &[ALICE]).await.text(), "0");
    assert_eq!(get(&gateway, "/a", &[BOB]).await.text(), "1");
    assert_eq!(
        get(&gateway, "/a", &[("X-Api-Key", "alice-reads")]).await.text(),
        "2",
        "fewer rights, another partition"
    );
    for (fields, text) in [(ALICE, "0"), (BOB, "1"), (("X-Api-Key", "alice-reads"), "2")] {
        let again = get(&gateway, "/a", &[fields]).await;
        assert_eq!((again.text(), again.cache_says("hit")), (text, true));
    }
    assert_eq!(get(&gateway, "/a", &[("X-Api-Key", "alices-next-secret")]).await.text(), "0", "her next key");
    assert_eq!(get(&gateway, "/a", &[ALICE, ("Cookie", "id=1")]).await.text(), "3", "a cookie still counts");
    let purged = gateway.purge(serde_json::json!({ "user": "alice" })).await;
    assert!(purged["epoch"].as_u64().is_some());
    assert!(!get(&gateway, "/a", &[ALICE]).await.cache_says("hit"));
    assert!(get(&gateway, "/a", &[BOB]).await.cache_says("hit"));
}

/// The field that a key comes in needn't look like a credential.
#[tokio::test]
async fn callers_are_apart_by_who_they_are_and_not_by_their_key() {
    let origin = numbered().await;
    let gateway = Gateway::before(&origin, &by_key(", header = \"Ticket\"")).await;
    for (secret, text) in
        [("alice-secret", "0"), ("bob-secret", "1"), ("alices-next-secret", "0"), ("alice-reads", "2")]
    {
        assert_eq!(get(&gateway, "/a", &[("Ticket", secret)]).await.text(), text, "{secret}");
    }
}

#[tokio::test]
async fn with_assume_public_a_second_caller_hits_and_a_stranger_is_refused() {
    let origin = numbered().await;
    let gateway = Gateway::before(&origin, &format!("{}\nkey = {{ share = \"assume-public\" }}", by_key(""))).await;
    assert_eq!(get(&gateway, "/a", &[ALICE]).await.text(), "0");
    let second = get(&gateway, "/a", &[BOB]).await;
    assert_eq!((second.text(), second.cache_says("hit")), ("0", true));
    assert_eq!(get(&gateway, "/a", &[]).await.status, 401, "although it is stored");
    assert_eq!(get(&gateway, "/a", &[("X-Api-Key", "eve-secret")]).await.status, 403);
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn a_key_in_the_query_is_neither_looked_up_nor_sent_on() {
    let origin = numbered().await;
    let api = format!("{}\nkey = {{ share = \"assume-public\" }}", by_key(", query = \"key\""));
    let gateway = Gateway::before(&origin, &api).await;
    assert_eq!(get(&gateway, "/a?x=1&key=alice-secret&y=2", &[]).await.text(), "0");
    let second = get(&gateway, "/a?%6Bey=bob-secret&x=1&y=2", &[]).await;
    assert_eq!((second.text(), second.cache_says("hit")), ("0", true));
    assert_eq!(origin.requests()[0].target, "/a?x=1&y=2");
    for (method, target, seen) in [("PUT", "/a?key=alice-secret", "/a"), ("POST", "/a?b&key=bob-secret", "/a?b")] {
        gateway.client().await.request(method, target, &[], "").await;
        assert_eq!(origin.requests().last().unwrap().target, seen);
    }
    assert_eq!(get(&gateway, "/a?key=alice-secret&key=bob-secret", &[]).await.status, 401);
}

#[tokio::test]
async fn a_route_may_have_another_answer_and_preflights_pass() {
    let origin = numbered().await;
    let routes = "\n[[api.route]]\non = \"GET /open\"\nauth = { kind = \"none\" }\n";
    let gateway = Gateway::before(&origin, &(by_key("") + routes)).await;
    assert_eq!(get(&gateway, "/open", &[]).await.status, 200);
    assert_eq!(get(&gateway, "/a", &[]).await.status, 401);
    let preflight = [("Origin", "https://shop.example"), ("Access-Control-Request-Method", "PUT")];
    let answer = gateway.client().await.request("OPTIONS", "/a", &preflight, "").await;
    assert_eq!((answer.status, origin.count()), (200, 2));
    let put = gateway.client().await.request("PUT", "/a", &preflight, "").await;
    assert_eq!(put.status, 401, "nothing but OPTIONS is a preflight");
}

#[tokio::test]
async fn a_trusted_proxy_says_who_is_calling_and_nobody_else() {
    let origin = numbered().await;
    let api = |name: &str| {
        format!(
            "[[api]]\nname = \"{name}\"\nversion = \"v1\"\npath = \"/{name}\"\nupstream = [\"{}\"]\n\
             auth = {{ kind = \"trusted-header\", header = \"X-User\" }}\n\
             [[api.route]]\non = \"GET /open\"\nauth = {{ kind = \"none\" }}\n",
            origin.url()
        )
    };
    let gateway = Gateway::trusting("127.0.0.1", &api("t")).await;
    assert_eq!(get(&gateway, "/t/a", &[("X-User", "alice")]).await.text(), "0");
    assert_eq!(get(&gateway, "/t/a", &[("X-User", "bob")]).await.text(), "1");
    assert_eq!(get(&gateway, "/t/a", &[("X-User", "alice")]).await.text(), "0");
    for fields in [&[][..], &[("X-User", "")], &[("X-User", "alice"), ("X-User", "bob")]] {
        assert_eq!(get(&gateway, "/t/a", fields).await.status, 401, "{fields:?}");
    }
    let strict = Gateway::with("", &api("s")).await;
    let answer = get(&strict, "/s/a", &[("X-User", "alice")]).await;
    assert_eq!((answer.status, answer.cache_says("detail=credentials-unknown")), (401, true));
    get(&strict, "/s/open", &[("X-User", "alice")]).await;
    let seen = origin.requests().pop().unwrap();
    assert_eq!((seen.target.as_str(), seen.get("x-user")), ("/s/open", None), "dropped from everybody else");
}

/// A key pair of an issuer, and the lines of `[api.auth]` that name its public half.
struct Issuer {
    algorithm: Algorithm,
    key: EncodingKey,
    _folder: tempfile::TempDir,
    lines: String,
}

impl Issuer {
    fn new(algorithm: Algorithm) -> Issuer {
        let folder = tempfile::tempdir().unwrap();
        let file = |text: &str| {
            let path = folder.path().join("key");
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let pair = |kind| rcgen::KeyPair::generate_for(kind).unwrap();
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
                let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
                (key, format!("key_file = \"{}\"", file(&pair.public_key_pem())))
            }
            AlgorithmFamily::Rsa => {
                let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
                let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
                (key, format!("key_file = \"{}\"", file(&pair.public_key_pem())))
            }
        };
        Issuer { algorithm, key, _folder: folder, lines }
    }

    fn api(&self, more: &str) -> String {
        let Issuer { algorithm, lines, .. } = self;
        format!(
            "auth = {{ kind = \"jwt\", algorithms = [\"{algorithm:?}\"], {lines}, issuer = \"https://issuer/\", audience = \"shop\"{more} }}"
        )
    }

    fn sign(&self, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(self.algorithm), claims, &self.key).unwrap()
    }
}

/// Claims of a token that is good for ten minutes, with what is different about it; null takes a claim away.
fn claims(gateway: &Gateway, other: Value) -> Value {
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

async fn with_token(gateway: &Gateway, token: &str) -> Answer {
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
        ("without an end", of(json!({ "exp": null })), 401, "credentials-malformed"),
        ("not yet", of(json!({ "nbf": now + 100 })), 401, "token-not-yet-valid"),
        ("of another issuer", of(json!({ "iss": "https://other/" })), 401, "token-issuer"),
        ("of nobody", of(json!({ "iss": null })), 401, "token-issuer"),
        ("for somebody else", of(json!({ "aud": ["a", "b"] })), 401, "token-audience"),
        ("for nobody", of(json!({ "aud": [] })), 401, "token-audience"),
        ("for whomever", of(json!({ "aud": null })), 401, "token-audience"),
        ("without a user", of(json!({ "sub": "" })), 401, "credentials-malformed"),
        ("a user of whom there are two", of(json!({ "sub": 1e20 })), 401, "credentials-malformed"),
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

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let origin = numbered().await;
    let api = by_key("") + "\nrate = { per_caller = { requests = 2, per = \"1m\" } }";
    let gateway = Gateway::before(&origin, &api).await;
    for _ in 0..2 {
        assert_eq!(get(&gateway, "/a", &[ALICE]).await.status, 200);
    }
    for method in ["GET", "PUT"] {
        let refused = gateway.client().await.request(method, "/a", &[ALICE], "").await;
        assert_eq!(refused.status, 429, "hits count as well");
        let seconds = refused.get("retry-after").unwrap();
        assert!((20..=30).contains(&seconds.parse::<u32>().unwrap()), "{seconds}");
        assert!(refused.cache_says("detail=rate-of-caller"));
        assert_eq!(refused.get("ratelimit-policy"), Some("\"rate-of-caller\";q=2;w=60"));
        assert_eq!(refused.get("ratelimit"), Some(format!("\"rate-of-caller\";r=0;t={seconds}").as_str()));
    }
    assert_eq!(get(&gateway, "/a", &[BOB]).await.status, 200, "another caller has his own");
    assert_eq!(get(&gateway, "/a", &[("X-Api-Key", "alice-reads")]).await.status, 429, "her other key is hers");
    assert_eq!(get(&gateway, "/a", &[("X-Api-Key", "mallory")]).await.status, 401, "who isn't known is not counted");
    gateway.step(30);
    assert_eq!(get(&gateway, "/a", &[ALICE]).await.status, 200);
    assert_eq!(origin.count(), 2, "alice's and bob's");
}

#[tokio::test]
async fn strangers_are_counted_by_address_and_all_together() {
    let origin = numbered().await;
    let api = "rate = { total = { requests = 3, per = \"1m\" } }\n[[api.route]]\non = \"GET /free\"\nrate = { per_caller = { requests = 9, per = \"1s\" } }\n";
    let gateway = Gateway::before(&origin, api).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(get(&gateway, "/a", &[]).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert!(get(&gateway, "/a", &[]).await.cache_says("detail=rate-of-api"));
    assert_eq!(get(&gateway, "/free", &[]).await.status, 200, "a route's own");
}

/// Lines of the access log hide what `redact_query` names; a parameter that holds keys needn't be named there.
#[test]
fn a_parameter_that_holds_keys_is_never_logged() {
    let around = freshgate::config::Surroundings { env: &|_| None, memory_limit: None };
    let api = "[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"http://o.example\"]\n";
    let route = "[[api.route]]\non = \"GET /x\"\nauth = { kind = \"api-key\", query = \"pass\" }\n";
    let text = format!("{api}auth = {{ kind = \"api-key\", query = \"ticket\" }}\n{route}");
    let config = freshgate::config::parse(&text, "f.toml", &around).unwrap().config;
    for name in ["ticket", "pass", "token"] {
        assert!(config.log.redact_query.iter().any(|hidden| hidden == name), "{name}");
    }
}

#[tokio::test]
async fn a_page_may_read_a_refusal_where_the_api_says_so() {
    let shop = "https://shop.example";
    // The API's word, the page's origin, and what it is told: the origin, and whether with credentials.
    let rows = [
        ("", shop, None),
        ("cors = { origins = [\"https://shop.example\"] }", shop, Some((shop, false))),
        ("cors = { origins = [\"https://shop.example\"], credentials = true }", shop, Some((shop, true))),
        ("cors = { origins = [\"https://shop.example\"] }", "https://evil.example", None),
        ("cors = { origins = [\"https://shop.example\"] }", "null", None),
        ("cors = { origins = \"*\" }", "https://any.example", Some(("*", false))),
        ("cors = { origins = \"*\", credentials = true }", "https://any.example", Some(("https://any.example", true))),
    ];
    for (cors, page, want) in rows {
        let origin = numbered().await;
        let rate = "rate = { per_caller = { requests = 1, per = \"1h\" } }";
        let gateway = Gateway::before(&origin, &format!("{}\n{rate}\n{cors}", by_key(""))).await;
        let mut refused = vec![get(&gateway, "/a", &[("Origin", page)]).await];
        refused.push(get(&gateway, "/a", &[("Origin", page), ("X-Api-Key", "eve-secret")]).await);
        get(&gateway, "/a", &[("Origin", page), ALICE]).await;
        refused.push(get(&gateway, "/a", &[("Origin", page), ALICE]).await);
        assert_eq!(refused.iter().map(|answer| answer.status).collect::<Vec<_>>(), [401, 403, 429]);
        for answer in refused {
            let told = answer.get("access-control-allow-origin");
            let credentials = answer.get("access-control-allow-credentials") == Some("true");
            assert_eq!(told.map(|origin| (origin, credentials)), want, "{cors} {page}");
            assert_eq!(answer.get("vary"), want.map(|_| "Origin"), "{cors} {page}");
        }
        assert_eq!(get(&gateway, "/a", &[]).await.get("access-control-allow-origin"), None, "no page has asked");
    }
}
