//! Before anything else: who is calling, and may they?
//!
//! [`authenticate`] stands around every route that isn't public and around the answer to unknown paths, so that nobody
//! without a token learns what there is. [`at_least`] stands around each route's handlers and holds the role, where
//! the table of routes says it: a handler can't forget to ask.

use super::lockout::Lockout;
use super::problem::Problem;
use super::settings::{Role, Token};
use super::tokens::{self, Caller, Shown};
use crate::clock::Clock;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::MethodRouter;
use std::net::SocketAddr;
use std::sync::Arc;

/// The client's end of the connection; the server puts it into every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The tokens, and who has been guessing.
#[derive(Debug)]
pub(super) struct Guard {
    tokens: Vec<Token>,
    lockout: Lockout,
    clock: Clock,
}

impl Guard {
    pub(super) fn new(tokens: &[Token], clock: Clock) -> Guard {
        Guard { tokens: tokens.to_vec(), lockout: Lockout::default(), clock }
    }

    /// Only a wrong token counts as a failure: to show none is no guess.
    fn caller(&self, headers: &HeaderMap, peer: SocketAddr) -> Result<Caller, Problem> {
        let now = self.clock.now();
        if let Some(seconds) = self.lockout.locked(peer.ip(), now) {
            return Err(too_many_failures(seconds));
        }
        match tokens::shown(headers) {
            Shown::Nothing => Err(Problem::unauthorized("send `Authorization: Bearer <token>`")),
            Shown::Malformed => Err(Problem::unauthorized("there must be one Authorization field with one token")),
            Shown::Token(secret) => tokens::check(&self.tokens, secret).ok_or_else(|| {
                self.lockout.failed(peer.ip(), now);
                tracing::warn!(target: "audit", %peer, "wrong token");
                Problem::unauthorized("the token is not one of this gateway's")
            }),
        }
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
    Extension(Peer(peer)): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = guard.caller(request.headers(), peer)?;
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
