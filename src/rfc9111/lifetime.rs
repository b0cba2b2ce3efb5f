//! Which lifetime an answer has, and by whom (RFC 9111 §4.2.1, §4.2.2).
//!
//! The order: targeted field, `Surrogate-Control`, `s-maxage`, `max-age`, `Expires`, the operator's ttl, the heuristic. A step that is
//! there but can't be read gives no lifetime rather than handing on to a later one. With `ttl_wins` the operator's ttl
//! comes before `s-maxage`, but after what is meant for this very cache.

use super::directives::{Extent, ResponseDirectives};
use super::freshness::{FOREVER, Source};
use super::operator::{Lifetime, Operator};
use super::targeted::{Surrogate, targeted};
use crate::clock::{Now, millis};
use crate::rfc9110::date::{self, DateField};
use http::header::{DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

/// At most a day by heuristic, in milliseconds.
const HEURISTIC_MOST: u64 = 86_400_000;

/// What an answer says about caching, read once.
pub(super) struct Said {
    /// The targeted field's directives if there is one, else those of `Cache-Control`.
    pub(super) directives: ResponseDirectives,
    /// Whether they come from a targeted field, so that `Expires` doesn't count (RFC 9213 §2.2).
    pub(super) is_targeted: bool,
    pub(super) surrogate: Surrogate,
}

impl Said {
    pub(super) fn read(response: &HeaderMap) -> Self {
        let surrogate = Surrogate::parse(response);
        if let Some(directives) = targeted(response) {
            return Said { directives, is_targeted: true, surrogate };
        }
        let mut directives = ResponseDirectives::parse(response);
        if surrogate.by_name {
            directives.no_store = false;
            if directives.no_cache == Extent::Whole {
                directives.no_cache = Extent::Nothing;
            }
        }
        Said { directives, is_targeted: false, surrogate }
    }
}

/// A lifetime and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// In milliseconds.
    pub(super) lifetime: u64,
    pub(super) source: Source,
    /// Whether the origin's own fields would have given no freshness.
    pub(super) only_by_ttl: bool,
}

/// The lifetime of this answer; `None` if nobody states one.
pub(super) fn choose(
    said: &Said,
    status: StatusCode,
    response: &HeaderMap,
    answered: Now,
    op: &Operator,
) -> Option<Chosen> {
    let origin = |lifetime, source| Chosen { lifetime, source, only_by_ttl: false };
    let ours = targeted_lifetime(said)
        .or_else(|| said.surrogate.max_age.map(|seconds| origin(seconds.saturating_mul(1000), Source::Surrogate)));
    if ours.is_some() {
        return ours;
    }
    let stated = stated(said, response, answered).map(|(lifetime, source)| origin(lifetime, source));
    let ttl = op.ttl.filter(|_| ttl_may_apply(status)).map(|ttl| Chosen {
        lifetime: milliseconds(ttl),
        source: Source::Ttl,
        only_by_ttl: said.directives.no_cache == Extent::Whole || stated.is_none_or(|stated| stated.lifetime == 0),
    });
    let first = if op.ttl_wins { ttl.or(stated) } else { stated.or(ttl) };
    first.or_else(|| {
        let lifetime = heuristic(said, status, response, answered).filter(|_| op.heuristic)?;
        Some(origin(lifetime, Source::Heuristic))
    })
}

fn targeted_lifetime(said: &Said) -> Option<Chosen> {
    let seconds = said.directives.s_maxage.or(said.directives.max_age).filter(|_| said.is_targeted)?;
    Some(Chosen { lifetime: seconds.saturating_mul(1000), source: Source::Targeted, only_by_ttl: false })
}

/// What `Cache-Control` and `Expires` state for a shared cache (§4.2.1), in milliseconds.
fn stated(said: &Said, response: &HeaderMap, answered: Now) -> Option<(u64, Source)> {
    if said.is_targeted {
        return None;
    }
    let directives = &said.directives;
    if directives.malformed {
        return Some((0, Source::MaxAge));
    }
    if let Some(seconds) = directives.s_maxage {
        return Some((seconds.saturating_mul(1000), Source::SharedMaxAge));
    }
    if let Some(seconds) = directives.max_age {
        return Some((seconds.saturating_mul(1000), Source::MaxAge));
    }
    expires(response, answered).map(|lifetime| (lifetime, Source::Expires))
}

/// `Expires` less `Date` (§5.3). An `Expires` that is invalid, or either of them repeated: already expired. A `Date` that can't
/// be read is taken for the time when the answer came, as one that isn't there (RFC 9110 §6.6.1).
fn expires(response: &HeaderMap, answered: Now) -> Option<u64> {
    let at = match date::field(response, &EXPIRES, answered.unix) {
        DateField::Absent => return None,
        DateField::Invalid => return Some(0),
        DateField::At(at) => at,
    };
    match date::field(response, &DATE, answered.unix) {
        DateField::Invalid if response.get_all(DATE).iter().nth(1).is_some() => Some(0),
        DateField::Absent | DateField::Invalid => Some(at.saturating_sub(answered.unix)),
        DateField::At(date) => Some(at.saturating_sub(date)),
    }
}

/// A tenth of the time since `Last-Modified` (§4.2.2), only for statuses that are heuristically cacheable or answers
/// that are `public`.
fn heuristic(said: &Said, status: StatusCode, response: &HeaderMap, answered: Now) -> Option<u64> {
    if !(is_heuristically_cacheable(status) || said.directives.public) {
        return None;
    }
    let DateField::At(modified) = date::field(response, &LAST_MODIFIED, answered.unix) else { return None };
    let date = match date::field(response, &DATE, answered.unix) {
        DateField::Absent => answered.unix,
        DateField::Invalid => return None,
        DateField::At(date) => date,
    };
    Some((date.saturating_sub(modified) / 10).min(HEURISTIC_MOST))
}

/// RFC 9110 §15.1.
fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Statuses that no operator's ttl makes storable, whatever the file says.
fn ttl_may_apply(status: StatusCode) -> bool {
    !matches!(status.as_u16(), 206 | 304 | 401 | 403 | 407 | 500..)
}

fn milliseconds(ttl: Lifetime) -> u64 {
    match ttl {
        Lifetime::For(ttl) => millis(ttl).min(FOREVER - 1),
        Lifetime::Forever => FOREVER,
    }
}
