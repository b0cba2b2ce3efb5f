//! Calendar dates from milliseconds, in UTC.

use std::fmt;

/// A moment, broken into what clocks and calendars show. Proleptic Gregorian, no leap seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
    milli: u64,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Moment {
    /// Days are counted from 1 March of year 0, so that a leap day is the last of its year; 400 years are 146,097 days.
    fn at(unix: u64) -> Moment {
        let (seconds, milli) = (unix / 1_000, unix % 1_000);
        let days = seconds / 86_400 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Moment {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            second_of_day: seconds % 86_400,
            milli,
        }
    }

    fn time(&self) -> (u64, u64, u64) {
        (self.second_of_day / 3_600, self.second_of_day / 60 % 60, self.second_of_day % 60)
    }
}

/// `unix` (milliseconds) as RFC 3339 has it: `2026-11-22T02:34:19.005Z`.
pub(crate) fn rfc3339(unix: u64) -> impl fmt::Display {
    let moment = Moment::at(unix);
    let (hour, minute, second) = moment.time();
    let Moment { year, month, day, milli, .. } = moment;
    fmt::from_fn(move |f| write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
}

/// `unix` (milliseconds) as the common log format has it: `22/Nov/2026:02:34:19 +0000`.
pub(super) fn common(unix: u64) -> impl fmt::Display {
    let moment = Moment::at(unix);
    let (hour, minute, second) = moment.time();
    let month = usize::try_from(moment.month - 1).ok().and_then(|m| MONTHS.get(m)).copied().unwrap_or("???");
    let Moment { year, day, .. } = moment;
    fmt::from_fn(move |f| write!(f, "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (unix, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_795_314_859_005, "2026-11-22T02:34:19.005Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(unix).to_string(), expected);
        }
        assert_eq!(common(1_795_314_859_005).to_string(), "22/Nov/2026:02:34:19 +0000");
    }

    #[test]
    fn agrees_with_httpdate_on_every_month_for_a_century() {
        for month in 0..1_200u64 {
            let unix = month * 2_629_746_000 + 12_345_678;
            let when = std::time::UNIX_EPOCH + std::time::Duration::from_millis(unix);
            let date = httpdate::fmt_http_date(when);
            let [_, day, name, year, time, _] = date.split(' ').collect::<Vec<_>>()[..] else { panic!("{date}") };
            assert_eq!(common(unix).to_string(), format!("{day}/{name}/{year}:{time} +0000"));
        }
    }
}
