//! Origins: where they are, how they are asked.

mod settings;
pub use settings::{Endpoint, Timeouts};
