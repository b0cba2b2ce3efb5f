//! APIs changed, registered and removed while the gateway runs: what clients see, what the file says, and what a restart finds.
#![cfg(test)]

mod audit;
mod change;
mod demo;
mod lost_update;
mod many;
mod refused;
mod world;

#[path = "../support/mod.rs"]
mod support;
