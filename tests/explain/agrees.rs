//! Each row is explained first and then sent for real: what happened has to be what was said.

use super::support::{Answer, Client, Gateway, Origin, Reply, Request, within};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Fields = &'static [(&'static str, &'static str)];

/// What is done before a request is explained.
#[derive(Clone, Copy)]
enum Do {
    /// Ask for this, with these fields.
    Get(&'static str, Fields),
    /// Write there.
    Put(&'static str),
    /// Seconds pass.
    Wait(u64),
    /// Purge this path.
    Purge(&'static str),
    /// The same softly.
    Soft(&'static str),
}
use Do::{Get, Purge, Put, Soft, Wait};

/// Further lines of `[[api]]`, what was before, the request, its content, what is said: decision and reason.
type Row =
    (&'static str, &'static [Do], (&'static str, &'static str), Fields, &'static str, (&'static str, &'static str));

const KEYED: &str = "auth = { kind = \"api-key\", header = \"x-key\", required_scopes = [], keys = [\
    { user = \"alice\", scopes = [\"read\"], sha256 = \"2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90\" },\
    { user = \"bob\", scopes = [], sha256 = \"81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9\" }] }";
const SCOPED: &str = "auth = { kind = \"api-key\", header = \"x-key\", required_scopes = [\"admin\"], keys = [\
    { user = \"alice\", scopes = [\"read\"], sha256 = \"2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90\" }] }";
const ALICE: (&str, &str) = ("x-key", "alice");
const BOB: (&str, &str) = ("x-key", "bob");
const N: Fields = &[];
const A: &[Do] = &[Get("/a", N)];
const OLD: &[Do] = &[Get("/a", N), Wait(61)];

const ROWS: &[Row] = &[
    ("", &[], ("GET", "/a"), N, "", ("miss", "")),
    ("", A, ("GET", "/a"), N, "", ("hit", "")),
    ("", A, ("HEAD", "/a"), N, "", ("hit", "")),
    ("", A, ("GET", "/a?x=1"), N, "", ("miss", "")),
    ("", &[Get("/a?b=2&a=1", N)], ("GET", "/a?a=1&b=2"), N, "", ("hit", "")),
    ("", A, ("GET", "/a"), &[("host", "other.example")], "", ("miss", "")),
    ("", A, ("GET", "/a"), &[("if-none-match", "\"1\"")], "", ("hit", "")),
    ("", A, ("GET", "/a"), &[("range", "bytes=0-1")], "", ("hit", "")),
    ("", A, ("GET", "/a"), &[("range", "bytes=900-")], "", ("hit", "")),
    ("", &[], ("GET", "/a"), &[("range", "bytes=0-1")], "", ("miss", "")),
    ("", &[Get("/part", &[("range", "bytes=0-3")])], ("GET", "/part"), &[("range", "bytes=0-1")], "", ("hit", "")),
    ("", &[Get("/part", &[("range", "bytes=0-3")])], ("GET", "/part"), N, "", ("miss", "")),
    ("", OLD, ("GET", "/a"), N, "", ("validate", "stale")),
    ("", OLD, ("HEAD", "/a"), N, "", ("pass", "stale")),
    ("", &[Get("/plain", N), Wait(61)], ("GET", "/plain"), N, "", ("miss", "stale")),
    ("grace = \"1h\"", &[Get("/plain", N), Wait(61)], ("GET", "/plain"), N, "", ("stale", "stale-while-revalidate")),
    ("grace = \"1h\"", OLD, ("GET", "/a"), &[("cache-control", "max-age=5")], "", ("validate", "stale")),
    ("grace = \"10s\"", &[Get("/a", N), Wait(90)], ("GET", "/a"), N, "", ("validate", "stale")),
    ("keep_on_error = \"1h\"", OLD, ("GET", "/a"), N, "", ("validate", "stale")),
    ("refresh_ahead = 0.5", &[Get("/a", N), Wait(40)], ("GET", "/a"), N, "", ("hit", "")),
    ("", &[Get("/swr", N), Wait(70)], ("GET", "/swr"), N, "", ("stale", "stale-while-revalidate")),
    ("", &[Get("/must", N), Wait(70)], ("GET", "/must"), &[("cache-control", "max-stale")], "", ("validate", "stale")),
    ("", OLD, ("GET", "/a"), &[("cache-control", "max-stale")], "", ("stale", "max-stale")),
    ("", OLD, ("GET", "/a"), &[("cache-control", "max-stale=0")], "", ("validate", "stale")),
    ("", &[Get("/a", N), Purge("/a")], ("GET", "/a"), N, "", ("miss", "invalidated")),
    ("", &[Get("/a", N), Put("/a")], ("GET", "/a"), N, "", ("miss", "invalidated")),
    ("", &[Get("/a/b", N), Put("/a")], ("GET", "/a/b"), N, "", ("miss", "invalidated")),
    ("invalidate = \"self\"", &[Get("/a/b", N), Put("/a")], ("GET", "/a/b"), N, "", ("hit", "")),
    ("", &[Get("/a", N), Soft("/a")], ("GET", "/a"), N, "", ("validate", "outdated")),
    ("grace = \"1h\"", &[Get("/a", N), Soft("/a")], ("GET", "/a"), N, "", ("stale", "stale-while-revalidate")),
    (
        "",
        &[Get("/vary", &[("accept-language", "mi")])],
        ("GET", "/vary"),
        &[("accept-language", "en")],
        "",
        ("miss", ""),
    ),
    (
        "",
        &[Get("/vary", &[("accept-language", "mi")])],
        ("GET", "/vary"),
        &[("accept-language", "mi")],
        "",
        ("hit", ""),
    ),
    (
        "unique_etags = true",
        &[Get("/vary", &[("accept-language", "mi")])],
        ("GET", "/vary"),
        &[("accept-language", "en")],
        "",
        ("validate", ""),
    ),
    ("", &[Get("/no-store", N)], ("GET", "/no-store"), N, "", ("miss", "")),
    ("", &[Get("/no-store", N)], ("GET", "/no-store"), &[("if-none-match", "\"1\"")], "", ("pass", "unshared")),
    ("", &[Get("/private", N)], ("GET", "/private"), N, "", ("miss", "")),
    ("", &[Get("/cookie", N)], ("GET", "/cookie"), N, "", ("miss", "")),
    ("", &[Get("/silent", N)], ("GET", "/silent"), N, "", ("miss", "")),
    ("ttl = \"5m\"", &[Get("/silent", N)], ("GET", "/silent"), N, "", ("hit", "")),
    ("ttl = \"forever\"", &[Get("/silent", N), Wait(9_999)], ("GET", "/silent"), N, "", ("hit", "")),
    ("", &[Get("/no-cache", N)], ("GET", "/no-cache"), N, "", ("validate", "no-cache")),
    (
        "",
        &[Get("/a", N), Wait(5)],
        ("GET", "/a"),
        &[("cache-control", "no-cache")],
        "",
        ("validate", "client-no-cache"),
    ),
    ("", A, ("GET", "/a"), &[("cache-control", "no-cache")], "", ("hit", "")),
    (
        "client_directives = \"ignore\"",
        &[Get("/a", N), Wait(5)],
        ("GET", "/a"),
        &[("cache-control", "no-cache")],
        "",
        ("hit", ""),
    ),
    (
        "",
        &[Get("/a", N), Wait(5)],
        ("GET", "/a"),
        &[("cache-control", "max-age=0")],
        "",
        ("validate", "client-max-age"),
    ),
    (
        "",
        &[Get("/a", N), Wait(5)],
        ("GET", "/a"),
        &[("cache-control", "min-fresh=58")],
        "",
        ("validate", "client-min-fresh"),
    ),
    ("", &[Get("/immutable", N), Wait(5)], ("GET", "/immutable"), &[("cache-control", "max-age=0")], "", ("hit", "")),
    ("", &[], ("GET", "/a"), &[("cache-control", "no-store")], "", ("pass", "client-no-store")),
    ("", &[], ("GET", "/a"), &[("cache-control", "only-if-cached")], "", ("refused", "only-if-cached")),
    ("", A, ("GET", "/a"), &[("cache-control", "only-if-cached")], "", ("hit", "")),
    ("", A, ("GET", "/a"), &[("if-match", "\"1\"")], "", ("pass", "precondition")),
    ("", A, ("GET", "/a"), N, "with a content", ("pass", "request-body")),
    ("cache = false", &[], ("GET", "/a"), N, "", ("pass", "cache-off")),
    ("[[api.route]]\non = \"GET /a\"\ncache = false", A, ("GET", "/a"), N, "", ("pass", "cache-off")),
    ("", A, ("PUT", "/a"), N, "x", ("write", "")),
    ("", A, ("DELETE", "/a"), N, "", ("write", "")),
    ("", A, ("OPTIONS", "/a"), N, "", ("pass", "")),
    ("[[api.route]]\non = \"POST /a\"\nsafe = true", A, ("POST", "/a"), N, "x", ("pass", "")),
    ("", &[], ("QUERY", "/q"), &[("content-type", "text/plain")], "what", ("miss", "")),
    ("cache = false", &[], ("QUERY", "/q"), &[("content-type", "text/plain")], "what", ("pass", "")),
    ("", &[], ("GET", "/a/%zz"), N, "", ("refused", "bad-escape")),
    ("", &[], ("get", "/a"), N, "", ("refused", "bad-method")),
    ("", &[], ("GET", "/a"), &[("content-type", "a"), ("content-type", "b")], "", ("refused", "repeated-field")),
    ("host = \"only.example\"", &[], ("GET", "/a"), N, "", ("refused", "no-api")),
    (KEYED, &[], ("GET", "/a"), N, "", ("refused", "credentials-missing")),
    (KEYED, &[], ("GET", "/a"), &[("x-key", "nobody")], "", ("refused", "credentials-unknown")),
    (KEYED, &[Get("/a", &[ALICE])], ("GET", "/a"), N, "", ("refused", "credentials-missing")),
    (KEYED, &[Get("/a", &[ALICE])], ("GET", "/a"), &[ALICE], "", ("hit", "")),
    (KEYED, &[Get("/a", &[ALICE])], ("GET", "/a"), &[BOB], "", ("miss", "")),
    (KEYED, &[Get("/public", &[ALICE])], ("GET", "/public"), &[BOB], "", ("hit", "")),
    (SCOPED, &[], ("GET", "/a"), &[ALICE], "", ("refused", "scope-missing")),
    ("rate = { per_caller = { requests = 1, per = \"1h\" } }", A, ("GET", "/a"), N, "", ("refused", "rate-of-caller")),
    ("", &[Get("/a", N)], ("GET", "/a"), &[("cookie", "a=1")], "", ("miss", "")),
    ("", &[Get("/public", N)], ("GET", "/public"), &[("cookie", "a=1")], "", ("hit", "")),
    (
        "key = { share = \"assume-public\" }",
        &[Get("/a", N)],
        ("GET", "/a"),
        &[("authorization", "Bearer x")],
        "",
        ("hit", ""),
    ),
    (
        "key = { share = \"everyone\" }",
        &[Get("/shared", &[("cookie", "a=1")])],
        ("GET", "/shared"),
        &[("cookie", "a=2")],
        "",
        ("hit", ""),
    ),
    ("key = { cookies = { ignore = [\"_ga*\"] } }", A, ("GET", "/a"), &[("cookie", "_ga=1")], "", ("hit", "")),
    ("key = { query = { ignore = [\"utm_*\"] } }", A, ("GET", "/a?utm_source=x"), N, "", ("hit", "")),
    ("key = { headers = [\"x-flavour\"] }", A, ("GET", "/a"), &[("x-flavour", "lime")], "", ("miss", "")),
    ("", &[Get("/search?utm=1&a=1", N)], ("GET", "/search?a=1&utm=2"), N, "", ("hit", "")),
];

async fn answer(request: Request) -> Reply {
    if !matches!(request.method.as_str(), "GET" | "HEAD" | "QUERY") {
        return Reply::status(204);
    }
    let path = request.target.split('?').next().unwrap_or_default().trim_start_matches('/').to_owned();
    let (control, more): (&str, Fields) = match path.as_str() {
        "plain" => ("max-age=60", &[]),
        "swr" => ("max-age=60, stale-while-revalidate=60", &[]),
        "must" => ("max-age=60, must-revalidate", &[("etag", "\"1\"")]),
        "vary" => ("max-age=60", &[("vary", "accept-language"), ("etag", "\"1\"")]),
        "no-store" => ("no-store", &[("etag", "\"1\"")]),
        "private" => ("private, max-age=60", &[]),
        "cookie" => ("max-age=60", &[("set-cookie", "a=1")]),
        "silent" => ("", &[]),
        "no-cache" => ("no-cache", &[("etag", "\"1\"")]),
        "immutable" => ("max-age=60, immutable", &[("etag", "\"1\"")]),
        "public" => ("public, max-age=60", &[("etag", "\"1\"")]),
        "shared" => ("s-maxage=60", &[]),
        "search" => ("max-age=60", &[("no-vary-search", "params=(\"utm\")")]),
        _ => ("max-age=60", &[("etag", "\"1\"")]),
    };
    let reply = match request.get("if-none-match") {
        Some("\"1\"") => Reply::status(304),
        _ if request.get("range") == Some("bytes=0-3") => {
            Reply::status(206).field("content-range", "bytes 0-3/100").field("etag", "\"1\"").body("part")
        }
        _ => Reply::ok("content"),
    };
    let reply = if control.is_empty() { reply } else { reply.field("cache-control", control) };
    more.iter().fold(reply, |reply, (name, value)| reply.field(name, value))
}

/// How many requests came to each end, of all APIs and of none.
async fn outcomes(gateway: &Gateway) -> BTreeMap<String, u64> {
    let metrics = gateway.admin("GET", "/metrics", "").await;
    let mut all = BTreeMap::new();
    for line in metrics.text().lines().filter(|line| line.starts_with("freshgate_requests_total{")) {
        let (labels, count) = line.rsplit_once(' ').unwrap();
        let outcome = labels.split("outcome=\"").nth(1).unwrap().trim_end_matches("\"}").to_owned();
        *all.entry(outcome).or_default() += count.parse::<u64>().unwrap();
    }
    all
}

/// What was counted by one request.
fn happened(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> String {
    let more: Vec<&str> =
        after.iter().filter(|(name, count)| before.get(*name) != Some(count)).map(|(name, _)| name.as_str()).collect();
    assert_eq!(more.len(), 1, "{before:?} {after:?}");
    more[0].to_owned()
}

fn member(answer: &Answer) -> String {
    answer.all("cache-status").last().copied().unwrap_or_default().to_owned()
}

/// A parameter of a `Cache-Status`.
fn says<'a>(member: &'a str, name: &str) -> Option<&'a str> {
    member.split(';').skip(1).map(str::trim).find_map(|parameter| match parameter.split_once('=') {
        Some((own, value)) => (own == name).then_some(value),
        None => (parameter == name).then_some(""),
    })
}

async fn prepare(gateway: &Gateway, client: &mut Client, before: &[Do]) {
    for one in before {
        match one {
            Get(target, fields) => assert!(client.get_with(target, fields).await.status < 400, "{target}"),
            Put(target) => assert_eq!(client.put(target, "x").await.status, 204),
            Wait(seconds) => gateway.step(*seconds),
            Purge(path) => drop(gateway.purge(json!({ "path": path })).await),
            Soft(path) => drop(gateway.purge(json!({ "path": path, "soft": true })).await),
        }
        gateway.settled().await;
    }
}

async fn holds(row: &Row) {
    let (api, before, (method, target), fields, content, (decision, reason)) = row;
    let named = format!("{api} {method} {target} {fields:?}");
    let origin = Origin::start(answer).await;
    let gateway = Gateway::before(&origin, api).await;
    let mut client = gateway.client().await;
    prepare(&gateway, &mut client, before).await;
    let (asked_before, counted, epoch) =
        (origin.count(), outcomes(&gateway).await, gateway.running.store().scopes.epoch());
    let question =
        json!({"method": method, "url": target, "headers": fields, "content": content, "address": "127.0.0.1"});
    let explained = gateway.admin("POST", "/v1/explain", &question.to_string()).await;
    assert_eq!(explained.status, 200, "{named}: {}", explained.text());
    let explained = explained.json();
    let verdict = &explained["verdict"];
    assert_eq!(
        (verdict["decision"].as_str().unwrap(), verdict["reason"].as_str().unwrap_or_default()),
        (*decision, *reason),
        "{named}: {explained:#}"
    );
    let effects = (origin.count(), outcomes(&gateway).await, gateway.running.store().scopes.epoch());
    assert_eq!(effects, (asked_before, counted.clone(), epoch), "{named}: to explain does nothing");
    for step in explained["steps"].as_array().unwrap().iter().chain([verdict]) {
        assert!(
            step["section"].as_str().is_none_or(|s| s.contains('§') || s.starts_with("config ")),
            "{named}: {step}"
        );
        assert!(
            step["config"].as_str().is_none_or(|key| key.starts_with("api[0].") || key.starts_with("server.")),
            "{named}: {step}"
        );
    }

    let real = client.request(method, target, fields, content).await;
    // It is counted when its body has ended.
    let after = within("the count of a request", async {
        loop {
            let after = outcomes(&gateway).await;
            if after != counted {
                break after;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    agrees(&named, row, verdict, &real, &happened(&counted, &after));
    let condition =
        |want| assert_eq!(origin.requests().last().unwrap().get("if-none-match").is_some(), want, "{named}");
    match *decision {
        "validate" => condition(true),
        "miss" => condition(false),
        _ => {}
    }
}

/// Whether what happened is what was said.
fn agrees(named: &str, (.., (decision, _)): &Row, verdict: &Value, real: &Answer, happened: &str) {
    let member = member(real);
    let told = verdict["cache_status"].as_str().unwrap_or_default();
    let expected = match *decision {
        "validate" => "revalidated",
        other => other,
    };
    assert_eq!(happened, expected, "{named}: {member}\n{verdict:#}");
    for name in ["hit", "fwd"] {
        assert_eq!(says(told, name), says(&member, name), "{named}: {told} | {member}");
    }
    let kept = real.fields.all("cache-status").iter().any(|line| line.contains("; stored"));
    if matches!(*decision, "hit" | "stale" | "refused" | "pass") || kept {
        assert_eq!(says(told, "detail"), says(&member, "detail"), "{named}: {told} | {member}");
    }
    if let Some(status) = verdict["status"].as_u64() {
        assert_eq!(status, u64::from(real.status), "{named}");
    }
}

#[tokio::test]
async fn what_is_said_is_what_happens() {
    assert!(ROWS.len() > 60);
    for row in ROWS {
        holds(row).await;
    }
}

/// Somebody is asking for it already.
#[tokio::test]
async fn who_would_wait_is_told_so() {
    let gate = super::support::Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let gate = held.clone();
        async move {
            gate.pass().await;
            Reply::ok("content").field("cache-control", "max-age=60")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let (mut first, mut second) = (gateway.client().await, gateway.client().await);
    first.send("GET", "/a", &[], "").await;
    origin.received(1).await;
    let explained = gateway.admin("POST", "/v1/explain", &json!({"url": "/a"}).to_string()).await.json();
    assert_eq!(explained["verdict"]["decision"], "join", "{explained:#}");
    second.send("GET", "/a", &[], "").await;
    within("a second one waits", async {
        while !gateway.admin("GET", "/metrics", "").await.text().contains("freshgate_waiting_requests 1") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open();
    first.answer().await;
    assert!(second.answer().await.cache_says("collapsed"));
    assert_eq!(origin.count(), 1);
}

/// Why it wasn't kept, from what was lately in vain; and by whose word it is fresh.
#[tokio::test]
async fn reasons_and_places_are_told() {
    let origin = Origin::start(answer).await;
    let gateway = Gateway::before(&origin, "ttl = \"5m\"\n[[api.route]]\non = \"GET /me\"\ncache = false").await;
    let mut client = gateway.client().await;
    for path in ["/no-store", "/private", "/cookie", "/silent"] {
        client.get(path).await;
    }
    gateway.settled().await;
    let explain =
        async |url: &str| gateway.admin("POST", "/v1/explain", &json!({ "url": url }).to_string()).await.json();
    let text = |explained: &Value| explained.to_string();
    for (path, says, section) in [
        ("/no-store", "the origin says no-store", "RFC 9111 §5.2.2.5"),
        ("/private", "the origin says private", "RFC 9111 §5.2.2.7"),
        ("/cookie", "it sets a cookie", "RFC 9111 §7.3"),
    ] {
        let explained = explain(path).await;
        assert!(text(&explained).contains(says) && text(&explained).contains(section), "{explained:#}");
        assert!(!explained["changes"].as_array().unwrap().is_empty(), "{explained:#}");
    }
    let silent = explain("/silent").await;
    assert!(silent["steps"].as_array().unwrap().iter().any(|step| step["config"] == "api[0].ttl"), "{silent:#}");
    assert_eq!(silent["stored"][0]["path"], "/silent");
    let me = explain("/me").await;
    assert_eq!((&me["route"], &me["verdict"]["reason"]), (&json!("GET /me"), &json!("cache-off")));
    assert!(me["steps"].as_array().unwrap().iter().any(|step| step["config"] == "api[0].route[0].cache"), "{me:#}");
}
