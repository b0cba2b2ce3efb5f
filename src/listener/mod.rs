//! `[server]`, `accept`, and hyper with every limit set.

mod settings;
pub use settings::{Limits, Network, Settings};
