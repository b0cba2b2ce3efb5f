//! The file that a gateway runs with, which is read again when somebody says so, or when it has changed.
//!
//! What tells a change is the content, not a time or a notice of the system: a link that an orchestrator turns to another folder changes
//! no file, network file systems send no notices, and a time may be as coarse as a second. So it is read every few seconds; a file of
//! this kind is small. What was no regular file at the start, a pipe for instance, is read that once. A content is taken only when it was found twice in a row, since an editor may be in the middle of writing it, and the
//! beginning of a configuration may well be one. What was tried once isn't tried again before it changes, whatever came of it.

use super::written::Written;
use crate::config::{Fault, Faults, Loaded, read_file, read_file_again, understand};
use crate::secret::{Digest, digest};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A configuration file and what was last made of it.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    tried: Content,
    /// Whether it can be read more than once.
    regular: bool,
    /// What the last look has found, if it wasn't tried.
    found: Option<Content>,
    /// What is in force of it, if anything is.
    in_force: Option<Digest>,
    /// What is told of what was last understood.
    written: Arc<Written>,
}

/// Why nothing can be built upon a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotBase {
    /// What it says isn't what is in force.
    Changed,
    /// It can't be read, or not twice; why.
    Unreadable(String),
}

/// What tells one content from another.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Bytes(Digest),
    /// It can't be read, for this reason.
    Unreadable(String),
}

impl Content {
    fn of(read: &Result<Vec<u8>, Faults>) -> Content {
        match read {
            Ok(bytes) => Content::Bytes(digest(bytes)),
            Err(faults) => Content::Unreadable(faults.to_string()),
        }
    }
}

impl File {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// Every fault of the file at once, or why it can't be read.
    pub fn open(path: &Path) -> Result<(File, Loaded), Faults> {
        let bytes = read_file(path)?;
        let regular = std::fs::metadata(path).is_ok_and(|about| about.is_file());
        let (loaded, content) = (understand(&bytes, path)?, digest(&bytes));
        let (path, tried, written) = (path.to_owned(), Content::Bytes(content), Arc::new(Written::of(path, &bytes)));
        Ok((File { path, tried, regular, found: None, in_force: Some(content), written }, loaded))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it again.
    ///
    /// # Errors
    /// Every fault of the file at once, or why it can't be read.
    pub fn again(&mut self) -> Result<Loaded, Faults> {
        self.take(read_file_again(&self.path))
    }

    /// Reads it again if it has changed and stays as it is.
    pub fn changed(&mut self) -> Option<Result<Loaded, Faults>> {
        if !self.regular {
            return None;
        }
        let bytes = read_file_again(&self.path);
        let content = Content::of(&bytes);
        if content == self.tried {
            self.found = None;
            return None;
        }
        if self.found.as_ref() == Some(&content) {
            return Some(self.take(bytes));
        }
        self.found = Some(content);
        None
    }

    /// A fault of the file as a whole.
    pub fn fault(&self, message: String) -> Faults {
        let file = self.path.display().to_string().into();
        Faults::Invalid(vec![Fault { file, line: 1, column: 1, key: String::new(), message }])
    }

    fn take(&mut self, bytes: Result<Vec<u8>, Faults>) -> Result<Loaded, Faults> {
        (self.tried, self.found) = (Content::of(&bytes), None);
        let bytes = bytes?;
        let loaded = understand(&bytes, &self.path)?;
        self.written = Arc::new(Written::of(&self.path, &bytes));
        Ok(loaded)
    }

    /// What was last read has come into force.
    pub(super) fn is_in_force(&mut self) {
        self.in_force = match self.tried {
            Content::Bytes(content) => Some(content),
            Content::Unreadable(_) => None,
        };
    }

    /// Something else has, that doesn't come from here.
    pub(super) fn is_not_in_force(&mut self) {
        self.in_force = None;
    }

    /// What is told of what was last understood.
    pub(super) fn written(&self) -> Arc<Written> {
        Arc::clone(&self.written)
    }

    /// What it says now, if that is what is in force.
    pub(super) fn base(&self) -> Result<Vec<u8>, NotBase> {
        if !self.regular {
            return Err(NotBase::Unreadable("it isn't a regular file".into()));
        }
        let bytes = read_file_again(&self.path).map_err(|why| match why {
            Faults::Unreadable { reason, .. } => NotBase::Unreadable(format!("it can't be read: {reason}")),
            Faults::Invalid(_) => NotBase::Changed,
        })?;
        if self.in_force == Some(digest(&bytes)) { Ok(bytes) } else { Err(NotBase::Changed) }
    }

    /// We have written this ourselves, and it is in force.
    pub(super) fn wrote(&mut self, bytes: &[u8]) {
        let content = digest(bytes);
        (self.tried, self.found, self.in_force) = (Content::Bytes(content), None, Some(content));
        self.written = Arc::new(Written::of(&self.path, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_taken_when_it_was_found_twice_and_then_not_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.toml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("[server]\n");
        let (mut file, _) = File::open(&path).unwrap();
        assert!(file.changed().is_none() && file.changed().is_none());
        write("");
        assert!(file.changed().is_none(), "it may be half written");
        write("[server]\npurge_method = true\n");
        assert!(file.changed().is_none());
        assert!(file.changed().unwrap().unwrap().config.server.purge_method);
        assert!(file.changed().is_none() && file.changed().is_none());
        write("nonsense");
        assert!(file.changed().is_none() && file.changed().unwrap().is_err());
        assert!(file.changed().is_none() && file.changed().is_none(), "what was refused isn't tried again");
        assert!(file.again().is_err(), "but where somebody says so");
        std::fs::remove_file(&path).unwrap();
        assert!(file.changed().is_none() && file.changed().unwrap().is_err() && file.changed().is_none());
    }

    #[test]
    fn a_pipe_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let (regular, pipe) = (folder.path().join("f.toml"), folder.path().join("pipe"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let at = pipe.clone();
        let writer = std::thread::spawn(move || std::fs::write(at, "[server]\n").unwrap());
        let (mut file, _) = File::open(&pipe).unwrap();
        writer.join().unwrap();
        assert!(file.changed().is_none() && file.changed().is_none(), "it has nothing more to say");
        assert!(file.again().is_err_and(|faults| faults.to_string().contains("isn't a regular file")));
        // And one that comes in the place of a file isn't waited for.
        std::fs::write(&regular, "[server]\n").unwrap();
        let (mut file, _) = File::open(&regular).unwrap();
        std::fs::rename(&pipe, &regular).unwrap();
        assert!(file.changed().is_none() && file.changed().unwrap().is_err() && file.again().is_err());
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let (link, at) = (folder.path().join("f.toml"), |name: &str| folder.path().join(name));
        std::fs::write(at("1"), "[server]\n").unwrap();
        std::fs::write(at("2"), "[server]\npurge_method = true\n").unwrap();
        std::os::unix::fs::symlink(at("1"), &link).unwrap();
        let (mut file, _) = File::open(&link).unwrap();
        std::os::unix::fs::symlink(at("2"), at("new")).unwrap();
        std::fs::rename(at("new"), &link).unwrap();
        assert!(file.changed().is_none());
        assert!(file.changed().unwrap().unwrap().config.server.purge_method);
    }
}
