//! Which part of a stored answer a GET asks for (RFC 9110 §14.1.2, §14.2, §13.1.5).
//!
//! A server may ignore any `Range`, so whatever is not one well-formed range of bytes is answered in full.

use super::date;
use super::etag::EntityTag;
use super::fields;
use super::validators::Validators;
use crate::clock::Now;
use http::HeaderMap;
use http::header::{IF_RANGE, RANGE};

/// What of the representation to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranged {
    /// All of it, 200.
    Whole,
    /// The bytes `first` to `last`, both included, 206.
    Part {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte, less than the length.
        last: u64,
    },
    /// The range begins past the end: 416 with `Content-Range: bytes */length`.
    Unsatisfiable,
}

/// Chooses for a GET whose answer would be a 200 of `len` bytes. One range of bytes only; several ranges, other units and
/// malformed fields give [`Ranged::Whole`], as does an `If-Range` that isn't a strong match.
pub fn select(request: &HeaderMap, stored: &Validators<'_>, len: u64, now: Now) -> Ranged {
    let Ok(Some(range)) = fields::single(request, &RANGE) else { return Ranged::Whole };
    if !if_range_holds(request, stored, now) {
        return Ranged::Whole;
    }
    let Some(specs) = range.split_at_checked(6).filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes=")) else {
        return Ranged::Whole;
    };
    let mut specs = fields::members(specs.1).filter(|spec| !spec.is_empty());
    match (specs.next(), specs.next()) {
        (Some(spec), None) => one(spec, len).unwrap_or(Ranged::Whole),
        _ => Ranged::Whole,
    }
}

/// One range specifier; `None` if it is malformed.
fn one(spec: &[u8], len: u64) -> Option<Ranged> {
    let dash = spec.iter().position(|&b| b == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    if first.is_empty() {
        return Some(suffix(position(last)?, len));
    }
    let first = position(first)?;
    let last = if last.is_empty() { u64::MAX } else { position(last)? };
    if last < first {
        return None;
    }
    if first >= len {
        return Some(Ranged::Unsatisfiable);
    }
    Some(Ranged::Part { first, last: last.min(len - 1) })
}

/// The last `count` bytes. No `Content-Range` can describe a part of nothing, so an empty representation goes whole.
fn suffix(count: u64, len: u64) -> Ranged {
    match (count, len) {
        (0, _) => Ranged::Unsatisfiable,
        (_, 0) => Ranged::Whole,
        (count, len) => Ranged::Part { first: len.saturating_sub(count), last: len - 1 },
    }
}

/// Digits only; what doesn't fit is past every end.
fn position(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits
        .iter()
        .try_fold(0u64, |sum, b| b.is_ascii_digit().then(|| sum.saturating_mul(10).saturating_add(u64::from(b - b'0'))))
}

/// §13.1.5: absent, or a strong match. A date is strong when the stored `Date` is at least a second later (§8.8.2.2),
/// and must be the stored `Last-Modified` exactly.
fn if_range_holds(request: &HeaderMap, stored: &Validators<'_>, now: Now) -> bool {
    let condition = match fields::single(request, &IF_RANGE) {
        Ok(None) => return true,
        Ok(Some(condition)) => condition,
        Err(fields::Repeated) => return false,
    };
    if let Some(tag) = EntityTag::parse(condition) {
        return stored.etag.and_then(EntityTag::parse).is_some_and(|stored| stored.strong_match(&tag));
    }
    let at = |value: Option<&[u8]>| value.and_then(|value| date::parse(value, now.unix));
    match (at(Some(condition)), at(stored.last_modified), at(stored.date)) {
        (Some(wanted), Some(modified), Some(date)) => wanted == modified && date >= modified + 1000,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::{Lines, fields_of};

    const PART: Ranged = Ranged::Part { first: 0, last: 4 };
    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    fn of(range: &str, len: u64) -> Ranged {
        select(&fields_of(&[("range", range)]), &Validators::default(), len, Now::default())
    }

    #[test]
    fn one_range_of_bytes() {
        let part = |first, last| Ranged::Part { first, last };
        let cases: &[(&str, &str, u64, Ranged)] = &[
            ("§14.1.2", "bytes=0-4", 10, part(0, 4)),
            ("§14.1.2 last is cut", "bytes=5-99", 10, part(5, 9)),
            ("§14.1.2 open", "bytes=9-", 10, part(9, 9)),
            ("§14.1.2 suffix", "bytes=-3", 10, part(7, 9)),
            ("§14.1.2 suffix longer than all", "bytes=-30", 10, part(0, 9)),
            ("§14.1 unit without case", "BYTES=0-0", 10, part(0, 0)),
            ("§5.6.1.2 empty members", "bytes=,0-0,", 10, part(0, 0)),
            ("numbers without end", "bytes=0-99999999999999999999999999", 10, part(0, 9)),
            ("§14.1.2 past the end", "bytes=10-", 10, Ranged::Unsatisfiable),
            ("past the end, huge", "bytes=99999999999999999999999999-", 10, Ranged::Unsatisfiable),
            ("§14.1.2 suffix of nothing", "bytes=-0", 10, Ranged::Unsatisfiable),
            ("nothing there", "bytes=0-", 0, Ranged::Unsatisfiable),
            ("suffix of an empty one", "bytes=-5", 0, Ranged::Whole),
            ("§14.1.2 last before first", "bytes=5-2", 10, Ranged::Whole),
            ("§14.2 several", "bytes=0-1,3-4", 10, Ranged::Whole),
            ("§14.2 other unit", "items=0-4", 10, Ranged::Whole),
            ("sign", "bytes=+1-2", 10, Ranged::Whole),
            ("blank", "bytes = 0-1", 10, Ranged::Whole),
            ("no dash", "bytes=5", 10, Ranged::Whole),
            ("two dashes", "bytes=1-2-3", 10, Ranged::Whole),
            ("nothing", "bytes=", 10, Ranged::Whole),
            ("only a dash", "bytes=-", 10, Ranged::Whole),
        ];
        for (why, range, len, want) in cases {
            assert_eq!(of(range, *len), *want, "{why}: {range}");
        }
    }

    #[test]
    fn if_range_wants_a_strong_match() {
        let all: Lines<'_> = &[("etag", "\"a\""), ("last-modified", OLD), ("date", NEW)];
        let weak: Lines<'_> = &[("etag", "W/\"a\""), ("last-modified", OLD), ("date", OLD)];
        let cases: &[(&str, &str, Lines<'_>, Ranged)] = &[
            ("§13.1.5 same tag", "\"a\"", all, PART),
            ("§13.1.5 other tag", "\"b\"", all, Ranged::Whole),
            ("§13.1.5 weak in the request", "W/\"a\"", all, Ranged::Whole),
            ("§13.1.5 weak in the store", "W/\"a\"", weak, Ranged::Whole),
            ("§13.1.5 same date, strong", OLD, all, PART),
            ("§8.8.2.2 same date, not strong", OLD, weak, Ranged::Whole),
            ("§13.1.5 exact match only", NEW, all, Ranged::Whole),
            ("neither", "a", all, Ranged::Whole),
        ];
        for (why, condition, stored, want) in cases {
            let request = fields_of(&[("range", "bytes=0-4"), ("if-range", condition)]);
            let stored = fields_of(stored);
            assert_eq!(select(&request, &Validators::of(&stored), 10, Now::default()), *want, "{why}");
        }
        let stored = fields_of(all);
        let twice = fields_of(&[("range", "bytes=0-4"), ("if-range", "\"a\""), ("if-range", "\"a\"")]);
        assert_eq!(select(&twice, &Validators::of(&stored), 10, Now::default()), Ranged::Whole, "§5.3");
        let no_range = fields_of(&[("if-range", "\"a\"")]);
        let got = select(&no_range, &Validators::default(), 10, Now::default());
        assert_eq!(got, Ranged::Whole, "§14.2: If-Range alone is ignored");
        let two = fields_of(&[("range", "bytes=0-1"), ("range", "bytes=0-1")]);
        assert_eq!(select(&two, &Validators::default(), 10, Now::default()), Ranged::Whole, "§5.3");
    }

    proptest::proptest! {
        #[test]
        fn a_part_lies_within(range in "bytes=[0-9,-]{0,24}", len in 0u64..50) {
            if let Ranged::Part { first, last } = of(&range, len) {
                proptest::prop_assert!(first <= last && last < len);
            }
        }
    }
}
