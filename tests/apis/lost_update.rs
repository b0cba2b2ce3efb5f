//! Many writers at once: with `If-Match` none overwrites what he hasn't read, without it none breaks the file, and readers notice nothing.

use super::support::{TOKEN, within};
use super::world::{World, api, numbered};
use freshgate::config;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use tokio::task::JoinSet;

#[tokio::test]
async fn of_two_who_have_read_the_same_one_wins() {
    let origin = numbered().await;
    let world = World::with(&api("a", &origin, "ttl = \"10m\"")).await;
    let tag = world.call("GET", "a/v1", "").await.get("etag").unwrap().to_owned();
    let fields = [("if-match", tag.as_str())];
    let change = async |ttl: &str| {
        let body = json!({ "ttl": ttl }).to_string();
        world.call_with(TOKEN, "PATCH", "a/v1", &fields, &body).await
    };
    let (one, two) = tokio::join!(change("1m"), change("2m"));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
    assert_eq!(won.get("etag"), World::problem(&lost, 412, "precondition-failed")["etag"].as_str());
    // A comment is a change, too: what it stands at may mean something else now.
    std::fs::write(world.path(), world.text().replace("ttl = ", "# read this first\nttl = ")).unwrap();
    world.gateway.admin("POST", "/v1/config/reload", "").await;
    let fields = [("if-match", won.get("etag").unwrap())];
    assert_eq!(world.call_with(TOKEN, "DELETE", "a/v1", &fields, "").await.status, 412);
    assert_eq!(world.call_with(TOKEN, "PUT", "a/v1", &[("if-none-match", "*")], "{}").await.status, 412);
}

const WRITERS: usize = 8;
const ROUNDS: usize = 12;

/// Each writer reads, adds one to a number, and puts it back if nobody else has meanwhile. If an update were lost the sum would be smaller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost_and_no_reader_notices() {
    let origin = numbered().await;
    let apis = [api("a", &origin, "ttl = \"10s\"  # the number"), api("b", &origin, "ttl = \"10m\"")].concat();
    let world = Arc::new(World::with(&apis).await);
    let (over, reads, conflicts) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut readers = JoinSet::new();
    for n in 0..4 {
        let (world, over, reads) = (Arc::clone(&world), Arc::clone(&over), Arc::clone(&reads));
        readers.spawn(async move {
            let mut client = world.gateway.client().await;
            while !over.load(SeqCst) {
                let answer = client.get(&format!("/{}/{n}", ["a", "b"][n % 2])).await;
                assert_eq!(answer.status, 200);
                reads.fetch_add(1, SeqCst);
            }
        });
    }
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (world, conflicts) = (Arc::clone(&world), Arc::clone(&conflicts));
        writers.spawn(async move {
            for _ in 0..ROUNDS {
                loop {
                    let read = world.call("GET", "a/v1", "").await;
                    let number: u64 = read.json()["settings"]["ttl"].as_str().map(seconds).unwrap();
                    let body = json!({ "ttl": number + 1 }).to_string();
                    let fields = [("if-match", read.get("etag").unwrap())];
                    let answer = world.call_with(TOKEN, "PATCH", "a/v1", &fields, &body).await;
                    let text = world.text();
                    assert!(config::understand(text.as_bytes(), &world.path()).is_ok(), "{text}");
                    match answer.status {
                        200 => break,
                        412 => _ = conflicts.fetch_add(1, SeqCst),
                        _ => panic!("{}", answer.text()),
                    }
                }
            }
        });
    }
    within("the end of the writers", async {
        while let Some(ended) = writers.join_next().await {
            ended.unwrap();
        }
    })
    .await;
    over.store(true, SeqCst);
    while let Some(ended) = readers.join_next().await {
        ended.unwrap();
    }
    let end = 10 + WRITERS * ROUNDS;
    let line = format!("ttl = {end}  # the number");
    assert!(world.text().contains(&line), "{}", world.text());
    let shown: Value = world.call("GET", "a/v1", "").await.json();
    assert_eq!(seconds(shown["settings"]["ttl"].as_str().unwrap()), end as u64);
    eprintln!("{} changes, {} conflicts, {} reads", WRITERS * ROUNDS, conflicts.load(SeqCst), reads.load(SeqCst));
    assert!(reads.load(SeqCst) > 0);
}

/// `10s` or `2m`.
fn seconds(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.len() - 1);
    number.parse::<u64>().unwrap() * if unit == "m" { 60 } else { 1 }
}
