//! `[api.auth]`.

use super::api_key::{ApiKey, Place, is_parameter};
use super::caller::{Caller, Denied, Presented};
use super::jwt::Jwt;
use super::trusted::TrustedHeader;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

/// How callers are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Settings {
    /// Nobody is asked.
    #[default]
    None,
    /// By a secret that each caller has.
    ApiKey(Arc<ApiKey>),
    /// By a token that an issuer has signed.
    Jwt(Arc<Jwt>),
    /// By a field that a proxy in front has set.
    TrustedHeader(Arc<TrustedHeader>),
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
            Settings::Jwt(jwt) => jwt.check(request).map(Some),
            Settings::TrustedHeader(header) => header.check(request).map(Some),
        }
    }

    /// How one may say who he is, for `WWW-Authenticate` (RFC 9110 §11.6.1, RFC 6750 §3).
    pub fn challenge(&self, denied: Denied) -> Option<HeaderValue> {
        let text = match (self, denied) {
            (Settings::None, _) => return None,
            (Settings::Jwt(_), Denied::Missing) => "Bearer",
            (Settings::Jwt(_), Denied::Scope) => "Bearer error=\"insufficient_scope\"",
            (Settings::Jwt(_), _) => "Bearer error=\"invalid_token\"",
            (Settings::ApiKey(_) | Settings::TrustedHeader(_), Denied::Scope) => return None,
            (Settings::ApiKey(_), _) => "ApiKey",
            (Settings::TrustedHeader(_), _) => "TrustedHeader",
        };
        Some(HeaderValue::from_static(text))
    }

    /// The field that only a trusted peer may send, if it is one of those. It is dropped from everybody else's requests.
    pub fn trusted_field(&self) -> Option<&HeaderName> {
        match self {
            Settings::TrustedHeader(trusted) => Some(&trusted.header),
            Settings::None | Settings::ApiKey(_) | Settings::Jwt(_) => None,
        }
    }

    /// The field that says who is calling, where it isn't one that always does.
    pub fn field(&self) -> Option<&HeaderName> {
        match self {
            Settings::ApiKey(keys) => match &keys.place {
                Place::Header(name) => Some(name),
                Place::Query(_) => None,
            },
            Settings::TrustedHeader(trusted) => Some(&trusted.header),
            Settings::None | Settings::Jwt(_) => None,
        }
    }

    /// The parameter of the query that is a credential, if one is.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Settings::ApiKey(keys) => match &keys.place {
                Place::Query(name) => Some(name),
                Place::Header(_) => None,
            },
            Settings::None | Settings::Jwt(_) | Settings::TrustedHeader(_) => None,
        }
    }

    /// The query without what is a credential: that is no part of what is looked up, and not for the origin. `None` where nothing
    /// has to go.
    pub fn without_credential(&self, query: &str) -> Option<String> {
        let name = self.parameter()?;
        let kept: Vec<&str> = query.split('&').filter(|pair| !is_parameter(pair, name)).collect();
        Some(kept.join("&"))
    }
}
