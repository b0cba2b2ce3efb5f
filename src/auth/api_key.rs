//! `kind = "api-key"`: each caller has a secret of its own, in a field or in the query.

use super::caller::{Caller, Denied, Presented, has_all, one_value};
use crate::secret::{self, Digest};
use http::HeaderName;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::sync::Arc;

/// The keys of an API and where they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// `header` or `query`.
    pub place: Place,
    /// `keys`.
    pub keys: Vec<Key>,
    /// `required_scopes`: a caller without one of these gets 403.
    pub required_scopes: Vec<String>,
}

/// Where a key is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A field; `Authorization` with the scheme `Bearer` or `ApiKey` before the key, or without one.
    Header(HeaderName),
    /// A parameter of the query. The origin doesn't get it.
    Query(String),
}

/// A key and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// `user`.
    pub user: Arc<str>,
    /// `scopes`.
    pub scopes: Arc<[String]>,
    /// The SHA-256 of the key.
    pub sha256: Digest,
}

impl ApiKey {
    pub(super) fn check(&self, request: &Presented<'_>) -> Result<Caller, Denied> {
        let shown = match &self.place {
            Place::Header(name) => Cow::Borrowed(without_scheme(name, one_value(request.fields, name)?)),
            Place::Query(name) => one_parameter(request.query.unwrap_or_default(), name)?,
        };
        if shown.is_empty() {
            return Err(Denied::Missing);
        }
        let at = secret::find(self.keys.iter().map(|key| &key.sha256), &shown).ok_or(Denied::Unknown)?;
        let key = self.keys.get(at).ok_or(Denied::Unknown)?;
        has_all(&key.scopes, &self.required_scopes)?;
        let consumed = match &self.place {
            Place::Header(name) => Some(name.clone()),
            Place::Query(_) => None,
        };
        Ok(Caller { user: Arc::clone(&key.user), rights: Arc::clone(&key.scopes), claims: None, consumed })
    }
}

fn without_scheme<'a>(name: &HeaderName, value: &'a [u8]) -> &'a [u8] {
    let scheme = value.iter().position(|&b| b == b' ').filter(|_| *name == AUTHORIZATION);
    let known = |at: &usize| [&b"bearer"[..], b"apikey"].iter().any(|s| value[..*at].eq_ignore_ascii_case(s));
    scheme.filter(known).map_or(value, |at| value[at + 1..].trim_ascii())
}

fn one_parameter<'a>(query: &'a str, name: &str) -> Result<Cow<'a, [u8]>, Denied> {
    let mut values = query.split('&').filter(|pair| is_parameter(pair, name));
    match (values.next(), values.next()) {
        (None, _) => Err(Denied::Missing),
        (Some(pair), None) => Ok(percent_decode_str(pair.split_once('=').map_or("", |(_, value)| value)).into()),
        (Some(_), Some(_)) => Err(Denied::Malformed),
    }
}

/// Whether this pair of a query is the parameter `name`, however that is written.
pub(super) fn is_parameter(pair: &str, name: &str) -> bool {
    let written = pair.split_once('=').map_or(pair, |(name, _)| name);
    percent_decode_str(written).eq(name.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    fn keys(place: Place) -> ApiKey {
        let key = |user: &str, scopes: &[&str]| Key {
            user: user.into(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            sha256: secret::digest(format!("{user}-secret").as_bytes()),
        };
        ApiKey {
            place,
            keys: vec![key("alice", &["read", "write"]), key("bob", &[])],
            required_scopes: vec!["read".into()],
        }
    }

    fn by_field(name: &'static str, values: &[&str]) -> Result<String, Denied> {
        let mut fields = HeaderMap::new();
        for value in values {
            fields.append(name, HeaderValue::from_str(value).unwrap());
        }
        let request = Presented { fields: &fields, query: None, trusted: false, unix: 0 };
        keys(Place::Header(HeaderName::from_static(name))).check(&request).map(|caller| caller.user.to_string())
    }

    #[test]
    fn a_key_in_a_field() {
        for (values, want) in [
            (&["alice-secret"][..], Ok("alice")),
            (&[" alice-secret "], Ok("alice")),
            (&[], Err(Denied::Missing)),
            (&[""], Err(Denied::Missing)),
            (&["alice-secret", "alice-secret"], Err(Denied::Malformed)),
            (&["Alice-secret"], Err(Denied::Unknown)),
            (&["Bearer alice-secret"], Err(Denied::Unknown)),
            (&["bob-secret"], Err(Denied::Scope)),
        ] {
            assert_eq!(by_field("x-api-key", values).as_deref().map_err(|d| *d), want, "{values:?}");
        }
        for (value, want) in [
            ("Bearer alice-secret", Ok("alice")),
            ("apikey  alice-secret", Ok("alice")),
            ("alice-secret", Ok("alice")),
            ("Basic alice-secret", Err(Denied::Unknown)),
            ("Bearer ", Err(Denied::Unknown)),
        ] {
            assert_eq!(by_field("authorization", &[value]).as_deref().map_err(|d| *d), want, "{value}");
        }
    }

    #[test]
    fn a_key_in_the_query() {
        let of = |query| {
            let request = Presented { fields: &HeaderMap::new(), query, trusted: false, unix: 0 };
            keys(Place::Query("key".into())).check(&request).map(|caller| caller.user.to_string())
        };
        assert_eq!(of(Some("a=1&key=alice-secret")), Ok("alice".into()));
        assert_eq!(of(Some("%6bey=alice%2Dsecret")), Ok("alice".into()));
        assert_eq!(of(Some("a=1")), Err(Denied::Missing));
        assert_eq!(of(None), Err(Denied::Missing));
        assert_eq!(of(Some("key=")), Err(Denied::Missing));
        assert_eq!(of(Some("key=alice-secret&key=bob-secret")), Err(Denied::Malformed));
        assert_eq!(of(Some("Key=alice-secret")), Err(Denied::Missing));
    }
}
