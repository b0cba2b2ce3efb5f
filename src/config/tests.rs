//! That the three files in `config/`, the defaults in the code and the keys that are read say the same.

use super::*;
use serde_json::Value;
use std::collections::BTreeSet;

const COMPLETE: &str = include_str!("../../config/complete.toml");
const MINIMAL: &str = include_str!("../../config/minimal.toml");
const BOOKSTORE: &str = include_str!("../../config/bookstore.toml");

/// Says nothing that has a default.
const BARE: &str = r#"
    [admin]
    [[admin.tokens]]
    name = "ops"
    role = "administrator"
    token_env = "FRESHGATE_ADMIN_TOKEN"
    [[api]]
    name = "bookstore"
    version = "v1"
    path = "/bookstore/v1"
    upstream = ["http://127.0.0.1:9000"]
    [objects]
    [[objects.tokens]]
    name = "shop"
    role = "operator"
    token_env = "FRESHGATE_ADMIN_TOKEN"
    [[objects.namespace]]
    name = "tax-codes"
    ttl = "100d"
    source = "http://127.0.0.1:9100/codes/{key}"
    headers = [{ name = "Accept", value = "application/json" }]
"#;

fn around() -> Surroundings<'static> {
    Surroundings {
        env: &|name| match name {
            "FRESHGATE_ADMIN_TOKEN" => Some("correct horse battery staple".into()),
            "FRESHGATE_DATABASE" => Some("host=db.example.org user=me password=secret sslmode=require\n".into()),
            _ => None,
        },
        memory_limit: None,
    }
}

fn read(text: &str) -> Loaded {
    parse(text, "test.toml", &around()).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn complete_toml_has_the_defaults_of_the_code() {
    let (mut complete, bare) = (read(COMPLETE), read(BARE));
    assert_eq!(complete.warnings, []);
    let examples = &mut complete.config.apis[0];
    assert_eq!((examples.routes.len(), examples.purges.len()), (2, 1));
    examples.routes.clear();
    examples.purges.clear();
    assert_eq!(complete.config.events.rules.len(), 1);
    complete.config.events.rules.clear();
    let sources = std::mem::take(&mut complete.config.events.sources);
    assert_eq!(sources.iter().map(|source| &*source.name).collect::<Vec<_>>(), ["postgres", "redis"]);
    assert_eq!(sources, sources_by_default());
    let mut traces = complete.config.telemetry.take().unwrap();
    assert_eq!(std::mem::take(&mut traces.headers).len(), 1);
    assert_eq!(traces, crate::telemetry::traces::Settings::to("http://127.0.0.1:4317".into()));
    assert_eq!(complete.config, bare.config);
    assert_eq!(*bare.config.apis[0].rules, policy::Rules::default());
    assert_eq!(bare.config.server, listener::Settings::default());
    assert_eq!(bare.config.cache, store::Settings::default());
    assert_eq!(bare.config.log, crate::telemetry::Settings::default());
}

/// The sources of the complete file, with nothing said that has a default.
fn sources_by_default() -> Vec<crate::events::Source> {
    read(
        r#"
        events.source = [
            { kind = "postgres", url = "postgres://freshgate@127.0.0.1:5432/reference?sslmode=disable", channels = ["codes_changed"] },
            { kind = "redis", url = "redis://127.0.0.1:6379/0", streams = ["codes"] },
        ]
    "#,
    )
    .config
    .events
    .sources
}

/// The keys that were asked for while the complete file was read.
fn asked() -> BTreeSet<String> {
    let around = around();
    let table = DeTable::parse(COMPLETE).unwrap();
    let reader = Reader::new(COMPLETE, "complete.toml", &around);
    config(Table::new(reader.place("", 0), table.get_ref()));
    reader.into_notes().asked
}

#[test]
fn complete_toml_names_every_key() {
    let fixed_in_routes = ["name", "version", "path", "host", "upstream", "route", "purge"];
    let rules_of_routes = |key: &str| key.starts_with("api.route.") && key != "api.route.on";
    for key in asked() {
        let last = key.rsplit('.').next().unwrap();
        if rules_of_routes(&key) {
            // It stands once, in [[api]], or is asked for in order to be refused.
            let shared = asked().contains(&key.replacen("api.route.", "api.", 1));
            assert!(shared || fixed_in_routes.contains(&last), "{key}");
            continue;
        }
        if asked().contains(&key.replacen("objects.namespace.", "api.", 1)) && key.starts_with("objects.namespace.") {
            continue; // as in [[api]]
        }
        let begins = |line: &str| {
            let line = line.trim_start_matches("# ");
            line.starts_with(&format!("{last} = "))
                || line.starts_with(&format!("[{key}]"))
                || line.starts_with(&format!("[[{key}]]"))
        };
        assert!(COMPLETE.lines().any(begins), "complete.toml doesn't name {key}");
    }
}

#[test]
fn complete_toml_lists_what_is_unavailable() {
    let (_, section) = COMPLETE.split_once("# Not available in this version").unwrap();
    for key in unavailable::UNAVAILABLE {
        assert!(section.contains(key.rsplit('.').next().unwrap()), "complete.toml doesn't list {key}");
    }
}

/// Each comment that says "from A to B" is about the key below it; a number beyond every bound must be refused with
/// those very words.
#[test]
fn the_bounds_in_complete_toml_are_those_of_the_code() {
    let lines: Vec<&str> = COMPLETE.lines().collect();
    let (mut comment, mut checked) = (String::new(), 0);
    for (i, line) in lines.iter().enumerate() {
        if let Some(more) = line.strip_prefix("# ") {
            comment = format!("{comment} {more}");
            continue;
        }
        let words: Vec<&str> = comment.split(' ').collect();
        let is_bounds = |w: &&[&str]| w[0] == "from" && w[2] == "to" && w[1].starts_with(|c: char| c.is_ascii_digit());
        let bounds = words.windows(4).find(is_bounds).map(|w| w.join(" "));
        comment.clear();
        let (Some(bounds), Some((key, _))) = (bounds, line.split_once(" = ")) else { continue };
        if key == "upstream" {
            continue;
        }
        let bounds = bounds.trim_end_matches([',', '.', ';', ':']);
        let huge = format!("{key} = 999999999999999999");
        let changed: Vec<&str> =
            lines.iter().enumerate().map(|(j, l)| if i == j { huge.as_str() } else { l }).collect();
        let faults = parse(&changed.join("\n"), "complete.toml", &around()).unwrap_err();
        assert!(faults.to_string().ends_with(bounds), "{key}: complete.toml says `{bounds}`, the code: {faults}");
        checked += 1;
    }
    assert!(checked >= 20, "{checked}");
}

#[test]
fn the_small_files_are_valid() {
    let minimal = read(MINIMAL);
    assert_eq!((minimal.warnings.as_slice(), minimal.config.apis.len()), (&[][..], 1));
    let bookstore = read(BOOKSTORE);
    assert_eq!((bookstore.warnings.as_slice(), bookstore.remarks.as_slice()), (&[][..], &[][..]));
    let api = &bookstore.config.apis[0];
    let me = api.routes[0].path.matches("/me").is_some();
    assert!(me && !api.routes[0].rules.cache && api.routes[0].rules.strip_prefix);
    let captures = api.purges[0].path.matches("/books/7");
    assert!(captures.is_some() && api.purges[0].paths[0].matches("/authors/3/books").is_some());
}

/// TOML for what `effective` shows, with the secrets put back.
fn written_back(config: &Config) -> String {
    let mut shown = effective(config);
    let objects = config.objects.as_ref();
    let of_objects = objects.map(|objects| &objects.tokens[..]).unwrap_or_default();
    for (place, tokens) in [("/admin/tokens", &config.admin.tokens[..]), ("/objects/tokens", of_objects)] {
        let all = shown.pointer_mut(place).and_then(Value::as_array_mut);
        for (shown, token) in all.into_iter().flatten().zip(tokens) {
            let crate::admin::Proof::Secret(sha256) = &token.proof else { continue };
            assert_eq!(shown["sha256"], "redacted");
            shown["sha256"] = sha256.iter().map(|b| format!("{b:02x}")).collect::<String>().into();
        }
    }
    if let Some(sources) = shown.pointer_mut("/events/source").and_then(Value::as_array_mut) {
        for (shown, source) in sources.iter_mut().zip(&config.events.sources) {
            assert_eq!(shown["url"], "redacted");
            shown["url"] = source.url.secret().into();
        }
    }
    for (n, namespace) in objects.iter().flat_map(|objects| &objects.namespaces).enumerate() {
        for (m, value) in namespace.api.source().iter().flat_map(|source| source.fields.values()).enumerate() {
            let field = &mut shown["objects"]["namespace"][n]["headers"][m]["value"];
            assert_eq!(*field, "redacted");
            *field = value.to_str().unwrap().into();
        }
    }
    for (n, (_, value)) in config.telemetry.iter().flat_map(|traces| &traces.headers).enumerate() {
        let field = &mut shown["telemetry"]["headers"][n]["value"];
        assert_eq!(*field, "redacted");
        *field = value.to_str().unwrap().into();
    }
    toml::to_string(&shown).unwrap()
}

#[test]
fn what_is_shown_as_effective_is_what_is_in_force() {
    const UNUSUAL: &str = r#"
        server = { listen = ["[::1]:0", "127.0.0.1:0"], trusted_proxies = ["10.0.0.0/8", "::1"], purge_method = true, handover = "h.sock", limits = { request_body = "3KB" } }
        cache = { max_size = 4194304, eviction = "tinylfu", snapshot = "s" }
        log = { format = "pretty", level = "debug", access = false, sample = 0.25, redact_query = [], file = "a.log" }
        telemetry = { otlp = "https://c:1", sample = 0.5, service_name = "s", timeout = "1s", queue = 9, headers = [{ name = "x-a", value = "v" }, { name = "x-b", value_env = "FRESHGATE_ADMIN_TOKEN" }] }
        [admin]
        listen = "0.0.0.0:9090"
        insecure = true
        probe_listen = "127.0.0.1:9091"
        tokens = [{ name = "a", role = "viewer", token_env = "FRESHGATE_ADMIN_TOKEN" }]
        [events]
        batch = 7
        body = 4096
        duplicates = { window = 0, count = 3 }
        rule = [{ when = { type = "t" }, purge = { path = "/{id}", soft = true } }]
        [[events.source]]
        kind = "redis"
        url = "rediss://me:secret@[::1]:7000/3"
        streams = ["a", "b c"]
        block = "1s"
        count = 7
        keepalive = "1m"
        [[events.source]]
        name = "db"
        kind = "postgres"
        url_env = "FRESHGATE_DATABASE"
        channels = ["ä \"b\""]
        connect_timeout = "2s"
        backoff = "1s"
        max_backoff = "2s"
        [[api]]
        name = "a"
        version = "1"
        path = "/"
        host = "api.example.org"
        upstream = [{ url = "https://[::1]:8443/base/", weight = 3 }, "https://b.example.org/base"]
        strip_prefix = true
        host_header = "c.example.org:81"
        upgrade = ["websocket"]
        login = []
        ttl = "90m"
        ttl_by_status = { 404 = "5s", 410 = "forever" }
        freshness = "ttl"
        heuristic = true
        error_answers = "rfc"
        grace = 7
        keep_on_error = "1d"
        stale_after = "200ms"
        refresh_ahead = 0.9
        ttl_jitter = 0.1
        set_cookie = "pass"
        content_types = ["application/json", "text/*"]
        client_directives = "ignore"
        client_cache = "revalidate"
        etag = "generate"
        compress = { encodings = ["br", "gzip"], min = "2KB", types = ["Text/*", "application/*+json"] }
        unique_etags = true
        cors = { origins = ["https://shop.example"], credentials = true }
        rate = { per_caller = { requests = 600, per = "1m" }, total = { requests = 7, per = "90s" } }
        invalidate = "self"
        write_settle = "250ms"
        timeouts = { connect = "1s", total = "2m" }
        key = { query = { ignore = ["utm_*"] }, headers = ["Accept-Language"], share = "assume-public", credentials = ["X-Me"], cookies = { only = ["s"] } }
        [[api.route]]
        on = "/b/{id}/**"
        ttl = "none"
        stale_after = "none"
        refresh_ahead = "none"
        compress = true
        safe = true
        set_cookie = "store"
        client_cache = "none"
        invalidate = "api"
        timeouts = { total = "none" }
        key = { query = "exact", share = "everyone" }
        auth = { kind = "forward", url = "https://j.example/check", headers = ["X-Ticket"], pass_back = ["X-User", "X-Groups"], user_header = "X-User", remember = 0, timeout = "2s" }
        [[api.route]]
        on = "GET /d"
        auth = { kind = "jwt", algorithms = ["ES256"], jwks_url = "https://i.example/keys", issuer = "i", audience = "a" }
        [[api.route]]
        on = "GET,HEAD /c"
        cache = false
        compress = false
        ttl = 0
        key.query.only = ["q"]
        [[api.purge]]
        on = "PUT,DELETE /b/{id}"
        paths = ["/d/{id}", "/e/**"]
        tags = ["b-{id}-x"]
    "#;
    for text in [UNUSUAL, COMPLETE, MINIMAL, BOOKSTORE] {
        let config = read(text).config;
        let again = parse(&written_back(&config), "effective.toml", &around()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(again.config, config);
    }
    let config = read(UNUSUAL).config;
    let (api, other) = (&config.apis[0], &config.apis[0].routes[0].rules);
    assert_eq!((other.ttl, other.safe, other.grace), (None, true, api.rules.grace));
    assert_eq!((other.timeouts.connect, other.timeouts.total), (api.rules.timeouts.connect, None));
    assert_eq!(other.compress.as_deref(), Some(&crate::encode::Settings::default()));
    assert_eq!((&other.key.headers, &other.key.share), (&api.rules.key.headers, &policy::Share::Everyone));
}

#[test]
fn a_small_container_gets_a_small_cache() {
    let within = |limit| Surroundings { memory_limit: Some(limit), ..around() };
    let cache = |text, limit| parse(text, "t", &within(limit)).unwrap().config.cache;
    assert_eq!(cache("", 256 << 20).max_size, 64 << 20);
    assert_eq!(cache("", 64 << 30).max_size, 512 << 20);
    assert_eq!(cache("", 16 << 20).max_object_size, 4 << 20);
    assert_eq!(cache("cache.max_size = \"1GiB\"", 256 << 20).max_size, 1 << 30);
}

#[test]
fn a_query_with_a_name_that_is_not_logged_is_not_shown() {
    let file = |query: &str| {
        format!(
            "[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"http://o\"]\nhealth.path = \"/up{query}\"\n\
             [objects]\nlisten = \"127.0.0.1:0\"\n\
             [[objects.namespace]]\nname = \"n\"\nsource = \"http://s/{{key}}{query}\"\nttl = \"1m\"\n"
        )
    };
    let shown = |query: &str| {
        let shown = effective(&read(&file(query)).config);
        let at = |pointer: &str| shown.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        [at("/api/0/health/path"), at("/objects/namespace/0/source")]
    };
    assert_eq!(shown("?view=full"), ["/up?view=full", "http://s/{key}?view=full"]);
    assert_eq!(shown("?view=full&Token=guess-me"), ["/up?redacted", "http://s/{key}?redacted"]);
    assert_eq!(shown(""), ["/up", "http://s/{key}"]);
}
