//! `[[events.rule]]`: for which events it is, and what it does about them.

use super::cloud_event::Event;
use super::template::Template;
use super::wildcard::Wildcard;
use crate::purge::{Selector, Target};
use serde_json::{Value, json};

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// `when`.
    pub when: When,
    /// `invalidate`: what is dropped and not loaded.
    pub invalidate: Vec<Dropped>,
    /// `refresh`: objects that are dropped at once and loaded from their source.
    pub refresh: Vec<Object>,
    /// `purge`: responses that are invalidated.
    pub purge: Vec<Purging>,
}

/// `when`: all that is given must match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct When {
    /// `type`.
    pub kind: Option<Wildcard>,
    /// `channel`.
    pub channel: Option<Wildcard>,
    /// `source`.
    pub source: Option<Wildcard>,
    /// `subject`.
    pub subject: Option<Wildcard>,
}

impl When {
    /// Whether the rule is for this event.
    pub fn is_for(&self, event: &Event) -> bool {
        let asked = [
            (&self.kind, &event.kind),
            (&self.channel, &event.channel),
            (&self.source, &event.source),
            (&self.subject, &event.subject),
        ];
        asked.into_iter().all(|(pattern, text)| match (pattern, text) {
            (None, _) => true,
            (Some(pattern), Some(text)) => pattern.matches(text),
            (Some(_), None) => false,
        })
    }

    /// Whether the rule may be for something that comes on one of these channels.
    pub fn reaches<S: AsRef<str>>(&self, channels: &[S]) -> bool {
        self.channel.as_ref().is_none_or(|pattern| channels.iter().any(|channel| pattern.matches(channel.as_ref())))
    }
}

/// Something that is dropped and not loaded.
#[derive(Clone, Debug, PartialEq)]
pub enum Dropped {
    /// An object.
    Object(Object),
    /// Responses.
    Responses(Purging),
}

/// An object as a rule writes it: `namespace/{subject}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// A name of `[[objects.namespace]]`.
    pub namespace: String,
    /// Its key in that namespace, as it is and not as it is written in a URL.
    pub key: Template,
}

impl Object {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a namespace and a key such as \"tax-codes/{subject}\"";
        let (namespace, key) = text.split_once('/').ok_or(EXPECTED)?;
        if namespace.contains(['{', '}']) {
            return Err("the namespace can't be a name that the event fills in".into());
        }
        if namespace.is_empty() || key.is_empty() {
            return Err(EXPECTED.into());
        }
        Ok(Object { namespace: namespace.into(), key: Template::parse(key)? })
    }

    /// As written.
    pub fn text(&self) -> String {
        format!("{}/{}", self.namespace, self.key.text())
    }

    /// Whether its key has names.
    pub(super) fn is_open(&self) -> bool {
        self.key.is_open()
    }

    /// All objects that it may mean, where its key has names: a namespace is an API of its own.
    pub(super) fn namespace(&self) -> Selector {
        let target = Target::Api(format!("objects/{}", self.namespace));
        Selector { target, api: None, soft: false, dry_run: false }
    }

    /// The object of this key as answers and the audit name it.
    pub(super) fn shown(&self, key: &str) -> Value {
        json!(format!("{}/{key}", self.namespace))
    }
}

/// What of the responses is invalidated: a selector as `POST /v1/purge` has them, in which the event fills in names.
#[derive(Clone, Debug, PartialEq)]
pub struct Purging {
    /// `api`: only within this one.
    pub api: Option<String>,
    /// What is meant.
    pub within: Within,
    /// `soft`.
    pub soft: bool,
}

/// What is meant by a [`Purging`].
#[derive(Clone, Debug, PartialEq)]
pub enum Within {
    /// `api` alone: all of it.
    Api,
    /// `all`.
    All,
    /// `path`.
    Path(Template),
    /// `prefix`.
    Prefix(Template),
    /// `tag`.
    Tag(Template),
    /// `user`.
    User(Template),
}

impl Purging {
    /// What is meant by it for this event.
    ///
    /// # Errors
    /// Why nothing is.
    pub fn selector(&self, event: &Event) -> Result<Selector, String> {
        let target = match &self.within {
            Within::Api | Within::All => return Ok(self.widened()),
            Within::Path(path) => Target::Path { host: None, path: path.fill_path(event)? },
            Within::Prefix(path) => Target::Prefix { host: None, path: path.fill_path(event)? },
            Within::Tag(tag) => Target::Tag(tag.fill(event)?),
            Within::User(user) => Target::User(user.fill(event)?),
        };
        Ok(Selector { target, api: self.api.clone(), soft: self.soft, dry_run: false })
    }

    /// All that it may mean: itself where no name stands in it, else the API that it names, or everything.
    pub fn widened(&self) -> Selector {
        let (soft, dry_run) = (self.soft, false);
        let fixed = match &self.within {
            Within::Api | Within::All => None,
            Within::Path(text) | Within::Prefix(text) | Within::Tag(text) | Within::User(text) if text.is_open() => {
                None
            }
            Within::Path(path) => Some(Target::Path { host: None, path: path.text().into() }),
            Within::Prefix(path) => Some(Target::Prefix { host: None, path: path.text().into() }),
            Within::Tag(tag) => Some(Target::Tag(tag.text().into())),
            Within::User(user) => Some(Target::User(user.text().into())),
        };
        match (fixed, &self.api) {
            (Some(target), api) => Selector { target, api: api.clone(), soft, dry_run },
            (None, Some(api)) => Selector { target: Target::Api(api.clone()), api: None, soft, dry_run },
            (None, None) => Selector { target: Target::All, api: None, soft, dry_run },
        }
    }

    /// As the file writes it.
    pub fn json(&self) -> Value {
        let mut written = match &self.within {
            Within::Api => json!({}),
            Within::All => json!({ "all": true }),
            Within::Path(path) => json!({ "path": path.text() }),
            Within::Prefix(path) => json!({ "prefix": path.text() }),
            Within::Tag(tag) => json!({ "tag": tag.text() }),
            Within::User(user) => json!({ "user": user.text() }),
        };
        if let Some(api) = &self.api {
            written["api"] = json!(api);
        }
        if self.soft {
            written["soft"] = json!(true);
        }
        written
    }

    /// Whether it can only mean objects of the object cache.
    pub(super) fn is_of_objects(&self) -> bool {
        self.api.as_deref().is_some_and(|api| api.starts_with("objects/"))
    }
}
