//! `freshgate demo`: a bookstore API, a gateway before it, and what to try.

pub mod bookstore;
mod welcome;

pub use welcome::{PREFIX, welcome};
