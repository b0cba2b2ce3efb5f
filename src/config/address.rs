//! Addresses as the file writes them: public paths, host names, networks, URLs of origins.
//!
//! A path in the file must be canonical already. It is compared with canonical request paths, so any other spelling
//! would never match, and to correct it silently would hide that `/a%2fb` and `/a/b` are different resources.

use crate::listener::Network;
use crate::upstream::Endpoint;
use std::net::{IpAddr, Ipv6Addr};

/// Longest path that the file may name, in bytes.
const LONGEST_PATH: usize = 1024;

/// Reads a canonical path that begins with `/`; the outcome is without the final slash, so that `/` is empty.
pub(super) fn path(text: &str) -> Result<String, String> {
    let Some(rest) = text.strip_prefix('/') else { return Err("a path begins with `/`".into()) };
    if text.len() > LONGEST_PATH {
        return Err(format!("a path has at most {LONGEST_PATH} bytes"));
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    for part in rest.split('/').filter(|_| !text.eq("/")) {
        segment(part)?;
    }
    Ok(if rest.is_empty() { String::new() } else { format!("/{rest}") })
}

/// Checks one segment of a canonical path (RFC 3986 §3.3, §6.2.2).
pub(super) fn segment(text: &str) -> Result<(), String> {
    match text {
        "" => return Err("a path has no empty segment (`//`)".into()),
        "." | ".." => return Err("a path here has no dot segments (`.`, `..`)".into()),
        _ => {}
    }
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => escape(&bytes.by_ref().take(2).collect::<Vec<u8>>())?,
            b'?' | b'#' => return Err("a path here has no `?` and no `#`".into()),
            b if is_unreserved(b) || b"!$&'()*+,;=:@".contains(&b) => {}
            b if b.is_ascii_graphic() => return Err(format!("`{}` must be written %{b:02X} in a path", char::from(b))),
            _ => return Err("blanks, control characters and letters beyond ASCII must be percent-escaped".into()),
        }
    }
    Ok(())
}

/// Checks the two digits after a `%`.
fn escape(digits: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(digits).unwrap_or_default();
    let byte = u8::from_str_radix(text, 16).ok().filter(|_| digits.len() == 2 && digits[0] != b'+');
    match byte {
        None => Err("`%` must be followed by two hexadecimal digits".into()),
        Some(b) if is_unreserved(b) => Err(format!("write `{}` instead of `%{text}`", char::from(b))),
        Some(b) if b.is_ascii_control() => Err("a path has no control characters, not even escaped".into()),
        Some(b) if digits.iter().any(u8::is_ascii_lowercase) => Err(format!("write `%{b:02X}` instead of `%{text}`")),
        Some(_) => Ok(()),
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Reads a host name or IPv4 address in lower case, without port.
pub(super) fn host(text: &str) -> Result<String, String> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    let labels = text.split('.').all(|label| !label.is_empty() && label.len() <= 63);
    if text.len() <= 253 && labels && text.bytes().all(known) {
        Ok(text.into())
    } else {
        Err("expected a host name in lower case without port, such as \"api.example.org\"".into())
    }
}

/// Reads `host` or `host:port`, as a Host field has it.
pub(super) fn authority(text: &str) -> Result<String, String> {
    let (name, port) = host_and_port(text)?;
    let name = if name.contains(':') { format!("[{name}]") } else { name };
    Ok(port.map_or(name.clone(), |port| format!("{name}:{port}")))
}

/// Reads an address (`10.0.0.1`, `::1`) or a range (`10.0.0.0/8`).
pub(super) fn network(text: &str) -> Result<Network, String> {
    const EXPECTED: &str = "expected an address such as \"10.0.0.1\" or a range such as \"10.0.0.0/8\" or \"fd00::/8\"";
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => most,
        Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits
            .parse()
            .ok()
            .filter(|bits| *bits <= most)
            .ok_or_else(|| format!("expected 0 to {most} bits after `/`"))?,
        Some(_) => return Err(EXPECTED.into()),
    };
    let first = first_of(address, bits);
    if first == address {
        Ok(Network { address, bits })
    } else {
        Err(format!("the range of {bits} bits begins at {first}; expected \"{first}/{bits}\""))
    }
}

fn first_of(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

/// Reads `http://host:port/base` or `https://…`, with weight 1.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let tls = match scheme {
        "http" => false,
        "https" => true,
        _ => return Err("expected a URL that begins with http:// or https://".into()),
    };
    if rest.contains(['?', '#']) {
        return Err("the URL of an origin has no query and no fragment".into());
    }
    let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = host_and_port(&authority.to_ascii_lowercase())?;
    let base = if base.is_empty() { String::new() } else { path(base)? };
    Ok(Endpoint { tls, host, port: port.unwrap_or(if tls { 443 } else { 80 }), base, weight: 1 })
}

/// Host without brackets, and the port if one is given.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), String> {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, rest)) => {
            let address: Ipv6Addr = v6.parse().map_err(|_| "expected an IPv6 address inside the brackets")?;
            let port = if rest.is_empty() {
                None
            } else {
                Some(rest.strip_prefix(':').ok_or("expected `:` and a port after `]`")?)
            };
            (address.to_string(), port)
        }
        None => {
            let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
            (host(name)?, port)
        }
    };
    let Some(digits) = port else { return Ok((name, None)) };
    let number = digits.parse().ok().filter(|p| *p > 0 && digits.bytes().all(|b| b.is_ascii_digit()));
    Ok((name, Some(number.ok_or("expected a port from 1 to 65535 after `:`")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_must_be_canonical() {
        for (text, meant) in
            [("/", ""), ("/a", "/a"), ("/a/b/", "/a/b"), ("/a%2Fb", "/a%2Fb"), ("/%C3%BC;v=1", "/%C3%BC;v=1")]
        {
            assert_eq!(path(text).as_deref(), Ok(meant));
        }
        for bad in [
            "", "a", "//", "/a//b", "/./a", "/a/..", "/a?b", "/a#b", "/a%2fb", "/a%41", "/a%2", "/a%zz", "/a%+1",
            "/a b", "/ü", "/a\\b", "/%00",
        ] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn endpoints_are_taken_apart() {
        let is = |tls, host: &str, port, base: &str| {
            Ok(Endpoint { tls, host: host.into(), port, base: base.into(), weight: 1 })
        };
        assert_eq!(endpoint("http://127.0.0.1:9000"), is(false, "127.0.0.1", 9000, ""));
        assert_eq!(endpoint("https://API.example.org/v2/"), is(true, "api.example.org", 443, "/v2"));
        assert_eq!(endpoint("http://[::1]:81/"), is(false, "::1", 81, ""));
        for bad in [
            "",
            "h",
            "ftp://h",
            "http://",
            "http:///a",
            "http://u@h",
            "http://h?q",
            "http://h/#f",
            "http://h:0",
            "http://h:",
            "http://h:65536",
            "http://h:+1",
            "http://h/a//b",
            "http://[::1",
            "http://[::1]x",
            "http://h ",
            "http://a:b:1",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_begin_where_they_say() {
        assert!(network("10.0.0.0/8").unwrap().contains([10, 1, 2, 3].into()));
        assert!(!network("10.0.0.1").unwrap().contains([10, 0, 0, 2].into()));
        assert!(network("0.0.0.0/0").is_ok() && network("::/0").is_ok() && network("fd00::/8").is_ok());
        assert!(network("10.0.0.1/8").unwrap_err().contains("\"10.0.0.0/8\""));
        for bad in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "example.org", "10.0.0.0/300"] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }
}
