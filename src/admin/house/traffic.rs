//! How busy it is, and was.

/// How busy it is, and was.
pub trait Traffic {}
