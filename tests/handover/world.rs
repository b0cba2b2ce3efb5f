//! An origin that keeps values, and processes before it that hand over to one another.

use crate::support::process::{ADMIN, Process, command};
use crate::support::{Client, Gate, Origin, Reply, Request, within};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A value for each path: PUT sets it, GET gives it with a tag, fresh for long. A request with `x-wait` waits for the gate, before it does anything, after, or inside of an answer.
pub(crate) struct World {
    pub(crate) origin: Origin,
    pub(crate) gate: Gate,
    pub(crate) folder: TempDir,
    /// Further lines of `[server]` and, behind them, of the file.
    pub(crate) server: String,
    pub(crate) rest: String,
    /// Further lines of `[[api]]`.
    pub(crate) api: String,
}

impl World {
    pub(crate) async fn new() -> World {
        let (values, gate) = (Arc::<Mutex<HashMap<String, String>>>::default(), Gate::closed());
        let held = gate.clone();
        let origin = Origin::start(move |request| {
            let (values, gate) = (Arc::clone(&values), held.clone());
            async move {
                if request.get("x-wait") == Some("before") {
                    gate.pass().await;
                }
                if request.get("x-wait") == Some("inside") {
                    return Reply::status(200).chunked().body("begun").wait(&gate).body(" and done");
                }
                let reply = answer(&request, &mut values.lock().unwrap());
                if request.get("x-wait") == Some("after") {
                    gate.pass().await;
                }
                reply
            }
        })
        .await;
        let (server, rest, api) = Default::default();
        World { origin, gate, folder: TempDir::new().unwrap(), server, rest, api }
    }

    pub(crate) fn door(&self) -> PathBuf {
        self.folder.path().join("door")
    }

    /// Writes the configuration.
    pub(crate) fn config(&self, listen: &str) -> PathBuf {
        let path = self.folder.path().join("freshgate.toml");
        let server = format!("[server]\nlisten = [{listen}]\nhandover = \"door\"\n{}", self.server);
        let api = "[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"";
        let api = format!("{api}\nupstream = [\"{}\"]\n{}", self.origin.url(), self.api);
        std::fs::write(&path, format!("{server}\n{ADMIN}{}\n{api}\n", self.rest)).unwrap();
        path
    }

    /// One process; the next one takes over from it.
    pub(crate) fn start(&self) -> Process {
        Process::start(&self.config("\"127.0.0.1:0\""))
    }

    /// Exit code and stderr of one that doesn't come to serve.
    pub(crate) fn failing(&self, listen: &str) -> (Option<i32>, String) {
        let output = command(&self.config(listen), "").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

fn answer(request: &Request, values: &mut HashMap<String, String>) -> Reply {
    let value = values.entry(request.target.clone()).or_insert_with(|| "0".into());
    if request.method == "PUT" {
        *value = String::from_utf8(request.body.clone()).unwrap();
        return Reply::status(204);
    }
    let tag = format!("\"{value}\"");
    if request.get("if-none-match") == Some(&tag) {
        return Reply::status(304).field("etag", tag);
    }
    Reply::ok(value.as_bytes()).field("etag", tag).field("cache-control", "max-age=600")
}

/// A new connection.
pub(crate) async fn client(process: &Process) -> Client {
    Client::connect(process.addr).await.host("shop.example")
}

/// Waits until one GET of this helps the next.
pub(crate) async fn cached(process: &Process, target: &str) {
    within("an answer that is kept", async { while !caches(process, target).await {} }).await;
}

/// Whether one GET of this helps the next.
pub(crate) async fn caches(process: &Process, target: &str) -> bool {
    let mut client = client(process).await;
    client.get(target).await;
    // The recording ends a moment after the answer: a third GET may find what the second doesn't.
    client.get(target).await.cache_says("hit") || client.get(target).await.cache_says("hit")
}
