//! Figures in few characters; and what each column and each line of the head says.

use super::figures::{Api, Figures, Health};
use std::cmp::Ordering;

/// Nothing was counted.
const NONE: &str = "-";

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Rate,
    Ratio,
    Hit,
    Origin,
    Saved,
    Entries,
    Bytes,
    Health,
}

impl Column {
    /// From left to right.
    pub(super) const ALL: [Column; 9] = [
        Column::Name,
        Column::Rate,
        Column::Ratio,
        Column::Hit,
        Column::Origin,
        Column::Saved,
        Column::Entries,
        Column::Bytes,
        Column::Health,
    ];

    /// Those that are left out where there is little room, the first one first.
    pub(super) const SPARE: [Column; 7] =
        [Column::Saved, Column::Bytes, Column::Hit, Column::Entries, Column::Origin, Column::Health, Column::Ratio];

    pub(super) fn title(self) -> &'static str {
        match self {
            Column::Name => "API",
            Column::Rate => "req/s",
            Column::Ratio => "hit %",
            Column::Hit => "hit p99",
            Column::Origin => "origin p99",
            Column::Saved => "saved",
            Column::Entries => "entries",
            Column::Bytes => "bytes",
            Column::Health => "health",
        }
    }

    /// The key that sorts by it.
    pub(super) fn key(self) -> char {
        match self {
            Column::Name => 'n',
            Column::Rate => 'r',
            Column::Ratio => 'h',
            Column::Hit => 'p',
            Column::Origin => 'o',
            Column::Saved => 's',
            Column::Entries => 'e',
            Column::Bytes => 'b',
            Column::Health => 'w',
        }
    }

    /// Characters that it takes; of the name, the least.
    pub(super) fn width(self) -> u16 {
        match self {
            Column::Name => 12,
            Column::Rate | Column::Ratio => 7,
            Column::Hit | Column::Saved | Column::Entries => 9,
            Column::Origin => 12,
            Column::Bytes | Column::Health => 10,
        }
    }

    /// What is in it for `api`.
    pub(super) fn of(self, api: &Api) -> String {
        match self {
            Column::Name => api.id(),
            Column::Rate => count(api.requests_per_second),
            Column::Ratio => percent(api.hit_ratio),
            Column::Hit => ms(api.hit_ms.p99),
            Column::Origin => ms(api.origin_ms.p99),
            Column::Saved => span(api.origin_ms_saved),
            Column::Entries => count(api.entries as f64),
            Column::Bytes => bytes(api.bytes),
            Column::Health => health(&api.health),
        }
    }

    /// Which of two comes first: names from A, figures from the highest, what is unwell before what is well.
    pub(super) fn compare(self, a: &Api, b: &Api) -> Ordering {
        let down = |a: f64, b: f64| b.total_cmp(&a);
        let some = |a: Option<f64>, b: Option<f64>| down(a.unwrap_or(-1.0), b.unwrap_or(-1.0));
        match self {
            Column::Name => Ordering::Equal,
            Column::Rate => down(a.requests_per_second, b.requests_per_second),
            Column::Ratio => some(a.hit_ratio, b.hit_ratio),
            Column::Hit => some(a.hit_ms.p99, b.hit_ms.p99),
            Column::Origin => some(a.origin_ms.p99, b.origin_ms.p99),
            Column::Saved => b.origin_ms_saved.cmp(&a.origin_ms_saved),
            Column::Entries => b.entries.cmp(&a.entries),
            Column::Bytes => b.bytes.cmp(&a.bytes),
            Column::Health => b.health.unwell().cmp(&a.health.unwell()),
        }
    }
}

/// What the head says: name and figure of each.
pub(super) fn head(figures: &Figures) -> [(&'static str, String); 8] {
    let hour = &figures.hour;
    let last = |list: &[Option<f64>]| list.last().copied().flatten();
    let rate = |list: &[f64]| list.last().map_or(NONE.into(), |rate| format!("{}/s", count(*rate)));
    let (stored, entries) = (hour.bytes.last().copied(), hour.entries.last().copied());
    let stored = stored.unwrap_or_else(|| figures.apis.iter().map(|api| api.bytes).sum());
    let entries = entries.unwrap_or_else(|| figures.apis.iter().map(|api| api.entries).sum());
    let both = |a: Option<f64>, b: Option<f64>| format!("{} / {}", ms(a), ms(b));
    [
        ("hits", format!("{} %", percent(last(&hour.hit_ratio)))),
        ("requests", rate(&hour.requests)),
        ("hit p50 / p99", both(last(&hour.hit_ms_p50), last(&hour.hit_ms_p99))),
        ("origin p50 / p99", both(last(&hour.origin_ms_p50), last(&hour.origin_ms_p99))),
        ("stored", bytes(stored)),
        ("entries", count(entries as f64)),
        ("evictions", rate(&hour.evictions)),
        ("invalidations", rate(&hour.invalidations)),
    ]
}

/// Three digits, with `k`, `M`, `G`.
pub(super) fn count(value: f64) -> String {
    let (mut value, mut unit) = (value, 0);
    while value >= 999.5 && unit < 3 {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    let unit = ["", "k", "M", "G"].get(unit).copied().unwrap_or_default();
    match value {
        v if v == v.trunc() && unit.is_empty() => format!("{v}"),
        v if v < 9.95 => format!("{v:.1}{unit}"),
        v => format!("{v:.0}{unit}"),
    }
}

/// With `KiB`, `MiB`, `GiB`.
pub(super) fn bytes(value: u64) -> String {
    let (mut value, mut unit) = (value as f64, 0);
    while value >= 1023.5 && unit < 3 {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    let unit = ["B", "KiB", "MiB", "GiB"].get(unit).copied().unwrap_or_default();
    if unit == "B" || value >= 99.95 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

pub(super) fn ms(value: Option<f64>) -> String {
    match value {
        None => NONE.into(),
        Some(ms) if ms >= 9_995.0 => format!("{:.0} s", ms / 1000.0),
        Some(ms) if ms >= 999.5 => format!("{:.2} s", ms / 1000.0),
        Some(ms) if ms >= 99.95 => format!("{ms:.0} ms"),
        Some(ms) if ms >= 9.995 => format!("{ms:.1} ms"),
        Some(ms) => format!("{ms:.2} ms"),
    }
}

fn percent(ratio: Option<f64>) -> String {
    ratio.map_or(NONE.into(), |ratio| format!("{:.1}", ratio * 100.0))
}

/// A long time, of milliseconds.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// How many are well; or of how many some aren't, and the worst that they are.
fn health(health: &Health) -> String {
    let Health { well, resting, down, open } = *health;
    let all = well + health.unwell();
    let (count, word) = match health {
        _ if down > 0 => (down, "down"),
        _ if open > 0 => (open, "open"),
        _ if resting > 0 => (resting, "rest"),
        _ if well > 0 => return format!("{well} well"),
        _ => return NONE.into(),
    };
    format!("{count}/{all} {word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let counts = [0.0, 7.0, 0.4, 12.34, 999.0, 999.6, 1_234.0, 56_789.0, 1e6, 2.5e9, 1e12];
        let told = ["0", "7", "0.4", "12", "999", "1.0k", "1.2k", "57k", "1.0M", "2.5G", "1000G"];
        assert_eq!(counts.map(count), told);
        assert_eq!(
            [0, 1023, 1024, 102_400, 5 << 20, 3 << 30].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "100 KiB", "5.0 MiB", "3.0 GiB"]
        );
        assert_eq!(
            [None, Some(0.042), Some(12.3), Some(301.2), Some(1_234.0), Some(30_000.0)].map(ms),
            ["-", "0.04 ms", "12.3 ms", "301 ms", "1.23 s", "30 s"]
        );
        assert_eq!(
            [7, 59_000, 61_000, 3_700_000, 100_000_000].map(span),
            ["7 ms", "59 s", "1m 01s", "1h 01m", "1d 03h"]
        );
    }

    #[test]
    fn of_endpoints_the_worst_is_told() {
        let told = |well, resting, open, down| health(&Health { well, resting, down, open });
        assert_eq!(
            [told(2, 0, 0, 0), told(1, 1, 0, 0), told(1, 1, 1, 0), told(0, 1, 1, 2)],
            ["2 well", "1/2 rest", "1/3 open", "2/4 down"]
        );
        assert_eq!(told(0, 0, 0, 0), "-");
    }

    #[test]
    fn each_column_has_a_key_of_its_own_that_means_nothing_else() {
        let mut keys: Vec<char> = Column::ALL.iter().map(|column| column.key()).chain("jkgGq/".chars()).collect();
        keys.sort_unstable();
        let all = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), all);
        assert!(Column::ALL.iter().all(|column| column.title().len() < usize::from(column.width())));
    }
}
