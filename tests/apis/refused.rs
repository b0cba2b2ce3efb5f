//! Changes that aren't made: each says why, and neither the file nor what is in force is another one afterwards.

use super::support::{Gateway, Origin, Reply, TOKEN};
use super::world::{World, api, numbered};
use serde_json::{Value, json};
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const CHANGE: &str = r#"{"ttl":"5m"}"#;

/// Everything that a refusal mustn't change.
async fn state(world: &World) -> (String, Value, usize) {
    let config = world.gateway.admin("GET", "/v1/config", "").await.json();
    (world.text(), config, std::fs::read_dir(world.folder.path()).unwrap().count())
}

#[tokio::test]
async fn faults_are_told_at_their_keys() {
    let origin = numbered().await;
    let apis =
        [api("a", &origin, "ttl = \"10m\"\n[[api.route]]\non = \"GET /me\"\ncache = false"), api("b", &origin, "")]
            .concat();
    let world = World::with(&apis).await;
    let before = state(&world).await;
    let good = json!({ "path": "/c", "upstream": ["http://127.0.0.1:9000"] });
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    for (api, body, keys) in [
        ("c", with("ttl", json!("soon")), &["ttl"][..]),
        ("c", with("ttl", json!(true)), &["ttl"]),
        ("c", with("ttl", json!(null)), &["ttl"]),
        ("c", with("ttl", json!(1.5)), &["ttl"]),
        ("c", with("grace", json!(u64::MAX)), &["grace"]),
        ("c", with("colour", json!(1)), &["colour"]),
        ("c", with("upstream", json!([])), &["upstream"]),
        ("c", with("upstream", json!("http://127.0.0.1:9000")), &["upstream"]),
        ("c", with("upstream", json!(["ftp://x"])), &["upstream[0]"]),
        ("c", with("path", json!("no-slash")), &["path"]),
        ("c", with("name", json!("d")), &["name"]),
        ("c", with("version", json!(1)), &["version"]),
        ("c", with("key", json!({ "share": "nobody" })), &["key.share"]),
        (
            "c",
            with("route", json!([{ "on": "GET me", "cache": 1 }, { "cache": false }])),
            &["route[0].on", "route[0].cache", "route[1].on"],
        ),
        ("c", with("route", json!({ "on": "GET /me" })), &["route"]),
        ("c", with("route", json!([1])), &["route[0]"]),
        ("c", with("", json!(1)), &[""]),
        ("c", json!({}), &["path", "upstream"]),
        ("c", with("path", json!("/a")), &["path"]),
        ("b", with("path", json!("/a")), &["path"]),
        ("a", with("path", json!("/b")), &["api[1].path"]),
        ("bad%20name", good.clone(), &["name"]),
        ("%2e%2e%2fx", good.clone(), &["name"]),
    ] {
        let answer = world.call("PUT", &format!("{api}/v1"), &body.to_string()).await;
        let problem = World::problem(&answer, 422, "bad-configuration");
        let faults = problem["faults"].as_array().unwrap();
        let told: Vec<&str> = faults.iter().map(|fault| fault["key"].as_str().unwrap().trim_matches('.')).collect();
        assert_eq!(told, keys, "{api} {body}: {faults:?}");
        assert!(faults.iter().all(|fault| !fault["message"].as_str().unwrap().is_empty()));
    }
    let patch = world.call("PATCH", "a/v1", r#"{"route":[{"on":"GET /me","ttl":"soon"}],"x":{"y":1}}"#).await;
    let problem = World::problem(&patch, 422, "bad-configuration");
    let told: Vec<&Value> = problem["faults"].as_array().unwrap().iter().map(|fault| &fault["key"]).collect();
    assert_eq!(told, ["x", "route[0].ttl"]);
    assert_eq!(state(&world).await, before);
    let ready = world.gateway.admin("GET", "/readyz", "").await.json();
    assert_eq!(ready, json!({ "status": "ready" }), "somebody's mistake in a form is no bad file");
}

#[tokio::test]
async fn who_may_not_changes_nothing() {
    let origin = numbered().await;
    let token =
        |role: &str| format!("[[admin.tokens]]\nname = \"{role}\"\nrole = \"{role}\"\ntoken_file = \"{role}\"\n");
    let folder = tempfile::tempdir().unwrap();
    for role in ["viewer", "operator"] {
        std::fs::write(folder.path().join(role), format!("the-token-of-a-{role}")).unwrap();
    }
    let file = folder.path().join("f.toml");
    let rest = [token("viewer"), token("operator")].concat();
    std::fs::write(&file, Gateway::file("", "", &rest, &api("a", &origin, "ttl = \"10m\""))).unwrap();
    let world = World { gateway: Gateway::of_file(&file).await, folder };
    let before = state(&world).await;
    let as_ = async |token: &str, method: &str, body: &str| world.call_with(token, method, "a/v1", &[], body).await;
    for method in ["PUT", "PATCH", "DELETE"] {
        World::problem(&as_("nobody", method, CHANGE).await, 401, "unauthorized");
        World::problem(&as_("the-token-of-a-viewer", method, CHANGE).await, 403, "forbidden");
    }
    for (method, body) in
        [("PUT", CHANGE), ("DELETE", ""), ("PATCH", r#"{"path":"/x"}"#), ("PATCH", r#"{"ttl":"1m","auth":{}}"#)]
    {
        World::problem(&as_("the-token-of-a-operator", method, body).await, 403, "forbidden");
    }
    assert_eq!(state(&world).await, before);
    let body = r#"{"ttl":"5m","grace":"1m","keep_on_error":"1h"}"#;
    assert_eq!(as_("the-token-of-a-operator", "PATCH", body).await.status, 200);
    let shown = world.call("GET", "a/v1", "").await.json();
    assert_eq!((&shown["settings"]["ttl"], &shown["settings"]["keep_on_error"]), (&json!("5m"), &json!("1h")));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_stays_and_so_does_what_is_in_force() {
    let origin = numbered().await;
    let world = World::with(&api("a", &origin, "ttl = \"10m\"")).await;
    let before = state(&world).await;
    let (file, folder) = (world.path(), world.folder.path().to_owned());
    let mode = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let editable = async || world.call("GET", "a/v1", "").await.json()["editable"].clone();
    assert_eq!(editable().await, true);
    for (path, read_only, normal, says) in [
        (&file, 0o444, 0o644, "it is read-only (mode 0444)"),
        (&folder, 0o555, 0o755, "its folder is read-only (mode 0555)"),
    ] {
        mode(path, read_only);
        for (method, api, body) in [
            ("PATCH", "a/v1", CHANGE),
            ("DELETE", "a/v1", ""),
            ("PUT", "n/v1", r#"{"path":"/n","upstream":["http://127.0.0.1:9"]}"#),
        ] {
            let problem = World::problem(&world.call(method, api, body).await, 409, "file-not-writable");
            assert!(problem["detail"].as_str().unwrap().ends_with(says), "{problem}");
        }
        world.gateway.running.look_at_files();
        assert_eq!(editable().await, false);
        mode(path, normal);
        world.gateway.running.look_at_files();
        assert_eq!(editable().await, true);
    }
    assert_eq!(state(&world).await, before);
    assert_eq!(world.call("PATCH", "a/v1", CHANGE).await.status, 200);
}

#[tokio::test]
async fn a_file_that_somebody_has_edited_is_not_overwritten() {
    let origin = numbered().await;
    let world = World::with(&api("a", &origin, "ttl = \"10m\"")).await;
    let edited = world.text().replace("10m", "7m");
    std::fs::write(world.path(), &edited).unwrap();
    let problem = World::problem(&world.call("PATCH", "a/v1", CHANGE).await, 409, "file-changed");
    assert!(
        problem["detail"].as_str().unwrap().ends_with("has changed since it was read; reload it first"),
        "{problem}"
    );
    assert_eq!(world.text(), edited);
    assert_eq!(world.gateway.admin("POST", "/v1/config/reload", "").await.status, 200);
    assert_eq!(world.call("PATCH", "a/v1", CHANGE).await.status, 200);
    assert!(world.text().contains("\"5m\""));

    // A file that was tried and refused isn't what is in force either.
    let good = world.text();
    std::fs::write(world.path(), good.replace("ttl", "colour")).unwrap();
    assert_eq!(world.gateway.admin("POST", "/v1/config/reload", "").await.status, 422);
    World::problem(&world.call("PATCH", "a/v1", CHANGE).await, 409, "file-changed");
    std::fs::remove_file(world.path()).unwrap();
    World::problem(&world.call("PATCH", "a/v1", CHANGE).await, 409, "file-not-writable");
    std::fs::write(world.path(), &good).unwrap();
    assert_eq!(world.call("PATCH", "a/v1", r#"{"ttl":"6m"}"#).await.status, 200, "what is in force is there again");
}

#[tokio::test]
async fn without_a_file_and_of_namespaces_nothing_is_changed_here() {
    let origin = numbered().await;
    let one = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/a\"\nupstream = [\"{}\"]\n", origin.url());
    let gateway = Gateway::with(
        "[objects]\nlisten = \"127.0.0.1:0\"\n[[objects.namespace]]\nname = \"codes\"\nttl = \"1h\"\n",
        &one,
    )
    .await;
    for (method, body) in [("PUT", CHANGE), ("PATCH", CHANGE), ("DELETE", "")] {
        let answer = gateway.admin(method, "/v1/apis/a/v1", body).await;
        World::problem(&answer, 409, "no-file");
        let answer = gateway.admin(method, "/v1/apis/objects/codes", body).await;
        let problem = World::problem(&answer, 409, "namespace");
        assert!(problem["detail"].as_str().unwrap().contains("[[objects.namespace]] `codes`"), "{problem}");
    }
    for api in ["a/v1", "objects/codes"] {
        let shown = gateway.admin("GET", &format!("/v1/apis/{api}"), "").await;
        assert_eq!((&shown.json()["editable"], shown.get("etag").is_some()), (&json!(false), true), "{api}");
    }
}

#[tokio::test]
async fn a_pipe_is_read_once_and_never_written() {
    let origin = Origin::always(Reply::ok("x")).await;
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("f.toml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (at, text) = (pipe.clone(), Gateway::file("", "", "", &api("a", &origin, "")));
    let writer = std::thread::spawn(move || std::fs::write(at, text).unwrap());
    let gateway = Gateway::of_file(&pipe).await;
    writer.join().unwrap();
    let world = World { folder, gateway };
    World::problem(&world.call("PATCH", "a/v1", CHANGE).await, 409, "file-not-writable");
    assert_eq!(world.call("GET", "a/v1", "").await.json()["editable"], false);
    assert_eq!(world.call_with(TOKEN, "PATCH", "a/v1", &[("if-match", "\"x\"")], CHANGE).await.status, 412);
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_holds_up_nobody() {
    let origin = numbered().await;
    let world = World::with(&api("a", &origin, "")).await;
    // Nobody waits for who may write to a pipe; the next change would wait for the same.
    let pipe = world.folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for body in [
        json!({ "pool": { "tls": { "ca": pipe } } }),
        json!({ "auth": { "kind": "api-key", "header": "x-key", "keys_file": pipe } }),
    ] {
        let faults = World::problem(&world.call("PATCH", "a/v1", &body.to_string()).await, 422, "bad-configuration");
        assert!(faults.to_string().contains("it is a pipe"), "{faults}");
    }
    assert_eq!(world.call("PATCH", "a/v1", r#"{"ttl":"1m"}"#).await.status, 200);
}
