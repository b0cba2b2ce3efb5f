//! What TOML and JSON have in common.

use serde_json::{Map, Value as Json};
use toml_edit::{Item, Table, Value};

/// What a table says.
pub(super) fn of_table(table: &Table) -> Map<String, Json> {
    table.iter().map(|(key, item)| (key.to_owned(), of_item(item))).collect()
}

/// What an item says.
pub(super) fn of_item(item: &Item) -> Json {
    match item {
        Item::None => Json::Null,
        Item::Value(value) => of_value(value),
        Item::Table(table) => Json::Object(of_table(table)),
        Item::ArrayOfTables(tables) => tables.iter().map(|table| Json::Object(of_table(table))).collect(),
    }
}

/// What a value says. Dates, and numbers that are none, are texts: no key of ours takes them.
pub(super) fn of_value(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::from(text.value().as_str()),
        Value::Integer(number) => Json::from(*number.value()),
        Value::Float(number) => serde_json::Number::from_f64(*number.value())
            .map_or_else(|| Json::from(number.value().to_string()), Json::Number),
        Value::Boolean(word) => Json::from(*word.value()),
        Value::Datetime(date) => Json::from(date.value().to_string()),
        Value::Array(array) => array.iter().map(of_value).collect(),
        Value::InlineTable(table) => {
            Json::Object(table.iter().map(|(key, value)| (key.to_owned(), of_value(value))).collect())
        }
    }
}

/// Whether both say the same; `1` and `1.0` do.
pub(super) fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(x), Json::Number(y)) => x == y || x.as_f64().is_some_and(|x| Some(x) == y.as_f64()),
        (Json::Array(x), Json::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Json::Object(x), Json::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}
