//! `[log]`.

use super::bounds;
use super::table::{Table, Value};
use super::tls::path_to_be;
use super::words::{FORMAT, LEVEL};
use crate::telemetry::Settings;

/// Reads `[log]`.
pub(super) fn log(root: &Table<'_>) -> Settings {
    let mut settings = Settings::default();
    let Some(t) = root.table("log") else { return settings };
    t.set("format", &mut settings.format, |v| v.word(FORMAT));
    t.set("level", &mut settings.level, |v| v.word(LEVEL));
    t.set("access", &mut settings.access, Value::bool);
    t.set("sample", &mut settings.sample, Value::share);
    settings.file = t.get("file", path_to_be);
    t.set("redact_query", &mut settings.redact_query, |v| {
        v.list(bounds::REDACTED_NAMES, |v| v.text().map(String::from))
    });
    t.finish();
    settings
}
