//! Origins: where they are, how they are asked.
//!
//! [`Origin::ask_in`] is the only door. Behind it: `doors` chooses an endpoint (`balance`) among those that may be asked (`health`,
//! `breaker`, `checks`); `pool` has an idle connection (or one of HTTP/2 with room: `shared`) or `connect` makes one to an address that `names` knows; `request` puts the
//! request into the form that goes out, `answer` carries the answer's body and gives the connection back when that has ended
//! cleanly; `retry` says whether a question without an answer is asked again, `haste` whether a slow try is given up for another one.

mod answer;
mod balance;
mod breaker;
mod checks;
mod connect;
mod doors;
mod error;
mod exchange;
mod haste;
mod health;
mod names;
mod origin;
mod pool;
mod pulse;
mod request;
mod retry;
mod settings;
mod shared;
mod slot;
mod time;
mod tls;

pub use doors::{Condition, Held};
pub use error::{AskError, AskErrorKind, Whose};
pub use exchange::Manner;
pub use names::Resolver;
pub use origin::{AskedAgain, Doubtful, Origin, Shown};
pub use request::{HostChoice, InterimFn};
pub use settings::{Balance, Breaker, Budget, Check, Endpoint, Health, Pooling, Retry, Settings, Timeouts};
pub use time::Deadline;
pub use tls::{TlsClient, TlsFiles};
