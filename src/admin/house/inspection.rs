//! What is stored, and what would happen to a request.

/// What is stored, and what would happen to a request.
pub trait Inspection {}
