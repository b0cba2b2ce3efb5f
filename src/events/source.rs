//! What a source of events says to those who act on it.

use bytes::Bytes;

/// Something that a source has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A message came.
    Message {
        /// The channel or stream that it came on.
        channel: String,
        /// A key, or a CloudEvent in JSON.
        payload: Bytes,
    },
    /// Messages may have been lost: on all channels of this source.
    Gap,
}

/// Takes news; returns when all that they mean has been invalidated. Called from one task per source, one after the other.
pub type Tell = std::sync::Arc<dyn Fn(News) + Send + Sync>;
