//! HTTP dates (RFC 9110 §5.6.7): the three forms, read strictly, as milliseconds since 1970-01-01 UTC.
//!
//! Stricter than `httpdate` where a cache needs it: names are matched without case (RFC 9111 §4.2), a leap second counts as
//! the second before it (the nearest earlier time, RFC 9111 §4.2), two-digit years follow the 50-year rule, and a day
//! name that doesn't belong to the date makes it invalid. Dates before 1970 are invalid: no validator or expiry needs
//! them, and "invalid" reads as "expired".

use super::fields;
use http::{HeaderMap, HeaderName};
use std::time::{Duration, UNIX_EPOCH};

const DAY_NAMES: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
const DAY_SECONDS: u64 = 86_400;
/// The end of the year 9999, the last that the grammar can write.
const LATEST: u64 = 253_402_300_799;

/// A field that should hold one date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateField {
    /// The field is not there.
    Absent,
    /// There are several lines, or what is there is no date.
    Invalid,
    /// Milliseconds since 1970-01-01 UTC.
    At(u64),
}

/// Reads a field that may have one date only. `now` is in milliseconds since 1970 and decides two-digit years.
pub fn field(all: &HeaderMap, name: &HeaderName, now: u64) -> DateField {
    match fields::single(all, name) {
        Ok(None) => DateField::Absent,
        Ok(Some(value)) => parse(value, now).map_or(DateField::Invalid, DateField::At),
        Err(fields::Repeated) => DateField::Invalid,
    }
}

/// Reads a date; `None` if it is none of the three forms, names the wrong day, or lies before 1970. Milliseconds since
/// 1970; `now` is in the same unit and is needed for the two-digit years of the RFC 850 form.
pub fn parse(value: &[u8], now: u64) -> Option<u64> {
    let value = value.trim_ascii();
    let (day_name, rest) = split_day_name(value)?;
    let date = match rest {
        [b',', b' ', rest @ ..] if day_name.len() == 3 => imf_fixdate(rest)?,
        [b',', b' ', rest @ ..] => rfc850(rest, now)?,
        [b' ', rest @ ..] if day_name.len() == 3 => asctime(rest)?,
        _ => return None,
    };
    let days = date.days()?;
    // 1970-01-01 was a Thursday, the fourth of DAY_NAMES.
    let expected = DAY_NAMES.get(usize::try_from((days + 3) % 7).ok()?)?;
    let named = expected.as_bytes().get(..day_name.len())?.eq_ignore_ascii_case(day_name);
    let seconds = days.checked_mul(DAY_SECONDS)?.checked_add(date.second_of_day)?;
    seconds.checked_mul(1000).filter(|_| named)
}

/// Writes a time in the preferred form; times past the year 9999 are written as its last second.
pub fn format(unix_ms: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs((unix_ms / 1000).min(LATEST)))
}

struct Date {
    year: u64,
    /// 1 to 12.
    month: u64,
    day: u64,
    second_of_day: u64,
}

impl Date {
    /// Whole days since 1970-01-01; `None` if there is no such day.
    fn days(&self) -> Option<u64> {
        let leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let length = match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if self.year < 1970 || self.day == 0 || self.day > length {
            return None;
        }
        // Years are counted from March, so that the leap day is the last of its year.
        let year = if self.month > 2 { self.year } else { self.year - 1 };
        let month = (self.month + 9) % 12;
        let in_year = (153 * month + 2) / 5 + self.day - 1;
        let since_year_zero = 365 * year + year / 4 - year / 100 + year / 400 + in_year;
        since_year_zero.checked_sub(719_468)
    }
}

/// The day's name, short or long, and what follows it.
fn split_day_name(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = value.iter().position(|b| !b.is_ascii_alphabetic())?;
    let (name, rest) = value.split_at(end);
    let known = DAY_NAMES.iter().any(|day| {
        day.as_bytes().eq_ignore_ascii_case(name) || name.len() == 3 && day.as_bytes()[..3].eq_ignore_ascii_case(name)
    });
    known.then_some((name, rest))
}

/// `06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &[u8]) -> Option<Date> {
    let [d1, d2, b' ', month @ .., b' ', y1, y2, y3, y4, b' ', h1, h2, b':', m1, m2, b':', s1, s2, b' ', g, m, t] =
        text
    else {
        return None;
    };
    gmt([*g, *m, *t])?;
    Some(Date {
        year: number(&[*y1, *y2, *y3, *y4])?,
        month: month_number(month)?,
        day: number(&[*d1, *d2])?,
        second_of_day: second_of_day([*h1, *h2], [*m1, *m2], [*s1, *s2])?,
    })
}

/// `06-Nov-94 08:49:37 GMT`
fn rfc850(text: &[u8], now: u64) -> Option<Date> {
    let [d1, d2, b'-', month @ .., b'-', y1, y2, b' ', h1, h2, b':', m1, m2, b':', s1, s2, b' ', g, m, t] = text else {
        return None;
    };
    gmt([*g, *m, *t])?;
    Some(Date {
        year: full_year(number(&[*y1, *y2])?, now),
        month: month_number(month)?,
        day: number(&[*d1, *d2])?,
        second_of_day: second_of_day([*h1, *h2], [*m1, *m2], [*s1, *s2])?,
    })
}

/// `Nov  6 08:49:37 1994`
fn asctime(text: &[u8]) -> Option<Date> {
    let [month @ .., b' ', d1, d2, b' ', h1, h2, b':', m1, m2, b':', s1, s2, b' ', y1, y2, y3, y4] = text else {
        return None;
    };
    let tens = if *d1 == b' ' { b'0' } else { *d1 };
    Some(Date {
        year: number(&[*y1, *y2, *y3, *y4])?,
        month: month_number(month)?,
        day: number(&[tens, *d2])?,
        second_of_day: second_of_day([*h1, *h2], [*m1, *m2], [*s1, *s2])?,
    })
}

fn gmt(zone: [u8; 3]) -> Option<()> {
    zone.eq_ignore_ascii_case(b"GMT").then_some(())
}

fn month_number(name: &[u8]) -> Option<u64> {
    let at = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(&month[..]))?;
    u64::try_from(at + 1).ok()
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u64::from(b - b'0')))
}

fn second_of_day(hour: [u8; 2], minute: [u8; 2], second: [u8; 2]) -> Option<u64> {
    let (hour, minute, second) = (number(&hour)?, number(&minute)?, number(&second)?);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second.min(59))
}

/// A two-digit year: this century, unless that is more than 50 years ahead (§5.6.7).
fn full_year(two_digits: u64, now: u64) -> u64 {
    let year_now = 1970 + now / 1000 / 31_556_952;
    let year = year_now - year_now % 100 + two_digits;
    if year > year_now + 50 { year - 100 } else { year }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::fields_of;
    use http::header::EXPIRES;

    /// 2026-06-01.
    const NOW: u64 = 1_780_272_000_000;
    const NOV_94: u64 = 784_111_777_000;

    #[test]
    fn three_forms_and_what_only_looks_like_one() {
        let cases: &[(&str, &str, Option<u64>)] = &[
            ("§5.6.7 IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", Some(NOV_94)),
            ("§5.6.7 RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", Some(NOV_94)),
            ("§5.6.7 asctime", "Sun Nov  6 08:49:37 1994", Some(NOV_94)),
            ("asctime, two digits", "Wed Nov 16 08:49:37 1994", Some(NOV_94 + 10 * 86_400_000)),
            ("RFC 9111 §4.2 without case", "sUN, 06 nOV 1994 08:49:37 gmt", Some(NOV_94)),
            ("§5.6.7 leap second", "Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_799_000)),
            ("§5.6.7 less than 50 years ahead", "Monday, 01-Jun-76 00:00:00 GMT", Some(3_358_195_200_000)),
            ("§5.6.7 more than 50 years ahead is past", "Saturday, 01-Jan-77 00:00:00 GMT", Some(220_924_800_000)),
            ("leap day", "Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800_000)),
            ("no leap day", "Wed, 29 Feb 2023 00:00:00 GMT", None),
            ("the epoch", "Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("before it", "Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("RFC 9111 §4.2 another zone", "Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("RFC 9111 §4.2 numeric zone", "Sun, 06 Nov 1994 08:49:37 +0000", None),
            ("wrong day", "Mon, 06 Nov 1994 08:49:37 GMT", None),
            ("short day in the RFC 850 form", "Sun, 06-Nov-94 08:49:37 GMT", None),
            ("24 hours", "Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("one digit", "Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("two blanks", "Sun,  06 Nov 1994 08:49:37 GMT", None),
            ("RFC 9111 §5.3 zero", "0", None),
            ("RFC 9111 §5.3 minus one", "-1", None),
            ("a list", "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("empty", "", None),
            ("month zero", "Sun, 00 Nov 1994 08:49:37 GMT", None),
        ];
        for (why, text, want) in cases {
            assert_eq!(parse(text.as_bytes(), NOW), *want, "{why}: {text}");
        }
    }

    #[test]
    fn a_repeated_date_is_invalid() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(field(&fields_of(&[]), &EXPIRES, NOW), DateField::Absent);
        assert_eq!(field(&fields_of(&[("expires", date)]), &EXPIRES, NOW), DateField::At(NOV_94));
        assert_eq!(field(&fields_of(&[("expires", date), ("expires", date)]), &EXPIRES, NOW), DateField::Invalid);
    }

    proptest::proptest! {
        #[test]
        fn what_we_write_we_read(seconds in 0..=LATEST) {
            proptest::prop_assert_eq!(parse(format(seconds * 1000).as_bytes(), NOW), Some(seconds * 1000));
        }

        #[test]
        fn agrees_with_httpdate_where_that_reads(text in "(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9] (Jan|Feb|Jun|Dec) (19|20)[0-9]{2} [0-2][0-9]:[0-5][0-9]:[0-5][0-9] GMT") {
            let theirs = httpdate::parse_http_date(&text).ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
            proptest::prop_assert_eq!(parse(text.as_bytes(), NOW), theirs.map(|d| d.as_secs() * 1000));
        }

        #[test]
        fn never_panics(text in proptest::collection::vec(proptest::num::u8::ANY, 0..40), now in proptest::num::u64::ANY) {
            parse(&text, now);
        }
    }
}
