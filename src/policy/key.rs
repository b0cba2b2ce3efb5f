//! What makes two requests different: the key of a stored answer, and the caller's partition.
//!
//! A key is `host path ?query NUL generation partition`, compared byte by byte; the generation ([`Mounted`](super::Mounted)) is written only
//! where it isn't the first. The scheme isn't part of it: a gateway is asked by one scheme
//! on all its addresses, and what a trusted proxy says of another one is a claim, which is. A host holds no `/`, a path no `?`, and none of
//! them a NUL, so two different requests can't write the same key. The partition names every credential field with its
//! value, so that an answer given to one caller can't be found by another.

use super::settings::{KeyRules, Names, QueryKey, Share};
use crate::auth::{Caller, has_large_number};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::borrow::Cow;

/// The query as it is keyed and forwarded.
pub fn canonical_query<'a>(rules: &KeyRules, query: Option<&'a str>) -> Option<Cow<'a, str>> {
    let query = query?;
    let names = match &rules.query {
        QueryKey::Exact => return Some(Cow::Borrowed(query)),
        QueryKey::Sorted(names) => names,
    };
    if *names == Names::All && !query.contains('&') {
        return (!query.is_empty()).then_some(Cow::Borrowed(query));
    }
    let mut pairs: Vec<(Cow<'_, str>, &str)> =
        query.split('&').filter(|pair| !pair.is_empty()).map(|pair| (query_name(pair), pair)).collect();
    pairs.retain(|(name, _)| names.keeps(name));
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b)); // stable: of equal names, however they are written, the order is kept
    let pairs: Vec<&str> = pairs.into_iter().map(|(_, pair)| pair).collect();
    (!pairs.is_empty()).then(|| Cow::Owned(pairs.join("&")))
}

/// The name of a pair as an origin reads it.
fn query_name(pair: &str) -> Cow<'_, str> {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    if !name.contains(['%', '+']) {
        return Cow::Borrowed(name);
    }
    let spaced = name.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// The cookies that count, as one field value; `None` when there are none.
pub fn kept_cookies(names: &Names, fields: &HeaderMap) -> Option<Vec<u8>> {
    let mut kept: Vec<u8> = Vec::new();
    for line in fields.get_all(COOKIE) {
        for pair in line.as_bytes().split(|b| *b == b';') {
            let pair = pair.trim_ascii();
            let name = pair.split(|b| *b == b'=').next().unwrap_or_default();
            if pair.is_empty() || !names.keeps(&String::from_utf8_lossy(name.trim_ascii())) {
                continue;
            }
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
    }
    (!kept.is_empty()).then_some(kept)
}

/// An authenticated caller as the partition sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User and permission claims, written so that two callers never share a text; empty for nobody.
    pub text: Vec<u8>,
    /// Credential fields that the authentication consumed.
    pub consumed: Vec<HeaderName>,
}

impl Identity {
    /// What of a caller makes its partition: the name, or with `share = "claim:NAME"` what its token says there; and what it may do.
    pub fn of(share: &Share, caller: &Caller) -> Self {
        let mut text = Vec::new();
        let claim = match share {
            // Two large numbers may be read alike: such a claim tells nobody apart.
            Share::Claim(name) => {
                caller.claims.as_ref().and_then(|claims| claims.get(name)).filter(|value| tells_apart(value))
            }
            Share::User | Share::Everyone | Share::AssumePublic => None,
        };
        match claim {
            Some(value) => {
                measured(&mut text, b"claim");
                measured(&mut text, value.to_string().as_bytes());
            }
            None => {
                measured(&mut text, b"user");
                measured(&mut text, caller.user.as_bytes());
            }
        }
        let mut rights: Vec<&String> = caller.rights.iter().collect();
        rights.sort_unstable();
        rights.dedup();
        rights.iter().for_each(|right| measured(&mut text, right.as_bytes()));
        Identity { text, consumed: caller.consumed.to_vec() }
    }
}

/// Whether a claim has a value that only equals itself. Nothing, and an empty text, are what everybody has whom nobody has given one; large
/// numbers may be read alike.
fn tells_apart(claim: &Value) -> bool {
    match claim {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty() && !list.iter().any(has_large_number),
        Value::Object(_) | Value::Number(_) => !has_large_number(claim),
        Value::Bool(_) => true,
    }
}

/// The caller's partition: empty when the request carries no credentials, or when `share = "assume-public"`.
pub fn partition(rules: &KeyRules, identity: &Identity, fields: &HeaderMap) -> Vec<u8> {
    if rules.share == Share::AssumePublic {
        return Vec::new();
    }
    let mut parts: Vec<(&str, Cow<'_, [u8]>)> = Vec::new();
    for (name, value) in fields {
        let counts = *name != COOKIE && is_credential(rules, name) && !identity.consumed.contains(name);
        if counts {
            parts.push((name.as_str(), Cow::Borrowed(value.as_bytes())));
        }
    }
    if !identity.consumed.contains(&COOKIE) && fields.contains_key(COOKIE) {
        parts.extend(kept_cookies(&rules.cookies, fields).map(|cookies| ("cookie", Cow::Owned(cookies))));
    }
    if parts.is_empty() && identity.text.is_empty() {
        return Vec::new();
    }
    parts.sort_by_key(|(name, _)| *name); // stable: repeated fields keep their order
    let mut text = Vec::new();
    measured(&mut text, &identity.text);
    for (name, value) in parts {
        measured(&mut text, name.as_bytes());
        measured(&mut text, &value);
    }
    text
}

/// Whether a field carries identity. Many origins can't tell `X_Api_Key` from `X-Api-Key`, so it counts as well.
pub fn is_credential(rules: &KeyRules, name: &HeaderName) -> bool {
    let named = |text: &str| rules.credentials.matches(text);
    let text = name.as_str();
    *name == AUTHORIZATION || *name == COOKIE || named(text) || text.contains('_') && named(&text.replace('_', "-"))
}

/// Writes the length before the bytes, so that no two lists of texts look alike.
pub(super) fn measured(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Writes the key of a GET into `out`; `partition` is empty for the answer that is shared.
pub fn write_key(out: &mut Vec<u8>, host: &str, path: &str, query: Option<&str>, partition: &[u8]) {
    out.clear();
    out.extend_from_slice(host.as_bytes());
    out.extend_from_slice(path.as_bytes());
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(partition);
}

#[cfg(test)]
mod tests {
    use super::super::settings::FieldPattern;
    use super::*;
    use http::HeaderValue;

    fn fields(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn names(list: &[&str]) -> Vec<FieldPattern> {
        list.iter().map(|n| FieldPattern::new(n)).collect()
    }

    #[test]
    fn queries() {
        let rules = |query| KeyRules { query, ..KeyRules::default() };
        let all = rules(QueryKey::Sorted(Names::All));
        let only = rules(QueryKey::Sorted(Names::Only(names(&["page", "size"]))));
        let ignore = rules(QueryKey::Sorted(Names::Ignore(names(&["utm_*"]))));
        let exact = rules(QueryKey::Exact);
        let rows: [(&KeyRules, &str, Option<&str>); 13] = [
            (&all, "b=1&a=2", Some("a=2&b=1")),
            (&all, "a=2&a=1", Some("a=2&a=1")),
            (&all, "b=1&a=2&%61=1", Some("a=2&%61=1&b=1")),
            (&all, "a+b=1&a%20b=2&a=3", Some("a=3&a+b=1&a%20b=2")),
            (&all, "&&a&", Some("a")),
            (&all, "", None),
            (&all, "a=&a", Some("a=&a")),
            (&only, "size=1&x=2&page=3", Some("page=3&size=1")),
            (&only, "x=1", None),
            (&ignore, "utm_source=x&q=1", Some("q=1")),
            (&ignore, "%75tm_source=x", None),
            (&exact, "b=1&a=2&", Some("b=1&a=2&")),
            (&exact, "", Some("")),
        ];
        for (rules, query, expected) in rows {
            assert_eq!(canonical_query(rules, Some(query)).as_deref(), expected, "{query}");
        }
        assert_eq!(canonical_query(&all, None), None);
    }

    #[test]
    fn partitions_differ_when_any_credential_differs() {
        let rules = KeyRules::default();
        let nobody = Identity::default();
        let of = |list: &[(&'static str, &'static str)]| partition(&rules, &nobody, &fields(list));
        assert!(of(&[("accept", "x"), ("x-request-id", "1")]).is_empty());
        let all = [
            of(&[("authorization", "a")]),
            of(&[("authorization", "b")]),
            of(&[("cookie", "a")]),
            of(&[("x-api-key", "a")]),
            of(&[("x-tenant-id", "a")]),
            of(&[("authorization", "a"), ("cookie", "a")]),
            of(&[("authorization", "a"), ("authorization", "b")]),
            of(&[("x-session-a", "x"), ("x-session-b", "")]),
            of(&[("x-session-a", ""), ("x-session-b", "x")]),
            partition(&rules, &Identity { text: "alice".into(), consumed: vec![] }, &fields(&[])),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(!a.is_empty());
            assert!(all[..i].iter().all(|b| a != b), "row {i}");
        }
    }

    #[test]
    fn consumed_and_ignored_fields_do_not_count() {
        let identity = Identity { text: "alice".into(), consumed: vec![AUTHORIZATION] };
        let rules = KeyRules { cookies: Names::Ignore(names(&["_ga*"])), ..KeyRules::default() };
        let bare = partition(&rules, &identity, &fields(&[]));
        assert_eq!(partition(&rules, &identity, &fields(&[("authorization", "x"), ("cookie", "_ga=1; _gat=2")])), bare);
        assert_ne!(partition(&rules, &identity, &fields(&[("cookie", "_ga=1; id=2")])), bare);
        let public = KeyRules { share: Share::AssumePublic, ..KeyRules::default() };
        assert!(partition(&public, &identity, &fields(&[("cookie", "id=2")])).is_empty());
    }
}
