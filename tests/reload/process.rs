//! The program itself: SIGHUP, and a file that changes under it.

use super::api;
use super::support::{Client, Origin, Reply};
use assert_cmd::cargo::CommandCargoExt;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running program, and what it says.
struct Process {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(file: &Path) -> (Process, SocketAddr) {
        let mut command = Command::cargo_bin("freshgate").unwrap();
        command.args(["run", "--config"]).arg(file).env_remove("FRESHGATE_CONFIG").stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Process { child, lines };
        let ready = process.said("ready");
        (process, ready["data"].as_str().unwrap().parse().unwrap())
    }

    /// Waits until it has said this.
    fn said(&mut self, message: &str) -> serde_json::Value {
        let found = self.lines.find_map(|line| {
            let json: serde_json::Value = serde_json::from_str(&line.unwrap()).ok()?;
            (json["message"] == message).then_some(json)
        });
        found.unwrap_or_else(|| panic!("it never said {message}"))
    }

    fn hang_up(&self) {
        assert!(Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().unwrap().success());
    }
}

const REFUSED: &str = "reload refused: the configuration stays as it was";
const RELOADED: &str = "configuration reloaded";

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reloads_and_so_does_a_file_that_changes() {
    let origin = Origin::always(Reply::ok("x")).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.toml");
    let write = |more: &str, apis: &str| {
        let text = format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{more}[log]\naccess = false\n{apis}");
        std::fs::write(&file, text).unwrap();
    };
    write("", &api("a", "/a", &origin, ""));
    let (mut process, address) = Process::start(&file);
    let mut client = Client::connect(address).await;
    assert_eq!((client.get("/a/1").await.status, client.get("/b/1").await.status), (200, 404));

    write("", &api("b", "/b", &origin, ""));
    process.hang_up();
    let said = process.said(RELOADED);
    assert_eq!((&said["by"], &said["added"], &said["removed"]), (&"SIGHUP".into(), &"b/v1".into(), &"a/v1".into()));
    assert_eq!((client.get("/a/1").await.status, client.get("/b/1").await.status), (404, 200));

    write("colour = 1\nlisten = 7\n", "");
    process.hang_up();
    let said = process.said(REFUSED);
    let place = format!("{}:4:1: ", file.display());
    assert!(said["fault"].as_str().unwrap().starts_with(&place), "{said}");
    assert_eq!(client.get("/b/1").await.status, 200);

    // On a full disk a file that is written anew is empty.
    std::fs::write(&file, "").unwrap();
    process.hang_up();
    let said = process.said(REFUSED);
    assert!(said["fault"].as_str().unwrap().contains(":1:1: there is no [[api]], where 1 are served"), "{said}");
    assert_eq!(Client::connect(address).await.get("/b/1").await.status, 200);

    // What comes now is seen by the watch alone.
    write("", &api("c", "/c", &origin, ""));
    let said = process.said(RELOADED);
    assert_eq!((&said["by"], &said["added"]), (&"file".into(), &"c/v1".into()));
    assert_eq!((client.get("/b/1").await.status, client.get("/c/1").await.status), (404, 200));
}
