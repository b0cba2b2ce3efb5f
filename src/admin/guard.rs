//! Before anything else: who is calling, and may they?
//!
//! [`authenticate`] stands around every route that isn't public and around the answer to unknown paths, so that nobody
//! without a token learns what there is. [`at_least`] stands around each route's handlers and holds the role, where
//! the table of routes says it: a handler can't forget to ask.
//!
//! A token is taken from `Authorization` and from nowhere else, which is why pages from elsewhere can do nothing here. A browser
//! adds that field to no request by itself, as it would a cookie; a page that wants to add it must be allowed to, and a preflight is
//! refused like every request without a token. A page whose name was made to mean this address (DNS rebinding) needs no leave, and
//! has no token either; so `Host` needn't be looked at. A certificate is shown by the browser itself, to whatever page asks: there it
//! is looked at who has asked (`is_of_another_site`), and a borrowed name fails since the certificate of this port isn't for it. What needs neither
//! (health, and metrics where they are public) changes nothing.

use super::lockout::Lockout;
use super::problem::Problem;
use super::settings::{Role, Token};
use super::tokens::{self, Caller, Shown};
use crate::audit::{Act, Audit, Who};
use crate::clock::Clock;
use crate::reached::{Bound, Reached};
use crate::tls::Certificate;
use arc_swap::ArcSwap;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::MethodRouter;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The client's end of the connection; the server puts it into every request.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// What the client's certificate says of it, if it has shown one that counts.
    pub(super) certificate: Option<Arc<Certificate>>,
}

impl Peer {
    /// Somebody of whom no more is known than where he is.
    pub(super) fn at(address: SocketAddr) -> Self {
        Peer { address, certificate: None }
    }
}

/// The tokens, and who has been guessing, here or by PURGE on the data port.
#[derive(Debug)]
pub struct Guard {
    tokens: ArcSwap<Vec<Token>>,
    lockout: Lockout,
    clock: Clock,
    reached: Arc<Reached>,
    audit: Arc<Audit>,
}

/// Why nobody is known by what a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// Too many wrong tokens came from there; for how many seconds nobody is listened to.
    Locked(u64),
    /// There is no token.
    Missing,
    /// There are several, or what is there is none.
    Malformed,
    /// It is nobody's.
    Unknown,
}

impl Guard {
    /// Nobody has guessed yet. Who has to wait is counted in `reached`.
    pub fn new(tokens: &[Token], clock: Clock, reached: Arc<Reached>) -> Guard {
        let audit = Arc::new(Audit::new(clock.clone()));
        Guard { tokens: ArcSwap::from_pointee(tokens.to_vec()), lockout: Lockout::default(), clock, reached, audit }
    }

    /// Wrong tokens are told there.
    pub fn audited(self, audit: Arc<Audit>) -> Guard {
        Guard { audit, ..self }
    }

    /// From now on these are the tokens.
    pub fn change(&self, tokens: &[Token]) {
        self.tokens.store(Arc::new(tokens.to_vec()));
    }

    /// Only a wrong token counts as a failure: to show none is no guess. Who shows none is known by the certificate, if that is
    /// one of the file's; but not where another site's page has made the browser show it.
    fn caller(&self, headers: &HeaderMap, peer: &Peer) -> Result<Caller, Problem> {
        let address = peer.address.ip();
        self.listens_to(address).map_err(too_many_failures)?;
        let shown = peer.certificate.as_ref().filter(|shown| shown.counts(self.clock.now()));
        let certified = || shown.and_then(|shown| tokens::certified(&self.tokens.load(), shown));
        match tokens::shown(headers) {
            Shown::Nothing if is_of_another_site(headers) => Err(Problem::unauthorized(
                "a certificate doesn't count for a request that another site's page has made",
            )),
            Shown::Nothing => certified().ok_or_else(|| Problem::unauthorized("send `Authorization: Bearer <token>`")),
            Shown::Malformed => Err(Problem::unauthorized("there must be one Authorization field with one token")),
            Shown::Token(secret) => self
                .known(secret, address)
                .ok_or_else(|| Problem::unauthorized("the token is not one of this gateway's")),
        }
    }

    /// Who shows `secret` at `address`, if that is a token that may purge. The data port asks too (`purge_method`), and
    /// mustn't be the place where tokens can be guessed at leisure.
    ///
    /// # Errors
    /// Seconds until that address is listened to again.
    pub fn may_purge(&self, secret: &[u8], address: IpAddr) -> Result<Option<Who>, u64> {
        self.listens_to(address)?;
        let caller = self.known(secret, address).filter(|caller| caller.role >= Role::Operator);
        Ok(caller.map(|caller| caller.at(address)))
    }

    /// The name and the role of the token that these fields show.
    ///
    /// # Errors
    /// Why nobody is known by them.
    pub fn whose(&self, fields: &HeaderMap, address: IpAddr) -> Result<(String, Role), Unheard> {
        self.listens_to(address).map_err(Unheard::Locked)?;
        let caller = match tokens::shown(fields) {
            Shown::Nothing => return Err(Unheard::Missing),
            Shown::Malformed => return Err(Unheard::Malformed),
            Shown::Token(secret) => self.known(secret, address).ok_or(Unheard::Unknown)?,
        };
        Ok((caller.name, caller.role))
    }

    fn listens_to(&self, address: IpAddr) -> Result<(), u64> {
        match self.lockout.locked(address, self.clock.now()) {
            Some(seconds) => {
                self.reached.note(Bound::AdminFailures);
                Err(seconds)
            }
            None => Ok(()),
        }
    }

    fn known(&self, secret: &[u8], address: IpAddr) -> Option<Caller> {
        let caller = tokens::check(&self.tokens.load(), secret);
        if caller.is_none() {
            self.lockout.failed(address, self.clock.now());
            self.audit.record(&Who::Stranger(address), Act::WrongToken);
        }
        caller
    }
}

/// Whether a page that isn't ours has made this request. Browsers show a certificate to whoever asks for it, as they do with cookies, and
/// say who has asked (Fetch Metadata; RFC 6454 §7.3 where they are older).
pub fn is_of_another_site(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => !matches!(site.as_bytes(), b"same-origin" | b"none"),
        None => headers.contains_key(header::ORIGIN),
    }
}

fn too_many_failures(seconds: u64) -> Problem {
    let detail = format!("too many wrong tokens came from this address; try again in {seconds} s");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", "Too many wrong tokens", detail)
        .field(header::RETRY_AFTER, seconds)
}

/// Lets a request on with its [`Caller`], or answers 401 or 429.
pub(super) async fn authenticate(
    State(guard): State<Arc<Guard>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = guard.caller(request.headers(), &peer)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// `handlers`, for callers of `role` and above.
pub(super) fn at_least<S>(role: Role, handlers: MethodRouter<S>) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    handlers.route_layer(middleware::from_fn(
        move |Extension(caller): Extension<Caller>, request: Request, next: Next| async move {
            caller.needs(role)?;
            Ok::<Response, Problem>(next.run(request).await)
        },
    ))
}

impl Caller {
    /// The same for the audit; `peer` is where he is.
    pub(super) fn at(&self, peer: impl ToString) -> Who {
        Who::Token { name: self.name.clone(), role: name(self.role), peer: peer.to_string() }
    }

    /// 403 for a role below `role`.
    pub(super) fn needs(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let detail = format!("this needs the role {}; the token `{}` is a {}", name(role), self.name, name(self.role));
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "The token's role is too low", detail)
            .member("needs", name(role).into()))
    }
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Administrator => "administrator",
    }
}
