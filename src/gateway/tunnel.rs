//! Upgrades: only protocols that the API lists, and from the 101 on only bytes.

use super::admit::Admitted;
use super::outcome::{Kind, Outcome};
use super::problem::Problem;
use super::status::{Fwd, Status};
use super::{Gateway, deliver, forward, read};
use crate::body::Body;
use crate::client::Client;
use crate::rfc9110::fields::{has_token, list};
use crate::rfc9111;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;

/// The protocol to switch to, if the client asks for one that the API lists. Others are ignored (RFC 9110 §7.8), and
/// so is what a write offers: an origin may apply the write and stay with HTTP, so it goes the way of all writes.
pub(super) fn wanted(method: &Method, fields: &HeaderMap, allowed: &[String]) -> Option<String> {
    if !rfc9111::is_safe(method) || allowed.is_empty() || !has_token(fields, &CONNECTION, "upgrade") {
        return None;
    }
    let mut offered = list(fields, &UPGRADE).map(str::to_ascii_lowercase);
    offered.find(|protocol| allowed.contains(protocol))
}

impl Gateway {
    /// Asks the origin to switch; whatever else it answers is passed on.
    pub(super) async fn tunnel(
        self: &Arc<Self>,
        mut admitted: Admitted,
        body: Body,
        protocol: &str,
        client: &Client,
    ) -> (Response<Body>, Outcome) {
        let api = Some(Arc::clone(&admitted.routed.mounted.id));
        let below = admitted.upgrade.take();
        let (Some(mut request), Ok(value)) =
            (self.request(&mut admitted, client, body), HeaderValue::try_from(protocol))
        else {
            let problem = Problem::unsendable();
            return (problem.response(), problem.outcome(Kind::Failed, api));
        };
        request.headers_mut().insert(UPGRADE, value.clone());
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        let timeouts = &admitted.routed.rules.timeouts;
        let served = self.served(&admitted.routed.mounted);
        let status = Status { fwd: Some(Fwd::Bypass), detail: Some("upgrade"), ..Status::default() };
        let outcome = Outcome { api, kind: Kind::Pass, reason: Some("upgrade"), ..Outcome::default() };
        match served.origin.ask(request, &forward::host(&admitted), timeouts, None).await {
            Ok(mut response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let above = hyper::upgrade::on(&mut response);
                if let Some(below) = below {
                    self.background.spawn(join(below, above));
                }
                let mut response = deliver::own(read::asked(&admitted), response, &status);
                response.headers_mut().insert(UPGRADE, value);
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
                (response, Outcome { kind: Kind::Tunnel, ..outcome })
            }
            Ok(response) => (deliver::own(read::asked(&admitted), response, &status), outcome),
            Err(error) => {
                let problem = Problem::of(&error);
                let failed = problem.outcome(Kind::Failed, outcome.api);
                (read::failed(&problem, status), failed)
            }
        }
    }
}

/// Carries bytes both ways until both sides have ended.
async fn join(below: OnUpgrade, above: OnUpgrade) {
    if let (Ok(below), Ok(above)) = tokio::join!(below, above) {
        let (mut below, mut above) = (TokioIo::new(below), TokioIo::new(above));
        drop(tokio::io::copy_bidirectional(&mut below, &mut above).await);
    }
}
