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
        let certificate = request.certificate.ok_or(Denied::Missing)?;
        if !certificate.counts(request.now) {
            return Err(Denied::Expired);
        }
        let name = name(certificate, self.name_from).ok_or(Denied::Malformed)?;
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
