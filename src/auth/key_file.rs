//! Keys of callers in a file of their own, which is looked at again while the gateway runs.
//!
//! What tells whether it has changed is its content: a time of change may be as coarse as a second, and stays the same where a link
//! is turned to another file. A content that can't be used is told of once, and so is a file that is gone.

use crate::files;
use crate::secret::{Digest, digest};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file is read no further than this, in bytes.
const LONGEST: u64 = 16 << 20;

/// A key and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// `user`.
    pub user: Arc<str>,
    /// `scopes`.
    pub scopes: Arc<[String]>,
    /// The SHA-256 of the key.
    pub sha256: Digest,
}

/// Makes keys of a file's text, or says what is wrong with it. The path is the file's.
pub type ReadKeys = fn(&str, &Path) -> Result<Vec<Key>, String>;

/// `keys_file`.
pub struct KeyFile {
    pub(super) path: PathBuf,
    read: ReadKeys,
    /// What was there at the last look.
    seen: Mutex<Seen>,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Content(Digest),
    Nothing(io::ErrorKind),
}

impl KeyFile {
    /// Reads the file.
    ///
    /// # Errors
    /// Why its keys can't be used.
    pub fn open(path: PathBuf, read: ReadKeys) -> Result<(KeyFile, Vec<Key>), String> {
        let text = text_of(&path).map_err(|e| format!("can't be read: {e}"))?;
        let keys = read(&text, &path)?;
        let seen = Mutex::new(Seen::Content(digest(text.as_bytes())));
        Ok((KeyFile { path, read, seen }, keys))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its keys, if it has changed since the last look and can be used.
    pub(super) fn changed(&self) -> Option<Vec<Key>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let text = text_of(&self.path);
        let now = match &text {
            Ok(text) => Seen::Content(digest(text.as_bytes())),
            Err(error) => Seen::Nothing(error.kind()),
        };
        if *seen == now {
            return None;
        }
        *seen = now;
        let keys = text.map_err(|e| format!("can't be read: {e}")).and_then(|text| (self.read)(&text, &self.path));
        let file = self.path.display();
        keys.inspect_err(
            |why| tracing::error!(%file, why, "keys of callers stay as they were: this file can't be used"),
        )
        .ok()
    }
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    files::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST { Err(io::Error::other("it has more than 16MiB")) } else { Ok(text) }
}
