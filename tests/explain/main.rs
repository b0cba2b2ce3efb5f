//! `POST /v1/explain`: it says what happens, and nothing happens by it.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod agrees;
mod effects;
mod refused;
