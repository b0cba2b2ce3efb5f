//! The ways to read a [`Value`]. Each records a fault (what was found, what was expected) and gives `None` if the value
//! isn't right.

use super::reader::Place;
use super::table::{Table, Value};
use super::words::{Words, listed};
use crate::units::{duration, show_duration, show_size, size};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::de::{DeInteger, DeValue};

impl<'a> Value<'a> {
    /// A fault: what was found, and what was expected.
    pub(super) fn wrong<T>(&self, expected: &str) -> Option<T> {
        self.at.fault(format!("found {}, expected {expected}", self.found()));
        None
    }

    /// What stands here, for a fault; but no text where a secret may have been put in the place of what leads to one.
    fn found(&self) -> String {
        match self.value.as_str() {
            Some(text) if !may_be_shown(self.at.path(), text) => {
                "a text, which isn't shown as it may be a secret".into()
            }
            Some(_) | None => found(self.value),
        }
    }

    /// Any text.
    pub(super) fn text(&self) -> Option<&'a str> {
        self.text_as("a text in quotes")
    }

    fn text_as(&self, expected: &str) -> Option<&'a str> {
        self.value.as_str().or_else(|| self.wrong(expected))
    }

    /// A text that `read` understands; its error says what is wrong.
    pub(super) fn parsed<T, E: Display>(&self, read: impl FnOnce(&'a str) -> Result<T, E>) -> Option<T> {
        let text = self.text()?;
        read(text).map_err(|e| self.at.fault(format!("found {}: {e}", self.found()))).ok()
    }

    /// `true` or `false`.
    pub(super) fn bool(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.wrong("true or false"))
    }

    /// One word of a few.
    pub(super) fn word<T: Copy>(&self, words: &Words<T>) -> Option<T> {
        let meant = |text| words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        let value = self.value.as_str().and_then(meant);
        value.or_else(|| self.wrong(&listed(words.iter().map(|(word, _)| *word))))
    }

    /// A whole number within bounds.
    pub(super) fn count(&self, bounds: RangeInclusive<usize>) -> Option<usize> {
        let number = self.natural().and_then(|n| usize::try_from(n).ok());
        let expected = || format!("a number from {} to {}", bounds.start(), bounds.end());
        number.filter(|n| bounds.contains(n)).or_else(|| self.wrong(&expected()))
    }

    /// A share of the whole.
    pub(super) fn share(&self) -> Option<f64> {
        self.share_within(&(0.0..=1.0))
    }

    /// A share of the whole, within bounds.
    pub(super) fn share_within(&self, bounds: &RangeInclusive<f64>) -> Option<f64> {
        let whole = integer(self.value).and_then(|n| i8::try_from(n).ok()).map(f64::from);
        let number = whole.or_else(|| self.value.as_float().and_then(|float| float.as_str().parse().ok()));
        let expected = || format!("a number from {:?} to {:?}", bounds.start(), bounds.end());
        number.filter(|n| bounds.contains(n)).or_else(|| self.wrong(&expected()))
    }

    /// A duration within bounds; a bare integer is seconds.
    pub(super) fn duration(&self, bounds: &RangeInclusive<Duration>) -> Option<Duration> {
        let (least, most) = (show_duration(*bounds.start()), show_duration(*bounds.end()));
        let expected =
            || format!("a duration such as \"250ms\", \"10s\", \"5m\", \"1h\" or \"100d\", from {least} to {most}");
        self.any_duration().filter(|d| bounds.contains(d)).or_else(|| self.wrong(&expected()))
    }

    /// A duration as written, without bounds and without a fault.
    pub(super) fn any_duration(&self) -> Option<Duration> {
        self.value.as_str().map_or_else(|| self.natural().map(Duration::from_secs), duration)
    }

    /// A size within bounds; a bare integer is bytes.
    pub(super) fn size(&self, bounds: RangeInclusive<u64>) -> Option<u64> {
        let bytes = self.value.as_str().map_or_else(|| self.natural(), size);
        let (least, most) = (show_size(*bounds.start()), show_size(*bounds.end()));
        let expected = || format!("a size such as \"512B\", \"64KiB\" or \"8MiB\", from {least} to {most}");
        bytes.filter(|b| bounds.contains(b)).or_else(|| self.wrong(&expected()))
    }

    /// What `read` makes of it, or `None` for the word "none".
    pub(super) fn or_none<T>(&self, read: impl FnOnce(&Self) -> Option<T>) -> Option<Option<T>> {
        if self.value.as_str() == Some("none") { Some(None) } else { read(self).map(Some) }
    }

    /// A list of at most `most` values; those that `read` finds right.
    pub(super) fn list<T>(&self, most: usize, read: impl Fn(&Value<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Some(array) = self.value.as_array() else { return self.wrong("a list in brackets") };
        if array.len() > most {
            self.at.fault(format!("found {} of them, expected at most {most}", array.len()));
        }
        let items =
            array.iter().take(most).enumerate().map(|(i, item)| self.item(i, item.span().start, item.get_ref()));
        Some(items.filter_map(|item| read(&item)).collect())
    }

    /// A table.
    pub(super) fn table(&self) -> Option<Table<'a>> {
        let table = self.value.as_table().map(|table| Table::new(self.at.clone(), table));
        table.or_else(|| self.wrong("a table"))
    }

    /// A whole number that isn't negative, without a fault.
    fn natural(&self) -> Option<u64> {
        integer(self.value).and_then(|n| u64::try_from(n).ok())
    }
}

/// Whether the text at this path is no secret by the look of it: where a variable's name belongs, one in capitals; where a file's
/// belongs, one with a folder or an ending; nothing where keys and tokens belong.
fn may_be_shown(path: &str, text: &str) -> bool {
    let plain = super::unavailable::without_indexes(path);
    let name = plain.rsplit('.').next().unwrap_or_default();
    let short = text.len() <= 120 && !text.contains(char::is_whitespace);
    match name {
        "keys" | "tokens" | "sha256" | "secret" | "token" => false,
        _ if name.ends_with("_env") => {
            short && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        }
        "cert" | "key" | "client_ca" => short,
        _ if name.ends_with("_file") => short && text.contains(['/', '.']) && !text.contains("://"),
        _ => true,
    }
}

/// How a fault names what stands in the file.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => shortened(text),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(bool) => bool.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// The text in quotes on one line, cut where it is long.
fn shortened(text: &str) -> String {
    let mut quoted: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        quoted.push('…');
    }
    format!("\"{quoted}\"")
}

fn integer(value: &DeValue<'_>) -> Option<i128> {
    let parse = |n: &DeInteger<'_>| i128::from_str_radix(n.as_str(), n.radix()).ok();
    value.as_integer().and_then(parse)
}

/// Faults for what stands twice among `items`.
pub(super) fn no_twins<T: PartialEq>(items: &[(Place<'_>, T)]) {
    for (i, (place, item)) in items.iter().enumerate() {
        if let Some((first, _)) = items[..i].iter().find(|(_, other)| other == item) {
            place.fault(format!("stands twice; first in line {}", first.line()));
        }
    }
}
