//! Tables and values that know their place.
//!
//! A [`Table`] notes which names it was asked for. What stands in it and was never asked for is a fault when the table
//! is [finished](Table::finish); the names asked for are what a misspelt key is compared with. That way a key is known
//! exactly where it is read, and no second list of keys can fall behind.

use super::reader::Place;
use super::unavailable;
use std::cell::RefCell;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

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
        Value { at: self.at.below(&format!("[{index}]"), start), value }
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

    fn place(&self, name: &str, start: usize) -> Place<'a> {
        self.at.below(&format!(".{name}"), start)
    }

    /// The value of `name`, if it is there.
    pub(super) fn find(&self, name: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().push(name);
        self.at.reader.asked(unavailable::without_indexes(self.place(name, 0).path()));
        let spanned: &Spanned<DeValue<'a>> = self.table.get(name)?;
        Some(Value { at: self.place(name, spanned.span().start), value: spanned.get_ref() })
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
        let header = unavailable::without_indexes(self.place(name, 0).path());
        let tables = self.get(name, |value| {
            let one = value.value.is_table();
            if one {
                value.wrong(&format!("a list of tables; write [[{header}]]"))
            } else {
                value.list(most, Value::table)
            }
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
        for key in self.table.keys() {
            let (name, start) = (key.get_ref().as_ref(), key.span().start);
            if asked.contains(&name) {
                continue;
            }
            let place = self.place(name, start);
            if unavailable::is_unavailable(place.path()) {
                place.fault(unavailable::MESSAGE);
                continue;
            }
            match like(name, &asked) {
                Some(known) => place.fault(format!("unknown key; did you mean `{known}`?")),
                None => place.stray(name, &asked),
            }
        }
    }

    /// The names of the keys in it with their places, and their values.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Place<'a>, Value<'a>)> + '_ {
        self.table.iter().map(|(key, value)| {
            let name = key.get_ref().as_ref();
            let at = self.place(name, value.span().start);
            (name, self.place(name, key.span().start), Value { at, value: value.get_ref() })
        })
    }

    /// The place of the value of `name`, or of the table if it isn't there.
    pub(super) fn place_of(&self, name: &str) -> Place<'a> {
        let start = self.table.get(name).map_or(self.at.start, |value| value.span().start);
        self.place(name, start)
    }
}

/// The name that `name` was probably meant to be: alike but for a slip or two.
fn like(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let distance = |k: &&'static str| (strsim::damerau_levenshtein(&name, k), *k);
    known.iter().map(distance).min().filter(|(d, k)| *d <= 1 + k.len() / 5).map(|(_, k)| k)
}
