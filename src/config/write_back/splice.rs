//! Pieces of a text replaced by others.

use std::ops::Range;

/// A text, and what shall be another in it.
pub(super) struct Splice<'a> {
    text: &'a str,
    /// How its lines end.
    pub(super) end: &'static str,
    edits: Vec<(Range<usize>, String)>,
}

impl<'a> Splice<'a> {
    /// `text` ends with a line end.
    pub(super) fn of(text: &'a str) -> Self {
        let first = text.find('\n').is_some_and(|at| text[..at].ends_with('\r'));
        Splice { text, end: if first { "\r\n" } else { "\n" }, edits: Vec::new() }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn replace(&mut self, place: Range<usize>, by: String) {
        self.edits.push((place, by));
    }

    pub(super) fn insert(&mut self, at: usize, text: String) {
        self.replace(at..at, text);
    }

    /// Where the line begins in which `at` is.
    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    /// Where the next line begins.
    pub(super) fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |end| at + end + 1)
    }

    /// The line that begins there.
    pub(super) fn line(&self, start: usize) -> &'a str {
        &self.text[start..self.line_end(start)]
    }

    /// The spaces that the line of `at` begins with.
    pub(super) fn indent(&self, at: usize) -> &'a str {
        let line = self.line(self.line_start(at));
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    /// Takes whole lines out. Where they stood between empty lines, one of those goes too.
    pub(super) fn remove_lines(&mut self, lines: Range<usize>) {
        let before = lines.start.checked_sub(1).map(|end| self.line_start(end));
        let blank = before.filter(|start| self.line(*start).trim().is_empty());
        let after = lines.end >= self.text.len() || self.line(lines.end).trim().is_empty();
        let start = blank.filter(|_| after).unwrap_or(lines.start);
        self.replace(start..lines.end, String::new());
    }

    /// The new text.
    pub(super) fn done(mut self) -> String {
        self.edits.sort_by_key(|(place, _)| place.start);
        let (mut new, mut at) = (String::with_capacity(self.text.len() + 256), 0);
        for (place, by) in self.edits {
            new.push_str(self.text.get(at..place.start).unwrap_or_default());
            new.push_str(&by);
            at = at.max(place.end);
        }
        new.push_str(&self.text[at..]);
        new
    }
}
