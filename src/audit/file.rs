//! A file of lines that grows.

use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file, and whether it is well.
#[derive(Debug)]
pub(super) struct Appended {
    path: PathBuf,
    file: File,
    /// A line was written in part: the next one begins with a line end.
    torn: bool,
    /// The last line couldn't be written.
    fails: bool,
}

impl Appended {
    /// Opens it, or makes it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Appended { path: path.to_owned(), file: open(path)?, torn: false, fails: false })
    }

    /// The file that has the name by now.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        *self = Appended::open(&self.path)?;
        Ok(())
    }

    /// Adds a line; whether it is there.
    pub(super) fn append(&mut self, record: &impl Serialize) -> bool {
        let mut line = if self.torn { String::from("\n") } else { String::new() };
        let written = serde_json::to_string(record).map_err(io::Error::other).and_then(|record| {
            line.push_str(&record);
            line.push('\n');
            self.file.write(line.as_bytes())
        });
        let outcome = match written {
            Ok(bytes) if bytes == line.len() => Ok(()),
            Ok(_) => Err(io::Error::other("a line was written in part")),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => (self.torn, self.fails) = (false, false),
            Err(error) => {
                self.torn |= error.kind() == io::ErrorKind::Other;
                if !std::mem::replace(&mut self.fails, true) {
                    tracing::error!(%error, file = %self.path.display(), "the audit file can't be written; what it misses is in the log");
                }
            }
        }
        !self.fails
    }
}

fn open(path: &Path) -> io::Result<File> {
    if path.metadata().is_ok_and(|about| about.file_type().is_fifo()) {
        return Err(io::Error::other("it is a pipe"));
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}
