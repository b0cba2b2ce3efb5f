//! What is stored, and what would happen to a request.

use super::Rooms;
use crate::admin::Inspection;
use crate::gateway::{Around, Bad, Explainable, Explained, Listed, Wanted};
use crate::policy::Mounted;
use crate::telemetry::redacted;
use std::sync::PoisonError;

impl Inspection for Rooms {
    fn entries(&self, wanted: &Wanted) -> Result<Listed, Bad> {
        let in_force = self.current.load_full();
        let hide = |query: &str| redacted(query, &in_force.config.log.redact_query);
        in_force.gateway.list(wanted, &hide, self.foundation.outside.clock.now())
    }

    fn explain(&self, asked: &Explainable) -> Result<Explained, Bad> {
        let in_force = self.current.load_full();
        let config = &in_force.config;
        let hide = |query: &str| redacted(query, &config.log.redact_query);
        let place = |mounted: &Mounted| {
            let is = |api: &crate::policy::Api| (&api.name, &api.version) == (&mounted.api.name, &mounted.api.version);
            config.apis.iter().position(is)
        };
        let host = self.own_host();
        let around = Around { hide: &hide, place: &place, host: &host };
        in_force.gateway.explain(asked, &around, self.foundation.outside.clock.now())
    }
}

impl Rooms {
    /// What a client on this machine would name as Host: the first address of the data port.
    fn own_host(&self) -> String {
        let listeners = self.reloader.listeners.upgrade();
        let all = listeners.map(|all| all.lock().unwrap_or_else(PoisonError::into_inner).addresses());
        match all.as_deref().and_then(<[_]>::first) {
            Some(address) if address.ip().is_unspecified() => format!("localhost:{}", address.port()),
            Some(address) => address.to_string(),
            None => "localhost".into(),
        }
    }
}
