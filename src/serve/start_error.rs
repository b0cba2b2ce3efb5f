//! Why a gateway can't start, or a configuration can't be taken over. All of it is for its operator to mend.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the gateway can't start.
#[derive(Debug)]
pub enum StartError {
    /// An address can't be bound.
    Address {
        /// The key of the configuration that names it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: std::io::Error,
    },
    /// A certificate can't be used.
    Certificate {
        /// The key of the configuration.
        key: &'static str,
        /// Which file, and why.
        reason: String,
    },
    /// The file of the audit can't be written.
    Audit {
        /// `admin.audit_file`.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// We were given a socket that isn't named in the configuration.
    Unwanted(SocketAddr),
    /// What we were given isn't a socket that listens.
    Given(std::io::Error),
    /// The process that runs doesn't hand over, or its socket can't be ours.
    Handover {
        /// `server.handover`.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl StartError {
    /// The key of the configuration that can't be followed.
    pub fn key(&self) -> &'static str {
        match self {
            StartError::Address { key, .. } | StartError::Certificate { key, .. } => key,
            StartError::Unwanted(_) | StartError::Given(_) => "server.listen",
            StartError::Audit { .. } => "admin.audit_file",
            StartError::Handover { .. } => "server.handover",
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Address { key, address, cause } => {
                write!(f, "{key} = \"{address}\": can't listen there: {cause}")
            }
            StartError::Certificate { key, reason } => write!(f, "{key}: {reason}"),
            StartError::Unwanted(address) => write!(
                f,
                "the service manager has given us a socket on {address} (LISTEN_FDS), which is none of server.listen, \
                 admin.listen, admin.probe_listen; name that very address there"
            ),
            StartError::Given(cause) => {
                write!(f, "the service manager has given us what is no listening socket: {cause}")
            }
            StartError::Audit { path, cause } => write!(f, "admin.audit_file = {path:?}: can't be written: {cause}"),
            StartError::Handover { path, reason } => write!(f, "server.handover = {path:?}: {reason}"),
        }
    }
}

impl std::error::Error for StartError {}
