//! What is told of an act.

use serde::Serialize;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use utoipa::ToSchema;

/// Texts are told up to this length, in bytes.
const LONGEST_TEXT: usize = 1024;
/// Details are told up to this length, in bytes of JSON.
const LONGEST_DETAILS: usize = 4096;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The bearer of a token.
    Token {
        /// Its name.
        name: String,
        /// Its role.
        role: &'static str,
        /// Where he is.
        peer: String,
    },
    /// Somebody of whom no more is known than where he is.
    Stranger(IpAddr),
    /// A source of events, by its kind and its channel or channels.
    Source(&'static str, String),
    /// Whoever runs the process: a signal, or a file that has changed.
    Process(&'static str),
}

/// What becomes of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfApi {
    /// It is new.
    Register,
    /// It says something else.
    Change,
    /// It goes.
    Remove,
}

/// What was done, or tried.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Something was invalidated, or counted: the selector as JSON, and how many and at which epoch, or why not.
    Purge {
        /// As `POST /v1/purge` takes it.
        selector: Value,
        /// How many answers (where that is known) and which epoch.
        outcome: Result<(Option<u64>, u64), String>,
    },
    /// An event was acted on.
    Event {
        /// Its id.
        id: Option<String>,
        /// Its source.
        source: Option<String>,
        /// Whether it was known already.
        duplicate: bool,
        /// What each rule did.
        did: Value,
    },
    /// Events were refused, for this reason.
    EventsRefused(String),
    /// A source may have missed something: what was invalidated for it, at which epoch, or why not.
    Gap {
        /// A selector, or an object.
        invalidated: Value,
        /// The epoch, where there is one.
        outcome: Result<Option<u64>, String>,
    },
    /// The configuration was read again: `applied`, `unchanged` or `refused`.
    Reload {
        /// Which of them.
        result: String,
    },
    /// An API was registered, changed or removed.
    Api {
        /// Which of them.
        what: OfApi,
        /// `name/version`.
        api: String,
        /// The keys that differ.
        keys: Vec<String>,
        /// Of those that are no secret to anybody the old and the new values.
        values: Map<String, Value>,
        /// Or the name of the problem.
        outcome: Result<(), String>,
    },
    /// Somebody has shown a token that is none.
    WrongToken,
    /// Somebody has signed in to the control panel.
    SignIn,
    /// Somebody has signed out of it.
    SignOut,
}

/// One line of the audit.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Record {
    /// Its number since the start, from 1.
    pub id: u64,
    /// When, as RFC 3339 has it.
    pub time: String,
    /// Who: the name of a token, `SIGHUP` or `file`, or the kind of a source of events; `null` where nobody knows.
    pub actor: Option<String>,
    /// The token's role.
    pub role: Option<&'static str>,
    /// Where he was.
    pub peer: Option<String>,
    /// `register-api`, `change-api`, `remove-api`, `purge`, `clear`, `reload`, `events`, `gap`, `wrong-token`, `sign-in` or `sign-out`.
    pub action: &'static str,
    /// What it was done to.
    pub target: Option<String>,
    /// `done`, `refused`, `counted` (a dry run), `duplicate`, or what came of a reload.
    pub result: String,
    /// What else is to be said.
    #[schema(value_type = Option<Object>)]
    pub details: Value,
}

impl Record {
    pub(super) fn new(id: u64, time: String, who: &Who, act: Act) -> Self {
        let (action, target, result, details) = act.told();
        let (actor, role, peer) = match who.clone() {
            Who::Token { name, role, peer } => (Some(name), Some(role), Some(peer)),
            Who::Stranger(address) => (None, None, Some(address.to_string())),
            Who::Source(kind, _) => (Some(kind.to_owned()), None, None),
            Who::Process(by) => (Some(by.to_owned()), None, None),
        };
        let mut details = details;
        if let Who::Source(_, channels) = who {
            details["channels"] = json!(cut(channels.clone()));
        }
        let length = details.to_string().len();
        if length > LONGEST_DETAILS {
            details = json!({ "omitted_bytes": length });
        }
        Record { id, time, actor, role, peer, action, target: target.map(cut), result, details }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST_TEXT {
        text.truncate(text.floor_char_boundary(LONGEST_TEXT));
        text.push('…');
    }
    text
}

impl Act {
    /// Action, target, result, details.
    fn told(self) -> (&'static str, Option<String>, String, Value) {
        let said = |done: bool| if done { "done" } else { "refused" }.to_owned();
        match self {
            Act::Purge { selector, outcome } => {
                let (action, target) = target(&selector);
                let counted = selector.get("dry_run").is_some() && outcome.is_ok();
                let result = if counted { "counted".into() } else { said(outcome.is_ok()) };
                let mut details = json!({ "selector": selector });
                match outcome {
                    Ok((invalidated, epoch)) => {
                        details["invalidated"] = json!(invalidated);
                        details["epoch"] = json!(epoch);
                    }
                    Err(why) => details["reason"] = json!(cut(why)),
                }
                (action, target, result, details)
            }
            Act::Event { id, source, duplicate, did } => {
                let result = if duplicate { "duplicate" } else { "done" };
                ("events", id, result.into(), json!({ "source": source.map(cut), "did": did }))
            }
            Act::EventsRefused(why) => ("events", None, said(false), json!({ "reason": cut(why) })),
            Act::Gap { invalidated, outcome } => {
                let mut details = json!({ "invalidated": invalidated });
                match &outcome {
                    Ok(epoch) => details["epoch"] = json!(epoch),
                    Err(why) => details["reason"] = json!(why),
                }
                ("gap", None, said(outcome.is_ok()), details)
            }
            Act::Reload { result } => ("reload", None, result, json!({})),
            Act::Api { what, api, keys, values, outcome } => {
                let mut details = json!({});
                if !keys.is_empty() {
                    details["keys"] = json!(keys);
                }
                if let (Some(details), false) = (details.as_object_mut(), values.is_empty()) {
                    details.insert("values".into(), Value::Object(values));
                }
                if let Err(reason) = &outcome {
                    details["reason"] = json!(reason);
                }
                (what.name(), Some(api), said(outcome.is_ok()), details)
            }
            Act::WrongToken => ("wrong-token", None, said(false), json!({})),
            Act::SignIn => ("sign-in", None, said(true), json!({})),
            Act::SignOut => ("sign-out", None, said(true), json!({})),
        }
    }

    /// As a line of the log.
    pub(super) fn log(&self, who: &Who) {
        let (token, peer) = match who {
            Who::Token { name, peer, .. } => (Some(name.as_str()), Some(peer.clone())),
            Who::Stranger(address) => (None, Some(address.to_string())),
            Who::Source(..) => (None, None),
            Who::Process(by) => (Some(*by), None),
        };
        let (via, channels) = match who {
            Who::Source(via, channels) => (Some(*via), Some(channels.as_str())),
            Who::Token { .. } | Who::Stranger(_) | Who::Process(_) => (None, None),
        };
        match self {
            Act::Purge { selector, outcome } => {
                let selector = cut(selector.to_string());
                match outcome {
                    Ok((invalidated, epoch)) => {
                        tracing::info!(target: "audit", token, peer, selector, epoch, invalidated, "purge");
                    }
                    Err(refused) => tracing::info!(target: "audit", token, peer, selector, refused, "purge"),
                }
            }
            Act::Event { id, source, duplicate, did } => {
                tracing::info!(target: "audit", token, peer, via, channel = channels, id, source, duplicate, %did, "event");
            }
            Act::EventsRefused(refused) => tracing::info!(target: "audit", token, peer, refused, "event"),
            Act::Gap { invalidated, outcome } => match outcome {
                Ok(epoch) => tracing::info!(target: "audit", via, channels, %invalidated, epoch, "gap"),
                Err(refused) => tracing::info!(target: "audit", via, channels, %invalidated, refused, "gap"),
            },
            Act::Reload { result } => tracing::info!(target: "audit", token, peer, result, "reload"),
            Act::Api { what, api, keys, values, outcome } => {
                let (keys, values, action) = (keys.join(" "), json!(values), what.name());
                let refused = outcome.as_ref().err();
                tracing::info!(target: "audit", token, peer, api, keys, %values, refused, "{action}");
            }
            Act::WrongToken => tracing::warn!(target: "audit", peer, "wrong token"),
            Act::SignIn => tracing::info!(target: "audit", token, peer, "sign-in"),
            Act::SignOut => tracing::info!(target: "audit", token, peer, "sign-out"),
        }
    }
}

impl OfApi {
    fn name(self) -> &'static str {
        match self {
            OfApi::Register => "register-api",
            OfApi::Change => "change-api",
            OfApi::Remove => "remove-api",
        }
    }
}

/// `clear` for what covers an API or everything, else `purge`; and what a selector is about.
fn target(selector: &Value) -> (&'static str, Option<String>) {
    let text = |key: &str| selector.get(key).and_then(Value::as_str).map(str::to_owned);
    if selector.get("all").is_some() {
        return ("clear", Some("everything".into()));
    }
    match ["path", "prefix", "tag", "user"].iter().find_map(|key| text(key)) {
        Some(target) => ("purge", Some(target)),
        None => ("clear", text("api")),
    }
}
