//! Who did what, in memory and in a file: over the admin port, by PURGE, by a signal.

use super::support::{Gateway, TOKEN};
use super::world::{World, api, numbered};
use freshgate::clock::Clock;
use freshgate::serve::{self, File};
use freshgate::telemetry::Lines;
use serde_json::{Value, json};

#[tokio::test]
async fn every_way_to_change_something_leaves_a_record() {
    let origin = numbered().await;
    let world = World::of("audit_file = \"audit.jsonl\"\n", &api("a", &origin, "ttl = \"10m\"")).await;
    world.call("PATCH", "a/v1", r#"{"ttl":"5m","login":["/in"]}"#).await;
    world.call("PUT", "b/v1", &json!({ "path": "/b", "upstream": [origin.url()] }).to_string()).await;
    world.call("PUT", "c/v1", "{}").await;
    world.call("DELETE", "b/v1", "").await;
    world.gateway.purge(json!({ "path": "/a/1" })).await;
    world.gateway.admin("DELETE", "/v1/cache", "").await;
    world.gateway.running.reload("SIGHUP").await.unwrap();
    std::fs::write(world.path(), world.text().replace("[server]\n", "[server]\npurge_method = true\n")).unwrap();
    (0..2).for_each(|_| world.gateway.running.look_at_files());
    let mut client = world.gateway.client().await;
    for token in [TOKEN, "wrong"] {
        client.request("PURGE", "/a/2", &[("freshgate-token", token)], "").await;
    }
    let page = world.gateway.admin("GET", "/v1/audit", "").await;
    let told: Vec<String> = page.json()["records"].as_array().unwrap().iter().rev().map(line).collect();
    assert_eq!(
        told,
        [
            "test change-api a/v1 done",
            "test register-api b/v1 done",
            "test change-api c/v1 refused",
            "test remove-api b/v1 done",
            "test purge /a/1 done",
            "test clear everything done",
            "SIGHUP reload - unchanged",
            "file reload - applied",
            "test purge /a/2 done",
            "- wrong-token - refused",
        ]
    );
    let change = page.json()["records"][9]["details"].clone();
    assert_eq!(change, json!({ "keys": ["login", "ttl"], "values": { "ttl": { "old": "10m", "new": "5m" } } }));
    assert!(!page.text().contains(TOKEN) && !page.text().contains("wrong\""));
    let file = std::fs::read_to_string(world.folder.path().join("audit.jsonl")).unwrap();
    let lines: Vec<String> = file.lines().map(|text| line(&serde_json::from_str(text).unwrap())).collect();
    assert_eq!(lines, told);
    assert!(world.gateway.admin("GET", "/metrics", "").await.text().contains("\nfreshgate_audit_lost_total 0\n"));

    std::fs::rename(world.folder.path().join("audit.jsonl"), world.folder.path().join("audit.1")).unwrap();
    assert!(world.gateway.running.reopen());
    world.gateway.admin("DELETE", "/v1/cache", "").await;
    let file = std::fs::read_to_string(world.folder.path().join("audit.jsonl")).unwrap();
    assert_eq!(file.lines().count(), 1);
}

#[tokio::test]
async fn who_wants_a_file_of_it_gets_one_or_no_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.toml");
    std::fs::write(&path, Gateway::file("", "audit_file = \"nowhere/audit.jsonl\"\n", "", "")).unwrap();
    let (file, loaded) = File::open(&path).unwrap();
    let lines = Lines::to(std::io::sink()).unwrap();
    let started = serve::start_from(Some(file), loaded.config, Clock::steppable(), lines, Vec::new()).await;
    let Err(error) = started else { panic!("it has started") };
    assert_eq!(error.key(), "admin.audit_file");
    assert!(error.to_string().contains("nowhere/audit.jsonl") && error.to_string().contains("No such file"), "{error}");

    let world = World::of("audit_file = \"a.jsonl\"\n", "").await;
    std::fs::write(world.path(), world.text().replace("a.jsonl", "b.jsonl")).unwrap();
    let report = world.gateway.admin("POST", "/v1/config/reload", "").await.json();
    assert_eq!(report["next_start"], json!(["admin.audit_file"]));
    let config = world.gateway.admin("GET", "/v1/config", "").await.json();
    assert!(config["admin"]["audit_file"].as_str().unwrap().ends_with("/a.jsonl"));
}

fn line(record: &Value) -> String {
    ["actor", "action", "target", "result"].map(|key| record[key].as_str().unwrap_or("-").to_owned()).join(" ")
}
