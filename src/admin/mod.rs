//! The admin port.

mod settings;
pub use settings::{Role, Settings, Token};
