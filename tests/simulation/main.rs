//! The scopes, the flight table and the store under a seeded simulation, against a naive model.
//!
//! # What runs
//! The real cores: `store::{Scopes, Store}` and `fill::{Flights, may_take}`. Around them stand readers, questions,
//! writers and purgers that do what `gateway/{read,find,write}.rs` and `fill/{mod,ask}.rs` do with the cores, a few lines
//! each, without tasks and sockets: each is a small state machine, and a random one of them takes the next step. The
//! steps are as small as the product's own await points and a little smaller: between finding an entry and judging it,
//! between holding cells and raising them, between the origin's reading and its answer, anything may happen. (What may
//! happen *within* a core's function is `interleaving.rs`' business.)
//!
//! # What is checked
//! `naive.rs` counts versions at an origin and remembers what was acknowledged. A reader that began after an
//! acknowledgement is never given anything older of what was invalidated, and nothing that belongs to somebody else or
//! to another variant. Nobody refuses one question twice. Nobody asks where a question could be joined. In the end
//! nothing is left over in any table, and all that was counted is counted out.
//!
//! # Seeds
//! Each world has its own. `FRESHGATE_SEED=n cargo test --test simulation` runs the world `n` first and tells its story
//! if it fails; without it, fixed seeds run and as many random ones, whose first number is printed. In one world in
//! three moka evicts for want of room, and when it does so depends on its own clock: such a world may not repeat itself.
//!
//! # Can it fail?
//! `bent.rs` bends one rule after the other and demands that it is noticed, by the fault that one would expect.
#![cfg(test)]
#![expect(unreachable_pub, reason = "a test has no outside")]
#![expect(clippy::wildcard_enum_match_arm, reason = "one rule is bent, all others are as they are")]

/// Adds a line to a world's story, if that is told.
macro_rules! tell {
    ($world:expr, $($line:tt)+) => {
        if $world.is_told() {
            let line = format!($($line)+);
            $world.add(line);
        }
    };
}

mod bent;
mod fills;
mod naive;
mod readers;
mod rng;
mod world;
mod writers;

use naive::Fault;
use rng::mixed;
use std::hash::BuildHasher;
use world::{Bent, Counts, World};

/// Steps of one world before everything is carried to its end.
const STEPS: usize = 2_500;
/// Worlds of one test.
const WORLDS: u64 = 400;

/// One world from its beginning to its end.
fn run(seed: u64, bent: Bent, told: bool) -> World {
    let mut world = World::new(seed, bent, told);
    for _ in 0..STEPS {
        world.step();
        if world.fault.is_some() {
            return world;
        }
    }
    world.end();
    world
}

/// Runs worlds from `first` on until one fails; returns how often what happened.
fn worlds(first: u64, many: u64) -> Result<Counts, (u64, Fault)> {
    let mut counts = Counts::new();
    for seed in (0..many).map(|n| first.wrapping_add(n)) {
        let world = run(seed, Bent::None, false);
        if let Some(fault) = world.fault {
            return Err((seed, fault));
        }
        world.counts.iter().for_each(|(what, n)| *counts.entry(what).or_default() += n);
    }
    Ok(counts)
}

fn hold(first: u64, many: u64) -> Counts {
    worlds(first, many).unwrap_or_else(|(seed, fault)| {
        let again = run(seed, Bent::None, true);
        panic!("{fault:?}; FRESHGATE_SEED={seed}; the same world again, {:?}:\n{}", again.fault, again.story());
    })
}

#[test]
fn fixed_worlds() {
    let counts = hold(1, WORLDS);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort();
    println!("{counts:?}");
    let all = [
        "applied late",
        "another variant",
        "asked",
        "asked alone",
        "asked anew in place of an overtaken question",
        "cells dropped",
        "confirmed strongly",
        "confirmed weakly",
        "failed",
        "found at the second look",
        "hit",
        "invalidated found",
        "joined",
        "not kept, it settles",
        "not stored, a younger one is there",
        "not stored, it is invalidated",
        "outcome unknown",
        "outdated found",
        "own answer",
        "refused",
        "stale on error",
        "stale while it is confirmed",
        "stored",
    ];
    for what in all {
        assert!(counts.iter().any(|(name, n)| *name == what && *n >= 30), "too seldom to mean anything: {what}");
    }
}

#[test]
fn random_worlds() {
    let given = std::env::var("FRESHGATE_SEED").ok().map(|seed| seed.parse().expect("FRESHGATE_SEED is a number"));
    let first = given.unwrap_or_else(|| mixed(std::hash::RandomState::new().hash_one(())));
    println!("FRESHGATE_SEED={first}");
    hold(first, WORLDS);
}
