//! One round: an origin, a gateway, everybody at once, and then the reckoning.

use super::checker::{Verdict, at_rest, check};
use super::history::{Events, History};
use super::modes::{Mode, RULES, Reload};
use super::origin::{self, Shop};
use super::readers::{Reader, Reading};
use super::support::{Gateway, within};
use super::tally::Tally;
use super::wire::Dice;
use super::world::{FIRST_BYTE, everything};
use super::writers;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const READERS: usize = 48;
const WRITERS: usize = 8;
const OPERATORS: usize = 3;

pub struct Round {
    pub mode: &'static Mode,
    pub seed: u64,
    pub reads: usize,
    /// Without invalidation, to see whether that is noticed.
    pub broken: bool,
}

impl Round {
    pub async fn run(self) -> (Verdict, Tally) {
        let Round { mode, seed, reads, broken } = self;
        let history = Arc::new(History::default());
        let shop = Shop::new(Arc::clone(&history), mode);
        let (first, _origin) = origin::start(Arc::clone(&shop), seed).await;
        let (second, _other) = origin::start(Arc::clone(&shop), seed ^ 2).await;
        let addr = if mode.twice { vec![first, second] } else { vec![first] };
        let addr = addr.as_slice();
        let gateway = Gateway::with(mode.rest, &apis(addr, mode.api, false)).await;
        #[cfg(debug_assertions)]
        if broken {
            gateway.running.store().scopes.stop_invalidating();
        }
        let all = Arc::new(Reading {
            addr: gateway.addr,
            mode,
            history: Arc::clone(&history),
            left: AtomicUsize::new(reads),
            broken: AtomicUsize::new(0),
            writes: Semaphore::new(0),
            purges: Semaphore::new(0),
            reloads: Semaphore::new(0),
        });
        // Without invalidation it has to go wrong by itself.
        let reloads = if broken { &[] } else { mode.reloads };
        tokio::join!(everybody(&all, &shop, &gateway, seed), reload(&all, &gateway, reloads, addr));
        within("the origin to be done", async {
            while !shop.is_idle() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let events = history.take();
        let verdict = check(&events, mode.reach);
        if !broken && verdict.stale == 0 {
            settled(&all, &events, seed).await;
        }
        let mut tally = Tally::of(&events, &verdict);
        tally.broken = all.broken.load(Ordering::SeqCst);
        tally.evicted = usize::try_from(gateway.running.store().evicted()).unwrap();
        (verdict, tally)
    }
}

/// The `[[api]]` tables.
fn apis(origins: &[SocketAddr], lines: &str, linked: bool) -> String {
    let urls: Vec<String> = origins.iter().map(|origin| format!("\"http://{origin}\"")).collect();
    let (origin, urls) = (origins[0], urls.join(", "));
    let api = format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [{urls}]\n\
         timeouts.first_byte = \"{FIRST_BYTE}ms\"\n{lines}\n{RULES}"
    );
    let other = "[[api]]\nname = \"other\"\nversion = \"v1\"\npath = \"/other\"\n";
    if linked { format!("{api}{other}upstream = [\"http://{origin}\", \"http://0.0.0.1:1\"]\n") } else { api }
}

/// Reloads whenever the readers let it, until they close.
async fn reload(all: &Reading, gateway: &Gateway, reloads: &[Reload], origin: &[SocketAddr]) {
    for Reload { api, linked } in reloads.iter().cycle() {
        let Ok(permit) = all.reloads.acquire().await else { return };
        permit.forget();
        gateway.reload(&apis(origin, api, *linked));
    }
}

async fn everybody(all: &Arc<Reading>, shop: &Arc<Shop>, gateway: &Gateway, seed: u64) {
    let mut others = JoinSet::new();
    for number in 0..WRITERS {
        others.spawn(writers::write(Arc::clone(all), Dice::new(seed, 100 + number as u64)));
    }
    for number in 0..OPERATORS {
        let dice = Dice::new(seed, 200 + number as u64);
        others.spawn(writers::purge(Arc::clone(all), Arc::clone(shop), gateway.admin, dice));
    }
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        let reader = Reader::new(number, seed, Arc::clone(all)).await;
        readers.spawn(reader.run());
    }
    while let Some(ended) = readers.join_next().await {
        ended.unwrap();
    }
    all.writes.close();
    all.purges.close();
    all.reloads.close();
    while let Some(ended) = others.join_next().await {
        ended.unwrap();
    }
}

/// When all is quiet, everything that was applied comes to be seen, also of writes whose clients have left; nothing older
/// may stay behind in the store.
async fn settled(all: &Arc<Reading>, events: &Events, seed: u64) {
    for number in 0..2 {
        // One who says who he is, where that makes a difference, and one who doesn't.
        let mut reader = Reader::new(number, seed ^ 1, Arc::clone(all)).await;
        for resource in everything() {
            let least = at_rest(events, all.mode.reach, resource);
            let seen = async {
                loop {
                    let got = reader.read(resource).await.ok().flatten();
                    if got.is_some_and(|got| got.iter().zip(&least).all(|(got, least)| got >= least)) {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            within(&format!("{least:?} at {}; seed {seed}", resource.target()), seen).await;
        }
    }
}
