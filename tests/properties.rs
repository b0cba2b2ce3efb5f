//! What holds for every message, however odd: reading never panics, nothing is fresher than its strictest reading allows,
//! what is stored is what was fetched, and what reaches an origin is what everybody would have read.
//!
//! A failure is printed with the smallest message that shows it, and its seed is noted beside the test, in a file that ends in
//! `.seeds`, from where the next run takes it up. `PROPTEST_CASES=100000 cargo test --test properties` looks longer.

#![cfg(test)]

#[path = "properties/as_fetched.rs"]
mod as_fetched;
#[path = "properties/canonical.rs"]
mod canonical;
#[path = "properties/front_door.rs"]
mod front_door;
#[path = "properties/no_fresher.rs"]
mod no_fresher;
#[path = "properties/no_panic.rs"]
mod no_panic;
#[path = "../fuzz/readers.rs"]
mod readers;
#[path = "security/strict.rs"]
mod request;
#[path = "../fuzz/strict.rs"]
mod strict;
mod support;

use proptest::test_runner::{Config, FileFailurePersistence};

/// So many cases; the seeds of those that fail are kept beside their test.
fn cases(cases: u32) -> Config {
    let seeds = FileFailurePersistence::WithSource("seeds");
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    Config { cases: asked.unwrap_or(cases), failure_persistence: Some(Box::new(seeds)), ..Config::default() }
}
