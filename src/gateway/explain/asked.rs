//! What is to be explained: a request as a person describes it.

use super::super::list::Bad;
use crate::auth::{Caller, Settings};
use crate::body::Body;
use crate::client::{Client, Interim};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Where a request comes from of which nothing is said: an address that is nobody's (RFC 5737), so no trusted proxy's either.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A request to explain: the body of `POST /v1/explain`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Its method; GET where it isn't given.
    #[serde(default = "get")]
    pub method: String,
    /// Its public URL: `/path?query`, or with scheme and host.
    pub url: String,
    /// Its fields.
    #[serde(default)]
    pub headers: AskedFields,
    /// Its content.
    #[serde(default)]
    pub content: Option<String>,
    /// The caller whom the check is taken to have found; without it the fields say who is calling.
    #[serde(default)]
    pub caller: Option<GivenCaller>,
    /// The address it comes from.
    #[serde(default)]
    pub address: Option<IpAddr>,
}

fn get() -> String {
    "GET".into()
}

/// The fields of a request, as a list of pairs or as an object.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum AskedFields {
    /// In their order; names may come several times.
    List(Vec<(String, String)>),
    /// Each once.
    Named(BTreeMap<String, String>),
}

impl Default for AskedFields {
    fn default() -> Self {
        AskedFields::List(Vec::new())
    }
}

/// A caller, for those who haven't got its token.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenCaller {
    /// Its name.
    pub user: String,
    /// What it may do, as its check tells it: scopes of a key, `claim=value` of a token, `field: value` of a judge. Without them those of its key in the
    /// file, or what `claims` say.
    #[serde(default)]
    pub rights: Option<Vec<String>>,
    /// The claims of its token.
    #[serde(default)]
    pub claims: Option<Map<String, Value>>,
}

impl GivenCaller {
    /// As this check would have found it.
    pub(super) fn found_by(&self, auth: &Settings) -> Caller {
        let known = || match (auth, &self.claims) {
            (Settings::ApiKey(keys), _) => keys.rights_of(&self.user).unwrap_or_default(),
            (Settings::Jwt(jwt), Some(claims)) => jwt.demands().rights(claims).into(),
            (_, _) => Arc::default(),
        };
        Caller {
            user: self.user.as_str().into(),
            named: true,
            rights: self.rights.clone().map_or_else(known, Arc::from),
            claims: self.claims.clone().map(Arc::new),
            consumed: auth.consumes().into(),
            told: Arc::default(),
        }
    }
}

impl Asked {
    /// As a client would send it; to `host`, where it names none.
    ///
    /// # Errors
    /// Which member is no part of a request.
    pub(super) fn request(&self, host: &str) -> Result<Request<Body>, Bad> {
        let bad = |member, why: &str| Bad { member, why: why.to_owned() };
        let method =
            Method::from_bytes(self.method.as_bytes()).map_err(|_| bad("method", "not a method (RFC 9110 §9.1)"))?;
        let uri = self.uri()?;
        let content = self.content.clone().unwrap_or_default();
        let mut fields = self.fields()?;
        if !fields.contains_key(HOST) {
            let named = uri.authority().map_or(host, |authority| authority.as_str());
            let named = HeaderValue::try_from(named).map_err(|_| bad("url", "its host can't be sent"))?;
            fields.insert(HOST, named);
        }
        if !content.is_empty() && !fields.contains_key(CONTENT_LENGTH) && !fields.contains_key(TRANSFER_ENCODING) {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(content.len()));
        }
        let mut request = Request::new(if content.is_empty() { Body::empty() } else { Body::full(content) });
        // A client puts the host into its field, and asks for the rest.
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        *request.uri_mut() = target.parse().map_err(|_| bad("url", "its path can't be read"))?;
        *request.method_mut() = method;
        *request.headers_mut() = fields;
        Ok(request)
    }

    fn uri(&self) -> Result<Uri, Bad> {
        let bad = |why: &str| Bad { member: "url", why: why.to_owned() };
        let written = self.url.split('#').next().unwrap_or_default();
        let rest =
            written.split_once("://").map_or(Some(written), |(_, rest)| rest.find(['/', '?']).map(|at| &rest[at..]));
        match rest {
            Some(path) if path.starts_with('/') => {}
            Some(_) | None => return Err(bad("expected /path?query or http://host/path?query")),
        }
        let uri: Uri =
            written.parse().map_err(|_| bad("not a URL; what isn't ASCII, and blanks, must be percent-encoded"))?;
        match uri.scheme_str() {
            None | Some("http" | "https") => Ok(uri),
            Some(_) => Err(bad("begins with /, http:// or https://")),
        }
    }

    fn fields(&self) -> Result<HeaderMap, Bad> {
        let pairs: Vec<(&String, &String)> = match &self.headers {
            AskedFields::List(list) => list.iter().map(|(name, value)| (name, value)).collect(),
            AskedFields::Named(named) => named.iter().collect(),
        };
        let mut fields = HeaderMap::with_capacity(pairs.len().min(64));
        for (name, value) in pairs {
            let bad = |why: &str| Bad {
                member: "headers",
                why: format!("`{}` {why}", name.escape_debug().take(40).collect::<String>()),
            };
            let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("is not the name of a field"))?;
            let value = HeaderValue::from_bytes(value.trim().as_bytes())
                .map_err(|_| bad("has a value that no field may have"))?;
            fields.try_append(known, value).map_err(|_| bad("is one field too many"))?;
        }
        Ok(fields)
    }

    /// Who sends it.
    pub(super) fn client(&self) -> Client {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let client = Client::new(SocketAddr::new(self.address.unwrap_or(STRANGER), 0), nowhere, Interim::none());
        let secure = self.url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
        if secure { client.over_tls(None) } else { client }
    }
}
