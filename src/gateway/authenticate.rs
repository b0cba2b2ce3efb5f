//! Step 1, who is calling: asked of every request before anything else is done for it (`[api.auth]`).

use super::admit::Admitted;
use super::problem::Problem;
use crate::auth::Presented;
use crate::clock::Now;
use crate::policy::Identity;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderValue, Method, Uri};
use std::net::IpAddr;
use std::sync::Arc;

/// Finds out who is calling, and takes out of the request what only served that; or says why it goes no further.
pub(super) fn authenticate(
    admitted: &mut Admitted,
    is_trusted: impl FnOnce() -> bool,
    now: Now,
) -> Result<(), Problem> {
    if admitted.routed.rules.auth.is_none() && admitted.routed.mounted.api.rules.auth.is_none() {
        return Ok(());
    }
    let (own, routed) = (Arc::clone(&admitted.routed.mounted), Arc::clone(&admitted.routed.rules));
    let trusted = is_trusted();
    if let Some(field) = own.api.rules.auth.trusted_field().filter(|_| !trusted) {
        admitted.fields.remove(field);
    }
    if routed.auth.is_none() || is_preflight(admitted) {
        return Ok(());
    }
    let presented = Presented { fields: &admitted.fields, query: admitted.uri.query(), trusted, unix: now.unix };
    let refused = |denied| refusal(admitted, Problem::denied(denied, routed.auth.challenge(denied)));
    let Some(caller) = routed.auth.check(&presented).map_err(refused)? else { return Ok(()) };
    admitted.identity = Identity::of(&routed.key.share, &caller);
    admitted.user = Some(caller.user);
    if let Some(query) = admitted.uri.query().and_then(|query| routed.auth.without_credential(query)) {
        admitted.uri = with_query(&admitted.uri, &query).ok_or_else(Problem::unsendable)?;
    }
    Ok(())
}

/// Counts a request for its caller, by name or else by address, and for its API.
pub(super) fn within_rate(admitted: &Admitted, address: IpAddr, now: Now) -> Result<(), Problem> {
    let Some(rate) = &admitted.routed.rules.rate else { return Ok(()) };
    let counted = match &admitted.user {
        Some(user) => rate.count(&(0, &**user), now.mono),
        None => rate.count(&(1, network(address)), now.mono),
    };
    counted.map_err(|exceeded| refusal(admitted, Problem::too_many(exceeded)))
}

/// An address, or the 64 bits of IPv6 that one customer has.
pub(super) fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

/// A refusal as this client gets it: readable for its page if the API says so, and not waiting for what it sends.
fn refusal(admitted: &Admitted, mut problem: Problem) -> Problem {
    let page = admitted.fields.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    if let Some((cors, page)) = admitted.routed.rules.cors.as_ref().zip(page)
        && let Some(told) = cors.allows(page).and_then(|origin| HeaderValue::try_from(origin).ok())
    {
        let read = HeaderValue::from_static("WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy");
        let credentials =
            cors.credentials.then(|| (ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        problem.fields.extend([
            (ACCESS_CONTROL_ALLOW_ORIGIN, told),
            (ACCESS_CONTROL_EXPOSE_HEADERS, read),
            (VARY, HeaderValue::from_static("Origin")),
        ]);
        problem.fields.extend(credentials);
    }
    Problem { close: admitted.has_body, ..problem }
}

/// A browser's question whether it may ask (Fetch Standard, 4.8): it carries no credentials.
fn is_preflight(admitted: &Admitted) -> bool {
    let says = |name| admitted.fields.contains_key(name);
    admitted.method == Method::OPTIONS && says(ORIGIN) && says(ACCESS_CONTROL_REQUEST_METHOD)
}

fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let target = if query.is_empty() { uri.path().to_owned() } else { format!("{}?{query}", uri.path()) };
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}
