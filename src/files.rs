//! Files that a configuration names.
//!
//! They are read again and again: with each reload, and when somebody looks whether they have changed. To open a named pipe is to wait
//! for who writes to it, perhaps for ever, and whoever waits under the lock of reloads lets no other reload through; so there is an error
//! instead. What a shell makes of `<(…)` is no name of somebody's own, and is read as it was.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// To be read.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let is_pipe = std::fs::metadata(path).is_ok_and(|about| about.file_type().is_fifo());
    if is_pipe && !path.starts_with("/dev") && !path.starts_with("/proc") {
        return Err(io::Error::other("it is a pipe, and has to be a file: it is read more than once"));
    }
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_who_writes_to_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(open(&pipe).unwrap_err().to_string().contains("pipe"));
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(open(&file).is_ok() && open(&folder.path().join("none")).is_err());
    }
}
