//! Loads what was saved: the whole file is checked first, then its entries are put, each as one that has to be confirmed.

use super::format::{Reader, Record, Wrong};
use super::judge::{Prints, is_impersonal, routed};
use super::progress::{Progress, Watch};
use super::record::{self, Read};
use crate::clock::Clock;
use crate::policy::{Apis, Mounted, Routed, Scope, of_generation, tags};
use crate::rfc9111::Facts;
use crate::store::{Content, Entry, Extra, Standing, Store, Tallied, Tally};
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// What an entry's key and fields may take in the file beside its content.
const HEAD: u64 = 4 << 20;

/// Where it is loaded to.
pub struct Loading<'a> {
    /// Takes the entries.
    pub store: &'a Store,
    /// The APIs in force.
    pub apis: &'a Apis,
    /// Where the entries of an API are counted.
    pub tally: &'a dyn Fn(&Mounted) -> Arc<Tally>,
    /// `cache.max_size`.
    pub max_size: u64,
    /// `cache.max_object_size`.
    pub max_object_size: u64,
    /// The time.
    pub clock: &'a Clock,
    /// Is told how far it has come.
    pub watch: Watch<'a>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Entries that were put.
    pub entries: u64,
    /// Entries that today's settings wouldn't have stored, that a write has overtaken or a newer answer, or for which there is no room.
    pub left_out: u64,
    /// Bytes that those that were put take.
    pub bytes: u64,
}

/// Why nothing was loaded.
#[derive(Debug)]
pub enum NotLoaded {
    /// There is no file: a first start.
    Absent,
    /// It can't be used.
    Wrong(Wrong),
}

impl From<Wrong> for NotLoaded {
    fn from(wrong: Wrong) -> Self {
        NotLoaded::Wrong(wrong)
    }
}

/// Loads `path`. It reads all of it twice, so it belongs on a thread of its own; the store may be in use meanwhile, but no cells may have been dropped since
/// the start, or what is loaded is taken for invalidated.
///
/// # Errors
/// When there is no such file, or it isn't sound from its first to its last byte.
pub fn load(path: &Path, to: &Loading<'_>) -> Result<Loaded, NotLoaded> {
    // Asked before it is opened: to open a pipe is to wait for who writes to it.
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(NotLoaded::Absent),
        Ok(about) if !about.is_file() => return Err(Wrong::NoFile.into()),
        Ok(_) | Err(_) => {}
    }
    let mut file = File::open(path).map_err(Wrong::Io)?;
    let about = file.metadata().map_err(Wrong::Io)?;
    check(&file, about.len(), to)?;
    file.rewind().map_err(Wrong::Io)?;
    let mut putting = Putting {
        to,
        room: to.max_size.saturating_sub(to.store.bytes()),
        prints: Prints::default(),
        loaded: Loaded::default(),
        key: Vec::new(),
        under: Vec::new(),
        waiting: Vec::new(),
    };
    // What was sound a moment ago is read as if it weren't: should it have changed, what was put is sound all the same.
    let length = about.len();
    let mut reader = Reader::new(BufReader::new(file), length)?;
    while let Some(record) = reader.next(longest(to))? {
        (to.watch)(Progress { entries: reader.count(), done: 2 * length - reader.left(), total: 2 * length });
        match record {
            Record::TooLong => putting.loaded.left_out += 1,
            Record::Bytes(bytes) => putting.take(record::read(&bytes).ok_or(Wrong::Unreadable(reader.count()))?),
        }
    }
    putting.put();
    (to.watch)(Progress { entries: reader.count(), done: 2 * length, total: 2 * length });
    Ok(putting.loaded)
}

/// Reads all of it once.
fn check(file: &File, length: u64, to: &Loading<'_>) -> Result<(), Wrong> {
    let mut reader = Reader::new(BufReader::new(file), length)?;
    while let Some(record) = reader.next(longest(to))? {
        (to.watch)(Progress { entries: reader.count(), done: length - reader.left(), total: 2 * length });
        if let Record::Bytes(bytes) = record
            && record::read(&bytes).is_none()
        {
            return Err(Wrong::Unreadable(reader.count()));
        }
    }
    Ok(())
}

fn longest(to: &Loading<'_>) -> usize {
    usize::try_from(to.max_object_size.saturating_add(HEAD)).unwrap_or(usize::MAX)
}

/// Puts entries, all of one key at a time.
struct Putting<'a> {
    to: &'a Loading<'a>,
    /// Bytes that may be put in all: what is loaded shall push nothing out.
    room: u64,
    prints: Prints,
    loaded: Loaded,
    /// The key as it was saved, and as it is now.
    key: Vec<u8>,
    under: Vec<u8>,
    waiting: Vec<Arc<Entry>>,
}

impl Putting<'_> {
    fn take(&mut self, read: Read<'_>) {
        if read.key != self.key {
            self.put();
            self.key = read.key.to_vec();
        }
        match self.entry(read) {
            Some(entry) => self.waiting.push(Arc::new(entry)),
            None => self.loaded.left_out += 1,
        }
    }

    fn put(&mut self) {
        let variants = std::mem::take(&mut self.waiting);
        if variants.is_empty() {
            return;
        }
        let (count, weight) = (variants.len() as u64, Store::weight(&self.under, &variants));
        let has_room = self.loaded.bytes + weight <= self.room;
        if has_room && self.to.store.put_absent(&self.under, variants) {
            self.loaded.entries += count;
            self.loaded.bytes += weight;
        } else {
            self.loaded.left_out += count;
        }
    }

    /// What is read as an entry of today; `None` where there is no place for it.
    fn entry(&mut self, read: Read<'_>) -> Option<Entry> {
        let (routed, _) = routed(self.to.apis, read.key)?;
        if self.prints.of(&routed) != read.print
            || !is_impersonal(&read.selection, &routed.rules)
            || read.body.len() as u64 > self.to.max_object_size
        {
            return None;
        }
        self.under = of_generation(read.key, routed.mounted.generation)?;
        let entry = entry(self.to, &routed, read)?;
        (entry.standing() == Standing::Current).then_some(entry)
    }
}

/// It holds its cells first. What it is compared with then is the epoch before the first invalidation of this process.
fn entry(to: &Loading<'_>, routed: &Routed, read: Read<'_>) -> Option<Entry> {
    let (tags, standing) = (tags(&read.fields).ok()?, routed.standing());
    let mut scopes = standing.known(None);
    scopes.extend(tags.iter().map(|tag| Scope::Tag(&routed.mounted.id, tag)));
    let now = to.clock.now();
    let content = OnceLock::new();
    let encoded = routed
        .rules
        .may_encode(read.fields.get(CONTENT_TYPE).map(HeaderValue::as_bytes), read.body.len())
        .then(Arc::default);
    let extra = Extra { trailers: read.trailers.map(Arc::new), etag: read.etag, encoded };
    drop(content.set(Content::new(Bytes::copy_from_slice(read.body), extra)));
    Some(Entry {
        status: read.status,
        reason: read.reason,
        fields: to.store.names.pack(&read.fields),
        facts: Facts::unconfirmed(now),
        sharing: read.sharing,
        selection: read.selection,
        held: to.store.scopes.hold(&scopes),
        asked_at: 0,
        confirmed_at: 0,
        asked_time: now.mono,
        hits: Default::default(),
        content,
        tally: Tallied::new((to.tally)(&routed.mounted)),
    })
}
