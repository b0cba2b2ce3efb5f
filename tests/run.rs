//! `freshgate run` as a process: what keeps it from starting, and how it stops.

#![cfg(test)]

mod support;

use assert_cmd::cargo::CommandCargoExt;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use support::{Client, Gate, Origin, Reply};
use tempfile::NamedTempFile;

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn command(config: &str) -> Command {
    let mut command = Command::cargo_bin("freshgate").unwrap();
    command.args(["run", "--config", config]).env_remove("FRESHGATE_CONFIG");
    command
}

/// Exit code and what stderr says.
fn failed(config: &str) -> (Option<i32>, String) {
    let output = command(config).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

const NO_ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n[[admin.tokens]]\nname = \"a\"\nrole = \"viewer\"\n\
    sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\n";

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (key, text) in [
        ("server.listen", format!("[server]\nlisten = [\"{address}\"]\n{NO_ADMIN}")),
        (
            "admin.listen",
            format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{}", NO_ADMIN.replace("127.0.0.1:0", &address.to_string())),
        ),
    ] {
        let (code, said) = failed(file(&text).path().to_str().unwrap());
        assert_eq!(code, Some(2), "{said}");
        let line = format!("freshgate: {key} = \"{address}\": can't listen there: ");
        assert!(said.starts_with(&line) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let (code, said) = failed("/no/such/file.toml");
    assert_eq!(code, Some(2));
    assert!(said.starts_with("freshgate: /no/such/file.toml") && said.lines().count() == 1, "{said}");
}

#[test]
fn an_invalid_file_says_all_its_faults_at_once() {
    let bad = file("[server]\nlisten = [\"nowhere\"]\n[cache]\nmax_size = \"many\"\nunknown = 1\n");
    let path = bad.path().to_str().unwrap();
    let (code, said) = failed(path);
    assert_eq!(code, Some(2), "{said}");
    for place in ["2:11: server.listen[0]", "4:12: cache.max_size", "5:1: cache.unknown"] {
        assert!(said.contains(&format!("{path}:{place}")), "{place} in {said}");
    }
    let (code, said) = failed(file("[server\n").path().to_str().unwrap());
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn no_file_is_wrong_usage() {
    let output = Command::cargo_bin("freshgate").unwrap().arg("run").env_remove("FRESHGATE_CONFIG").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// A running gateway before `origin`, and where it listens. The ready line comes on stdout.
fn started(origin: &Origin) -> (Child, SocketAddr, NamedTempFile) {
    let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n", origin.url());
    let config = file(&format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{NO_ADMIN}{api}"));
    let mut child =
        command(config.path().to_str().unwrap()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let data = lines.find_map(|line| {
        let json: serde_json::Value = serde_json::from_str(&line.unwrap()).ok()?;
        (json["message"] == "ready").then(|| json["data"].as_str().unwrap().parse().unwrap())
    });
    // Somebody has to read what it goes on to say.
    std::thread::spawn(move || lines.for_each(drop));
    (child, data.expect("a ready line"), config)
}

fn terminate(child: &Child) {
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_the_request_in_flight_finish() {
    let gate = Gate::closed();
    let origin = Origin::always(Reply::status(200).chunked().body("begun").wait(&gate).body(" and done")).await;
    let (mut child, address, _config) = started(&origin);
    let mut busy = Client::connect(address).await;
    let mut idle = Client::connect(address).await;
    busy.send("GET", "/x", &[], "").await;
    assert_eq!(busy.answer_head().await.unwrap().status, 200);
    assert_eq!(busy.at_least(5).await, b"begun");
    terminate(&child);
    assert_eq!(idle.closed().await, b"", "the idle one is closed: it drains");
    gate.open();
    assert_eq!(busy.at_least(9).await, b" and done");
    assert_eq!(busy.piece().await, support::Piece::End(support::Fields::default()));
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}
