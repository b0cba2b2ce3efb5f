//! `compress`: true, false, or a table; a route's own takes the place of its API's as a whole.

use super::bounds;
use super::table::Value;
use super::words;
use crate::encode::Settings;
use crate::rfc9110::fields::is_token;
use std::sync::Arc;

/// Reads it; `Some(None)` is off.
pub(super) fn compress(value: &Value<'_>) -> Option<Option<Arc<Settings>>> {
    match value.value.as_bool() {
        Some(on) => return Some(on.then(Arc::default)),
        None if !value.value.is_table() => {
            return value.wrong("true, false, or a table such as { encodings = [\"gzip\"], min = \"1KiB\" }");
        }
        None => {}
    }
    let (t, mut settings) = (value.table()?, Settings::default());
    t.set("encodings", &mut settings.encodings, |v| {
        if v.value.as_array().is_some_and(|list| list.is_empty()) {
            return v.wrong("at least one of \"zstd\", \"br\" and \"gzip\"");
        }
        v.list(bounds::ENCODINGS, |v| v.word(words::ENCODINGS))
    });
    t.set("min", &mut settings.min, |v| v.size(bounds::COMPRESS_MIN));
    t.set("types", &mut settings.types, |v| v.list(bounds::NAMES, |v| v.parsed(pattern)));
    t.finish();
    Some(Some(Arc::new(settings)))
}

/// `application/json`, `text/*` or `application/*+json`.
fn pattern(text: &str) -> Result<String, &'static str> {
    let lower = text.to_ascii_lowercase();
    let fits = lower.split_once('/').is_some_and(|(kind, sub)| {
        let plain = sub.replacen('*', "", 1);
        let is_word = |word: &str| is_token(word.as_bytes()) && !word.contains('*');
        is_word(kind) && (sub == "*" || is_word(&plain))
    });
    const EXPECTED: &str = "expected a media type such as \"application/json\", \"text/*\" or \"application/*+json\"";
    if fits { Ok(lower) } else { Err(EXPECTED) }
}
