//! Who says from outside that something has changed.

mod source;
mod sources;

pub use source::{News, Tell};
pub use sources::{Kind, Postgres, Redis, Shown, Source, Sources, Url};
