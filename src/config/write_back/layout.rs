//! Where the tables of a file stand.

use super::json;
use std::ops::Range;
use toml_edit::{Document, Item, Table, Value};

/// A file that was read with its places.
pub(super) type Read<'a> = Document<&'a str>;

/// One `[[api]]`, as it is written.
pub(super) enum Api<'d> {
    /// `[[api]]`.
    Table(&'d Table),
    /// An item of `api = […]`.
    Inline(&'d Value),
}

/// Every `[[api]]`, in order.
pub(super) fn apis<'d>(document: &'d Read<'_>) -> Vec<Api<'d>> {
    match document.as_table().get("api") {
        Some(Item::ArrayOfTables(tables)) => tables.iter().map(Api::Table).collect(),
        Some(Item::Value(Value::Array(items))) => items.iter().map(Api::Inline).collect(),
        Some(Item::None | Item::Value(_) | Item::Table(_)) | None => Vec::new(),
    }
}

impl Api<'_> {
    /// Its name and version.
    pub(super) fn named(&self) -> Option<(&str, &str)> {
        let text = |key: &str| match self {
            Api::Table(table) => table.get(key)?.as_str(),
            Api::Inline(value) => value.as_inline_table()?.get(key)?.as_str(),
        };
        Some((text("name")?, text("version")?))
    }

    pub(super) fn json(&self) -> serde_json::Map<String, serde_json::Value> {
        match self {
            Api::Table(table) => json::of_table(table),
            Api::Inline(value) => json::of_value(value).as_object().cloned().unwrap_or_default(),
        }
    }
}

/// The id (`name/version`) of every `[[api]]` with the text that it has in the file, in order. Nothing where the text isn't TOML.
pub fn texts(text: &str) -> Vec<(String, String)> {
    let Ok(document) = Document::parse(text) else { return Vec::new() };
    let own = |api: &Api<'_>| {
        let (name, version) = api.named()?;
        let pieces = match api {
            Api::Table(table) => sections(text, table),
            Api::Inline(value) => value.span().into_iter().collect(),
        };
        let pieces: Vec<&str> = pieces.into_iter().filter_map(|piece| text.get(piece)).collect();
        Some((format!("{name}/{version}"), pieces.concat()))
    };
    apis(&document).iter().filter_map(own).collect()
}

/// Where the header of a table stands, if it has one.
pub(super) fn header(table: &Table) -> Option<Range<usize>> {
    if table.is_dotted() || table.is_implicit() { None } else { table.span() }
}

/// Where the last line with a key of this table ends, or the line of its header; keys with dots are keys of the table.
pub(super) fn body_end(text: &str, table: &Table) -> Option<usize> {
    let last = table.get_values().iter().filter_map(|(_, value)| value.span()).map(|span| span.end).max();
    let last = last.or_else(|| header(table).map(|header| header.end))?;
    Some(text[last..].find('\n').map_or(text.len(), |end| last + end + 1))
}

/// The lines of a table and of all below it that have a header, from there to the last key, in the order of the text.
pub(super) fn sections(text: &str, table: &Table) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    collect(text, table, &mut all);
    all.sort_by_key(|section| section.start);
    all
}

fn collect(text: &str, table: &Table, all: &mut Vec<Range<usize>>) {
    if let (Some(header), Some(end)) = (header(table), body_end(text, table)) {
        let start = text[..header.start].rfind('\n').map_or(0, |end| end + 1);
        all.push(start..end);
    }
    for (_, item) in table {
        match item {
            Item::Table(table) => collect(text, table, all),
            Item::ArrayOfTables(tables) => tables.iter().for_each(|table| collect(text, table, all)),
            Item::None | Item::Value(_) => {}
        }
    }
}
