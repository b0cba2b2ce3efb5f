//! What is stored, and what would happen to a request.

use super::Rooms;
use crate::admin::Inspection;
use crate::gateway::{Bad, Listed, Wanted};
use crate::telemetry::redacted;

impl Inspection for Rooms {
    fn entries(&self, wanted: &Wanted) -> Result<Listed, Bad> {
        let in_force = self.current.load_full();
        let hide = |query: &str| redacted(query, &in_force.config.log.redact_query);
        in_force.gateway.list(wanted, &hide, self.foundation.outside.clock.now())
    }
}
