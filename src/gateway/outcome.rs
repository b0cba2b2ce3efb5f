//! What became of a request: the answer, or the wait for it, and the one value that log, metrics and `Cache-Status` are
//! made from.

use crate::body::Body;
use http::Response;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// An answer, and what log and metrics are told of it.
pub type Answered = (Response<Body>, Outcome);

/// How far a request has come.
pub enum Step<'a> {
    /// It is answered.
    Now(Answered),
    /// It has to wait for an origin. Boxed, since hyper moves the future of each request about, and a hit shouldn't pay
    /// for the size of a miss. Whose it is is known before it is answered, for the log of one that never is.
    Later(Pin<Box<dyn Future<Output = Answered> + Send + 'a>>, Whose),
}

/// Whose a request is.
#[derive(Clone, Debug, Default)]
pub struct Whose {
    /// `name/version` of the API.
    pub api: Option<Arc<str>>,
    /// The name of the authenticated caller.
    pub user: Option<Arc<str>>,
}

impl<'a> Step<'a> {
    /// Has to wait.
    pub(super) fn later(rest: impl Future<Output = Answered> + Send + 'a) -> Step<'a> {
        Step::Later(Box::pin(rest), Whose::default())
    }

    /// The same, told whose request it is.
    pub(super) fn of(self, whose: Whose) -> Step<'a> {
        match self {
            Step::Now((response, outcome)) => Step::Now((response, outcome.of(whose.user))),
            Step::Later(rest, _) => Step::Later(rest, whose),
        }
    }

    /// Waits for it.
    pub(super) async fn answered(self) -> Answered {
        match self {
            Step::Now(answered) => answered,
            Step::Later(rest, whose) => {
                let (response, outcome) = rest.await;
                (response, outcome.of(whose.user))
            }
        }
    }
}

/// The reason of a request that has purged.
pub const BY_PURGE: &str = "purge";

/// The verdict of each step that had a say.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// `name/version` of the API; `None` when the request never reached one.
    pub api: Option<Arc<str>>,
    /// The name of the authenticated caller, as the check or the judge has told it.
    pub user: Option<Arc<str>>,
    /// What happened.
    pub kind: Kind,
    /// The named reason behind it (`not-stored` reasons, refusals, why the cache was passed by), as in `Cache-Status: …; detail=`.
    pub reason: Option<&'static str>,
    /// Milliseconds from asking the origin to the head of its answer; `None` when it wasn't asked.
    pub origin_ms: Option<u64>,
    /// Whether the answer was kept.
    pub stored: bool,
    /// Whether a write (or a purge on the data port) invalidated scopes.
    pub invalidated: bool,
}

impl Outcome {
    /// The same of this caller, if one is named.
    pub fn of(self, user: Option<Arc<str>>) -> Self {
        Outcome { user: user.or(self.user), ..self }
    }
}

/// What happened to a request, one word each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Answered from a fresh stored response.
    Hit,
    /// Answered from a stale one (`grace`, `keep_on_error`, max-stale).
    Stale,
    /// The origin confirmed a stored response (304).
    Revalidated,
    /// The origin was asked.
    Miss,
    /// Shared the answer of somebody else's fill.
    Joined,
    /// Passed by the cache.
    Pass,
    /// An unsafe method.
    Write,
    /// Tunnelled after a 101.
    Tunnel,
    /// Refused before any cache or origin work.
    #[default]
    Refused,
    /// The origin could not be asked or didn't answer.
    Failed,
}

impl Kind {
    /// Every kind, in the order of the declaration.
    pub const ALL: [Kind; 10] = [
        Kind::Hit,
        Kind::Stale,
        Kind::Revalidated,
        Kind::Miss,
        Kind::Joined,
        Kind::Pass,
        Kind::Write,
        Kind::Tunnel,
        Kind::Refused,
        Kind::Failed,
    ];

    /// The word that log and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Hit => "hit",
            Kind::Stale => "stale",
            Kind::Revalidated => "revalidated",
            Kind::Miss => "miss",
            Kind::Joined => "joined",
            Kind::Pass => "pass",
            Kind::Write => "write",
            Kind::Tunnel => "tunnel",
            Kind::Refused => "refused",
            Kind::Failed => "failed",
        }
    }
}
