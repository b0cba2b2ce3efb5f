//! `kind = "api-key"`: each caller has a secret of its own, in a field or in the query.

use super::caller::{Caller, Denied, Presented, has_all, one_value};
use super::key_file::{Key, KeyFile};
use crate::secret::Known;
use arc_swap::ArcSwap;
use http::HeaderName;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The keys of an API and where they are shown.
pub struct ApiKey {
    /// `header` or `query`.
    pub place: Place,
    /// `required_scopes`: a caller without one of these gets 403.
    pub required_scopes: Vec<String>,
    /// `keys`.
    own: Vec<Key>,
    file: Option<KeyFile>,
    /// Those of both.
    known: ArcSwap<Known<Key>>,
}

/// Where a key is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A field; `Authorization` with the scheme `Bearer` or `ApiKey` before the key, or without one.
    Header(HeaderName),
    /// A parameter of the query. The origin doesn't get it.
    Query(String),
}

impl ApiKey {
    /// `own` are in the configuration itself; `filed` are those that `file` has now.
    pub fn new(
        place: Place,
        required_scopes: Vec<String>,
        own: Vec<Key>,
        file: Option<KeyFile>,
        filed: Vec<Key>,
    ) -> Self {
        let known = ArcSwap::from_pointee(all(&own, filed));
        ApiKey { place, required_scopes, own, file, known }
    }

    /// `keys`.
    pub fn own(&self) -> &[Key] {
        &self.own
    }

    /// `keys_file`, if there is one.
    pub fn file(&self) -> Option<&KeyFile> {
        self.file.as_ref()
    }

    /// Looks whether the file has changed. Keys that aren't in it any more are unknown when this returns; a file that can't be used leaves
    /// those in force that there were.
    pub fn look(&self) {
        let Some(file) = &self.file else { return };
        let Some(filed) = file.changed() else { return };
        let known = all(&self.own, filed);
        tracing::info!(file = %file.path.display(), keys = known.len(), "keys of callers have changed");
        self.known.store(Arc::new(known));
    }

    /// What a user may do by the keys of the configuration; `None` where they name no such user.
    pub fn rights_of(&self, user: &str) -> Option<Arc<[String]>> {
        self.own.iter().find(|key| *key.user == *user).map(|key| Arc::clone(&key.scopes))
    }

    pub(super) fn check(&self, request: &Presented<'_>) -> Result<Caller, Denied> {
        let shown = match &self.place {
            Place::Header(name) => Cow::Borrowed(without_scheme(name, one_value(request.fields, name)?)),
            Place::Query(name) => one_parameter(request.query.unwrap_or_default(), name)?,
        };
        if shown.is_empty() {
            return Err(Denied::Missing);
        }
        let known = self.known.load();
        let key = known.get(&shown).ok_or(Denied::Unknown)?;
        has_all(&key.scopes, &self.required_scopes)?;
        let consumed = match &self.place {
            Place::Header(name) => Arc::from([name.clone()]),
            Place::Query(_) => Arc::default(),
        };
        let (user, rights) = (Arc::clone(&key.user), Arc::clone(&key.scopes));
        Ok(Caller { user, named: true, rights, claims: None, consumed, told: Arc::default() })
    }
}

fn all(own: &[Key], filed: Vec<Key>) -> Known<Key> {
    own.iter().cloned().chain(filed).map(|key| (key.sha256, key)).collect()
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("place", &self.place).field("keys", &self.known.load().len()).finish()
    }
}

impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        let path = |keys: &ApiKey| keys.file.as_ref().map(|file| file.path.clone());
        (&self.place, &self.required_scopes, &self.own) == (&other.place, &other.required_scopes, &other.own)
            && path(self) == path(other)
    }
}

impl Eq for ApiKey {}

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
    use crate::secret;
    use http::{HeaderMap, HeaderValue};

    fn keys(place: Place) -> ApiKey {
        let key = |user: &str, scopes: &[&str]| Key {
            user: user.into(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            sha256: secret::digest(format!("{user}-secret").as_bytes()),
        };
        let keys = vec![key("alice", &["read", "write"]), key("bob", &[])];
        ApiKey::new(place, vec!["read".into()], keys, None, Vec::new())
    }

    fn by_field(name: &'static str, values: &[&str]) -> Result<String, Denied> {
        let mut fields = HeaderMap::new();
        for value in values {
            fields.append(name, HeaderValue::from_str(value).unwrap());
        }
        let request = Presented::get(&fields, None);
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
            let fields = HeaderMap::new();
            let request = Presented::get(&fields, query);
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
