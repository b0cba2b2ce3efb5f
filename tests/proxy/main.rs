//! What passes through, both ways: fields, bodies, other protocols, and breaks.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod breaks;
mod fields;
mod ranges;
mod upgrade;
