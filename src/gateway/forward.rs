//! What the origin is sent: the client's fields without what belongs to the connection, and with what proxies add.

use super::admit::Admitted;
use super::status::VIA_VALUE;
use crate::client::Client;
use crate::policy::{HostHeader, Names, canonical_query, kept_cookies};
use crate::upstream::HostChoice;
use http::header::{COOKIE, EXPECT, FORWARDED, HOST, HeaderName, TE, VIA};
use http::{HeaderMap, HeaderValue, Uri};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Takes the cookies that don't count out of a request that may be cached: key, `Vary` and the origin all see the rest.
pub(super) fn drop_ignored_cookies(admitted: &mut Admitted) {
    let cookies = &admitted.routed.rules.key.cookies;
    if *cookies == Names::All || !admitted.fields.contains_key(COOKIE) {
        return;
    }
    let kept = kept_cookies(cookies, &admitted.fields);
    admitted.fields.remove(COOKIE);
    if let Some(value) = kept.and_then(|c| HeaderValue::from_maybe_shared(bytes::Bytes::from(c)).ok()) {
        admitted.fields.insert(COOKIE, value);
    }
}

/// The fields that the origin is sent, without Host, made of the client's.
pub(super) fn fields(admitted: &Admitted, mut fields: HeaderMap, client: &Client, trusted: bool) -> HeaderMap {
    fields.remove(HOST);
    fields.remove(EXPECT); // answered here: hyper says 100 when the body is first read
    if admitted.trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    fields.append(VIA, VIA_VALUE);
    tell_who(&mut fields, &admitted.host, client, trusted);
    fields
}

/// Says for whom we ask. What a client says about that is only believed, and added to, when it is a trusted proxy.
fn tell_who(fields: &mut HeaderMap, host: &str, client: &Client, trusted: bool) {
    let address = client.address.ip().to_canonical();
    if !trusted {
        for name in [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, FORWARDED] {
            fields.remove(name);
        }
    }
    append_member(fields, X_FORWARDED_FOR, &address.to_string());
    if !fields.contains_key(X_FORWARDED_HOST) {
        put(fields, X_FORWARDED_HOST, host);
    }
    if !fields.contains_key(X_FORWARDED_PROTO) {
        put(fields, X_FORWARDED_PROTO, "http");
    }
    let node = if address.is_ipv6() { format!("\"[{address}]\"") } else { address.to_string() };
    append_member(fields, FORWARDED, &format!("for={node};host=\"{host}\";proto=http"));
}

fn append_member(fields: &mut HeaderMap, name: HeaderName, member: &str) {
    let mut list: Vec<u8> = Vec::new();
    for line in fields.get_all(&name) {
        list.extend_from_slice(line.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(member.as_bytes());
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(list)) {
        fields.insert(name, value);
    }
}

fn put(fields: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        fields.insert(name, value);
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
