//! `[api.auth]`.

use super::api_key::{ApiKey, Place, is_parameter};
use super::caller::{Checked, Denied, Found, Presented, Refusal};
use super::certificate::ClientCertificate;
use super::forward::Forward;
use super::jwt::Jwt;
use super::remote::Outside;
use super::trusted::TrustedHeader;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

/// A look at something outside that may have changed: quick, and from time to time.
pub type Look = Box<dyn Fn() + Send + Sync>;

/// Who may send a field by which the origin is told who is calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Nobody but we.
    Nobody,
    /// Trusted peers.
    Proxies,
}

/// How callers are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Settings {
    /// Nobody is asked.
    #[default]
    None,
    /// By a secret that each caller has.
    ApiKey(Arc<ApiKey>),
    /// By a token that an issuer has signed.
    Jwt(Arc<Jwt>),
    /// By the answer of somebody else who is asked.
    Forward(Arc<Forward>),
    /// By a field that a proxy in front has set.
    TrustedHeader(Arc<TrustedHeader>),
    /// By the certificate that a client has shown.
    ClientCertificate(Arc<ClientCertificate>),
}

impl Settings {
    /// Whether anybody is asked who he is.
    pub fn is_none(&self) -> bool {
        matches!(self, Settings::None)
    }

    /// Joins what asks somebody else with the outside. Of settings that several routes share, or that have been in force already, only the
    /// first call does anything.
    pub fn join(&self, outside: &Outside) {
        match self {
            Settings::None | Settings::ApiKey(_) | Settings::TrustedHeader(_) | Settings::ClientCertificate(_) => {}
            Settings::Jwt(jwt) => jwt.join(outside),
            Settings::Forward(forward) => forward.join(outside),
        }
    }

    /// What has to be looked at from now on, from time to time.
    pub fn look(&self) -> Option<Look> {
        match self {
            Settings::None | Settings::Forward(_) | Settings::TrustedHeader(_) | Settings::ClientCertificate(_) => None,
            Settings::ApiKey(keys) => {
                let keys = keys.file().map(|_| Arc::clone(keys))?;
                Some(Box::new(move || keys.look()))
            }
            Settings::Jwt(jwt) => {
                let jwt = jwt.issuer().map(|_| Arc::clone(jwt))?;
                Some(Box::new(move || jwt.look()))
            }
        }
    }

    /// Whether they are one and the same, state and all.
    pub fn is(&self, other: &Settings) -> bool {
        match (self, other) {
            (Settings::ApiKey(a), Settings::ApiKey(b)) => Arc::ptr_eq(a, b),
            (Settings::Jwt(a), Settings::Jwt(b)) => Arc::ptr_eq(a, b),
            (Settings::Forward(a), Settings::Forward(b)) => Arc::ptr_eq(a, b),
            (a, b) => a == b,
        }
    }

    /// Whether they say the same of every caller, but for who has a key. A key that goes or comes changes nothing in what its user may be
    /// given.
    pub fn is_same_but_for_keys(&self, other: &Settings) -> bool {
        match (self, other) {
            (Settings::ApiKey(a), Settings::ApiKey(b)) => {
                (&a.place, &a.required_scopes) == (&b.place, &b.required_scopes)
            }
            (a, b) => a == b,
        }
    }

    /// Forgets what was found out about a caller: when this has returned it is found out anew.
    pub fn forget(&self, user: &str) {
        match self {
            Settings::None | Settings::ApiKey(_) | Settings::TrustedHeader(_) | Settings::ClientCertificate(_) => {}
            Settings::Jwt(jwt) => jwt.forget(user),
            Settings::Forward(forward) => forward.forget(user),
        }
    }

    /// Who is calling.
    pub fn check(&self, request: &Presented<'_>) -> Checked {
        match self {
            Settings::None => Checked::Now(Ok(None)),
            Settings::ApiKey(keys) => Checked::of(keys.check(request)),
            Settings::Jwt(jwt) => jwt.check(request),
            Settings::Forward(forward) => forward.check(request),
            Settings::TrustedHeader(header) => Checked::of(header.check(request)),
            Settings::ClientCertificate(certificate) => Checked::of(certificate.check(request)),
        }
    }

    /// Who is calling, as far as that is known without asking anybody; nothing is remembered or counted for it. `None` where somebody
    /// would have to be asked.
    pub fn recall(&self, request: &Presented<'_>) -> Option<Found> {
        let known = match self {
            Settings::None => return Some(Ok(None)),
            Settings::ApiKey(keys) => keys.check(request),
            Settings::Jwt(jwt) => jwt.recall(request)?,
            Settings::Forward(forward) => forward.recall(request)?,
            Settings::TrustedHeader(header) => header.check(request),
            Settings::ClientCertificate(certificate) => certificate.check(request),
        };
        Some(known.map(Some).map_err(Refusal::from))
    }

    /// The fields that a check which finds somebody consumes.
    pub fn consumes(&self) -> Vec<HeaderName> {
        match self {
            Settings::None | Settings::ClientCertificate(_) => Vec::new(),
            Settings::Jwt(_) => vec![AUTHORIZATION],
            Settings::ApiKey(_) | Settings::Forward(_) | Settings::TrustedHeader(_) => {
                self.fields().iter().filter(|name| **name != COOKIE).cloned().collect()
            }
        }
    }

    /// How one may say who he is, for `WWW-Authenticate` (RFC 9110 §11.6.1, RFC 6750 §3).
    pub fn challenges(&self, refusal: &Refusal) -> Vec<HeaderValue> {
        if !refusal.challenges.is_empty() {
            return refusal.challenges.clone();
        }
        let text = match (self, refusal.why) {
            (Settings::None, _) | (_, Denied::NoKeys | Denied::NoAnswer | Denied::Forbidden) => return Vec::new(),
            (Settings::Jwt(_), Denied::Missing) => "Bearer",
            (Settings::Jwt(_), Denied::Scope) => "Bearer error=\"insufficient_scope\"",
            (Settings::Jwt(_), _) => "Bearer error=\"invalid_token\"",
            (_, Denied::Scope) => return Vec::new(),
            (Settings::ApiKey(_), _) => "ApiKey",
            (Settings::Forward(_), _) => "Forward",
            (Settings::TrustedHeader(_), _) => "TrustedHeader",
            (Settings::ClientCertificate(_), _) => "ClientCertificate",
        };
        vec![HeaderValue::from_static(text)]
    }

    /// The fields by which the origin is told who is calling: nobody but this check may send them, or with [`Sender::Proxies`] a trusted
    /// peer.
    pub fn told(&self) -> impl Iterator<Item = (&HeaderName, Sender)> {
        let (judge, named, sender) = match self {
            Settings::None | Settings::ApiKey(_) | Settings::Jwt(_) => (&[][..], None, Sender::Nobody),
            // The name is known by that field; an origin that gets it from a client would believe it as well.
            Settings::Forward(forward) => {
                let question = forward.question();
                (&question.pass_back[..], question.user_header.as_ref(), Sender::Nobody)
            }
            Settings::ClientCertificate(certificate) => (certificate.tell.as_slice(), None, Sender::Nobody),
            Settings::TrustedHeader(trusted) => (&[][..], Some(&trusted.header), Sender::Proxies),
        };
        judge.iter().map(|name| (name, Sender::Nobody)).chain(named.map(move |name| (name, sender)))
    }

    /// The fields that say who is calling, beside those that always do.
    pub fn fields(&self) -> &[HeaderName] {
        match self {
            Settings::ApiKey(keys) => match &keys.place {
                Place::Header(name) => std::slice::from_ref(name),
                Place::Query(_) => &[],
            },
            Settings::Forward(forward) => &forward.question().headers,
            Settings::TrustedHeader(trusted) => std::slice::from_ref(&trusted.header),
            Settings::None | Settings::Jwt(_) | Settings::ClientCertificate(_) => &[],
        }
    }

    /// The parameter of the query that is a credential, if one is.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Settings::ApiKey(keys) => match &keys.place {
                Place::Query(name) => Some(name),
                Place::Header(_) => None,
            },
            Settings::None
            | Settings::Jwt(_)
            | Settings::Forward(_)
            | Settings::TrustedHeader(_)
            | Settings::ClientCertificate(_) => None,
        }
    }
}

/// The query without parameters that are credentials: these are no part of what is looked up, and not for the origin. `None` where nothing
/// has to go.
pub fn without_parameters(query: &str, names: &[String]) -> Option<String> {
    let goes = |pair: &&str| names.iter().any(|name| is_parameter(pair, name));
    if !query.split('&').any(|pair| goes(&pair)) {
        return None;
    }
    Some(query.split('&').filter(|pair| !goes(pair)).collect::<Vec<_>>().join("&"))
}
