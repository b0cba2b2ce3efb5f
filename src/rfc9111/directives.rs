//! `Cache-Control` in requests and responses (RFC 9111 §5.2).
//!
//! # Reading what origins really send
//! A member that fits the grammar is read; unknown ones are ignored (§5.2.3). A member that doesn't fit (`no-store; x`,
//! `max-age = 5`, a quote that is never closed) makes the whole field [`malformed`](ResponseDirectives::malformed): every
//! word in it that restricts is obeyed, nothing that permits is believed, and no lifetime is taken from it. Of
//! repeated directives the strictest counts, a value that can't be read counts as zero, and one too big for us as
//! 2^31 seconds (§1.2.2, §4.2.1).

use crate::rfc9110::fields::{has_any, is_token, list_bytes, quoted_len};
use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, HeaderName, header};
use std::borrow::Cow;

/// 2^31 seconds, over 68 years: what a larger number counts as (§1.2.2).
pub const MAX_DELTA_SECONDS: u64 = 1 << 31;

/// delta-seconds (§1.2.2): digits only; `None` if it is anything else.
pub fn delta_seconds(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let digit = |sum: u64, b: &u8| b.is_ascii_digit().then(|| (sum * 10 + u64::from(b - b'0')).min(MAX_DELTA_SECONDS));
    text.iter().try_fold(0, digit)
}

/// What a request says (§5.2.1). Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestDirectives {
    /// `no-cache`, or `Pragma: no-cache` where there is no `Cache-Control`.
    pub no_cache: bool,
    /// `no-store`.
    pub no_store: bool,
    /// `no-transform`.
    pub no_transform: bool,
    /// `only-if-cached`.
    pub only_if_cached: bool,
    /// `max-age`.
    pub max_age: Option<u64>,
    /// `min-fresh`.
    pub min_fresh: Option<u64>,
    /// `max-stale`; `Some(None)` is without a bound.
    pub max_stale: Option<Option<u64>>,
}

impl RequestDirectives {
    /// A request that says nothing.
    pub const NONE: Self = RequestDirectives {
        no_cache: false,
        no_store: false,
        no_transform: false,
        only_if_cached: false,
        max_age: None,
        min_fresh: None,
        max_stale: None,
    };

    /// Reads a request's fields. Free where there is neither `Cache-Control` nor `Pragma`.
    pub fn parse(request: &HeaderMap) -> Self {
        let mut said = Self::NONE;
        if !has_any(request, &[CACHE_CONTROL, PRAGMA]) {
            return said;
        }
        if !request.contains_key(CACHE_CONTROL) {
            let pragma = request.contains_key(PRAGMA);
            said.no_cache = pragma && list_bytes(request, &PRAGMA).any(|m| m.eq_ignore_ascii_case(b"no-cache"));
            return said;
        }
        for member in list_bytes(request, &CACHE_CONTROL) {
            match Member::read(member) {
                Member::Directive(name, argument) => said.apply(&name, argument.as_deref()),
                Member::Malformed(words) => {
                    said.no_cache |= has_word(words, b"no-cache");
                    said.no_store |= has_word(words, b"no-store");
                }
            }
        }
        said
    }

    fn apply(&mut self, name: &str, argument: Option<&[u8]>) {
        let seconds = argument.and_then(delta_seconds);
        match name {
            "no-cache" => self.no_cache = true,
            "no-store" => self.no_store = true,
            "no-transform" => self.no_transform = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => self.max_age = smaller(self.max_age, seconds.unwrap_or(0)),
            "min-fresh" => self.min_fresh = self.min_fresh.max(Some(seconds.unwrap_or(MAX_DELTA_SECONDS))),
            "max-stale" => self.max_stale = narrower(self.max_stale, argument.map(|_| seconds.unwrap_or(0))),
            _ => {}
        }
    }
}

impl Default for RequestDirectives {
    fn default() -> Self {
        Self::NONE
    }
}

/// What a response says (§5.2.2, RFC 5861, RFC 8246). Times are in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache`.
    pub no_cache: Extent,
    /// `private`.
    pub private: Extent,
    /// `public`.
    pub public: bool,
    /// `must-revalidate`.
    pub must_revalidate: bool,
    /// `proxy-revalidate`.
    pub proxy_revalidate: bool,
    /// `must-understand`.
    pub must_understand: bool,
    /// `immutable`.
    pub immutable: bool,
    /// `no-transform`.
    pub no_transform: bool,
    /// `max-age`.
    pub max_age: Option<u64>,
    /// `s-maxage`.
    pub s_maxage: Option<u64>,
    /// `stale-while-revalidate`.
    pub stale_while_revalidate: Option<u64>,
    /// `stale-if-error`.
    pub stale_if_error: Option<u64>,
    /// A member doesn't fit the grammar: the answer isn't fresh by this field, and nothing that permits is set.
    pub malformed: bool,
}

/// How much of a response a directive is about that may name fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// The directive isn't there.
    #[default]
    Nothing,
    /// These fields only (the qualified form).
    Fields(Vec<HeaderName>),
    /// The response.
    Whole,
}

impl Extent {
    /// The fields that it names.
    pub fn fields(&self) -> &[HeaderName] {
        match self {
            Extent::Fields(names) => names,
            Extent::Nothing | Extent::Whole => &[],
        }
    }

    fn widen(&mut self, other: Extent) {
        *self = match (std::mem::take(self), other) {
            (Extent::Fields(mut names), Extent::Fields(more)) => {
                names.extend(more);
                Extent::Fields(names)
            }
            (Extent::Whole, _) | (_, Extent::Whole) => Extent::Whole,
            (Extent::Nothing, other) => other,
            (had, Extent::Nothing) => had,
        };
    }

    /// A list of field names. One that is no name, or names a field without which the rest can't be used, is about the
    /// whole response.
    fn named(list: &[u8]) -> Self {
        let names: Option<Vec<HeaderName>> = crate::rfc9110::fields::members(list)
            .filter(|name| !name.is_empty())
            .map(|name| HeaderName::from_bytes(name).ok().filter(|name| !INSEPARABLE.contains(name)))
            .collect();
        names.filter(|names| !names.is_empty()).map_or(Extent::Whole, Extent::Fields)
    }
}

/// Fields without which the rest of a response would be misread, or kept under other rules than its own.
const INSEPARABLE: [HeaderName; 10] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::TRANSFER_ENCODING,
    header::VARY,
    header::CACHE_CONTROL,
    header::EXPIRES,
    header::DATE,
    header::AGE,
];

/// A directive's argument, whichever syntax it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    /// There is none.
    None,
    /// A token, or what a quoted string holds.
    Text(&'a [u8]),
    /// One of a type that no directive has (targeted fields only).
    Wrong,
}

impl ResponseDirectives {
    /// Reads `Cache-Control`.
    pub fn parse(response: &HeaderMap) -> Self {
        let mut said = ResponseDirectives::default();
        for member in list_bytes(response, &CACHE_CONTROL) {
            match Member::read(member) {
                Member::Directive(name, argument) => {
                    said.apply(&name, argument.as_deref().map_or(Argument::None, Argument::Text));
                }
                Member::Malformed(words) => said.obey_words(words),
            }
        }
        if said.malformed {
            (said.public, said.must_understand, said.immutable) = (false, false, false);
        }
        said
    }

    /// Takes in one directive; the strictest of several counts. What restricts is obeyed whatever argument it has.
    pub(super) fn apply(&mut self, name: &str, argument: Argument<'_>) {
        match name {
            "no-store" => self.no_store = true,
            "must-revalidate" => self.must_revalidate = true,
            "proxy-revalidate" => self.proxy_revalidate = true,
            "no-transform" => self.no_transform = true,
            "no-cache" => self.no_cache.widen(extent(argument)),
            "private" => self.private.widen(extent(argument)),
            "public" => self.public |= argument == Argument::None,
            "must-understand" => self.must_understand |= argument == Argument::None,
            // RFC 8246 §2: arguments have no meaning.
            "immutable" => self.immutable = true,
            "max-age" => self.max_age = smaller(self.max_age, seconds(argument)),
            "s-maxage" => self.s_maxage = smaller(self.s_maxage, seconds(argument)),
            "stale-while-revalidate" => {
                self.stale_while_revalidate = smaller(self.stale_while_revalidate, seconds(argument));
            }
            "stale-if-error" => self.stale_if_error = smaller(self.stale_if_error, seconds(argument)),
            _ => {}
        }
    }

    fn obey_words(&mut self, words: &[u8]) {
        self.malformed = true;
        for name in ["no-store", "no-cache", "private", "must-revalidate", "proxy-revalidate", "no-transform"] {
            if has_word(words, name.as_bytes()) {
                self.apply(name, Argument::None);
            }
        }
    }
}

fn extent(argument: Argument<'_>) -> Extent {
    match argument {
        Argument::Text(list) => Extent::named(list),
        Argument::None | Argument::Wrong => Extent::Whole,
    }
}

/// A directive's seconds; zero if they can't be read.
fn seconds(argument: Argument<'_>) -> u64 {
    match argument {
        Argument::Text(text) => delta_seconds(text).unwrap_or(0),
        Argument::None | Argument::Wrong => 0,
    }
}

/// The smaller of what was said before and this.
pub(super) fn smaller(had: Option<u64>, new: u64) -> Option<u64> {
    Some(had.map_or(new, |had| had.min(new)))
}

/// The narrower of two `max-stale`: the inner `None` has no bound.
fn narrower(had: Option<Option<u64>>, new: Option<u64>) -> Option<Option<u64>> {
    match (had, new) {
        (Some(Some(had)), Some(new)) => Some(Some(had.min(new))),
        (Some(Some(had)), None) => Some(Some(had)),
        (Some(None) | None, new) => Some(new),
    }
}

/// One member of a directive list.
pub(super) enum Member<'a> {
    /// Its name in lower case, and its argument without quotes.
    Directive(Cow<'a, str>, Option<Cow<'a, [u8]>>),
    /// It doesn't fit the grammar.
    Malformed(&'a [u8]),
}

impl<'a> Member<'a> {
    /// cache-directive = token [ "=" ( token / quoted-string ) ] (§5.2)
    pub(super) fn read(member: &'a [u8]) -> Self {
        let equals = member.iter().position(|&b| b == b'=');
        let (name, argument) = match equals {
            Some(at) => (&member[..at], Some(&member[at + 1..])),
            None => (member, None),
        };
        let Some(name) = std::str::from_utf8(name).ok().filter(|name| is_token(name.as_bytes())) else {
            return Member::Malformed(member);
        };
        let argument = match argument {
            None => None,
            Some(token) if is_token(token) => Some(Cow::Borrowed(token)),
            Some(quoted) if quoted.first() == Some(&b'"') && quoted_len(quoted) == Some(quoted.len()) => {
                Some(unquote(&quoted[1..quoted.len() - 1]))
            }
            Some(_) => return Member::Malformed(member),
        };
        Member::Directive(lower_case(name), argument)
    }
}

/// Without allocating where it is in lower case already, as it mostly is.
fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// What a quoted string holds: each backslash gone, what follows it kept (RFC 9110 §5.6.4).
fn unquote(inner: &[u8]) -> Cow<'_, [u8]> {
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut escaped = false;
    let keep = inner.iter().copied().filter(|&b| {
        escaped = b == b'\\' && !escaped;
        !escaped
    });
    Cow::Owned(keep.collect())
}

/// Whether `word` stands in `text` as a whole token, in any case.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    let apart = |b: &u8| !(b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_');
    text.split(apart).any(|token| token.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
