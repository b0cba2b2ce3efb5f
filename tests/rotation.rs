//! The access log in a file of its own, which is given another name while requests come.

#![cfg(test)]

mod support;

use freshgate::tasks::Tasks;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::process::{ADMIN, Process, command};
use support::{Client, Origin, Reply, within};
use tempfile::TempDir;

/// A configuration that logs to `access.log` beside it.
fn configured(origin: &Origin, log: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("f.toml");
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n{ADMIN}[log]\n{log}\n[[api]]\nname = \"test\"\nversion = \"v1\"\n\
         path = \"/\"\nupstream = [\"{}\"]\nttl = \"1h\"\n",
        origin.url()
    );
    std::fs::write(&config, text).unwrap();
    (folder, config)
}

const TO_FILE: &str = "file = \"access.log\"";

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line of {} is torn", path.display());
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Waits until the file has so many lines.
async fn has(path: &Path, n: usize) {
    within(&format!("{n} lines in {}", path.display()), async {
        while std::fs::read_to_string(path).unwrap_or_default().lines().count() < n {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_is_lost_or_torn_by_rotations_under_load() {
    const CLIENTS: usize = 8;
    const EACH: usize = 1_500;
    const ROTATIONS: usize = 20;
    let origin = Origin::always(Reply::ok("body")).await;
    let (folder, config) = configured(&origin, TO_FILE);
    let mut process = Process::start(&config);
    let log = folder.path().join("access.log");
    let addr = process.addr;
    let load = async move {
        let clients = (0..CLIENTS).map(|client| async move {
            let mut connection = Client::connect(addr).await.host("shop.example");
            for n in 0..EACH {
                assert_eq!(connection.get(&format!("/{client}?n={n}")).await.status, 200);
            }
        });
        futures_util::future::join_all(clients).await;
    };
    let (tasks, mut old) = (Tasks::default(), Vec::new());
    tasks.spawn(load);
    for n in 0..ROTATIONS {
        while tasks.running() > 0 && std::fs::metadata(&log).map_or(0, |about| about.len()) == 0 {
            tokio::task::yield_now().await;
        }
        if tasks.running() == 0 {
            break;
        }
        // As logrotate does it: another name, a word, and the next file begins.
        let name = folder.path().join(format!("access.log.{n}"));
        std::fs::rename(&log, &name).unwrap();
        process.signal("-USR1");
        old.push(name);
    }
    within("the end of the load", tasks.ended()).await;
    process.signal("-TERM");
    assert_eq!(process.ended().await, Some(0));
    let rotations = old.len();
    old.push(log);
    let mut seen: Vec<(String, String)> = Vec::new();
    for file in &old {
        seen.extend(lines(file).iter().map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (text("path"), text("query"))
        }));
    }
    let all = seen.len();
    seen.sort();
    seen.dedup();
    println!("{all} lines of {} requests in {} files", CLIENTS * EACH, old.len());
    assert_eq!((all, seen.len()), (CLIENTS * EACH, CLIENTS * EACH));
    assert!(rotations >= 5, "{rotations} rotations while requests came");
    // Events stay where they were, and nothing else does.
    assert!(process.has_said("opened anew") && !process.has_said("\"outcome\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_opened_anew_is_no_reason_to_lose_lines() {
    let origin = Origin::always(Reply::ok("body")).await;
    let (folder, config) = configured(&origin, TO_FILE);
    let process = Process::start(&config);
    let (log, old) = (folder.path().join("access.log"), folder.path().join("old"));
    assert_eq!(process.get("/1").await.status, 200);
    has(&log, 1).await;
    std::fs::rename(&log, &old).unwrap();
    std::fs::create_dir(&log).unwrap();
    process.signal("-USR1");
    process.says("can't be opened anew").await;
    assert_eq!(process.get("/2").await.status, 200);
    has(&old, 2).await;
    std::fs::remove_dir(&log).unwrap();
    process.signal("-USR1");
    process.says("was opened anew").await;
    assert_eq!(process.get("/3").await.status, 200);
    has(&log, 1).await;
    assert_eq!((lines(&log)[0]["path"].clone(), lines(&old).len()), ("/3".into(), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_harms_no_process_that_has_no_file_and_is_heard_during_a_drain() {
    let origin = Origin::always(Reply::ok("body")).await;
    let (_folder, config) = configured(&origin, "");
    let process = Process::start(&config);
    process.signal("-USR1");
    process.says("no file to open anew").await;
    assert_eq!(process.get("/1").await.status, 200);
    process.says("\"path\":\"/1\"").await; // and lines go where they always did

    let gate = support::Gate::closed();
    let held = gate.clone();
    let slow = Origin::start(move |_| {
        let held = held.clone();
        async move {
            held.pass().await;
            Reply::ok("body")
        }
    })
    .await;
    let (folder, config) = configured(&slow, TO_FILE);
    let (mut process, log) = (Process::start(&config), folder.path().join("access.log"));
    let mut client = Client::connect(process.addr).await.host("shop.example");
    client.send("GET", "/", &[], "").await;
    slow.received(1).await;
    process.signal("-TERM");
    process.says("draining").await;
    std::fs::rename(&log, folder.path().join("old")).unwrap();
    process.signal("-USR1");
    process.says("was opened anew").await;
    gate.open();
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(process.ended().await, Some(0));
    assert_eq!((lines(&log).len(), lines(&folder.path().join("old")).len()), (1, 0));
}

#[tokio::test]
async fn what_cannot_be_opened_at_the_start_is_said_and_nothing_starts() {
    let origin = Origin::always(Reply::ok("body")).await;
    let (folder, _) = configured(&origin, "");
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe = format!("file = \"{}\"", pipe.display());
    for (log, why) in [("file = \"none/access.log\"", "No such file"), ("file = \"/\"", "directory"), (&pipe, "a pipe")]
    {
        let (_folder, config) = configured(&origin, log);
        let output = command(&config, "").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("log.file ") && said.contains("can't be opened") && said.contains(why), "{said}");
    }
}
