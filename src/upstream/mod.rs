//! Origins: where they are, how they are asked.
//!
//! [`Origin::ask`] is the only door. Behind it: `balance` chooses an endpoint, `pool` has an idle connection or
//! `connect` makes one, `request` puts the request into the form that goes out, `answer` carries the answer's body
//! and gives the connection back when that has ended cleanly.

mod answer;
mod balance;
mod connect;
mod error;
mod origin;
mod pool;
mod request;
mod settings;
mod tls;

pub use error::{AskError, AskErrorKind, Whose};
pub use origin::Origin;
pub use request::{HostChoice, InterimFn};
pub use settings::{Budget, Endpoint, Held, Timeouts};
pub use tls::TlsClient;
