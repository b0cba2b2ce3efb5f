//! A small typed reader over TOML with places.
//!
//! serde stops at the first fault, and a person who corrects a file wants all of them at once. So the file is walked by
//! hand: each value knows its key's path and its place in the text, each way of reading it records a fault instead
//! of returning one, and what can't be read is left at its default while the walk goes on. Whether the outcome may be
//! used is decided once, at the end: only when no fault was recorded.

use super::fault::Fault;
use super::surroundings::Surroundings;
use std::cell::RefCell;
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
    #[cfg(test)]
    pub(super) asked: std::collections::BTreeSet<String>,
}

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

    /// Keeps the path of a key that was asked for, for the tests of `config/complete.toml`.
    #[cfg(test)]
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
