//! A small typed reader over TOML with places.
//!
//! serde stops at the first fault, and a person who corrects a file wants all of them at once. So the file is walked by
//! hand: each [`Value`] knows its key's path and its place in the text, each way of reading it records a fault instead
//! of returning one, and what can't be read is left at its default while the walk goes on. Whether the outcome may be
//! used is decided once, at the end: only when no fault was recorded.
//!
//! A [`Table`] notes which names it was asked for. What stands in it and was never asked for is a fault when the table
//! is [finished](Table::finish); the names asked for are what a misspelt key is compared with. That way a key is known
//! exactly where it is read, and no second list of keys can fall behind.

use super::fault::Fault;
use super::surroundings::Surroundings;
use super::unavailable;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One walk over one file: its text, what is around it, and what was noticed so far.
pub(super) struct Reader<'a> {
    text: &'a str,
    file: Arc<str>,
    /// What is around the file.
    pub(super) around: &'a Surroundings<'a>,
    notes: RefCell<Notes>,
}

/// What a walk noticed, in the order of the file.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    pub(super) remarks: Vec<Fault>,
    /// The path of every key that was asked for, without indexes.
    #[cfg(test)]
    pub(super) asked: std::collections::BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, file: &str, around: &'a Surroundings<'a>) -> Self {
        Reader { text, file: file.into(), around, notes: RefCell::default() }
    }

    /// The file as it was named.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// A place that isn't a key's own: a syntax error, or the file as a whole.
    pub(super) fn place(&'a self, path: &str, start: usize) -> Place<'a> {
        Place { reader: self, path: path.into(), start }
    }

    /// The table at the top of the file.
    pub(super) fn root(&'a self, table: &'a DeTable<'a>) -> Table<'a> {
        Table { at: self.place("", 0), table, asked: RefCell::default() }
    }

    /// What was noticed.
    pub(super) fn into_notes(self) -> Notes {
        let mut notes = self.notes.into_inner();
        for list in [&mut notes.faults, &mut notes.warnings, &mut notes.remarks] {
            list.sort_by_key(|fault| (fault.line, fault.column));
        }
        notes
    }

    fn note(&self, place: &Place<'_>, message: String) -> Fault {
        let before = self.text.get(..place.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Fault {
            file: self.file.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key: place.path.clone(),
            message,
        }
    }
}

/// Where a key or its value stands.
#[derive(Clone)]
pub(super) struct Place<'a> {
    /// The walk it belongs to.
    pub(super) reader: &'a Reader<'a>,
    path: String,
    start: usize,
}

impl Place<'_> {
    /// The configuration can't be used.
    pub(super) fn fault(&self, message: impl Into<String>) {
        let fault = self.reader.note(self, message.into());
        self.reader.notes.borrow_mut().faults.push(fault);
    }

    /// It can be used, and is probably not what was meant.
    pub(super) fn warn(&self, message: impl Into<String>) {
        let fault = self.reader.note(self, message.into());
        self.reader.notes.borrow_mut().warnings.push(fault);
    }

    /// What it means, in words.
    pub(super) fn remark(&self, message: impl Into<String>) {
        let fault = self.reader.note(self, message.into());
        self.reader.notes.borrow_mut().remarks.push(fault);
    }

    /// The key with its path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The line, from 1, to point at it from another place.
    pub(super) fn line(&self) -> usize {
        self.reader.note(self, String::new()).line
    }
}

/// A value with its place.
#[derive(Clone)]
pub(super) struct Value<'a> {
    /// Where it stands.
    pub(super) at: Place<'a>,
    pub(super) value: &'a DeValue<'a>,
}

impl<'a> Value<'a> {
    /// The item of this list that stands at `index`.
    pub(super) fn item(&self, index: usize, start: usize, value: &'a DeValue<'a>) -> Value<'a> {
        let path = format!("{}[{index}]", self.at.path);
        Value { at: Place { reader: self.at.reader, path, start }, value }
    }
}

/// A table with its place, and the names that were asked for.
pub(super) struct Table<'a> {
    /// Where its header or its brace stands.
    pub(super) at: Place<'a>,
    table: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(at: Place<'a>, table: &'a DeTable<'a>) -> Self {
        Table { at, table, asked: RefCell::default() }
    }

    fn path(&self, name: &str) -> String {
        if self.at.path.is_empty() { name.into() } else { format!("{}.{name}", self.at.path) }
    }

    fn value(&self, name: &str, span: Range<usize>, value: &'a DeValue<'a>) -> Value<'a> {
        Value { at: Place { reader: self.at.reader, path: self.path(name), start: span.start }, value }
    }

    /// The value of `name`, if it is there.
    pub(super) fn find(&self, name: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().push(name);
        #[cfg(test)]
        self.at.reader.notes.borrow_mut().asked.insert(unavailable::without_indexes(&self.path(name)));
        let spanned: &Spanned<DeValue<'a>> = self.table.get(name)?;
        Some(self.value(name, spanned.span(), spanned.get_ref()))
    }

    /// What `read` makes of `name`, if it is there and right.
    pub(super) fn get<T>(&self, name: &'static str, read: impl FnOnce(&Value<'a>) -> Option<T>) -> Option<T> {
        self.find(name).and_then(|value| read(&value))
    }

    /// Puts what `read` makes of `name` in the place of `setting`, if it is there and right.
    pub(super) fn set<T>(&self, name: &'static str, setting: &mut T, read: impl FnOnce(&Value<'a>) -> Option<T>) {
        if let Some(value) = self.get(name, read) {
            *setting = value;
        }
    }

    /// Like [`get`](Self::get); a fault when it isn't there.
    pub(super) fn need<T>(
        &self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> Option<T> {
        let value = self.find(name);
        if value.is_none() {
            self.place_of(name).fault(format!("is missing, expected {expected}"));
        }
        value.and_then(|value| read(&value))
    }

    /// The table called `name`, if it is there.
    pub(super) fn table(&self, name: &'static str) -> Option<Table<'a>> {
        self.get(name, Value::table)
    }

    /// The tables of `[[name]]`, at most `most` of them; none if it isn't there.
    pub(super) fn tables(&self, name: &'static str, most: usize) -> Vec<Table<'a>> {
        let header = unavailable::without_indexes(&self.path(name));
        let tables = self.get(name, |value| match value.value {
            DeValue::Table(_) => value.wrong(&format!("a list of tables; write [[{header}]]")),
            _ => value.list(most, Value::table),
        });
        tables.unwrap_or_default()
    }

    /// Faults for every key of `names` that is there.
    pub(super) fn forbid(&self, names: &[&'static str], message: &str) {
        for value in names.iter().filter_map(|name| self.find(name)) {
            value.at.fault(message);
        }
    }

    /// Faults for what stands in it and wasn't asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (key, value) in self.table {
            let (name, start) = (key.get_ref().as_ref(), key.span().start);
            if asked.contains(&name) {
                continue;
            }
            let place = Place { reader: self.at.reader, path: self.path(name), start };
            if unavailable::is_unavailable(&place.path) {
                // `[telemetry]` with nothing under it asks for nothing.
                if !value.get_ref().as_table().is_some_and(DeTable::is_empty) {
                    place.fault(unavailable::MESSAGE);
                }
                continue;
            }
            place.fault(match like(name, &asked) {
                Some(known) => format!("unknown key; did you mean `{known}`?"),
                None => "unknown key".into(),
            });
        }
    }

    /// The names of the keys in it with their places, and their values.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Place<'a>, Value<'a>)> + '_ {
        self.table.iter().map(|(key, value)| {
            let name = key.get_ref().as_ref();
            let value = self.value(name, value.span(), value.get_ref());
            (name, Place { start: key.span().start, ..value.at.clone() }, value)
        })
    }

    /// The place of the value of `name`, or of the table if it isn't there.
    pub(super) fn place_of(&self, name: &str) -> Place<'a> {
        let start = self.table.get(name).map_or(self.at.start, |value| value.span().start);
        Place { reader: self.at.reader, path: self.path(name), start }
    }
}

/// The name that `name` was probably meant to be: alike but for a slip or two.
fn like(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let distance = |k: &&'static str| (strsim::damerau_levenshtein(&name, k), *k);
    known.iter().map(distance).min().filter(|(d, k)| *d <= 1 + k.len() / 5).map(|(_, k)| k)
}
