//! Why a gateway can't start, or a configuration can't be taken over.

use std::fmt;
use std::net::SocketAddr;

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
}

impl StartError {
    /// The key of the configuration that can't be followed.
    pub fn key(&self) -> &'static str {
        match self {
            StartError::Address { key, .. } | StartError::Certificate { key, .. } => key,
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
        }
    }
}

impl std::error::Error for StartError {}
