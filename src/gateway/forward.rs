//! What the origin is sent: the client's fields without what belongs to the connection, and with what proxies add.

use super::admit::Admitted;
use super::status::VIA_VALUE;
use crate::client::Client;
use crate::policy::{HostHeader, Names, canonical_query, kept_cookies};
use crate::rfc9110::fields::{has_any, list, remove_all};
use crate::upstream::HostChoice;
use bytes::Bytes;
use http::header::{COOKIE, EXPECT, FORWARDED, HOST, HeaderName, TE, VIA};
use http::{HeaderMap, HeaderValue, Uri};
use std::borrow::Cow;

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
    remove_all(&mut fields, &[HOST, EXPECT]); // the latter is answered here: hyper says 100 when the body is first read
    if !trusted {
        drop_claims(&mut fields);
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
const CLAIMS: [&str; 21] = [
    "front-end-https",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded-by",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

fn drop_claims(fields: &mut HeaderMap) {
    let is_claim = |name: &&HeaderName| {
        let begins = name.as_str().starts_with("x-") || name.as_str().starts_with("front-");
        begins && CLAIMS.binary_search(&name.as_str()).is_ok()
    };
    let claims: Vec<HeaderName> = fields.keys().filter(is_claim).cloned().collect();
    remove_all(fields, &claims);
}

/// The scheme by which a client asks: its connection's, unless a trusted proxy says by which one it was asked itself. An origin
/// that leads from one to the other, or writes links, answers by it, so it is part of the key.
pub(super) fn scheme(fields: &HeaderMap, secure: bool, is_trusted: impl FnOnce() -> bool) -> Cow<'static, str> {
    let own = Cow::Borrowed(if secure { "https" } else { "http" });
    if !has_any(fields, &[X_FORWARDED_PROTO, FORWARDED]) || !is_trusted() {
        return own;
    }
    let told = match fields.get(X_FORWARDED_PROTO) {
        Some(value) => value.to_str().ok(),
        None => list(fields, &FORWARDED)
            .next()
            .and_then(|first| {
                let pairs = first.split(';').filter_map(|pair| pair.split_once('='));
                pairs.map(|(name, value)| (name.trim(), value)).find(|(name, _)| name.eq_ignore_ascii_case("proto"))
            })
            .map(|(_, value)| value.trim().trim_matches('"')),
    };
    match told {
        None => own,
        Some(told) if told.eq_ignore_ascii_case("http") => Cow::Borrowed("http"),
        Some(told) if told.eq_ignore_ascii_case("https") => Cow::Borrowed("https"),
        Some(other) => Cow::Owned(other.to_owned()),
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
