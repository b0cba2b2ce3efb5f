//! Names and URLs as `[api.auth]` writes them.

use super::super::address::{endpoint, path};
use super::super::table::Value;
use crate::auth::Url;
use http::HeaderName;
use http::header::COOKIE;
use std::net::IpAddr;
use std::sync::Arc;

const NEVER: &str = "this field can't say who is calling";

/// The URL of somebody who is asked about callers: path and query as they are, for the host a name or an address.
pub(super) fn url(value: &Value<'_>) -> Option<Url> {
    let text = value.text()?;
    if text.contains('@') {
        // What was found isn't repeated: it may hold a password.
        value.at.fault("this URL has no user and no password");
        return None;
    }
    let url = value.parsed(parse)?;
    let host = &url.endpoint.host;
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !url.endpoint.tls && !loopback {
        value.at.warn("without https whoever is on the way can say who is calling");
    }
    Some(url)
}

fn parse(text: &str) -> Result<Url, String> {
    let (bare, query) = text.split_once('?').map_or((text, None), |(bare, query)| (bare, Some(query)));
    let mut endpoint = endpoint(bare)?;
    let begin = bare.find("://").map_or(0, |at| at + 3);
    let target = bare[begin..].find('/').map_or("/", |at| &bare[begin + at..]);
    path(target)?;
    endpoint.base.clear();
    let target = query.map_or_else(|| target.to_owned(), |query| format!("{target}?{query}"));
    let target = target.parse().map_err(|_| "its query can't be sent")?;
    Ok(Url { text: text.into(), endpoint, target })
}

/// A field that says who is calling.
pub(super) fn field(text: &str) -> Result<HeaderName, &'static str> {
    any_field(text).and_then(|name| if name == COOKIE { Err(NEVER) } else { Ok(name) })
}

/// The same, cookies among them.
pub(super) fn any_field(text: &str) -> Result<HeaderName, &'static str> {
    const OTHERS: [&str; 15] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-connection",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    ];
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| "expected the name of a request field")?;
    let is_ours = name.as_str().starts_with("x-forwarded-") && !name.as_str().starts_with("x-forwarded-user");
    let is_address = ["x-real-ip", "x-client-ip", "true-client-ip"].contains(&name.as_str());
    if OTHERS.contains(&name.as_str()) || is_ours || is_address { Err(NEVER) } else { Ok(name) }
}

pub(super) fn parameter(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let fits = !text.is_empty() && text.len() <= 64 && text.chars().all(plain);
    fits.then(|| text.into()).ok_or("expected the name of a parameter: letters, digits, `-`, `_` and `.`")
}

pub(super) fn name_of(text: &str) -> Result<String, &'static str> {
    name(text).map(|name| name.to_string())
}

pub(super) fn name(text: &str) -> Result<Arc<str>, &'static str> {
    let fits = (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.into()).ok_or("expected a name of 1 to 256 bytes")
}

pub(super) fn scope(text: &str) -> Result<String, &'static str> {
    let fits = (1..=256).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    fits.then(|| text.into()).ok_or("expected a scope: 1 to 256 bytes without blanks")
}
