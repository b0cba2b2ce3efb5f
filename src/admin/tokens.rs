//! Whose token is it?

use super::settings::{Proof, Role, Token};
use crate::secret::{self, Digest};
use crate::tls::Certificate;
use axum::http::{HeaderMap, header};

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

/// The token whose secret this is.
pub(super) fn check<'a>(tokens: &'a [Token], secret: &[u8]) -> Option<&'a Token> {
    let secrets = tokens.iter().filter_map(|token| match &token.proof {
        Proof::Secret(sha256) => Some((token, sha256)),
        Proof::Certificate(_) => None,
    });
    let (tokens, digests): (Vec<&Token>, Vec<&Digest>) = secrets.unzip();
    let at = secret::find(digests.into_iter(), secret)?;
    tokens.get(at).copied()
}

/// The caller whose client certificate this is.
pub(super) fn certified(tokens: &[Token], shown: &Certificate) -> Option<Caller> {
    let name = shown.common_name.as_ref()?;
    let is_its = |token: &&Token| matches!(&token.proof, Proof::Certificate(named) if named == name);
    tokens.iter().find(is_its).map(Caller::of)
}

impl Caller {
    pub(super) fn of(token: &Token) -> Self {
        Caller { name: token.name.clone(), role: token.role }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

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
