//! What the operator says, joined with what the RFC says; pure.

mod apis;
mod change;
mod heritage;
mod keep;
mod key;
pub mod namespace;
mod pattern;
mod read_key;
mod scope;
mod settings;
mod side_key;
mod target;

pub use apis::{Apis, Change, Fate, Mounted, Routed};
pub use change::{Effect, effect};
pub use keep::{Asker, Keep, SURROGATE_FIELDS, TAG_FIELDS, keep, may_use_shared, tags, unshared_for};
pub use key::{Identity, canonical_query, is_credential, kept_cookies, partition, write_key};
pub use pattern::{BadPattern, Captures, Methods, Pattern, Template, parse_on};
pub use read_key::{KeyParts, Pairs, Partition, Told, place_of, read_key};
pub use scope::{MAX_DEPTH, Named, Place, Scope, Standing, named};
pub use settings::*;
pub use side_key::{
    equivalent_key, is_second_key, of_generation, part_key, query_of, rule_key, shared_place, variant_key,
    write_claims, write_generation, write_query,
};
pub use target::{BadTarget, canonical_host, canonical_path, check_query, without_port};
