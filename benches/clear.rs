//! Clearing an API of 1,000,000 answers: how long the caller waits, and whether the memory comes back.
//!
//! `cargo bench --bench clear [-- ANSWERS BODY_BYTES]`; about 2 GiB with the defaults.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program for the terminal")]
#![allow(clippy::disallowed_methods, reason = "it measures")]

#[path = "../tests/support/stored.rs"]
mod stored;

use freshgate::clock::Now;
use freshgate::purge::Target;
use std::time::Instant;
use stored::Stored;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let answers = numbers.next().unwrap_or(1_000_000);
    let body = numbers.next().unwrap_or(200);
    let stored = Stored::new(64 << 30);
    stored.fill("two/v1", 1000, body);
    let empty = resident();

    let began = Instant::now();
    stored.fill("one/v1", answers, body);
    println!("filled    {answers} answers of {body} bytes in {:.1?}", began.elapsed());
    println!("counted   {} MiB", stored.tally("one/v1").bytes() >> 20);
    println!("resident  {} MiB (before them {} MiB)", resident() >> 20, empty >> 20);
    println!("cells     {}", stored.store.scopes.len());

    let began = Instant::now();
    let purged = stored.purge(Target::Api("one/v1".into()));
    let took = began.elapsed();
    println!("purge     {took:.1?} for the caller, {} answers covered", purged.invalidated.unwrap_or_default());

    let began = Instant::now();
    let gone = stored.store.sweep(Now::default());
    println!("sweep     {gone} answers in {:.1?}, on a thread of its own", began.elapsed());
    println!("left      {} answers, {} cells", stored.store.len(), stored.store.scopes.len());
    println!("resident  {} MiB", resident() >> 20);

    // mimalloc gives pages back a second later, when it is called next: it has no thread of its own.
    std::thread::sleep(std::time::Duration::from_secs(2));
    drop(std::hint::black_box(Vec::<u8>::with_capacity(4 << 20)));
    println!("resident  {} MiB after one large allocation", resident() >> 20);
    stored.fill("one/v1", 2000, body);
    println!("resident  {} MiB after 2000 answers more", resident() >> 20);
}

/// Bytes of memory that the process has, as the system says; 0 where it doesn't say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}
