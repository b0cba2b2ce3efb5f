//! A request as far as delivering its answer is concerned.

use super::admit::Admitted;
use crate::encode::Encoders;
use crate::policy::{Api, Rules};
use http::{HeaderMap, Method};

/// The request, and what answers to it may need.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) fields: &'a HeaderMap,
    pub(super) rules: &'a Rules,
    pub(super) api: &'a Api,
    pub(super) encoders: &'a Encoders,
}

impl<'a> Asked<'a> {
    pub(super) fn new(admitted: &'a Admitted, encoders: &'a Encoders) -> Self {
        let Admitted { method, fields, routed, .. } = admitted;
        Asked { method, fields, rules: &routed.rules, api: &routed.mounted.api, encoders }
    }
}
