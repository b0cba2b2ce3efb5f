//! `[server]`: `accept`, and hyper with every limit set.

mod accept;
mod connection;
mod gate;
mod refusal;
mod scan;
mod service;
mod settings;
mod stop;
mod upload;
mod wire;

pub use accept::run;
pub use gate::Gate;
pub use service::Handler;
pub use settings::{Limits, Network, Settings};
pub use stop::{Stop, Stopper, stop};
