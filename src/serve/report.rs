//! What came of a reload, for the admin port, the log and whoever asks.

use super::listeners::Moved;
use super::start_error::StartError;
use crate::config::{Fault, Faults};
use crate::policy::{Change, Effect, Fate};
use serde_json::{Value, json};
use std::fmt;

/// A reload that was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether there was anything to change.
    pub applied: bool,
    /// Which configuration since the start it is, from 1.
    pub generation: u64,
    /// What has become of each API, in the order of the file; those that are gone come last.
    pub apis: Vec<Change>,
    /// What has become of the listeners.
    pub listeners: Moved,
    /// The keys that the file has otherwise than what runs, and that can't change while it does.
    pub next_start: Vec<&'static str>,
    /// What is probably not meant.
    pub warnings: Vec<Fault>,
}

/// A reload that wasn't, and has changed nothing.
#[derive(Debug)]
pub enum Refused {
    /// There is no file to read.
    NoFile,
    /// The gateway is stopping.
    Stopping,
    /// The file has another content than what was read a moment ago.
    FileChanged,
    /// The file can't be written, for this reason.
    Unwritable(String),
    /// What is wrong with the file.
    File(Faults),
    /// What it asks for and can't be had.
    CantStart(StartError),
}

/// So many faults are told.
const MOST_TOLD: usize = 100;

impl Report {
    /// `applied` or `unchanged`.
    pub fn result(&self) -> &'static str {
        if self.applied { "applied" } else { "unchanged" }
    }

    /// The ids of the APIs with this fate.
    pub(super) fn of(&self, fate: Fate) -> Vec<&str> {
        self.apis.iter().filter(|change| change.fate == fate).map(|change| &*change.id).collect()
    }

    /// Those that stay, not as they were, and what became of what they have stored.
    pub(super) fn changed(&self) -> Vec<(&str, &'static str)> {
        let cache = |change: &Change| match change.fate {
            Fate::Added | Fate::Removed | Fate::Unchanged(Effect::Nothing) => None,
            Fate::Changed(Effect::Nothing) => Some("kept"),
            Fate::Changed(Effect::Soft) | Fate::Unchanged(Effect::Soft) => Some("outdated"),
            Fate::Changed(Effect::Hard) | Fate::Unchanged(Effect::Hard) => Some("cleared"),
        };
        self.apis.iter().filter_map(|change| Some((&*change.id, cache(change)?))).collect()
    }

    /// As the admin port tells it.
    pub(super) fn json(&self) -> Value {
        let changed = self.changed().into_iter().map(|(api, cache)| json!({ "api": api, "cache": cache }));
        json!({
            "result": self.result(),
            "generation": self.generation,
            "apis": {
                "added": self.of(Fate::Added),
                "changed": changed.collect::<Vec<_>>(),
                "removed": self.of(Fate::Removed),
                "unchanged": self.of(Fate::Unchanged(Effect::Nothing)),
            },
            "listeners": { "opened": self.listeners.opened, "closed": self.listeners.closed },
            "next_start": self.next_start,
            "warnings": self.warnings.iter().take(MOST_TOLD).map(fault).collect::<Vec<_>>(),
        })
    }
}

impl Refused {
    /// Each fault, with its place where it has one; the first of them only, if there are very many.
    pub(super) fn faults(&self) -> Vec<Value> {
        match self {
            Refused::NoFile | Refused::Stopping | Refused::FileChanged | Refused::Unwritable(_) => {
                vec![json!({ "message": self.to_string() })]
            }
            Refused::File(Faults::Unreadable { file, reason }) => {
                vec![json!({ "file": file, "message": format!("can't be read: {reason}") })]
            }
            Refused::File(Faults::Invalid(all)) => all.iter().take(MOST_TOLD).map(fault).collect(),
            Refused::CantStart(error) => vec![json!({ "key": error.key(), "message": error.to_string() })],
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        match self {
            Refused::File(Faults::Invalid(all)) => all.len(),
            Refused::File(Faults::Unreadable { .. })
            | Refused::NoFile
            | Refused::Stopping
            | Refused::FileChanged
            | Refused::Unwritable(_)
            | Refused::CantStart(_) => 1,
        }
    }

    /// Says in the log what is wrong, one fault a line.
    pub(super) fn log(&self, by: &str) {
        const STAYS: &str = "reload refused: the configuration stays as it was";
        let Refused::File(Faults::Invalid(all)) = self else {
            return tracing::error!(by, fault = %self, "{STAYS}");
        };
        for fault in all.iter().take(MOST_TOLD) {
            tracing::error!(by, %fault, "{STAYS}");
        }
        if all.len() > MOST_TOLD {
            tracing::error!(by, more = all.len() - MOST_TOLD, "{STAYS}");
        }
    }
}

fn fault(fault: &Fault) -> Value {
    json!({
        "file": &*fault.file,
        "line": fault.line,
        "column": fault.column,
        "key": fault.key,
        "message": fault.message,
    })
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NoFile => f.write_str("this gateway was started without a configuration file"),
            Refused::Stopping => f.write_str("the gateway is stopping"),
            Refused::FileChanged => f.write_str("the file has changed since it was read; reload it first"),
            Refused::Unwritable(why) => f.write_str(why),
            Refused::File(faults) => faults.fmt(f),
            Refused::CantStart(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refused {}

impl From<Faults> for Refused {
    fn from(faults: Faults) -> Self {
        Refused::File(faults)
    }
}

impl From<StartError> for Refused {
    fn from(error: StartError) -> Self {
        Refused::CantStart(error)
    }
}
