//! Sources of events over real servers: a PostgreSQL and a Redis that each test starts for itself, stops, and starts again.
//!
//! `./test.sh` installs them and sets `FRESHGATE_SERVERS=required`. Without the servers the tests are skipped, and say so.

#![cfg(test)]

mod link;
mod listening;
#[path = "../support/mod.rs"]
mod support;
mod world;

mod postgres;
mod postgres_server;
mod redis;
mod redis_server;
mod reference;
mod trigger;
mod under_load;
