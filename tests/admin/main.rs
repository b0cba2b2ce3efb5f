//! The admin port over real sockets, with a double of the gateway behind it.

mod cli;
mod guard;
mod purge;
mod read;
mod server;
mod support;
