//! Something has changed behind the gateway, and somebody says so: what is then invalidated, and what is loaded anew.
//!
//! An event comes by HTTP (`POST /v1/events`) or from a source ([`News`]). `cloud_event` reads it, `rule` says which rules of the
//! configuration it meets and what they name, `seen` knows what has been acted on already, and the [`Engine`] acts: everything that an
//! event means is invalidated when it is answered, and only loading goes on behind.

mod cloud_event;
mod counts;
mod engine;
mod exact;
mod gap;
mod message;
mod refused;
mod rule;
mod seen;
mod settings;
mod source;
mod sources;
mod template;
mod wildcard;

pub use cloud_event::{Event, read};
pub use counts::{Counts, Via};
pub use engine::{Engine, Fired, Hands, OfObject, Purge, Told};
pub use message::{Message, understand};
pub use refused::Refused;
pub use rule::{Dropped, Object, Purging, Rule, When, Within};
pub use settings::{Duplicates, Settings};
pub use source::{News, Tell};
pub use sources::{Kind, Postgres, Redis, Shown, Source, Sources, Url};
pub use template::Template;
pub use wildcard::Wildcard;
