//! What can be seen of the traffic: metrics, the dashboard and the alerts that are drawn from them, the last hour, the view in a terminal.
#![cfg(test)]

mod dashboard;
mod exposition;
mod history;
mod many;
mod parser;
mod streams;
mod top;
mod world;

#[path = "../support/mod.rs"]
mod support;
