//! `[admin]`: who may look and who may change.

use crate::secret::Digest;
use crate::tls;
use std::net::SocketAddr;
use std::path::PathBuf;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read.
    Viewer,
    /// Purge, and change an API's ttl, grace and keep_on_error.
    Operator,
    /// Everything.
    Administrator,
}
