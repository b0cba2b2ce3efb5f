//! What changes for clients, and what the file says afterwards.

use super::world::{World, api, numbered, ttl};
use serde_json::{Value, json};

#[tokio::test]
async fn an_interval_that_is_changed_holds_from_the_next_answer_on_and_another_api_still_hits() {
    let origin = numbered().await;
    let apis = [api("a", &origin, "ttl = \"10m\"   # ten minutes"), api("b", &origin, "ttl = \"10m\"")].concat();
    let world = World::with(&apis).await;
    world.get("/a/1").await;
    world.get("/b/1").await;
    world.settled().await;
    assert!((590..=600).contains(&ttl(&world.get("/a/1").await)));
    let before = world.text();

    let answer = world.call("PATCH", "a/v1", r#"{"ttl":"5s"}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said = answer.json();
    assert_eq!(
        (&said["settings"]["ttl"], &said["cache"], &said["editable"]),
        (&json!("5s"), &json!("outdated"), &json!(true))
    );
    assert_eq!(answer.get("etag"), said["etag"].as_str());
    assert_eq!(world.text(), before.replacen("ttl = \"10m\"   # ten", "ttl = \"5s\"   # ten", 1));
    assert_eq!(std::fs::read_to_string(world.folder.path().join("f.toml.bak")).unwrap(), before);

    assert!(!world.get("/a/1").await.cache_says("hit"), "what is stored is as old as the old interval let it be");
    world.settled().await;
    let next = world.get("/a/1").await;
    assert!(next.cache_says("hit") && (3..=5).contains(&ttl(&next)), "{:?}", next.get("cache-status"));
    let other = world.get("/b/1").await;
    assert!(other.cache_says("hit") && ttl(&other) > 500);
    // The watch doesn't take it for somebody else's change.
    (0..3).for_each(|_| world.gateway.running.look_at_files());
    let metrics = world.gateway.admin("GET", "/metrics", "").await;
    let generation = metrics.text().lines().find(|line| line.starts_with("freshgate_config_generation")).unwrap();
    assert!(generation.ends_with(" 2"), "{generation}");
    let unchanged = metrics.text().lines().find(|line| line.contains("reloads_total{result=\"unchanged\"}")).unwrap();
    assert!(unchanged.ends_with(" 0"), "{unchanged}");
    assert_eq!(world.gateway.admin("GET", "/v1/apis/a/v1", "").await.json()["etag"], said["etag"]);
}

#[tokio::test]
async fn an_api_is_registered_called_found_after_a_restart_and_removed() {
    let origin = numbered().await;
    let world = World::with(&api("a", &origin, "ttl = \"10m\"")).await;
    let before = world.text();
    let body = json!({ "path": "/new", "upstream": [origin.url()], "ttl": "1m", "strip_prefix": true,
        "key": { "share": "everyone", "query": { "ignore": ["utm_*"] } },
        "route": [{ "on": "GET /me", "cache": false }] });
    assert_eq!(world.get("/new/1").await.status, 404);
    let answer = world.call("PUT", "new/v2", &body.to_string()).await;
    assert_eq!((answer.status, answer.get("location")), (201, Some("/v1/apis/new/v2")), "{}", answer.text());
    world.get("/new/1").await;
    world.settled().await;
    assert!(world.get("/new/1").await.cache_says("hit"));
    assert!(!world.get("/new/me").await.cache_says("hit") && !world.get("/new/me").await.cache_says("hit"));
    let etag = answer.get("etag").unwrap().to_owned();
    let text = world.text();
    assert!(
        text.starts_with(&before) && text.contains("\n[[api]]\nname = \"new\"\nversion = \"v2\"\npath = \"/new\"\n"),
        "{text}"
    );

    let world = world.restarted().await;
    let found = world.gateway.admin("GET", "/v1/apis/new/v2", "").await;
    assert_eq!((found.status, found.get("etag")), (200, Some(etag.as_str())), "the tag is of the text and outlives us");
    assert_eq!((world.get("/new/1").await.status, world.get("/a/1").await.status), (200, 200));

    // The same once more changes nothing, not even the file's age.
    let written = world.path().metadata().unwrap().modified().unwrap();
    let same = world.call("PUT", "new/v2", &body.to_string()).await;
    assert_eq!((same.status, same.get("etag"), &same.json()["cache"]), (200, Some(etag.as_str()), &json!("kept")));
    assert_eq!(world.path().metadata().unwrap().modified().unwrap(), written);

    assert_eq!(world.call("DELETE", "new/v2", "").await.status, 204);
    assert_eq!((world.get("/new/1").await.status, world.get("/a/1").await.status), (404, 200));
    assert_eq!(world.text(), before, "nothing of it is left");
    World::problem(&world.call("DELETE", "new/v2", "").await, 404, "no-such-api");
    assert_eq!(world.call("DELETE", "a/v1", "").await.status, 204, "the last one, too, if somebody says so");
    assert_eq!(world.get("/a/1").await.status, 404);
    let world = world.restarted().await;
    assert_eq!(world.gateway.admin("GET", "/v1/apis", "").await.json()["apis"], json!([]));
    assert_eq!(world.call("PUT", "new/v2", &body.to_string()).await.status, 201, "and the first one again");
}

#[tokio::test]
async fn what_is_not_shown_changes_the_tag_and_stays_where_nobody_changes_it() {
    let origin = numbered().await;
    let digest = |c: &str| c.repeat(64);
    let auth = |c: &str| {
        format!(
            "[api.auth]\nkind = \"api-key\"\nheader = \"x-key\"\nkeys = [{{ user = \"alice\", sha256 = \"{}\" }}]",
            digest(c)
        )
    };
    let world = World::with(&api("a", &origin, &auth("1"))).await;
    let tag = async || world.gateway.admin("GET", "/v1/apis/a/v1", "").await.get("etag").unwrap().to_owned();
    let first = tag().await;
    let keys =
        |sha: &str| json!({ "auth": { "keys": [{ "user": "alice", "sha256": sha, "scopes": ["s"] }] } }).to_string();
    let answer = world.call("PATCH", "a/v1", &keys("redacted")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains(&digest("1")));
    assert!(world.text().contains(&digest("1")) && world.text().contains("scopes = [\"s\"]"));
    let second = tag().await;
    assert_eq!(world.call("PATCH", "a/v1", &keys(&digest("2"))).await.status, 200);
    assert!(first != second && second != tag().await, "another secret is another tag");
    assert!(!world.text().contains(&digest("1")));
    let unknown = json!({ "auth": { "keys": [{ "user": "bob", "sha256": "redacted" }] } }).to_string();
    let problem = World::problem(&world.call("PATCH", "a/v1", &unknown).await, 422, "bad-configuration");
    assert_eq!(problem["faults"][0]["key"], "auth.keys[0].sha256");
}

#[tokio::test]
async fn the_list_is_read_in_pages_while_apis_come_and_go() {
    let origin = numbered().await;
    let apis: String = (0..5).map(|n| api(&format!("a{n}"), &origin, "")).collect();
    let world = World::with(&apis).await;
    let page = async |cursor: &Value| {
        let cursor = cursor.as_str().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = world.gateway.admin("GET", &format!("/v1/apis?limit=2{cursor}"), "").await.json();
        let names: Vec<String> =
            page["apis"].as_array().unwrap().iter().map(|api| api["name"].as_str().unwrap().into()).collect();
        (names, page["cursor"].clone())
    };
    let (names, cursor) = page(&Value::Null).await;
    assert_eq!(names, ["a0", "a1"]);
    assert_eq!(page(&cursor).await.0, ["a2", "a3"]);
    world.call("DELETE", "a0/v1", "").await;
    assert_eq!(page(&cursor).await.0, ["a2", "a3"], "behind the one it names, wherever that is by now");
    world.call("DELETE", "a1/v1", "").await;
    assert_eq!(page(&cursor).await.0, ["a3", "a4"], "that one is gone: from its place on");
    let (names, cursor) = page(&json!("2:a2/v1")).await;
    assert_eq!((names, cursor), (vec!["a3".into(), "a4".into()], Value::Null));
    assert_eq!(page(&json!("99:gone/v1")).await.0, [""; 0]);
}
