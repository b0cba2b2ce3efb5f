//! Freshgate: a caching gateway for REST APIs that is never stale after a write.

pub mod admin;
pub mod body;
pub mod cli;
pub mod clock;
pub mod gateway;
pub mod listener;
pub mod policy;
pub mod purge;
pub mod store;
mod sync;
pub mod tasks;
pub mod telemetry;
pub mod upstream;
