//! `kind = "client-certificate"`: a caller is who its certificate says, which an authority of `server.tls.client_ca` has signed.
//!
//! The handshake has shown that the client has the certificate's key. Of the names in it one kind is asked for, and it must be there
//! once: of two names it could be either.

use super::caller::{Caller, Denied, Presented};
use crate::tls::Certificate;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

/// Which name of a certificate is its caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// `name_from`.
    pub name_from: NameFrom,
    /// `tell`: the field in which the origin is told that name; a client's own is dropped.
    pub tell: Option<HeaderName>,
}

/// `name_from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFrom {
    /// The subject's common name.
    CommonName,
    /// The alternative name that is a host name.
    Dns,
    /// The one that is a URI.
    Uri,
    /// The one that is a mail address.
    Email,
}

impl ClientCertificate {
    pub(super) fn check(&self, request: &Presented<'_>) -> Result<Caller, Denied> {
        let name = name(request.certificate.ok_or(Denied::Missing)?, self.name_from).ok_or(Denied::Malformed)?;
        let field = |tell: &HeaderName| Ok((tell.clone(), HeaderValue::try_from(name).map_err(|_| Denied::Malformed)?));
        let told: Option<(HeaderName, HeaderValue)> = self.tell.as_ref().map(field).transpose()?;
        Ok(Caller {
            user: name.into(),
            named: true,
            rights: Arc::default(),
            claims: None,
            consumed: Arc::default(),
            told: told.into_iter().collect(),
        })
    }
}

fn name(certificate: &Certificate, from: NameFrom) -> Option<&str> {
    let list = match from {
        NameFrom::CommonName => return certificate.common_name.as_deref().filter(|name| !name.is_empty()),
        NameFrom::Dns => &certificate.dns,
        NameFrom::Uri => &certificate.uri,
        NameFrom::Email => &certificate.email,
    };
    match &list[..] {
        [only] if !only.is_empty() => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn the_name_that_is_asked_for_must_be_there_once() {
        let two = vec!["a.example".to_owned(), "b.example".to_owned()];
        let shown =
            Certificate { common_name: Some("alice".into()), dns: two, uri: vec!["spiffe://a".into()], email: vec![] };
        let fields = HeaderMap::new();
        let user = |name_from, certificate| {
            let request = Presented { certificate, ..Presented::get(&fields, None) };
            ClientCertificate { name_from, tell: None }.check(&request).map(|caller| caller.user.to_string())
        };
        assert_eq!(user(NameFrom::CommonName, Some(&shown)), Ok("alice".into()));
        assert_eq!(user(NameFrom::Uri, Some(&shown)), Ok("spiffe://a".into()));
        assert_eq!(user(NameFrom::Dns, Some(&shown)), Err(Denied::Malformed));
        assert_eq!(user(NameFrom::Email, Some(&shown)), Err(Denied::Malformed));
        assert_eq!(user(NameFrom::CommonName, None), Err(Denied::Missing));
    }
}
