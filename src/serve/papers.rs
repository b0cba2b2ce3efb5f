//! The files that lines are written to while the gateway runs.

use super::foundation::Foundation;
use std::sync::Arc;

/// They can be opened anew also while the gateway drains.
#[derive(Clone)]
pub struct Papers(pub(super) Arc<Foundation>);

impl Papers {
    /// Opens each of them anew under its name (after a rotation); what can't be opened goes on where it was. Whether there are any.
    pub fn reopen(&self) -> bool {
        let (lines, acts) = (self.0.telemetry.reopen(), self.0.audit.reopen());
        lines || acts
    }
}
