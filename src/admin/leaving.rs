//! That a connection is about to end.

use tokio_util::sync::CancellationToken;

/// Cancelled when the connection of a request is to end with its answer: at a stop, and at the end of its lifetime. An answer that goes on
/// for ever ends then. The server puts it into every request.
#[derive(Clone, Debug)]
pub(super) struct Leaving(pub(super) CancellationToken);
