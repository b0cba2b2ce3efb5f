//! `[cache]`: how much may be kept, and what goes first.

use std::path::PathBuf;
use std::time::Duration;

/// The checked form of `[cache]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `max_size`: bytes of stored answers with their keys, fields and bookkeeping. Default: the smaller of 512 MiB and
    /// 25 % of the container's memory limit.
    pub max_size: u64,
    /// `max_object_size`: larger answers pass through unstored. Default 8 MiB.
    pub max_object_size: u64,
    /// `max_fill_time`: an older fill can't be stored. Default 5 min.
    pub max_fill_time: Duration,
    /// `eviction`. Default LRU.
    pub eviction: Eviction,
    /// `snapshot`: the file that takes what is stored over a restart. Default none.
    pub snapshot: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_size: 512 << 20,
            max_object_size: 8 << 20,
            max_fill_time: Duration::from_secs(300),
            eviction: Eviction::Lru,
            snapshot: None,
        }
    }
}

/// `eviction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// What was used longest ago goes first.
    Lru,
    /// What is used least often goes first; newcomers must be asked for more than once to stay.
    TinyLfu,
}
