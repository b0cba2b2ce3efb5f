//! Who asks too often, and who may read a refusal.

use crate::support::Gateway;
use crate::{ALICE, BOB, by_key, get, numbered};

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

#[tokio::test]
async fn behind_a_trusted_proxy_strangers_are_counted_by_the_address_that_it_names() {
    let origin = numbered().await;
    let api = format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n\
         rate = {{ per_caller = {{ requests = 1, per = \"1m\" }} }}\n",
        origin.url()
    );
    let trusting = Gateway::trusting("127.0.0.1", &api).await;
    let distrusting = Gateway::with("", &api).await;
    let status =
        async |gateway: &Gateway, address: &str| get(gateway, "/a", &[("X-Forwarded-For", address)]).await.status;
    assert_eq!(status(&trusting, "192.0.2.1").await, 200);
    assert_eq!(status(&trusting, "192.0.2.2").await, 200);
    assert_eq!(
        status(&trusting, "198.51.100.7, 192.0.2.1").await,
        429,
        "what stands before it anybody may have written"
    );
    assert_eq!(status(&distrusting, "192.0.2.1").await, 200);
    assert_eq!(status(&distrusting, "192.0.2.2").await, 429);
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
