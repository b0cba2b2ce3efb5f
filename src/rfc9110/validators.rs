//! What identifies the version of a representation (RFC 9110 §8.8).

use super::fields;
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
