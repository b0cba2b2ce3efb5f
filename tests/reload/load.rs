//! A reload every tenth of a second under load: nobody fails, and nobody is given what a write has made old.
//!
//! `FRESHGATE_RELOAD_SECONDS=n` makes it n seconds; by default it is a few.

use super::api;
use super::support::{Client, Gateway, Origin, Reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::task::JoinSet;

const KEYS: usize = 20;
const READERS: usize = 12;
const WRITERS: usize = 3;

const STEPS: [usize; 6] = [1, 3, 7, 9, 11, 13];

#[derive(Default)]
struct World {
    /// What the origin has, and what writers have been told of.
    had: [AtomicUsize; KEYS],
    told: [AtomicUsize; KEYS],
    reads: AtomicUsize,
    hits: AtomicUsize,
    writes: AtomicUsize,
    failed: AtomicUsize,
    stale: AtomicUsize,
    over: AtomicBool,
}

fn key(target: &str) -> usize {
    target.rsplit('/').next().unwrap().parse().unwrap()
}

async fn origin(world: &Arc<World>) -> Origin {
    let world = Arc::clone(world);
    Origin::start(move |request| {
        let had = &world.had[key(&request.target)];
        let now = if request.method == "GET" { had.load(SeqCst) } else { had.fetch_add(1, SeqCst) + 1 };
        async move {
            tokio::task::yield_now().await;
            Reply::ok(now.to_string())
        }
    })
    .await
}

async fn reads(world: Arc<World>, mut client: Client, first: usize) {
    for n in first.. {
        if world.over.load(SeqCst) {
            return;
        }
        let key = n * STEPS[first % STEPS.len()] % KEYS; // each goes round in its own way
        let least = world.told[key].load(SeqCst);
        let answer = client.get(&format!("/a/{key}")).await;
        world.reads.fetch_add(1, SeqCst);
        world.hits.fetch_add(usize::from(answer.cache_says("hit")), SeqCst);
        match answer.text().parse::<usize>() {
            Ok(version) if answer.status == 200 => _ = world.stale.fetch_add(usize::from(version < least), SeqCst),
            _ => _ = world.failed.fetch_add(1, SeqCst),
        }
    }
}

async fn writes(world: Arc<World>, mut client: Client, first: usize) {
    for n in first.. {
        if world.over.load(SeqCst) {
            return;
        }
        let key = n * 11 % KEYS;
        let answer = client.put(&format!("/a/{key}"), "x").await;
        world.writes.fetch_add(1, SeqCst);
        match answer.text().parse::<usize>() {
            Ok(version) if answer.status == 200 => _ = world.told[key].fetch_max(version, SeqCst),
            _ => _ = world.failed.fetch_add(1, SeqCst),
        }
        tokio::time::sleep(Duration::from_millis(25)).await; // so that there is something to hit
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_fails_and_nothing_is_stale_while_it_is_reloaded_all_the_time() {
    let seconds = std::env::var("FRESHGATE_RELOAD_SECONDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let world = Arc::new(World::default());
    let origin = origin(&world).await;
    let a = |more: &str| api("a", "/a", &origin, &format!("ttl = \"10m\"\n{more}"));
    let linked = format!(
        "[[api]]\nname = \"b\"\nversion = \"v1\"\npath = \"/b\"\nupstream = [\"{}\", \"http://0.0.0.1:1\"]\n",
        origin.url()
    );
    let two = "listen = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n";
    let files = [
        ("", a("")),
        ("", a("")),
        ("", a("key = { headers = [\"accept\"] }")),
        (two, a("timeouts = { first_byte = \"7s\" }")),
        ("", format!("{}{linked}", a(""))),
        ("", api("a", "/a", &origin, "ttl = \"5m\"")),
    ]
    .map(|(server, apis)| Gateway::file(server, "", "", &apis));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.toml");
    std::fs::write(&path, &files[0]).unwrap();
    let gateway = Gateway::of_file(&path).await;
    let mut everybody = JoinSet::new();
    for n in 0..READERS {
        everybody.spawn(reads(Arc::clone(&world), gateway.client().await, n));
    }
    for n in 0..WRITERS {
        everybody.spawn(writes(Arc::clone(&world), gateway.client().await, n));
    }
    let reloads = seconds * 10;
    for file in files.iter().cycle().take(reloads) {
        std::fs::write(&path, file).unwrap();
        let answer = gateway.admin("POST", "/v1/config/reload", "").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.over.store(true, SeqCst);
    while let Some(ended) = everybody.join_next().await {
        ended.unwrap();
    }
    let [reads, hits, writes, failed, stale] =
        [&world.reads, &world.hits, &world.writes, &world.failed, &world.stale].map(|n| n.load(SeqCst));
    println!(
        "{reloads} reloads in {seconds} s: {reads} reads, {hits} hits, {writes} writes, {failed} failed, {stale} stale"
    );
    assert_eq!((failed, stale), (0, 0), "of {reads} reads and {writes} writes");
    assert!(hits > reads / 10 && writes > 10, "{reads} reads, {hits} hits, {writes} writes");
}
