//! What lies under one key, and what it weighs.

use super::entry::Entry;
use std::sync::Arc;

/// The answers under one key, the youngest question first.
pub type Variants = Arc<[Arc<Entry>]>;

/// What there is for one key beside the key and the value: of moka its node, its place in the map and in the queues, two reference counts (264
/// bytes); and the cell of its own path's scope with its place in the table (about 96).
const BOOKKEEPING: usize = 264 + 96;

pub(super) fn weight(key: &[u8], variants: &[Arc<Entry>]) -> u32 {
    let entries: usize = variants.iter().map(|e| e.size() + size_of::<usize>()).sum();
    u32::try_from(key.len() + entries + BOOKKEEPING).unwrap_or(u32::MAX)
}

/// Bytes that an answer under `key` is counted with in its API's tally.
pub fn counted(key: &[u8], entry: &Entry) -> usize {
    entry.size() + key.len() + BOOKKEEPING
}
