//! The demo has a file of its own: APIs are changed, registered and removed there as anywhere, and nothing is left of it.

use super::support::{Client, within};
use assert_cmd::cargo::CommandCargoExt;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[tokio::test]
async fn apis_are_changed_in_the_demo_and_its_file_goes_with_it() {
    let temp = tempfile::tempdir().unwrap();
    let mut command = Command::cargo_bin("freshgate").unwrap();
    command.args(["demo", "--port", "0", "--admin-port", "0", "--bookstore-port", "0", "--delay", "0"]);
    let mut child = command.env("TMPDIR", temp.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said =
        |begin: &str| lines.find_map(|line| line.unwrap().trim().strip_prefix(begin).map(str::to_owned)).unwrap();
    let gateway = said("API=http://").trim_end_matches("/bookstore/v1").parse().unwrap();
    let origin = said("ORIGIN=");
    let admin = said("export FRESHGATE_ADMIN=http://").parse().unwrap();
    let bearer = format!("Bearer {}", said("export FRESHGATE_TOKEN="));
    let fields = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let call = async |method: &str, api: &str, body: &str| {
        Client::connect(admin).await.request(method, &format!("/v1/apis/{api}"), &fields, body).await
    };
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    assert_eq!(Client::connect(gateway).await.get("/bookstore/v1/books/1").await.status, 200);
    let changed = call("PATCH", "bookstore/v1", r#"{"ttl":"1m"}"#).await;
    assert_eq!((changed.status, &changed.json()["settings"]["ttl"]), (200, &json!("1m")), "{}", changed.text());
    let new = json!({ "path": "/again", "upstream": [origin], "strip_prefix": true, "ttl": "1m" }).to_string();
    assert_eq!(call("PUT", "again/v1", &new).await.status, 201);
    assert_eq!(Client::connect(gateway).await.get("/again/books/1").await.status, 200);
    assert_eq!(call("DELETE", "again/v1", "").await.status, 204);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let status =
        within("the end of the demo", tokio::task::spawn_blocking(move || child.wait().unwrap())).await.unwrap();
    assert!(status.success());
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0, "its folder is gone");
}
