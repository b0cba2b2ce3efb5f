//! Whose token is it?

use super::settings::{Role, Token};
use crate::secret;
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

/// The caller whose token `secret` is.
pub(super) fn check(tokens: &[Token], secret: &[u8]) -> Option<Caller> {
    let at = secret::find(tokens.iter().map(|token| &token.sha256), secret)?;
    tokens.get(at).map(|token| Caller { name: token.name.clone(), role: token.role })
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
