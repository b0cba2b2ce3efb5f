//! Why an origin could not be asked, or didn't answer.

use crate::body::BodyError;
use std::fmt;
use std::time::Duration;

/// A question that got no answer.
#[derive(Debug)]
pub struct AskError {
    /// What went wrong.
    pub kind: AskErrorKind,
    /// Whether the origin may have seen the request. `false` is certain; `true` is not.
    pub sent: bool,
    /// Whether an endpoint may have seen another try of it before.
    pub doubtful: bool,
    /// After how long it makes sense to ask again, where that is known.
    pub wait: Option<Duration>,
    cause: Option<Cause>,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong while an origin was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskErrorKind {
    /// The name of the endpoint has no address.
    Resolve,
    /// No address of the endpoint took the connection.
    Connect,
    /// There was no connection within `timeouts.connect`.
    ConnectTimeout,
    /// The TLS handshake failed.
    Tls,
    /// No connection can be opened since the gateway has run out of descriptors, ports or memory.
    OutOfSockets,
    /// As many requests as there may be are under way (`limits.origin_requests`).
    TooMany,
    /// Every endpoint is out by its checks.
    NoEndpoint,
    /// The circuit breaker is open: most of what was asked lately has failed.
    BreakerOpen,
    /// As many requests as there may be wait for a place at the endpoint (`breaker.queue`).
    QueueFull,
    /// There was no place at the endpoint within `breaker.queue_time`.
    QueueTimeout,
    /// No head came within `timeouts.first_byte` of the request's end.
    FirstByteTimeout,
    /// No head came within `timeouts.total`.
    TotalTimeout,
    /// The origin closed or reset the connection before the head of its answer was complete.
    Closed,
    /// The head of the answer is malformed, too large, or names a transfer coding that we don't know.
    BadAnswer,
    /// The body of the request broke off.
    ClientBody(BodyError),
    /// The request can't be written as HTTP/1.1.
    Request,
    /// The task that asked is gone without a word.
    Lost,
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The client that sent the request.
    Client,
    /// The origin, or the way to it.
    Origin,
    /// The gateway.
    Ours,
}

impl AskErrorKind {
    /// The name that logs, metrics and fields use.
    pub fn name(self) -> &'static str {
        match self {
            AskErrorKind::Resolve => "origin-unresolved",
            AskErrorKind::Connect => "origin-unreachable",
            AskErrorKind::ConnectTimeout => "connect-timeout",
            AskErrorKind::Tls => "origin-tls",
            AskErrorKind::OutOfSockets => "out-of-sockets",
            AskErrorKind::TooMany => "too-many-origin-requests",
            AskErrorKind::NoEndpoint => "no-healthy-origin",
            AskErrorKind::BreakerOpen => "breaker-open",
            AskErrorKind::QueueFull => "origin-queue-full",
            AskErrorKind::QueueTimeout => "origin-queue-timeout",
            AskErrorKind::FirstByteTimeout => "first-byte-timeout",
            AskErrorKind::TotalTimeout => "total-timeout",
            AskErrorKind::Closed => "origin-closed",
            AskErrorKind::BadAnswer => "bad-answer",
            AskErrorKind::ClientBody(error) => error.name(),
            AskErrorKind::Request => "request-unsendable",
            AskErrorKind::Lost => "fill-lost",
        }
    }

    /// Whose fault it is.
    pub fn whose(self) -> Whose {
        match self {
            AskErrorKind::Resolve
            | AskErrorKind::Connect
            | AskErrorKind::ConnectTimeout
            | AskErrorKind::Tls
            | AskErrorKind::FirstByteTimeout
            | AskErrorKind::TotalTimeout
            | AskErrorKind::Closed
            | AskErrorKind::BadAnswer
            | AskErrorKind::NoEndpoint
            | AskErrorKind::BreakerOpen
            | AskErrorKind::QueueFull
            | AskErrorKind::QueueTimeout => Whose::Origin,
            AskErrorKind::ClientBody(_) => Whose::Client,
            AskErrorKind::OutOfSockets | AskErrorKind::TooMany | AskErrorKind::Request | AskErrorKind::Lost => {
                Whose::Ours
            }
        }
    }

    /// Whether nothing was asked, since there is no sense or no room in it just now.
    pub fn is_refusal(self) -> bool {
        matches!(
            self,
            AskErrorKind::OutOfSockets
                | AskErrorKind::TooMany
                | AskErrorKind::NoEndpoint
                | AskErrorKind::BreakerOpen
                | AskErrorKind::QueueFull
                | AskErrorKind::QueueTimeout
        )
    }

    /// Whether the origin was too slow, rather than broken.
    pub fn is_timeout(self) -> bool {
        matches!(self, AskErrorKind::ConnectTimeout | AskErrorKind::FirstByteTimeout | AskErrorKind::TotalTimeout)
    }
}

impl AskError {
    /// An error before anything was sent.
    pub(super) fn unsent(kind: AskErrorKind) -> Self {
        AskError { kind, sent: false, doubtful: false, wait: None, cause: None }
    }

    /// An error after the origin may have seen the request.
    pub(super) fn sent(kind: AskErrorKind) -> Self {
        AskError { kind, sent: true, doubtful: false, wait: None, cause: None }
    }

    /// Whoever asked is gone; the origin may have seen the request.
    pub fn lost() -> Self {
        AskError::sent(AskErrorKind::Lost)
    }

    /// `timeouts.total` was over while somebody else's answer was waited for.
    pub fn late() -> Self {
        AskError::sent(AskErrorKind::TotalTimeout)
    }

    /// The client's body broke off before anything was sent.
    pub fn of_client(error: BodyError) -> Self {
        AskError::unsent(AskErrorKind::ClientBody(error))
    }

    /// The same of a question that an endpoint may have seen in another try.
    pub(super) fn maybe_sent(self, sent: bool) -> Self {
        AskError { sent: self.sent || sent, doubtful: sent, ..self }
    }

    /// It makes sense to ask again after `wait`.
    pub(super) fn wait(self, wait: Duration) -> Self {
        AskError { wait: Some(wait), ..self }
    }

    pub(super) fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for AskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|c| &**c as &(dyn std::error::Error + 'static))
    }
}
