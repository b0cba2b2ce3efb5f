//! Saves what is stored.

use super::judge::{Prints, is_worth_it, routed};
use super::progress::{Progress, Watch};
use super::{file, format::Writer, record};
use crate::policy::namespace::is_object_key;
use crate::policy::{Apis, of_generation, query_of};
use crate::store::{Entry, Store};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Entries in the file.
    pub entries: u64,
    /// Entries that aren't everybody's, can't be confirmed, or are out of date.
    pub left_out: u64,
    /// Bytes of records.
    pub bytes: u64,
}

/// Writes what is stored for everybody to `path`; not what `hides` says of its query that it holds a secret. `watch` is told how far it has come. It reads every entry and waits for the disk, so it belongs on a thread where that hurts nobody.
///
/// # Errors
/// When the file can't be written; then the one that was there is as it was.
pub fn save(
    path: &Path,
    store: &Store,
    apis: &Apis,
    hides: &dyn Fn(&str) -> bool,
    watch: Watch<'_>,
) -> io::Result<Saved> {
    file::replace(path, |file| {
        let writer = Writer::new(file)?;
        let mut saving = Saving { writer, saved: Saved::default(), prints: Prints::default(), head: Vec::new() };
        let mut outcome = Ok(());
        let open = |key: &[u8]| {
            if is_object_key(key) {
                return false;
            }
            let query = query_of(key).map(String::from_utf8_lossy);
            query.is_none_or(|query| !hides(&query))
        };
        let mut progress = Progress { total: store.bytes(), ..Progress::default() };
        store.scan(|key, variants| {
            progress.entries += variants.len() as u64;
            progress.done += Store::weight(key, variants);
            progress.total = progress.total.max(progress.done); // the store's own count comes a little later
            watch(progress);
            if outcome.is_ok() && !open(key) {
                saving.saved.left_out += variants.len() as u64;
            } else if outcome.is_ok() {
                outcome = saving.key(apis, key, variants);
            }
        });
        outcome?;
        watch(Progress { done: progress.total, ..progress });
        Ok((saving.writer.finish()?, saving.saved))
    })
}

struct Saving<W> {
    writer: Writer<W>,
    saved: Saved,
    prints: Prints,
    head: Vec<u8>,
}

impl<W: Write> Saving<W> {
    fn key(&mut self, apis: &Apis, key: &[u8], variants: &[Arc<Entry>]) -> io::Result<()> {
        // What lies under an earlier generation of its API isn't in force any more.
        let routed = routed(apis, key).filter(|(routed, generation)| routed.mounted.generation == *generation);
        let (Some((routed, _)), Some(key)) = (routed, of_generation(key, 0)) else {
            self.saved.left_out += variants.len() as u64;
            return Ok(());
        };
        let print = self.prints.of(&routed);
        for entry in variants {
            let content = entry.content.get().filter(|_| is_worth_it(entry, &routed.rules));
            let Some(content) = content else {
                self.saved.left_out += 1;
                continue;
            };
            record::write(&mut self.head, &key, &print, entry, content);
            if self.writer.record(&self.head, &content.body)? {
                self.saved.entries += 1;
                self.saved.bytes += (self.head.len() + content.body.len()) as u64;
            } else {
                self.saved.left_out += 1;
            }
        }
        Ok(())
    }
}
