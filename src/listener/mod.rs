//! `[server]`: `accept`, and hyper with every limit set.

mod settings;
mod stop;
pub use settings::{Limits, Network, Settings};
pub use stop::{Stop, Stopper, stop};
