//! APIs that are registered, changed and removed while the gateway runs.

use super::Rooms;
use crate::admin::Registry;

impl Registry for Rooms {}
