//! Callers, and requests as far as they are asked for them.

use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};
use std::sync::Arc;

/// One who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name.
    pub user: Arc<str>,
    /// What it may do: part of its partition, so that the same user with fewer rights never gets the richer answer.
    pub rights: Arc<[String]>,
    /// What its token says, if it has shown one.
    pub claims: Option<Arc<Map<String, Value>>>,
    /// The field that was looked at, if it was one.
    pub consumed: Option<HeaderName>,
}

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It says nothing about who is calling.
    Missing,
    /// It says so twice, or in a way that can't be read.
    Malformed,
    /// Nobody is known by that.
    Unknown,
    /// The token's time is over.
    Expired,
    /// The token's time hasn't come.
    NotYet,
    /// The token is somebody else's.
    Issuer,
    /// The token is for somebody else.
    Audience,
    /// The caller is known and mayn't.
    Scope,
}

impl Denied {
    /// A stable name for logs, metrics and `Cache-Status`.
    pub fn name(self) -> &'static str {
        match self {
            Denied::Missing => "credentials-missing",
            Denied::Malformed => "credentials-malformed",
            Denied::Unknown => "credentials-unknown",
            Denied::Expired => "token-expired",
            Denied::NotYet => "token-not-yet-valid",
            Denied::Issuer => "token-issuer",
            Denied::Audience => "token-audience",
            Denied::Scope => "scope-missing",
        }
    }
}

/// A request as far as checks look at it.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// Its fields.
    pub fields: &'a HeaderMap,
    /// Its query, as written.
    pub query: Option<&'a str>,
    /// Whether it came from a trusted proxy.
    pub trusted: bool,
    /// Milliseconds since 1970.
    pub unix: u64,
}

/// The one value of a field.
pub(super) fn one_value<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Result<&'a [u8], Denied> {
    let mut lines = fields.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Err(Denied::Missing),
        (Some(value), None) => Ok(value.as_bytes().trim_ascii()),
        (Some(_), Some(_)) => Err(Denied::Malformed),
    }
}

/// Whether a caller has all that is required.
pub(super) fn has_all(scopes: &[String], required: &[String]) -> Result<(), Denied> {
    if required.iter().all(|scope| scopes.contains(scope)) { Ok(()) } else { Err(Denied::Scope) }
}
