//! Values in TOML's words.

use serde_json::{Map, Value as Json};
use toml_edit::{Array, InlineTable, Key, Value};

/// Longer lines are made of several.
const WIDTH: usize = 100;

/// In this order, before the others.
const FIRST: [&str; 9] = ["name", "version", "host", "path", "upstream", "on", "kind", "url", "user"];

/// The lists that are written as tables.
const TABLES: [&str; 2] = ["route", "purge"];

/// A value; what JSON has and TOML hasn't was faulted before.
pub(super) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(""),
        Json::Bool(word) => Value::from(*word),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::from(whole),
            None => Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::String(said) => text(said),
        Json::Array(items) => Value::Array(items.iter().map(value).collect::<Array>()),
        Json::Object(members) => Value::InlineTable(inline(members)),
    }
}

/// A text in one line, whatever is in it. What JSON writes is TOML as well, but for one character.
fn text(said: &str) -> Value {
    let one = said.contains(char::is_control).then(|| Json::from(said).to_string().replace('\u{7f}', "\\u007F"));
    one.and_then(|one| one.parse().ok()).unwrap_or_else(|| Value::from(said))
}

fn inline(members: &Map<String, Json>) -> InlineTable {
    in_order(members).map(|(key, json)| (key.as_str(), value(json))).collect()
}

/// A key as it is written.
pub(super) fn key(name: &str) -> String {
    Key::new(name).to_string()
}

/// `key = value` in a line, or in several.
pub(super) fn line(indent: &str, name: &str, json: &Json, end: &str) -> String {
    let one = format!("{indent}{name} = {}{end}", value(json));
    let items = json.as_array().filter(|items| one.trim_end().len() > WIDTH && items.len() > 1);
    let Some(items) = items else { return one };
    let items = items.iter().map(|item| format!("{indent}    {},{end}", value(item)));
    format!("{indent}{name} = [{end}{}{indent}]{end}", items.collect::<String>())
}

/// Whether this is written as a table of its own, or as several.
pub(super) fn is_section(name: &str, json: &Json) -> bool {
    match json {
        Json::Object(members) => !members.is_empty() && key(name).len() + 3 + value(json).to_string().len() > WIDTH,
        Json::Array(items) => TABLES.contains(&name) && !items.is_empty() && items.iter().all(Json::is_object),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// A table, or a list of them, with an empty line before each.
pub(super) fn section(path: &str, json: &Json, end: &str) -> String {
    match json {
        Json::Array(items) => items.iter().filter_map(Json::as_object).map(|item| one(path, item, end)).collect(),
        Json::Object(members) => format!("{end}[{path}]{end}{}", body(path, members, end)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => String::new(),
    }
}

/// One table of a list, with an empty line before it.
pub(super) fn one(path: &str, members: &Map<String, Json>, end: &str) -> String {
    format!("{end}[[{path}]]{end}{}", body(path, members, end))
}

fn body(path: &str, members: &Map<String, Json>, end: &str) -> String {
    let (tables, lines): (Vec<_>, Vec<_>) = in_order(members).partition(|(name, json)| is_section(name, json));
    let lines = lines.into_iter().map(|(name, json)| line("", &key(name), json, end));
    let tables = tables.into_iter().map(|(name, json)| section(&format!("{path}.{}", key(name)), json, end));
    lines.chain(tables).collect()
}

fn in_order(members: &Map<String, Json>) -> impl Iterator<Item = (&String, &Json)> {
    let place = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    let mut all: Vec<_> = members.iter().collect();
    all.sort_by_key(|(name, _)| place(name));
    all.into_iter()
}
