//! Items put into a list in brackets and taken out, with the comments that stand beside them.
//!
//! A comment behind a comma belongs to the item before it, and lies in what stands before the next one: up to its first line end that is
//! the previous item's, and from there on the next one's.

use toml_edit::{Array, Value};

/// Takes an item out, with the comment behind it and those above it.
pub(super) fn remove(array: &mut Array, n: usize) {
    let (before, suffix) = array.get(n).map(around).unwrap_or_default();
    array.remove(n);
    let (own, _) = parted(&before);
    if n < array.len() {
        let Some(next) = array.get_mut(n) else { return };
        let after = around(next).0;
        let new = match parted(&after) {
            (_, Some(rest)) => format!("{own}{rest}"),
            (_, None) => before,
        };
        next.decor_mut().set_prefix(new);
        return;
    }
    if array.trailing_comma() {
        let after = array.trailing().as_str().unwrap_or_default().to_owned();
        array.set_trailing(format!("{own}{}", parted(&after).1.unwrap_or(&after)));
    } else if let Some(last) = array.get_mut(n.saturating_sub(1)) {
        last.decor_mut().set_suffix(format!(
            "{}{}",
            if suffix.contains('\n') { own } else { "" },
            parted(&suffix).1.unwrap_or(&suffix)
        ));
    }
}

/// Puts an item in, laid out like the one before it.
pub(super) fn insert(array: &mut Array, n: usize, mut value: Value) {
    let above = array.get(n.saturating_sub(1)).map(|value| around(value).0).unwrap_or_default();
    let own = match above.rfind('\n') {
        Some(at) => line_from(&above, at),
        None if n > 1 => above,
        None => {
            if n == 0 {
                String::new()
            } else {
                " ".into()
            }
        }
    };
    if let Some(next) = array.get_mut(n) {
        let before = around(next).0;
        let (comment, rest) = parted(&before);
        let rest = rest.map_or_else(|| if n == 0 { " ".to_owned() } else { before.clone() }, str::to_owned);
        value.decor_mut().set_prefix(format!("{}{own}", if rest.contains('\n') { comment } else { "" }));
        next.decor_mut().set_prefix(rest);
    } else if array.trailing_comma() {
        let after = array.trailing().as_str().unwrap_or_default().to_owned();
        let (comment, rest) = parted(&after);
        value.decor_mut().set_prefix(format!("{}{own}", if rest.is_some() { comment } else { "" }));
        array.set_trailing(rest.unwrap_or(&after));
    } else if let Some(last) = array.get_mut(n.saturating_sub(1)) {
        let after = around(last).1;
        let (comment, rest) = parted(&after);
        last.decor_mut().set_suffix("");
        value.decor_mut().set_prefix(format!("{}{own}", if rest.is_some() { comment } else { "" }));
        value.decor_mut().set_suffix(rest.unwrap_or(&after));
    }
    array.insert_formatted(n, value);
}

/// What stands before a value and behind it.
fn around(value: &Value) -> (String, String) {
    let text =
        |raw: Option<&toml_edit::RawString>| raw.and_then(toml_edit::RawString::as_str).unwrap_or_default().to_owned();
    (text(value.decor().prefix()), text(value.decor().suffix()))
}

/// What belongs to the line before, and the rest from the end of that line on, if it has an end.
fn parted(text: &str) -> (&str, Option<&str>) {
    match text.find('\n') {
        Some(at) => {
            let at = if text[..at].ends_with('\r') { at - 1 } else { at };
            (&text[..at], Some(&text[at..]))
        }
        None => (text, None),
    }
}

/// The last line end of a text and the spaces behind it.
fn line_from(text: &str, at: usize) -> String {
    let at = if text[..at].ends_with('\r') { at - 1 } else { at };
    text[at..].to_owned()
}
