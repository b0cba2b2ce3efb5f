//! The way of a request.

mod outcome;
pub use outcome::{Kind, Outcome};
