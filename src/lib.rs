//! Freshgate: a caching gateway for REST APIs that is never stale after a write.

pub mod admin;
mod alarm;
pub mod body;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod fill;
pub mod gateway;
pub mod listener;
pub mod policy;
pub mod purge;
pub mod rfc9110;
pub mod rfc9111;
pub mod serve;
pub mod store;
mod sync;
pub mod tasks;
pub mod telemetry;
pub mod upstream;
