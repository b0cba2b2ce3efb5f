//! What any recipient of HTTP needs beside a cache: lists and hop-by-hop fields, dates, entity tags, preconditions and
//! ranges (RFC 9110). Pure: no clock and no I/O.

pub mod accept_encoding;
pub mod conditional;
pub mod date;
pub mod etag;
pub mod fields;
pub mod range;
mod validators;

pub use validators::Validators;

#[cfg(test)]
use http::{HeaderMap, HeaderName};

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
