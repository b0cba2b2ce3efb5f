//! Keys, read again: what [`write_key`](super::write_key), [`partition`](super::partition) and the side keys have written, for those who show
//! what is stored.
//!
//! What comes out names no secret: of a credential field there is its name, of the content of a QUERY its length. Whose partition it is is told
//! by the name that the check of its caller gave, or by the claim that `share` names.

use super::side_key::{Side, behind_generation, is_second_key, split, unmeasured};

/// Names with their values, in the order of the key.
pub type Pairs<'a> = Vec<(&'a str, &'a [u8])>;

/// A key, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyParts<'a> {
    /// Host and port; [`namespace::HOST`](super::namespace::HOST) for an object.
    pub host: &'a str,
    /// The public path; of an object `/NAMESPACE/KEY`.
    pub path: &'a str,
    /// The query as it counts.
    pub query: Option<&'a str>,
    /// The generation of its API.
    pub generation: u64,
    /// What a trusted proxy says of the request beside where it comes from.
    pub claims: Pairs<'a>,
    /// Of a QUERY what describes its content, and the content's length.
    pub content: Option<(Pairs<'a>, usize)>,
    /// Whose it is; `None` where it is shared.
    pub partition: Option<Partition<'a>>,
    /// Whether parts lie there.
    pub part: bool,
}

/// Whose a stored answer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition<'a> {
    /// The caller whom a check has told apart.
    pub caller: Option<Told<'a>>,
    /// Credential fields that no check has consumed, each once; their values aren't told.
    pub credentials: Vec<&'a str>,
}

/// By what a caller is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// By its name. One that begins with a NUL is nobody's name but made of its credentials.
    User(&'a str),
    /// By a claim of its token, as JSON (`share = "claim:NAME"`).
    Claim(&'a str),
}

/// Host and path as they stand at the beginning of a key; cheap.
pub fn place_of(key: &[u8]) -> &[u8] {
    url(key).0
}

/// Takes a key apart; `None` where it is none of an answer, or lies there for one that lies under its own key as well
/// ([`is_second_key`]).
pub fn read_key(key: &[u8]) -> Option<KeyParts<'_>> {
    if is_second_key(key) {
        return None;
    }
    let (base, query, rest) = url(key);
    key.get(1..)?.contains(&0).then_some(())?; // a URL ends with a NUL
    let base = std::str::from_utf8(base).ok()?;
    let (host, path) = base.split_at(base.find('/')?);
    let query = query.map(std::str::from_utf8).transpose().ok()?;
    let (generation, rest) = behind_generation(rest)?;
    let mut parts = KeyParts { host, path, query, generation, ..KeyParts::default() };
    let rest = match rest.strip_prefix(&Side::Claims.mark()[..]) {
        Some(claims) => {
            let (claims, rest) = pairs(claims)?;
            parts.claims = claims;
            rest
        }
        None => rest,
    };
    let rest = match rest.strip_prefix(&Side::Query.mark()[..]) {
        Some(described) => {
            let (described, rest) = pairs(described)?;
            let (content, rest) = unmeasured(rest)?;
            parts.content = Some((described, content.len()));
            rest
        }
        None => rest,
    };
    let (whose, rest) = partition(rest)?;
    parts.partition = whose;
    parts.part = rest == Side::Part.mark();
    (parts.part || rest.is_empty()).then_some(parts)
}

/// Host and path, query, and what follows the NUL. The host of an object is itself a NUL.
fn url(key: &[u8]) -> (&[u8], Option<&[u8]>, &[u8]) {
    if key.first() != Some(&0) {
        return split(key);
    }
    let end = key.iter().skip(1).position(|byte| *byte == 0).map_or(key.len(), |at| at + 1);
    (&key[..end], None, key.get(end + 1..).unwrap_or_default())
}

/// Names and values up to an empty name.
fn pairs(mut rest: &[u8]) -> Option<(Pairs<'_>, &[u8])> {
    let mut found = Vec::new();
    loop {
        let (name, after) = unmeasured(rest)?;
        if name.is_empty() {
            return Some((found, after));
        }
        let (value, after) = unmeasured(after)?;
        found.push((std::str::from_utf8(name).ok()?, value));
        rest = after;
    }
}

/// The partition, if there is one, and what follows it: nothing, or the mark of parts.
fn partition(rest: &[u8]) -> Option<(Option<Partition<'_>>, &[u8])> {
    let ends = |rest: &[u8]| rest.is_empty() || rest == Side::Part.mark();
    if ends(rest) {
        return Some((None, rest));
    }
    let (identity, mut rest) = unmeasured(rest)?;
    let mut whose = Partition { caller: caller(identity)?, credentials: Vec::new() };
    while !ends(rest) {
        let (name, after) = unmeasured(rest)?;
        let name = std::str::from_utf8(name).ok()?;
        if !whose.credentials.contains(&name) {
            whose.credentials.push(name);
        }
        rest = unmeasured(after)?.1;
    }
    Some((Some(whose), rest))
}

/// `Some(None)` where nobody was told apart.
fn caller(identity: &[u8]) -> Option<Option<Told<'_>>> {
    if identity.is_empty() {
        return Some(None);
    }
    let (kind, rest) = unmeasured(identity)?;
    let told = std::str::from_utf8(unmeasured(rest)?.0).ok()?;
    match kind {
        b"user" => Some(Some(Told::User(told))),
        b"claim" => Some(Some(Told::Claim(told))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Identity, KeyRules, Share, equivalent_key, namespace, part_key, partition as written, rule_key, write_claims,
        write_generation, write_key, write_query,
    };
    use super::*;
    use crate::auth::Caller;
    use crate::rfc9110::fields_of;
    use crate::rfc9111::UrlVariation;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is written is read again, and nothing of a secret.
        #[test]
        fn what_was_written_is_read(
            host in "[a-z]{1,8}(:[0-9]{1,4})?",
            path in "(/[a-zA-Z0-9%._~-]{0,6}){1,4}",
            query in proptest::option::of("[a-z=&?/0-9]{0,12}"),
            generation in prop_oneof![Just(0u64), any::<u64>()],
            claims in proptest::collection::vec(("x-[a-z]{1,6}", "[ -~]{0,8}"), 0..3),
            content in proptest::option::of(("[ -~]{0,9}", proptest::collection::vec(any::<u8>(), 0..40))),
            user in proptest::option::of("[\\PC]{0,8}"),
            rights in proptest::collection::vec("[a-z]{0,4}", 0..3),
            claim in any::<bool>(),
            credentials in proptest::collection::btree_map("x-api-key|x-tenant[a-z]{1,2}|authorization|cookie", "secret[a-z=;]{1,6}", 0..3),
            part: bool,
        ) {
            let mut key = Vec::new();
            write_key(&mut key, &host, &path, query.as_deref(), b"");
            write_generation(&mut key, generation);
            if !claims.is_empty() {
                write_claims(&mut key, claims.iter().map(|(name, value)| (&**name, value.as_bytes())));
            }
            let described = content.as_ref().map(|(kind, _)| fields_of(&[("content-type", kind.trim())]));
            if let (Some((_, content)), Some(fields)) = (&content, &described) {
                write_query(&mut key, fields, content);
            }
            let share = if claim { Share::Claim("tenant".into()) } else { Share::User };
            let rules = KeyRules { share: share.clone(), ..KeyRules::default() };
            let identity = user.as_ref().map_or_else(Identity::default, |user| {
                let claims = serde_json::Map::from_iter([("tenant".to_owned(), "acme".into())]);
                Identity::of(&share, &Caller {
                    user: user.as_str().into(), named: true, rights: rights.clone().into(),
                    claims: Some(std::sync::Arc::new(claims)), consumed: [].into(), told: [].into(),
                })
            });
            let shown: Vec<(&str, &str)> = credentials.iter().map(|(name, value)| (&**name, &**value)).collect();
            let partition = written(&rules, &identity, &fields_of(&shown));
            key.extend_from_slice(&partition);
            let key = if part { part_key(&key) } else { key };
            let read = read_key(&key).unwrap();
            prop_assert_eq!((read.host, read.path, read.query), (&*host, &*path, query.as_deref()));
            prop_assert_eq!((read.generation, read.part), (generation, part));
            let told: Vec<(String, Vec<u8>)> =
                claims.iter().map(|(name, value)| (name.clone(), value.as_bytes().to_vec())).collect();
            let seen: Vec<(String, Vec<u8>)> = read.claims.iter().map(|(n, v)| ((*n).to_owned(), v.to_vec())).collect();
            prop_assert_eq!(seen, told);
            prop_assert_eq!(read.content.as_ref().map(|(_, length)| *length), content.as_ref().map(|(_, c)| c.len()));
            prop_assert_eq!(read.partition.is_some(), !partition.is_empty());
            let whose = read.partition.clone().unwrap_or_default();
            let caller = user.as_ref().map(|user| if claim { Told::Claim("\"acme\"") } else { Told::User(user) });
            prop_assert_eq!(whose.caller, caller);
            let mut names: Vec<&str> = credentials.keys().map(String::as_str).collect();
            names.sort_unstable();
            prop_assert_eq!(&whose.credentials, &names);
            let shown = format!("{whose:?}");
            prop_assert!(!shown.contains("secret"));
            let place = format!("{host}{path}");
            prop_assert_eq!(place_of(&key), place.as_bytes());
            prop_assert!((0..key.len()).all(|end| read_key(&key[..end]).is_none_or(|other| other != read)));
        }

        #[test]
        fn no_bytes_break_it(key in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read_key(&key);
            let _ = place_of(&key);
        }
    }

    #[test]
    fn objects_and_second_keys() {
        let mut object = Vec::new();
        write_key(&mut object, namespace::HOST, "/codes/AT", None, b"");
        write_generation(&mut object, 3);
        let read = read_key(&object).unwrap();
        assert_eq!((read.host, read.path, read.generation), (namespace::HOST, "/codes/AT", 3));
        assert!(read.partition.is_none() && !read.part);
        let rule = UrlVariation::of(&fields_of(&[("no-vary-search", "params=(\"b\")")])).unwrap();
        let mut key = Vec::new();
        write_key(&mut key, "a.example", "/x", Some("a=1&b=2"), b"");
        assert!(read_key(&rule_key(&key)).is_none() && read_key(&equivalent_key(&key, &rule)).is_none());
        for broken in [&b""[..], b"\0", b"a.example\0", b"\0codes\0", b"a/b\0\x09\0\0\0\0\0\0\0"] {
            assert_eq!(read_key(broken), None, "{broken:?}");
        }
    }
}
