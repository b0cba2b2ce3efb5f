//! What is told about requests: metrics and logs.

mod settings;
pub use settings::{Format, Settings};
