//! Who is calling? Asked of every request before the cache is looked at, hits included.
//!
//! A check sees the request's fields and its query, and knows nothing of the cache or the origin. What it consumes, the credential that it
//! has looked at, no longer makes a partition of its own: the caller's name and rights do.

mod api_key;
mod caller;
mod jwt;
mod settings;
mod trusted;

pub use api_key::{ApiKey, Key, Place};
pub use caller::{Caller, Denied, Presented};
pub use jwt::{Demands, Jwt};
pub use settings::Settings;
pub use trusted::TrustedHeader;
