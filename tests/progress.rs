//! Whatever takes long says every few seconds that it goes on: a drain, the waits of a handover, a snapshot.
//!
//! Gateways run on their test's own thread, where their events are caught; when a line is due is a matter of their clock, which is stepped.

#![cfg(test)]

mod support;

use freshgate::clock::Clock;
use freshgate::config::{self, Config, Surroundings};
use freshgate::serve::{self, Running};
use freshgate::telemetry::Lines;
use serde_json::Value;
use std::future::poll_fn;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use support::process::{ADMIN, Process, command};
use support::{Client, Gate, Gateway, Origin, Reply, within};
use tokio::net::UnixListener;
use tracing::subscriber::DefaultGuard;

/// The events of this thread.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<u8>>>);

impl Write for Events {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Events {
    fn here() -> (Events, DefaultGuard) {
        let events = Events::default();
        let to = events.clone();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || to.clone()).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        (events, guard)
    }

    /// Those with this message.
    fn with(&self, message: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.filter(|event| event["message"] == message).collect()
    }

    /// The nth of them, once it is there.
    async fn nth(&self, n: usize, message: &str) -> Value {
        within(message, async {
            loop {
                if let Some(event) = self.with(message).into_iter().nth(n) {
                    return event;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}

/// An origin that waits for the gate.
async fn held() -> (Origin, Gate) {
    let gate = Gate::closed();
    let own = gate.clone();
    let origin = Origin::start(move |_| {
        let gate = own.clone();
        async move {
            gate.pass().await;
            Reply::ok("body")
        }
    })
    .await;
    (origin, gate)
}

fn parsed(text: &str) -> Config {
    let around = Surroundings { env: &|_| None, memory_limit: None };
    config::parse(text, "test.toml", &around).unwrap_or_else(|faults| panic!("{faults}\n{text}")).config
}

fn with_door(door: &Path, origin: &Origin) -> Config {
    let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n", origin.url());
    parsed(&format!("[server]\nlisten = [\"127.0.0.1:0\"]\nhandover = \"{}\"\n{ADMIN}{api}", door.display()))
}

async fn start(config: Config, clock: &Clock) -> Running {
    serve::start(config, clock.clone(), Lines::to(io::sink()).unwrap()).await.unwrap_or_else(|e| panic!("{e}"))
}

#[tokio::test]
async fn a_drain_says_what_is_left_and_for_how_long() {
    let (events, _guard) = Events::here();
    let (origin, gate) = held().await;
    let gateway = Gateway::from_parts("drain = { deadline = \"60s\" }\n", "", &{
        format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]", origin.url())
    })
    .await;
    let (mut reads, mut writes) = (gateway.client().await, gateway.client().await);
    reads.send("GET", "/", &[], "").await;
    writes.send("PUT", "/", &[], "x").await;
    origin.received(2).await;
    let (clock, running) = (gateway.clock.clone(), gateway.running);
    let steps = async {
        clock.step(Duration::from_secs(1));
        tokio::time::timeout(Duration::from_millis(600), poll_fn(|_| Poll::<()>::Pending)).await.unwrap_err();
        assert_eq!(events.with("still draining"), [""; 0], "not before it takes long");
        clock.step(Duration::from_secs(2));
        let first = events.nth(0, "still draining").await;
        assert_eq!(
            (&first["connections"], &first["writes"], &first["origin_requests"]),
            (&2.into(), &1.into(), &2.into())
        );
        let left = first["left_s"].as_u64().unwrap();
        assert!((55..=57).contains(&left), "{first}");
        clock.step(Duration::from_secs(5));
        let second = events.nth(1, "still draining").await;
        assert!(second["left_s"].as_u64().unwrap() <= left - 5, "{second}");
        gate.open();
        assert_eq!((reads.answer().await.status, writes.answer().await.status), (200, 200));
    };
    let (ended, ()) = within("a stop", async { tokio::join!(running.stop(), steps) }).await;
    assert!(ended);
}

#[tokio::test]
async fn who_takes_over_says_for_whom_it_waits() {
    let (events, _guard) = Events::here();
    let folder = tempfile::tempdir().unwrap();
    let (door, clock) = (folder.path().join("door"), Clock::steppable());
    let (origin, _gate) = held().await;
    // One that takes the call and says nothing, until it is gone.
    let silent = UnixListener::bind(&door).unwrap();
    let waits = async {
        let (caller, _) = silent.accept().await.unwrap();
        events.nth(0, "asking the process that runs to hand over").await; // from then on it is counted
        clock.step(Duration::from_secs(3));
        let line = events.nth(0, "waiting for the process that runs to hand over its sockets").await;
        assert_eq!((&line["waited_s"], &line["at_most_s"]), (&3.into(), &60.into()));
        drop((caller, silent));
    };
    let (running, ()) =
        within("a start", async { tokio::join!(start(with_door(&door, &origin), &clock), waits) }).await;
    assert!(!running.took_over());
}

#[tokio::test]
async fn who_has_taken_over_says_that_the_other_one_still_drains() {
    let (events, _guard) = Events::here();
    let folder = tempfile::tempdir().unwrap();
    let (door, clocks) = (folder.path().join("door"), [Clock::steppable(), Clock::steppable()]);
    let (origin, gate) = held().await;
    let old = start(with_door(&door, &origin), &clocks[0]).await;
    let mut client = Client::connect(old.data[0]).await;
    client.send("GET", "/", &[], "").await;
    origin.received(1).await;
    let mut config = with_door(&door, &origin);
    config.server.listen = old.data.clone();
    config.admin.listen = old.admin;
    let new = within("the takeover", start(config, &clocks[1])).await;
    assert!(new.took_over());
    within("the relief", old.relieved()).await;
    clocks[1].step(Duration::from_secs(3));
    let line = events.nth(0, "the process before this one still drains; nothing is kept yet").await;
    assert!(line["waited_s"].as_u64() >= Some(2), "{line}");
    gate.open();
    assert_eq!(client.answer().await.status, 200);
    drop(client);
    let parting = old.parting();
    within("a stop", old.stop()).await;
    drop(parting);
    events.nth(0, "the process before this one has ended; answers are kept from now on").await;
}

#[tokio::test]
async fn how_far_a_snapshot_is_loaded_is_a_metric() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot");
    let origin = Origin::always(Reply::ok("body").field("cache-control", "max-age=60").field("etag", "\"1\"")).await;
    let start = async || {
        let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]", origin.url());
        Gateway::with(&format!("[cache]\nsnapshot = \"{}\"\n", file.display()), &api).await
    };
    let gateway = start().await;
    let metrics = gateway.admin("GET", "/metrics", "").await;
    assert!(!metrics.text().contains("freshgate_snapshot_progress{what=\"save\"}"));
    Client::connect(gateway.addr).await.get("/").await;
    gateway.settled().await;
    gateway.running.stop().await;
    let gateway = start().await;
    within("the load", async {
        let whole = "freshgate_snapshot_progress{what=\"load\"} 1\n";
        while !gateway.admin("GET", "/metrics", "").await.text().contains(whole) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_is_told_of_a_drain() {
    let (origin, gate) = held().await;
    let folder = tempfile::tempdir().unwrap();
    let (config, address) = (folder.path().join("f.toml"), folder.path().join("notify"));
    let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n", origin.url());
    std::fs::write(&config, format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{ADMIN}{api}")).unwrap();
    let socket = UnixDatagram::bind(&address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = command(&config, "");
    command.env("NOTIFY_SOCKET", &address);
    let mut process = Process::of(command);
    let mut client = Client::connect(process.addr).await.host("shop.example");
    client.send("GET", "/", &[], "").await;
    origin.received(1).await;
    process.signal("-TERM");
    let told = move || {
        let mut buffer = [0; 4096];
        loop {
            let n = socket.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
            if text.contains("STATUS=") {
                return text;
            }
        }
    };
    let told = within("a word", tokio::task::spawn_blocking(told)).await.unwrap();
    assert!(told.contains("STATUS=draining: 1 connections, 0 writes, at most "), "{told}");
    gate.open();
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(process.ended().await, Some(0));
}
