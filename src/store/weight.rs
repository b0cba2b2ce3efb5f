//! What lies under one key, and what it weighs.

use super::entry::Entry;
use std::sync::Arc;

/// The answers under one key, the youngest question first.
pub type Variants = Arc<[Arc<Entry>]>;

/// What moka needs for one key beside the key and the value: its node, its place in the map and in the queues, two reference counts.
pub(super) const BOOKKEEPING: usize = 264;

pub(super) fn weight(key: &[u8], variants: &[Arc<Entry>]) -> u32 {
    let entries: usize = variants.iter().map(|e| e.size() + size_of::<usize>()).sum();
    u32::try_from(key.len() + entries + BOOKKEEPING).unwrap_or(u32::MAX)
}
