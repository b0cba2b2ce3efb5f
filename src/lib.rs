//! Freshgate: a caching gateway for REST APIs that is never stale after a write.
//!
//! A tour in the order of a request; each part begins with what it models.
//!
//! 1. [`listener`] accepts connections, by [`tls`] or without, of HTTP/1 and HTTP/2, and keeps their limits ([`reached`] counts
//!    how often); hyper reads the request. [`serve`] has built everything
//!    and joined it; its front makes one [`telemetry`] record of each request.
//! 2. [`gateway`]: `Gateway::handle` is the whole way on one screen: admit, ask who is calling ([`auth`]), look up, use or ask the
//!    origin, deliver, in the coding that the client likes best ([`encode`]).
//! 3. [`policy`] says which API and rules hold, what the key is and whose partition, whether an answer is kept, and
//!    which scopes a question or a write touches. It joins the operator's word with [`rfc9111`] and [`rfc9110`], which
//!    are the standards as pure functions.
//! 4. [`store`] keeps answers, and in its `scopes` lies the heart: why no answer from before a write is used after it.
//! 5. [`fill`] asks an origin once for all who wait, over [`upstream`]'s connections.
//! 6. [`admin`] looks and purges from a port of its own; [`purge`] turns a selector into scopes, [`events`] says what changed
//!    behind the gateway, [`snapshot`] takes what is stored over a restart.
//! 7. [`config`] reads the file into the settings that each part owns; [`cli`] has the commands.
//!
//! Below everything: [`body`] (what flows through), [`client`] (who asks), [`trace`] (which trace a request belongs to), [`clock`] and [`tasks`] (the only readers of
//! time and spawners of tasks), `descriptors` (what the system may run out of).

pub mod admin;
mod alarm;
pub mod audit;
pub mod auth;
pub mod body;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
mod counted;
mod descriptors;
pub mod encode;
pub mod events;
mod files;
pub mod fill;
pub mod gateway;
mod gather;
pub mod limit;
pub mod listener;
pub mod objects;
pub mod policy;
pub mod purge;
pub mod reached;
pub mod rfc9110;
pub mod rfc9111;
pub mod secret;
pub mod serve;
pub mod snapshot;
pub mod store;
mod sync;
pub mod tasks;
pub mod telemetry;
pub mod tls;
pub mod trace;
mod units;
pub mod upstream;
