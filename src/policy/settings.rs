//! What an operator says about an API: the checked form of `[[api]]`, `[api.key]`, `[[api.route]]` and `[[api.purge]]`.

use super::namespace::{Namespace, Source};
use super::pattern::{Methods, Pattern, Template};
use crate::auth;
use crate::encode;
use crate::limit::Limiter;
use crate::upstream::{self, Endpoint, Retry, Timeouts};
use http::HeaderName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One `[[api]]`: an API and version, where it is seen and where it lives.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// `name`.
    pub name: String,
    /// `version`.
    pub version: String,
    /// `host`: lower case, without port; `None` answers on every host that no other API names.
    pub host: Option<String>,
    /// `path`: the public prefix, canonical, without the final slash; empty is the root.
    pub path: String,
    /// `upstream`: at least one, all with the same base path.
    pub upstream: Vec<Endpoint>,
    /// How they are asked: `balance`, `[api.pool]`, `[api.health]`, `[api.breaker]`.
    pub origin: upstream::Settings,
    /// What holds where no route says otherwise.
    pub rules: Arc<Rules>,
    /// `[[api.route]]` in the order of the file; the first that matches holds.
    pub routes: Vec<Route>,
    /// `[[api.purge]]`.
    pub purges: Vec<PurgeRule>,
    /// What it has as a namespace of the object cache, if it is one.
    pub namespace: Option<Arc<Namespace>>,
}

impl Api {
    /// Its source, if it is a namespace that has one.
    pub fn source(&self) -> Option<&Source> {
        self.namespace.as_ref()?.source.as_ref()
    }

    /// `name/version`, as the admin API writes it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.name, self.version)
    }
}

/// One `[[api.route]]`: the requests it is for and the rules that hold for them, overrides already applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The methods of `on`.
    pub methods: Methods,
    /// The path pattern of `on`, relative to the API.
    pub path: Pattern,
    /// The API's rules with this route's overrides.
    pub rules: Arc<Rules>,
}

/// One `[[api.purge]]`: what else a successful write invalidates.
#[derive(Clone, Debug, PartialEq)]
pub struct PurgeRule {
    /// The methods of `on`.
    pub methods: Methods,
    /// The path pattern of `on`, relative to the API; its names can be used below.
    pub path: Pattern,
    /// Paths relative to the API, with names of `on` and wildcards.
    pub paths: Vec<Pattern>,
    /// Tags, with names of `on`.
    pub tags: Vec<Template>,
}

/// Every setting that a route may override.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// `cache`: false passes everything through. Default true.
    pub cache: bool,
    /// `safe`: a method that would be a write invalidates nothing. Default false.
    pub safe: bool,
    /// `strip_prefix`: the origin doesn't see the API's public path. Default false.
    pub strip_prefix: bool,
    /// `host_header`. Default upstream.
    pub host_header: HostHeader,
    /// `upgrade`: protocols that may be tunnelled, lower case. Default none.
    pub upgrade: Vec<String>,
    /// `login`: paths of login pages; a 3xx to one is not a successful write. Default `/login`.
    pub login: Vec<String>,
    /// `ttl`: the lifetime where the origin states none, for 200, 203, 301 and 308. Default none.
    pub ttl: Option<Ttl>,
    /// `ttl_by_status`: the same for further statuses. Default none.
    pub ttl_by_status: BTreeMap<u16, Ttl>,
    /// `freshness`: who wins, the origin's fields or `ttl`.
    pub freshness: Precedence,
    /// `heuristic`: RFC 9111 §4.2.2 for answers with only `Last-Modified`. Default false.
    pub heuristic: bool,
    /// `error_answers`. Default drop.
    pub error_answers: ErrorAnswers,
    /// `grace`: stale-while-revalidate where the origin states none. Default zero.
    pub grace: Duration,
    /// `keep_on_error`: stale-if-error where the origin states none. Default zero.
    pub keep_on_error: Duration,
    /// `stale_after`: how long a read waits for the origin before what may be given when that fails is given. Default none: to the end.
    pub stale_after: Option<Duration>,
    /// `refresh_ahead`: the share of a lifetime after which a hit has the next answer asked for. Default none.
    pub refresh_ahead: Option<f64>,
    /// `ttl_jitter`: the largest share by which a stored lifetime is shortened, at random. Default 0.
    pub ttl_jitter: f64,
    /// `set_cookie`. Default private.
    pub set_cookie: SetCookie,
    /// `content_types`: media types in lower case, or `type/*`; an answer of another isn't stored. Default none: any is.
    pub content_types: Vec<String>,
    /// `client_directives`: honour (true) or ignore a client's Cache-Control. Default honour.
    pub client_directives: bool,
    /// `client_cache`. Default origin.
    pub client_cache: ClientCache,
    /// `etag = "generate"`: a weak ETag on hits where the origin sends none. Default false.
    pub generate_etag: bool,
    /// `[api.auth]`: how callers are told apart. Default: nobody is asked.
    pub auth: auth::Settings,
    /// `[api.rate]`: how many requests in how much time. Default: no limit.
    pub rate: Option<Limiter>,
    /// `[api.cors]`: which pages may read our own refusals. Default: none.
    pub cors: Option<Cors>,
    /// `compress`: which answers are encoded for clients that take that. Default none.
    pub compress: Option<Arc<encode::Settings>>,
    /// `unique_etags`: the operator's word that strong entity tags differ between variants. Default false.
    pub unique_etags: bool,
    /// `invalidate`. Default tree.
    pub invalidate: Reach,
    /// `write_settle`. Default zero.
    pub write_settle: Duration,
    /// `timeouts`.
    pub timeouts: Timeouts,
    /// `retry`. Default one further try, where there are several endpoints.
    pub retry: Retry,
    /// `[api.key]`.
    pub key: KeyRules,
}

impl Rules {
    /// Whether a content of this type and length is put into codings for clients (`compress`), so that room is to be kept for them.
    pub fn may_encode(&self, content_type: Option<&[u8]>, length: usize) -> bool {
        self.compress.as_ref().is_some_and(|settings| {
            length as u64 >= settings.min && content_type.is_some_and(|value| settings.takes(value))
        })
    }
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            cache: true,
            safe: false,
            strip_prefix: false,
            host_header: HostHeader::Upstream,
            upgrade: Vec::new(),
            login: vec!["/login".into()],
            ttl: None,
            ttl_by_status: BTreeMap::new(),
            freshness: Precedence::Origin,
            heuristic: false,
            error_answers: ErrorAnswers::Drop,
            grace: Duration::ZERO,
            keep_on_error: Duration::ZERO,
            stale_after: None,
            refresh_ahead: None,
            ttl_jitter: 0.0,
            set_cookie: SetCookie::Private,
            content_types: Vec::new(),
            client_directives: true,
            client_cache: ClientCache::Origin,
            generate_etag: false,
            auth: auth::Settings::None,
            rate: None,
            cors: None,
            compress: None,
            unique_etags: false,
            invalidate: Reach::Tree,
            write_settle: Duration::ZERO,
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            key: KeyRules::default(),
        }
    }
}

/// A cache interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// For so long.
    For(Duration),
    /// `"0"` or `"forever"`: until purged or evicted.
    Forever,
}

/// `freshness`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// The origin's fields win; `ttl` is the fallback.
    Origin,
    /// `ttl` wins over s-maxage, max-age, Expires and no-cache; not over targeted fields, no-store or private.
    Ttl,
}

/// `error_answers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorAnswers {
    /// 400, 405, 411–417, 421, 429, 431 and 5xx are not stored even with explicit freshness.
    Drop,
    /// As RFC 9111 allows.
    Rfc,
}

/// `set_cookie`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetCookie {
    /// An answer with Set-Cookie is stored only if it is `public`.
    Private,
    /// As RFC 9111 allows.
    Store,
    /// Never stored.
    Pass,
}

/// `client_cache`: what clients are told about keeping the answer themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCache {
    /// The origin's Cache-Control.
    Origin,
    /// `no-cache`: they ask again and get a 304 from here.
    Revalidate,
    /// `no-store`.
    None,
}

/// `invalidate`: how far a write reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Its own path with every query, everything below, and each ancestor inside the API.
    Tree,
    /// Its own path and the parent.
    Collection,
    /// Its own path.
    Own,
    /// The whole API.
    Api,
}

/// `host_header`: the Host that the origin sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The endpoint's own authority.
    Upstream,
    /// What the client sent.
    Client,
    /// This name.
    Name(String),
}

/// `[api.key]`: what makes two requests different, beside method, host, path and query.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRules {
    /// `query`. Default all, sorted by name.
    pub query: QueryKey,
    /// `headers`: request fields that are part of the key and join `Vary` downstream.
    pub headers: Vec<HeaderName>,
    /// `share`. Default user.
    pub share: Share,
    /// `credentials`: fields that carry identity, beside Authorization and Cookie.
    pub credentials: FieldPatterns,
    /// `cookies`: which cookies are identity; the others don't reach the origin on cacheable requests.
    pub cookies: Names,
}

/// The default of `credentials`: what clients, and the proxies and sidecars that sign them in, are known to send.
const CREDENTIALS: [&str; 51] = [
    "x-api-key",
    "api-key",
    "x-auth-*",
    "x-session*",
    "x-user*",
    "x-tenant*",
    "x-access-token",
    "x-remote-user",
    "remote-user",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-amz-security-token",
    "x-goog-*",
    "cf-access-*",
    "x-jwt*",
    "x-client-cert*",
    "x-forwarded-client-cert",
    "x-ssl-client-*",
    "ssl-client-*",
    "apikey",
    "token",
    "access-token",
    "auth-token",
    "private-token",
    "job-token",
    "deploy-token",
    "proxy-authorization",
    "dpop",
    "signature*",
    "client-cert*",
    "ocp-apim-*",
    "x-rapidapi-*",
    "x-authorization",
    "x-authenticated-*",
    "x-token*",
    "x-gitlab-token",
    "x-consumer-*",
    "x-customer*",
    "x-client-id",
    "x-client-secret",
    "x-credential*",
    "x-org*",
    "x-account*",
    "x-principal*",
    "x-role*",
    "x-scope*",
    "x-signature*",
    "x-ms-client-principal*",
];

impl Default for KeyRules {
    fn default() -> Self {
        KeyRules {
            query: QueryKey::Sorted(Names::All),
            headers: Vec::new(),
            share: Share::User,
            credentials: FieldPatterns::new(CREDENTIALS.iter().map(|n| FieldPattern::new(n)).collect()),
            cookies: Names::All,
        }
    }
}

/// `query`: which pairs of the query are kept and in what order. What is kept is what the origin gets.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryKey {
    /// As written.
    Exact,
    /// The named pairs, sorted by name, equal names in the order given.
    Sorted(Names),
}

/// A choice among names; a `*` at the end of a name stands for any rest.
#[derive(Clone, Debug, PartialEq)]
pub enum Names {
    /// Every name.
    All,
    /// `{ only = […] }`.
    Only(Vec<FieldPattern>),
    /// `{ ignore = […] }`.
    Ignore(Vec<FieldPattern>),
}

impl Names {
    /// Whether `name` is among those kept; case matters, as in query names and cookies.
    pub fn keeps(&self, name: &str) -> bool {
        match self {
            Names::All => true,
            Names::Only(only) => only.iter().any(|p| p.matches(name)),
            Names::Ignore(ignore) => !ignore.iter().any(|p| p.matches(name)),
        }
    }
}

/// A name, or the beginning of a name followed by `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPattern {
    text: String,
    open: bool,
}

impl FieldPattern {
    /// Reads `name` or `begin*`.
    pub fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(begin) => FieldPattern { text: begin.into(), open: true },
            None => FieldPattern { text: text.into(), open: false },
        }
    }

    /// Whether `name` is meant, letter for letter (field names arrive in lower case).
    pub fn matches(&self, name: &str) -> bool {
        if self.open { name.starts_with(&self.text) } else { name == self.text }
    }
}

/// Several of them, which each field of each request is held against.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldPatterns {
    patterns: Vec<FieldPattern>,
    /// The bytes that a name may begin with to be meant by one of them: most names have another.
    begins: [bool; 256],
}

impl FieldPatterns {
    /// Patterns that stand for any of them.
    pub fn new(patterns: Vec<FieldPattern>) -> Self {
        let mut begins = [false; 256];
        for pattern in &patterns {
            match pattern.text.as_bytes().first() {
                Some(byte) => begins[usize::from(*byte)] = true,
                None => begins = [true; 256],
            }
        }
        FieldPatterns { patterns, begins }
    }

    /// Whether `name`, in lower case, is meant by one of them.
    pub fn matches(&self, name: &str) -> bool {
        let begins = name.as_bytes().first().is_none_or(|byte| self.begins[usize::from(*byte)]);
        begins && self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// One more, if it isn't meant already.
    pub fn add(&mut self, name: &str) {
        if !self.matches(name) {
            let mut patterns = std::mem::take(&mut self.patterns);
            patterns.push(FieldPattern::new(name));
            *self = FieldPatterns::new(patterns);
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &FieldPattern> {
        self.patterns.iter()
    }
}

impl std::fmt::Display for FieldPattern {
    /// As written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.text, if self.open { "*" } else { "" })
    }
}

/// `[api.cors]`: whose pages may read a refusal of ours (Fetch Standard, 3.2). What the origin answers says that for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// `origins`; empty stands for "*".
    pub origins: Vec<String>,
    /// `credentials`: whether also when the page has sent cookies or other credentials.
    pub credentials: bool,
}

impl Cors {
    /// What `Access-Control-Allow-Origin` says to a page of `origin`.
    pub fn allows<'a>(&self, origin: &'a str) -> Option<&'a str> {
        match self.origins.as_slice() {
            [] if self.credentials => Some(origin),
            [] => Some("*"),
            list => list.iter().any(|allowed| allowed == origin).then_some(origin),
        }
    }
}

/// `share`: how widely an answer may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Share {
    /// Within the caller's partition unless the answer says `public`.
    User,
    /// One partition per value of this claim.
    Claim(String),
    /// Shared where RFC 9111 §3.5 allows.
    Everyone,
    /// The operator's word that answers don't depend on the caller.
    AssumePublic,
}
