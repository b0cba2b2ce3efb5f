//! Where it shows what came of a reload: the call's answer, readiness, metrics. With a file, and without.

use super::support::{Client, Gateway, Origin, Reply};
use super::{api, numbered};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

struct Filed {
    folder: TempDir,
    gateway: Gateway,
}

impl Filed {
    async fn with(apis: &str) -> Filed {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("f.toml"), Gateway::file("", "", "", apis)).unwrap();
        let gateway = Gateway::of_file(&folder.path().join("f.toml")).await;
        Filed { folder, gateway }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("f.toml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    async fn reload(&self) -> (u16, Value) {
        let answer = self.gateway.admin("POST", "/v1/config/reload", "").await;
        (answer.status, answer.json())
    }

    async fn ready(&self) -> Value {
        let answer = self.gateway.admin("GET", "/readyz", "").await;
        assert_eq!(answer.status, 200, "it is ready with what is in force");
        answer.json()
    }

    async fn metric(&self, name: &str) -> u64 {
        let text = self.gateway.admin("GET", "/metrics", "").await;
        let found = text.text().lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("no {name}"))
    }
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_shows_everywhere_until_a_good_one_comes() {
    let origin = numbered().await;
    let filed = Filed::with(&api("a", "/a", &origin, "ttl = \"10m\"")).await;
    let gateway = &filed.gateway;
    assert_eq!(gateway.client().await.get("/a/1").await.text(), "0");
    gateway.settled().await;
    assert_eq!(filed.ready().await, json!({ "status": "ready" }), "nothing was reloaded yet");
    assert_eq!(filed.metric("freshgate_config_last_reload_successful").await, 1);
    let config = gateway.admin("GET", "/v1/config", "").await.json();

    filed.write("[server]\nlisten = [\"nowhere.internal:1\"]\nunknown = 1\n");
    let (status, problem) = filed.reload().await;
    assert_eq!((status, &problem["type"]), (422, &json!("urn:freshgate:problem:bad-configuration")));
    let places: Vec<_> =
        problem["faults"].as_array().unwrap().iter().map(|f| (&f["line"], &f["column"], &f["key"])).collect();
    assert_eq!(
        places,
        [(&json!(2), &json!(11), &json!("server.listen[0]")), (&json!(3), &json!(1), &json!("server.unknown"))]
    );
    assert_eq!(problem["faults"][0]["file"], filed.path().display().to_string());
    let ready = filed.ready().await;
    assert_eq!((&ready["reload"]["result"], &ready["reload"]["faults"]), (&json!("refused"), &json!(2)));
    assert!(ready["reload"]["at"].as_str().unwrap().starts_with("20"));
    assert!(!ready.to_string().contains("internal"), "anybody may ask this: {ready}");
    assert_eq!(filed.metric("freshgate_config_last_reload_successful").await, 0);
    assert_eq!(filed.metric("freshgate_config_reloads_total{result=\"refused\"}").await, 1);
    assert_eq!(filed.metric("freshgate_config_generation").await, 1);
    assert_eq!(gateway.admin("GET", "/v1/config", "").await.json(), config);
    assert!(gateway.client().await.get("/a/1").await.cache_says("hit"));

    std::fs::remove_file(filed.path()).unwrap();
    let (status, problem) = filed.reload().await;
    assert_eq!((status, problem["faults"].as_array().unwrap().len()), (422, 1));

    let two = format!("{}{}", api("a", "/a", &origin, "ttl = \"5m\""), api("b", "/b", &origin, ""));
    filed.write(&Gateway::file("", "", "", &two));
    let (status, report) = filed.reload().await;
    assert_eq!((status, &report["result"], &report["generation"]), (200, &json!("applied"), &json!(2)));
    let changed = json!([{ "api": "a/v1", "cache": "outdated" }]);
    assert_eq!(report["apis"], json!({ "added": ["b/v1"], "changed": changed, "removed": [], "unchanged": [] }));
    let ready = filed.ready().await;
    assert_eq!((&ready["reload"]["result"], &ready["reload"]["faults"]), (&json!("applied"), &Value::Null));
    assert_eq!(filed.metric("freshgate_config_last_reload_successful").await, 1);
    assert_eq!(filed.metric("freshgate_config_reloads_total{result=\"applied\"}").await, 1);
    assert_eq!(filed.metric("freshgate_config_generation").await, 2);
    assert_eq!(filed.reload().await.1["result"], "unchanged");
}

#[tokio::test]
async fn what_takes_a_restart_is_named_and_the_rest_applied() {
    let origin = numbered().await;
    let filed = Filed::with(&api("a", "/a", &origin, "")).await;
    let rest = "[cache]\nmax_size = \"9MiB\"\n";
    filed.write(&Gateway::file("[server.limits]\nfills = 7\n", "", rest, &api("b", "/b", &origin, "")));
    let (status, report) = filed.reload().await;
    let keys = json!(["server.limits.fills", "cache.max_size"]);
    assert_eq!((status, &report["result"], &report["next_start"]), (200, &json!("applied"), &keys));
    assert_eq!(filed.gateway.client().await.get("/b/1").await.status, 200);
    assert_eq!(filed.ready().await["reload"]["next_start"], keys);
    let config = filed.gateway.admin("GET", "/v1/config", "").await.json();
    assert_eq!(config["cache"]["max_size"], "512MiB", "what is in force is shown, not what is wished for");
    let again = filed.reload().await.1;
    assert_eq!((&again["result"], &again["next_start"]), (&json!("unchanged"), &keys));
    filed.write(&Gateway::file("", "", "", &api("b", "/b", &origin, "")));
    assert_eq!(filed.reload().await.1["next_start"], json!([]));
    assert_eq!(filed.ready().await["reload"]["next_start"], Value::Null);
}

#[tokio::test]
async fn a_file_that_changes_is_taken_over_when_two_looks_find_the_same() {
    let origin = numbered().await;
    let filed = Filed::with(&api("a", "/a", &origin, "")).await;
    let status = async |target: &str| filed.gateway.client().await.get(target).await.status;
    let look = || filed.gateway.running.look_at_files();
    filed.write(&Gateway::file("", "", "", &api("b", "/b", &origin, "")));
    look();
    assert_eq!((status("/a/1").await, status("/b/1").await), (200, 404), "it may be half written");
    look();
    assert_eq!((status("/a/1").await, status("/b/1").await), (404, 200));
    filed.write("nonsense");
    (0..5).for_each(|_| look());
    assert_eq!(status("/b/1").await, 200);
    assert_eq!(filed.metric("freshgate_config_reloads_total{result=\"refused\"}").await, 1, "it is tried once");
    assert_eq!(filed.ready().await["reload"]["result"], "refused");
}

#[tokio::test]
async fn tokens_change_and_only_an_administrator_reloads() {
    let origin = numbered().await;
    let filed = Filed::with(&api("a", "/a", &origin, "")).await;
    let operator = "[[admin.tokens]]\nname = \"second\"\nrole = \"operator\"\ntoken_file = \"second\"\n";
    std::fs::write(filed.folder.path().join("second"), "the-second-token-of-this-test").unwrap();
    let call = async || {
        let fields = [("authorization", "Bearer the-second-token-of-this-test")];
        Client::connect(filed.gateway.admin).await.request("POST", "/v1/config/reload", &fields, "").await.status
    };
    assert_eq!(call().await, 401);
    filed.write(&Gateway::file("", "", operator, &api("a", "/a", &origin, "")));
    assert_eq!(filed.reload().await.0, 200);
    assert_eq!(call().await, 403);
    assert_eq!(filed.metric("freshgate_config_reloads_total{result=\"unchanged\"}").await, 0);
    filed.write(&Gateway::file("", "", &operator.replace("operator", "administrator"), &api("a", "/a", &origin, "")));
    assert_eq!(filed.reload().await.0, 200);
    assert_eq!(call().await, 200);
}

#[tokio::test]
async fn without_a_file_there_is_nothing_to_reload() {
    let origin = Origin::always(Reply::ok("x")).await;
    let gateway = Gateway::before(&origin, "").await;
    let answer = gateway.admin("POST", "/v1/config/reload", "").await;
    assert_eq!((answer.status, &answer.json()["type"]), (409, &json!("urn:freshgate:problem:no-reload")));
    assert_eq!(answer.json()["detail"], "this gateway was started without a configuration file");
    assert_eq!(gateway.admin("GET", "/readyz", "").await.json(), json!({ "status": "ready" }));
}
