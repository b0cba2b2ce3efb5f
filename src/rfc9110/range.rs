//! Which parts of an answer a GET asks for, and which part an answer is (RFC 9110 §14, §13.1.5).
//!
//! A server may ignore any `Range`, so whatever isn't well-formed, or asks for more parts than are worth it, is answered in full.

use super::date;
use super::etag::EntityTag;
use super::fields;
use super::validators::Validators;
use crate::clock::Now;
use http::HeaderMap;
use http::header::{CONTENT_RANGE, IF_RANGE, RANGE};

/// Most parts of one answer. More are a burden without a use (§17.15); they get the whole.
const MOST_PARTS: usize = 16;

/// What of the representation to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranged {
    /// All of it, 200.
    Whole,
    /// One part, 206.
    Part(Part),
    /// Several, in the order in which they were asked for, none overlapping another: 206 with `multipart/byteranges`.
    Parts(Vec<Part>),
    /// Every range begins past the end: 416 with `Content-Range: bytes */length`.
    Unsatisfiable,
}

/// The bytes `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte, less than the length.
    pub last: u64,
}

/// Where the bytes of a partial answer belong: `Content-Range: bytes first-last/complete` (§14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// What is there.
    pub part: Part,
    /// Bytes of the whole representation.
    pub complete: u64,
}

impl Part {
    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Never: the first byte is there at least.
    pub fn is_empty(&self) -> bool {
        false
    }

    fn overlaps(&self, other: &Part) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl ContentRange {
    /// That of a response; `None` where it is absent, repeated, in another unit, without a known length, or doesn't make sense.
    pub fn of(response: &HeaderMap) -> Option<Self> {
        ContentRange::parse(fields::single(response, &CONTENT_RANGE).ok()??)
    }

    /// Reads the field's value.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (unit, rest) = value.split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes ") {
            return None;
        }
        let slash = rest.iter().position(|&b| b == b'/')?;
        let (range, complete) = (&rest[..slash], position(&rest[slash + 1..])?);
        let dash = range.iter().position(|&b| b == b'-')?;
        let part = Part { first: position(&range[..dash])?, last: position(&range[dash + 1..])? };
        (part.first <= part.last && part.last < complete).then_some(ContentRange { part, complete })
    }

    /// The whole of a representation; `None` if it has no bytes.
    pub fn whole(complete: u64) -> Option<Self> {
        complete.checked_sub(1).map(|last| ContentRange { part: Part { first: 0, last }, complete })
    }

    /// Whether these bytes are all there are.
    pub fn is_whole(&self) -> bool {
        self.part.len() == self.complete
    }

    /// Whether `part` lies within.
    pub fn covers(&self, part: &Part) -> bool {
        self.part.first <= part.first && part.last <= self.part.last
    }
}

/// Chooses for a GET whose answer would be a 200 of `len` bytes. Other units, malformed fields, too many ranges and overlapping
/// ones give [`Ranged::Whole`], as does an `If-Range` that isn't a strong match.
pub fn select(request: &HeaderMap, stored: &Validators<'_>, len: u64, now: Now) -> Ranged {
    let Some(specs) = specs(request) else { return Ranged::Whole };
    if !if_range_holds(request, stored, now) {
        return Ranged::Whole;
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut count = 0;
    for spec in specs.filter(|spec| !spec.is_empty()) {
        count += 1;
        match Spec::parse(spec).map(|spec| spec.within(len)) {
            Some(Found::At(part)) if count <= MOST_PARTS && !parts.iter().any(|p| p.overlaps(&part)) => {
                parts.push(part)
            }
            Some(Found::PastTheEnd) => {}
            Some(Found::At(_) | Found::Nothing) | None => return Ranged::Whole,
        }
    }
    match (parts.as_slice(), count) {
        (_, 0) => Ranged::Whole,
        ([], _) => Ranged::Unsatisfiable,
        ([part], _) => Ranged::Part(*part),
        (_, _) => Ranged::Parts(parts),
    }
}

/// The ranges as written, if they are of bytes.
fn specs(request: &HeaderMap) -> Option<impl Iterator<Item = &[u8]>> {
    let range = fields::single(request, &RANGE).ok()??;
    let (unit, specs) = range.split_at_checked(6)?;
    unit.eq_ignore_ascii_case(b"bytes=").then(|| fields::members(specs))
}

/// One range specifier (§14.1.2).
#[derive(Clone, Copy)]
enum Spec {
    From(u64, u64),
    /// The last so many bytes.
    Suffix(u64),
}

/// Where a range lies in a representation.
enum Found {
    At(Part),
    PastTheEnd,
    /// It can be satisfied, but no `Content-Range` can describe a part of nothing.
    Nothing,
}

impl Spec {
    /// `None` if it is malformed.
    fn parse(spec: &[u8]) -> Option<Self> {
        let dash = spec.iter().position(|&b| b == b'-')?;
        let (first, last) = (&spec[..dash], &spec[dash + 1..]);
        if first.is_empty() {
            return Some(Spec::Suffix(position(last)?));
        }
        let first = position(first)?;
        let last = if last.is_empty() { u64::MAX } else { position(last)? };
        (first <= last).then_some(Spec::From(first, last))
    }

    fn within(self, len: u64) -> Found {
        match (self, len) {
            (Spec::Suffix(0), _) => Found::PastTheEnd,
            (Spec::Suffix(_), 0) => Found::Nothing,
            (Spec::Suffix(count), len) => Found::At(Part { first: len.saturating_sub(count), last: len - 1 }),
            (Spec::From(first, _), len) if first >= len => Found::PastTheEnd,
            (Spec::From(first, last), len) => Found::At(Part { first, last: last.min(len - 1) }),
        }
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

    const PART: Ranged = Ranged::Part(Part { first: 0, last: 4 });
    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    fn of(range: &str, len: u64) -> Ranged {
        select(&fields_of(&[("range", range)]), &Validators::default(), len, Now::default())
    }

    #[test]
    fn one_range_of_bytes() {
        let part = |first, last| Ranged::Part(Part { first, last });
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
    fn several_ranges() {
        let many: String = (0..17).map(|n| format!("{0}-{0},", n * 2)).collect();
        let parts =
            |list: &[(u64, u64)]| Ranged::Parts(list.iter().map(|&(first, last)| Part { first, last }).collect());
        let cases: &[(&str, &str, Ranged)] = &[
            ("§15.3.7.2 in the order asked for", "5-6,0-1", parts(&[(5, 6), (0, 1)])),
            ("§14.2 one can't be satisfied", "0-1,99-,-2", parts(&[(0, 1), (38, 39)])),
            ("§15.3.7.2 one remains", "0-1,99-", Ranged::Part(Part { first: 0, last: 1 })),
            ("§15.5.17 none remains", "99-,100-", Ranged::Unsatisfiable),
            ("side by side", "0-1,2-3", parts(&[(0, 1), (2, 3)])),
            ("§14.2 overlapping", "0-5,5-6", Ranged::Whole),
            ("§14.2 the same twice", "0-1,0-1", Ranged::Whole),
            ("§14.2 too many", &many, Ranged::Whole),
            ("one is malformed", "0-1,x", Ranged::Whole),
        ];
        for (why, range, want) in cases {
            assert_eq!(of(&format!("bytes={range}"), 40), *want, "{why}: {range}");
        }
    }

    #[test]
    fn where_a_part_belongs() {
        let of = |value: &str| ContentRange::of(&fields_of(&[("content-range", value)]));
        let at = |first, last, complete| Some(ContentRange { part: Part { first, last }, complete });
        let cases: &[(&str, &str, Option<ContentRange>)] = &[
            ("§14.4", "bytes 0-4/10", at(0, 4, 10)),
            ("§14.4 all of it", "Bytes 0-9/10", at(0, 9, 10)),
            ("§14.4 length unknown", "bytes 0-4/*", None),
            ("§14.4 unsatisfied", "bytes */10", None),
            ("§14.4 last before first", "bytes 4-0/10", None),
            ("§14.4 beyond the length", "bytes 0-10/10", None),
            ("§14.4 other unit", "pages 0-4/10", None),
            ("no length", "bytes 0-4", None),
            ("a sign", "bytes +0-4/10", None),
            ("a request's form", "bytes=0-4/10", None),
        ];
        for (why, value, want) in cases {
            assert_eq!(of(value), *want, "{why}: {value}");
        }
        let twice = fields_of(&[("content-range", "bytes 0-4/10"), ("content-range", "bytes 0-4/10")]);
        assert_eq!(ContentRange::of(&twice), None, "§5.3");
        assert!(at(0, 9, 10).unwrap().is_whole() && !at(0, 8, 10).unwrap().is_whole());
        assert_eq!((ContentRange::whole(10), ContentRange::whole(0)), (at(0, 9, 10), None));
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
        fn parts_lie_within_and_apart(range in "bytes=[0-9,-]{0,24}", len in 0u64..50) {
            let parts = match of(&range, len) {
                Ranged::Part(part) => vec![part],
                Ranged::Parts(parts) => parts,
                Ranged::Whole | Ranged::Unsatisfiable => vec![],
            };
            proptest::prop_assert!(parts.iter().all(|part| part.first <= part.last && part.last < len));
            proptest::prop_assert!(parts.iter().map(Part::len).sum::<u64>() <= len);
        }
    }
}
