//! `[admin]`: who may look and who may change.

use crate::secret::Digest;
use crate::tls;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use utoipa::ToSchema;

/// The checked form of `[admin]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `listen`: `None` without an `[admin]` section; then there is no admin API.
    pub listen: Option<SocketAddr>,
    /// `tls`: `None` is plain HTTP.
    pub tls: Option<tls::Settings>,
    /// `probe_listen`: health and metrics only, no token.
    pub probe_listen: Option<SocketAddr>,
    /// `metrics_public`: `/metrics` on the admin port needs no token. Default false.
    pub metrics_public: bool,
    /// `audit_file`: each act is a line of it. `None` is the log alone.
    pub audit_file: Option<PathBuf>,
    /// `[[admin.tokens]]`.
    pub tokens: Vec<Token>,
    /// `session_idle` and `session_lifetime`.
    pub sessions: SessionTimes,
    /// `[admin.limits]`.
    pub limits: Limits,
}

/// The checked form of `[admin.limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `connections`: open at once on `listen`, and as many on `probe_listen`; the next ones wait in the system's queue. Default 64.
    pub connections: usize,
    /// `sessions`: open at once; then the one that was used longest ago goes. Default 1000.
    pub sessions: usize,
    /// `sessions_per_token`: and so many of one token, so that nobody signs out everybody else. Default 50.
    pub sessions_per_token: usize,
    /// `wrong_tokens`: in one minute, before every token from their address has to wait for its end. Default 20.
    pub wrong_tokens: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 64, sessions: 1_000, sessions_per_token: 50, wrong_tokens: 20 }
    }
}

/// How long one who has signed in with a browser stays signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTimes {
    /// `session_idle`: without using it. Default 30 min.
    pub idle: Duration,
    /// `session_lifetime`: however much it is used. Default 12 h.
    pub lifetime: Duration,
}

impl Default for SessionTimes {
    fn default() -> Self {
        SessionTimes { idle: Duration::from_secs(30 * 60), lifetime: Duration::from_secs(12 * 3_600) }
    }
}

/// One `[[admin.tokens]]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// `name`, for the audit.
    pub name: String,
    /// `role`.
    pub role: Role,
    /// What its bearer shows.
    pub proof: Proof,
}

/// How somebody shows that a token is theirs.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// By a secret with this SHA-256.
    Secret(Digest),
    /// `certificate`: by a client certificate with this common name.
    Certificate(String),
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}, {:?})", self.name, self.role)
    }
}

/// What a token may do; each role may also do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read.
    Viewer,
    /// Purge, and change an API's ttl, grace and keep_on_error.
    Operator,
    /// Everything.
    Administrator,
}

impl Role {
    /// As the file has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Administrator => "administrator",
        }
    }
}
