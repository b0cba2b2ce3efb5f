//! Whether an answer is kept, for whom and how: the operator's rules joined with RFC 9111 §3.

use super::settings::{ErrorAnswers, Precedence, Rules, SetCookie, Share, Ttl};
use crate::clock::Now;
use crate::rfc9110::date;
use crate::rfc9110::fields::{OF_TRACES, is_token, strip_hop_by_hop};
use crate::rfc9111::{self, Facts, Lifetime, NotStored, Operator, Question, Selection, Sharing, Vary};
use http::header::{AGE, CONTENT_TYPE, DATE, FORWARDED, HeaderName, HeaderValue, TE};
use http::{HeaderMap, Method, StatusCode};
use std::time::Duration;

/// Fields that name tags. They are stored, for the day when a 304 comes without them, but clients don't get them.
pub const TAG_FIELDS: [HeaderName; 3] =
    [HeaderName::from_static("surrogate-key"), HeaderName::from_static("xkey"), HeaderName::from_static("cache-tag")];

/// Fields between an origin and its surrogate: stored as well, and not for clients.
pub const SURROGATE_FIELDS: [HeaderName; 2] =
    [HeaderName::from_static("surrogate-control"), HeaderName::from_static("freshgate-cache-control")];

/// What the origin sees in it, and in `Forwarded`, is ours, so that an answer that varies on it matches no other request.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Longest tag and most tags of one answer that count; more than that makes it unstorable, since a purge could miss it.
const MAX_TAG: usize = 1024;
const MAX_TAGS: usize = 128;

/// A request as far as keeping its answer is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its fields, as the client sent them.
    pub fields: &'a HeaderMap,
    /// Whether the caller was authenticated here.
    pub authenticated: bool,
    /// Whether its partition isn't empty.
    pub partitioned: bool,
    /// Whether it said `no-store`.
    pub no_store: bool,
    /// Whether it asked for one part.
    pub part: bool,
}

/// An answer that is kept.
#[derive(Debug)]
pub struct Keep {
    /// What decides about its freshness.
    pub facts: Facts,
    /// How widely the origin lets it be shared.
    pub sharing: Sharing,
    /// Under the shared key rather than the caller's own.
    pub shared: bool,
    /// What of its request it depends on.
    pub selection: Selection,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its end-to-end fields.
    pub fields: HeaderMap,
    /// Those that are for the one who asked and not kept: what `private` and `no-cache` name.
    pub personal: HeaderMap,
}

impl Keep {
    /// A stored answer that its origin confirmed in a way that forbids to keep it further: good for the one who asked.
    pub fn confirmed(fields: HeaderMap, facts: Facts, sharing: Sharing, selection: Selection) -> Self {
        Keep { facts, sharing, shared: false, selection, tags: Vec::new(), fields, personal: HeaderMap::new() }
    }
}

/// Decides about an answer whose head has come; `Err` names why it isn't kept.
pub fn keep(
    rules: &Rules,
    asker: &Asker<'_>,
    status: StatusCode,
    fields: &HeaderMap,
    asked: Now,
    answered: Now,
) -> Result<Keep, &'static str> {
    if !rules.cache {
        return Err("cache-off");
    }
    if is_stream(fields) {
        return Err("stream");
    }
    if !is_of_type(&rules.content_types, fields) {
        return Err("content-type");
    }
    // RFC 9111 §3.5 is met by `shares` below: what it doesn't allow to be shared stays in the caller's partition.
    let question =
        Question { method: asker.method, authorization: false, request_no_store: asker.no_store, part: asker.part };
    let storable = rfc9111::consider(&question, status, fields, asked, answered, &operator(rules, status))
        .map_err(NotStored::name)?;
    let tags = tags(fields)?;
    let Vary::Fields(mut names) = rfc9111::effective(asker.fields, fields, storable.only_by_ttl) else {
        return Err(NotStored::VaryAny.name());
    };
    names.retain(|name| !OF_TRACES.contains(name));
    if names.iter().any(|name| *name == FORWARDED || *name == X_FORWARDED_FOR) {
        return Err("vary-client-address");
    }
    if names.contains(&TE) {
        return Err("vary-connection"); // what the origin sees of it is between it and us
    }
    names.extend(rules.key.headers.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
    let mut kept = fields.clone();
    strip_hop_by_hop(&mut kept);
    let mut personal = HeaderMap::new();
    for name in storable.omit.iter().chain(&OF_TRACES) {
        personal.extend(kept.get_all(name).iter().map(|value| (name.clone(), value.clone())));
    }
    for name in storable.omit.iter().chain(&OF_TRACES).chain(&rfc9111::OF_A_PROXY).chain(&[AGE]) {
        kept.remove(name);
    }
    if let Ok(date) = HeaderValue::try_from(date::format(answered.unix)) {
        kept.entry(DATE).or_insert(date); // RFC 9110 §6.6.1: what comes without one gets the time it came
    }
    Ok(Keep {
        shared: !asker.partitioned || shares(rules, storable.sharing),
        facts: storable.facts,
        sharing: storable.sharing,
        selection: Selection::capture(&names, asker.fields),
        tags,
        fields: kept,
        personal,
    })
}

/// Media types whose answers go on as long as both sides like, or belong to one call: never joined, never stored.
fn is_stream(fields: &HeaderMap) -> bool {
    fields.get_all(CONTENT_TYPE).iter().any(|value| {
        let essence = value.as_bytes().split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        let begins = |with: &[u8]| essence.get(..with.len()).is_some_and(|b| b.eq_ignore_ascii_case(with));
        let ends = |with: &[u8]| begins(with) && essence.len() == with.len();
        ends(b"text/event-stream") || ends(b"multipart/x-mixed-replace") || begins(b"application/grpc")
    })
}

/// Whether an answer is of one of these media types, if any are named: only then is it what its API gives, and not a page of
/// something that stands in between. Two types, or none, are not one of them.
fn is_of_type(types: &[String], fields: &HeaderMap) -> bool {
    if types.is_empty() {
        return true;
    }
    let mut lines = fields.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let essence = line.as_bytes().split(|b| *b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    let is = |wanted: &String| match wanted.strip_suffix('*') {
        Some(begin) => essence.strip_prefix(begin.as_bytes()).is_some_and(is_token),
        None => essence == wanted.as_bytes(),
    };
    types.iter().any(is)
}

/// Whether an answer to a request with credentials goes beyond its partition (`share`). RFC 9111 §3.5 speaks of
/// `Authorization` only; a cookie or an API key says as much about who is asking, so it counts alike.
fn shares(rules: &Rules, sharing: Sharing) -> bool {
    match (&rules.key.share, sharing) {
        (Share::AssumePublic, _) | (_, Sharing::Public) | (Share::Everyone, Sharing::Allowed) => true,
        (Share::Everyone | Share::User | Share::Claim(_), Sharing::Unstated)
        | (Share::User | Share::Claim(_), Sharing::Allowed) => false,
    }
}

/// Whether a request with credentials may use an answer found under the shared key.
pub fn may_use_shared(rules: &Rules, sharing: Sharing) -> bool {
    match rules.key.share {
        Share::AssumePublic | Share::Everyone => true,
        // What was said to nobody in particular isn't what this caller would be told, unless the origin says so.
        Share::User | Share::Claim(_) => sharing == Sharing::Public,
    }
}

fn operator(rules: &Rules, status: StatusCode) -> Operator {
    let lifetime = |ttl: &Ttl| match ttl {
        Ttl::For(duration) => Lifetime::For(*duration),
        Ttl::Forever => Lifetime::Forever,
    };
    let by_status = rules.ttl_by_status.get(&status.as_u16()).map(lifetime);
    let general =
        || matches!(status.as_u16(), 200 | 203 | 301 | 308).then_some(rules.ttl.as_ref().map(lifetime)).flatten();
    Operator {
        ttl: by_status.or_else(general),
        ttl_wins: rules.freshness == Precedence::Ttl,
        heuristic: rules.heuristic,
        drop_errors: rules.error_answers == ErrorAnswers::Drop,
        set_cookie: match rules.set_cookie {
            SetCookie::Private => rfc9111::SetCookie::Private,
            SetCookie::Store => rfc9111::SetCookie::Store,
            SetCookie::Pass => rfc9111::SetCookie::Pass,
        },
        grace: rules.grace,
        keep_on_error: rules.keep_on_error,
    }
}

/// The tags of an answer; `Err` names why it can't be kept for them.
pub fn tags(fields: &HeaderMap) -> Result<Vec<String>, &'static str> {
    let mut tags: Vec<String> = Vec::new();
    let mut add = |tag: &str| {
        if tag.len() > MAX_TAG || tags.len() == MAX_TAGS {
            return Err("too-many-tags");
        }
        if !tags.iter().any(|t| t == tag) {
            tags.push(tag.into());
        }
        Ok(())
    };
    for value in TAG_FIELDS.iter().flat_map(|name| fields.get_all(name)) {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.split([',', ' ', '\t']).filter(|t| !t.is_empty()).try_for_each(&mut add)?;
    }
    rfc9111::groups(fields, &rfc9111::CACHE_GROUPS).iter().try_for_each(|group| add(group))?;
    Ok(tags)
}

/// How long the next requests for a key go to the origin without waiting for each other, after an answer that
/// couldn't be shared: briefly after an error, which may pass, longer after an answer that is private by nature.
pub fn unshared_for(status: StatusCode) -> Duration {
    Duration::from_secs(if status.as_u16() >= 400 { 1 } else { 60 })
}
