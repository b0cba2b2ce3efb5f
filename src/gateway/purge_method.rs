//! `PURGE <url>` on the data port, as users of Varnish and nginx know it (`server.purge_method`).

use super::Gateway;
use super::address::address;
use super::admit::Admitted;
use super::outcome::{Answered, BY_PURGE, Kind, Outcome};
use super::problem::Problem;
use super::status::{Status, VIA_VALUE};
use crate::body::Body;
use crate::store::Severity;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VIA, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;

const TOKEN: HeaderName = HeaderName::from_static("freshgate-token");

impl Gateway {
    /// Invalidates the URL that the request names, with every query, caller and variant; `None` when the method isn't
    /// ours to answer, and goes to the origin like any other.
    pub(super) fn purged(&self, admitted: &Admitted, peer: IpAddr) -> Option<Answered> {
        let may_purge = self.settings.may_purge.as_ref().filter(|_| admitted.method.as_str() == "PURGE")?;
        let mounted = &admitted.routed.mounted;
        let api = Some(Arc::clone(&mounted.id));
        let mut tokens = admitted.fields.get_all(TOKEN).iter();
        let allowed = match (tokens.next(), tokens.next()) {
            (Some(token), None) => {
                let at = address(&admitted.fields, peer, &self.settings.trusts).unwrap_or(peer);
                may_purge(token.as_bytes(), at)
            }
            (_, Some(_)) | (None, None) => Ok(None),
        };
        let allowed = match allowed {
            Ok(allowed) => allowed,
            Err(seconds) => {
                let problem = Problem::guessing(seconds);
                return Some((problem.response(Status::default()), problem.outcome(Kind::Refused, api)));
            }
        };
        let Some(told) = allowed else {
            let detail = "PURGE needs one Freshgate-Token field with the token of an operator or administrator";
            let challenge = HeaderValue::from_static("Freshgate-Token realm=\"purge\"");
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "purge-token", detail).closing();
            let problem = Problem { fields: vec![(WWW_AUTHENTICATE, challenge)], ..problem };
            return Some((problem.response(Status::default()), problem.outcome(Kind::Refused, api)));
        };
        // A purge is about what GET answers here, whatever route PURGE itself would take.
        let place = mounted.route(&Method::GET, admitted.routed.path.clone()).place();
        let epoch = self.store.scopes.invalidate(&[place.path(&mounted.origin)], Severity::Hard);
        told(serde_json::json!({ "path": admitted.routed.path, "api": &*mounted.id }), epoch);
        let mut response =
            Response::new(Body::full(serde_json::json!({"invalidated": null, "epoch": epoch}).to_string()));
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.insert(VIA, VIA_VALUE);
        Status { detail: Some(BY_PURGE), ..Status::default() }.write(fields);
        Some((
            response,
            Outcome { api, kind: Kind::Write, reason: Some(BY_PURGE), invalidated: true, ..Outcome::default() },
        ))
    }
}
