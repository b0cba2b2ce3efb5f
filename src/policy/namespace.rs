//! A namespace of the object cache, as far as it isn't an API like any other.
//!
//! Each namespace is an API of its own (`objects/NAME`), so that all that holds for answers holds for objects: keys, scopes, joining, staleness,
//! counts. Its host is one that no request can have ([`HOST`]), so no request of the data port is routed to it, and no key of an answer is that of an
//! object. Beside the place where its source has it, an object has a place of its own, named by namespace and key letter for letter: other
//! places are blurred, so that two of them may be one, and a value that an application has put must not go because of a neighbour.

use http::HeaderMap;
use std::borrow::Cow;

/// The host of all namespaces: a text that no Host can be.
pub const HOST: &str = "\0";
/// The name of all namespaces as APIs; the version is the namespace's own name.
pub const NAME: &str = "objects";
/// The name in scopes of the origin of what an application has put.
pub(super) const ORIGIN: &str = "\0objects";
/// What stands in a source for the key.
pub const KEY: &str = "{key}";

/// What a namespace has beside what an API has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Namespace {
    /// `source`: where an object is asked for that isn't there, if it is anywhere.
    pub source: Option<Source>,
}

/// Path and query of a source, with [`KEY`] in one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Begins with `/`.
    pub path: String,
    /// What follows `?`.
    pub query: Option<String>,
    /// Fields that it is sent.
    pub fields: HeaderMap,
}

impl Source {
    /// The path of an object, whose key is one encoded segment.
    pub(super) fn path(&self, key: &str) -> Cow<'_, str> {
        if self.path.contains(KEY) { self.path.replace(KEY, key).into() } else { Cow::Borrowed(&self.path) }
    }

    /// Its query.
    pub fn query(&self, key: &str) -> Option<String> {
        self.query.as_ref().map(|query| query.replace(KEY, key))
    }

    /// Whether a path is one object's.
    pub(super) fn is_named_by_path(&self) -> bool {
        self.path.contains(KEY)
    }
}

/// Whether a key of the store is that of an object.
pub fn is_object_key(key: &[u8]) -> bool {
    key.starts_with(HOST.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_object_is_asked_for() {
        let source = |path: &str, query: Option<&str>| Source {
            path: path.into(),
            query: query.map(String::from),
            fields: HeaderMap::new(),
        };
        let by_path = source("/codes/{key}.json", Some("full=1"));
        assert_eq!(
            (by_path.path("A%2FT"), by_path.query("A%2FT")),
            ("/codes/A%2FT.json".into(), Some("full=1".into()))
        );
        assert!(by_path.is_named_by_path());
        let by_query = source("/codes", Some("code={key}&v=2"));
        assert_eq!((by_query.path("AT"), by_query.query("AT")), ("/codes".into(), Some("code=AT&v=2".into())));
        assert!(!by_query.is_named_by_path());
    }
}
