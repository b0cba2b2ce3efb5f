//! A namespace, and the objects in it.

use super::target;
use crate::gateway::Object;
use crate::policy::Mounted;
use std::sync::Arc;
use std::time::Duration;

/// A namespace.
pub(super) struct Space {
    pub(super) mounted: Arc<Mounted>,
    pub(super) max_ttl: Option<Duration>,
    /// Bytes that all of it may take.
    pub(super) room: u64,
}

/// The object with this key.
pub(super) fn object(space: &Space, key: &str) -> Object {
    Object { mounted: Arc::clone(&space.mounted), path: target::path(&space.mounted.api.version, key) }
}
