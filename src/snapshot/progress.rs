//! How far it has come, for those who watch.

/// How far a load or a save has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries that were looked at.
    pub entries: u64,
    /// Bytes that are done. A load reads its file twice; a save counts what its entries take in the store.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// Is told of each step, in the thread that takes it.
pub type Watch<'a> = &'a dyn Fn(Progress);
