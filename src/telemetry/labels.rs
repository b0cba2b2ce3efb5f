//! By what counts are told apart: the words of labels, and the bounds of histograms.

/// Upper bounds of the histograms, in microseconds; beyond the last is `+Inf`.
pub(super) const BOUNDS: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];
/// The same in seconds, as they are written.
pub(super) const BOUNDS_TEXT: [&str; BOUNDS.len()] = [
    "0.00005", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
    "0.5", "1", "5", "30",
];
/// `1xx` to `5xx`.
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// The label of what belongs to no API; no id of one, since those hold a `/`.
pub(super) const NO_API: &str = "none";

/// What invalidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A write that went through.
    Write,
    /// Somebody who asked for it.
    Purge,
    /// An event.
    Event,
    /// Another configuration.
    Reload,
}

/// Kinds of invalidations, hard and soft.
pub(super) const INVALIDATIONS: usize = 2 * By::ALL.len();

impl By {
    /// All of them, in the order of the declaration.
    pub const ALL: [By; 4] = [By::Write, By::Purge, By::Event, By::Reload];

    /// The word that metrics use.
    pub fn name(self) -> &'static str {
        match self {
            By::Write => "write",
            By::Purge => "purge",
            By::Event => "event",
            By::Reload => "reload",
        }
    }

    /// Where it is counted.
    pub(super) fn place(self, soft: bool) -> usize {
        2 * self as usize + usize::from(soft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_they_are() {
        for (bound, text) in BOUNDS.iter().zip(BOUNDS_TEXT) {
            assert_eq!((*bound as f64 / 1e6).to_string(), text);
        }
    }
}
