//! The only door to stored responses.

mod settings;
pub use settings::{Eviction, Settings};
