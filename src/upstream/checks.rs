//! Asks endpoints regularly how they are (`[api.health] path`).
//!
//! Each has a task that ends with its origin. A check is a GET over a connection of its own, since that is what a new request
//! would need; its answer's content is nobody's business. Checks of several gateways are spread: each wait is up to a tenth shorter.

use super::doors::Doors;
use super::error::{AskError, AskErrorKind};
use super::request::{Draft, HostChoice};
use super::settings::Check;
use super::slot::{Around, Slot};
use super::time::TryTime;
use crate::body::Body;
use http::{HeaderValue, Request, StatusCode, Uri};
use std::sync::Arc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Begins to check all of `slots` until `stop`.
pub(super) fn begin(check: &Check, slots: &[Arc<Slot>], doors: &Arc<Doors>, around: &Around, stop: &CancellationToken) {
    for (index, slot) in slots.iter().enumerate() {
        let (check, slot, doors) = (check.clone(), Arc::clone(slot), Arc::clone(doors));
        let (around, stop) = (around.clone(), stop.clone());
        around.tasks.clone().spawn(async move {
            let go_on = async {
                loop {
                    let result = timeout(check.timeout, ask(&check, &slot, &around)).await;
                    if let Some(result) = result.unwrap_or_else(|_| Some(Err("it took too long".into()))) {
                        doors.checked(index, result);
                    }
                    let wait = check.interval.mul_f64(1.0 - fastrand::f64() / 10.0);
                    tokio::time::sleep(wait).await;
                }
            };
            stop.run_until_cancelled(go_on).await;
        });
    }
}

/// `None` where nothing is known, since it couldn't be asked for a reason of our own.
async fn ask(check: &Check, slot: &Slot, around: &Around) -> Option<Result<(), String>> {
    let status = match status(check, slot, around).await {
        Ok(status) => status,
        Err(error) if error.kind == AskErrorKind::OutOfSockets => return None,
        Err(error) => return Some(Err(error.to_string())),
    };
    let good = check.status.map_or((200..400).contains(&status.as_u16()), |wanted| status.as_u16() == wanted);
    Some(if good { Ok(()) } else { Err(format!("it answered {status}")) })
}

async fn status(check: &Check, slot: &Slot, around: &Around) -> Result<StatusCode, AskError> {
    let unusable = |why: &str| AskError::unsent(AskErrorKind::Request).because(why);
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::try_from(&check.path).map_err(|_| unusable("the path is no target"))?;
    let draft = Draft::new(request, 0);
    let host = match &check.host {
        Some(host) => HostChoice::Given(HeaderValue::try_from(host).map_err(|_| unusable("the host is no Host"))?),
        None => HostChoice::Endpoint,
    };
    let time = TryTime {
        connect: check.timeout,
        first_byte: check.timeout,
        between_bytes: check.timeout,
        total: Some(Instant::now() + check.timeout),
        haste: None,
    };
    let mut lease = slot.connect(false, true, around, &time).await?;
    let request = slot.request(&draft, &host, lease.is_http2(), None)?;
    lease.begin(None);
    let sent = lease.send(request).await;
    let answer = sent.map_err(|error| AskError::sent(AskErrorKind::Closed).because(error.into_error()))?;
    Ok(answer.status())
}
