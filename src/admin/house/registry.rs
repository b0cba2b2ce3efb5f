//! APIs that are registered, changed and removed while the gateway runs.

/// APIs that are registered, changed and removed while the gateway runs.
pub trait Registry {}
