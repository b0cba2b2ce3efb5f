//! `kind = "trusted-header"`: a proxy in front has asked who is calling, and says so in a field.

use super::caller::{Caller, Denied, Presented, one_value};
use http::HeaderName;
use std::sync::Arc;

/// Which field holds the caller's name. Only what comes from a trusted proxy is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedHeader {
    /// `header`.
    pub header: HeaderName,
}

impl TrustedHeader {
    pub(super) fn check(&self, request: &Presented<'_>) -> Result<Caller, Denied> {
        if !request.trusted {
            return Err(Denied::Unknown);
        }
        let value = one_value(request.fields, &self.header)?;
        let user = std::str::from_utf8(value).ok().filter(|user| !user.is_empty()).ok_or(Denied::Malformed)?;
        let consumed = Arc::from([self.header.clone()]);
        Ok(Caller {
            user: user.into(),
            named: true,
            rights: Arc::default(),
            claims: None,
            consumed,
            told: Arc::default(),
        })
    }
}
