//! Content codings towards clients: `gzip`, `br` and `zstd`, in one piece or while a content comes. What is encoded is never decoded here.
//!
//! Which coding a client takes is [`crate::rfc9110`]'s to say, which answers may be encoded the gateway's. Here are the codecs, a body that
//! encodes another one, and the bound on how many of them work at a time: each holds a window and tables of its own, some 300 KiB
//! for gzip and up to a few MiB for the others, and they take more of a core than anything else on the way of an answer.

mod bound;
mod coder;
mod settings;
mod stream;

pub use bound::Encoders;
pub use coder::whole;
pub use settings::Settings;
pub use stream::encoded;
