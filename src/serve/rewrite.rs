//! One API changed, in the file and in what is in force: a reload of a text that we write ourselves.
//!
//! Under the lock of reloads, so that nothing comes between reading and writing: the file is read, and must say what is in force; the new
//! text is made and checked as a whole; and everything that a reload may fail at is done ([`Reloader::take`]). Then the file is replaced.
//! After that comes the change, which can't fail. So there is no moment in which a failure leaves the one changed and the other not; a crash
//! in between leaves the new file, and the next start has it. The watch doesn't take it for somebody else's change.

use super::file::{File, NotBase};
use super::in_force::InForce;
use super::reload::Reloader;
use super::replace::{NotReplaced, replace};
use super::report::{Refused, Report};
use super::written::Written;
use crate::admin::{Change, Condition, Conflict, FieldFault, NotChanged};
use crate::config::write_back::{Rewritten, Unwritten, rewrite};
use crate::config::{Fault, Faults, LONGEST_FILE, Loaded, understand};
use crate::units::show_size;
use std::sync::{Arc, PoisonError};

/// So many faults are told.
const MOST_TOLD: usize = 100;

/// What has come of it.
pub(super) struct Done {
    pub(super) rewritten: Rewritten,
    pub(super) report: Report,
    pub(super) in_force: Arc<InForce>,
    pub(super) written: Arc<Written>,
    /// What is probably not meant, of what the API says.
    pub(super) warnings: Vec<FieldFault>,
}

impl Reloader {
    /// Changes one API.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub(super) fn rewrite(
        &self,
        (name, version): (&str, &str),
        change: &Change,
        condition: &Condition,
    ) -> Result<Done, NotChanged> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = file.as_mut() else {
            return Err(NotChanged::Conflict(Conflict::NoFile, Refused::NoFile.to_string()));
        };
        let current = self.written.load_full();
        let tag = current.tag(&format!("{name}/{version}"));
        if tag.is_none() && !matches!(change, Change::Put(_)) {
            return Err(NotChanged::NoSuchApi);
        }
        if !condition.holds(tag) {
            return Err(NotChanged::Condition(tag.map(str::to_owned)));
        }
        let (old, text) = base(file)?;
        let rewritten = rewrite(&text, (name, version), change).map_err(|why| unwritten(file, why))?;
        if rewritten.text.len() as u64 > LONGEST_FILE {
            let message = format!("the file would have more than {}", show_size(LONGEST_FILE));
            return Err(NotChanged::Faults(1, vec![FieldFault::new("", message)]));
        }
        let loaded = understand(rewritten.text.as_bytes(), file.path());
        let loaded = loaded.map_err(|faults| faulty(&faults, rewritten.index))?;
        let warnings = own(&loaded.warnings, rewritten.index);
        let report = self.brought(file, loaded, &old, rewritten.text.as_bytes())?;
        Ok(Done { rewritten, report, in_force: self.current.load_full(), written: self.written.load_full(), warnings })
    }

    /// Brings the new text into force and into the file.
    fn brought(&self, file: &mut File, loaded: Loaded, old: &[u8], new: &[u8]) -> Result<Report, NotChanged> {
        let path = file.path().to_owned();
        let write = || match if old == new { Ok(()) } else { replace(&path, old, new, &mut |_| {}) } {
            Ok(()) => Ok(()),
            Err(NotReplaced::Changed) => Err(Refused::FileChanged),
            Err(NotReplaced::Unwritable(why)) => Err(Refused::Unwritable(why)),
        };
        match self.take(loaded, write) {
            Ok(report) => {
                file.wrote(new);
                self.published(file);
                drop(self.noted("admin", Ok(report.clone())));
                Ok(report)
            }
            Err(refused) => Err(not_taken(file, &refused)),
        }
    }
}

/// What the file says, which must be what is in force.
fn base(file: &File) -> Result<(Vec<u8>, String), NotChanged> {
    let path = file.path().display();
    let (conflict, why) = match file.base() {
        Ok(bytes) => match String::from_utf8(bytes.clone()) {
            Ok(text) => return Ok((bytes, text)),
            Err(_) => (Conflict::FileChanged, format!("{path} isn't UTF-8")),
        },
        Err(NotBase::Changed) => {
            (Conflict::FileChanged, format!("{path} has changed since it was read; reload it first"))
        }
        Err(NotBase::Unreadable(why)) => (Conflict::NotWritable, format!("{path}: {why}")),
    };
    Err(NotChanged::Conflict(conflict, why))
}

fn unwritten(file: &File, why: Unwritten) -> NotChanged {
    match why {
        Unwritten::NoSuchApi => NotChanged::NoSuchApi,
        Unwritten::Faults(faults) => NotChanged::Faults(faults.len(), faults),
        Unwritten::Layout(why) => {
            let why = format!("{} can't be edited here: {why}", file.path().display());
            NotChanged::Conflict(Conflict::NotWritable, why)
        }
    }
}

fn not_taken(file: &File, refused: &Refused) -> NotChanged {
    let path = file.path().display();
    match refused {
        Refused::NoFile => NotChanged::Conflict(Conflict::NoFile, refused.to_string()),
        Refused::Stopping => NotChanged::Conflict(Conflict::Stopping, refused.to_string()),
        Refused::FileChanged => NotChanged::Conflict(Conflict::FileChanged, format!("{path}: {refused}")),
        Refused::Unwritable(why) => NotChanged::Conflict(Conflict::NotWritable, format!("{path}: {why}")),
        Refused::File(faults) => faulty(faults, None),
        Refused::CantStart(error) => NotChanged::Faults(1, vec![FieldFault::new(error.key(), error.to_string())]),
    }
}

fn faulty(faults: &Faults, index: Option<usize>) -> NotChanged {
    match faults {
        Faults::Unreadable { reason, .. } => NotChanged::Conflict(Conflict::NotWritable, reason.clone()),
        Faults::Invalid(all) => {
            NotChanged::Faults(all.len(), all.iter().take(MOST_TOLD).map(|one| told(one, index)).collect())
        }
    }
}

/// Those of the API that was changed.
fn own(all: &[Fault], index: Option<usize>) -> Vec<FieldFault> {
    let Some(index) = index else { return Vec::new() };
    let api = format!("api[{index}]");
    let is_own = |fault: &&Fault| {
        fault.key.strip_prefix(&api).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    all.iter().filter(is_own).take(MOST_TOLD).map(|fault| told(fault, Some(index))).collect()
}

/// A fault with its key as it is called within the API, or in the file where it is elsewhere.
fn told(fault: &Fault, index: Option<usize>) -> FieldFault {
    let own = index.and_then(|index| fault.key.strip_prefix(&format!("api[{index}]")));
    FieldFault::new(own.map_or(&fault.key, |key| key.trim_start_matches('.')), fault.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_within_the_api_and_whole_elsewhere() {
        let fault = |key: &str| Fault { file: "f".into(), line: 1, column: 1, key: key.into(), message: "m".into() };
        for (key, index, expected) in [
            ("api[1].ttl", Some(1), "ttl"),
            ("api[1].route[0].on", Some(1), "route[0].on"),
            ("api[1]", Some(1), ""),
            ("api[1]", Some(0), "api[1]"),
            ("api[10].ttl", Some(1), "api[10].ttl"),
            ("server.tls", Some(1), "server.tls"),
            ("api[1].ttl", None, "api[1].ttl"),
        ] {
            assert_eq!(told(&fault(key), index).key, expected);
        }
        let all = [fault("api[1].ttl"), fault("api[10].ttl"), fault("server")];
        assert_eq!(own(&all, Some(1)), [FieldFault::new("ttl", "m")]);
    }
}
