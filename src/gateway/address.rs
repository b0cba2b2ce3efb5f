//! Where a request comes from.
//!
//! Behind a trusted proxy the peer is the proxy, and all its clients would be one. What it says of its client is believed
//! there, as nginx does with `real_ip_recursive`: `X-Forwarded-For`, or else `Forwarded`, is read from the end, since each
//! proxy adds to it, and the first address that isn't a trusted proxy's is meant. What stands before it the client may
//! have written itself.

use http::header::{FORWARDED, HeaderName};
use http::{HeaderMap, HeaderValue};
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// An address, or the 64 bits of IPv6 that one customer has.
pub(super) fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

/// The address, as far as it can be believed; `None` where a trusted proxy names none.
pub(super) fn address(fields: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    if !trusts(peer) {
        return Some(peer);
    }
    let listed = fields.contains_key(X_FORWARDED_FOR);
    let name = if listed { X_FORWARDED_FOR } else { FORWARDED };
    let lines: Vec<&HeaderValue> = fields.get_all(name).iter().collect();
    for line in lines.into_iter().rev() {
        for member in line.to_str().ok()?.rsplit(',').map(str::trim).filter(|member| !member.is_empty()) {
            let node = if listed { Some(member) } else { forwarded_for(member) };
            let address = node.and_then(address_of)?;
            if !trusts(address) {
                return Some(address);
            }
        }
    }
    None
}

/// The node that a member of `Forwarded` is for (RFC 7239 §5.2).
fn forwarded_for(member: &str) -> Option<&str> {
    member.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// An address, with or without a port; of IPv6 with or without brackets.
fn address_of(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
    bare.parse().ok().or_else(|| node.parse().ok().map(|with_port: SocketAddr| with_port.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The peer, what it says, and whose word counts.
    type Row = (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>);

    #[test]
    fn the_last_that_no_trusted_proxy_is() {
        const XFF: &str = "x-forwarded-for";
        let rows: &[Row] = &[
            ("192.0.2.1", &[(XFF, "198.51.100.1")], Some("192.0.2.1")),
            ("10.0.0.1", &[(XFF, "198.51.100.1")], Some("198.51.100.1")),
            ("::ffff:10.0.0.1", &[(XFF, "198.51.100.1")], Some("198.51.100.1")),
            ("10.0.0.1", &[(XFF, "198.51.100.9, 198.51.100.1, 10.0.0.2")], Some("198.51.100.1")),
            ("10.0.0.1", &[(XFF, "198.51.100.9"), (XFF, "198.51.100.1")], Some("198.51.100.1")),
            ("10.0.0.1", &[(XFF, "198.51.100.1:4321,")], Some("198.51.100.1")),
            ("10.0.0.1", &[(XFF, "[2001:db8::1]:4321")], Some("2001:db8::1")),
            ("10.0.0.1", &[(XFF, "2001:db8::1")], Some("2001:db8::1")),
            ("10.0.0.1", &[(XFF, "198.51.100.1, unknown")], None),
            ("10.0.0.1", &[(XFF, "10.0.0.2")], None),
            ("10.0.0.1", &[], None),
            (
                "10.0.0.1",
                &[("forwarded", "for=198.51.100.9, For=\"[2001:db8::1]:99\";proto=http")],
                Some("2001:db8::1"),
            ),
            ("10.0.0.1", &[("forwarded", "proto=https;for=198.51.100.1")], Some("198.51.100.1")),
            ("10.0.0.1", &[("forwarded", "for=_hidden")], None),
            ("10.0.0.1", &[("forwarded", "for=198.51.100.9"), (XFF, "198.51.100.1")], Some("198.51.100.1")),
        ];
        let trusts = |peer: IpAddr| peer.to_canonical().to_string().starts_with("10.");
        for (peer, said, want) in rows {
            let fields = crate::rfc9110::fields_of(said);
            let got = address(&fields, peer.parse().unwrap(), trusts);
            assert_eq!(got, want.map(|want| want.parse().unwrap()), "{peer} {said:?}");
        }
    }
}
