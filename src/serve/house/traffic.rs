//! How busy it is, and was.

use super::Rooms;
use crate::admin::Traffic;

impl Traffic for Rooms {}
