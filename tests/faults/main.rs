//! Origins that fail: a scripted origin, a faulty link before it, and for each fault what the client gets, what is stored, and how
//! many requests the origin saw.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod breaker;
mod checks;
mod frames;
mod http2;
mod killed;
mod link;
mod names;
mod one;
mod pool;
mod several;
mod slow;
mod writes;
