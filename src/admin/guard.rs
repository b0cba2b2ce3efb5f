//! Before anything else: who is calling, and may they?
//!
//! [`authenticate`] stands around every route that isn't public and around the answer to unknown paths, so that nobody
//! without a token learns what there is. [`at_least`] stands around each route's handlers and holds the role, where
//! the table of routes says it: a handler can't forget to ask.
//!
//! Who shows a token in `Authorization` can be no page from elsewhere: a browser adds that field to no request by itself. A page
//! that wants to add it must be allowed to, and a preflight is refused like every request without a token.
//!
//! Two things a browser shows by itself, to whatever page asks: the certificate of its owner, and the cookie of a session. Neither counts
//! for a request that another site's page has made ([`is_of_another_site`], [`is_from_elsewhere`]); the cookie is `SameSite=Strict`
//! beside that, so that it isn't even sent; and with it, what changes something must show a second value, which only a page of
//! this port can have read (`sessions`). A site is a host with all its ports. A page of another port of this host may therefore get the cookie sent, and
//! fails at what the browser says of it; a server there is shown it, which is why the data port takes it away and a name of its
//! own for this port is better.
//!
//! A page whose name was made to mean this address (DNS rebinding) needs no leave, and has no token; the cookie belongs to another
//! name, and so does the certificate of this port. So `Host` needn't be looked at. What needs no token (health, the panel's own
//! files, and metrics where they are public) changes nothing. To sign in is to show a token, and to be found wrong counts as it does elsewhere.

use super::lockout::Lockout;
use super::problem::Problem;
use super::sessions::{self, Sessions};
use super::settings::{Limits, Role, SessionTimes, Token};
use super::tokens::{self, Caller, Shown};
use crate::audit::{Act, Audit, Who};
use crate::clock::Clock;
use crate::reached::{Bound, Reached};
use crate::tls::Certificate;
use arc_swap::ArcSwap;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::MethodRouter;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The client's end of the connection; the server puts it into every request.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// What the client's certificate says of it, if it has shown one that counts.
    pub(super) certificate: Option<Arc<Certificate>>,
    /// Whether the connection is encrypted.
    pub(super) encrypted: bool,
}

impl Peer {
    /// Somebody of whom no more is known than where he is.
    pub(super) fn at(address: SocketAddr) -> Self {
        Peer { address, certificate: None, encrypted: false }
    }

    /// The name of a session's cookie. With the prefix no other port or host of the domain can set it (RFC 6265bis §4.1.3.2); browsers
    /// take that over TLS only.
    pub(super) fn cookie(&self) -> &'static str {
        if self.encrypted { "__Host-freshgate_session" } else { "freshgate_session" }
    }
}

/// The session that a request belongs to.
#[derive(Clone)]
pub(super) struct InSession {
    pub(super) id: String,
    /// What its calls must show beside the cookie.
    pub(super) second: String,
}

/// A session that has just begun.
pub(super) struct Begun {
    pub(super) caller: Caller,
    pub(super) session: InSession,
}

/// What shows that a call comes from a page that could read the session.
const SECOND: HeaderName = HeaderName::from_static("x-freshgate-csrf");
/// Sent with what a page asks by itself, which doesn't keep its session from being idle. Streams of events say it by what they ask for.
const UNATTENDED: HeaderName = HeaderName::from_static("x-freshgate-unattended");

/// The tokens, and who has been guessing, here or by PURGE on the data port.
#[derive(Debug)]
pub struct Guard {
    tokens: ArcSwap<Vec<Token>>,
    lockout: Lockout,
    sessions: Sessions,
    clock: Clock,
    reached: Arc<Reached>,
    audit: Arc<Audit>,
}

/// What is looked at of a request.
struct Head<'a> {
    method: &'a Method,
    fields: &'a HeaderMap,
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
        let (tokens, audit) = (ArcSwap::from_pointee(tokens.to_vec()), Arc::new(Audit::new(clock.clone())));
        Guard {
            tokens,
            lockout: Lockout::new(Limits::default().wrong_tokens),
            sessions: Sessions::default(),
            clock,
            reached,
            audit,
        }
    }

    /// Wrong tokens, and who signs in and out, are told there.
    pub fn audited(self, audit: Arc<Audit>) -> Guard {
        Guard { audit, ..self }
    }

    /// From now on these are the tokens. Whose token isn't among them as it was is signed out.
    pub fn change(&self, tokens: &[Token]) {
        self.tokens.store(Arc::new(tokens.to_vec()));
        self.sessions.keep(tokens);
    }

    /// From now on sessions last so long, also those that have begun.
    pub fn sessions_last(&self, times: &SessionTimes) {
        self.sessions.last(times);
    }

    /// From now on these count.
    pub fn limit(&self, limits: &Limits) {
        self.lockout.limit(limits.wrong_tokens);
        self.sessions.limit(limits);
    }

    /// Only a wrong token counts as a failure, and keeps tokens waiting: to show none is no guess, and neither a session's id nor a certificate can be
    /// guessed, so who has one isn't thrown out by somebody else behind the same address. Who shows no token is
    /// known by his session, and who has none by the certificate, if that is one of the file's; but not where another site's page has
    /// made the browser show it.
    fn caller(&self, head: &Head<'_>, peer: &Peer) -> Result<(Caller, Option<InSession>), Problem> {
        match tokens::shown(head.fields) {
            Shown::Nothing => {}
            Shown::Malformed => {
                return Err(Problem::unauthorized("there must be one Authorization field with one token"));
            }
            Shown::Token(secret) => {
                let address = peer.address.ip();
                self.listens_to(address).map_err(too_many_failures)?;
                let token = self.known(secret, address).ok_or_else(unknown)?;
                return Ok((Caller::of(&token), None));
            }
        }
        let id = cookie(head.fields, peer.cookie());
        if let Some(id) = id
            && let Some(caller) = self.in_session(id, head, peer)?
        {
            return Ok((caller, Some(InSession { id: id.to_owned(), second: sessions::second(id) })));
        }
        if is_of_another_site(head.fields) {
            let detail = "a certificate doesn't count for a request that another site's page has made";
            return Err(Problem::unauthorized(detail));
        }
        let shown = peer.certificate.as_ref().filter(|shown| shown.counts(self.clock.now()));
        let certified = shown.and_then(|shown| tokens::certified(&self.tokens.load(), shown));
        certified.map(|caller| (caller, None)).ok_or_else(|| {
            Problem::unauthorized(match id {
                Some(_) => "the session is over; sign in again, or send a token",
                None => "send `Authorization: Bearer <token>`",
            })
        })
    }

    /// Whose session this is; `None` when it is nobody's any more.
    fn in_session(&self, id: &str, head: &Head<'_>, peer: &Peer) -> Result<Option<Caller>, Problem> {
        if is_from_elsewhere(head.fields, peer) {
            return Err(Problem::unauthorized(
                "a session doesn't count for a request that another site's page has made",
            ));
        }
        let streams = head.fields.get(header::ACCEPT).is_some_and(|kinds| kinds == "text/event-stream");
        let attended = !streams && !head.fields.contains_key(UNATTENDED);
        let Some(token) = self.sessions.token(id, self.clock.now(), attended) else { return Ok(None) };
        if !self.tokens.load().contains(&token) {
            self.sessions.end(id);
            return Ok(None);
        }
        let shown = head.fields.get(SECOND).map_or(&b""[..], |value| value.as_bytes());
        let safe = matches!(*head.method, Method::GET | Method::HEAD);
        if safe || bool::from(sessions::second(id).as_bytes().ct_eq(shown)) {
            return Ok(Some(Caller::of(&token)));
        }
        let detail = "with a session, this call needs X-Freshgate-CSRF with the `csrf` that GET /session tells";
        Err(Problem::new(StatusCode::FORBIDDEN, "csrf", "The call isn't from the panel", detail))
    }

    /// 403 for what another site's page has made its reader's browser ask.
    pub(super) fn must_be_at_home(&self, fields: &HeaderMap, peer: &Peer) -> Result<(), Problem> {
        if !is_from_elsewhere(fields, peer) {
            return Ok(());
        }
        let detail = "nobody is signed in by another site's page";
        Err(Problem::new(StatusCode::FORBIDDEN, "another-site", "The call is another site's", detail))
    }

    /// Begins a session for the token with this secret.
    pub(super) fn sign_in(&self, secret: &[u8], peer: &Peer) -> Result<Begun, Problem> {
        let address = peer.address.ip();
        self.listens_to(address).map_err(too_many_failures)?;
        let token = self.known(secret, address).ok_or_else(unknown)?;
        let id = self.sessions.begin(&token, self.clock.now()).ok_or_else(|| {
            let detail = "the system has no random bytes; try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-session", "No session can begin", detail)
        })?;
        let second = sessions::second(&id);
        Ok(Begun { caller: Caller::of(&token), session: InSession { id, second } })
    }

    /// Ends a session.
    pub(super) fn sign_out(&self, id: &str) {
        self.sessions.end(id);
    }

    /// Who shows `secret` at `address`, if that is a token that may purge. The data port asks too (`purge_method`), and
    /// mustn't be the place where tokens can be guessed at leisure.
    ///
    /// # Errors
    /// Seconds until that address is listened to again.
    pub fn may_purge(&self, secret: &[u8], address: IpAddr) -> Result<Option<Who>, u64> {
        self.listens_to(address)?;
        let token = self.known(secret, address).filter(|token| token.role >= Role::Operator);
        Ok(token.map(|token| Caller::of(&token).at(address)))
    }

    /// The name and the role of the token that these fields show.
    ///
    /// # Errors
    /// Why nobody is known by them.
    pub fn whose(&self, fields: &HeaderMap, address: IpAddr) -> Result<(String, Role), Unheard> {
        self.listens_to(address).map_err(Unheard::Locked)?;
        let token = match tokens::shown(fields) {
            Shown::Nothing => return Err(Unheard::Missing),
            Shown::Malformed => return Err(Unheard::Malformed),
            Shown::Token(secret) => self.known(secret, address).ok_or(Unheard::Unknown)?,
        };
        Ok((token.name, token.role))
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

    fn known(&self, secret: &[u8], address: IpAddr) -> Option<Token> {
        let token = tokens::check(&self.tokens.load(), secret).cloned();
        if token.is_none() {
            self.lockout.failed(address, self.clock.now());
            self.audit.record(&Who::Stranger(address), Act::WrongToken);
        }
        token
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

/// Whether another origin's page has made this request, where the browser knows who asks for a cookie. It tells that only to pages that
/// came safely (HTTPS, or from the same machine); of others the `Origin` that it sends with what changes something must be this port's own.
fn is_from_elsewhere(fields: &HeaderMap, peer: &Peer) -> bool {
    if fields.contains_key("sec-fetch-site") {
        return is_of_another_site(fields);
    }
    let Some(origin) = fields.get(header::ORIGIN) else { return false };
    let scheme: &[u8] = if peer.encrypted { b"https://" } else { b"http://" };
    let host = fields.get(header::HOST).map(|host| host.as_bytes());
    origin.as_bytes().strip_prefix(scheme) != host || host.is_none()
}

/// The value of the only cookie of this name. Of two, one is not ours, and nobody knows which.
fn cookie<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // Byte by byte: another port of this host may have set a cookie that isn't ASCII, which must not hide ours.
    let pairs = fields.get_all(header::COOKIE).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    let value = |pair: &'a [u8]| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=");
    let mut own = pairs.filter_map(value);
    own.next().filter(|_| own.next().is_none()).and_then(|value| std::str::from_utf8(value).ok())
}

fn unknown() -> Problem {
    Problem::unauthorized("the token is not one of this gateway's")
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
    let head = Head { method: request.method(), fields: request.headers() };
    let (caller, session) = guard.caller(&head, &peer)?;
    request.extensions_mut().insert(caller);
    if let Some(session) = session {
        request.extensions_mut().insert(session);
    }
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
        Who::Token { name: self.name.clone(), role: self.role.name(), peer: peer.to_string() }
    }

    /// 403 for a role below `role`.
    pub(super) fn needs(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let detail =
            format!("this needs the role {}; the token `{}` is a {}", role.name(), self.name, self.role.name());
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "The token's role is too low", detail)
            .member("needs", role.name().into()))
    }
}
