//! The history check: is the gateway never stale after a write, seen from outside?
//!
//! Readers and writers talk over real sockets to a whole gateway, which stands before an origin that dawdles before and
//! after it reads or applies anything, answers in pieces, fails, hangs and breaks off. Clients leave in the middle;
//! what the origin has is also changed behind the gateway's back and then purged. Every event gets a number from one
//! counter: a read's before its first byte is sent, a write's after its acknowledgement is there. So "began after" is
//! an order of numbers and not of clocks, and [`checker`] can tell without doubt whether an answer was too old:
//!
//! * A read that began after a write's acknowledgement must show that write, or a later one, wherever the write's path,
//!   `invalidate`, `Location` or `[[api.purge]]` reach.
//! * A read that began after a purge was acknowledged must show what the origin had when the purge was sent. After a
//!   soft purge that holds for every answer that isn't marked as stale.
//! * A write whose outcome is unknown to the gateway (502, 503, 504) promises something only once it is applied, and only
//!   if that is within the time for which its scopes settle: what began after both must show it. Of a write whose client
//!   has left nobody knows when it is over; so when all is quiet, everything that was applied must come to be seen.
//!
//! Nothing else is asked for. An answer may be older than what happened while its read was on the way, and grace may
//! show what is stale by time; neither excuses the above.
//!
//! `FRESHGATE_HISTORY=n` makes the run n times as long; `FRESHGATE_HISTORY_SEED` repeats its random choices, as far as
//! sockets and threads allow; `FRESHGATE_HISTORY_MODE` leaves out the modes in whose name it isn't.
#![cfg(test)]
#![expect(unreachable_pub, reason = "a test is nobody's library")]

mod changes;
mod checker;
mod history;
mod modes;
mod origin;
mod promises;
mod readers;
mod round;
mod stage;
mod story;
mod tally;
mod wire;
mod world;
mod writers;

#[path = "../support/mod.rs"]
mod support;

use modes::{MODES, Mode, Upheaval};
use round::Round;
use std::hash::BuildHasher;
use tally::Tally;

/// Reads of one round.
const READS: usize = 46_000;

fn times() -> usize {
    std::env::var("FRESHGATE_HISTORY").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// The modes, and which number each has.
fn modes() -> Vec<(u64, &'static Mode)> {
    let part = std::env::var("FRESHGATE_HISTORY_MODE").unwrap_or_default();
    (0..).zip(&MODES).filter(|(_, mode)| mode.name.contains(&part)).collect()
}

fn seed() -> u64 {
    let given = std::env::var("FRESHGATE_HISTORY_SEED").ok().and_then(|n| n.parse().ok());
    let seed = given.unwrap_or_else(|| std::hash::RandomState::new().hash_one(0));
    println!("FRESHGATE_HISTORY_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_stale_after_a_write_or_a_purge() {
    let seed = seed();
    let mut all = Tally::default();
    for turn in 0..times() {
        for (number, mode) in modes() {
            // Where something happens all the time, there is enough of it in less.
            let reads = if matches!(mode.upheaval, Upheaval::Nothing) { READS } else { READS / 3 };
            let round = Round { mode, seed: seed ^ (turn as u64 * 64 + number), reads, broken: false };
            let (verdict, tally) = round.run().await;
            println!("{}: {tally}", mode.name);
            if let Some(stories) = verdict.stories() {
                panic!(
                    "{} of {} reads were stale in mode {}; seed {seed}\n{stories}",
                    verdict.stale, tally.reads, mode.name
                );
            }
            let least = if matches!(mode.upheaval, Upheaval::Nothing) { 0 } else { 3 };
            assert!(tally.upheavals >= least, "only {} of what should happen all the time", tally.upheavals);
            all.add(&tally);
        }
    }
    println!("in all: {all}");
    if modes().len() == MODES.len() {
        all.assert_worth(times());
    }
}

/// The check can fail: without invalidation the same run finds stale reads, in every mode that runs in this process.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_the_check_of_scopes_reads_are_stale() {
    let seed = seed();
    for (_, mode) in modes().into_iter().filter(|(_, mode)| !mode.upheaval.is_of_processes()) {
        let (verdict, tally) = Round { mode, seed, reads: 2_000, broken: true }.run().await;
        println!("{}: {} stale; {tally}", mode.name, verdict.stale);
        assert!(verdict.stale > 0, "mode {} found nothing without invalidation; seed {seed}", mode.name);
        assert!(verdict.stories().is_some_and(|stories| stories.contains("acknowledged")));
    }
}
