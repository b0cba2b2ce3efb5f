//! One round: an origin, a gateway, everybody at once, and then the reckoning.

use super::checker::{Verdict, at_rest, check};
use super::history::{Events, History};
use super::modes::Mode;
use super::origin::Shop;
use super::readers::{Reader, Reading};
use super::stage::{Front, Stage};
use super::support::within;
use super::tally::Tally;
use super::wire::Dice;
use super::world::everything;
use super::writers;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
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
        let mut stage = Stage::set(mode, &shop, seed).await;
        #[cfg(debug_assertions)]
        if let (true, Front::Here(gateway)) = (broken, &stage.front) {
            gateway.running.store().scopes.stop_invalidating();
        }
        let all = Arc::new(Reading {
            addr: stage.addr,
            mode,
            history: Arc::clone(&history),
            left: AtomicUsize::new(reads),
            broken: Mutex::default(),
            writes: Semaphore::new(0),
            purges: Semaphore::new(0),
            steps: Semaphore::new(0),
        });
        let admin = stage.admin;
        let upheavals = async {
            // Without invalidation it has to go wrong by itself.
            if broken { 0 } else { stage.upheave(&all).await }
        };
        let ((), upheavals) = tokio::join!(everybody(&all, &shop, admin, seed), upheavals);
        within("the origin to be done", async {
            while !shop.is_idle() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let failed = std::mem::take(&mut *all.broken.lock().unwrap());
        assert!(failed.is_empty() || !mode.upheaval.spares_reads(), "{} failed: {failed:?}; seed {seed}", mode.name);
        let events = history.take();
        let verdict = check(&events, mode.reach);
        if !broken && verdict.stale == 0 {
            settled(&all, &events, seed).await;
        }
        let mut tally = Tally::of(&events, &verdict);
        (tally.broken, tally.upheavals) = (failed.len(), upheavals);
        if let Front::Here(gateway) = &stage.front {
            tally.evicted = usize::try_from(gateway.running.store().evicted()).unwrap();
        }
        (verdict, tally)
    }
}

async fn everybody(all: &Arc<Reading>, shop: &Arc<Shop>, admin: SocketAddr, seed: u64) {
    let mut others = JoinSet::new();
    for number in 0..WRITERS {
        others.spawn(writers::write(Arc::clone(all), Dice::new(seed, 100 + number as u64)));
    }
    for number in 0..OPERATORS {
        let dice = Dice::new(seed, 200 + number as u64);
        others.spawn(writers::purge(Arc::clone(all), Arc::clone(shop), admin, dice));
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
    all.steps.close();
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
                    let got = reader.read(resource).await.ok().and_then(Result::ok);
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
