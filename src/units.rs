//! Durations and sizes: how files and requests write them, and how we write them back.

use std::time::Duration;

/// Largest unit first, in milliseconds.
const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Largest unit first, in bytes; the decimal ones are read but never written.
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1000),
    ("B", 1),
];

/// Reads `"250ms" "10s" "5m" "1h" "100d"`, and `"0"`, which needs no unit.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    with_unit(text, &TIMES).map(Duration::from_millis)
}

/// Reads `"512B" "64KiB" "8MiB" "1GB"`, and `"0"`.
pub(crate) fn size(text: &str) -> Option<u64> {
    if text == "0" { Some(0) } else { with_unit(text, &SIZES) }
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The shortest way to write a duration of whole milliseconds.
pub(crate) fn show_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, factor) = TIMES.into_iter().find(|(_, f)| ms >= *f && ms.is_multiple_of(*f)).unwrap_or(("s", 1000));
    format!("{}{unit}", ms / factor)
}

/// The shortest way to write a size in binary units.
pub(crate) fn show_size(bytes: u64) -> String {
    let binary = SIZES.into_iter().filter(|(unit, _)| unit.len() != 2);
    let (unit, factor) = binary.into_iter().find(|(_, f)| bytes >= *f && bytes.is_multiple_of(*f)).unwrap_or(("B", 1));
    format!("{}{unit}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_back() {
        for text in ["250ms", "10s", "5m", "1h", "100d", "0s", "90s"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        assert_eq!(duration("3600s"), duration("1h"));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        for bad in
            ["", "s", "10", "1.5s", "-1s", "1 s", "1H", "1h30m", "5min", "99999999999999999999s", "999999999999999999d"]
        {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_and_written_back() {
        for text in ["0B", "7B", "64KiB", "8MiB", "3GiB", "1000B"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
        assert_eq!((size("1KB"), size("2MB"), size("1GB")), (Some(1000), Some(2_000_000), Some(1_000_000_000)));
        for bad in ["", "8", "8M", "8mib", "8 MiB", "1.5GiB", "-1B", "99999999999999999999B", "99999999999999GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
