//! Handovers under load: nobody is refused, no request fails, no read is stale.
//!
//! Each key has one writer, whose values only grow. A read must give at least the newest value that was acknowledged before the read began.

use crate::support::{Answer, Client, within};
use crate::world::{World, cached};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use tokio::net::TcpStream;

const KEYS: usize = 3;
const HANDOVERS: usize = 4;

#[derive(Default)]
struct History {
    over: AtomicBool,
    acknowledged: [AtomicU64; KEYS],
    /// Reads, writes, hits.
    counts: [AtomicU64; 3],
}

impl History {
    fn count(&self, what: usize) {
        self.counts[what].fetch_add(1, SeqCst);
    }

    /// Waits until there were so many more reads, writes and hits.
    async fn more(&self, more: [u64; 3]) {
        let now = || [0, 1, 2].map(|what| self.counts[what].load(SeqCst));
        let before = now();
        within("more reads, writes and hits", async {
            while now().iter().zip(before).zip(more).any(|((now, before), more)| *now < before + more) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    fn read(&self, key: usize, least: u64, answer: &Answer) {
        let value: u64 = answer.text().parse().unwrap();
        assert!(value >= least, "stale: /{key} gave {value} after {least} was acknowledged: {answer:?}");
        self.count(0);
        if answer.cache_says("hit") {
            self.count(2);
        }
    }
}

async fn connect(addr: SocketAddr) -> Client {
    let stream = within("a connection", TcpStream::connect(addr)).await.expect("nobody is refused");
    stream.set_nodelay(true).unwrap();
    Client::over(stream, "shop.example")
}

/// One request; connects anew when it was told to, or where it is always to be.
async fn ask(
    client: &mut Option<Client>,
    addr: SocketAddr,
    method: &str,
    target: &str,
    body: &str,
    keep: bool,
) -> Answer {
    let mut connection = match client.take() {
        Some(connection) => connection,
        None => connect(addr).await,
    };
    let fields: &[_] = if keep { &[] } else { &[("connection", "close")] };
    connection.send(method, target, fields, body).await;
    let answer = connection.try_answer().await.expect("no request fails");
    assert!(answer.status == 200 || answer.status == 204, "{answer:?}");
    if keep && !answer.lists("connection", "close") {
        *client = Some(connection);
    }
    answer
}

async fn reader(history: Arc<History>, addr: SocketAddr, keep: bool, first: usize) {
    let (mut client, mut key) = (None, first);
    while !history.over.load(SeqCst) {
        key = (key + 1) % KEYS;
        let least = history.acknowledged[key].load(SeqCst);
        let answer = ask(&mut client, addr, "GET", &format!("/{key}"), "", keep).await;
        history.read(key, least, &answer);
    }
}

async fn writer(history: Arc<History>, addr: SocketAddr, key: usize) {
    let (mut client, mut value) = (None, 0);
    while !history.over.load(SeqCst) {
        value += 1;
        ask(&mut client, addr, "PUT", &format!("/{key}"), &value.to_string(), key > 0).await;
        history.acknowledged[key].store(value, SeqCst);
        history.count(1);
        // Some reads between two writes, so that there is something to be stale.
        let reads = history.counts[0].load(SeqCst);
        while history.counts[0].load(SeqCst) < reads + 20 && !history.over.load(SeqCst) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handovers_under_load() {
    let mut world = World::new().await;
    world.rest = "[log]\naccess = false\n[cache]\nsnapshot = \"cache\"".into();
    let mut process = world.start();
    let (history, addr) = (Arc::<History>::default(), process.addr);
    let mut load = tokio::task::JoinSet::new();
    for n in 0..6 {
        load.spawn(reader(Arc::clone(&history), addr, n % 2 == 0, n));
    }
    for key in 0..KEYS {
        load.spawn(writer(Arc::clone(&history), addr, key));
    }
    let handovers = async {
        for n in 0..HANDOVERS {
            history.more([300, 10, 50]).await;
            let next = tokio::task::block_in_place(|| world.start());
            assert_eq!(next.addr, addr, "handover {n}");
            assert_eq!(process.ended().await, Some(0));
            process = next;
            process.says("answers are kept from now on").await;
        }
        history.more([300, 10, 50]).await;
        cached(&process, "/else").await;
    };
    tokio::select! {
        () = handovers => {}
        Some(ended) = load.join_next() => panic!("{ended:?}"),
    }
    history.over.store(true, SeqCst);
    while let Some(ended) = load.join_next().await {
        ended.unwrap();
    }
    let [reads, writes, hits] = &history.counts;
    println!("{reads:?} reads, {writes:?} writes, {hits:?} hits in {HANDOVERS} handovers");
}
