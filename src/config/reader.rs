//! A small typed reader over TOML with places.
//!
//! serde stops at the first fault, and a person who corrects a file wants all of them at once. So the file is walked by
//! hand: each value knows its key's path and its place in the text, each way of reading it records a fault instead
//! of returning one, and what can't be read is left at its default while the walk goes on. Whether the outcome may be
//! used is decided once, at the end: only when no fault was recorded.

use super::fault::Fault;
use super::surroundings::Surroundings;
use super::unavailable::without_indexes;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One walk over one file: its text, what is around it, and what was noticed so far.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// Where each line begins, so that a place is found without counting from the top.
    lines: Vec<usize>,
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
    pub(super) asked: BTreeSet<String>,
    strays: Vec<Stray>,
}

/// A key that nobody knows where it stands.
struct Stray {
    /// Which fault it is.
    at: usize,
    name: String,
    /// The keys that are known there, where they are few.
    known: Option<String>,
}

/// So many keys of a table can be told in a line.
const FEW: usize = 8;

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, file: &str, around: &'a Surroundings<'a>) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Reader { text, lines, file: file.into(), around, notes: RefCell::default() }
    }

    /// The file as it was named.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// A place that isn't a key's own: a syntax error, or the file as a whole.
    pub(super) fn place(&'a self, path: &str, start: usize) -> Place<'a> {
        Place { reader: self, path: path.into(), start }
    }

    /// What was noticed.
    pub(super) fn into_notes(self) -> Notes {
        let mut notes = self.notes.into_inner();
        for Stray { at, name, known } in std::mem::take(&mut notes.strays) {
            let Some(fault) = notes.faults.get_mut(at) else { continue };
            let hint = home(&name, &fault.key, &notes.asked).map(|home| format!("; `{name}` belongs to {home}"));
            let hint = hint.or_else(|| known.map(|known| format!(", expected one of: {known}")));
            fault.message.push_str(&hint.unwrap_or_default());
        }
        for list in [&mut notes.faults, &mut notes.warnings, &mut notes.remarks] {
            list.sort_by_key(|fault| (fault.line, fault.column));
        }
        notes
    }

    fn note(&self, place: &Place<'_>, message: String) -> Fault {
        let line = place.line();
        let line_start = self.lines.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(line_start..place.start).unwrap_or_default();
        let (file, key) = (self.file.clone(), place.path.clone());
        Fault { file, line, column: before.chars().count() + 1, key, message }
    }

    /// Keeps the path of a key that was asked for, to know where one belongs that stands somewhere else.
    pub(super) fn asked(&self, path: String) {
        self.notes.borrow_mut().asked.insert(path);
    }
}

/// Where a key or its value stands.
#[derive(Clone)]
pub(super) struct Place<'a> {
    /// The walk it belongs to.
    pub(super) reader: &'a Reader<'a>,
    path: String,
    /// In bytes from the beginning of the text.
    pub(super) start: usize,
}

impl Place<'_> {
    /// The configuration can't be used.
    pub(super) fn fault(&self, message: impl Into<String>) {
        let fault = self.reader.note(self, message.into());
        self.reader.notes.borrow_mut().faults.push(fault);
    }

    /// The key `name` stands here, where these are known.
    pub(super) fn stray(&self, name: &str, known: &[&str]) {
        self.fault("unknown key");
        let mut known = known.to_vec();
        known.sort_unstable();
        known.dedup();
        let known = (known.len() <= FEW).then(|| known.join(", "));
        let mut notes = self.reader.notes.borrow_mut();
        let at = notes.faults.len() - 1;
        notes.strays.push(Stray { at, name: name.into(), known });
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
        self.reader.lines.partition_point(|begin| *begin <= self.start)
    }
}

impl<'a> Place<'a> {
    /// The place at `start` whose path is this one's followed by `end`.
    pub(super) fn below(&self, end: &str, start: usize) -> Place<'a> {
        let path =
            if self.path.is_empty() { end.trim_start_matches('.').into() } else { format!("{}{end}", self.path) };
        Place { reader: self.reader, path, start }
    }
}

/// The header of the table in which a key of this name is known, where that is clear: the one that is nearest to the top, and of several that
/// stand side by side none.
fn home(name: &str, here: &str, asked: &BTreeSet<String>) -> Option<String> {
    let here = without_indexes(here);
    let tables: Vec<&str> = asked
        .iter()
        .filter_map(|path| path.rsplit_once('.'))
        .filter_map(|(table, key)| (key == name).then_some(table))
        .collect();
    let depth = |table: &str| table.matches('.').count();
    let least = tables.iter().map(|table| depth(table)).min()?;
    let mut nearest = tables.into_iter().filter(|table| depth(table) == least);
    let (table, None) = (nearest.next()?, nearest.next()) else { return None };
    // Below [[api.purge]] and its like a key is the last table's, whatever its writer thought.
    let above = here.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
    let header = if table == "api" { "[[api]]".into() } else { format!("[{table}]") };
    Some(if above { format!("{header}: write it above the tables that begin there") } else { header })
}
