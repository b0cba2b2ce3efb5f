//! Whether an answer may be stored, for how long, and how widely it may be shared (RFC 9111 §3).
//!
//! Besides the RFC's conditions there are the operator's ([`Operator`]), and a few that keep useless or dangerous answers out:
//! statuses that RFC 6585 forbids to store, `Vary: *`, answers that could neither be used nor validated.
//! Whether the body came to its end is for the caller to know: an incomplete answer is not stored.

use super::directives::Extent;
use super::freshness::{Facts, Source, initial_age};
use super::lifetime::{self, Chosen, Said};
use super::vary::Vary;
use crate::clock::{Now, millis};
use crate::rfc9110::Validators;
use crate::rfc9110::date;
use crate::rfc9110::etag::EntityTag;
use http::header::{PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use std::time::Duration;

pub use super::operator::{Lifetime, Operator, SetCookie};

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The request had `Authorization`, or its caller was authenticated some other way.
    pub authorization: bool,
    /// The request said `no-store` (§5.2.1.5).
    pub request_no_store: bool,
    /// The request asked for one part, and a 206 that is that part may be kept as one (§3.3).
    pub part: bool,
}

/// An answer that may be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Storable {
    /// What is remembered of its freshness.
    pub facts: Facts,
    /// What it says about sharing.
    pub sharing: Sharing,
    /// The request was authenticated and the answer doesn't allow a shared cache to reuse it (§3.5): it may be used for
    /// nobody but the caller who asked.
    pub confined: bool,
    /// Only the operator's ttl makes it reusable: see [`super::vary::effective`].
    pub only_by_ttl: bool,
    /// The fields of this answer that are for the one who asked and must not be stored with it: `private="…"`, `no-cache="…"`.
    /// [`OF_A_PROXY`] aren't stored either.
    pub omit: Vec<HeaderName>,
}

/// Whether an answer says that it may be shared between callers (§3.5).
///
/// In order: what is made of two answers is shared as narrowly as the narrower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// It says nothing.
    Unstated,
    /// It says `s-maxage` or `must-revalidate`.
    Allowed,
    /// It says `public`.
    Public,
}

/// Why an answer isn't stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStored {
    /// The method isn't one whose answers are stored.
    Method,
    /// The status is never stored: 1xx, 226, 304, 407, what RFC 6585 forbids, and a 206 that isn't the one part asked for.
    Status,
    /// An error answer, and the operator doesn't want those stored.
    ErrorAnswer,
    /// The request said `no-store`.
    RequestNoStore,
    /// The answer says `no-store`.
    NoStore,
    /// The answer says `private`.
    Private,
    /// The answer says `must-understand`, with a status that isn't understood (§5.2.2.3).
    NotUnderstood,
    /// The answer sets a cookie.
    SetCookie,
    /// `Vary: *`: it would match no request (§4.1).
    VaryAny,
    /// Nobody states a lifetime.
    NoLifetime,
    /// It would have to be validated before each use and has no validator.
    NoValidator,
}

impl NotStored {
    /// A stable name for logs, metrics and `Cache-Status`.
    pub fn name(self) -> &'static str {
        match self {
            NotStored::Method => "method",
            NotStored::Status => "status",
            NotStored::ErrorAnswer => "error-answer",
            NotStored::RequestNoStore => "request-no-store",
            NotStored::NoStore => "no-store",
            NotStored::Private => "private",
            NotStored::NotUnderstood => "not-understood",
            NotStored::SetCookie => "set-cookie",
            NotStored::VaryAny => "vary-any",
            NotStored::NoLifetime => "no-lifetime",
            NotStored::NoValidator => "no-validator",
        }
    }
}

/// Decides about a complete answer (§3). `asked` and `answered` are when its request began and when its fields came.
/// After a 304, call it again with the freshened fields and status 200.
///
/// # Errors
/// The first reason not to store it.
pub fn consider(
    q: &Question<'_>,
    status: StatusCode,
    fields: &HeaderMap,
    asked: Now,
    answered: Now,
    op: &Operator,
) -> Result<Storable, NotStored> {
    let said = Said::read(fields);
    by_question(q, status, op)?;
    by_directives(&said, status)?;
    let sharing = sharing(&said);
    by_cookie(&said, sharing, fields, op)?;
    if matches!(Vary::parse(fields), Vary::Any) {
        return Err(NotStored::VaryAny);
    }
    let chosen = lifetime::choose(&said, status, fields, answered, op);
    let always_validate = must_always_validate(&said, chosen, op);
    let chosen = match chosen {
        Some(chosen) => chosen,
        None if always_validate => Chosen { lifetime: 0, source: Source::Unstated, only_by_ttl: false },
        None => return Err(NotStored::NoLifetime),
    };
    let facts = facts(&said, chosen, always_validate, initial_age(fields, asked, answered), answered, op);
    if status == StatusCode::PARTIAL_CONTENT && !facts.is_fresh(answered) {
        return Err(NotStored::NoLifetime); // a part isn't validated, it is fetched anew
    }
    if !is_of_use(&facts, answered) && !has_validator(fields, answered) {
        return Err(NotStored::NoValidator);
    }
    Ok(Storable {
        facts,
        sharing,
        confined: q.authorization && sharing == Sharing::Unstated,
        only_by_ttl: chosen.only_by_ttl,
        omit: omit(&said, fields),
    })
}

fn by_question(q: &Question<'_>, status: StatusCode, op: &Operator) -> Result<(), NotStored> {
    if q.method != Method::GET {
        return Err(NotStored::Method);
    }
    if status.is_informational() || is_never_stored(status) || is_of_other_part(q, status) {
        return Err(NotStored::Status);
    }
    if op.drop_errors && is_error_answer(status) {
        return Err(NotStored::ErrorAnswer);
    }
    if q.request_no_store { Err(NotStored::RequestNoStore) } else { Ok(()) }
}

/// Instance-manipulated answers and 304 (§3, not supported as stored answers), the proxy's own 407 (§3.1),
/// and 428, 429, 431 and 511, which must not be stored by a cache (RFC 6585 §3–§6).
fn is_never_stored(status: StatusCode) -> bool {
    matches!(status.as_u16(), 226 | 304 | 407 | 428 | 429 | 431 | 511)
}

/// A part that nobody asked for; or anything but the part asked for and the whole, which may be an answer to the `Range` and is none
/// for those who don't send it.
fn is_of_other_part(q: &Question<'_>, status: StatusCode) -> bool {
    match status {
        StatusCode::PARTIAL_CONTENT => !q.part,
        status => q.part && status != StatusCode::OK,
    }
}

/// What `error_answers = "drop"` means. What is no status counts as 5xx (RFC 9110 §15).
fn is_error_answer(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 405 | 411..=417 | 421 | 429 | 431 | 500..)
}

/// Statuses whose caching requirements this cache knows, for `must-understand` (§5.2.2.3).
fn is_understood(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300..=303 | 307 | 308 | 404 | 405 | 410 | 414 | 501)
}

fn by_directives(said: &Said, status: StatusCode) -> Result<(), NotStored> {
    let directives = &said.directives;
    if directives.must_understand && !is_understood(status) {
        return Err(NotStored::NotUnderstood);
    }
    let overridden = directives.must_understand && is_understood(status);
    if directives.no_store && !overridden || said.surrogate.no_store {
        return Err(NotStored::NoStore);
    }
    if directives.private == Extent::Whole { Err(NotStored::Private) } else { Ok(()) }
}

/// §3.5. A directive that can't be read permits nothing.
fn sharing(said: &Said) -> Sharing {
    let directives = &said.directives;
    if directives.malformed {
        return Sharing::Unstated;
    }
    match directives {
        d if d.public => Sharing::Public,
        d if d.must_revalidate || d.s_maxage.is_some() => Sharing::Allowed,
        _ => Sharing::Unstated,
    }
}

/// A cookie that a qualified `private` or `no-cache` keeps out of the store is no reason not to store the rest.
fn by_cookie(said: &Said, sharing: Sharing, fields: &HeaderMap, op: &Operator) -> Result<(), NotStored> {
    if !fields.contains_key(SET_COOKIE) {
        return Ok(());
    }
    let left_out = said.directives.private.fields().contains(&SET_COOKIE)
        || said.directives.no_cache.fields().contains(&SET_COOKIE);
    let may = match op.set_cookie {
        SetCookie::Private => sharing == Sharing::Public || left_out,
        SetCookie::Store => true,
        SetCookie::Pass => false,
    };
    if may { Ok(()) } else { Err(NotStored::SetCookie) }
}

/// `no-cache` (§5.2.2.4), unless the operator's ttl wins over it; never over that of a targeted field.
fn must_always_validate(said: &Said, chosen: Option<Chosen>, op: &Operator) -> bool {
    let ttl_wins = op.ttl_wins && !said.is_targeted && chosen.is_some_and(|chosen| chosen.source == Source::Ttl);
    said.directives.no_cache == Extent::Whole && !ttl_wins
}

fn facts(said: &Said, chosen: Chosen, always_validate: bool, initial_age: u64, answered: Now, op: &Operator) -> Facts {
    let directives = &said.directives;
    let must_revalidate = always_validate
        || directives.must_revalidate
        || directives.proxy_revalidate
        // §5.2.2.10: even where another lifetime counts.
        || directives.s_maxage.is_some();
    // A Cache-Control that can't be read may well have forbidden it.
    let never_stale = must_revalidate || directives.malformed;
    let stale = |stated: Option<u64>, operators: Duration| match stated {
        _ if never_stale => 0,
        Some(seconds) => seconds.saturating_mul(1000),
        None => millis(operators),
    };
    Facts {
        answered: answered.mono,
        initial_age,
        lifetime: chosen.lifetime,
        stale_while_revalidate: stale(directives.stale_while_revalidate, op.grace),
        stale_if_error: stale(directives.stale_if_error, op.keep_on_error),
        always_validate,
        must_revalidate: never_stale,
        immutable: directives.immutable,
        source: chosen.source,
    }
}

/// Whether it could be used at all without being validated: fresh, or stale within what is allowed.
fn is_of_use(facts: &Facts, answered: Now) -> bool {
    let allowed = facts.stale_while_revalidate.max(facts.stale_if_error);
    facts.is_fresh(answered) || !facts.always_validate && allowed > 0 && facts.staleness(answered) <= allowed
}

fn has_validator(fields: &HeaderMap, answered: Now) -> bool {
    let validators = Validators::of(fields);
    validators.etag.and_then(EntityTag::parse).is_some()
        || validators.last_modified.and_then(|value| date::parse(value, answered.unix)).is_some()
}

/// Fields that are about the proxy on the way and aren't stored (§3.1).
pub const OF_A_PROXY: [HeaderName; 3] =
    [PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, HeaderName::from_static("proxy-authentication-info")];

/// What the answer names.
fn omit(said: &Said, fields: &HeaderMap) -> Vec<HeaderName> {
    let named = said.directives.private.fields().iter().chain(said.directives.no_cache.fields());
    let mut names: Vec<HeaderName> = named.filter(|name| fields.contains_key(*name)).cloned().collect();
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
