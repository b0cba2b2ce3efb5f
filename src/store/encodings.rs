//! What a stored content was encoded to, beside the content itself: made once, for the first who wants it so, and used by all after it.
//!
//! It is part of the entry: it counts in its size, goes when it goes, and an origin that confirms the entry confirms it.

use crate::rfc9110::accept_encoding::Coding;
use bytes::Bytes;
use std::sync::OnceLock;
use tokio::sync::OnceCell;

/// The content in one coding; `None` where that makes it no smaller.
pub type Encoding = OnceCell<Option<Bytes>>;

/// A content in each coding that it was wanted in. The places are made with the first of them: most contents are never wanted so.
#[derive(Debug, Default)]
pub struct Encodings(OnceLock<Box<[Encoding; Coding::ALL.len()]>>);

impl Encodings {
    /// The place for this coding, empty until somebody has encoded it.
    pub fn of(&self, coding: Coding) -> &Encoding {
        &self.0.get_or_init(Box::default)[coding as usize]
    }

    /// Bytes of memory that it takes.
    pub(super) fn size(&self) -> usize {
        let encoded = |coding: &Encoding| coding.get().and_then(Option::as_ref).map_or(0, Bytes::len);
        let places =
            self.0.get().map_or(0, |places| size_of_val(&**places) + places.iter().map(encoded).sum::<usize>());
        size_of::<Self>() + places
    }
}
