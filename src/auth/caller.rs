//! Callers, and requests as far as they are asked for them.

use crate::clock::Now;
use crate::tls::Certificate;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// One who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name; where nobody has told one, a text that only the same credentials make.
    pub user: Arc<str>,
    /// Whether somebody has told it, so that it may be shown.
    pub named: bool,
    /// What it may do: part of its partition, so that the same user with fewer rights never gets the richer answer.
    pub rights: Arc<[String]>,
    /// What its token says, if it has shown one.
    pub claims: Option<Arc<Map<String, Value>>>,
    /// The fields that were looked at and say nothing else.
    pub consumed: Arc<[HeaderName]>,
    /// Fields that the origin gets in the place of whatever the client said under these names.
    pub told: Arc<[(HeaderName, HeaderValue)]>,
}

/// Who is calling, `None` where nobody is asked; or why the request goes no further.
pub type Found = Result<Option<Caller>, Refusal>;

/// An answer that has to be waited for.
pub type Awaited = Pin<Box<dyn Future<Output = Found> + Send>>;

/// How far a check has come.
pub enum Checked {
    /// It is known.
    Now(Found),
    /// Somebody else has to be asked. It borrows nothing, and ends within a bounded time.
    Later(Awaited),
}

impl Checked {
    /// The outcome of a check that asks nobody.
    pub(super) fn of(found: Result<Caller, Denied>) -> Checked {
        Checked::Now(found.map(Some).map_err(Refusal::from))
    }
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Checked::Now(found) => found.fmt(f),
            Checked::Later(_) => f.write_str("Later"),
        }
    }
}

/// Why a request goes no further, and what its client is to show instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub why: Denied,
    /// What somebody else who was asked says in `WWW-Authenticate`; where it is empty the kind of check has a word of its own.
    pub challenges: Vec<HeaderValue>,
}

impl From<Denied> for Refusal {
    fn from(why: Denied) -> Refusal {
        Refusal { why, challenges: Vec::new() }
    }
}

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It says nothing about who is calling.
    Missing,
    /// It says so twice, or in a way that can't be read.
    Malformed,
    /// The token lacks a claim that is needed, or has one that can't be read.
    Incomplete,
    /// Nobody is known by that.
    Unknown,
    /// The token's time is over, or the certificate's, or its authority counts no more.
    Expired,
    /// The token's time hasn't come.
    NotYet,
    /// The token is somebody else's.
    Issuer,
    /// The token is for somebody else.
    Audience,
    /// The caller is known and mayn't.
    Scope,
    /// Who was asked about it says 401, or sends it to a login page.
    Refused,
    /// Who was asked about it says 403.
    Forbidden,
    /// The issuer's keys were never fetched.
    NoKeys,
    /// Who was to be asked about it gave no answer.
    NoAnswer,
}

impl Denied {
    /// All of them.
    pub const ALL: [Denied; 13] = [
        Denied::Missing,
        Denied::Malformed,
        Denied::Incomplete,
        Denied::Unknown,
        Denied::Expired,
        Denied::NotYet,
        Denied::Issuer,
        Denied::Audience,
        Denied::Scope,
        Denied::Refused,
        Denied::Forbidden,
        Denied::NoKeys,
        Denied::NoAnswer,
    ];

    /// A stable name for logs, metrics and `Cache-Status`.
    pub fn name(self) -> &'static str {
        match self {
            Denied::Missing => "credentials-missing",
            Denied::Malformed => "credentials-malformed",
            Denied::Incomplete => "token-incomplete",
            Denied::Unknown => "credentials-unknown",
            Denied::Expired => "token-expired",
            Denied::NotYet => "token-not-yet-valid",
            Denied::Issuer => "token-issuer",
            Denied::Audience => "token-audience",
            Denied::Scope => "scope-missing",
            Denied::Refused => "judge-refuses",
            Denied::Forbidden => "judge-forbids",
            Denied::NoKeys => "issuer-unavailable",
            Denied::NoAnswer => "judge-unavailable",
        }
    }
}

/// A request as far as checks look at it.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The scheme by which its client asks.
    pub scheme: &'static str,
    /// Its Host, canonical.
    pub host: &'a str,
    /// Its path, canonical.
    pub path: &'a str,
    /// Its query, as written.
    pub query: Option<&'a str>,
    /// Its fields.
    pub fields: &'a HeaderMap,
    /// What its client's certificate says, if one was asked for and shown.
    pub certificate: Option<&'a Certificate>,
    /// Whether it came from a trusted proxy.
    pub trusted: bool,
    /// When it came.
    pub now: Now,
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

/// Whether somewhere in it is a number that another one may be read as.
pub(crate) fn has_large_number(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(list) => list.iter().any(has_large_number),
        Value::Object(members) => members.values().any(has_large_number),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
impl<'a> Presented<'a> {
    /// A GET of `/`.
    pub(super) fn get(fields: &'a HeaderMap, query: Option<&'a str>) -> Self {
        let (method, scheme, now) = (&Method::GET, "http", Now::default());
        Presented { method, scheme, host: "h", path: "/", query, fields, certificate: None, trusted: false, now }
    }
}
