//! Events through a whole gateway: what is stored before them isn't used after them, whoever says so and how.

#![cfg(test)]

mod support;

use bytes::Bytes;
use freshgate::events::{News, Via};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use support::{Answer, Client, Gate, Gateway, Origin, Reply, TOKEN, within};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

const RULES: &str = r#"
[[events.rule]]
when = { type = "codes.*" }
purge = { api = "shop/v1", tag = "code-{subject}" }
[[events.rule]]
when = { type = "codes.moved", source = "/db*" }
purge = [{ path = "/shop/v1/taxes/{data.region}" }, { prefix = "/shop/v1/old/{data.from}" }]
[[events.rule]]
when = { type = "caller.left" }
invalidate = { user = "{subject}" }
[[events.rule]]
when = { type = "shop.closed" }
purge = [{ api = "shop/v1" }]
[[events.rule]]
when = { type = "outdated" }
purge = { api = "shop/v1", soft = true }
[[events.rule]]
when = { type = "all" }
purge = { all = true }
[[events.rule]]
when = { type = "ignored" }
purge = []
"#;

/// Two APIs of two origins; each answer carries the tag of its last segment, and says how often it was asked for.
async fn shops(rules: &str) -> (Gateway, [Origin; 2]) {
    let answer = async |request: support::Request| {
        let code = request.target.rsplit('/').next().unwrap_or_default().to_owned();
        Reply::ok(&code).field("surrogate-key", format!("code-{code}")).field("cache-control", "max-age=600")
    };
    let origins = [Origin::start(answer).await, Origin::start(answer).await];
    let api = |version: &str, origin: &Origin| {
        format!(
            "[[api]]\nname = \"shop\"\nversion = \"{version}\"\npath = \"/shop/{version}\"\nupstream = [\"{}\"]\n",
            origin.url()
        )
    };
    let apis = format!("{}{}", api("v1", &origins[0]), api("v2", &origins[1]));
    (Gateway::with(rules, &apis).await, origins)
}

const READS: [&str; 6] = [
    "/shop/v1/AT",
    "/shop/v1/taxes/A%2FT",
    "/shop/v1/taxes/Wien",
    "/shop/v1/old/Graz/AT",
    "/shop/v1/old/Linz",
    "/shop/v2/AT",
];

async fn warm(client: &mut Client) {
    for target in READS {
        client.get(target).await;
        assert!(client.get(target).await.cache_says("hit"), "{target} isn't kept");
    }
}

/// The reads that aren't answered from the cache any more.
async fn gone(client: &mut Client) -> Vec<&'static str> {
    let mut gone = Vec::new();
    for target in READS {
        if !client.get_with(target, &[("cache-control", "only-if-cached")]).await.cache_says("hit") {
            gone.push(target);
        }
    }
    gone
}

async fn send(gateway: &Gateway, fields: &[(&str, &str)], body: &str) -> Answer {
    let bearer = format!("Bearer {TOKEN}");
    let fields = [&[("authorization", bearer.as_str())], fields].concat();
    Client::connect(gateway.admin).await.request("POST", "/v1/events", &fields, body).await
}

/// Sends it structured, and gives what was done about it.
async fn tell(gateway: &Gateway, event: &Value) -> Value {
    let answer = send(gateway, &[("content-type", STRUCTURED)], &event.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["events"][0].take()
}

fn event(id: &str, kind: &str, subject: &str, data: Value) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": "/db/1", "type": kind, "subject": subject, "data": data })
}

async fn metric(gateway: &Gateway, line: &str) -> u64 {
    let text = gateway.admin("GET", "/metrics", "").await;
    let found = text.text().lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {line}"))
}

#[tokio::test]
async fn each_selector_covers_what_it_names() {
    let (gateway, _origins) = shops(RULES).await;
    let mut client = gateway.client().await;
    let moved = |region: &str, from: &str| json!({ "region": region, "from": from });
    let v1 = &READS[..5];
    for (kind, subject, data, expected) in [
        ("codes.updated", "AT", json!({}), &["/shop/v1/AT", "/shop/v1/old/Graz/AT"][..]),
        ("codes.updated", "nothing", json!({}), &[]),
        ("codes.moved", "-", moved("A/T", "-"), &["/shop/v1/taxes/A%2FT"]),
        ("codes.moved", "-", moved("Wien", "Graz"), &["/shop/v1/taxes/Wien", "/shop/v1/old/Graz/AT"]),
        ("codes.moved", "-", moved("..", "Linz"), &["/shop/v1/old/Linz"]),
        ("codes.moved", "-", moved("Wien/../..", "."), &[]),
        ("shop.closed", "-", json!({}), v1),
        ("all", "-", json!({}), &READS),
        ("ignored", "-", json!({}), &[]),
    ] {
        warm(&mut client).await;
        let event = event(&format!("{kind}{data}{subject}"), kind, subject, data);
        let did = tell(&gateway, &event).await;
        assert_eq!(gone(&mut client).await, expected, "{event}: {did}");
    }
}

#[tokio::test]
async fn the_answer_says_what_each_rule_did() {
    let (gateway, _origins) = shops(RULES).await;
    let did = tell(&gateway, &event("7", "codes.moved", "AT", json!({ "region": "A/T" }))).await;
    let expected = json!({ "id": "7", "source": "/db/1", "duplicate": false, "rules": [
        { "rule": 0, "did": [{ "purge": { "api": "shop/v1", "tag": "code-AT" }, "invalidated": null, "epoch": 1 }] },
        { "rule": 1, "did": [
            { "purge": { "path": "/shop/v1/taxes/A%2FT" }, "invalidated": null, "epoch": 2 },
            { "purge": { "prefix": "/shop/v1/old/{data.from}" }, "skipped": "the event has no `data.from`" },
        ] },
    ]});
    assert_eq!(did, expected);
    assert_eq!(metric(&gateway, "freshgate_event_actions_total{result=\"done\"}").await, 2);
    assert_eq!(metric(&gateway, "freshgate_event_actions_total{result=\"skipped\"}").await, 1);
    assert_eq!(metric(&gateway, "freshgate_event_rules_total").await, 2);
    assert_eq!(
        metric(&gateway, "freshgate_invalidations_total{api=\"shop/v1\",kind=\"event\",severity=\"hard\"}").await,
        1
    );
}

#[tokio::test]
async fn a_binary_event_and_a_batch_do_the_same() {
    let (gateway, _origins) = shops(RULES).await;
    let mut client = gateway.client().await;
    warm(&mut client).await;
    let fields = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/db/1"),
        ("ce-type", "codes.moved"),
        ("content-type", "application/json"),
    ];
    let answer = send(&gateway, &fields, r#"{"region":"Wien","from":"Linz"}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let skipped = &answer.json()["events"][0]["rules"][0]["did"][0]["skipped"];
    assert_eq!(skipped, "the event has no `subject`");
    assert_eq!(gone(&mut client).await, ["/shop/v1/taxes/Wien", "/shop/v1/old/Linz"]);
    warm(&mut client).await;
    let batch = json!([
        event("2", "codes.updated", "AT", json!({})),
        event("3", "codes.updated", "Linz", json!({})),
        event("3", "codes.updated", "Wien", json!({})),
    ]);
    let answer = send(&gateway, &[("content-type", BATCH)], &batch.to_string()).await;
    let duplicates: Vec<_> =
        answer.json()["events"].as_array().unwrap().iter().map(|told| told["duplicate"].clone()).collect();
    assert_eq!(duplicates, [false, false, true]);
    assert_eq!(gone(&mut client).await, ["/shop/v1/AT", "/shop/v1/old/Graz/AT", "/shop/v1/old/Linz"]);
}

#[tokio::test]
async fn a_duplicate_changes_nothing_until_its_window_ends_and_over_a_reload() {
    let (gateway, origins) = shops(RULES).await;
    let mut client = gateway.client().await;
    let updated = event("1", "codes.updated", "AT", json!({}));
    assert_eq!(tell(&gateway, &updated).await["duplicate"], false);
    warm(&mut client).await;
    let asked = origins[0].count();
    let again = json!({ "id": "1", "source": "/db/1", "duplicate": true, "rules": [] });
    assert_eq!(tell(&gateway, &updated).await, again);
    let apis = gateway.admin("GET", "/v1/config", "").await.json()["api"].clone();
    let upstream = apis[0]["upstream"][0]["url"].as_str().unwrap().to_owned();
    let shop =
        format!("[[api]]\nname = \"shop\"\nversion = \"v1\"\npath = \"/shop/v1\"\nupstream = [\"{upstream}\"]\n");
    let renamed = RULES.replace("codes.*", "codes.u*").replace("user = \"{subject}\"", "api = \"shop/v1\"");
    gateway.reload_all("", &renamed, &shop).unwrap();
    assert_eq!(tell(&gateway, &updated).await, again, "what was seen stays");
    assert!(client.get("/shop/v1/AT").await.cache_says("hit"));
    assert_eq!(origins[0].count(), asked);
    gateway.step(599);
    assert_eq!(tell(&gateway, &updated).await, again);
    gateway.step(1);
    assert_eq!(tell(&gateway, &updated).await["duplicate"], false);
    assert_eq!(metric(&gateway, "freshgate_events_total{via=\"http\",result=\"duplicate\"}").await, 3);
    assert_eq!(metric(&gateway, "freshgate_events_total{via=\"http\",result=\"applied\"}").await, 2);
}

#[tokio::test]
async fn a_reload_replaces_the_rules() {
    let (gateway, origins) = shops(RULES).await;
    let shop = format!(
        "[[api]]\nname = \"shop\"\nversion = \"v1\"\npath = \"/shop/v1\"\nupstream = [\"{}\"]\n",
        origins[0].url()
    );
    let rules = "[[events.rule]]\nwhen = { type = \"new\" }\npurge = { path = \"/shop/v1/{subject}\" }\n";
    let limits = "[events]\nbatch = 1\nbody = \"1KiB\"\nduplicates = { window = \"0s\" }\n";
    gateway.reload_all("", &format!("{limits}{rules}"), &shop).unwrap();
    let mut client = gateway.client().await;
    client.get("/shop/v1/AT").await;
    let structured = [("content-type", STRUCTURED)];
    let old = send(&gateway, &structured, &event("1", "codes.updated", "AT", json!({})).to_string()).await;
    assert_eq!((old.status, old.json()["type"].as_str()), (400, Some("urn:freshgate:problem:no-rule")));
    assert!(client.get("/shop/v1/AT").await.cache_says("hit"));
    tell(&gateway, &event("1", "new", "AT", json!({}))).await;
    assert!(client.get("/shop/v1/AT").await.cache_says("fwd=miss"));
    assert_eq!(tell(&gateway, &event("1", "new", "AT", json!({}))).await["duplicate"], false, "none is known any more");
    let long = event("2", "new", &"x".repeat(1024), json!({})).to_string();
    assert_eq!(send(&gateway, &structured, &long).await.status, 413);
    let two = json!([event("3", "new", "AT", json!({})), event("4", "new", "AT", json!({}))]).to_string();
    assert_eq!(send(&gateway, &[("content-type", BATCH)], &two).await.status, 413);
}

#[tokio::test]
async fn one_bad_event_refuses_its_whole_batch() {
    let (gateway, _origins) = shops(RULES).await;
    let mut client = gateway.client().await;
    warm(&mut client).await;
    let good = event("1", "all", "AT", json!({}));
    for (bad, problem) in [
        (event("", "all", "AT", json!({})), "bad-event"),
        (event("2", "nobody's", "AT", json!({})), "no-rule"),
        (json!({ "specversion": "0.3" }), "bad-event"),
    ] {
        let batch = json!([good, good, bad]).to_string();
        let answer = send(&gateway, &[("content-type", BATCH)], &batch).await;
        let told = answer.json();
        assert_eq!((answer.status, &told["index"]), (400, &json!(2)), "{told}");
        assert_eq!(told["type"], format!("urn:freshgate:problem:{problem}"));
    }
    let alone = event("2", "nobody's", "AT", json!({}));
    for (kind, body, index) in [(BATCH, json!([alone]), json!(0)), (STRUCTURED, alone, Value::Null)] {
        let told = send(&gateway, &[("content-type", kind)], &body.to_string()).await.json();
        assert_eq!(told["index"], index, "{told}");
    }
    assert_eq!(gone(&mut client).await, [""; 0]);
    assert_eq!(metric(&gateway, "freshgate_epoch_total").await, 0);
    assert_eq!(metric(&gateway, "freshgate_events_remembered").await, 0);
    assert_eq!(tell(&gateway, &good).await["duplicate"], false, "it wasn't acted on, so it isn't known");
    assert_eq!(gone(&mut client).await, READS);
}

#[tokio::test]
async fn a_soft_rule_marks_stale() {
    let (gateway, _origins) = shops(RULES).await;
    let mut client = gateway.client().await;
    client.get("/shop/v1/AT").await;
    tell(&gateway, &event("1", "outdated", "-", json!({}))).await;
    assert!(client.get("/shop/v1/AT").await.cache_says("fwd=stale"));
}

#[tokio::test]
async fn an_answer_that_was_asked_for_before_an_event_is_not_kept_after_it() {
    let (asked, gate) = (Gate::closed(), Gate::closed());
    let (on_its_way, held) = (asked.clone(), gate.clone());
    let origin = Origin::start(move |_| {
        let (on_its_way, held) = (on_its_way.clone(), held.clone());
        async move {
            on_its_way.open();
            held.pass().await;
            Reply::ok("old").field("cache-control", "max-age=600").field("surrogate-key", "code-AT")
        }
    })
    .await;
    let rules = "[[events.rule]]\nwhen = { type = \"codes\" }\npurge = { tag = \"code-{subject}\" }\n";
    let gateway = Gateway::before(&origin, rules).await;
    let mut reader = gateway.client().await;
    reader.send("GET", "/AT", &[], "").await;
    within("the question", asked.pass()).await;
    tell(&gateway, &event("1", "codes", "AT", json!({}))).await;
    gate.open();
    assert_eq!(reader.answer().await.text(), "old", "it was asked for before");
    assert!(!gateway.client().await.get("/AT").await.cache_says("hit"));
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn news_of_a_source_are_acted_on_before_it_goes_on() {
    let (gateway, _origins) = shops(RULES).await;
    let mut client = gateway.client().await;
    let tell = gateway.running.tell(Via::Postgres, vec!["codes".into()]);
    let message =
        |payload: &str| News::Message { channel: "codes".into(), payload: Bytes::copy_from_slice(payload.as_bytes()) };
    warm(&mut client).await;
    tell(message(&event("1", "codes.updated", "AT", json!({})).to_string()));
    assert_eq!(gone(&mut client).await, ["/shop/v1/AT", "/shop/v1/old/Graz/AT"]);
    warm(&mut client).await;
    tell(message("AT"));
    assert_eq!(gone(&mut client).await, [""; 0], "no rule asks for the channel");
    tell(News::Gap);
    assert_eq!(gone(&mut client).await, READS, "a rule could have meant everything");
    for (result, count) in [("applied", 1), ("no-rule", 1), ("duplicate", 0)] {
        let line = format!("freshgate_events_total{{via=\"postgres\",result=\"{result}\"}}");
        assert_eq!(metric(&gateway, &line).await, count, "{result}");
    }
    assert_eq!(metric(&gateway, "freshgate_event_gaps_total{via=\"postgres\"}").await, 1);
}

#[tokio::test]
async fn too_many_duplicates_to_remember_are_counted() {
    let (gateway, _origins) = shops(&format!("[events]\nduplicates = {{ count = 2 }}\n{RULES}")).await;
    for (id, known) in [("1", false), ("2", false), ("1", true), ("3", false), ("2", true), ("1", false)] {
        let told = tell(&gateway, &event(id, "ignored", "-", json!({}))).await;
        assert_eq!(told["duplicate"], known, "{id}");
    }
    assert_eq!(gateway.reached("event_duplicates").await, 2);
}

#[tokio::test]
async fn what_the_file_says_of_events_is_shown() {
    let (gateway, _origins) = shops(RULES).await;
    let shown = gateway.admin("GET", "/v1/config", "").await.json()["events"].take();
    assert_eq!(shown["duplicates"], json!({ "window": "10m", "count": 10_000 }));
    let rule = json!({ "when": { "type": "codes.*" }, "invalidate": [], "refresh": [],
        "purge": [{ "api": "shop/v1", "tag": "code-{subject}" }] });
    assert_eq!(shown["rule"][0], rule);
}

const OBJECTS: &str = r#"
[[events.rule]]
when = { type = "codes.updated" }
refresh = "codes/{subject}"
[[events.rule]]
when = { type = "codes.removed" }
invalidate = "codes/{subject}"
[objects]
listen = "127.0.0.1:0"
[[objects.namespace]]
name = "codes"
ttl = "100d"
[[objects.namespace]]
name = "loaded"
ttl = "100d"
"#;

#[tokio::test]
async fn an_object_is_dropped_at_once_and_loaded_before_anybody_asks() {
    let loaded = Gate::closed();
    let (version, opened) = (Arc::new(AtomicUsize::new(0)), loaded.clone());
    let source = Origin::start(move |request: support::Request| {
        let (version, opened) = (version.fetch_add(1, SeqCst) + 1, opened.clone());
        async move {
            if version > 1 {
                opened.open();
            }
            Reply::ok(format!("{version} {}", request.target))
        }
    })
    .await;
    let with_source = format!("source = \"{}/{{key}}\"\n[[objects.namespace]]\nname = \"loaded\"", source.url());
    let rest = OBJECTS.replace("[[objects.namespace]]\nname = \"loaded\"", &with_source);
    let gateway = Gateway::with(&rest, "").await;
    let mut client = Client::connect(gateway.running.objects.unwrap()).await;
    assert_eq!(client.get("/codes/A%2FT").await.text(), "1 /A%2FT");
    assert_eq!(client.get("/codes/A%2FT").await.text(), "1 /A%2FT");
    let did = tell(&gateway, &event("1", "codes.updated", "A/T", json!({}))).await;
    assert_eq!(did["rules"], json!([{ "rule": 0, "did": [{ "refresh": "codes/A/T" }] }]));
    within("the source to be asked", loaded.pass()).await;
    assert_eq!(client.get("/codes/A%2FT").await.text(), "2 /A%2FT");
    gateway.step(100 * 86_400 - 60);
    assert_eq!(client.get("/codes/A%2FT").await.text(), "2 /A%2FT", "with a new ttl");
    assert_eq!(source.count(), 2);
}

#[tokio::test]
async fn objects_of_every_key_go_and_no_others() {
    let gateway = Gateway::with(OBJECTS, "").await;
    let mut client = Client::connect(gateway.running.objects.unwrap()).await;
    for (number, key) in ["AT", "a%2F...", "a%3Bb", "%25", "%F0%9F%98%80", "a%2Fb"].into_iter().enumerate() {
        let subject = percent_encoding::percent_decode_str(key).decode_utf8().unwrap().into_owned();
        for (kind, not_loaded) in [("codes.removed", None), ("codes.updated", Some("its namespace has no source"))] {
            client.put(&format!("/codes/{key}"), "old").await;
            client.put("/codes/other", "kept").await;
            let did = tell(&gateway, &event(&format!("{number}{kind}"), kind, &subject, json!({}))).await;
            let did = &did["rules"][0]["did"][0];
            assert_eq!((did.get("skipped"), did["not_loaded"].as_str()), (None, not_loaded), "{key}: {did}");
            assert_eq!(client.get(&format!("/codes/{key}")).await.status, 404, "{key}");
            assert_eq!(client.get("/codes/other").await.text(), "kept", "{key}");
        }
    }
    let did = tell(&gateway, &event("reserved", "codes.removed", "_x", json!({}))).await;
    assert!(did["rules"][0]["did"][0]["skipped"].is_string(), "{did}");
}

#[tokio::test]
async fn a_gap_empties_the_namespaces_that_could_have_been_meant() {
    let gateway = Gateway::with(OBJECTS, "").await;
    let mut client = Client::connect(gateway.running.objects.unwrap()).await;
    for target in ["/codes/AT", "/codes/DE", "/loaded/AT"] {
        client.put(target, "old").await;
    }
    gateway.running.tell(Via::Redis, vec!["stream".into()])(News::Gap);
    for (target, status) in [("/codes/AT", 404), ("/codes/DE", 404), ("/loaded/AT", 200)] {
        assert_eq!(client.get(target).await.status, status, "{target}");
    }
}
