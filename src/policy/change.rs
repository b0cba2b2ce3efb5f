//! What another configuration of an API means for what is stored of it.
//!
//! Each key falls into one of three kinds, and every structure is taken apart by name here, so that a new key doesn't compile before
//! somebody has decided. **Hard** is what has a part in which answers are stored, under which key, for whom, and in which scopes they lie:
//! what is stored was stored by other rules, and may be somebody else's by the new ones. **Soft** is what only says how long an answer
//! is fresh, or may be used stale: that was worked out when it was stored, so each is asked about again before it counts. **Nothing** is
//! what is looked at with each request. When in doubt it is hard: an answer fetched again costs a moment.

use super::settings::{Api, KeyRules, PurgeRule, Route, Rules};
use crate::upstream::{self, Pooling};

/// What becomes of what is stored; the greater is the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It stays as it is.
    Nothing,
    /// It is stale: the next read of each asks again.
    Soft,
    /// It is never used again.
    Hard,
}

/// What the change from `old` to `new`, an API of the same name and version, means.
pub fn effect(old: &Api, new: &Api) -> Effect {
    let Api { name, version, host, path, upstream, origin, rules, routes, purges, namespace } = old;
    let same_place =
        (name, version, host, path, upstream) == (&new.name, &new.version, &new.host, &new.path, &new.upstream);
    let same_routes = routes.len() == new.routes.len() && routes.iter().zip(&new.routes).all(|(a, b)| takes_same(a, b));
    let same_purges =
        purges.len() == new.purges.len() && purges.iter().zip(&new.purges).all(|(a, b)| purges_same(a, b));
    if namespace.is_some() && old.source().is_none() && (same_place, namespace) == (true, &new.namespace) {
        return Effect::Nothing; // an application has put what is there, and has said for how long
    }
    if !(same_place && namespace == &new.namespace && is_same_origin(origin, &new.origin) && same_routes && same_purges)
    {
        return Effect::Hard;
    }
    let of_routes = routes.iter().zip(&new.routes).map(|(old, new)| of_rules(&old.rules, &new.rules));
    of_routes.fold(of_rules(rules, &new.rules), Effect::max)
}

/// Whether the same servers answer the same: it may depend on what they are shown, and whom they are believed to be.
fn is_same_origin(old: &upstream::Settings, new: &upstream::Settings) -> bool {
    let upstream::Settings { balance: _, pool, health: _, breaker: _ } = old;
    let Pooling { idle: _, idle_timeout: _, lifetime: _, http2: _, streams: _, tls } = pool;
    *tls == new.pool.tls
}

/// Whether two routes are for the same requests.
fn takes_same(a: &Route, b: &Route) -> bool {
    let Route { methods, path, rules: _ } = a;
    (methods, path) == (&b.methods, &b.path)
}

/// Patterns are scopes that answers are put into when they are asked for.
fn purges_same(a: &PurgeRule, b: &PurgeRule) -> bool {
    let PurgeRule { methods, path, paths, tags } = a;
    (methods, path, paths, tags) == (&b.methods, &b.path, &b.paths, &b.tags)
}

fn of_rules(old: &Rules, new: &Rules) -> Effect {
    let Rules {
        // Hard.
        cache,
        safe,
        strip_prefix,
        host_header,
        set_cookie,
        content_types,
        generate_etag,
        auth,
        unique_etags,
        key,
        // Soft.
        ttl,
        ttl_by_status,
        freshness,
        heuristic,
        error_answers,
        grace,
        keep_on_error,
        // Looked at with each request.
        upgrade: _,
        login: _,
        client_directives: _,
        client_cache: _,
        rate: _,
        cors: _,
        invalidate: _,
        write_settle: _,
        timeouts: _,
        retry: _,
        stale_after: _,
        refresh_ahead: _,
        // What was shortened stays so, and what wasn't is still right.
        ttl_jitter: _,
        compress: _,
    } = old;
    let same_origin = (strip_prefix, host_header) == (&new.strip_prefix, &new.host_header);
    let same_kept = (cache, safe, set_cookie, content_types, generate_etag, unique_etags)
        == (&new.cache, &new.safe, &new.set_cookie, &new.content_types, &new.generate_etag, &new.unique_etags);
    if !(same_origin && same_kept && same_key(key, &new.key) && auth.is_same_but_for_keys(&new.auth)) {
        return Effect::Hard;
    }
    let lifetimes = (ttl, ttl_by_status, freshness, heuristic, error_answers, grace, keep_on_error);
    let new = (
        &new.ttl,
        &new.ttl_by_status,
        &new.freshness,
        &new.heuristic,
        &new.error_answers,
        &new.grace,
        &new.keep_on_error,
    );
    if lifetimes == new { Effect::Nothing } else { Effect::Soft }
}

fn same_key(old: &KeyRules, new: &KeyRules) -> bool {
    let KeyRules { query, headers, share, credentials, cookies } = old;
    (query, headers, share, credentials, cookies)
        == (&new.query, &new.headers, &new.share, &new.credentials, &new.cookies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Surroundings};

    /// An API `a/1` with these lines in place of, or after, the usual ones.
    fn api(place: &str, lines: &str) -> Api {
        let place = if place.is_empty() { "path = \"/a\"\nupstream = [\"http://h\"]" } else { place };
        let text = format!("[[api]]\nname = \"a\"\nversion = \"1\"\n{place}\n{lines}\n");
        let around = Surroundings { env: &|_| None, memory_limit: None };
        let loaded = config::parse(&text, "f.toml", &around).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        loaded.config.apis.into_iter().next().unwrap()
    }

    fn between(old: &str, new: &str) -> Effect {
        let (there, back) = (effect(&api("", old), &api("", new)), effect(&api("", new), &api("", old)));
        assert_eq!(there, back, "{old} | {new}");
        there
    }

    /// A key with two values.
    type Row = (&'static str, &'static str);

    const NOTHING: &[Row] = &[
        ("", ""),
        ("ttl = \"1m\"", "ttl = \"60s\""),
        ("upgrade = []", "upgrade = [\"websocket\"]"),
        ("login = []", "login = [\"/login\"]"),
        ("client_directives = \"honour\"", "client_directives = \"ignore\""),
        ("", "stale_after = \"1s\"\nkeep_on_error = \"0s\""),
        ("", "refresh_ahead = 0.9"),
        ("", "ttl_jitter = 0.1"),
        ("", "compress = true"),
        ("client_cache = \"origin\"", "client_cache = \"none\""),
        (
            "rate = { per_caller = { requests = 1, per = \"1s\" } }",
            "rate = { per_caller = { requests = 2, per = \"1s\" } }",
        ),
        ("", "rate = { total = { requests = 2, per = \"1s\" } }"),
        ("", "cors = { origins = \"*\" }"),
        ("invalidate = \"tree\"", "invalidate = \"self\""),
        ("write_settle = 0", "write_settle = 2"),
        ("timeouts = { total = \"1s\" }", "timeouts = { total = \"2s\" }"),
        ("", "retry = { times = 2 }"),
        ("", "balance = \"hash\"\npool = { idle = 1 }\nhealth = { failures = 1 }\nbreaker = {}"),
        (
            "[[api.route]]\non = \"GET /x\"\ntimeouts = { total = \"1s\" }",
            "[[api.route]]\non = \"GET /x\"\ntimeouts = { total = \"2s\" }",
        ),
        (
            "auth = { kind = \"api-key\", header = \"x-api-key\", keys = [] }",
            "auth = { kind = \"api-key\", header = \"x-api-key\", keys = [{ user = \"a\", sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\" }] }",
        ),
    ];

    const SOFT: &[Row] = &[
        ("ttl = \"1m\"", "ttl = \"2m\""),
        ("ttl = \"1m\"", ""),
        ("", "ttl_by_status = { 404 = \"5s\" }"),
        ("", "freshness = \"ttl\""),
        ("", "heuristic = true"),
        ("", "error_answers = \"rfc\""),
        ("", "grace = \"1s\""),
        ("", "keep_on_error = \"1s\""),
        ("[[api.route]]\non = \"GET /x\"\nttl = \"1s\"", "[[api.route]]\non = \"GET /x\"\nttl = \"2s\""),
    ];

    const HARD: &[Row] = &[
        ("", "cache = false"),
        ("", "safe = true"),
        ("", "strip_prefix = true"),
        ("", "host_header = \"client\""),
        ("host_header = \"a\"", "host_header = \"b\""),
        ("", "set_cookie = \"store\""),
        ("", "content_types = [\"text/html\"]"),
        ("", "etag = \"generate\""),
        ("", "unique_etags = true"),
        ("", "pool = { tls = { name = \"other.example\" } }"),
        ("", "key = { query = \"exact\" }"),
        ("", "key = { query = { ignore = [\"a\"] } }"),
        ("", "key = { headers = [\"accept\"] }"),
        ("", "key = { share = \"everyone\" }"),
        ("", "key = { credentials = [] }"),
        ("", "key = { cookies = { ignore = [\"a\"] } }"),
        ("", "auth = { kind = \"api-key\", header = \"x-api-key\", keys = [] }"),
        (
            "auth = { kind = \"api-key\", header = \"x-api-key\", keys = [] }",
            "auth = { kind = \"api-key\", query = \"key\", keys = [] }",
        ),
        (
            "auth = { kind = \"api-key\", header = \"x-api-key\", keys = [] }",
            "auth = { kind = \"api-key\", header = \"x-api-key\", required_scopes = [\"a\"], keys = [] }",
        ),
        (
            "auth = { kind = \"forward\", url = \"http://j/\", headers = [\"cookie\"] }",
            "auth = { kind = \"forward\", url = \"http://k/\", headers = [\"cookie\"] }",
        ),
        ("", "[[api.route]]\non = \"GET /x\""),
        ("[[api.route]]\non = \"GET /x\"", "[[api.route]]\non = \"GET /y\""),
        ("[[api.route]]\non = \"GET /x\"", "[[api.route]]\non = \"GET,POST /x\""),
        (
            "[[api.route]]\non = \"GET /x\"\n[[api.route]]\non = \"GET /*\"\ncache = false",
            "[[api.route]]\non = \"GET /*\"\ncache = false\n[[api.route]]\non = \"GET /x\"",
        ),
        ("[[api.route]]\non = \"GET /x\"", "[[api.route]]\non = \"GET /x\"\ncache = false"),
        ("ttl = \"1m\"", "ttl = \"2m\"\ncache = false"),
        ("", "[[api.purge]]\non = \"PUT /a\"\ntags = [\"t\"]"),
        ("[[api.purge]]\non = \"PUT /a\"\npaths = [\"/x/*\"]", "[[api.purge]]\non = \"PUT /a\"\npaths = [\"/y/*\"]"),
    ];

    #[test]
    fn each_key_has_its_effect() {
        for (rows, expected) in [(NOTHING, Effect::Nothing), (SOFT, Effect::Soft), (HARD, Effect::Hard)] {
            for (old, new) in rows {
                assert_eq!(between(old, new), expected, "{old} | {new}");
            }
        }
    }

    #[test]
    fn another_place_is_hard() {
        let usual = api("", "");
        for place in [
            "path = \"/b\"\nupstream = [\"http://h\"]",
            "path = \"/a\"\nhost = \"x.example\"\nupstream = [\"http://h\"]",
            "path = \"/a\"\nupstream = [\"http://g\"]",
            "path = \"/a\"\nupstream = [\"https://h\"]",
            "path = \"/a\"\nupstream = [\"http://h/base\"]",
            "path = \"/a\"\nupstream = [\"http://h\", \"http://g\"]",
        ] {
            assert_eq!(effect(&usual, &api(place, "")), Effect::Hard, "{place}");
        }
        assert_eq!(effect(&usual, &api("", "")), Effect::Nothing);
    }
}
