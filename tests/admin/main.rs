//! The admin port over real sockets, with a double of the gateway behind it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may")]

mod apis;
mod browsers;
mod cli;
mod events;
mod guard;
mod openapi;
mod panel;
mod purge;
mod read;
mod server;
mod session;
mod support;
