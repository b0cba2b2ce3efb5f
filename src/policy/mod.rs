//! What the operator says, joined with what the RFC says; pure.

mod pattern;
mod settings;
pub use pattern::{BadPattern, Captures, Methods, Pattern, Template, parse_on};
pub use settings::*;
