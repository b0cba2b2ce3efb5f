//! Who is calling? Asked of every request before the cache is looked at, hits included.
//!
//! A check sees the request's fields and its query, and knows nothing of the cache or the origin. What it consumes, the credential that it
//! has looked at, no longer makes a partition of its own: the caller's name and rights do.

mod api_key;
mod settings;
mod trusted;

pub use api_key::{ApiKey, Key, Place};
pub use settings::Settings;
pub use trusted::TrustedHeader;

use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// One who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name.
    pub user: Arc<str>,
    /// What it may do: part of its partition, so that the same user with fewer rights never gets the richer answer.
    pub scopes: Arc<[String]>,
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
}

impl Settings {
    /// Whether anybody is asked who he is.
    pub fn is_none(&self) -> bool {
        matches!(self, Settings::None)
    }

    /// Who is calling; `Ok(None)` where nobody is asked.
    ///
    /// # Errors
    /// Why the request goes no further.
    pub fn check(&self, request: &Presented<'_>) -> Result<Option<Caller>, Denied> {
        match self {
            Settings::None => Ok(None),
            Settings::ApiKey(keys) => keys.check(request).map(Some),
            Settings::TrustedHeader(header) => header.check(request).map(Some),
        }
    }

    /// How one may say who he is, for `WWW-Authenticate` (RFC 9110 §11.6.1).
    pub fn challenge(&self) -> HeaderValue {
        match self {
            Settings::None => HeaderValue::from_static("None"),
            Settings::ApiKey(_) => HeaderValue::from_static("ApiKey"),
            Settings::TrustedHeader(_) => HeaderValue::from_static("TrustedHeader"),
        }
    }

    /// The field that only a trusted peer may send, if it is one of those. It is dropped from everybody else's requests.
    pub fn trusted_field(&self) -> Option<&HeaderName> {
        match self {
            Settings::TrustedHeader(trusted) => Some(&trusted.header),
            Settings::None | Settings::ApiKey(_) => None,
        }
    }

    /// The query without what is a credential: that is no part of what is looked up, and not for the origin. `None` where nothing
    /// has to go.
    pub fn without_credential(&self, query: &str) -> Option<String> {
        let Settings::ApiKey(keys) = self else { return None };
        let Place::Query(name) = &keys.place else { return None };
        let kept: Vec<&str> = query.split('&').filter(|pair| !api_key::is_parameter(pair, name)).collect();
        Some(kept.join("&"))
    }
}

/// The one value of a field.
fn one_value<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Result<&'a [u8], Denied> {
    let mut lines = fields.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Err(Denied::Missing),
        (Some(value), None) => Ok(value.as_bytes().trim_ascii()),
        (Some(_), Some(_)) => Err(Denied::Malformed),
    }
}

/// Whether a caller has all that is required.
fn has_all(scopes: &[String], required: &[String]) -> Result<(), Denied> {
    if required.iter().all(|scope| scopes.contains(scope)) { Ok(()) } else { Err(Denied::Scope) }
}
