//! Content codings towards clients (`compress`): whether an answer could be encoded, and in what it is for this client.
//!
//! * **What the origin has encoded is left alone**, and so is what says `no-transform`, what has a digest or a signature, and what isn't the
//!   whole of something: a part is one of the content as it is.
//! * **Every answer that could have been encoded says `Vary: Accept-Encoding`**, also one that isn't, and also a 206 and a 304.
//! * **A strong entity tag becomes weak** with the encoding (RFC 9110 §8.8.1), so that no part of the one is ever joined to a part of the
//!   other. The stored answer keeps its own: the origin is asked with that. `If-None-Match` is compared weakly, so both are known here.
//! * **With a `Range` the content is given as it is**: the client counts in its bytes. With an `If-Range` that is a date, which both forms have in
//!   common, the range is ignored where the client might hold the encoded one.
//! * **What is stored is encoded once** ([`crate::store::Encodings`]), for the first hit that wants it so: the small at once, the large on a thread of
//!   its own while that hit, and others for the same, wait. What is on its way is encoded for each reader as it comes.

use super::Gateway;
use super::admit::{Admitted, is_query};
use super::asked::Asked;
use super::find::Lookup;
use crate::body::Body;
use crate::encode::{self, Settings, encoded};
use crate::policy::equivalent_key;
use crate::rfc9110::accept_encoding::{Coding, choose};
use crate::rfc9110::etag::EntityTag;
use crate::rfc9110::fields::{OF_ONE_REPRESENTATION, has_any, has_token, single};
use crate::rfc9111::UrlVariation;
use crate::store::Entry;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_RANGE, RANGE, TRAILER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// What of a request decides, kept where the rest goes to the origin.
pub(super) fn kept(admitted: &Admitted) -> HeaderMap {
    const DECIDING: [HeaderName; 4] = [ACCEPT_ENCODING, RANGE, IF_RANGE, CACHE_CONTROL];
    let mut kept = HeaderMap::new();
    if admitted.routed.rules.compress.is_some() {
        let lines = admitted.fields.iter().filter(|(name, _)| DECIDING.contains(name));
        kept.extend(lines.map(|(name, value)| (name.clone(), value.clone())));
    }
    kept
}

/// In what an answer with these fields is encoded for this client, whose length is known or not; says by `Vary` that it might be.
pub(super) fn negotiate(
    asked: Asked<'_>,
    settings: &Settings,
    status: StatusCode,
    fields: &mut HeaderMap,
    length: Option<u64>,
) -> Option<Coding> {
    if !may_be_encoded(asked.method, settings, status, fields, length) {
        return None;
    }
    if !has_token(fields, &VARY, ACCEPT_ENCODING.as_str()) && !has_token(fields, &VARY, "*") {
        fields.append(VARY, HeaderValue::from(ACCEPT_ENCODING));
    }
    wanted(asked.fields, settings)
}

fn wanted(request: &HeaderMap, settings: &Settings) -> Option<Coding> {
    let counts_bytes = request.contains_key(RANGE) && !is_by_date(request);
    if counts_bytes || has_token(request, &CACHE_CONTROL, "no-transform") {
        return None;
    }
    choose(request, &settings.encodings)
}

/// Whether the range is only wanted of what a date names.
fn is_by_date(request: &HeaderMap) -> bool {
    let condition = single(request, &IF_RANGE).ok().flatten();
    condition.is_some_and(|condition| EntityTag::parse(condition).is_none())
}

fn may_be_encoded(
    method: &Method,
    settings: &Settings,
    status: StatusCode,
    fields: &HeaderMap,
    length: Option<u64>,
) -> bool {
    let has_content = !(status.is_informational()
        || matches!(
            status,
            StatusCode::NO_CONTENT
                | StatusCode::RESET_CONTENT
                | StatusCode::PARTIAL_CONTENT
                | StatusCode::NOT_MODIFIED
                | StatusCode::RANGE_NOT_SATISFIABLE
        ));
    // A PUT's entity tag is for the next If-Match.
    let asks = matches!(*method, Method::GET | Method::HEAD | Method::POST) || is_query(method);
    let taken = || single(fields, &CONTENT_TYPE).ok().flatten().is_some_and(|value| settings.takes(value));
    let digests = || OF_ONE_REPRESENTATION.iter().any(|name| has_token(fields, &TRAILER, name.as_str()));
    has_content
        && asks
        && length.is_none_or(|length| length >= settings.min)
        && taken()
        && !has_any(fields, &[CONTENT_ENCODING, CONTENT_RANGE])
        && !has_any(fields, &OF_ONE_REPRESENTATION)
        && !has_token(fields, &CACHE_CONTROL, "no-transform")
        && !digests()
}

/// The fields of what is encoded in `coding`; its length isn't known yet.
pub(super) fn tell(fields: &mut HeaderMap, coding: Coding) {
    fields.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    for name in [CONTENT_LENGTH, ACCEPT_RANGES] {
        fields.remove(name);
    }
    weaken(fields);
}

/// A strong entity tag is that of the content as it is.
pub(super) fn weaken(fields: &mut HeaderMap) {
    let strong = fields.get(ETAG).filter(|value| EntityTag::parse(value.as_bytes()).is_some_and(|tag| !tag.weak));
    let weak = strong.map(|value| [b"W/", value.as_bytes().trim_ascii()].concat());
    if let Some(weak) = weak.and_then(|weak| HeaderValue::from_maybe_shared(Bytes::from(weak)).ok()) {
        fields.insert(ETAG, weak);
    }
}

/// `body` in this coding, with fields that say so; as it is where too much is being encoded.
pub(super) fn on_its_way(asked: Asked<'_>, fields: &mut HeaderMap, body: Body, coding: Coding) -> Body {
    if *asked.method == Method::HEAD {
        tell(fields, coding);
        return body;
    }
    match encoded(body, coding, asked.encoders) {
        Ok(body) => {
            tell(fields, coding);
            body
        }
        Err(body) => body,
    }
}

/// The origin's answer as it is, or encoded.
pub(super) fn own(
    asked: Asked<'_>,
    settings: &Settings,
    status: StatusCode,
    fields: &mut HeaderMap,
    body: Body,
) -> Body {
    if status == StatusCode::NOT_MODIFIED {
        // What it confirms may well be what we have encoded: an origin doesn't repeat its type and length.
        if wanted(asked.fields, settings).is_some() {
            weaken(fields);
        }
        return body;
    }
    let length = fields.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let here = (*asked.method != Method::HEAD).then(|| body.in_memory()).flatten();
    match negotiate(asked, settings, status, fields, length.or(here)) {
        Some(coding) => on_its_way(asked, fields, body, coding),
        None => body,
    }
}

impl Gateway {
    /// The coding in which a stored content is wanted and isn't there; a small one is made at once.
    pub(super) fn to_encode(&self, admitted: &Admitted, lookup: &Lookup, entry: &Entry) -> Option<Coding> {
        let settings = admitted.routed.rules.compress.as_deref()?;
        let content = entry.content.get()?;
        let coding = wanted(&admitted.fields, settings).filter(|coding| content.encoded(*coding).is_none())?;
        let length = content.body.len() as u64;
        let worth =
            length >= settings.min && entry.fields.get(&CONTENT_TYPE).is_some_and(|value| settings.takes(value));
        if !worth || !may_be_encoded(&admitted.method, settings, entry.status, &entry.fields.unpack(0), Some(length)) {
            return None;
        }
        if !self.encoders.is_small(&content.body) {
            return Some(coding);
        }
        let made = encode::whole(&content.body, coding).map(Bytes::from);
        if content.encoding(coding).is_some_and(|place| place.set(made).is_ok()) {
            self.reweigh(lookup, entry);
        }
        None
    }

    /// Puts a content in this coding beside the stored one, unless too much is being encoded; who comes meanwhile waits for the same.
    pub(super) async fn encode(&self, lookup: &Lookup, entry: &Entry, coding: Coding) {
        let Some(content) = entry.content.get() else { return };
        let Some(place) = content.encoding(coding) else { return };
        let make = || self.encoders.whole(content.body.clone(), coding);
        if place.get_or_try_init(make).await.is_ok() {
            self.reweigh(lookup, entry);
        }
    }

    /// Wherever it may have been found. Where it is stored once more under a URL that its origin calls equivalent, it is weighed there when
    /// it is next encoded.
    fn reweigh(&self, lookup: &Lookup, entry: &Entry) {
        let rule = UrlVariation::of(&entry.fields.unpack(0));
        for key in [Some(&lookup.key), lookup.shared_key.as_ref()].into_iter().flatten() {
            self.store.reweigh(key);
            if let Some(rule) = &rule {
                self.store.reweigh(&equivalent_key(key, rule));
            }
        }
    }
}
