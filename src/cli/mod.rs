//! The commands, a file each.

pub mod hash_token;
pub mod purge;
