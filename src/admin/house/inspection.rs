//! What is stored, and what would happen to a request.

use crate::gateway::{Bad, Explainable, Explained, Listed, Wanted};

/// What is stored, and what would happen to a request.
pub trait Inspection {
    /// A page of what is stored. It looks at everything and may block; the admin port runs it on a thread where that is fine, one at a time.
    ///
    /// # Errors
    /// Which member of `wanted` is wrong.
    fn entries(&self, wanted: &Wanted) -> Result<Listed, Bad>;

    /// What would happen to a request, and why; nothing happens.
    ///
    /// # Errors
    /// Which member of `asked` is no part of a request.
    fn explain(&self, asked: &Explainable) -> Result<Explained, Bad>;
}
