//! What any recipient of HTTP needs beside a cache: lists and hop-by-hop fields, dates, entity tags, preconditions and
//! ranges (RFC 9110). Pure: no clock and no I/O.

pub mod conditional;
pub mod date;
pub mod etag;
pub mod fields;
pub mod range;

use http::{HeaderMap, HeaderName, header};

/// What a response says about the version of the representation that it carries (§8.8), as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validators<'a> {
    /// `ETag`; `None` also when there is more than one line.
    pub etag: Option<&'a [u8]>,
    /// `Last-Modified`; `None` also when there is more than one line.
    pub last_modified: Option<&'a [u8]>,
    /// `Date`, which says how far `Last-Modified` can be trusted (§8.8.2.2); `None` also when there is more than one line.
    pub date: Option<&'a [u8]>,
}

impl<'a> Validators<'a> {
    /// The validators of a response.
    pub fn of(fields: &'a HeaderMap) -> Self {
        let single = |name: HeaderName| fields::single(fields, &name).ok().flatten();
        Validators {
            etag: single(header::ETAG),
            last_modified: single(header::LAST_MODIFIED),
            date: single(header::DATE),
        }
    }
}

/// Names and values of fields, in the tables of the tests of both rooms.
#[cfg(test)]
pub(crate) type Lines<'a> = &'a [(&'a str, &'a str)];

/// Fields from names and values.
#[cfg(test)]
pub(crate) fn fields_of(lines: Lines<'_>) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), http::HeaderValue::from_str(value).unwrap())
    };
    let mut fields = HeaderMap::new();
    for (name, value) in lines.iter().map(line) {
        fields.append(name, value);
    }
    fields
}
