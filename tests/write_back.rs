//! A patch of one key in files of any look: only the lines of that key differ, and the file means what it meant but for that.
#![cfg(test)]

use freshgate::admin::Change;
use freshgate::config::write_back::{Unwritten, rewrite};
use freshgate::config::{self, Config, Surroundings, effective};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A key of an `[[api]]` with a value as it is written, with another one as JSON, and what `effective` shows for that.
const KEYS: &[(&str, &str, &str)] = &[
    ("ttl", "600", "\"5m\""),
    ("grace", "'30s'", "\"1m\""),
    ("keep_on_error", "\"1h\"", "\"2h\""),
    ("strip_prefix", "true", "false"),
    ("heuristic", "false", "true"),
    ("ttl_jitter", "0.10", "0.2"),
    ("login", "[ \"/in\",  '/on' ]", "[\"/out\"]"),
    ("content_types", "[\n    \"text/*\", # all of them\n]", "[\"text/*\",\"image/*\"]"),
    ("error_answers", "\"rfc\"", "\"drop\""),
    ("invalidate", "\"\"\"self\"\"\"", "\"api\""),
    ("write_settle", "0x0a", "\"7s\""),
];

/// One `[[api]]` of a file: which keys it has in which order, what stands around them.
#[derive(Clone, Debug)]
struct Look {
    keys: Vec<usize>,
    comments: Vec<u8>,
    /// How `key` is written, if it is.
    form: u8,
    route: bool,
}

fn look() -> impl Strategy<Value = Look> {
    let keys = proptest::sample::subsequence((0..KEYS.len()).collect::<Vec<_>>(), 0..=KEYS.len()).prop_shuffle();
    (keys, proptest::collection::vec(0..6u8, KEYS.len()), 0..5u8, any::<bool>())
        .prop_map(|(keys, comments, form, route)| Look { keys, comments, form, route })
}

impl Look {
    fn text(&self, n: usize) -> String {
        let mut text = format!(
            "# API {n}\n[[api]] # here\nname = \"a{n}\"\n  version = 'v1'\npath = \"/a{n}\"\nupstream = [\"http://127.0.0.1:9000\"]\n"
        );
        for (key, comment) in self.keys.iter().zip(&self.comments) {
            let (name, value, _) = KEYS[*key];
            text += &match comment {
                0 => format!("{name} = {value}\n"),
                1 => format!("{name} = {value} # a comment, with \"quotes\" = 1\n"),
                2 => format!("# above {name} = 1\n{name}   =   {value}\n"),
                3 => format!("\n\t{name}={value}\n\n"),
                4 => format!("\"{name}\" = {value}\n# below\n"),
                _ => format!("# {name} = none\n\n{name} = {value}\t\n"),
            };
        }
        text += match self.form {
            0 => "",
            1 => "key.share = \"everyone\" # dotted\nkey.query = \"exact\"\n",
            2 => "key = { share = \"everyone\",  query = \"exact\" } # inline\n",
            3 => "\n[api.key] # a table\nshare = \"everyone\"\n# between\nquery = \"exact\"\n",
            _ => "\n[api.key.query]\nonly = [\"a\"]\n",
        };
        if self.route {
            text += "\n# private\n[[api.route]]\non = \"GET /me\"\ncache = false # never\n\n[api.route.key]\nquery = \"all\"\n";
        }
        text + "\n"
    }
}

fn file() -> impl Strategy<Value = (Vec<Look>, bool, bool)> {
    (proptest::collection::vec(look(), 1..4), any::<bool>(), any::<bool>())
}

fn written((looks, crlf, ended): &(Vec<Look>, bool, bool)) -> String {
    let apis: String = looks.iter().enumerate().map(|(n, look)| look.text(n)).collect();
    let text = format!("# A file.\n[server]\nlisten = [\"127.0.0.1:0\"]\n\n{apis}[log] # the end\nlevel = \"warn\"\n");
    let text = if *ended { text } else { text.trim_end().to_owned() };
    if *crlf { text.replace('\n', "\r\n") } else { text }
}

fn understood(text: &str) -> Config {
    let around = Surroundings { env: &|_| None, memory_limit: None };
    config::parse(text, "f.toml", &around).unwrap_or_else(|faults| panic!("{faults}\n{text}")).config
}

/// The text after the patch; what is in force has to be what was with `expect` changed in it.
fn patched(text: &str, n: usize, patch: &Value, expect: impl FnOnce(&mut Value)) -> String {
    let Value::Object(patch) = patch.clone() else { panic!("no patch") };
    let new = rewrite(text, (&format!("a{n}"), "v1"), &Change::Patch(patch)).unwrap();
    let mut shown = effective(&understood(text));
    expect(&mut shown["api"][n]);
    assert_eq!(effective(&understood(&new.text)), shown, "{}", new.text);
    new.text
}

/// The lines that only one of them has: of the old one and of the new one.
fn differ<'a>(old: &'a str, new: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut old, mut new): (Vec<_>, Vec<_>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    while !old.is_empty() && old.first() == new.first() {
        old.remove(0);
        new.remove(0);
    }
    while !old.is_empty() && old.last() == new.last() {
        old.pop();
        new.pop();
    }
    (old, new)
}

fn is_of(key: &str, lines: &[&str]) -> bool {
    let text = lines.concat();
    lines.is_empty() || text.trim_start_matches(['"', ' ', '\t']).starts_with(key)
}

/// What is shown of a value that was written as this.
fn shown(key: &str, value: &Value) -> Value {
    let around = Surroundings { env: &|_| None, memory_limit: None };
    let text = format!(
        "[[api]]\nname = \"x\"\nversion = \"v1\"\npath = \"/x\"\nupstream = [\"http://127.0.0.1:9000\"]\n{key} = {value}\n"
    );
    effective(&config::parse(&text, "f.toml", &around).unwrap().config)["api"][0][key].clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").map_or(96, |n| n.parse().unwrap()), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_patch_changes_the_lines_of_its_key_and_its_meaning_only(file in file(), at in any::<prop::sample::Index>(), key in 0..KEYS.len()) {
        let text = written(&file);
        let n = at.index(file.0.len());
        let (name, old, new) = KEYS[key];
        let new: Value = serde_json::from_str(new).unwrap();
        let is_there = file.0[n].keys.contains(&key);
        let changed = patched(&text, n, &json!({ name: new }), |api| {
            api[name] = shown(name, &new);
            // A route has what its API has.
            api["route"].as_array_mut().unwrap().iter_mut().for_each(|route| route[name] = shown(name, &new));
        });
        let (gone, come) = differ(&text, &changed);
        if is_there && old.contains('\n') {
            prop_assert_eq!((gone, come), (vec![], vec![if file.1 { "    \"image/*\",\r\n" } else { "    \"image/*\",\n" }]));
            return Ok(());
        }
        prop_assert!(is_of(name, &gone) && is_of(name, &come), "{gone:?} {come:?}");
        prop_assert!(gone.len() <= old.lines().count() && come.len() <= old.lines().count().max(1) + 1, "{gone:?} {come:?}");
        prop_assert_eq!(gone.is_empty(), !is_there);
        if let ([before], [after]) = (&gone[..], &come[..]) {
            let comment = |line: &str| line.find('#').map(|at| line[at..].to_owned());
            prop_assert_eq!(comment(before), comment(after));
        }
    }

    #[test]
    fn a_key_that_is_taken_out_takes_its_own_lines_and_one_that_was_added_too(file in file(), at in any::<prop::sample::Index>(), key in 0..KEYS.len()) {
        let text = written(&file);
        let n = at.index(file.0.len());
        let (name, old, new) = KEYS[key];
        let id = format!("a{n}");
        let patch = |text: &str, value: Value| {
            let mut patch = Map::new();
            patch.insert(name.into(), value);
            rewrite(text, (&id, "v1"), &Change::Patch(patch)).unwrap().text
        };
        let without = patch(&text, Value::Null);
        understood(&without);
        let (gone, come) = differ(&text, &without);
        if file.0[n].keys.contains(&key) {
            prop_assert_eq!(gone.len(), old.lines().count(), "{:?}", gone);
            prop_assert!(is_of(name, &gone) && come.is_empty(), "{gone:?} {come:?}");
        } else {
            prop_assert_eq!(&without, &text);
            let with = patch(&text, serde_json::from_str(new).unwrap());
            prop_assert_eq!(patch(&with, Value::Null), text);
        }
    }

    #[test]
    fn a_table_within_is_changed_in_whatever_form_it_has(file in file(), at in any::<prop::sample::Index>()) {
        let text = written(&file);
        let n = at.index(file.0.len());
        let patch = json!({ "key": { "share": "assume-public", "headers": ["x-a"] } });
        let changed = patched(&text, n, &patch, |api| {
            for key in ["share", "headers"] {
                api["key"][key] = patch["key"][key].clone();
            }
            // A route has what its API has.
            for route in api["route"].as_array_mut().unwrap() {
                for key in ["share", "headers"] {
                    route["key"][key] = patch["key"][key].clone();
                }
            }
        });
        let comments = |text: &str| text.matches('#').count();
        prop_assert_eq!(comments(&changed), comments(&text));
        let again = rewrite(&changed, (&format!("a{n}"), "v1"), &Change::Patch(patch.as_object().unwrap().clone())).unwrap();
        prop_assert_eq!(again.text, changed);
    }

    #[test]
    fn one_that_is_registered_and_removed_leaves_no_trace(file in file(), at in any::<prop::sample::Index>()) {
        let text = written(&file);
        let body = json!({ "path": "/new", "upstream": ["http://127.0.0.1:9000"], "ttl": "1m",
            "key": { "share": "everyone", "headers": ["x-a-rather-long-name-of-a-field", "x-another-one-as-long-as-that", "x-a"] },
            "route": [{ "on": "GET /me", "cache": false }, { "on": "GET /you", "key": { "query": { "only": ["a"] } } }] });
        let with = rewrite(&text, ("new", "v1"), &Change::Put(body.as_object().unwrap().clone())).unwrap();
        prop_assert_eq!(with.index, Some(file.0.len()));
        let (before, after) = (effective(&understood(&text)), effective(&understood(&with.text)));
        prop_assert_eq!(&after["api"].as_array().unwrap()[..file.0.len()], &before["api"].as_array().unwrap()[..]);
        prop_assert_eq!(&after["api"][file.0.len()]["key"]["share"], "everyone");
        prop_assert_eq!(rewrite(&with.text, ("new", "v1"), &Change::Remove).unwrap().text, text.as_str());
        // One that was there before goes, and the others mean what they did.
        let n = at.index(file.0.len());
        let without = rewrite(&text, (&format!("a{n}"), "v1"), &Change::Remove).unwrap().text;
        let mut expected = before;
        expected["api"].as_array_mut().unwrap().remove(n);
        prop_assert_eq!(effective(&understood(&without)), expected);
        prop_assert_eq!(rewrite(&without, (&format!("a{n}"), "v1"), &Change::Remove), Err(Unwritten::NoSuchApi));
    }

    #[test]
    fn whatever_is_asked_the_file_says_it_or_stays(file in file(), members in proptest::collection::hash_map("[a-z]{1,3}|key|route|ttl", json(), 0..4), put in any::<bool>()) {
        let text = written(&file);
        let members: Map<String, Value> = members.into_iter().collect();
        let change = if put { Change::Put(members.clone()) } else { Change::Patch(members.clone()) };
        match rewrite(&text, ("a0", "v1"), &change) {
            Ok(new) if put => {
                let mut said = new.new.clone();
                said.remove("name");
                said.remove("version");
                prop_assert_eq!(said, members);
                let back = rewrite(&new.text, ("a0", "v1"), &Change::Put(new.old.unwrap())).unwrap();
                prop_assert_eq!(back.changed(), new.new.keys().chain(back.new.keys()).filter(|key| new.new.get(*key) != back.new.get(*key)).map(String::as_str).collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>());
            }
            Ok(_) | Err(Unwritten::Faults(_)) => {}
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}

/// JSON of any kind.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1000..1000i32).prop_map(|n| Value::from(f64::from(n) / 8.0 + 0.0625)),
        "[ -~äß\n\t\"'\\\\]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[a-z.\" ]{1,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
