//! Step 1, who is calling: asked of every request before anything else is done for it (`[api.auth]`).

use super::address::{address, network};
use super::admit::Admitted;
use super::problem::Problem;
use crate::auth::{Checked, Found, Presented, Refusal, Sender, Settings, without_parameters};
use crate::client::Client;
use crate::clock::Now;
use crate::limit::{Exceeded, Limiter};
use crate::policy::Identity;
use crate::rfc9110::fields::{is_twin, remove_all};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderName, HeaderValue, Method, Uri};
use std::net::IpAddr;
use std::sync::Arc;

/// Who is calling, if that is known at once; what only we may tell the origin about it is taken out of the request.
pub(super) fn authenticate(
    admitted: &mut Admitted,
    client: &Client,
    is_trusted: impl FnOnce() -> bool,
    now: Now,
) -> Checked {
    checked_by(admitted, client, is_trusted, now, Settings::check).unwrap_or(Checked::Now(Ok(None)))
}

/// The same by a `check` of one's own; `None` where nobody is asked.
pub(super) fn checked_by<R>(
    admitted: &mut Admitted,
    client: &Client,
    is_trusted: impl FnOnce() -> bool,
    now: Now,
    check: impl FnOnce(&Settings, &Presented<'_>) -> R,
) -> Option<R> {
    let rules = &admitted.routed.rules;
    if rules.auth.is_none() && admitted.routed.mounted.told.is_empty() {
        return None;
    }
    let trusted = is_trusted();
    let (path, query) = (&*admitted.routed.path, admitted.uri.query());
    let (method, host, fields) = (&admitted.method, &*admitted.host, &admitted.fields);
    let scheme = admitted.scheme;
    let checked = (!is_preflight(admitted)).then(|| {
        let certificate = client.certificate.as_deref();
        check(&rules.auth, &Presented { method, scheme, host, path, query, fields, certificate, trusted, now })
    });
    drop_told(admitted, trusted);
    checked
}

/// The request goes on as its caller's, without what only served to find out who that is; or not at all.
pub(super) fn accept(admitted: &mut Admitted, found: Found) -> Result<(), Problem> {
    let routed = Arc::clone(&admitted.routed.rules);
    let refused = |refusal: Refusal| {
        let challenges = routed.auth.challenges(&refusal);
        refusal_of(admitted, Problem::denied(refusal.why, challenges))
    };
    let caller = found.map_err(refused)?;
    let hidden = admitted.uri.query().and_then(|query| without_parameters(query, &admitted.routed.mounted.parameters));
    if let Some(query) = hidden {
        admitted.uri = with_query(&admitted.uri, &query).ok_or_else(Problem::unsendable)?;
    }
    let Some(caller) = caller else { return Ok(()) };
    admitted.identity = Identity::of(&routed.key.share, &caller);
    admitted.shown = caller.named.then(|| Arc::clone(&caller.user));
    admitted.user = Some(caller.user);
    admitted.fields.extend(caller.told.iter().cloned());
    Ok(())
}

/// Drops what a client says of itself in the fields by which the origin is told who is calling, and what is written almost like them: no
/// proxy writes its word so, its client did, and an origin may read that instead.
fn drop_told(admitted: &mut Admitted, trusted: bool) {
    let told = &admitted.routed.mounted.told;
    let is_dropped = |name: &&HeaderName| {
        told.iter()
            .any(|(told, sender)| *name == told && (*sender == Sender::Nobody || !trusted) || is_twin(name, told))
    };
    let dropped: Vec<HeaderName> = admitted.fields.keys().filter(is_dropped).cloned().collect();
    remove_all(&mut admitted.fields, &dropped);
}

/// Whom a request counts for.
#[derive(Hash)]
pub(super) enum Counted<'a> {
    /// A caller with a name.
    Named(&'a str),
    /// Who has no name but that of his credentials could have as many as he likes: whoever comes from this network.
    Stranger(u128),
}

/// Counts a request for its caller, by name or else by address, and for its API.
pub(super) fn within_rate(
    admitted: &Admitted,
    peer: IpAddr,
    trusts: impl Fn(IpAddr) -> bool,
    now: Now,
) -> Result<(), Problem> {
    let take = |rate: &Limiter, caller: &Counted<'_>, own| match own {
        true => rate.count_own(caller, now.mono),
        false => rate.count(caller, now.mono),
    };
    rated(admitted, peer, trusts, take)
}

/// The same, where nothing is counted: whether it would be one too many.
pub(super) fn would_be_within_rate(
    admitted: &Admitted,
    peer: IpAddr,
    trusts: impl Fn(IpAddr) -> bool,
    now: Now,
) -> Result<(), Problem> {
    rated(admitted, peer, trusts, |rate, caller, own| rate.would(caller, own, now.mono))
}

/// `take` gets the limit, for whom it counts, and whether it counts for that one only.
fn rated(
    admitted: &Admitted,
    peer: IpAddr,
    trusts: impl Fn(IpAddr) -> bool,
    take: impl FnOnce(&Limiter, &Counted<'_>, bool) -> Result<(), Exceeded>,
) -> Result<(), Problem> {
    let Some(rate) = &admitted.routed.rules.rate else { return Ok(()) };
    let counted = match &admitted.shown {
        Some(user) => take(rate, &Counted::Named(user), false),
        None => {
            let address = address(&admitted.fields, peer, trusts).unwrap_or(peer);
            // A preflight comes from anybody: it is not to use up what those have who are let in.
            let let_in = admitted.routed.rules.auth.is_none() || admitted.user.is_some();
            take(rate, &Counted::Stranger(network(address)), !let_in)
        }
    };
    counted.map_err(|exceeded| refusal_of(admitted, Problem::too_many(exceeded)))
}

/// A refusal as this client gets it: readable for its page if the API says so, and not waiting for what it sends.
fn refusal_of(admitted: &Admitted, mut problem: Problem) -> Problem {
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
    admitted.method == Method::OPTIONS && !admitted.has_body && says(ORIGIN) && says(ACCESS_CONTROL_REQUEST_METHOD)
}

fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let target = if query.is_empty() { uri.path().to_owned() } else { format!("{}?{query}", uri.path()) };
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}
