//! A shared cache by RFC 9111, as pure functions: fields, stored facts and `now` in, a verdict with its reason out.
//!
//! In the order of a response's life: [`storing`] decides whether an answer may be kept and how widely, from what
//! [`directives`] and [`targeted`] read and the lifetime that `lifetime.rs` chooses; [`freshness`] is what is remembered of it; [`vary`] says
//! for which requests, [`search`] for which queries; [`mod@reuse`] decides each time whether it may be used; [`validation`] asks about it and brings it up to
//! date; [`invalidation`] says what a write makes invalid, and [`mod@groups`] (RFC 9875) what it names.
//!
//! Origins are read as if they were hostile: of two readings the stricter holds, and what can't be read is not fresh.

pub mod directives;
pub mod freshness;
pub mod groups;
pub mod invalidation;
mod lifetime;
mod operator;
pub mod reuse;
pub mod search;
pub mod storing;
pub mod targeted;
pub mod validation;
pub mod vary;

pub use directives::{MAX_DELTA_SECONDS, RequestDirectives};
pub use freshness::Facts;
pub use groups::{CACHE_GROUP_INVALIDATION, CACHE_GROUPS, groups};
pub use invalidation::{invalidates, is_of_target, is_safe, targets};
pub use reuse::{Reuse, reuse, usable_on_error, usable_when_slow};
pub use search::{NO_VARY_SEARCH, UrlVariation};
pub use storing::{Lifetime, NotStored, OF_A_PROXY, Operator, Question, SetCookie, Sharing, consider};
pub use validation::{Heard, add_validators, freshen, heard, identifies, is_strong, offer, strip_conditionals};
pub use vary::{Selection, Vary, effective};
