//! Schemas that no type has.

use serde_json::Value;
use utoipa::openapi::{RefOr, Schema};

/// The schema that this JSON is. What isn't one is an empty one; a test looks for those.
pub(super) fn schema(json: Value) -> RefOr<Schema> {
    serde_json::from_value::<Schema>(json).unwrap_or_default().into()
}
