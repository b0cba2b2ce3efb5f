//! The file that access lines go to, which others may take away: it is opened anew under its name when somebody says so.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file that is written at its end, by name.
#[derive(Debug)]
pub(super) struct Paper {
    path: PathBuf,
    file: File,
}

impl Paper {
    /// Opens it, or makes it: for us to read and write, and for our group to read.
    pub(super) fn open(path: &Path) -> io::Result<Paper> {
        // To open a pipe is to wait for who reads from it.
        if std::fs::metadata(path).is_ok_and(|about| about.file_type().is_fifo()) {
            return Err(io::Error::other("it is a pipe"));
        }
        // At the end, wherever that is by now: another process may write there as well, or have cut it off.
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
        Ok(Paper { path: path.into(), file })
    }

    /// Goes on in what has its name by now. Where that can't be opened it goes on where it was, and says so.
    pub(super) fn reopen(&mut self) {
        let path = self.path.display();
        match Paper::open(&self.path) {
            Ok(new) => {
                self.file = new.file;
                tracing::info!(file = %self.path.display(), "the access log was opened anew");
            }
            Err(error) => {
                tracing::error!(file = %path, %error, "the access log can't be opened anew; its lines go where they went");
            }
        }
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
