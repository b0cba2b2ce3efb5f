//! A process takes over from another: sockets that are inherited, and `server.handover`.

#![cfg(test)]

mod activation;
mod history;
mod overlap;
#[path = "../support/mod.rs"]
mod support;
mod world;
