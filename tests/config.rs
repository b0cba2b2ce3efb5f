//! The configuration file from outside: which faults it has, where, and in which words.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may stop a test, as tests may")]

use assert_cmd::Command;
use freshgate::config::{Fault, Faults, Loaded, Surroundings, effective, parse};
use freshgate::policy::Ttl;
use proptest::prelude::*;
use std::io::Write;
use std::time::Duration;

/// What every `[[api]]` needs; its own keys follow in line 6.
const API: &str = "[[api]]\nname = \"a\"\nversion = \"1\"\npath = \"/a\"\nupstream = [\"http://h\"]\n";

fn read(text: &str) -> Result<Loaded, Faults> {
    let env = |name: &str| match name {
        "SECRET" => Some("correct horse battery staple\n".to_owned()),
        "SHORT" => Some("1234".to_owned()),
        "EMPTY" => Some("\n".to_owned()),
        _ => None,
    };
    parse(text, "f.toml", &Surroundings { env: &env, memory_limit: None })
}

/// The faults of `text`, one in a line.
fn faults(text: &str) -> Vec<String> {
    match read(text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.to_string().lines().map(String::from).collect(),
    }
}

/// A text, and the place, key and words of its only fault.
type Case = (&'static str, &'static str, &'static str);

/// Each text, put behind `before`, has exactly one fault, which begins and continues as the case says.
fn each(before: &str, cases: &[Case]) {
    for (text, place, words) in cases {
        let found = faults(&format!("{before}{text}"));
        let right = found.len() == 1 && found[0].starts_with(&format!("f.toml:{place}: ")) && found[0].contains(words);
        assert!(right, "{text}\nexpected f.toml:{place}: …{words}…\nfound {found:#?}");
    }
}

const SERVER_CACHE_LOG: &[Case] = &[
    ("colour = 1", "1:1: colour", "unknown key"),
    ("[serve]\n", "1:2: serve", "did you mean `server`?"),
    ("server = 3", "1:10: server", "found 3, expected a table"),
    ("[server]\nlisten = \"127.0.0.1:80\"", "2:10: server.listen", "expected a list in brackets"),
    ("[server]\nlisten = []", "2:10: server.listen", "at least one address"),
    ("[server]\nlisten = [\"localhost:80\"]", "2:11: server.listen[0]", "expected an IP address and a port"),
    (
        "[server]\nlisten = [\n  \"127.0.0.1:80\",\n  \"0.0.0.0:80\"]",
        "4:3: server.listen[1]",
        "clashes with 127.0.0.1:80 of server.listen[0] in line 3",
    ),
    ("server.trusted_proxies = [\"10.0.0.1/8\"]", "1:27: server.trusted_proxies[0]", "expected \"10.0.0.0/8\""),
    ("server.trusted_proxies = [\"::1\", \"::1\"]", "1:34: server.trusted_proxies[1]", "twice; first in line 1"),
    ("server.purge_method = 1", "1:23: server.purge_method", "found 1, expected true or false"),
    ("server.handover = \"\"", "1:19: server.handover", "expected the path of a file"),
    (
        "server.handover = \"/run/a-folder-whose-name-is-long-enough-to-leave-no-room-at-all/for-a-socket/in-the-address-of-a-socket/x\"",
        "1:19: server.handover",
        "at most 100 bytes",
    ),
    ("cache.snapshot = 1", "1:18: cache.snapshot", "found 1"),
    ("server.limits.header_bytes = \"1KiB\"", "1:30: server.limits.header_bytes", "from 8KiB to 1MiB"),
    ("server.limits.header_bytes = \"64k\"", "1:30: server.limits.header_bytes", "found \"64k\", expected a size"),
    ("server.limits.connections = 0", "1:29: server.limits.connections", "a number from 1 to 1000000"),
    ("server.limits.fills = -1", "1:23: server.limits.fills", "found -1"),
    ("server.limits.fills = 0xFFFFFFFFFFFFFFFFFFF", "1:23: server.limits.fills", "a number from 1 to 100000"),
    ("server.limits.request_body = \"some\"", "1:30: server.limits.request_body", "expected a size"),
    ("server.limits.idle_timeout = \"1.5s\"", "1:30: server.limits.idle_timeout", "from 100ms to 1h"),
    ("server.limits.conections = 1", "1:15: server.limits.conections", "did you mean `connections`?"),
    ("server.drain.delay = 4000", "1:22: server.drain.delay", "from 0s to 1h"),
    ("[cache]\nmax_size = \"1KiB\"", "2:12: cache.max_size", "from 1MiB to 16384GiB"),
    ("cache.max_object_size = \"600MiB\"", "1:25: cache.max_object_size", "at most max_size, 512MiB"),
    ("cache.eviction = \"fifo\"", "1:18: cache.eviction", "found \"fifo\", expected \"lru\" or \"tinylfu\""),
    ("log.level = \"loud\"", "1:13: log.level", "\"debug\" or \"trace\""),
    ("log.sample = 1.5", "1:14: log.sample", "from 0.0 to 1.0"),
    ("log.sample = nan", "1:14: log.sample", "from 0.0 to 1.0"),
    ("log.redact_query = [1]", "1:21: log.redact_query[0]", "a text in quotes"),
];

const SOURCE: &str = "[[events.source]]\nkind = \"postgres\"\n";
const STREAM: &str = "[[events.source]]\nkind = \"redis\"\n";

const POSTGRES: &[Case] = &[
    (
        "channels = [\"c\"]",
        "1:1: events.source[0]",
        "doesn't say where it is, expected one of url, url_env and url_file",
    ),
    ("url = \"postgres://a@h\"", "1:1: events.source[0].channels", "is missing"),
    ("url = \"postgres://a@h?sslmode=require\"\nchannels = []", "4:12: events.source[0].channels", "at least one"),
    ("url = \"postgres://a@h\"\nchannels = [\"c\", \"c\"]", "4:18: events.source[0].channels[1]", "stands twice"),
    ("url = \"postgres://a@h\"\nchannels = [\"\"]", "4:13: events.source[0].channels[0]", "1 to 63 bytes"),
    (
        "url = \"postgres://a@h\"\nchannels = [\"c\"]\nstreams = [\"s\"]",
        "5:11: events.source[0].streams",
        "says nothing with kind = \"postgres\"",
    ),
    (
        "url = \"postgres://a@h\"\nchannels = [\"c\"]\nbackoff = \"2s\"\nmax_backoff = \"1s\"",
        "6:15: events.source[0].max_backoff",
        "is shorter than backoff",
    ),
    (
        "url = \"postgres://a@h\"\nchannels = [\"c\"]\nconect_timeout = \"2s\"",
        "5:1: events.source[0].conect_timeout",
        "did you mean `connect_timeout`?",
    ),
    ("url_env = \"NONE\"\nchannels = [\"c\"]", "3:11: events.source[0].url_env", "no such environment variable"),
    (
        "url = \"postgres://a@h\"\nurl_env = \"SECRET\"\nchannels = [\"c\"]",
        "1:1: events.source[0]",
        "says more than once where it is",
    ),
];

const REDIS: &[Case] = &[
    ("url = \"redis://h\"", "1:1: events.source[0].streams", "is missing"),
    ("url = \"redis://h\"\nstreams = [\"s\"]\ncount = 0", "5:9: events.source[0].count", "from 1 to 10000"),
    ("url = \"redis://h\"\nstreams = [\"s\"]\nblock = 0", "5:9: events.source[0].block", "from 100ms to 1m"),
    (
        "url = \"redis://h\"\nchannels = [\"s\"]\nstreams = [\"s\"]",
        "4:12: events.source[0].channels",
        "its key is streams",
    ),
    ("url = \"rediss://h/#insecure\"\nstreams = [\"s\"]", "3:7: events.source[0].url", "expected redis://"),
];

#[test]
fn sources_of_events() {
    each(SOURCE, POSTGRES);
    each(STREAM, REDIS);
    each(
        "",
        &[
            (
                "[[events.source]]\nkind = \"mysql\"\nurl = \"x\"",
                "2:8: events.source[0].kind",
                "\"postgres\" or \"redis\"",
            ),
            ("[events.source]\nkind = \"redis\"", "1:1: events.source", "write [[events.source]]"),
            ("[events]\nsources = 1", "2:1: events.sources", "did you mean `source`?"),
        ],
    );
    let two = format!("{STREAM}url = \"redis://h\"\nstreams = [\"s\"]\n").repeat(2);
    assert_eq!(faults(&two), ["f.toml:5:1: events.source[1].name: stands twice; first in line 1"]);
}

/// A password may stand in any of these places, the right one and the wrong ones.
#[test]
fn no_fault_shows_the_address_of_a_source() {
    let places = [
        "url = \"postgres://me:hunter2@h:port/db\"",
        "url = \"postgres://me@h/db?hunter2=b\"",
        "url = \"host=h user=me pasword=hunter2\"",
        "url = \"redis://:hunter2@h\"",
        "url = \"hunter2\"",
        "url_env = \"postgres://me:hunter2@h/db\"",
        "url_file = \"postgres://me:hunter2@h/db\"",
        "name = \"x\"\nurl = [\"postgres://me:hunter2@h/db\"]",
    ];
    for place in places {
        let found = faults(&format!("{SOURCE}channels = [\"c\"]\n{place}")).join("\n");
        assert!(found.contains("events.source[0].url") && !found.contains("hunter2"), "{place}: {found}");
    }
}

#[test]
fn what_is_probably_not_meant_of_a_source_is_said() {
    let warned = |text: &str| {
        let loaded = read(&format!("{text}\n{API}")).unwrap_or_else(|faults| panic!("{faults}"));
        loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let postgres = |url: &str| warned(&format!("{SOURCE}channels = [\"c\"]\nurl = \"{url}\""));
    let redis = |url: &str| warned(&format!("{STREAM}streams = [\"c\"]\nurl = \"{url}\""));
    for fine in ["postgres://a@db/x?sslmode=verify-full", "postgres://a@127.0.0.1/x", "host=/run/postgresql user=a"] {
        assert_eq!(postgres(fine), "", "{fine}");
    }
    for fine in ["redis://localhost", "redis://[::1]:1", "rediss://cache", "redis+unix:///run/redis.sock"] {
        assert_eq!(redis(fine), "", "{fine}");
    }
    assert!(postgres("postgres://a@db/x").contains("in the clear"));
    assert!(redis("redis://cache").contains("in the clear"));
    for found in [postgres("postgres://a:hunter2@localhost/x"), redis("redis://:hunter2@localhost")] {
        assert!(found.contains("holds a password") && !found.contains("hunter2"), "{found}");
    }
}

const TOKEN: &str = "[[admin.tokens]]\nname = \"a\"\nrole = \"viewer\"\n";

/// What gives the secret of [`TOKEN`].
const SECRETS: &[Case] = &[
    ("sha256 = \"my secret\"", "4:10: admin.tokens[0].sha256", "expected 64 hexadecimal digits"),
    ("token_env = \"NOBODY_SET_THIS\"", "4:13: admin.tokens[0].token_env", "no such environment variable"),
    ("token_env = \"EMPTY\"", "4:13: admin.tokens[0].token_env", "the secret is empty"),
    ("token_file = \"no/such/file\"", "4:14: admin.tokens[0].token_file", "can't be read"),
    ("", "1:1: admin.tokens[0]", "has no secret, expected one of sha256, token_env and token_file"),
    ("token_env = \"SECRET\"\ntoken_file = \"f\"", "1:1: admin.tokens[0]", "more than one secret"),
    (
        "token_env = \"SECRET\"\n[[admin.tokens]]\nname = \"a\"\nrole = \"viewer\"\ntoken_env = \"SECRET\"",
        "6:8: admin.tokens[1].name",
        "stands twice; first in line 2",
    ),
];

const ADMIN: &[Case] = &[
    ("[admin]\nlisten = \"0.0.0.0:9090\"", "2:10: admin.listen", "expected a loopback address"),
    ("[admin]\nlisten = \"127.0.0.1:8080\"", "2:10: admin.listen", "clashes with 127.0.0.1:8080 of server"),
    ("[admin]\nprobe_listen = \"[::]:x\"", "2:16: admin.probe_listen", "expected an IP address"),
    ("[admin.limits]\nconnections = 3", "2:15: admin.limits.connections", "from 4 to 10000"),
    ("[admin.limits]\nsessions = 0", "2:12: admin.limits.sessions", "from 1 to 10000"),
    ("[admin.limits]\nwrong_token = 2", "2:1: admin.limits.wrong_token", "did you mean `wrong_tokens`?"),
    ("[admin]\ntokens = { }", "2:10: admin.tokens", "a list of tables; write [[admin.tokens]]"),
    ("[[admin.tokens]]\nname = \"a\"\ntoken_env = \"SECRET\"", "1:1: admin.tokens[0].role", "is missing"),
    (
        "[[admin.tokens]]\nname = \"\"\nrole = \"viewer\"\ntoken_env = \"SECRET\"",
        "2:8: admin.tokens[0].name",
        "1 to 64 characters",
    ),
];

#[test]
fn faults_of_server_cache_log_and_admin() {
    each("", SERVER_CACHE_LOG);
    each(TOKEN, SECRETS);
    each("", ADMIN);
    assert!(!faults(&format!("{TOKEN}sha256 = \"my secret\""))[0].contains("my secret"), "a secret is not repeated");
}

/// A key of [`API`] and another value for it, and its fault.
const NEEDED: &[(&str, &str, &str, &str)] = &[
    ("name", "\"a b\"", "2:8: api[0].name", "letters, digits"),
    ("version", "\"..\"", "3:11: api[0].version", "letters, digits"),
    ("path", "\"a\"", "4:8: api[0].path", "begins with `/`"),
    ("path", "\"/a//b\"", "4:8: api[0].path", "no empty segment"),
    ("path", "\"/a/%2e%2e\"", "4:8: api[0].path", "write `.` instead of `%2e`"),
    ("path", "\"/a?b\"", "4:8: api[0].path", "no `?`"),
    ("upstream", "[]", "5:12: api[0].upstream", "at least one URL"),
    ("upstream", "\"http://h\"", "5:12: api[0].upstream", "a list in brackets"),
    ("upstream", "[\"h:80\"]", "5:13: api[0].upstream[0]", "begins with http://"),
    ("upstream", "[\"http://h:0\"]", "5:13: api[0].upstream[0]", "port from 1 to 65535"),
    ("upstream", "[\"http://h/?q\"]", "5:13: api[0].upstream[0]", "no query"),
    ("upstream", "[\"http://u:p@h\"]", "5:13: api[0].upstream[0]", "no user"),
    ("upstream", "[\"http://h/a\", \"http://i/b\"]", "5:27: api[0].upstream[1]", "the base path `/b/`"),
    ("upstream", "[\"http://h\", \"http://H:80/\"]", "5:25: api[0].upstream[1]", "stands twice"),
    ("upstream", "[{ url = \"http://h\", weight = 0 }]", "5:42: api[0].upstream[0].weight", "from 1 to 1000"),
    ("upstream", "[{ weight = 1 }]", "5:13: api[0].upstream[0].url", "is missing"),
];

#[test]
fn faults_of_what_every_api_needs() {
    let with = |name: &str, value: &str| {
        let line = |l: &str| if l.starts_with(name) { format!("{name} = {value}\n") } else { format!("{l}\n") };
        API.lines().map(line).collect::<String>()
    };
    for (name, value, place, words) in NEEDED {
        let found = faults(&with(name, value));
        let right = found.len() == 1 && found[0].starts_with(&format!("f.toml:{place}: ")) && found[0].contains(words);
        assert!(right, "{name} = {value}: {found:#?}");
    }
    let missing = faults("[[api]]");
    for (fault, name) in missing.iter().zip(["name", "version", "path", "upstream"]) {
        assert!(fault.starts_with(&format!("f.toml:1:1: api[0].{name}: is missing, expected ")), "{fault}");
    }
    assert_eq!(missing.len(), 4);
    assert!(!faults(&with("upstream", "[\"http://user:secret@h\"]"))[0].contains("secret"));
}

const RULES: &[Case] = &[
    ("host = \"Example.org\"", "6:8: api[0].host", "in lower case without port"),
    ("host = \"example.org:80\"", "6:8: api[0].host", "in lower case without port"),
    ("host_header = \"a b\"", "6:15: api[0].host_header", "\"upstream\", \"client\" or a host name"),
    ("upgrade = [\"h2c\"]", "6:12: api[0].upgrade[0]", "aren't tunnelled"),
    ("login = [\"login\"]", "6:10: api[0].login[0]", "begins with `/`"),
    ("ttl = \"10\"", "6:7: api[0].ttl", "a duration such as"),
    ("ttl = \"4000d\"", "6:7: api[0].ttl", "from 1ms to 3650d"),
    ("ttl = -1", "6:7: api[0].ttl", "found -1"),
    ("ttl_by_status = { 404 = \"5s\", 503 = \"5s\" }", "6:31: api[0].ttl_by_status.503", "failure never gets a ttl"),
    ("ttl_by_status.401 = 1", "6:15: api[0].ttl_by_status.401", "caller's rights"),
    ("ttl_by_status.403 = 1", "6:15: api[0].ttl_by_status.403", "caller's rights"),
    ("ttl_by_status.206 = 1", "6:15: api[0].ttl_by_status.206", "parts of another answer"),
    ("ttl_by_status.304 = 1", "6:15: api[0].ttl_by_status.304", "parts of another answer"),
    ("ttl_by_status.199 = 1", "6:15: api[0].ttl_by_status.199", "a status from 200 to 499"),
    ("ttl_by_status.404 = \"soon\"", "6:21: api[0].ttl_by_status.404", "found \"soon\""),
    ("freshness = \"mine\"", "6:13: api[0].freshness", "\"origin\" or \"ttl\""),
    ("invalidate = true", "6:14: api[0].invalidate", "\"tree\", \"collection\", \"self\" or \"api\""),
    ("grace = \"366d\"", "6:9: api[0].grace", "from 0s to 365d"),
    ("stale_after = \"0s\"", "6:15: api[0].stale_after", "from 1ms to 1h"),
    ("refresh_ahead = 1", "6:17: api[0].refresh_ahead", "a number from 0.5 to 0.99"),
    ("ttl_jitter = 0.6", "6:14: api[0].ttl_jitter", "a number from 0.0 to 0.5"),
    ("compress = \"gzip\"", "6:12: api[0].compress", "true, false, or a table"),
    ("compress.encodings = []", "6:22: api[0].compress.encodings", "at least one of"),
    (
        "compress.encodings = [\"gzip\", \"deflate\"]",
        "6:31: api[0].compress.encodings[1]",
        "\"zstd\", \"br\" or \"gzip\"",
    ),
    ("compress.min = \"2GiB\"", "6:16: api[0].compress.min", "from 0B to 1GiB"),
    ("compress.types = [\"*/*\"]", "6:19: api[0].compress.types[0]", "expected a media type"),
    ("compress.types = [\"text/*x*\"]", "6:19: api[0].compress.types[0]", "expected a media type"),
    ("compress.level = 9", "6:10: api[0].compress.level", "unknown key"),
    ("timeouts = { connect = \"0s\" }", "6:24: api[0].timeouts.connect", "from 1ms to 5m"),
    ("timeouts.totl = 1", "6:10: api[0].timeouts.totl", "did you mean `total`?"),
    ("key.query = \"some\"", "6:13: api[0].key.query", "\"all\", \"exact\", { only = […] }"),
    ("key.query = { only = [], ignore = [] }", "6:13: api[0].key.query", "one of \"only\" and \"ignore\""),
    ("key.cookies.only = [\"a*b\"]", "6:21: api[0].key.cookies.only[0]", "at the end of a name only"),
    ("key.headers = [\"a b\"]", "6:16: api[0].key.headers[0]", "the name of a request field"),
    ("key.headers = [\"Authorization\"]", "6:16: api[0].key.headers[0]", "it chooses the partition"),
    ("key.headers = [\"Range\"]", "6:16: api[0].key.headers[0]", "can't be part of the key"),
    ("key.credentials = [\"*\"]", "6:20: api[0].key.credentials[0]", "the name of a field"),
    ("key.share = \"all\"", "6:13: api[0].key.share", "\"user\", \"claim:NAME\""),
    (
        "auth.kind = \"oauth\"",
        "6:13: api[0].auth.kind",
        "\"none\", \"api-key\", \"trusted-header\", \"jwt\", \"forward\" or \"client-certificate\"",
    ),
    ("auth = { kind = \"api-key\", header = \"a b\" }", "6:37: api[0].auth.header", "the name of a request field"),
    ("auth = { kind = \"api-key\", header = \"Host\" }", "6:37: api[0].auth.header", "can't say who is calling"),
    ("auth = { kind = \"api-key\", query = \"a=b\" }", "6:36: api[0].auth.query", "the name of a parameter"),
    ("auth = { kind = \"api-key\", query = \"k\", header = \"k\" }", "6:8: api[0].auth", "the one place"),
    (
        "auth = { kind = \"api-key\", keys = [{ user = \"a\" }] }",
        "6:36: api[0].auth.keys[0]",
        "sha256, key_env and key_file",
    ),
    (
        "auth = { kind = \"api-key\", keys = [{ sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\" }] }",
        "6:36: api[0].auth.keys[0].user",
        "is missing",
    ),
    (
        "auth = { kind = \"api-key\", required_scopes = [\"a b\"] }",
        "6:47: api[0].auth.required_scopes[0]",
        "without blanks",
    ),
    ("cors = {}", "6:8: api[0].cors.origins", "is missing"),
    ("cors.origins = []", "6:16: api[0].cors.origins", "at least one"),
    ("cors.origins = [\"shop.example\"]", "6:17: api[0].cors.origins[0]", "as browsers write it"),
    ("cors.origins = [\"https://shop.example/\"]", "6:17: api[0].cors.origins[0]", "as browsers write it"),
    ("rate = {}", "6:8: api[0].rate", "limits nothing"),
    ("rate.total = { requests = 0, per = \"1m\" }", "6:27: api[0].rate.total.requests", "1"),
    ("rate.total = { requests = 5 }", "6:14: api[0].rate.total.per", "is missing"),
    ("key.share = \"claim:tenant\"", "6:1: api[0].key", "needs tokens"),
    ("auth = { kind = \"jwt\" }", "6:8: api[0].auth.algorithms", "is missing"),
    ("auth = { kind = \"jwt\", algorithms = [\"none\"] }", "6:38: api[0].auth.algorithms[0]", "\"HS256\""),
    ("auth = { kind = \"jwt\", algorithms = [\"HS256\", \"RS256\"] }", "6:37: api[0].auth.algorithms", "of one family"),
    ("auth = { kind = \"jwt\", algorithms = [\"HS256\"] }", "6:8: api[0].auth", "secret_env and secret_file"),
    ("auth = { kind = \"jwt\", algorithms = [\"ES256\"] }", "6:8: api[0].auth", "key_file"),
    (
        "auth = { kind = \"jwt\", algorithms = [\"HS256\"], jwks_url = \"https://i\" }",
        "6:59: api[0].auth.jwks_url",
        "those aren't published",
    ),
    (
        "auth = { kind = \"jwt\", algorithms = [\"RS256\"], jwks_url = \"https://i\", key_file = \"k\" }",
        "6:83: api[0].auth.key_file",
        "stands beside jwks_url",
    ),
    (
        "auth = { kind = \"jwt\", algorithms = [\"RS256\"], jwks_url = \"ftp://i\" }",
        "6:59: api[0].auth.jwks_url",
        "http:// or https://",
    ),
    ("auth = { kind = \"api-key\", keys_file = \"none.toml\" }", "6:40: api[0].auth.keys_file", "can't be read"),
    ("auth = { kind = \"forward\" }", "6:8: api[0].auth.url", "is missing"),
    ("auth = { kind = \"forward\", url = \"http://u:p@j/\" }", "6:34: api[0].auth.url", "no user and no password"),
    ("auth = { kind = \"forward\", url = \"http://j/a b\" }", "6:34: api[0].auth.url", "percent-escaped"),
    (
        "auth = { kind = \"forward\", url = \"http://j\", headers = [] }",
        "6:56: api[0].auth.headers",
        "at least one field",
    ),
    (
        "auth = { kind = \"forward\", url = \"http://j\", pass_back = [\"Cookie\"] }",
        "6:59: api[0].auth.pass_back[0]",
        "can't say who is calling",
    ),
    (
        "auth = { kind = \"forward\", url = \"http://j\", remember = \"2h\" }",
        "6:57: api[0].auth.remember",
        "from 0s to 1h",
    ),
    ("auth = { kind = \"trusted-header\" }", "6:8: api[0].auth.header", "is missing"),
    ("[api.auth]", "6:1: api[0].auth.kind", "is missing"),
];

const ROUTES_AND_PURGES: &[Case] = &[
    ("[[api.route]]\ncache = false", "6:1: api[0].route[0].on", "is missing"),
    ("[[api.route]]\non = \"get /me\"", "7:6: api[0].route[0].on", "`get` is not a method"),
    ("[[api.route]]\non = \"/a/**/b\"", "7:6: api[0].route[0].on", "`**` must be the last"),
    ("[[api.route]]\non = \"/a%2fb\"", "7:6: api[0].route[0].on", "write `%2F`"),
    ("[[api.route]]\non = \"/\"\nname = \"b\"", "8:8: api[0].route[0].name", "can't override it"),
    ("[[api.route]]\non = \"/\"\nkey.share = 1", "8:13: api[0].route[0].key.share", "found 1"),
    ("[[api.route]]\non = \"/\"\ncashe = false", "8:1: api[0].route[0].cashe", "did you mean `cache`?"),
    ("[api.route]\non = \"/\"", "6:1: api[0].route", "write [[api.route]]"),
    ("[[api.purge]]\non = \"PUT /b\"", "6:1: api[0].purge[0]", "purges nothing"),
    ("[[api.purge]]\non = \"/b/{id}\"\npaths = [\"/c/{di}\"]", "8:10: api[0].purge[0].paths[0]", "has no `{di}`"),
    ("[[api.purge]]\non = \"/b/{id}\"\ntags = [\"b-{x}\"]", "8:9: api[0].purge[0].tags[0]", "has no `{x}`"),
    ("[[api.purge]]\non = \"/b\"\ntags = [\"a b\"]", "8:9: api[0].purge[0].tags[0]", "no blanks"),
    ("[[api.purge]]\non = \"/b\"\npaths = [\"c\"]", "8:10: api[0].purge[0].paths[0]", "must begin with `/`"),
];

#[test]
fn faults_of_rules_routes_and_purges() {
    each(API, RULES);
    each(API, ROUTES_AND_PURGES);
}

#[test]
fn two_apis_in_one_place() {
    let two = |name: &str, path: &str, host: &str| {
        let more = format!("name = \"{name}\"\nversion = \"1\"\npath = \"{path}\"\nupstream = [\"http://h\"]\n{host}");
        faults(&format!("{API}[[api]]\n{more}"))
    };
    assert_eq!(two("a", "/b", ""), ["f.toml:6:1: api[1]: name and version `a/1` are taken in line 1"]);
    let overlap =
        "f.toml:9:8: api[1].path: `/a/` on every host is the path of `a/1` in line 1; neither prefix is longer";
    assert_eq!(two("b", "/a/", ""), [overlap]);
    assert_eq!(two("b", "/a/b", ""), [""; 0]);
    assert_eq!(two("b", "/a", "host = \"example.org\""), [""; 0]);
}

#[test]
fn what_isnt_built_yet_says_so() {
    let top = ["[cluster]"];
    for text in top {
        let found = faults(text);
        assert!(found.len() == 1 && found[0].ends_with("not available in this version"), "{text}: {found:?}");
    }
    assert_eq!(faults(&format!("{API}auth = {{ kind = \"none\" }}")), [""; 0]);
}

#[test]
fn where_traces_go_and_what_is_never_keyed() {
    let url = "expected a URL without a path: gRPC has paths of its own";
    for (text, expected) in [
        ("telemetry.otlp = \"http://c:4317\"", ""),
        ("telemetry.otlp = \"c:4317\"", "telemetry.otlp: "),
        ("telemetry.otlp = \"http://c:4317/v1/traces\"", url),
        ("telemetry = { otlp = \"http://c\", sample = 1.5 }", "telemetry.sample: "),
        ("telemetry = { otlp = \"http://c\", queue = 0 }", "telemetry.queue: "),
        ("telemetry = { otlp = \"http://c\", timeout = \"1h\" }", "telemetry.timeout: "),
        ("telemetry = { otlp = \"http://c\", service_name = \"\" }", "expected 1 to 255 characters"),
        ("telemetry = { otlp = \"http://c\", wrong = 1 }", "telemetry.wrong: unknown key"),
        ("telemetry = { otlp = \"http://c\", headers = [{ name = \"grpc-x\", value = \"v\" }] }", "are gRPC's own"),
        ("telemetry = { otlp = \"http://c\", headers = [{ name = \"a\" }] }", "one of value, value_env and value_file"),
    ] {
        let found = faults(text);
        let one = found.len() == usize::from(!expected.is_empty());
        assert!(one && found.iter().all(|fault| fault.contains(expected)), "{text}: {found:?}");
    }
    for field in ["traceparent", "Tracestate", "baggage"] {
        let found = faults(&format!("{API}key = {{ headers = [\"{field}\"] }}"));
        assert!(found.len() == 1 && found[0].ends_with("this field can't be part of the key"), "{found:?}");
    }
}

#[test]
fn all_faults_of_a_file_are_told_at_once_in_its_order() {
    let text = "\
[server]
listen = [\"nowhere\"]
[cache]
eviction = \"none\"
[[api]]
name = \"ü\"
path = \"/\"
upstream = [ \"ü\", \"http://h:x\" ] # columns count characters
[[api]]
name = \"b\"
version = \"1\"
path = \"/b\"
upstream = [\"http://h\"]
ttl = \"never\"
wrong = 1
";
    let place = |f: &Fault| format!("{}:{}: {}", f.line, f.column, f.key);
    let Err(Faults::Invalid(found)) = read(text) else { panic!("valid") };
    let expected = [
        "2:11: server.listen[0]",
        "4:12: cache.eviction",
        "5:1: api[0].version",
        "6:8: api[0].name",
        "8:14: api[0].upstream[0]",
        "8:19: api[0].upstream[1]",
        "14:7: api[1].ttl",
        "15:1: api[1].wrong",
    ];
    assert_eq!(found.iter().map(place).collect::<Vec<_>>(), expected);
}

#[test]
fn a_key_in_the_wrong_table_is_shown_its_own() {
    let text = "\
[server]
drain = { timeout = \"1s\" }
[[api]]
name = \"a\"
version = \"v1\"
path = \"/\"
upstream = [\"http://127.0.0.1:1\"]
[[api.purge]]
on = \"PUT /a\"
tags = [\"a\"]
ttl = \"1m\"
[breaker]
requests = 1
";
    let found = faults(text);
    assert!(found[0].ends_with("server.drain.timeout: unknown key, expected one of: deadline, delay"), "{found:?}");
    let ttl = "api[0].purge[0].ttl: unknown key; `ttl` belongs to [[api]]: write it above the tables that begin there";
    assert!(found[1].ends_with(ttl), "{found:?}");
    assert!(found[2].ends_with("breaker: unknown key; `breaker` belongs to [[api]]"), "{found:?}");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn faults_of_the_syntax_are_told_at_once() {
    let found = faults("a = \n[server]\nlisten = [\"x\"]\n[cache]\nmax_size = 1\nmax_size = 2\n");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("f.toml:1:5: "), "{found:?}");
    assert!(found[1].starts_with("f.toml:6:1: ") && found[1].contains("duplicate key"), "{found:?}");
}

fn said(notes: &[Fault]) -> Vec<String> {
    notes.iter().map(ToString::to_string).collect()
}

#[test]
fn warnings_come_with_a_valid_file() {
    let warns = |text: &str, words: &str| {
        let warnings = said(&read(text).unwrap_or_else(|e| panic!("{text}: {e}")).warnings);
        assert!(warnings.len() == 1 && warnings[0].contains(words), "{text}: {warnings:?}");
    };
    assert_eq!(said(&read(API).unwrap().warnings), [""; 0]);
    warns("", "f.toml:1:1: api: there is no [[api]]; every request is answered 404");
    warns(&format!("[admin]\n{API}"), "only health answers");
    warns(&format!("{API}key.share = \"assume-public\""), "f.toml:6:13: api[0].key.share: your word");
    warns(&format!("server.trusted_proxies = [\"0.0.0.0/0\"]\n{API}"), "are believed");
    warns(&format!("server.purge_method = true\n{API}"), "lets nobody purge");
    warns(&format!("{API}freshness = \"ttl\""), "changes nothing without ttl");
    warns(&format!("{API}stale_after = 1"), "nothing stale may be given without keep_on_error");
    assert_eq!(said(&read(&format!("{API}stale_after = 1\nkeep_on_error = 60")).unwrap().warnings), [""; 0]);
    warns(&format!("{API}[[api.route]]\non = \"/b\"\n[[api.route]]\non = \"/b\""), "never reached");
    warns(&format!("{TOKEN}token_env = \"SHORT\"\n{API}"), "fewer than 16 bytes");
    warns(&format!("{API}auth = {{ kind = \"forward\", url = \"http://judge.example/\" }}"), "without https");
    for near in ["https://judge.example/", "http://127.0.0.1:9/a?b", "http://[::1]/", "http://localhost:80"] {
        let loaded = read(&format!("{API}auth = {{ kind = \"forward\", url = \"{near}\" }}"));
        assert_eq!(said(&loaded.unwrap().warnings), [""; 0], "{near}");
    }
}

#[test]
fn a_ttl_of_zero_is_for_ever_and_said_in_words() {
    let words =
        "f.toml:6:7: api[0].ttl: answers whose origin states no lifetime are kept until they are purged or evicted";
    for forever in ["\"0\"", "0", "\"forever\"", "\"0s\""] {
        let loaded = read(&format!("{API}ttl = {forever}")).unwrap();
        assert_eq!((said(&loaded.remarks), loaded.warnings), (vec![words.to_owned()], vec![]));
        assert_eq!(loaded.config.apis[0].rules.ttl, Some(Ttl::Forever));
    }
    let loaded = read(&format!("{API}ttl = 7")).unwrap();
    assert_eq!(loaded.config.apis[0].rules.ttl, Some(Ttl::For(Duration::from_secs(7))));
    assert_eq!(loaded.remarks, []);
}

#[test]
fn a_token_has_the_same_digest_from_each_of_its_sources() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "correct horse battery staple\r\n").unwrap();
    let file = folder.path().join("f.toml");
    let digest = |line: &str| {
        let env = |name: &str| (name == "SECRET").then(|| "correct horse battery staple".to_owned());
        let around = Surroundings { env: &env, memory_limit: None };
        let loaded = parse(&format!("{TOKEN}{line}"), &file.display().to_string(), &around);
        let config = loaded.unwrap_or_else(|e| panic!("{e}")).config;
        assert_eq!(effective(&config)["admin"]["tokens"][0]["sha256"], "redacted");
        let freshgate::admin::Proof::Secret(sha256) = config.admin.tokens[0].proof else { panic!("{line}") };
        sha256
    };
    let sha256 = "sha256 = \"c4bbcb1fbec99d65bf59d85c8cb62ee2db963f0fe106f483d9afa73bd4e39a8a\"";
    assert_eq!(digest(sha256), digest("token_env = \"SECRET\""));
    assert_eq!(digest(sha256), digest("token_file = \"secret\""));
}

fn check(text: &[u8]) -> (i32, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    let output = Command::cargo_bin("freshgate").unwrap().arg("check").arg(file.path()).output().unwrap();
    let name = file.path().display().to_string();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap().replace(&name, "FILE"))
}

#[test]
fn check_answers_by_exit_code() {
    assert_eq!(check(API.as_bytes()), (0, "FILE is valid: 1 API\n".into()));
    let (code, said) = check(b"");
    assert_eq!((code, said.contains("(warning)"), said.ends_with("FILE is valid: 0 APIs\n")), (0, true, true));
    let expected = "FILE:1:1: a: unknown key, expected one of: admin, api, cache, events, log, objects, server, telemetry\nFILE:2:1: b: unknown key, expected one of: admin, api, cache, events, log, objects, server, telemetry\nFILE is not valid: 2 faults\n";
    assert_eq!(check(b"a = 1\nb = 2\n"), (1, expected.into()));
    let expected = "FILE:2:3: the file is not UTF-8\nFILE is not valid: 1 fault\n";
    assert_eq!(check(b"# \xc3\xbc\n# \xff\n"), (1, expected.into()));
    let missing = Command::cargo_bin("freshgate").unwrap().args(["check", "/no/such/file.toml"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).starts_with("/no/such/file.toml can't be read: "));
}

/// `text` with the bytes from about `start` to about `end` replaced.
fn replaced(mut text: String, start: usize, end: usize, new: &str) -> String {
    let floor = |i: usize| (0..=i.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    let (start, end) = (floor(start), floor(end));
    text.replace_range(start..end, new);
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Pieces of the complete file cut out and replaced: an answer comes, and each fault is inside the file.
    #[test]
    fn a_damaged_file_never_panics(
        cuts in prop::collection::vec(
            (any::<prop::sample::Index>(), 0usize..40, "\\PC{0,6}|[\\[\\]{}=\"',.#\n]{0,4}|-?[0-9]{1,25}"),
            1..6,
        )
    ) {
        let mut text = include_str!("../config/complete.toml").replace("FRESHGATE_ADMIN_TOKEN", "SECRET");
        for (at, length, new) in cuts {
            let start = at.index(text.len());
            text = replaced(text, start, start + length, &new);
        }
        match read(&text) {
            Ok(loaded) => prop_assert!(effective(&loaded.config).is_object()),
            Err(Faults::Invalid(faults)) => {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    prop_assert!((1..=text.split('\n').count()).contains(&fault.line) && fault.column >= 1);
                }
            }
            Err(unreadable @ Faults::Unreadable { .. }) => prop_assert!(false, "{unreadable}"),
        }
    }

    /// Values of every kind in the place of each other: the walk itself, not only the syntax.
    #[test]
    fn a_wrong_value_never_panics(
        line in any::<prop::sample::Index>(),
        value in "\"\\PC{0,12}\"|\\{ \\}|\\[\\]|\\[\\[1\\], \\{ a = 1 \\}\\]|-?[0-9]{1,25}|true|1e400|nan|1979-05-27|\"[a-z/{}*:%.]{0,12}\"",
    ) {
        let text = include_str!("../config/complete.toml").replace("FRESHGATE_ADMIN_TOKEN", "SECRET");
        let keys: Vec<usize> = (0..).zip(text.lines()).filter(|(_, l)| !l.starts_with('#') && l.contains(" = ")).map(|(i, _)| i).collect();
        let changed = keys[line.index(keys.len())];
        let lines = text.lines().enumerate().map(|(i, l)| match l.split_once(" = ") {
            Some((key, _)) if i == changed => format!("{key} = {value}\n"),
            _ => format!("{l}\n"),
        });
        let text: String = lines.collect();
        match read(&text) {
            Ok(loaded) => prop_assert!(effective(&loaded.config).is_object()),
            Err(faults) => prop_assert!(!faults.to_string().is_empty()),
        }
    }
}

/// Whoever puts a secret in the place of what leads to one mustn't find it in the log.
#[test]
fn what_may_be_a_secret_is_not_repeated() {
    const SECRET: &str = "hunter2-live-secret";
    let auth = |rest: &str| format!("{API}auth = {{ kind = \"api-key\", {rest} }}");
    let token = |rest: &str| format!("[admin]\n{rest}\n");
    for text in [
        auth(&format!("keys = [\"{SECRET}\"]")),
        auth(&format!("keys = \"{SECRET}\"")),
        auth(&format!("keys = [{{ user = \"a\", key_env = \"{SECRET}\" }}]")),
        auth(&format!("keys = [{{ user = \"a\", key_file = \"{SECRET}\" }}]")),
        auth(&format!("keys = [{{ user = \"a\", sha256 = \"{SECRET}\" }}]")),
        format!("{API}auth = {{ kind = \"jwt\", algorithms = [\"HS256\"], secret_env = \"{SECRET}\" }}"),
        token(&format!("tokens = [\"{SECRET}\"]")),
        token(&format!("[[admin.tokens]]\nname = \"a\"\nrole = \"viewer\"\ntoken_env = \"{SECRET}\"")),
        format!("[server]\ntls = {{ cert = \"a.pem\", key = \"-----BEGIN PRIVATE KEY-----\\n{SECRET}\" }}"),
    ] {
        let found = faults(&text);
        assert!(!found.is_empty() && !found.concat().contains("hunter2"), "{text}: {found:?}");
    }
    let named =
        faults(&auth("keys = [{ user = \"a\", key_env = \"NO_SUCH\" }, { user = \"b\", key_file = \"no/such\" }]"));
    assert!(named[0].contains("NO_SUCH") && named[1].contains("no/such"), "what is none is shown: {named:?}");
}
