//! What is wrong with a file, and where.

use std::fmt;
use std::sync::Arc;

/// One thing that the reader of the file should know, at the place that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file as it was named by whoever asked for it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key with its path, e.g. `api[0].key.share`; empty where the fault is the file's as a whole.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key.escape_debug())?;
        }
        f.write_str(&self.message)
    }
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Faults {
    /// The file can't be read.
    Unreadable {
        /// The file as it was named.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// Every fault of the file, in the order of the file.
    Invalid(Vec<Fault>),
}

impl fmt::Display for Faults {
    /// One line for each fault.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Faults::Unreadable { file, reason } => write!(f, "{file} can't be read: {reason}"),
            Faults::Invalid(faults) => {
                for (i, fault) in faults.iter().enumerate() {
                    write!(f, "{}{fault}", if i == 0 { "" } else { "\n" })?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Faults {}
