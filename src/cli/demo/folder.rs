//! A folder that is there as long as it is needed.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// A folder in the system's place for such, which nobody else may look into, with one file. It goes when this is dropped.
pub(super) struct Folder {
    path: PathBuf,
    pub(super) file: PathBuf,
}

impl Folder {
    /// With a file of this name and text.
    pub(super) fn with(name: &str, text: &str) -> io::Result<Self> {
        let chance = RandomState::new().hash_one(0u8);
        let path = std::env::temp_dir().join(format!("freshgate-demo-{chance:016x}"));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let folder = Folder { file: path.join(name), path };
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&folder.file)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn it_is_for_nobody_else_and_goes_with_all_that_is_in_it() {
        let folder = Folder::with("f.toml", "text").unwrap();
        let (path, file) = (folder.path.clone(), folder.file.clone());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");
        assert_eq!((path.metadata().unwrap().mode() & 0o777, file.metadata().unwrap().mode() & 0o777), (0o700, 0o600));
        std::fs::write(path.join("f.toml.bak"), "more").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
