//! What is done about events, in which order, and what is said of it.

use super::super::rule::{When, Within};
use super::super::template::Template;
use super::super::wildcard::Wildcard;
use super::*;
use crate::purge::Target;
use bytes::Bytes;
use std::time::Duration;

/// An engine, and all that it did.
struct Stage {
    engine: Engine,
    clock: Clock,
    settings: Settings,
    done: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    fn new(rules: Vec<Rule>) -> Stage {
        let (clock, settings) = (Clock::steppable(), Settings { rules, ..Settings::default() });
        let engine = Engine::new(&settings.duplicates, clock.clone(), Arc::default());
        Stage { engine, clock, settings, done: Arc::default() }
    }

    fn object(&self, what: &str, namespace: &str, key: &str) -> Result<(), String> {
        if key.starts_with('_') && what == "refresh" {
            return Err("there is no room".into());
        }
        if key.starts_with("__") {
            return Err("the key is reserved".into());
        }
        self.done.lock().unwrap().push(format!("{what} {namespace} {key}"));
        Ok(())
    }

    fn with_hands<T>(&self, act: impl FnOnce(&Hands<'_>) -> T) -> T {
        act(&Hands {
            purge: &|selector| self.purge(selector),
            drop: &|namespace, key| self.object("drop", namespace, key),
            refresh: &|namespace, key| self.object("refresh", namespace, key),
        })
    }

    fn purge(&self, selector: &Selector) -> Result<Purged, BadSelector> {
        if matches!(&selector.target, Target::Path { path, .. } if path.contains("nowhere")) {
            return Err(BadSelector::NoSuchPath("/nowhere".into()));
        }
        let mut done = self.done.lock().unwrap();
        done.push(selector.json().to_string());
        Ok(Purged { invalidated: None, epoch: done.len() as u64 })
    }

    fn send(&self, kind: &str, body: &Value) -> Result<Vec<Told>, Refused> {
        let mut fields = HeaderMap::new();
        fields.insert(http::header::CONTENT_TYPE, kind.parse().unwrap());
        self.with_hands(|hands| self.engine.ask(&self.settings, (&fields, body.to_string().as_bytes()), hands))
    }

    fn one(&self, event: Value) -> Told {
        self.send("application/cloudevents+json", &event).unwrap().remove(0)
    }

    fn batch(&self, events: &[Value]) -> Result<Vec<Told>, Refused> {
        self.send("application/cloudevents-batch+json", &json!(events))
    }

    fn hear(&self, news: News) {
        self.with_hands(|hands| self.engine.hear(&self.settings, (Via::Postgres, &["codes", "taxes"]), news, hands));
    }

    fn message(&self, channel: &str, payload: &str) {
        self.hear(News::Message { channel: channel.into(), payload: Bytes::copy_from_slice(payload.as_bytes()) });
    }

    /// What was done since the last time somebody asked.
    fn done(&self) -> Vec<String> {
        std::mem::take(&mut self.done.lock().unwrap())
    }

    fn counted(&self, via: &str) -> Vec<(&'static str, u64)> {
        let all = self.engine.counts().events();
        all.filter(|(of, ..)| *of == via).map(|(_, fate, count)| (fate, count)).filter(|(_, n)| *n > 0).collect()
    }
}

fn event(id: &str, kind: &str) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": "/db", "type": kind, "subject": "AT", "data": { "region": "Wien" } })
}

fn nothing(kind: &str) -> Rule {
    let when = When { kind: Some(Wildcard::new(kind)), ..When::default() };
    Rule { when, invalidate: Vec::new(), refresh: Vec::new(), purge: Vec::new() }
}

fn refreshes(kind: &str, object: &str) -> Rule {
    Rule { refresh: vec![Object::parse(object).unwrap()], ..nothing(kind) }
}

fn purging(api: Option<&str>, within: fn(Template) -> Within, text: &str) -> Purging {
    Purging { api: api.map(String::from), within: within(Template::parse(text).unwrap()), soft: false }
}

fn purges(kind: &str, text: &str) -> Rule {
    Rule { purge: vec![purging(Some("shop/v1"), Within::Tag, text)], ..nothing(kind) }
}

fn on_channel(channel: &str, rule: Rule) -> Rule {
    Rule { when: When { channel: Some(Wildcard::new(channel)), ..When::default() }, ..rule }
}

const TAG_AT: &str = r#"{"api":"shop/v1","tag":"code-AT"}"#;

#[test]
fn every_rule_that_is_for_an_event_acts_and_says_so() {
    let stage = Stage::new(vec![
        refreshes("codes.*", "tax-codes/{subject}"),
        nothing("other"),
        purges("codes.updated", "code-{subject}"),
    ]);
    let told = stage.one(event("1", "codes.updated"));
    let expected = json!({ "id": "1", "source": "/db", "duplicate": false, "rules": [
        { "rule": 0, "did": [{ "refresh": "tax-codes/AT" }] },
        { "rule": 2, "did": [{ "purge": { "api": "shop/v1", "tag": "code-AT" }, "invalidated": null, "epoch": 2 }] },
    ]});
    assert_eq!(json!(told), expected);
    assert_eq!(stage.done(), ["refresh tax-codes AT", TAG_AT]);
    assert_eq!((stage.counted("http"), stage.engine.counts().rules()), (vec![("applied", 1)], 2));
}

#[test]
fn objects_are_invalidated_before_any_response() {
    let stage = Stage::new(vec![
        purges("a", "code-{subject}"),
        refreshes("b", "tax-codes/{subject}"),
        Rule {
            invalidate: vec![
                Dropped::Responses(purging(None, Within::Path, "/shop/{data.region}")),
                Dropped::Object(Object::parse("currencies/{data.region}").unwrap()),
            ],
            purge: vec![purging(Some("objects/tax-codes"), Within::Tag, "x")],
            ..nothing("b")
        },
    ]);
    stage.batch(&[event("1", "a"), event("2", "b")]).unwrap();
    let object = "drop currencies Wien";
    let tagged = r#"{"api":"objects/tax-codes","tag":"x"}"#;
    let path = r#"{"path":"/shop/Wien"}"#;
    assert_eq!(stage.done(), ["refresh tax-codes AT", object, tagged, TAG_AT, path]);
}

#[test]
fn what_a_rule_cannot_do_is_skipped_and_said_and_the_rest_is_done() {
    let stage = Stage::new(vec![Rule {
        refresh: vec![Object::parse("tax-codes/{data.code}").unwrap()],
        purge: vec![
            purging(None, Within::Path, "/shop/{data.region}/{channel}"),
            purging(None, Within::Path, "/nowhere/{subject}"),
            purging(Some("shop/v1"), Within::Tag, "code-{subject}"),
        ],
        ..nothing("*")
    }]);
    let told = stage.one(event("1", "t"));
    let nowhere = BadSelector::NoSuchPath("/nowhere".into()).to_string();
    let expected = json!([
        { "refresh": "tax-codes/{data.code}", "skipped": "the event has no `data.code`" },
        { "purge": { "path": "/shop/{data.region}/{channel}" }, "skipped": "the event has no `channel`" },
        { "purge": { "path": "/nowhere/AT" }, "skipped": nowhere },
        { "purge": { "api": "shop/v1", "tag": "code-AT" }, "invalidated": null, "epoch": 1 },
    ]);
    assert_eq!(json!(told.rules[0].did), expected);
    assert_eq!((stage.done(), stage.engine.counts().actions()), (vec![TAG_AT.into()], [("done", 1), ("skipped", 3)]));
}

#[test]
fn an_object_that_cannot_be_loaded_is_invalidated_all_the_same() {
    let stage = Stage::new(vec![refreshes("*", "tax-codes/_{subject}"), refreshes("*", "tax-codes/__{subject}")]);
    let told = stage.one(event("1", "t"));
    let expected = json!([{ "refresh": "tax-codes/_AT", "not_loaded": "there is no room" }]);
    assert_eq!(json!(told.rules[0].did), expected);
    let expected = json!([{ "refresh": "tax-codes/__AT", "skipped": "the key is reserved" }]);
    assert_eq!(json!(told.rules[1].did), expected);
    assert_eq!(stage.done(), ["drop tax-codes _AT"]);
}

#[test]
fn a_duplicate_changes_nothing_within_the_window() {
    let stage = Stage::new(vec![purges("*", "code-{subject}")]);
    assert!(!stage.one(event("1", "t")).duplicate);
    let again = stage.one(event("1", "t"));
    assert_eq!((again.duplicate, again.rules, stage.done().len()), (true, vec![], 1));
    assert!(!stage.one(event("2", "t")).duplicate);
    let mut elsewhere = event("1", "t");
    elsewhere["source"] = json!("/other");
    assert!(!stage.one(elsewhere).duplicate);
    stage.clock.step(Duration::from_secs(600));
    assert!(!stage.one(event("1", "t")).duplicate);
    assert_eq!(stage.counted("http"), [("applied", 4), ("duplicate", 1)]);
}

#[test]
fn an_event_that_stands_twice_in_a_batch_is_one() {
    let stage = Stage::new(vec![purges("*", "code-{subject}")]);
    let told = stage.batch(&[event("1", "t"), event("2", "t"), event("1", "t")]).unwrap();
    let duplicates: Vec<bool> = told.iter().map(|told| told.duplicate).collect();
    assert_eq!((duplicates, stage.done().len()), (vec![false, false, true], 2));
}

#[test]
fn what_nothing_is_done_about_isnt_remembered() {
    let mut stage = Stage::new(vec![purges("a", "code-{subject}")]);
    let refused = stage.batch(&[event("1", "a"), event("2", "b")]);
    assert_eq!(refused, Err(Refused::NoRule { index: Some(1) }));
    assert_eq!((stage.done(), stage.engine.remembered()), (vec![], 0));
    let bad = stage.batch(&[event("1", "a"), json!({ "specversion": "1.0" })]);
    assert!(matches!(bad, Err(Refused::Bad { index: Some(1), .. })));
    assert_eq!((stage.done(), stage.engine.remembered()), (vec![], 0));
    stage.settings.rules.push(purges("b", "{subject}"));
    assert_eq!(stage.batch(&[event("1", "a"), event("2", "b")]).unwrap().iter().filter(|t| t.duplicate).count(), 0);
    assert_eq!(stage.counted("http"), [("applied", 2), ("refused", 1), ("no-rule", 1)]);
}

#[test]
fn a_message_is_a_key_or_an_event_of_its_channel() {
    let stage = Stage::new(vec![
        on_channel("codes", refreshes("", "tax-codes/{subject}")),
        on_channel("*", purges("", "{channel}-{subject}")),
        purges("t", "typed-{subject}"),
    ]);
    stage.message("codes", " AT\n");
    stage.message("codes", " AT\n");
    let codes = ["refresh tax-codes AT", r#"{"api":"shop/v1","tag":"codes-AT"}"#];
    assert_eq!(stage.done(), [codes, codes].concat(), "a key is never a duplicate");
    let text = event("1", "t").to_string();
    let typed = r#"{"api":"shop/v1","tag":"typed-AT"}"#;
    stage.message("taxes", &text);
    assert_eq!(stage.done(), [r#"{"api":"shop/v1","tag":"taxes-AT"}"#, typed]);
    stage.message("taxes", &text);
    assert_eq!(stage.done(), [""; 0]);
    stage.message("codes", &text);
    assert_eq!(stage.done(), [codes[0], codes[1], typed], "on another channel it may mean more");
    assert!(!stage.one(event("1", "t")).duplicate, "and so it may by HTTP");
    assert_eq!(stage.counted("postgres"), [("applied", 4), ("duplicate", 1)]);
}

#[test]
fn a_gap_invalidates_all_that_could_have_been_meant() {
    let stage = Stage::new(vec![
        Rule { purge: vec![purging(None, Within::Path, "/shop/fixed")], ..purges("t", "code-{subject}") },
        on_channel("codes", refreshes("", "tax-codes/{subject}")),
        on_channel("ta*", refreshes("", "currencies/EUR")),
        on_channel("elsewhere", refreshes("", "other/{subject}")),
        on_channel("taxes", purges("", "codes")),
        on_channel("taxes", purges("", "code-{subject}")),
        on_channel("codes", purges("", "code-{subject}")),
        Rule {
            invalidate: vec![
                Dropped::Object(Object::parse("dropped/{subject}").unwrap()),
                Dropped::Responses(Purging { soft: true, ..purging(Some("a/1"), Within::Prefix, "/a/{subject}") }),
            ],
            ..nothing("*")
        },
    ]);
    stage.hear(News::Gap);
    let expected = [
        r#"{"api":"objects/tax-codes"}"#,
        "drop currencies EUR",
        r#"{"api":"objects/dropped"}"#,
        r#"{"path":"/shop/fixed"}"#,
        r#"{"api":"shop/v1","tag":"codes"}"#,
        r#"{"api":"shop/v1"}"#,
        r#"{"api":"a/1","soft":true}"#,
    ];
    assert_eq!(stage.done(), expected);
    assert_eq!(stage.engine.counts().gaps().find(|(via, _)| *via == "postgres"), Some(("postgres", 1)));
}

#[test]
fn a_gap_may_mean_everything() {
    let stage = Stage::new(vec![
        on_channel("codes", purges("", "code-{subject}")),
        Rule { purge: vec![purging(None, Within::Tag, "{subject}")], ..on_channel("codes", nothing("")) },
    ]);
    stage.hear(News::Gap);
    assert_eq!(stage.done(), [r#"{"all":true}"#]);
}

#[test]
fn a_message_that_says_nothing_is_a_gap_of_its_channel() {
    let stage = Stage::new(vec![
        on_channel("codes", refreshes("", "tax-codes/{subject}")),
        on_channel("taxes", refreshes("", "other/{subject}")),
    ]);
    for payload in ["", " ", r#"{"specversion":"0.3","id":"1","source":"/db","type":"t"}"#] {
        stage.message("codes", payload);
        assert_eq!(stage.done(), [r#"{"api":"objects/tax-codes"}"#], "{payload}");
    }
    assert_eq!(stage.counted("postgres"), [("refused", 3)]);
    stage.message("unknown", "AT");
    assert_eq!((stage.done(), stage.counted("postgres")), (vec![], vec![("refused", 3), ("no-rule", 1)]));
}
