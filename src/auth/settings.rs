//! `[api.auth]`.

use super::{ApiKey, TrustedHeader};
use std::sync::Arc;

/// How callers are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Settings {
    /// Nobody is asked.
    #[default]
    None,
    /// By a secret that each caller has.
    ApiKey(Arc<ApiKey>),
    /// By a field that a proxy in front has set.
    TrustedHeader(Arc<TrustedHeader>),
}
