//! Settings that take one word of a few. The same table is used to read the word and to write it back.

use crate::auth::NameFrom;
use crate::policy::{ClientCache, ErrorAnswers, Precedence, Reach, SetCookie};
use crate::rfc9110::accept_encoding::Coding;
use crate::upstream::Balance;
use crate::{admin, store, telemetry};

/// The words of a setting with what they mean.
pub(super) type Words<T> = [(&'static str, T)];

/// `[cache] eviction`.
pub(super) const EVICTION: &Words<store::Eviction> =
    &[("lru", store::Eviction::Lru), ("tinylfu", store::Eviction::TinyLfu)];

/// `[[admin.tokens]] role`.
pub(super) const ROLE: &Words<admin::Role> = &[
    ("viewer", admin::Role::Viewer),
    ("operator", admin::Role::Operator),
    ("administrator", admin::Role::Administrator),
];

/// `[log] format`.
pub(super) const FORMAT: &Words<telemetry::Format> = &[
    ("json", telemetry::Format::Json),
    ("combined", telemetry::Format::Combined),
    ("pretty", telemetry::Format::Pretty),
];

/// `[log] level`.
pub(super) const LEVEL: &Words<tracing::Level> = &[
    ("error", tracing::Level::ERROR),
    ("warn", tracing::Level::WARN),
    ("info", tracing::Level::INFO),
    ("debug", tracing::Level::DEBUG),
    ("trace", tracing::Level::TRACE),
];

/// `balance`.
pub(super) const BALANCE: &Words<Balance> =
    &[("least-loaded", Balance::LeastLoaded), ("round-robin", Balance::RoundRobin), ("hash", Balance::Hash)];

/// `freshness`.
pub(super) const FRESHNESS: &Words<Precedence> = &[("origin", Precedence::Origin), ("ttl", Precedence::Ttl)];

/// `error_answers`.
pub(super) const ERROR_ANSWERS: &Words<ErrorAnswers> = &[("drop", ErrorAnswers::Drop), ("rfc", ErrorAnswers::Rfc)];

/// `set_cookie`.
pub(super) const SET_COOKIE: &Words<SetCookie> =
    &[("private", SetCookie::Private), ("store", SetCookie::Store), ("pass", SetCookie::Pass)];

/// `client_directives`: whether they are honoured.
pub(super) const CLIENT_DIRECTIVES: &Words<bool> = &[("honour", true), ("ignore", false)];

/// `client_cache`.
pub(super) const CLIENT_CACHE: &Words<ClientCache> =
    &[("origin", ClientCache::Origin), ("revalidate", ClientCache::Revalidate), ("none", ClientCache::None)];

/// `etag`: whether one is generated.
pub(super) const ETAG: &Words<bool> = &[("origin", false), ("generate", true)];

/// `compress.encodings`.
pub(super) const ENCODINGS: &Words<Coding> = &[("zstd", Coding::Zstd), ("br", Coding::Brotli), ("gzip", Coding::Gzip)];

/// `invalidate`.
pub(super) const INVALIDATE: &Words<Reach> =
    &[("tree", Reach::Tree), ("collection", Reach::Collection), ("self", Reach::Own), ("api", Reach::Api)];

/// The words as a sentence names them: `"a", "b" or "c"`.
pub(super) fn listed<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|w| format!("\"{w}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The word that means `value`.
pub(super) fn word<T: PartialEq>(words: &Words<T>, value: &T) -> &'static str {
    // Every value of these types stands in its table; a test of `effective` reads each back.
    words.iter().find(|(_, v)| v == value).map_or("", |(word, _)| word)
}

/// `[api.auth] name_from`: which name of a certificate is its caller's.
pub(super) const NAME_FROM: &Words<NameFrom> = &[
    ("common-name", NameFrom::CommonName),
    ("dns", NameFrom::Dns),
    ("uri", NameFrom::Uri),
    ("email", NameFrom::Email),
];
