//! Real clients, as they come, before a real gateway, and an origin that none of us wrote: httpbin. Where a test has to
//! count or to change what is there, the origin is the scripted one.
//!
//! `./test.sh` sets up what they need. Without it they are skipped, and say so.

#![cfg(test)]

mod browser;
#[path = "../support/mod.rs"]
mod support;
mod world;

mod chromium;
mod libraries;
mod objects;
mod openapi;
mod traces;
