//! Keys of callers, and a trusted proxy's word.

use crate::support::Gateway;
use crate::{ALICE, BOB, Fields, by_key, get, numbered};

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
