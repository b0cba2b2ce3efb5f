//! Who is calling? Asked of every request before the cache is looked at, hits included.
//!
//! A check sees the request's fields and its query, and knows nothing of the cache or the origin. What it consumes, the credential that it
//! has looked at, no longer makes a partition of its own: the caller's name and rights do.

//!
//! Most checks are answered at once. Where somebody else has to be asked (an issuer for its keys, a judge by a subrequest) the answer is
//! a future, and what was learnt is remembered for a bounded time.

mod api_key;
mod caller;
mod certificate;
mod forward;
mod issuer;
mod jwt;
mod key_file;
mod remote;
mod settings;
mod trusted;

pub use api_key::{ApiKey, Place};
pub(crate) use caller::has_large_number;
pub use caller::{Awaited, Caller, Checked, Denied, Found, Presented, Refusal};
pub use certificate::{ClientCertificate, NameFrom};
pub use forward::{Forward, Question};
pub use jwt::{Demands, Jwt};
pub use key_file::{Key, KeyFile, ReadKeys};
pub use remote::{Outside, Url};
pub use settings::{Look, Sender, Settings, without_parameters};
pub use trusted::TrustedHeader;
