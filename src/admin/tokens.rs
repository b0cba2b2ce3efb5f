//! Whose token is it?
//!
//! A token is compared by its SHA-256, so that neither the file nor memory holds a secret and every comparison is of 32
//! bytes. The comparison takes the same time whatever the bytes are, and all configured tokens are compared whether or
//! not one has matched: how long an answer takes says nothing about how near a guess was, or which token it met.

use super::settings::{Role, Token};
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Who is calling; a request that carries it has shown a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// `name` of the token.
    pub(super) name: String,
    /// What it may do.
    pub(super) role: Role,
}

/// What a request's `Authorization` holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown<'a> {
    /// No `Authorization`, or none of the scheme `Bearer`.
    Nothing,
    /// More than one, or one that isn't a token (RFC 6750 §2.1).
    Malformed,
    /// A token.
    Token(&'a [u8]),
}

/// The token in `headers`, unchecked. The scheme's case doesn't matter (RFC 9110 §11.1).
pub(super) fn shown(headers: &HeaderMap) -> Shown<'_> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Shown::Nothing };
    if values.next().is_some() {
        return Shown::Malformed;
    }
    let Some((scheme, token)) = value.as_bytes().split_at_checked(7) else { return Shown::Nothing };
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Shown::Nothing;
    }
    let token = token.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) { Shown::Malformed } else { Shown::Token(token) }
}

/// The caller whose token `secret` is.
pub(super) fn check(tokens: &[Token], secret: &[u8]) -> Option<Caller> {
    let digest: [u8; 32] = Sha256::digest(secret).into();
    let at = find(tokens.iter().map(|token| &token.sha256), |known| known.ct_eq(&digest))?;
    tokens.get(at).map(|token| Caller { name: token.name.clone(), role: token.role })
}

/// The place of the first that `equal` says yes to. All are compared.
fn find<'a>(known: impl Iterator<Item = &'a [u8; 32]>, mut equal: impl FnMut(&[u8; 32]) -> Choice) -> Option<usize> {
    let mut found = Choice::from(0);
    let mut at = 0u64;
    for (index, digest) in known.enumerate() {
        let first = equal(digest) & !found;
        at.conditional_assign(&(index as u64), first);
        found |= first;
    }
    bool::from(found).then_some(usize::try_from(at).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn token(name: &str, secret: &str, role: Role) -> Token {
        Token { name: name.into(), role, sha256: Sha256::digest(secret).into() }
    }

    #[test]
    fn every_token_is_compared_wherever_the_match_is() {
        let known = [[1; 32], [2; 32], [3; 32]];
        for (wanted, at) in [([1; 32], Some(0)), ([2; 32], Some(1)), ([3; 32], Some(2)), ([4; 32], None)] {
            let mut compared = 0;
            let found = find(known.iter(), |digest| {
                compared += 1;
                digest.ct_eq(&wanted)
            });
            assert_eq!((found, compared), (at, 3));
        }
    }

    #[test]
    fn a_digest_must_match_in_every_byte() {
        for byte in 0..32 {
            let mut near = token("near", "secret", Role::Administrator);
            near.sha256[byte] ^= 1;
            assert_eq!(check(&[near], b"secret"), None, "byte {byte}");
        }
    }

    #[test]
    fn each_secret_finds_its_own_token_and_the_first_of_two_alike() {
        let tokens = [
            token("a", "one", Role::Viewer),
            token("b", "two", Role::Operator),
            token("c", "one", Role::Administrator),
        ];
        assert_eq!(check(&tokens, b"one"), Some(Caller { name: "a".into(), role: Role::Viewer }));
        assert_eq!(check(&tokens, b"two"), Some(Caller { name: "b".into(), role: Role::Operator }));
        assert_eq!(check(&tokens, b"three"), None);
        assert_eq!(check(&[], b"one"), None);
    }

    #[test]
    fn only_one_bearer_field_is_a_token() {
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            headers
        };
        assert_eq!(shown(&with(&[])), Shown::Nothing);
        assert_eq!(shown(&with(&["Basic YTpi"])), Shown::Nothing);
        assert_eq!(shown(&with(&["Bear"])), Shown::Nothing);
        assert_eq!(shown(&with(&["Bearer abc"])), Shown::Token(b"abc"));
        assert_eq!(shown(&with(&["bEARER  abc"])), Shown::Token(b"abc"));
        for bad in ["Bearer ", "Bearer a b", "Bearer \u{fc}"] {
            assert_eq!(shown(&with(&[bad])), Shown::Malformed, "{bad}");
        }
        assert_eq!(shown(&with(&["Bearer abc", "Bearer def"])), Shown::Malformed);
    }
}
