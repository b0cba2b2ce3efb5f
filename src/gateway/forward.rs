//! What the origin is sent: the client's fields without what belongs to the connection, and with what proxies add.

use super::admit::{Admitted, is_relied_on};
use super::status::VIA_VALUE;
use crate::body::{Body, BodyError};
use crate::client::Client;
use crate::policy::{HostHeader, KeyRules, Names, Routed, canonical_query, is_credential, kept_cookies, write_claims};
use crate::rfc9110::fields::{is_twin, may_trail, members, remove_all};
use crate::upstream::HostChoice;
use bytes::Bytes;
use http::header::{COOKIE, EXPECT, FORWARDED, HOST, HeaderName, TE, VIA};
use http::{HeaderMap, HeaderValue, Uri};
use http_body::{Body as _, Frame, SizeHint};
use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

const SURROGATE_CAPABILITY: HeaderName = HeaderName::from_static("surrogate-capability");

/// What this cache tells an origin that it understands of `Surrogate-Control`, and under which name.
const CAPABILITY: &[u8] = b"freshgate=\"Surrogate/1.0\"";

/// Takes the cookies that don't count out of a request that may be cached: key, `Vary` and the origin all see the rest.
pub(super) fn drop_ignored_cookies(admitted: &mut Admitted) {
    let cookies = &admitted.routed.rules.key.cookies;
    if *cookies == Names::All || !admitted.fields.contains_key(COOKIE) {
        return;
    }
    let kept = kept_cookies(cookies, &admitted.fields);
    admitted.fields.remove(COOKIE);
    if let Some(value) = kept.and_then(|c| HeaderValue::from_maybe_shared(Bytes::from(c)).ok()) {
        admitted.fields.insert(COOKIE, value);
    }
}

/// The fields that the origin is sent, without Host, made of the client's.
pub(super) fn fields(admitted: &Admitted, mut fields: HeaderMap, client: &Client, trusted: bool) -> HeaderMap {
    if let Some(source) = admitted.routed.mounted.api.source() {
        // Nobody's question in particular: the object will be everybody's.
        fields = source.fields.clone();
        for _ in 0..=admitted.hops {
            fields.append(VIA, VIA_VALUE); // as many as it has been through: a ring has to be seen
        }
        return fields;
    }
    remove_all(&mut fields, &[HOST, EXPECT]); // the latter is answered here: hyper says 100 when the body is first read
    drop_overrides(&mut fields);
    if !trusted {
        drop_claims(&mut fields, admitted);
    }
    if admitted.trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    fields.append(VIA, VIA_VALUE);
    put_member(&mut fields, SURROGATE_CAPABILITY, trusted, &[CAPABILITY]);
    tell_who(&mut fields, admitted, client, trusted);
    fields
}

/// Fields by which a proxy tells an origin where a request really came from and what it really asks for. From anybody else they would be
/// an input that no key knows: an answer made by them would be everybody's.
const CLAIMS: [&str; 35] = [
    "cf-connecting-ip",
    "cf-visitor",
    "client-ip",
    "cluster-client-ip",
    "fastly-client-ip",
    "fastly-ssl",
    "forwarded-for",
    "forwarded-host",
    "forwarded-proto",
    "front-end-https",
    "http-method-override",
    "http2-settings",
    "proxy",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-arr-ssl",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-original-path",
    "x-forwarded",
    "x-host",
    "x-http-destinationurl",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-http-path-override",
    "x-method-override",
    "x-middleware-subrequest",
    "x-originating-ip",
    "x-proxy-url",
    "x-real-host",
    "x-real-ip",
    "x-remote-addr",
    "x-scheme",
    "x-url-scheme",
];

/// And whatever begins so; but those that sign-in proxies use are credentials, and the key knows them.
const CLAIMS_BEGIN: [&str; 3] = ["x-forwarded-", "x-original-", "x-rewrite-"];

/// Whether `name` is one of them, also with `_` in place of `-`, which many origins can't tell apart.
fn is_claim(rules: &KeyRules, name: &HeaderName) -> bool {
    let text = name.as_str();
    // Not every name begins like one.
    if !matches!(text.as_bytes().first(), Some(b'c' | b'f' | b'h' | b'p' | b't' | b'w' | b'x')) {
        return false;
    }
    let plain = if text.contains('_') { Cow::Owned(text.replace('_', "-")) } else { Cow::Borrowed(text) };
    let begins = || CLAIMS_BEGIN.iter().any(|begin| plain.starts_with(begin)) && !is_credential(rules, name);
    CLAIMS.binary_search(&&*plain).is_ok() || begins()
}

/// Those that say where a request comes from only: an origin that minds has to say so (`Vary: X-Forwarded-For`, and nothing is kept).
const ADDRESSES: [&str; 11] = [
    "cf-connecting-ip",
    "cluster-client-ip",
    "fastly-client-ip",
    "forwarded-for",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded-for",
    "x-originating-ip",
    "x-real-ip",
    "x-remote-addr",
];

/// What a trusted proxy says of a request beside where it comes from, as the key has it: the name that a client used, say. Not all of it
/// is the proxy's own word: few drop an `X-Original-URL` of their clients. Empty where nothing is said or believed.
pub(super) fn claims(admitted: &Admitted, is_trusted: impl FnOnce() -> bool) -> Vec<u8> {
    if !is_trusted() {
        return Vec::new();
    }
    let (fields, rules) = (&admitted.fields, &admitted.routed.rules.key);
    let counts = |name: &&HeaderName| {
        **name == FORWARDED || is_claim(rules, name) && !ADDRESSES.contains(&name.as_str().replace('_', "-").as_str())
    };
    let mut names: Vec<&HeaderName> = fields.keys().filter(counts).collect();
    let mut key = Vec::new();
    if names.is_empty() {
        return key;
    }
    names.sort_unstable_by_key(|name| name.as_str());
    let lines = names.into_iter().flat_map(|name| fields.get_all(name).into_iter().map(move |value| (name, value)));
    let claims: Vec<(&str, Cow<'_, [u8]>)> = lines
        .map(|(name, value)| match *name == FORWARDED {
            true => (name.as_str(), Cow::Owned(without_addresses(value.as_bytes()))),
            false => (name.as_str(), Cow::Borrowed(value.as_bytes())),
        })
        .filter(|(_, value)| !value.is_empty())
        .collect();
    if !claims.is_empty() {
        write_claims(&mut key, claims.iter().map(|(name, value)| (*name, &**value)));
    }
    key
}

/// A line of Forwarded without its `for` and `by` (RFC 7239 §4).
fn without_addresses(line: &[u8]) -> Vec<u8> {
    let is_address = |pair: &&[u8]| {
        let value =
            |name: &[u8]| pair.get(..name.len()).filter(|n| n.eq_ignore_ascii_case(name)).map(|_| &pair[name.len()..]);
        value(b"for=").or_else(|| value(b"by=")).is_some_and(is_node)
    };
    let pairs = members(line).flat_map(|member| member.split(|b| *b == b';')).map(<[u8]>::trim_ascii);
    pairs.filter(|pair| !is_address(pair)).collect::<Vec<_>>().join(&b';')
}

/// An address, `unknown` or an obfuscated name (RFC 7239 §6), and nothing that a generous reader could take for another pair.
fn is_node(value: &[u8]) -> bool {
    let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
    !bare.is_empty() && bare.iter().all(|b| b.is_ascii_alphanumeric() || b"._-:[]".contains(b))
}

/// Fields by which a method or a target is given another one. No proxy needs them to say what it was asked, and few drop them of their
/// clients: behind the checks for the one an origin would do the other.
const OVERRIDES: [&str; 9] = [
    "x-http-destinationurl",
    "x-http-method",
    "x-http-method-override",
    "x-http-path-override",
    "x-method-override",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-uri",
    "x-rewrite-url",
];

fn drop_overrides(fields: &mut HeaderMap) {
    let is_override = |name: &&HeaderName| {
        let text = name.as_str();
        text.starts_with('x') && OVERRIDES.contains(&text.replace('_', "-").as_str())
    };
    let overrides: Vec<HeaderName> = fields.keys().filter(is_override).cloned().collect();
    remove_all(fields, &overrides);
}

/// What we, or the check of its caller, say ourselves stays.
fn drop_claims(fields: &mut HeaderMap, admitted: &Admitted) {
    let (rules, told) = (&admitted.routed.rules.key, &admitted.routed.mounted.told);
    let goes = |name: &&HeaderName| is_claim(rules, name) && !told.iter().any(|(told, _)| told == *name);
    let claims: Vec<HeaderName> = fields.keys().filter(goes).cloned().collect();
    remove_all(fields, &claims);
}

/// A request's body without the trailer fields that an origin could take for what was checked at its head (RFC 9110 §6.5.1).
pub(super) fn body(admitted: &Admitted, body: Body) -> Body {
    if body.is_end_stream() || body.size_hint().exact().is_some() {
        return body; // where the length is told there are no trailer fields
    }
    Body::stream(Trailing { body, routed: admitted.routed.clone() })
}

struct Trailing {
    body: Body,
    routed: Routed,
}

impl Trailing {
    fn without_early(&self, mut trailers: HeaderMap) -> HeaderMap {
        let early = |name: &&HeaderName| {
            let key = &self.routed.rules.key;
            let told = || self.routed.mounted.told.iter().any(|(told, _)| told == *name || is_twin(name, told));
            !may_trail(name) || is_claim(key, name) || is_relied_on(&self.routed, name) || told()
        };
        let early: Vec<HeaderName> = trailers.keys().filter(early).cloned().collect();
        remove_all(&mut trailers, &early);
        trailers
    }
}

impl http_body::Body for Trailing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_trailers() {
                Ok(trailers) => Frame::trailers(self.without_early(trailers)),
                Err(frame) => frame,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Says for whom we ask. What a client says about that is only believed, and added to, when it is a trusted proxy.
fn tell_who(fields: &mut HeaderMap, admitted: &Admitted, client: &Client, trusted: bool) {
    let believed = |fields: &HeaderMap, name: &HeaderName| trusted && fields.contains_key(name);
    let (node, host) = (client.node.as_bytes(), admitted.host.as_bytes());
    put_member(fields, X_FORWARDED_FOR, trusted, &[node]);
    if !believed(fields, &X_FORWARDED_HOST) {
        put_member(fields, X_FORWARDED_HOST, false, &[host]);
    }
    if !believed(fields, &X_FORWARDED_PROTO) {
        put_member(fields, X_FORWARDED_PROTO, false, &[admitted.scheme.as_bytes()]);
    }
    let (open, close): (&[u8], &[u8]) = if node.contains(&b':') { (b"\"[", b"]\"") } else { (b"", b"") };
    let own: &[u8] = if client.secure { b"https" } else { b"http" };
    let member = [b"for=", open, node, close, b";host=\"", host, b"\";proto=", own];
    put_member(fields, FORWARDED, trusted, &member);
}

/// Makes `member`, given in pieces, the value of a list field: behind what is there if that is believed, else in its place.
fn put_member(fields: &mut HeaderMap, name: HeaderName, believed: bool, member: &[&[u8]]) {
    let mut list = Vec::with_capacity(member.iter().map(|piece| piece.len()).sum());
    if believed {
        for line in fields.get_all(&name) {
            list.extend_from_slice(line.as_bytes());
            list.extend_from_slice(b", ");
        }
    }
    member.iter().for_each(|piece| list.extend_from_slice(piece));
    match HeaderValue::from_maybe_shared(Bytes::from(list)) {
        Ok(value) => drop(fields.insert(name, value)),
        Err(_) => drop(fields.remove(name)),
    }
}

/// Path and query at the origin: on cacheable requests the query as it is keyed, else as written.
pub(super) fn uri(admitted: &Admitted, cacheable: bool) -> Option<Uri> {
    if let Some(source) = admitted.routed.mounted.api.source() {
        let path = admitted.routed.sent();
        let key = admitted.routed.relative().trim_start_matches('/');
        return source.query(key).map_or_else(|| path.parse().ok(), |query| format!("{path}?{query}").parse().ok());
    }
    let written = admitted.uri.query();
    let query = if cacheable { canonical_query(&admitted.routed.rules.key, written) } else { written.map(Into::into) };
    let path = admitted.routed.sent();
    if path == admitted.uri.path() && query.as_deref() == written && admitted.uri.authority().is_none() {
        return Some(admitted.uri.clone());
    }
    match query {
        Some(query) => format!("{path}?{query}").parse().ok(),
        None => path.parse().ok(),
    }
}

/// The Host that the origin sees.
pub(super) fn host(admitted: &Admitted) -> HostChoice {
    let given = |host: &str| HeaderValue::try_from(host).map_or(HostChoice::Endpoint, HostChoice::Given);
    match &admitted.routed.rules.host_header {
        HostHeader::Upstream => HostChoice::Endpoint,
        HostHeader::Client => given(&admitted.host),
        HostHeader::Name(name) => given(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_sorted() {
        assert!(CLAIMS.is_sorted(), "they are looked up by halves");
    }
}
