//! What a stored content was encoded to, beside the content itself: made once, for the first who wants it so, and used by all after it.
//!
//! It is part of the entry: it counts in its size, goes when it goes, and an origin that confirms the entry confirms it.

use crate::rfc9110::accept_encoding::Coding;
use bytes::Bytes;
use tokio::sync::OnceCell;

/// The content in one coding; `None` where that makes it no smaller.
pub type Encoding = OnceCell<Option<Bytes>>;

/// A content in each coding that it was wanted in.
#[derive(Debug, Default)]
pub struct Encodings([Encoding; Coding::ALL.len()]);

impl Encodings {
    /// The place for this coding, empty until somebody has encoded it.
    pub fn of(&self, coding: Coding) -> &Encoding {
        &self.0[coding as usize]
    }

    /// Bytes of memory that it takes.
    pub(super) fn size(&self) -> usize {
        let encoded = |coding: &Encoding| coding.get().and_then(Option::as_ref).map_or(0, Bytes::len);
        size_of::<Self>() + self.0.iter().map(encoded).sum::<usize>()
    }
}
