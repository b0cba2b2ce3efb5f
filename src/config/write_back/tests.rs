use super::*;
use crate::admin::Change;
use serde_json::{Value, json};

const COMPLETE: &str = include_str!("../../../config/complete.toml");

fn map(json: Value) -> serde_json::Map<String, Value> {
    json.as_object().unwrap().clone()
}

fn patched(text: &str, api: (&str, &str), patch: Value) -> String {
    rewrite(text, api, &Change::Patch(map(patch))).unwrap_or_else(|why| panic!("{why:?}\n{text}")).text
}

fn put(text: &str, api: (&str, &str), wanted: Value) -> String {
    rewrite(text, api, &Change::Put(map(wanted))).unwrap_or_else(|why| panic!("{why:?}\n{text}")).text
}

fn removed(text: &str, api: (&str, &str)) -> String {
    rewrite(text, api, &Change::Remove).unwrap_or_else(|why| panic!("{why:?}\n{text}")).text
}

const TWO: &str = r#"# Two APIs.
[server]
listen = ["127.0.0.1:0"] # here

# The first.
[[api]]
name = 'a'   # quoted in its own way
version = "v1"
path = "/a"
upstream = [
    "http://127.0.0.1:9000", # the main one
    "http://127.0.0.1:9001",
]
ttl = 600         # ten minutes
timeouts = { connect = "2s",  first_byte = "30s" } # both
key.share = "user"
key.headers = []

[api.auth] # callers
# no auth
kind = "none"

# What is private.
[[api.route]]
on = "GET /me"
cache = false

[[api.route]]
on = "GET /you"
cache = false
# cors = { origins = ["x"] }

# The second.
[[api]]
name = "b"
version = "v1"
path = "/b"
upstream = ["http://127.0.0.1:9000"]
# ttl = "5m"

[log]
level = "info"
"#;

#[test]
fn a_value_takes_the_place_of_a_value() {
    let a = ("a", "v1");
    for (patch, old, new) in [
        (json!({ "ttl": "5m" }), "ttl = 600         # ten", "ttl = \"5m\"         # ten"),
        (json!({ "timeouts": { "connect": "3s" } }), "connect = \"2s\",  first", "connect = \"3s\",  first"),
        (json!({ "timeouts": { "connect": null } }), "{ connect = \"2s\",  first_byte", "{  first_byte"),
        (json!({ "timeouts": { "first_byte": null } }), "\"2s\",  first_byte = \"30s\" }", "\"2s\" }"),
        (json!({ "timeouts": { "total": "9s" } }), "\"30s\" }", "\"30s\", total = \"9s\" }"),
        (json!({ "ttl": null }), "ttl = 600         # ten minutes\n", ""),
        (json!({ "key": { "share": "everyone" } }), "key.share = \"user\"", "key.share = \"everyone\""),
        (json!({ "key": { "query": "exact" } }), "key.headers = []\n", "key.headers = []\nkey.query = \"exact\"\n"),
        (json!({ "key": null }), "key.share = \"user\"\nkey.headers = []\n", ""),
        (json!({ "grace": "5s" }), "key.headers = []\n", "key.headers = []\ngrace = \"5s\"\n"),
        (json!({ "auth": { "kind": "jwt" } }), "kind = \"none\"", "kind = \"jwt\""),
        (json!({ "auth": { "more": 1.5 } }), "kind = \"none\"\n", "kind = \"none\"\nmore = 1.5\n"),
        (json!({ "auth": null }), "[api.auth] # callers\n# no auth\nkind = \"none\"\n", "# no auth\n"),
        (json!({ "upstream": ["http://127.0.0.1:9000"] }), "    \"http://127.0.0.1:9001\",\n", ""),
        (
            json!({ "upstream": ["http://127.0.0.1:9000", "http://127.0.0.1:9001", "http://c:1"] }),
            ":9001\",\n",
            ":9001\",\n    \"http://c:1\",\n",
        ),
        (
            json!({ "route": [{ "on": "GET /me", "cache": false }] }),
            "\n[[api.route]]\non = \"GET /you\"\ncache = false\n#",
            "\n#",
        ),
        (
            json!({ "route": [{ "on": "GET /you", "cache": false }] }),
            "[[api.route]]\non = \"GET /me\"\ncache = false\n\n",
            "\n",
        ),
        (
            json!({ "route": [{ "on": "GET /me", "cache": true }, { "on": "GET /you", "cache": false }] }),
            "/me\"\ncache = false",
            "/me\"\ncache = true",
        ),
        (
            json!({ "purge": [{ "on": "POST /x", "tags": ["t"] }] }),
            "/you\"\ncache = false\n",
            "/you\"\ncache = false\n\n[[api.purge]]\non = \"POST /x\"\ntags = [\"t\"]\n",
        ),
        (json!({ "ttl": 600, "name": "a", "upstream": ["http://127.0.0.1:9000", "http://127.0.0.1:9001"] }), "", ""),
        (json!({ "ttl": 600.0, "key": {}, "nothing": null }), "", ""),
    ] {
        let text = patched(TWO, a, patch.clone());
        assert_eq!(text, TWO.replacen(old, new, 1), "{patch}");
        let crlf = TWO.replace('\n', "\r\n");
        let (old, new) = (old.replace('\n', "\r\n"), new.replace('\n', "\r\n"));
        assert_eq!(patched(&crlf, a, patch.clone()), crlf.replacen(&old, &new, 1), "{patch}, CRLF");
    }
}

#[test]
fn an_api_is_registered_after_the_last_one_and_removed_with_its_own_comments() {
    let new = json!({ "path": "/c", "upstream": ["http://127.0.0.1:9000"], "ttl": "1m", "key": { "share": "everyone" },
        "route": [{ "on": "GET /me", "cache": false }] });
    let text = put(TWO, ("c", "v1"), new);
    let added = "\n[[api]]\nname = \"c\"\nversion = \"v1\"\npath = \"/c\"\nupstream = [\"http://127.0.0.1:9000\"]\n\
                 key = { share = \"everyone\" }\nttl = \"1m\"\n\n[[api.route]]\non = \"GET /me\"\ncache = false\n";
    assert_eq!(text, TWO.replace("# ttl = \"5m\"\n", &format!("# ttl = \"5m\"\n{added}")));
    assert_eq!(removed(&text, ("c", "v1")), TWO, "and it is as it was");
    let without_a = removed(TWO, ("a", "v1"));
    assert!(
        without_a.starts_with("# Two APIs.\n[server]\nlisten = [\"127.0.0.1:0\"] # here\n\n# The second.\n[[api]]"),
        "{without_a}"
    );
    let without_b = removed(TWO, ("b", "v1"));
    assert!(without_b.ends_with("# cors = { origins = [\"x\"] }\n\n[log]\nlevel = \"info\"\n"), "{without_b}");
    let none = removed(&without_b, ("a", "v1"));
    assert_eq!(none, "# Two APIs.\n[server]\nlisten = [\"127.0.0.1:0\"] # here\n\n[log]\nlevel = \"info\"\n");
    let again = put(&none, ("a", "v1"), json!({ "path": "/a" }));
    assert_eq!(again, format!("{none}\n[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/a\"\n"));
    assert_eq!(
        put("", ("a", "v1"), json!({ "path": "/a" })),
        "[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/a\"\n"
    );
    assert_eq!(put("x = 1", ("a", "v1"), json!({})), "x = 1\n\n[[api]]\nname = \"a\"\nversion = \"v1\"");
}

#[test]
fn a_put_touches_what_differs_and_nothing_else() {
    let says = |text: &str| rewrite(text, ("a", "v1"), &Change::Patch(map(json!({})))).unwrap().new;
    let mut all = says(TWO);
    assert_eq!(put(TWO, ("a", "v1"), Value::Object(all.clone())), TWO);
    all.remove("key");
    all.insert("grace".into(), json!("1s"));
    let text = put(TWO, ("a", "v1"), Value::Object(all.clone()));
    let expected = TWO.replace("key.share = \"user\"\nkey.headers = []\n", "grace = \"1s\"\n");
    assert_eq!(text, expected);
    assert_eq!(says(&text), all);
}

#[test]
fn a_list_in_one_value_is_changed_as_well() {
    let text =
        "api = [ { name = \"a\", version = \"v1\", ttl = 1 }, # one\n  { name = \"b\", version = \"v1\" },\n]\nx = 1\n";
    assert_eq!(patched(text, ("a", "v1"), json!({ "ttl": 2 })), text.replace("ttl = 1", "ttl = 2"));
    let b = removed(text, ("b", "v1"));
    assert_eq!(b, "api = [ { name = \"a\", version = \"v1\", ttl = 1 }, # one\n]\nx = 1\n");
    let c = put(text, ("c", "v1"), json!({ "path": "/c" }));
    assert!(c.contains("},\n  { name = \"c\", version = \"v1\", path = \"/c\" }"), "{c}");
    assert_eq!(texts(text)[1], ("b/v1".into(), "{ name = \"b\", version = \"v1\" }".into()));
}

#[test]
fn comments_in_a_list_stay_with_what_they_stand_beside() {
    let text = |list: &str| format!("[[api]]\nname = \"a\"\nversion = \"v1\"\nlogin = {list}\n");
    for (old, wanted, new) in [
        ("[\"a\", \"b\", \"c\"]", json!(["a", "c"]), "[\"a\", \"c\"]"),
        ("[\"a\", \"b\", \"c\"]", json!(["b", "c"]), "[\"b\", \"c\"]"),
        ("[ \"a\", \"b\" ]", json!(["a"]), "[ \"a\" ]"),
        ("[\"a\"]", json!(["a", "b", "c"]), "[\"a\", \"b\", \"c\"]"),
        ("[\"b\"]", json!(["a", "b"]), "[\"a\", \"b\"]"),
        ("[\"a\", \"c\"]", json!(["a", "b", "c"]), "[\"a\", \"b\", \"c\"]"),
        ("[]", json!(["a"]), "[\"a\"]"),
        ("[\n  \"a\", # 1\n  \"b\" # 2\n]", json!(["a", "b", "c"]), "[\n  \"a\", # 1\n  \"b\", # 2\n  \"c\"\n]"),
        ("[\n  \"a\", # 1\n  \"b\", # 2\n]", json!(["a", "b", "c"]), "[\n  \"a\", # 1\n  \"b\", # 2\n  \"c\",\n]"),
        ("[\n  \"a\", # 1\n  \"b\", # 2\n  \"c\", # 3\n]", json!(["a", "c"]), "[\n  \"a\", # 1\n  \"c\", # 3\n]"),
        ("[\n  \"a\", # 1\n  \"b\" # 2\n]", json!(["a"]), "[\n  \"a\" # 1\n]"),
        ("[\n  \"a\", # 1\n  \"c\", # 3\n]", json!(["a", "b", "c"]), "[\n  \"a\", # 1\n  \"b\",\n  \"c\", # 3\n]"),
        ("[\n  \"a\", # 1\n  \"b\", # 2\n]", json!(["a", "x"]), "[\n  \"a\", # 1\n  \"x\", # 2\n]"),
    ] {
        assert_eq!(patched(&text(old), ("a", "v1"), json!({ "login": wanted })), text(new), "{old}");
    }
}

#[test]
fn headers_may_be_written_in_any_way() {
    for text in [
        "\u{feff}[[api]]\nname = \"a\"\nversion = \"v1\"\nttl = 1\n",
        "[[ api ]]\nname = \"a\"\nversion = \"v1\"\n\"ttl\" = 1\n[ 'api' . key ]\nshare = \"user\"\n",
        "[[\"api\"]] # [x]\n\tname = \"a\"\n\tversion = \"v1\"\n\tttl = 1",
        "[[api]]\nname = \"a\"\nversion = \"v1\"\nttl = 1\n[server]\nx = 1\n[api.key]\nshare = \"user\"\n[log]\n",
    ] {
        assert_eq!(
            patched(text, ("a", "v1"), json!({ "ttl": 2 })),
            text.replace("= 1", "= 2").replace("x = 2", "x = 1")
        );
        let more = patched(text, ("a", "v1"), json!({ "grace": 3 }));
        assert!(more.contains("grace = 3"), "{more}");
        assert_eq!(patched(&more, ("a", "v1"), json!({ "grace": null })), text);
        let gone = removed(text, ("a", "v1"));
        assert!(!gone.contains("ttl") && !gone.contains("share"), "{gone}");
    }
}

#[test]
fn a_table_that_only_others_speak_of_may_become_empty() {
    let api = |rest: &str| format!("[[api]]\nname = \"a\"\nversion = \"v1\"\n{rest}");
    for (text, wanted, expected) in [
        ("\n[api.key.query]\nonly = []\n", json!({ "key": {} }), "key = {}\n"),
        ("\n[api.key.query.x]\ny = 1\n", json!({ "key": { "query": {} } }), "[api.key]\nquery = {}\n\n"),
        ("key.query.only = []\n", json!({ "key": { "query": {} } }), "key.query = {}\n"),
        ("key.query.only = []\n", json!({ "key": {} }), "key = {}\n"),
        ("key.query.only = [] # x\n", json!({ "key": { "share": "user" } }), "key.share = \"user\"\n"),
        ("\n[api.key.query]\nonly = []\n", json!({ "key": { "share": "user" } }), "[api.key]\nshare = \"user\"\n\n"),
    ] {
        assert_eq!(put(&api(text), ("a", "v1"), wanted), api(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_said_is_named() {
    let faults = |change: Change| match rewrite(TWO, ("a", "v1"), &change) {
        Err(Unwritten::Faults(faults)) => faults.into_iter().map(|fault| fault.key).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let put = Change::Put(map(json!({ "name": "b", "ttl": null, "route": [{ "on": null }], "x": { "y": u64::MAX } })));
    assert_eq!(faults(put), ["name", "route[0].on", "ttl", "x.y"]);
    assert_eq!(
        faults(Change::Patch(map(json!({ "route": [{ "on": null }], "secret": "redacted" })))),
        ["route[0].on", "secret"]
    );
    assert_eq!(rewrite(TWO, ("c", "v1"), &Change::Remove), Err(Unwritten::NoSuchApi));
    assert_eq!(rewrite(TWO, ("a", "v2"), &Change::Patch(map(json!({})))), Err(Unwritten::NoSuchApi));
}

#[test]
fn a_secret_that_is_not_shown_stays() {
    let text = "[[api]]\nname = \"a\"\nversion = \"v1\"\n[api.auth]\nkind = \"api-key\"\nkeys = [{ user = \"x\", sha256 = \"11\" }, { user = \"y\", sha256 = \"22\" }]\n";
    let keys = json!({ "auth": { "keys": [{ "user": "y", "sha256": "redacted", "scopes": ["s"] }] } });
    let new = patched(text, ("a", "v1"), keys);
    assert!(new.contains("sha256 = \"22\"") && new.contains("\"s\"") && !new.contains("\"11\""), "{new}");
}

#[test]
fn a_secret_that_is_not_shown_comes_to_be_nobody_elses() {
    let text = "[[api]]\nname = \"a\"\nversion = \"v1\"\nauth = { kind = \"forward\", url = \"http://j/check?k=1\" }\n\
        [[api.route]]\non = \"GET /low\"\nauth = { keys = [{ user = \"u\", sha256 = \"11\" }] }\n\
        [[api.route]]\non = \"GET /high\"\nauth = { keys = [{ user = \"u\", scopes = [\"old\"], sha256 = \"22\" }, { user = \"u\", scopes = [\"new\"], sha256 = \"33\" }] }\n";
    let route = |on: &str, scopes: &[&str]| {
        let key = if scopes.is_empty() {
            json!({ "user": "u", "sha256": "redacted" })
        } else {
            json!({ "user": "u", "scopes": scopes, "sha256": "redacted" })
        };
        json!({ "route": [{ "on": on, "auth": { "keys": [key] } }] })
    };
    let has = |patch: Value, secret: &str| {
        let new = patched(text, ("a", "v1"), patch);
        let all = ["11", "22", "33"].into_iter().filter(|one| new.contains(&format!("\"{one}\""))).collect::<Vec<_>>();
        assert_eq!(all, [secret], "{new}");
    };
    has(route("GET /low", &[]), "11");
    has(route("GET /high", &["new"]), "33");
    has(route("GET /high", &["old"]), "22");
    let refused =
        |patch: Value| matches!(rewrite(text, ("a", "v1"), &Change::Patch(map(patch))), Err(Unwritten::Faults(_)));
    assert!(refused(route("GET /high", &["other"])), "either of two");
    assert!(refused(route("GET /elsewhere", &[])));
    let url = |url: &str| json!({ "auth": { "url": url } });
    assert_eq!(patched(text, ("a", "v1"), url("http://j/check?redacted")), text);
    assert!(refused(url("http://k/check?redacted")));
    assert!(patched(text, ("a", "v1"), url("http://k/check?k=2")).contains("k=2"));
}

#[test]
fn every_key_of_the_complete_file_can_be_changed_alone() {
    let lines: Vec<&str> = COMPLETE.lines().collect();
    let begin = lines.iter().position(|line| *line == "[[api]]").unwrap();
    let api = ("bookstore", "v1");
    let says = rewrite(COMPLETE, api, &Change::Patch(map(json!({})))).unwrap();
    assert_eq!(says.text, COMPLETE);
    let mut changed = 0;
    for (key, old) in &says.new {
        if key == "name" || key == "version" {
            continue;
        }
        let new = match old {
            Value::Object(_) | Value::Array(_) => continue,
            Value::Bool(old) => json!(!old),
            Value::Null | Value::Number(_) | Value::String(_) => json!("something else"),
        };
        let text = patched(COMPLETE, api, json!({ key.as_str(): new }));
        let new: Vec<&str> = text.lines().collect();
        assert_eq!(new.len(), lines.len(), "{key}");
        let differ: Vec<usize> = (0..lines.len()).filter(|n| lines[*n] != new[*n]).collect();
        assert_eq!(differ.len(), 1, "{key}");
        assert!(differ[0] > begin && lines[differ[0]].starts_with(&format!("{key} = ")), "{key}");
        changed += 1;
    }
    assert!(changed > 20, "{changed}");
    let body =
        json!({ "path": "/n", "upstream": ["http://127.0.0.1:9000"], "route": [{ "on": "GET /me", "cache": false }] });
    let with = put(COMPLETE, ("n", "v1"), body);
    let new: Vec<&str> = with.lines().collect();
    let begin = new.iter().zip(&lines).take_while(|(new, old)| new == old).count();
    let more = new.len() - lines.len();
    assert_eq!((more, &new[begin + more..]), (10, &lines[begin..]), "it stands in one piece");
    assert_eq!(removed(&with, ("n", "v1")), COMPLETE);
    for (table, key) in
        [("timeouts", "connect"), ("key", "share"), ("retry", "backoff"), ("pool", "lifetime"), ("health", "rest")]
    {
        let text = patched(COMPLETE, api, json!({ table: { key: "something else" } }));
        let old = format!("\n{key} = {}\n", super::render::value(&says.new[table][key]));
        let at = COMPLETE.find(&format!("[api.{table}]")).unwrap();
        let (before, after) = COMPLETE.split_at(at);
        assert_eq!(text, format!("{before}{}", after.replacen(&old, &format!("\n{key} = \"something else\"\n"), 1)));
    }
}

/// What `GET` shows of a health check can be sent back as it is.
#[test]
fn a_query_that_is_not_shown_stays_as_the_file_has_it() {
    let text = "[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"http://o\"]\nhealth.path = \"/up?token=1\"\n";
    let path = |path: &str| json!({ "health": { "path": path } });
    assert_eq!(patched(text, ("a", "v1"), path("/up?redacted")), text);
    let refused = |patch: Value| rewrite(text, ("a", "v1"), &Change::Patch(map(patch))).is_err();
    assert!(refused(path("/down?redacted")));
    assert!(patched(text, ("a", "v1"), path("/down")).contains("\"/down\""));
}
