//! How busy it is, and was.

use crate::telemetry::History;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// How busy it is, and was.
pub trait Traffic {
    /// The last hour, which goes on.
    fn history(&self) -> Arc<History>;
}

/// How many endpoints of an API are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// Asked as usual.
    pub well: usize,
    /// Left alone for a while, for their failures or because they asked for it.
    pub resting: usize,
    /// Their checks have failed.
    pub down: usize,
    /// Their circuit breaker is open.
    pub open: usize,
}
