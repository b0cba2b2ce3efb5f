//! `[server]`: `accept`, and hyper with every limit set.

mod accept;
mod carry;
mod connection;
mod frames;
mod gate;
mod line;
mod refusal;
mod scan;
mod service;
mod settings;
mod socket;
mod stop;
mod streams;
mod upload;
mod wire;

pub use accept::{Serving, run};
pub use gate::Gate;
pub use refusal::Refused;
pub use scan::Scanner;
pub use service::Handler;
pub use settings::{Limits, Network, Settings};
pub use stop::{Stop, Stopper, stop};
