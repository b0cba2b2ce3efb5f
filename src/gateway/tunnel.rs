//! Upgrades: only protocols that the API lists, and from the 101 on only bytes.

use super::admit::Admitted;
use super::outcome::{Answered, Kind, Outcome};
use super::problem::Problem;
use super::status::{Fwd, Status};
use super::{Asked, Gateway, deliver, forward};
use crate::body::Body;
use crate::client::Client;
use crate::rfc9110::fields::has_token;
use crate::upstream::{Held, Manner, Retry};
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;

impl Gateway {
    /// Asks the origin to switch; whatever else it answers is passed on.
    pub(super) async fn tunnel(
        self: &Arc<Self>,
        mut admitted: Admitted,
        body: Body,
        (protocol, below): (String, OnUpgrade),
        client: &Client,
    ) -> Answered {
        let api = Some(Arc::clone(&admitted.routed.mounted.id));
        let (Some(mut request), Ok(value)) =
            (self.request(&mut admitted, client, body), HeaderValue::try_from(protocol.as_str()))
        else {
            let problem = Problem::unsendable();
            return (problem.response(Status::default()), problem.outcome(Kind::Failed, api));
        };
        request.headers_mut().insert(UPGRADE, value.clone());
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        let timeouts = &admitted.routed.rules.timeouts;
        let served = self.served(&admitted.routed.mounted);
        let status = Status { fwd: Some(Fwd::Bypass), detail: Some("upgrade"), ..Status::default() };
        let outcome = Outcome { api, kind: Kind::Pass, reason: Some("upgrade"), ..Outcome::default() };
        let (host, trace) = (forward::host(&admitted), admitted.trace.as_ref());
        let manner = Manner { host: &host, timeouts, retry: &Retry::NEVER, safe: false, interim: None, trace };
        match served.origin.ask_in(request, &manner).await {
            Ok(response) if has_switched(&response) && !has_token(response.headers(), &UPGRADE, &protocol) => {
                let problem = Problem::broken("bad-answer");
                (problem.response(status), problem.outcome(Kind::Failed, outcome.api))
            }
            Ok(mut response) if has_switched(&response) => {
                let above = hyper::upgrade::on(&mut response);
                let held = response.extensions_mut().remove::<Held>();
                self.background.spawn(async move {
                    join(below, above).await;
                    drop(held);
                });
                let mut response = deliver::own(Asked::new(&admitted, &self.encoders), response, &status);
                response.headers_mut().insert(UPGRADE, value);
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
                (response, Outcome { kind: Kind::Tunnel, ..outcome })
            }
            Ok(response) => (deliver::own(Asked::new(&admitted, &self.encoders), response, &status), outcome),
            Err(error) => {
                let problem = self.problem(&error);
                let failed = problem.outcome(Kind::Failed, outcome.api);
                (problem.response(status), failed)
            }
        }
    }
}

fn has_switched(response: &Response<Body>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}

/// Carries bytes both ways until both sides have ended.
async fn join(below: OnUpgrade, above: OnUpgrade) {
    if let (Ok(below), Ok(above)) = tokio::join!(below, above) {
        let (mut below, mut above) = (TokioIo::new(below), TokioIo::new(above));
        drop(tokio::io::copy_bidirectional(&mut below, &mut above).await);
    }
}
