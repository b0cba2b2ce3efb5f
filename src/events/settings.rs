//! `[events]`: what may come, and what is done about it.

use super::rule::Rule;
use super::sources::Source;
use std::time::Duration;

/// The checked form of `[events]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `duplicates`.
    pub duplicates: Duplicates,
    /// `batch`: events in one request. Default 100.
    pub batch: usize,
    /// `body`: bytes of a request with events, and of a message of a source. Default 1 MiB.
    pub body: u64,
    /// `[[events.rule]]`.
    pub rules: Vec<Rule>,
    /// `[[events.source]]`.
    pub sources: Vec<Source>,
}

/// `duplicates`: what is remembered of events that have been acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicates {
    /// `window`: for how long. Default 10 min.
    pub window: Duration,
    /// `count`: how many at the most. Default 10 000.
    pub count: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            duplicates: Duplicates::default(),
            batch: 100,
            body: 1 << 20,
            rules: Vec::new(),
            sources: Vec::new(),
        }
    }
}

impl Default for Duplicates {
    fn default() -> Self {
        Duplicates { window: Duration::from_secs(600), count: 10_000 }
    }
}
