//! What each named reason means, where it is laid down, and what would change it.

/// A reason in words.
pub(super) struct Word {
    /// What it means.
    pub(super) says: &'static str,
    /// Where it is laid down: a section, or a key of the configuration.
    pub(super) section: &'static str,
    /// The key of the configuration that has a say: of the API or route, or with its section.
    pub(super) key: Option<&'static str>,
    /// What would change it; empty where nothing would.
    pub(super) change: &'static str,
}

/// The words for a reason; for one that has none, some that always hold.
pub(super) fn word(reason: &str) -> Word {
    let all = [ASKING, KEEPING, REFUSING];
    let found = all.iter().flat_map(|table| table.iter()).find(|(name, ..)| *name == reason);
    let (_, says, section, key, change) =
        found.copied().unwrap_or(("", "the gateway refuses it", "RFC 9110 §15", "", ""));
    Word { says, section, key: Some(key).filter(|key| !key.is_empty()), change }
}

/// Name, meaning, section, key, change.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// Why a stored answer is or isn't used, and why the cache is passed by.
const ASKING: &[Row] = &[
    (
        "stale",
        "what is stored is no longer fresh",
        "RFC 9111 §4.2",
        "ttl",
        "have the origin state a longer lifetime, or set a longer ttl where it states none; with grace a stale answer is given while the origin is asked",
    ),
    (
        "outdated",
        "what is stored was softly purged: it counts as stale",
        "RFC 9111 §4.2.4",
        "grace",
        "set grace: then it is given while the origin is asked for the next one",
    ),
    (
        "no-cache",
        "what is stored says no-cache: it is validated before each use",
        "RFC 9111 §5.2.2.4",
        "freshness",
        "have the origin say max-age in place of no-cache, or set freshness = \"ttl\" with a ttl, which wins over it",
    ),
    (
        "client-no-cache",
        "the client says no-cache",
        "RFC 9111 §5.2.1.4",
        "client_directives",
        "send it without Cache-Control: no-cache (or Pragma), or set client_directives = \"ignore\"",
    ),
    (
        "client-max-age",
        "what is stored is older than the client's max-age",
        "RFC 9111 §5.2.1.1",
        "client_directives",
        "send it without max-age, or set client_directives = \"ignore\"",
    ),
    (
        "client-min-fresh",
        "what is stored isn't fresh for as long as the client's min-fresh",
        "RFC 9111 §5.2.1.3",
        "client_directives",
        "send it without min-fresh, or set client_directives = \"ignore\"",
    ),
    (
        "invalidated",
        "what was stored was invalidated, by a write or a purge, and is fetched anew",
        "RFC 9111 §4.4",
        "invalidate",
        "nothing needs to change: the next answer is stored again; invalidate says how far a write reaches",
    ),
    (
        "max-stale",
        "what is stored is stale, and the client takes that",
        "RFC 9111 §5.2.1.2",
        "client_directives",
        "send it without max-stale, or set client_directives = \"ignore\"",
    ),
    (
        "stale-while-revalidate",
        "what is stored is stale and within its grace: it is given, and the origin is asked meanwhile",
        "RFC 5861 §3",
        "grace",
        "set grace to \"0s\", or have the origin say stale-while-revalidate=0",
    ),
    ("cache-off", "this API or route isn't cached", "config cache", "cache", "set cache = true"),
    (
        "request-body",
        "it is a GET or HEAD with a content, which no key has",
        "RFC 9110 §9.3.1",
        "",
        "send it without a content",
    ),
    (
        "precondition",
        "it has If-Match or If-Unmodified-Since, which only the origin can answer",
        "RFC 9110 §13.1",
        "",
        "send it without If-Match and If-Unmodified-Since",
    ),
    (
        "client-no-store",
        "the client forbids to keep the answer",
        "RFC 9111 §5.2.1.5",
        "client_directives",
        "send it without Cache-Control: no-store, or set client_directives = \"ignore\"",
    ),
    (
        "unshared",
        "the last answer couldn't be kept, so the client's conditions go to the origin as they are",
        "RFC 9111 §4.3.2",
        "",
        "have the origin allow its answer to be stored",
    ),
    (
        "path-too-deep",
        "its path has more segments than answers are stored for",
        "config cache",
        "",
        "use a path of at most 32 segments",
    ),
    (
        "query-too-long",
        "the content of the QUERY is longer than a key may be",
        "config server.limits.query_body",
        "server.limits.query_body",
        "set a larger server.limits.query_body",
    ),
    (
        "only-if-cached",
        "the client wants nothing but what is stored, and that may not be used",
        "RFC 9111 §5.2.1.7",
        "client_directives",
        "send it without only-if-cached",
    ),
];

/// Why an answer isn't kept.
const KEEPING: &[Row] = &[
    (
        "no-store",
        "the origin says no-store",
        "RFC 9111 §5.2.2.5",
        "",
        "have the origin leave out no-store; nothing here wins over it",
    ),
    (
        "private",
        "the origin says private",
        "RFC 9111 §5.2.2.7",
        "",
        "have the origin leave out private; nothing here wins over it",
    ),
    (
        "set-cookie",
        "it sets a cookie and doesn't say public",
        "RFC 9111 §7.3",
        "set_cookie",
        "have the origin set no cookie here or say public, or set set_cookie = \"store\"",
    ),
    ("vary-any", "the origin says Vary: *", "RFC 9111 §4.1", "", "have the origin name the fields that it minds"),
    (
        "no-lifetime",
        "neither the origin nor this configuration says how long it is fresh",
        "RFC 9111 §4.2.1",
        "ttl",
        "set ttl for this API, or have the origin say Cache-Control: max-age",
    ),
    (
        "no-validator",
        "it would have to be validated before each use and has no ETag or Last-Modified",
        "RFC 9111 §4.3",
        "",
        "have the origin send an ETag, or state a lifetime",
    ),
    (
        "error-answer",
        "it is an error, and those aren't kept here",
        "config error_answers",
        "error_answers",
        "set error_answers = \"rfc\"",
    ),
    ("status", "its status is never stored", "RFC 9111 §3", "", ""),
    ("method", "its method is not one whose answers are stored", "RFC 9111 §3", "", ""),
    (
        "not-understood",
        "the origin says must-understand, with a status that isn't understood here",
        "RFC 9111 §5.2.2.3",
        "",
        "have the origin leave out must-understand",
    ),
    (
        "request-no-store",
        "the request said no-store",
        "RFC 9111 §5.2.1.5",
        "",
        "send it without Cache-Control: no-store",
    ),
    ("stream", "it is a stream, which goes on as long as both sides like", "config cache", "", ""),
    (
        "content-type",
        "its media type is not one that content_types names",
        "config content_types",
        "content_types",
        "name its media type in content_types",
    ),
    (
        "too-many-tags",
        "it has more, or longer, tags than can be kept",
        "config cache",
        "",
        "have the origin send at most 128 tags of at most 1024 bytes",
    ),
    (
        "vary-client-address",
        "it depends on the client's address",
        "RFC 9111 §4.1",
        "",
        "have the origin leave Forwarded and X-Forwarded-For out of Vary",
    ),
    (
        "vary-connection",
        "it depends on TE, which is of one connection",
        "RFC 9111 §4.1",
        "",
        "have the origin leave TE out of Vary",
    ),
    (
        "settling",
        "a write to it is settling: it isn't kept until that is over",
        "config write_settle",
        "write_settle",
        "wait until write_settle, or the timeout of a write of unknown outcome, is over",
    ),
    (
        "too-many-fills",
        "too many answers are being recorded already",
        "config server.limits.fills",
        "server.limits.fills",
        "set a larger server.limits.fills",
    ),
    (
        "keys-per-caller",
        "its caller has as many stored answers as one may have",
        "config server.limits.keys_per_caller",
        "server.limits.keys_per_caller",
        "set a larger server.limits.keys_per_caller",
    ),
    (
        "too-large",
        "it is larger than max_object_size",
        "config cache.max_object_size",
        "cache.max_object_size",
        "set a larger cache.max_object_size",
    ),
    (
        "content-range",
        "it is a part that doesn't say which one",
        "RFC 9110 §14.4",
        "",
        "have the origin send a sound Content-Range",
    ),
    ("no-object", "its source says that it isn't there", "config objects", "", ""),
];

/// Why a request is refused.
const REFUSING: &[Row] = &[
    (
        "no-api",
        "no API answers on this host and path",
        "RFC 9110 §15.5.5",
        "api",
        "use a path that an API has (path, and host where it names one), or add an [[api]]",
    ),
    ("bad-method", "its method is written in small letters", "RFC 9110 §9.1", "", "write the method in capitals"),
    ("method-refused", "its method is not served here", "RFC 9110 §15.5.6", "", "use another method"),
    (
        "head-too-large",
        "it has too many fields",
        "config server.limits.header_count",
        "server.limits.header_count",
        "send fewer fields, or set a larger server.limits.header_count",
    ),
    (
        "request-too-large",
        "its content is too large",
        "RFC 9110 §15.5.14",
        "server.limits.request_body",
        "set a larger server.limits.request_body",
    ),
    (
        "two-lengths",
        "it says in two ways how long its content is",
        "RFC 9112 §6.3",
        "",
        "send one Content-Length, or Transfer-Encoding: chunked",
    ),
    (
        "transfer-coding",
        "its transfer coding is not one `chunked`",
        "RFC 9112 §6.1",
        "",
        "send Transfer-Encoding: chunked or Content-Length",
    ),
    ("repeated-field", "a field that may have one line has several", "RFC 9110 §5.3", "", "send that field once"),
    (
        "loop",
        "it has been through too many gateways of this kind",
        "RFC 9110 §7.6.3",
        "",
        "look whether an upstream leads back here",
    ),
    (
        "ambiguous-path",
        "read more generously its path is for other callers",
        "RFC 9110 §4.2.3",
        "",
        "write the path without escapes and parameters",
    ),
    (
        "credentials-missing",
        "it doesn't say who is calling",
        "RFC 9110 §15.5.2",
        "auth",
        "send the credential that auth asks for, or give caller to see what would happen to one who has it",
    ),
    (
        "credentials-malformed",
        "its credential is given twice or can't be read",
        "RFC 9110 §15.5.2",
        "auth",
        "send the credential once, as auth asks for it",
    ),
    (
        "credentials-unknown",
        "nobody is known by its credential",
        "RFC 9110 §15.5.2",
        "auth",
        "send a credential that is known here",
    ),
    (
        "token-incomplete",
        "its token lacks a claim that is needed",
        "RFC 7519 §4.1",
        "auth",
        "use a token with exp and the user's claim",
    ),
    ("token-expired", "its token, or certificate, no longer counts", "RFC 7519 §4.1.4", "auth", "get a new token"),
    (
        "token-not-yet-valid",
        "its token isn't valid yet",
        "RFC 7519 §4.1.5",
        "auth.leeway",
        "wait, or look at the clocks; leeway says how far they may be apart",
    ),
    ("token-issuer", "its token is another issuer's", "RFC 7519 §4.1.1", "auth.issuer", "use a token of this issuer"),
    (
        "token-audience",
        "its token is for another audience",
        "RFC 7519 §4.1.3",
        "auth.audience",
        "use a token for this audience",
    ),
    (
        "scope-missing",
        "its caller is known and may not do that",
        "RFC 9110 §15.5.4",
        "auth.required_scopes",
        "give the caller the scopes that required_scopes names",
    ),
    (
        "issuer-unavailable",
        "its issuer's keys were never fetched",
        "RFC 9110 §15.6.4",
        "auth.jwks_url",
        "look whether jwks_url can be reached",
    ),
    (
        "judge-unavailable",
        "who is asked about callers gives no answer",
        "RFC 9110 §15.6.4",
        "auth.url",
        "look whether the judge can be reached",
    ),
    (
        "rate-of-caller",
        "its caller has asked as often as it may for now",
        "RFC 6585 §4",
        "rate",
        "wait, or set a larger rate",
    ),
    (
        "rate-of-api",
        "its API has been asked as often as it may for now",
        "RFC 6585 §4",
        "rate",
        "wait, or set a larger rate",
    ),
];

/// Where a target that can't be read is refused; its names are many, and its own words tell which.
pub(super) const BAD_TARGET: &str = "RFC 9112 §3.2";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9111::NotStored;

    #[test]
    fn each_reason_cites_a_section_or_a_key() {
        for (name, says, section, ..) in [ASKING, KEEPING, REFUSING].concat() {
            let cites = section.starts_with("RFC ") && section.contains('§') || section.starts_with("config ");
            assert!(cites && !says.is_empty(), "{name}");
        }
        for reason in [
            NotStored::NoStore,
            NotStored::Private,
            NotStored::SetCookie,
            NotStored::NotUnderstood,
            NotStored::NoLifetime,
        ] {
            assert!(!word(reason.name()).change.is_empty());
        }
        assert_eq!(word("nobody knows").section, "RFC 9110 §15");
    }
}
