//! Puts a new file in the place of the old one, which stays as it is until the new one is whole and on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes that are collected before they are written.
const BUFFER: usize = 256 << 10;

/// Writes beside `path` what `write` says, then gives it that name. When anything fails what was written is removed.
pub(super) fn replace<T>(
    path: &Path,
    write: impl FnOnce(BufWriter<File>) -> io::Result<(BufWriter<File>, T)>,
) -> io::Result<T> {
    let new = beside(path);
    let written = put(&new, path, write);
    if written.is_err() {
        drop(fs::remove_file(&new));
    }
    written
}

fn put<T>(
    new: &Path,
    path: &Path,
    write: impl FnOnce(BufWriter<File>) -> io::Result<(BufWriter<File>, T)>,
) -> io::Result<T> {
    // What an interrupted stop has left; made anew, so that it is ours and for nobody else to read.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    let (buffer, written) = write(BufWriter::with_capacity(BUFFER, file))?;
    buffer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(written)
}

/// The name of what isn't whole yet.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}
