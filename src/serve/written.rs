//! What the admin port is told of the file: the entity tag of each `[[api]]`, and whether it can be written.

use super::replace::may_be_replaced;
use crate::config::write_back::texts;
use crate::secret::digest;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// What is known of a file that is in force.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// By `name/version`.
    tags: Arc<HashMap<String, String>>,
    /// Why it can't be written, if it can't.
    pub(super) locked: Option<String>,
}

impl Written {
    /// There is no file.
    pub(super) fn nowhere() -> Self {
        Written { tags: Arc::default(), locked: Some("there is no file".into()) }
    }

    /// A file with this content.
    pub(super) fn of(path: &Path, content: &[u8]) -> Self {
        let text = std::str::from_utf8(content).unwrap_or_default();
        let tags = texts(text).into_iter().map(|(id, text)| (id, tag(text.as_bytes()))).collect();
        Written { tags: Arc::new(tags), locked: may_be_replaced(path).err() }
    }

    /// The same file, of which another thing may hold by now; `None` if nothing does.
    pub(super) fn looked_at_again(&self, path: &Path) -> Option<Self> {
        let locked = may_be_replaced(path).err();
        (locked != self.locked).then(|| Written { tags: Arc::clone(&self.tags), locked })
    }

    /// The entity tag of an `[[api]]`, if it is one of the file's.
    pub(super) fn tag(&self, id: &str) -> Option<&str> {
        self.tags.get(id).map(String::as_str)
    }
}

/// The entity tag of a text; a strong one, as a text with another digest is another text.
pub(super) fn tag(text: &[u8]) -> String {
    let hex: String = digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}
