//! The audit: who changed or purged what, and when.
//!
//! Each act is told three times: as a line of the log (target `audit`, at every level), in memory, where the last [`KEPT`] are for
//! `GET /v1/audit`, and, where `[admin] audit_file` names one, as a line of a file of its own. The file is appended to, one write for a
//! line, and isn't brought to the disk for each: a crash of the machine may lose the last ones, a crash of the process loses none. What
//! can't be written there is counted, and said once; what was done is done all the same. No record holds a token or a secret.

mod act;
mod file;

pub use act::{Act, OfApi, Record, Who};

use crate::clock::Clock;
use crate::telemetry::rfc3339;
use file::Appended;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many are kept in memory.
pub const KEPT: usize = 1000;

/// Where acts are told.
#[derive(Debug)]
pub struct Audit {
    clock: Clock,
    book: Mutex<Book>,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Book {
    /// The number of the last one.
    last: u64,
    kept: VecDeque<Record>,
    file: Option<Appended>,
}

impl Default for Audit {
    /// By the machine's clock.
    fn default() -> Self {
        Audit::new(Clock::system())
    }
}

impl Audit {
    /// In memory and in the log alone.
    pub fn new(clock: Clock) -> Self {
        Audit { clock, book: Mutex::default(), lost: AtomicU64::new(0) }
    }

    /// Also in this file, which is made (mode 0600) if it isn't there.
    ///
    /// # Errors
    /// Why it can't be written.
    pub fn in_file(clock: Clock, path: &Path) -> io::Result<Self> {
        let book = Book { file: Some(Appended::open(path)?), ..Book::default() };
        Ok(Audit { book: Mutex::new(book), ..Audit::new(clock) })
    }

    /// Opens the file again, since somebody has moved the old one away; whether there is one. Where that fails, it goes on with the old one.
    pub fn reopen(&self) -> bool {
        let mut book = self.book();
        let Some(file) = &mut book.file else { return false };
        if let Err(error) = file.reopen() {
            tracing::error!(%error, "the audit file can't be opened anew; the old one goes on");
        }
        true
    }

    /// Somebody has done this, or tried to.
    pub fn record(&self, who: &Who, act: Act) {
        act.log(who);
        let now = self.clock.now().unix;
        let mut book = self.book();
        book.last += 1;
        let record = Record::new(book.last, rfc3339(now).to_string(), who, act);
        if book.file.as_mut().is_some_and(|file| !file.append(&record)) {
            self.lost.fetch_add(1, Relaxed);
        }
        if book.kept.len() == KEPT {
            book.kept.pop_front();
        }
        book.kept.push_back(record);
    }

    /// The newest of those that have a smaller number than `before`, the newest first, at most `limit`; and whether there are more.
    pub fn page(&self, before: Option<u64>, limit: usize) -> (Vec<Record>, bool) {
        let book = self.book();
        let mut older = book.kept.iter().rev().filter(|record| before.is_none_or(|before| record.id < before)).cloned();
        let page = older.by_ref().take(limit).collect();
        (page, older.next().is_some())
    }

    /// How many lines the file has missed.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::os::unix::fs::PermissionsExt;

    fn purge(n: usize) -> Act {
        Act::Purge { selector: json!({ "tag": format!("t{n}") }), outcome: Ok((None, n as u64)) }
    }

    fn ops() -> Who {
        Who::Token { name: "ops".into(), role: "operator", peer: "127.0.0.1:9".into() }
    }

    #[test]
    fn the_last_thousand_are_kept_and_read_in_pages_from_the_newest() {
        let audit = Audit::new(Clock::system());
        (0..KEPT + 5).for_each(|n| audit.record(&ops(), purge(n)));
        let ids = |page: &[Record]| page.iter().map(|record| record.id).collect::<Vec<_>>();
        let (page, more) = audit.page(None, 2);
        assert_eq!((ids(&page), more), (vec![1005, 1004], true));
        let (page, more) = audit.page(Some(8), 10);
        assert_eq!((ids(&page), more), (vec![7, 6], false), "1 to 5 are gone");
        assert_eq!(audit.page(None, 5000).0.len(), KEPT);
        assert_eq!(audit.page(Some(6), 2), (vec![], false));
    }

    #[test]
    fn each_is_a_line_of_a_file_that_nobody_else_reads_and_that_may_be_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("audit.jsonl"), folder.path().join("audit.1"));
        std::fs::write(&path, "{\"before\":1}\n").unwrap();
        std::fs::remove_file(&path).unwrap();
        let audit = Audit::in_file(Clock::system(), &path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        audit.record(&ops(), purge(1));
        std::fs::rename(&path, &moved).unwrap();
        audit.record(&ops(), Act::Purge { selector: json!({ "path": "/a\n" }), outcome: Err("no such path".into()) });
        assert!(audit.reopen());
        audit.record(&Who::Process("SIGHUP"), Act::Reload { result: "applied".into() });
        let lines = |path: &Path| -> Vec<Value> {
            std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let (old, new) = (lines(&moved), lines(&path));
        assert_eq!((old.len(), new.len()), (2, 1));
        assert_eq!(
            (&old[0]["id"], &old[0]["actor"], &old[0]["action"], &old[0]["target"]),
            (&json!(1), &json!("ops"), &json!("purge"), &json!("t1"))
        );
        assert_eq!((&old[1]["result"], &old[1]["target"]), (&json!("refused"), &json!("/a\n")));
        assert_eq!(
            (&new[0]["actor"], &new[0]["role"], &new[0]["result"]),
            (&json!("SIGHUP"), &Value::Null, &json!("applied"))
        );
        let again = Audit::in_file(Clock::system(), &path).unwrap();
        again.record(&ops(), purge(2));
        assert_eq!(lines(&path).len(), 2, "what is there stays");
        assert_eq!((audit.lost(), again.lost()), (0, 0));
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_kept_in_memory() {
        if !Path::new("/dev/full").exists() {
            return;
        }
        let audit = Audit::in_file(Clock::system(), Path::new("/dev/full")).unwrap();
        (0..3).for_each(|n| audit.record(&ops(), purge(n)));
        assert_eq!((audit.lost(), audit.page(None, 9).0.len()), (3, 3));
        let folder = tempfile::tempdir().unwrap();
        assert!(Audit::in_file(Clock::system(), folder.path()).is_err());
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(Audit::in_file(Clock::system(), &pipe).is_err(), "nobody would read it, and it would be waited for");
    }

    #[test]
    fn a_record_is_bounded_whatever_was_asked() {
        let audit = Audit::new(Clock::system());
        let long = "x".repeat(60_000);
        audit.record(&ops(), Act::Purge { selector: json!({ "path": long }), outcome: Err(long) });
        let record = audit.page(None, 1).0.remove(0);
        assert!(serde_json::to_string(&record).unwrap().len() < 10_000);
    }
}
