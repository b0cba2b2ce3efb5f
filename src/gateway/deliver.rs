//! Step 6: the answer as this client gets it.

use super::admit::is_query;
use super::asked::Asked;
use super::compress;
use super::status::{Status, VIA_VALUE};
use crate::body::Body;
use crate::clock::Now;
use crate::fill::span;
use crate::policy::{Api, ClientCache, SURROGATE_FIELDS, TAG_FIELDS};
use crate::rfc9110::accept_encoding::Coding;
use crate::rfc9110::fields::{OF_ONE_CONTENT, OF_ONE_REPRESENTATION, has_any, has_token, remove_all, strip_hop_by_hop};
use crate::rfc9110::range::{self, ContentRange, Part, Ranged};
use crate::rfc9110::{Validators, conditional};
use crate::rfc9111::MAX_DELTA_SECONDS;
use crate::store::{Content, Entry};
use bytes::Bytes;
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, HeaderName,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, RANGE, VARY, VIA,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Fields that a cache may spend on an answer beside the stored ones: Age, Via, Cache-Status and a few.
const SPARE_FIELDS: usize = 6;

/// An answer from an entry: whole, a part of it, or the word that the client's copy is current.
/// `growing` is its content while that isn't complete; `aged` whether it comes from the cache; `personal` what else this one is told.
pub(super) fn from_entry(
    asked: Asked<'_>,
    entry: &Entry,
    growing: Option<Body>,
    aged: bool,
    personal: &HeaderMap,
    status: &Status,
    now: Now,
) -> Response<Body> {
    let mut response = as_asked(asked, entry, growing, aged, personal, status, now);
    if let Some(reason) = entry.reason.as_deref().filter(|_| response.status() == entry.status) {
        response.extensions_mut().insert(reason.clone());
    }
    response
}

fn as_asked(
    asked: Asked<'_>,
    entry: &Entry,
    growing: Option<Body>,
    aged: bool,
    personal: &HeaderMap,
    status: &Status,
    now: Now,
) -> Response<Body> {
    let mut fields = entry.fields.unpack(SPARE_FIELDS);
    for (name, value) in personal {
        fields.append(name, value.clone());
    }
    let age = (entry.facts.age(now) / 1000).min(MAX_DELTA_SECONDS);
    if aged || age > 0 {
        fields.insert(AGE, HeaderValue::from(age));
    }
    let content = entry.content.get();
    if let Some(tag) = content.and_then(Content::etag) {
        fields.insert(ETAG, tag.clone()); // made where the origin gave none, or of an object none that tells versions apart
    }
    let coding = coding(asked, entry, &mut fields);
    let asks = has_any(asked.fields, &[IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE]);
    let validators = if asks { Validators::of(&fields) } else { Validators::default() };
    let is_found = matches!(entry.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT);
    if is_found && conditional::not_modified(asked.fields, &validators, now) {
        remove_all(&mut fields, &[CONTENT_LENGTH, CONTENT_RANGE]);
        if coding.is_some() {
            compress::weaken(&mut fields);
        }
        return finish(asked, StatusCode::NOT_MODIFIED, fields, Body::empty(), status);
    }
    if let (Some(content), None) = (content, &growing) {
        let stored = span(entry).or_else(|| ContentRange::whole(content.body.len() as u64));
        let complete = stored.map_or(0, |stored| stored.complete);
        let ranged = if is_found && *asked.method != Method::HEAD && coding.is_none() {
            range::select(asked.fields, &validators, complete, now)
        } else {
            Ranged::Whole
        };
        return match (ranged, stored) {
            (Ranged::Part(wanted), Some(stored)) => part(asked, fields, content, stored, wanted, status),
            (Ranged::Parts(wanted), Some(_)) => several(asked, fields, content, &wanted, status),
            (Ranged::Unsatisfiable, _) => unsatisfiable(asked, fields, complete, status),
            (Ranged::Whole | Ranged::Part(_) | Ranged::Parts(_), _) => {
                whole(asked, entry.status, fields, content, coding, status)
            }
        };
    }
    let body = growing.filter(|_| *asked.method != Method::HEAD).unwrap_or_else(Body::empty);
    let body = match coding {
        Some(coding) => compress::on_its_way(asked, &mut fields, body, coding),
        None => body,
    };
    finish(asked, entry.status, fields, body, status)
}

/// In what it is encoded for this client, if it is; where that would make it no smaller it isn't.
fn coding(asked: Asked<'_>, entry: &Entry, fields: &mut HeaderMap) -> Option<Coding> {
    let settings = asked.rules.compress.as_deref()?;
    let content = entry.content.get();
    let told = || fields.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    let length = content.map(|content| content.body.len() as u64).or_else(told);
    let coding = compress::negotiate(asked, settings, entry.status, fields, length)?;
    (content.and_then(|content| content.encoded(coding)) != Some(None)).then_some(coding)
}

/// The origin's answer as it is.
pub(super) fn own(asked: Asked<'_>, response: Response<Body>, status: &Status) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let mut fields = parts.headers;
    strip_hop_by_hop(&mut fields);
    let body = match asked.rules.compress.as_deref() {
        Some(settings) => compress::own(asked, settings, parts.status, &mut fields, body),
        None => body,
    };
    let mut response = finish(asked, parts.status, fields, body, status);
    if let Some(reason) = parts.extensions.remove::<ReasonPhrase>() {
        response.extensions_mut().insert(reason);
    }
    response
}

fn whole(
    asked: Asked<'_>,
    status: StatusCode,
    mut fields: HeaderMap,
    content: &Content,
    coding: Option<Coding>,
    cache: &Status,
) -> Response<Body> {
    let encoded = coding.and_then(|coding| Some((coding, content.encoded(coding)??)));
    let (bytes, mut trailers) =
        (encoded.map_or(&content.body, |(_, bytes)| bytes).clone(), content.trailers().cloned());
    let length = bytes.len();
    if let Some((coding, _)) = encoded {
        compress::tell(&mut fields, coding);
        trailers.iter_mut().for_each(|trailers| remove_all(trailers, &OF_ONE_REPRESENTATION));
    }
    let silent = matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT);
    if trailers.is_none() && !silent {
        fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let body = match (trailers, *asked.method == Method::HEAD) {
        (_, true) => Body::empty(),
        (None, false) => Body::full(bytes),
        (Some(trailers), false) => Body::with_trailers(bytes, trailers),
    };
    let body = match coding.filter(|_| encoded.is_none()) {
        Some(coding) => compress::on_its_way(asked, &mut fields, body, coding),
        None => body,
    };
    finish(asked, status, fields, body, cache)
}

/// The bytes `wanted` of a content that is what `stored` says; they lie within it.
fn part(
    asked: Asked<'_>,
    mut fields: HeaderMap,
    content: &Content,
    stored: ContentRange,
    wanted: Part,
    cache: &Status,
) -> Response<Body> {
    remove_all(&mut fields, &OF_ONE_CONTENT);
    put(&mut fields, CONTENT_RANGE, content_range(wanted, stored.complete));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(wanted.len()));
    let first = wanted.first.saturating_sub(stored.part.first);
    let piece = slice(&content.body, Part { first, last: first + wanted.len() - 1 });
    finish(asked, StatusCode::PARTIAL_CONTENT, fields, Body::full(piece), cache)
}

/// Several parts of a whole content, as `multipart/byteranges` (RFC 9110 §14.6, §15.3.7.2).
fn several(
    asked: Asked<'_>,
    mut fields: HeaderMap,
    content: &Content,
    wanted: &[Part],
    cache: &Status,
) -> Response<Body> {
    // Nobody who writes contents can know it, so none holds it.
    let boundary = format!("{:016x}", RandomState::new().hash_one(content.body.len()));
    let media_type = fields.get(CONTENT_TYPE).map(|value| [b"Content-Type: ", value.as_bytes(), b"\r\n"].concat());
    let mut body = Vec::new();
    for part in wanted {
        let range = content_range(*part, content.body.len() as u64);
        body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        body.extend_from_slice(media_type.as_deref().unwrap_or_default());
        body.extend_from_slice(format!("Content-Range: {range}\r\n\r\n").as_bytes());
        body.extend_from_slice(&slice(&content.body, *part));
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    remove_all(&mut fields, &OF_ONE_CONTENT);
    put(&mut fields, CONTENT_TYPE, format!("multipart/byteranges; boundary={boundary}"));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    finish(asked, StatusCode::PARTIAL_CONTENT, fields, Body::full(body), cache)
}

fn content_range(part: Part, complete: u64) -> String {
    format!("bytes {}-{}/{complete}", part.first, part.last)
}

fn slice(body: &Bytes, part: Part) -> Bytes {
    let at = |n: u64| usize::try_from(n).unwrap_or(body.len()).min(body.len());
    body.slice(at(part.first)..at(part.last.saturating_add(1)))
}

fn unsatisfiable(asked: Asked<'_>, mut fields: HeaderMap, complete: u64, cache: &Status) -> Response<Body> {
    // Without a lifetime: a cache further down must not take this for what is at the URL.
    const OF_THE_WHOLE: [HeaderName; 4] = [ETAG, LAST_MODIFIED, EXPIRES, HeaderName::from_static("cdn-cache-control")];
    let described: Vec<HeaderName> =
        fields.keys().filter(|name| name.as_str().starts_with("content-")).cloned().collect();
    remove_all(&mut fields, &described);
    remove_all(&mut fields, &OF_THE_WHOLE);
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    put(&mut fields, CONTENT_RANGE, format!("bytes */{complete}"));
    finish(asked, StatusCode::RANGE_NOT_SATISFIABLE, fields, Body::empty(), cache)
}

fn finish(asked: Asked<'_>, status: StatusCode, mut fields: HeaderMap, body: Body, cache: &Status) -> Response<Body> {
    remove_all(&mut fields, &TAG_FIELDS);
    remove_all(&mut fields, &SURROGATE_FIELDS);
    if matches!(*asked.method, Method::GET | Method::HEAD) || is_query(asked.method) {
        tell_client_cache(asked.rules.client_cache, &mut fields);
        tell_variance(&asked.rules.key.headers, &mut fields);
    }
    if has_any(&fields, &[LOCATION, CONTENT_LOCATION]) {
        for name in [LOCATION, CONTENT_LOCATION] {
            map_back(&mut fields, name, asked.api, asked.rules.strip_prefix);
        }
    }
    fields.append(VIA, VIA_VALUE);
    cache.write(&mut fields);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    response
}

/// `client_cache`: never loosens what the origin said.
fn tell_client_cache(rule: ClientCache, fields: &mut HeaderMap) {
    let says = |word: &str| crate::rfc9110::fields::has_token(fields, &CACHE_CONTROL, word);
    let value = match rule {
        ClientCache::Origin => return,
        ClientCache::Revalidate if says("no-store") => return,
        ClientCache::Revalidate if says("private") => "private, no-cache",
        ClientCache::Revalidate => "no-cache",
        ClientCache::None => "no-store",
    };
    fields.insert(CACHE_CONTROL, HeaderValue::from_static(value));
    fields.remove(EXPIRES);
}

/// What is part of the key here must be so downstream as well.
fn tell_variance(keyed: &[HeaderName], fields: &mut HeaderMap) {
    for name in keyed {
        if !has_token(fields, &VARY, name.as_str()) && !has_token(fields, &VARY, "*") {
            fields.append(VARY, HeaderValue::from(name.clone()));
        }
    }
}

/// What the origin names by its own address is told by the public one: the authority and the base path of an endpoint go,
/// and with `strip_prefix` the API's public prefix comes before the path.
fn map_back(fields: &mut HeaderMap, name: HeaderName, api: &Api, strip_prefix: bool) {
    let Some(written) = fields.get(&name).and_then(|v| v.to_str().ok()) else { return };
    let own = api.upstream.iter().find_map(|endpoint| {
        let scheme = if endpoint.tls { "https://" } else { "http://" };
        let path = written.strip_prefix(scheme)?.strip_prefix(endpoint.authority().as_str())?;
        (path.is_empty() || path.starts_with('/')).then_some(path)
    });
    let relative = written.starts_with('/') && !written.starts_with("//");
    let Some(path) = own.or(relative.then_some(written)) else { return };
    let base = api.upstream.first().map_or("", |e| e.base.as_str());
    let below = path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let public = match below {
        Some(path) if strip_prefix => format!("{}{path}", api.path),
        // Outside what this API shows there is no public address, but the inner one is nobody's business either.
        Some("") => "/".into(),
        Some(path) => path.into(),
        None => path.into(),
    };
    if public != written {
        put(fields, name, public);
    }
}

fn put(fields: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
        fields.insert(name, value);
    }
}
