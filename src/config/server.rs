//! `[server]`.

use super::address::network;
use super::bounds;
use super::read::no_twins;
use super::reader::Place;
use super::table::{Table, Value};
use super::tls::{path_to_be, tls};
use crate::listener::{Limits, Network, Settings};
use std::net::SocketAddr;
use std::path::PathBuf;

/// An address to bind, with its place.
pub(super) type Bound<'a> = (Place<'a>, SocketAddr);

/// Reads `[server]`; its addresses are added to `bound`.
pub(super) fn server<'a>(root: &Table<'a>, bound: &mut Vec<Bound<'a>>) -> Settings {
    let mut settings = Settings::default();
    let Some(table) = root.table("server") else {
        bound.extend(settings.listen.iter().map(|a| (root.place_of("server"), *a)));
        return settings;
    };
    table.set("listen", &mut settings.listen, |v| listen(v, bound));
    if table.find("listen").is_none() {
        bound.extend(settings.listen.iter().map(|a| (table.place_of("listen"), *a)));
    }
    settings.tls = tls(&table);
    table.set("http2", &mut settings.http2, Value::bool);
    table.set("trusted_proxies", &mut settings.trusted_proxies, trusted_proxies);
    table.set("resolver", &mut settings.resolver, |v| v.list(bounds::RESOLVERS, name_server));
    table.set("purge_method", &mut settings.purge_method, Value::bool);
    settings.handover = table.get("handover", handover);
    if let Some(t) = table.table("limits") {
        settings.limits = limits(t);
    }
    if let Some(t) = table.table("drain") {
        t.set("delay", &mut settings.drain_delay, |v| v.duration(&bounds::DRAIN));
        t.set("deadline", &mut settings.drain_deadline, |v| v.duration(&bounds::DRAIN));
        t.finish();
    }
    table.finish();
    settings
}

/// The name of a socket has to fit into its address, with a few letters more for the next one (unix(7)).
fn handover(value: &Value<'_>) -> Option<PathBuf> {
    let path = path_to_be(value)?;
    let most = bounds::SOCKET_PATH;
    if path.as_os_str().len() > most {
        return value.wrong(&format!("a path of at most {most} bytes, with the folder of the configuration"));
    }
    Some(path)
}

fn listen<'a>(value: &Value<'a>, bound: &mut Vec<Bound<'a>>) -> Option<Vec<SocketAddr>> {
    let places = value.list(bounds::LISTENS, |v| Some((v.at.clone(), address(v)?)))?;
    if value.value.as_array().is_some_and(|array| array.is_empty()) {
        return value.wrong("at least one address such as \"127.0.0.1:8080\"");
    }
    let addresses = places.iter().map(|(_, address)| *address).collect();
    bound.extend(places);
    Some(addresses)
}

/// Reads an address with a port.
pub(super) fn address(value: &Value<'_>) -> Option<SocketAddr> {
    let expected = "an IP address and a port such as \"127.0.0.1:8080\" or \"[::1]:8080\"; port 0 takes a free one";
    let address = value.value.as_str().and_then(|text| text.parse().ok());
    address.or_else(|| value.wrong(expected))
}

fn name_server(value: &Value<'_>) -> Option<SocketAddr> {
    let text = value.value.as_str();
    let found = text.and_then(|text| text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse().ok()?, 53))));
    found.or_else(|| value.wrong("the IP address of a name server, with a port if it isn't 53"))
}

fn trusted_proxies(value: &Value<'_>) -> Option<Vec<Network>> {
    let networks = value.list(bounds::PROXIES, |v| Some((v.at.clone(), v.parsed(network)?)))?;
    no_twins(&networks);
    for (place, _) in networks.iter().filter(|(_, network)| network.bits == 0) {
        place.warn("everybody's Forwarded and X-Forwarded-* fields are believed");
    }
    Some(networks.into_iter().map(|(_, network)| network).collect())
}

fn limits(t: Table<'_>) -> Limits {
    let mut l = Limits::default();
    t.set("connections", &mut l.connections, |v| v.count(bounds::CONNECTIONS));
    t.set("connections_per_address", &mut l.connections_per_address, |v| v.count(bounds::CONNECTIONS));
    t.set("header_bytes", &mut l.header_bytes, |v| usize::try_from(v.size(bounds::HEADER_BYTES)?).ok());
    t.set("header_count", &mut l.header_count, |v| v.count(bounds::HEADER_COUNT));
    t.set("header_timeout", &mut l.header_timeout, |v| v.duration(&bounds::HEADER_TIMEOUT));
    t.set("idle_timeout", &mut l.idle_timeout, |v| v.duration(&bounds::IDLE_TIMEOUT));
    t.set("request_body", &mut l.request_body, |v| v.or_none(|v| v.size(bounds::REQUEST_BODY)));
    t.set("query_body", &mut l.query_body, |v| v.size(bounds::QUERY_BODY));
    t.set("body_min_rate", &mut l.body_min_rate, |v| v.size(bounds::BODY_MIN_RATE));
    t.set("write_stall", &mut l.write_stall, |v| v.duration(&bounds::WRITE_STALL));
    t.set("h2_streams", &mut l.h2_streams, |v| u32::try_from(v.count(bounds::H2_STREAMS)?).ok());
    t.set("origin_requests", &mut l.origin_requests, |v| v.count(bounds::ORIGIN_REQUESTS));
    t.set("waiting_requests", &mut l.waiting_requests, |v| v.count(bounds::WAITING_REQUESTS));
    t.set("variants_per_path", &mut l.variants_per_path, |v| v.count(bounds::VARIANTS_PER_PATH));
    t.set("keys_per_caller", &mut l.keys_per_caller, |v| v.count(bounds::KEYS_PER_CALLER));
    t.set("fills", &mut l.fills, |v| v.count(bounds::FILLS));
    t.set("background_refreshes", &mut l.background_refreshes, |v| v.count(bounds::BACKGROUND_REFRESHES));
    t.set("compressions", &mut l.compressions, |v| v.count(bounds::COMPRESSIONS));
    t.finish();
    l
}

/// Faults for two listeners that can't both have their port.
pub(super) fn no_clash(bound: &[Bound<'_>]) {
    for (i, (place, address)) in bound.iter().enumerate() {
        let clashes = |other: &SocketAddr| {
            let any = address.ip().is_unspecified() || other.ip().is_unspecified();
            let same_family = address.is_ipv4() == other.is_ipv4();
            address.port() != 0 && address.port() == other.port() && same_family && (any || address.ip() == other.ip())
        };
        if let Some((first, other)) = bound[..i].iter().find(|(_, other)| clashes(other)) {
            place.fault(format!("{address} clashes with {other} of {} in line {}", first.path(), first.line()));
        }
    }
}
