//! Step 1: is the request sane, which API answers it, who is calling?

use super::Settings;
use super::problem::Problem;
use crate::body::Body;
use crate::policy::{Apis, Identity, Routed, canonical_host, canonical_path, check_query, is_credential};
use crate::rfc9110::fields::{has_any, has_token, list, strip_hop_by_hop_but, strip_twins};
use crate::rfc9111;
use crate::trace::Trace;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, IF_RANGE, MAX_FORWARDS, ORIGIN,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use memchr::memmem;
use std::sync::Arc;

/// A request that may go on.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) method: Method,
    /// The scheme by which the client asks us.
    pub(super) scheme: &'static str,
    /// How many gateways of this kind it has been through.
    pub(super) hops: u8,
    /// The Host, canonical, with its port.
    pub(super) host: String,
    /// The target as written.
    pub(super) uri: Uri,
    pub(super) routed: Routed,
    pub(super) identity: Identity,
    /// The authenticated caller.
    pub(super) user: Option<Arc<str>>,
    /// The same, if it is a name that somebody has told and that the log may show.
    pub(super) shown: Option<Arc<str>>,
    /// The end-to-end fields: key, partition and `Vary` see what the origin sees, and nothing that `Connection` takes away.
    pub(super) fields: HeaderMap,
    /// What a trusted proxy says that changes what is asked, as the key has it.
    pub(super) claims: Vec<u8>,
    pub(super) has_body: bool,
    /// The content of a QUERY, once it was read.
    pub(super) content: Option<Bytes>,
    /// Whether the client takes trailer fields (RFC 9110 §10.1.4).
    pub(super) trailers: bool,
    /// The protocol to switch to, and the client's side of the tunnel.
    pub(super) upgrade: Option<(String, OnUpgrade)>,
    /// Where there are traces.
    pub(super) trace: Option<Arc<Trace>>,
}

/// Whether a request is a question that is asked by its content.
pub(super) fn is_query(method: &Method) -> bool {
    method.as_str() == "QUERY"
}

/// How a request is answered, by its method.
pub(super) enum Way {
    /// From the store, or for it.
    Read,
    /// The same, once its content is known.
    Query,
    /// By the origin; nothing is stored or invalidated.
    Pass,
    /// By the origin; what it changes is invalidated.
    Change,
}

impl Admitted {
    /// Which way it goes.
    #[inline]
    pub(super) fn way(&self) -> Way {
        match self.method {
            Method::GET | Method::HEAD => Way::Read,
            _ if is_query(&self.method) && self.routed.rules.cache => Way::Query,
            _ if self.routed.rules.safe || rfc9111::is_safe(&self.method) => Way::Pass,
            _ => Way::Change,
        }
    }

    /// A GET of the same target by the same client.
    pub(super) fn read_of_target(&self) -> Admitted {
        let routed = self.routed.mounted.route(&Method::GET, self.routed.path.clone());
        Admitted {
            method: Method::GET,
            scheme: self.scheme,
            hops: self.hops,
            host: self.host.clone(),
            uri: self.uri.clone(),
            routed,
            identity: self.identity.clone(),
            user: self.user.clone(),
            shown: self.shown.clone(),
            fields: self.fields.clone(),
            claims: self.claims.clone(),
            has_body: false,
            content: None,
            trailers: self.trailers,
            upgrade: None,
            trace: None,
        }
    }
}

/// Admits `request` or says why not. The body comes apart, since it is used once.
pub(super) fn admit(request: Request<Body>, apis: &Apis, settings: &Settings) -> Result<(Admitted, Body), Problem> {
    let (mut parts, body) = request.into_parts();
    if parts.headers.len() > settings.header_count {
        let detail = format!(
            "the request has {} fields; the limit is {} (server.limits.header_count)",
            parts.headers.len(),
            settings.header_count
        );
        let name = "head-too-large";
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, name, detail).closing());
    }
    if is_miswritten(&parts.method) {
        let detail = "methods are written in capitals; some origins would take this one for another";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-method", detail).closing());
    }
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        let detail = format!("{} is not served here", parts.method);
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-refused", detail).closing());
    }
    let host = host(&parts.uri, &parts.headers)?;
    let hops = hops(&parts.headers)?;
    framing(&mut parts.headers, settings.request_body)?;
    repeated(&parts.headers)?;
    let path = canonical_path(parts.uri.path()).map_err(Problem::bad_target)?.into_owned();
    check_query(parts.uri.query().unwrap_or_default()).map_err(Problem::bad_target)?;
    let Some(mounted) = apis.find(&host, &path) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-api", "no API answers on this host and path"));
    };
    let routed = mounted.route(&parts.method, path);
    if apis.is_checked_otherwise(&host, &routed, &parts.method) {
        let detail = "read with its escapes and without its parameters this path is for other callers";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "ambiguous-path", detail).closing());
    }
    let has_body = !body.is_end_stream();
    let protocol = switched_to(&routed.rules.upgrade, &parts.method, &parts.headers);
    let upgrade = protocol.zip(parts.extensions.remove::<OnUpgrade>());
    let trailers = has_any(&parts.headers, &[TE]) && has_token(&parts.headers, &TE, "trailers");
    strip_hop_by_hop_but(&mut parts.headers, |name| is_relied_on(&routed, name));
    strip_twins(&mut parts.headers);
    one_cookie_line(&mut parts.headers);
    drop_panel_cookie(&mut parts.headers);
    let admitted = Admitted {
        method: parts.method,
        scheme: "http",
        hops,
        host,
        uri: parts.uri,
        routed,
        identity: Identity::default(),
        user: None,
        shown: None,
        fields: parts.headers,
        claims: Vec::new(),
        has_body,
        content: None,
        trailers,
        upgrade,
        trace: None,
    };
    Ok((admitted, body))
}

/// Whether a method is a usual one but for the case of its letters, which matters (RFC 9110 §9.1).
fn is_miswritten(method: &Method) -> bool {
    let text = method.as_str();
    let usual = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY", "PURGE"];
    usual.iter().any(|name| name.eq_ignore_ascii_case(text) && *name != text)
}

/// Gateways in a row are fine, a ring of them isn't: a request that has been through so many comes back for ever.
/// Otherwise how many there were.
pub(super) fn hops(fields: &HeaderMap) -> Result<u8, Problem> {
    const MOST: u8 = 8;
    if !has_any(fields, &[VIA]) {
        return Ok(0);
    }
    let through = list(fields, &VIA).filter(|hop| hop.ends_with(" freshgate")).take(MOST.into()).count() as u8;
    if through < MOST {
        return Ok(through);
    }
    let detail =
        format!("this request has been through {MOST} gateways of this kind; does an upstream lead back here?");
    Err(Problem::new(StatusCode::LOOP_DETECTED, "loop", detail).closing())
}

/// Exactly one valid Host, which agrees with the authority of an absolute-form target (RFC 9112 §3.2).
pub(super) fn host(uri: &Uri, fields: &HeaderMap) -> Result<String, Problem> {
    use crate::policy::BadTarget::{BadHost, HostMismatch, Malformed};
    let mut lines = fields.get_all(HOST).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(Problem::bad_target(BadHost)) };
    let text = line.to_str().map_err(|_| Problem::bad_target(BadHost))?;
    let host = canonical_host(text).map_err(Problem::bad_target)?;
    if uri.scheme_str().is_some_and(|s| s != "http" && s != "https") {
        return Err(Problem::bad_target(Malformed));
    }
    if let Some(authority) = uri.authority() {
        let other = canonical_host(authority.as_str()).map_err(Problem::bad_target)?;
        if other != host {
            return Err(Problem::bad_target(HostMismatch));
        }
    }
    Ok(host.into_owned())
}

/// Fields of which one reader takes the first line and another the last, where that decides about who asks and what is asked.
const ONCE: [HeaderName; 6] = [AUTHORIZATION, CONTENT_TYPE, IF_RANGE, MAX_FORWARDS, ORIGIN, PROXY_AUTHORIZATION];

/// No field that may have one line only has several (RFC 9110 §5.3). Those that matter to caches alone are read strictly where
/// they are read.
pub(super) fn repeated(fields: &HeaderMap) -> Result<(), Problem> {
    if fields.len() == fields.keys_len() {
        return Ok(());
    }
    match ONCE.iter().find(|name| fields.get_all(*name).iter().nth(1).is_some()) {
        Some(name) => {
            let detail = format!("several {name} fields in one request");
            Err(Problem::new(StatusCode::BAD_REQUEST, "repeated-field", detail).closing())
        }
        None => Ok(()),
    }
}

/// What says who asks, or belongs to the key: `Connection` can't take it away either.
pub(super) fn is_relied_on(routed: &Routed, name: &HeaderName) -> bool {
    let rules = &routed.rules;
    is_credential(&rules.key, name) || rules.key.headers.contains(name) || rules.auth.fields().contains(name)
}

/// Joins the lines of Cookie (RFC 9113 §8.2.3): an origin may read the first or the last, and the partition is of all.
fn one_cookie_line(fields: &mut HeaderMap) {
    let lines: Vec<&[u8]> = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(line) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        fields.insert(COOKIE, line);
    }
}

/// What the cookies of the control panel's sessions are called, over TLS with a prefix.
const PANEL_COOKIE: &[u8] = b"freshgate_session=";

/// Takes the panel's session out of the only line of Cookie. A browser shows it to every port of the host, and neither is it an origin's
/// business, nor should who is signed in there be another caller here.
fn drop_panel_cookie(fields: &mut HeaderMap) {
    let is_panel = |pair: &[u8]| pair.strip_prefix(b"__Host-").unwrap_or(pair).starts_with(PANEL_COOKIE);
    let Some(line) = fields.get(COOKIE).filter(|line| memmem::find(line.as_bytes(), PANEL_COOKIE).is_some()) else {
        return;
    };
    let pairs = line.as_bytes().split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let pairs: Vec<&[u8]> = pairs.filter(|pair| !is_panel(pair)).collect();
    match HeaderValue::from_bytes(&pairs.join(&b"; "[..])) {
        Ok(rest) if !rest.is_empty() => drop(fields.insert(COOKIE, rest)),
        Ok(_) | Err(_) => drop(fields.remove(COOKIE)),
    }
}

/// One way to tell where the body ends (RFC 9112 §6.3), and not beyond the limit.
pub(super) fn framing(fields: &mut HeaderMap, body_limit: Option<u64>) -> Result<(), Problem> {
    if !has_any(fields, &[CONTENT_LENGTH, TRANSFER_ENCODING]) {
        return Ok(());
    }
    let bad = |name, detail: &str| Err(Problem::new(StatusCode::BAD_REQUEST, name, detail).closing());
    let lengths = fields.get_all(CONTENT_LENGTH).iter().count();
    let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if lengths > 0 {
            return bad("two-lengths", "Transfer-Encoding and Content-Length in one request");
        }
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return bad("transfer-coding", "the only transfer coding taken here is one `chunked`");
        }
    }
    if lengths > 1 {
        return bad("two-lengths", "several Content-Length fields in one request");
    }
    let length = fields.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    match (length, body_limit) {
        (Some(length), Some(limit)) if length > limit => {
            let detail =
                format!("the request's body has {length} bytes; the limit is {limit} (server.limits.request_body)");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "request-too-large", detail).closing())
        }
        (Some(length), _) => {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(length)); // zeros before it make it octal to some
            Ok(())
        }
        (None, _) => Ok(()),
    }
}

/// The protocol to switch to, if the client asks for one that the API lists. Others are ignored (RFC 9110 §7.8), and
/// so is the wish with any method but GET: what a write touches must be invalidated whatever else it wants.
pub(super) fn switched_to(allowed: &[String], method: &Method, fields: &HeaderMap) -> Option<String> {
    if allowed.is_empty() || *method != Method::GET || !has_token(fields, &CONNECTION, "upgrade") {
        return None;
    }
    let mut offered = list(fields, &UPGRADE).map(str::to_ascii_lowercase);
    offered.find(|protocol| allowed.contains(protocol))
}
