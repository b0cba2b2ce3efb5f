//! `[cache]`.

use super::bounds;
use super::table::Table;
use super::tls::path_to_be;
use super::words::EVICTION;
use crate::store::Settings;
use crate::units::show_size;

/// Reads `[cache]`.
pub(super) fn cache(root: &Table<'_>) -> Settings {
    let mut settings = Settings::default();
    if let Some(limit) = root.at.reader.around.memory_limit {
        settings.max_size = settings.max_size.min(limit / 4).max(*bounds::MAX_SIZE.start());
    }
    let Some(t) = root.table("cache") else { return within(settings) };
    t.set("max_size", &mut settings.max_size, |v| v.size(bounds::MAX_SIZE));
    match t.get("max_object_size", |v| v.size(bounds::MAX_OBJECT_SIZE)) {
        Some(size) if size > settings.max_size => {
            let most = show_size(settings.max_size);
            t.place_of("max_object_size")
                .fault(format!("found {}, expected at most max_size, {most}", show_size(size)));
        }
        Some(size) => settings.max_object_size = size,
        None => settings = within(settings),
    }
    t.set("max_fill_time", &mut settings.max_fill_time, |v| v.duration(&bounds::MAX_FILL_TIME));
    t.set("eviction", &mut settings.eviction, |v| v.word(EVICTION));
    settings.snapshot = t.get("snapshot", path_to_be);
    t.finish();
    settings
}

/// Where the file says nothing of it, an object may fill a small cache but not be larger.
fn within(settings: Settings) -> Settings {
    Settings { max_object_size: settings.max_object_size.min(settings.max_size), ..settings }
}
