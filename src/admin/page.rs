//! `limit` and `cursor` of what is read in pages.

use super::problem::Problem;
use axum::http::Uri;
use std::ops::RangeInclusive;

/// How many, and behind what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) limit: usize,
    /// What the page before gave.
    pub(super) cursor: Option<String>,
}

/// How many a page may have.
const LIMITS: RangeInclusive<usize> = 1..=1000;

impl Page {
    /// What the query says; `limit` where it doesn't. Other parameters are a fault, and so is one that stands twice.
    pub(super) fn of(uri: &Uri, limit: usize) -> Result<Self, Problem> {
        let (mut wanted, mut cursor) = (None, None);
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_encoding::percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| Problem::bad_request(format!("`{name}` must be percent-encoded UTF-8")))?;
            let place = match name {
                "limit" => &mut wanted,
                "cursor" => &mut cursor,
                _ => return Err(Problem::bad_request("the query has something else than `limit` and `cursor`")),
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(Problem::bad_request(format!("`{name}` stands twice in the query")));
            }
        }
        let limit = match wanted.map(|text| text.parse().ok().filter(|n| LIMITS.contains(n))) {
            None => limit,
            Some(Some(limit)) => limit,
            Some(None) => {
                let detail = format!("`limit` must be a number from {} to {}", LIMITS.start(), LIMITS.end());
                return Err(Problem::bad_request(detail));
            }
        };
        Ok(Page { limit, cursor })
    }

    /// The cursor is none that we have given.
    pub(super) fn bad_cursor() -> Problem {
        Problem::bad_request("`cursor` must be one that the page before has given")
    }
}
