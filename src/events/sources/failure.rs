//! Why a source isn't listened to, and whose fault that is.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

/// Why a source isn't listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// In words, without a secret.
    reason: String,
    /// Whether it will be so until somebody changes a configuration, ours or the server's.
    pub(super) lasting: bool,
}

impl Failure {
    /// Something that passes: a network, a server that starts.
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Failure { reason: reason.into(), lasting: false }
    }

    /// Something that stays until somebody mends it.
    pub(super) fn lasting(reason: impl Into<String>) -> Self {
        Failure { reason: reason.into(), lasting: true }
    }

    /// Something that passes, with all its causes.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        Failure::passing(in_full(error))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// An error with its causes, as far as these say anything new.
fn in_full(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
