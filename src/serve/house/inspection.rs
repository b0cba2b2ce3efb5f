//! What is stored, and what would happen to a request.

use super::Rooms;
use crate::admin::Inspection;

impl Inspection for Rooms {}
