//! What a file says compared with what it shall say; what differs becomes pieces of text.

use super::json::{of_item, of_table, of_value, same};
use super::layout::{body_end, header, sections};
use super::list;
use super::render;
use super::splice::Splice;
use serde_json::{Map, Value as Json};
use std::ops::Range;
use toml_edit::{ArrayOfTables, InlineTable, Item, Key, Table, Value};

/// Makes a table say `wanted`. `path` is what its header says, or would say.
pub(super) fn table(out: &mut Splice<'_>, path: &str, table: &Table, wanted: &Map<String, Json>) {
    for (name, old) in table {
        if !wanted.contains_key(name) {
            remove(out, table, name, old);
        }
    }
    let mut added: Vec<(&String, &Json)> = Vec::new();
    for (name, value) in wanted {
        match table.get(name) {
            None => added.push((name, value)),
            Some(old) if same(&of_item(old), value) => {}
            Some(old) => {
                if !item(out, &format!("{path}.{}", render::key(name)), old, value) {
                    remove(out, table, name, old);
                    added.push((name, value));
                }
            }
        }
    }
    if !added.is_empty() {
        add(out, path, table, &added);
    }
}

/// Makes what stands there say `wanted`, if it can do so without being written in another form.
fn item(out: &mut Splice<'_>, path: &str, old: &Item, wanted: &Json) -> bool {
    match (old, wanted) {
        (Item::Value(old), _) => {
            value(out, old, wanted);
            true
        }
        (Item::Table(old), Json::Object(wanted)) if header(old).is_some() || !wanted.is_empty() => {
            table(out, path, old, wanted);
            true
        }
        (Item::ArrayOfTables(old), Json::Array(wanted)) if !wanted.is_empty() => {
            let wanted: Option<Vec<_>> = wanted.iter().map(Json::as_object).collect();
            wanted.is_some_and(|wanted| tables(out, path, old, &wanted))
        }
        (Item::None | Item::Table(_) | Item::ArrayOfTables(_), _) => false,
    }
}

/// Makes a value say `wanted`.
pub(super) fn value(out: &mut Splice<'_>, old: &Value, wanted: &Json) {
    if let Some(place) = old.span() {
        let text = changed(out.text().get(place.clone()).unwrap_or_default(), wanted);
        // The library knows one kind of line end.
        out.replace(place, if out.end == "\n" { text } else { text.replace('\r', "").replace('\n', out.end) });
    }
}

/// The text of a value that shall say `wanted`, with what it has in common with the old one.
fn changed(text: &str, wanted: &Json) -> String {
    let Ok(mut value) = text.parse::<Value>() else { return render::value(wanted).to_string() };
    adjust(&mut value, wanted);
    value.decor_mut().clear();
    value.to_string()
}

fn adjust(value: &mut Value, wanted: &Json) {
    if same(&of_value(value), wanted) {
        return;
    }
    match (&mut *value, wanted) {
        (Value::InlineTable(table), Json::Object(wanted)) => adjust_table(table, wanted),
        (Value::Array(array), Json::Array(wanted)) if !array.is_empty() && !wanted.is_empty() => {
            let olds: Vec<Json> = array.iter().map(of_value).collect();
            let common = Common::of(&olds, wanted, same);
            for n in common.changed() {
                array.get_mut(n).into_iter().for_each(|value| adjust(value, &wanted[n]));
            }
            common.gone().rev().for_each(|n| list::remove(array, n));
            common.come().for_each(|n| list::insert(array, n, render::value(&wanted[n])));
        }
        _ => {
            let decor = value.decor().clone();
            *value = render::value(wanted);
            *value.decor_mut() = decor;
        }
    }
}

fn adjust_table(table: &mut InlineTable, wanted: &Map<String, Json>) {
    let gone: Vec<String> =
        table.iter().map(|(name, _)| name.to_owned()).filter(|name| !wanted.contains_key(name)).collect();
    let last = table.iter().last().map(|(name, _)| name.to_owned());
    for name in &gone {
        table.remove(name);
    }
    // The space before the brace is the last value's.
    if last.is_some_and(|name| gone.contains(&name))
        && let Some((_, value)) = table.iter_mut().last()
    {
        value.decor_mut().set_suffix(" ");
    }
    for (name, json) in wanted {
        match table.get_mut(name) {
            Some(value) => adjust(value, json),
            None => {
                if let Some((_, last)) = table.iter_mut().last() {
                    last.decor_mut().set_suffix("");
                }
                let mut key = Key::new(name);
                key.leaf_decor_mut().set_prefix(" ");
                key.leaf_decor_mut().set_suffix(" ");
                let value = render::value(json).decorated(" ", " ");
                table.insert_formatted(&key, value);
            }
        }
    }
}

/// Takes a key out, with all that is written of it.
fn remove(out: &mut Splice<'_>, table: &Table, name: &str, old: &Item) {
    match old {
        Item::None => {}
        Item::Value(value) => {
            if let (Some(key), Some(value)) = (table.key(name).and_then(Key::span), value.span()) {
                remove_line(out, key, value);
            }
        }
        Item::Table(table) => remove_table(out, table),
        Item::ArrayOfTables(tables) => tables.iter().for_each(|table| remove_table(out, table)),
    }
}

fn remove_line(out: &mut Splice<'_>, key: Range<usize>, value: Range<usize>) {
    out.replace(out.line_start(key.start)..out.line_end(value.end), String::new());
}

/// Takes a table out, its header and its keys, with all tables below it. Comments between them stay.
fn remove_table(out: &mut Splice<'_>, table: &Table) {
    let mut lines: Vec<Range<usize>> = Vec::new();
    if let Some(header) = header(table) {
        lines.push(out.line_start(header.start)..out.line_end(header.end));
    }
    for (keys, value) in table.get_values() {
        if let (Some(key), Some(value)) = (keys.last().and_then(|key| key.span()), value.span()) {
            lines.push(out.line_start(key.start)..out.line_end(value.end));
        }
    }
    lines.sort_by_key(|line| line.start);
    let mut whole: Vec<Range<usize>> = Vec::new();
    for line in lines {
        match whole.last_mut() {
            Some(last) if last.end == line.start => last.end = line.end,
            Some(_) | None => whole.push(line),
        }
    }
    whole.into_iter().for_each(|lines| out.remove_lines(lines));
    below(out, table);
}

/// Takes out the tables below this one that have headers of their own.
fn below(out: &mut Splice<'_>, table: &Table) {
    for (_, item) in table {
        match item {
            Item::Table(inner) if inner.is_dotted() => below(out, inner),
            Item::Table(inner) => remove_table(out, inner),
            Item::ArrayOfTables(tables) => tables.iter().for_each(|table| remove_table(out, table)),
            Item::None | Item::Value(_) => {}
        }
    }
}

/// Adds keys: lines at the end of the table's own, tables after the last one below it.
fn add(out: &mut Splice<'_>, path: &str, table: &Table, added: &[(&String, &Json)]) {
    let end = out.end;
    let dotted = table.is_dotted();
    let (tables, lines): (Vec<_>, Vec<_>) =
        added.iter().partition(|(name, json)| !dotted && render::is_section(name, json));
    let Some(at) = body_end(out.text(), table) else {
        // It has no header yet: one is written before the first table below it.
        let Some(first) = sections(out.text(), table).first().map(|section| section.start) else { return };
        let members = added.iter().map(|(name, json)| ((*name).clone(), (*json).clone())).collect();
        let text = render::section(path, &Json::Object(members), end);
        out.insert(first, format!("{}{end}", text.trim_start_matches(['\r', '\n'])));
        return;
    };
    let last = out.line_start(at.saturating_sub(1));
    let prefix = if dotted { dots(out.text(), table) } else { String::new() };
    let indent = out.indent(last_key(table).unwrap_or(last)).to_owned();
    let text: String = lines
        .iter()
        .map(|(name, json)| render::line(&indent, &format!("{prefix}{}", render::key(name)), json, end))
        .collect();
    if !text.is_empty() {
        out.insert(at, text);
    }
    let at = sections(out.text(), table).last().map_or(at, |section| section.end);
    let text: String = tables
        .iter()
        .map(|(name, json)| render::section(&format!("{path}.{}", render::key(name)), json, end))
        .collect();
    if !text.is_empty() {
        out.insert(at, text);
    }
}

/// Where a key of the table's own last line stands.
fn last_key(table: &Table) -> Option<usize> {
    let values = table.get_values();
    values.iter().filter_map(|(keys, _)| keys.last()?.span()).map(|span| span.start).max()
}

/// What stands before the last key in a line of this table, whose keys have dots: `key.` of `key.share = …`.
fn dots(text: &str, table: &Table) -> String {
    let Some((name, _)) = table.iter().next() else { return String::new() };
    let values = table.get_values();
    let of_first = values.iter().find_map(|(keys, _)| {
        let own = keys.iter().position(|key| key.get() == name)?;
        keys.get(own)?.span()
    });
    let Some(at) = of_first.map(|span| span.start) else { return String::new() };
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    text[start..at].trim_start().to_owned()
}

/// Makes a list of tables say `wanted`.
fn tables(out: &mut Splice<'_>, path: &str, old: &ArrayOfTables, wanted: &[&Map<String, Json>]) -> bool {
    let olds: Vec<Map<String, Json>> = old.iter().map(of_table).collect();
    let is_same = |old: &Map<String, Json>, new: &&Map<String, Json>| {
        old.len() == new.len() && old.iter().all(|(key, old)| new.get(key).is_some_and(|new| same(old, new)))
    };
    let common = Common::of(&olds, wanted, is_same);
    for n in common.changed() {
        old.get(n).into_iter().for_each(|old| table(out, path, old, wanted[n]));
    }
    for n in common.gone() {
        old.get(n).into_iter().for_each(|old| remove_table(out, old));
    }
    let new: String = common.come().map(|n| render::one(path, wanted[n], out.end)).collect();
    if new.is_empty() {
        return true;
    }
    let place = |n: usize| old.get(n).map(|table| sections(out.text(), table));
    let before = common.come().start.checked_sub(1).and_then(place).and_then(|all| all.last().map(|last| last.end));
    let end = out.end;
    match (before, place(0).and_then(|all| all.first().map(|first| first.start))) {
        (Some(at), _) => out.insert(at, new),
        (None, Some(at)) => out.insert(at, format!("{}{end}", new.trim_start_matches(['\r', '\n']))),
        (None, None) => return false,
    }
    true
}

/// How a list becomes another: what both begin and end with stays.
struct Common {
    begin: usize,
    old: usize,
    new: usize,
}

impl Common {
    fn of<A, B>(old: &[A], new: &[B], same: impl Fn(&A, &B) -> bool) -> Self {
        let begin = old.iter().zip(new).take_while(|(old, new)| same(old, new)).count();
        let (old, new) = (&old[begin..], &new[begin..]);
        let end = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| same(old, new)).count();
        Common { begin, old: old.len() - end, new: new.len() - end }
    }

    /// Those that are there before and after, and differ.
    fn changed(&self) -> Range<usize> {
        self.begin..self.begin + self.old.min(self.new)
    }

    /// Of the old ones those that go.
    fn gone(&self) -> Range<usize> {
        self.changed().end..self.begin + self.old
    }

    /// Of the new ones those that come.
    fn come(&self) -> Range<usize> {
        self.changed().end..self.begin + self.new
    }
}
