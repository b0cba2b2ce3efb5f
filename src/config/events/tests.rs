//! What `[events]` may say, and where it is told that it may not.

use super::*;
use crate::config::reader::{Notes, Reader};
use crate::config::{self, Surroundings};
use toml::de::DeTable;

const SURROUNDINGS: Surroundings<'static> = Surroundings { env: &|_| None, memory_limit: None };

/// Reads this `[events]` beside an API at `/shop/v1`, two namespaces and two channels.
fn read(text: &str) -> (Settings, Notes) {
    let api = "[[api]]\nname = \"shop\"\nversion = \"v1\"\npath = \"/shop/v1\"\nupstream = [\"http://h\"]\n";
    let apis = config::parse(api, "apis.toml", &SURROUNDINGS).unwrap().config.apis;
    let names = |all: [&str; 2]| all.map(String::from);
    let (namespaces, channels) = (names(["tax-codes", "currencies"]), names(["codes", "taxes"]));
    let reader = Reader::new(text, "f.toml", &SURROUNDINGS);
    let table = DeTable::parse(text).unwrap();
    let known = Known { apis: &apis, namespaces: &namespaces, channels: &channels };
    let settings = events(&Table::new(reader.place("", 0), table.get_ref()), &known);
    (settings, reader.into_notes())
}

fn faults(rule: &str) -> Vec<String> {
    let (_, notes) = read(&format!("[[events.rule]]\n{rule}\n"));
    notes.faults.iter().map(|fault| fault.to_string()).collect()
}

const ALL: &str = r#"
    [events]
    duplicates = { window = "0s", count = 7 }
    batch = 1
    body = "2KiB"
    [[events.rule]]
    when = { type = "a.*", channel = "co*", source = "/db", subject = "*" }
    invalidate = ["currencies/{id}", { tag = "x-{channel}", api = "shop/v1", soft = true }, { user = "{data.u.0}" }]
    refresh = ["tax-codes/{subject}", "tax-codes/all"]
    purge = [
        { path = "/shop/v1/{data.a.b}/x" }, { prefix = "/shop", api = "shop/v1" }, { prefix = "/shop/v1/{type}.json" },
        { api = "objects/tax-codes" }, { all = true }, { path = "/{source}" }, { path = "/tax-codes/{subject}" },
    ]
    [[events.rule]]
    when = { subject = "AT" }
    refresh = "currencies/EUR"
    [[events.rule]]
    when = { type = "*" }
    purge = []
"#;

#[test]
fn everything_is_read_and_shown_as_it_was_written() {
    let (settings, notes) = read(ALL);
    assert!(notes.faults.is_empty(), "{:?}", notes.faults);
    assert_eq!((settings.batch, settings.body, settings.duplicates.count), (1, 2048, 7));
    let rule = &settings.rules[0];
    assert_eq!((rule.invalidate.len(), rule.refresh.len(), rule.purge.len()), (3, 2, 7));
    assert_eq!(settings.rules[1].refresh[0].text(), "currencies/EUR");
    let shown = json!({ "events": shown(&settings) });
    assert_eq!(shown["events"]["rule"][0]["when"]["channel"], "co*");
    let (again, notes) = read(&toml::to_string(&shown).unwrap());
    assert!(notes.faults.is_empty(), "{shown}: {:?}", notes.faults);
    assert_eq!(again, settings);
}

#[test]
fn without_the_section_the_defaults_hold() {
    assert_eq!(read("").0, Settings::default());
}

/// A rule that is for something and has this action.
fn does(action: &str) -> String {
    format!("when = {{ type = \"t\" }}\n{action}")
}

#[test]
fn what_cannot_be_meant_is_a_fault_with_its_place() {
    for (rule, place, reason) in [
        ("purge = []", "1:1: events.rule[0].when", "is missing"),
        ("when = {}\npurge = []", "2:8: events.rule[0].when", "is for every event"),
        ("when = { type = \"\" }\npurge = []", "2:17: events.rule[0].when.type", "empty text"),
        ("when = { typ = \"a\", id = \"b\" }\npurge = []", "2:8: events.rule[0].when", "is for every event"),
        ("when = { channel = \"other\" }\npurge = []", "2:20: events.rule[0].when.channel", "no [[events.source]]"),
        ("when = { type = \"t\" }", "1:1: events.rule[0]", "does nothing"),
        (&does("refresh = \"tax-codes\""), "3:11: events.rule[0].refresh", "a namespace and a key"),
        (&does("refresh = \"tax-codes/\""), "3:11: events.rule[0].refresh", "a namespace and a key"),
        (&does("refresh = \"{type}/{subject}\""), "3:11: events.rule[0].refresh", "can't be a name"),
        (
            &does("refresh = [\"other/{subject}\"]"),
            "3:12: events.rule[0].refresh[0]",
            "no [[objects.namespace]] `other`",
        ),
        (&does("refresh = \"tax-codes/{sbject}\""), "3:11: events.rule[0].refresh", "`{sbject}` isn't known"),
        (&does("refresh = \"tax-codes/{subject\""), "3:11: events.rule[0].refresh", "brace without"),
        (&does("refresh = {}"), "3:11: events.rule[0].refresh", "a text in quotes"),
        (&does("invalidate = 7"), "3:14: events.rule[0].invalidate", "an object such as"),
        (&does("purge = \"all\""), "3:9: events.rule[0].purge", "a table"),
        (&does("purge = {}"), "3:9: events.rule[0].purge", "purges nothing"),
        (&does("purge = { soft = true }"), "3:9: events.rule[0].purge", "purges nothing"),
        (&does("purge = { tag = \"a\", path = \"/shop/v1\" }"), "3:9: events.rule[0].purge", "has path and tag"),
        (&does("purge = { api = \"shop/v2\", tag = \"a\" }"), "3:17: events.rule[0].purge.api", "no such API"),
        (&does("purge = { api = \"objects/other\" }"), "3:17: events.rule[0].purge.api", "no such API"),
        (&does("purge = { api = \"shop/v1\", all = true }"), "3:34: events.rule[0].purge.all", "can't be narrowed"),
        (&does("purge = { all = false }"), "3:17: events.rule[0].purge.all", "true, or another"),
        (&does("purge = { tag = \"\" }"), "3:17: events.rule[0].purge.tag", "at least one character"),
        (&does("purge = { tag = \"a b\" }"), "3:17: events.rule[0].purge.tag", "no blanks"),
        (&does("purge = { tag = \"{data}\" }"), "3:17: events.rule[0].purge.tag", "`{data}` isn't known"),
        (&does("purge = { path = \"shop/v1\" }"), "3:18: events.rule[0].purge.path", "begins with `/`"),
        (&does("purge = { path = \"/shop/v1/../{id}\" }"), "3:18: events.rule[0].purge.path", "no dot segments"),
        (&does("purge = { path = \"/shop/v1/x?y={id}\" }"), "3:18: events.rule[0].purge.path", "no `?`"),
        (&does("purge = { path = \"/other/{id}\" }"), "3:18: events.rule[0].purge.path", "no API answers"),
        (&does("purge = { path = \"/shop\" }"), "3:18: events.rule[0].purge.path", "no API answers"),
        (&does("purge = { path = \"/shop/v10\" }"), "3:18: events.rule[0].purge.path", "no API answers"),
        (&does("purge = { prefix = \"/sho\" }"), "3:20: events.rule[0].purge.prefix", "no API answers"),
        (
            &does("purge = { path = \"/shop/v1/{id}\", api = \"objects/tax-codes\" }"),
            "3:18: events.rule[0].purge.path",
            "no API answers",
        ),
        (&does("purge = { tag = \"a\", sof = true }"), "3:22: events.rule[0].purge.sof", "did you mean `soft`?"),
        (&does("purge = []\nname = \"x\""), "4:1: events.rule[0].name", "unknown key"),
    ] {
        let found = faults(rule);
        let told = found.iter().any(|fault| fault.starts_with(&format!("f.toml:{place}: ")) && fault.contains(reason));
        assert!(told, "{rule}: {found:?}");
    }
}

#[test]
fn all_faults_of_a_rule_are_told_at_once() {
    let found = faults("purge = { tag = \"a\", tag2 = 1, path = 7 }\nrefresh = \"no\"\nother = 1");
    assert_eq!(found.len(), 6, "{found:?}");
}

#[test]
fn what_a_gap_would_cost_is_remarked() {
    let remarks = |action: &str| read(&format!("[[events.rule]]\n{}\n", does(action))).1.remarks;
    let found = remarks("purge = { tag = \"code-{subject}\" }");
    assert!(found.len() == 1 && found[0].message.contains("after a gap"), "{found:?}");
    for action in ["purge = { tag = \"code-{subject}\", api = \"shop/v1\" }", "purge = { tag = \"codes\" }"] {
        assert_eq!(remarks(action), [], "{action}");
    }
}
