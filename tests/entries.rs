//! `GET /v1/entries`: what is stored, what is shown of it and what isn't, and pages that hold while everything around them changes.

#![cfg(test)]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::{Client, Gateway, Origin, Reply, Request, sha256};

/// SHA-256 of `alices-key`.
fn key(user: &str, secret: &str) -> String {
    format!("{{ user = \"{user}\", scopes = [], sha256 = \"{}\" }}", sha256(secret))
}

async fn page(gateway: &Gateway, query: &str) -> Value {
    let answer = gateway.admin("GET", &format!("/v1/entries?{query}"), "").await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()
}

/// All pages of a listing.
async fn all(gateway: &Gateway, query: &str) -> Vec<Value> {
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(gateway, &format!("{query}{cursor}")).await;
        entries.extend(page["entries"].as_array().unwrap().iter().cloned());
        let Some(next) = page["cursor"].as_str() else { return entries };
        cursor = format!("&cursor={next}");
    }
}

fn paths(entries: &[Value]) -> Vec<String> {
    entries.iter().map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
}

async fn echo(request: Request) -> Reply {
    let kind = request.get("x-reply").unwrap_or_default().to_owned();
    let reply = Reply::ok(format!("the body of {}", request.target)).field("etag", "\"1\"");
    match kind.as_str() {
        "public" => reply.field("cache-control", "public, max-age=60"),
        "vary" => reply.field("cache-control", "max-age=60").field("vary", "accept-language, x-api-key, x-none"),
        "tagged" => reply.field("cache-control", "max-age=60").field("surrogate-key", "red blue"),
        "search" => reply.field("cache-control", "max-age=60").field("no-vary-search", "params=(\"utm\")"),
        "part" => Reply::status(206)
            .body("part")
            .field("cache-control", "max-age=60")
            .field("etag", "\"1\"")
            .field("content-range", "bytes 0-3/100"),
        _ => reply.field("cache-control", "max-age=60"),
    }
}

#[tokio::test]
async fn each_entry_says_what_it_is_and_no_secret() {
    let origin = Origin::start(echo).await;
    let keys = key("alice", "alices-key");
    let auth = format!(
        "[[api.route]]\non = \"/private/**\"\nauth = {{ kind = \"api-key\", header = \"x-api-key\", keys = [{keys}] }}"
    );
    let gateway = Gateway::before(&origin, &auth).await;
    let mut client = gateway.client().await.host("h.example");
    let secret = [("x-api-key", "alices-key")];
    client.get_with("/private/own", &secret).await;
    client.get_with("/private/own", &secret).await;
    client.get_with("/private/own", &secret).await;
    client.get_with("/private/cookie", &[secret[0], ("cookie", "session=s3cret")]).await;
    client.get_with("/public?b=2&token=t0ken&a=1", &[("x-reply", "public"), ("authorization", "Bearer s3cret")]).await;
    client.get_with("/raw", &[("authorization", "Bearer s3cret"), ("cookie", "c=s3cret")]).await;
    client.get_with("/vary", &[("x-reply", "vary"), ("accept-language", "mi"), ("x-api-key", "s3cret")]).await;
    client.get_with("/search?utm=1", &[("x-reply", "search")]).await;
    client.get_with("/part", &[("x-reply", "part"), ("range", "bytes=0-3")]).await;
    client.request("QUERY", "/q", &[("content-type", "text/plain")], "the question s3cret").await;
    gateway.settled().await;
    gateway.step(10);

    let entries = all(&gateway, "").await;
    let text = json!(entries).to_string();
    for hidden in ["s3cret", "alices-key", "t0ken", "the body"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    let by_path: BTreeMap<&str, &Value> = entries.iter().map(|e| (e["path"].as_str().unwrap(), e)).collect();
    assert_eq!(entries.len(), by_path.len(), "each once: {text}");
    assert_eq!(
        by_path.keys().copied().collect::<Vec<_>>(),
        ["/part", "/private/cookie", "/private/own", "/public", "/q", "/raw", "/search", "/vary"]
    );
    let own = by_path["/private/own"];
    for (member, is) in [
        ("api", json!("test/v1")),
        ("host", json!("h.example")),
        ("query", Value::Null),
        ("partition", json!("alice")),
        ("selection", json!({})),
        ("status", json!(200)),
        ("state", json!("fresh")),
        ("age", json!(10)),
        ("ttl", json!(50)),
        ("hits", json!(2)),
        ("kind", json!("answer")),
    ] {
        assert_eq!(own[member], is, "{member}");
    }
    let bytes: u64 = entries.iter().map(|entry| entry["bytes"].as_u64().unwrap()).sum();
    let api = gateway.admin("GET", "/v1/apis/test/v1", "").await.json();
    assert!(bytes <= api["bytes"].as_u64().unwrap() && bytes > 8 * 300, "{bytes} {api}");
    assert_eq!(by_path["/private/cookie"]["partition"], "alice (credentials: cookie)");
    assert_eq!(by_path["/raw"]["partition"], "(credentials: authorization, cookie)");
    assert_eq!(
        (&by_path["/public"]["partition"], &by_path["/public"]["query"]),
        (&Value::Null, &json!("a=1&b=2&token=***"))
    );
    let vary = by_path["/vary"];
    assert_eq!(vary["selection"], json!({"accept-language": "mi", "x-api-key": "(hidden)", "x-none": null}));
    assert_eq!((&by_path["/part"]["kind"], &by_path["/part"]["range"]), (&json!("part"), &json!("bytes 0-3/100")));
    assert_eq!(by_path["/search"]["no_vary_search"], "params=(\"utm\")");
    assert_eq!(by_path["/q"]["content"], json!({"type": "text/plain", "bytes": 19}));
    assert_eq!(by_path["/q"]["kind"], "query");
}

#[tokio::test]
async fn states_are_told() {
    let origin = Origin::start(echo).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    for path in ["/a", "/b", "/c"] {
        client.get(path).await;
    }
    gateway.settled().await;
    gateway.purge(json!({"path": "/a"})).await;
    gateway.purge(json!({"path": "/b", "soft": true})).await;
    let told = async || {
        let all = all(&gateway, "").await;
        all.iter().map(|e| (e["state"].as_str().unwrap().to_owned(), e["ttl"].as_i64().unwrap())).collect::<Vec<_>>()
    };
    let states = told().await;
    assert_eq!(states, [("invalidated".into(), 0), ("outdated".into(), 0), ("fresh".to_owned(), states[2].1)]);
    gateway.step(61);
    assert_eq!(told().await[2].0, "stale");
    assert!(told().await[2].1 < 0);
}

#[tokio::test]
async fn filters_narrow() {
    let origin = Origin::start(echo).await;
    let api = |name: &str, more: &str| {
        format!(
            "[[api]]\nname = \"{name}\"\nversion = \"v1\"\npath = \"/{name}\"\nupstream = [\"{}\"]\n{more}\n",
            origin.url()
        )
    };
    let objects = "[objects]\nlisten = \"127.0.0.1:0\"\n[[objects.namespace]]\nname = \"codes\"\nttl = \"1h\"\n";
    let gateway = Gateway::with(objects, &(api("one", "") + &api("two", ""))).await;
    let mut client = gateway.client().await.host("h:81");
    for path in ["/one/a", "/one/ab", "/one/a/b", "/two/a"] {
        client.get(path).await;
    }
    client.get_with("/one/t", &[("x-reply", "tagged")]).await;
    client.get_with("/two/t", &[("x-reply", "tagged")]).await;
    client.get_with("/one/a", &[("host", "other")]).await;
    Client::connect(gateway.running.objects.unwrap()).await.put("/codes/AT", "1").await;
    gateway.settled().await;
    for (query, found) in [
        ("api=two/v1", &["/two/a", "/two/t"][..]),
        ("prefix=/one/a", &["/one/a", "/one/a/b", "/one/ab", "/one/a"]),
        ("prefix=/one/a&host=h", &["/one/a", "/one/a/b", "/one/ab"]),
        ("prefix=/one/a&host=H:81", &["/one/a", "/one/a/b", "/one/ab"]),
        ("prefix=/one/a&host=h:82", &[]),
        ("tag=red", &["/one/t", "/two/t"]),
        ("tag=red&api=one/v1", &["/one/t"]),
        ("tag=green", &[]),
        ("api=objects/codes", &["/codes/AT"]),
        ("api=objects/codes&prefix=/codes/B", &[]),
    ] {
        assert_eq!(paths(&all(&gateway, query).await), found, "{query}");
        assert_eq!(paths(&all(&gateway, &format!("{query}&limit=1")).await), found, "{query}, one by one");
    }
    let object = &all(&gateway, "api=objects/codes").await[0];
    assert_eq!((&object["kind"], &object["host"]), (&json!("object"), &Value::Null));
    assert!(gateway.running.store().scopes.known(&[freshgate::policy::Scope::Tag("one/v1", "green")]).is_empty());
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_by_name() {
    let origin = Origin::start(echo).await;
    let gateway = Gateway::before(&origin, "").await;
    for (query, member) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=%20", "cursor"),
        ("cursor=AAAAAAAAAAA", "cursor"),
        ("api=nobody/v1", "api"),
        ("prefix=books", "prefix"),
        ("prefix=/%zz", "prefix"),
        ("host=a/b", "host"),
        ("color=red", "query"),
        ("tag=", "tag"),
        ("api=a&api=b", "api"),
    ] {
        let answer = gateway.admin("GET", &format!("/v1/entries?{query}"), "").await;
        assert_eq!((answer.status, answer.one("content-type")), (400, "application/problem+json"), "{query}");
        let problem = answer.json();
        assert_eq!(problem["member"], member, "{query}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(member), "{problem}");
    }
}

/// Pages of 7 while other answers come, go, are refreshed and purged: those that are there all the time are listed, each once.
#[tokio::test]
async fn what_is_there_all_the_time_is_listed_once() {
    let origin = Origin::start(echo).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    let kept = |n: usize| format!("/kept/{}/{n}?q={}", n % 5, n % 3);
    for n in 0..150 {
        client.get(&kept(n)).await;
        client.get(&format!("/going/{n}")).await;
        client.get_with(&format!("/kept/many?n={n}"), &[("x-api-key", "k")]).await;
    }
    gateway.settled().await;
    let listing = all(&gateway, "limit=7");
    let churning = async {
        let mut client = gateway.client().await;
        for n in 0..150 {
            client.get(&format!("/coming/{n}")).await;
            client.put(&format!("/going/{n}"), "").await;
            // Another entry in the same place.
            client.get_with(&kept(n), &[("cache-control", "no-cache")]).await;
            gateway.step(1);
        }
    };
    let (listed, ()) = tokio::join!(listing, churning);
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &listed {
        let name = format!("{}?{}", entry["path"].as_str().unwrap(), entry["query"].as_str().unwrap_or_default());
        *count.entry(name).or_default() += 1;
    }
    assert!(count.values().all(|times| *times == 1), "{count:?}");
    for n in 0..150 {
        assert!(count.contains_key(&kept(n)), "{n}");
        assert!(count.contains_key(&format!("/kept/many?n={n}")), "{n}");
    }
    assert!(paths(&listed).is_sorted(), "in the order of paths");
}

/// To look marks nothing as used, counts nothing, and invalidates nothing.
#[tokio::test]
async fn looking_has_no_effect() {
    let origin = Origin::start(echo).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    client.get("/a").await;
    client.get("/a").await;
    gateway.settled().await;
    let told = async || {
        let api = gateway.admin("GET", "/v1/apis/test/v1", "").await.json();
        (gateway.running.store().scopes.epoch(), gateway.running.store().scopes.len(), origin.count(), api)
    };
    let before = told().await;
    let first = all(&gateway, "tag=x&prefix=/a").await.len() + all(&gateway, "").await.len();
    assert_eq!(first, 1);
    assert_eq!(told().await, before);
}
