//! APIs that are registered, changed and removed while the gateway runs.

use super::view::ApiView;
use crate::audit::Audit;
use crate::rfc9110::etag::{self, EntityTag};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// APIs that are registered, changed and removed while the gateway runs, and who did so.
pub trait Registry {
    /// At most `limit` APIs, in the order of the file, and the place of the last one if there are more. They begin behind the API at `after`; where that
    /// is gone, with the one that has its place by now.
    fn page(&self, after: Option<&Place>, limit: usize) -> (Vec<ApiView>, Option<Place>);

    /// Registers, changes or removes an API: in the file and in what is in force, or in neither. It writes files and may block; the admin
    /// port runs it on a thread where that is fine.
    ///
    /// # Errors
    /// Why nothing has changed.
    fn change(&self, api: (&str, &str), change: &Change, condition: &Condition) -> Result<Changed, NotChanged>;

    /// Where acts are told.
    fn audit(&self) -> &Audit;
}

/// Where an API stands in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 0.
    pub number: usize,
    /// Its `name/version`.
    pub id: String,
}

/// What somebody wants of one `[[api]]`; members are the keys of the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It says this and nothing else. `name` and `version` may be left out.
    Put(Map<String, Value>),
    /// A merge patch (RFC 7396): what is named is replaced, `null` takes a key out.
    Patch(Map<String, Value>),
    /// It goes.
    Remove,
}

/// `If-Match` and `If-None-Match` of a request (RFC 9110 §13.1.1, §13.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The lines of `If-Match`; none is no condition.
    pub if_match: Vec<Vec<u8>>,
    /// The lines of `If-None-Match`; none is no condition.
    pub if_none_match: Vec<Vec<u8>>,
}

impl Condition {
    /// Whether it holds for what is there, which has this entity tag, or for nothing.
    pub fn holds(&self, current: Option<&str>) -> bool {
        let tag = current.and_then(|tag| EntityTag::parse(tag.as_bytes()));
        let named = |lines: &[Vec<u8>], weak: bool| {
            let matches = |a: &EntityTag<'_>, b: &EntityTag<'_>| if weak { a.weak_match(b) } else { a.strong_match(b) };
            tag.is_some() && etag::named(lines.iter().map(Vec::as_slice), tag, matches)
        };
        (self.if_match.is_empty() || named(&self.if_match, false))
            && (self.if_none_match.is_empty() || !named(&self.if_none_match, true))
    }
}

/// What has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The API as it is now; `None` where it was removed.
    pub view: Option<ApiView>,
    /// Whether it is new.
    pub created: bool,
    /// What became of what it had stored: `kept`, `outdated` or `cleared`.
    pub cache: &'static str,
    /// The keys of its `[[api]]` that differ.
    pub keys: Vec<String>,
    /// Of `ttl`, `grace` and `keep_on_error`, those that differ: `{"old": …, "new": …}`.
    pub values: Map<String, Value>,
    /// What is probably not meant.
    pub warnings: Vec<FieldFault>,
}

/// What is wrong with a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldFault {
    /// Where, as `ttl` or `route[0].on`; empty where it is the API as a whole, and the file's own key where it is another place of the file.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
}

impl FieldFault {
    /// `message` about `key`.
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        FieldFault { key: key.to_owned(), message: message.into() }
    }
}

/// Why nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotChanged {
    /// There is no such API.
    NoSuchApi,
    /// It can't be changed here: which of the reasons, and in words.
    Conflict(Conflict, String),
    /// The condition doesn't hold; the entity tag of what is there.
    Condition(Option<String>),
    /// What it would be has faults: how many, and the first of them.
    Faults(usize, Vec<FieldFault>),
}

/// What stands in the way of every change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The gateway was started without a file.
    NoFile,
    /// The file has been edited and that isn't in force.
    FileChanged,
    /// The file can't be written.
    NotWritable,
    /// It is a namespace of objects.
    Namespace,
    /// The gateway is stopping.
    Stopping,
}

impl Conflict {
    /// The last part of the problem's `type`.
    pub fn name(self) -> &'static str {
        match self {
            Conflict::NoFile => "no-file",
            Conflict::FileChanged => "file-changed",
            Conflict::NotWritable => "file-not-writable",
            Conflict::Namespace => "namespace",
            Conflict::Stopping => "stopping",
        }
    }
}

impl NotChanged {
    /// The last part of the problem's `type`.
    pub fn name(&self) -> &'static str {
        match self {
            NotChanged::NoSuchApi => "no-such-api",
            NotChanged::Conflict(conflict, _) => conflict.name(),
            NotChanged::Condition(_) => "precondition-failed",
            NotChanged::Faults(..) => "bad-configuration",
        }
    }
}
