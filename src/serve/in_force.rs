//! The configuration in force, and all that was made of it: one value, which a reload replaces by another in one step.
//!
//! A request takes hold of it once, when it comes, and ends under what it has taken.

use crate::config::Config;
use crate::gateway::{Gateway, Served};
use crate::objects::Objects;
use crate::policy::Apis;
use crate::telemetry::{Format, Settings};
use crate::tls;
use arc_swap::ArcSwap;
use serde_json::Value;
use std::sync::Arc;

/// What is in force at present.
pub(super) type Current = Arc<ArcSwap<InForce>>;

/// A configuration, and what was made of it.
pub(super) struct InForce {
    pub(super) config: Config,
    /// The same as the admin port shows it.
    pub(super) shown: Value,
    pub(super) apis: Apis,
    /// In the order of the APIs.
    pub(super) served: Vec<Served>,
    pub(super) gateway: Arc<Gateway>,
    /// The object cache, if there is one.
    pub(super) objects: Option<Arc<Objects>>,
    pub(super) texts: Texts,
    /// What the data port shows of itself.
    pub(super) tls: Option<Arc<tls::Server>>,
}

/// Which texts the access log (or a trace) shows; what it doesn't show isn't kept.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(super) enum Texts {
    None,
    Target,
    Combined,
}

impl Texts {
    /// Traces show the target as well.
    pub(super) fn of(log: &Settings, traces: bool) -> Texts {
        match (log.access, log.format) {
            (false, _) if traces => Texts::Target,
            (false, _) => Texts::None,
            (true, Format::Combined) => Texts::Combined,
            (true, _) => Texts::Target,
        }
    }
}
