//! What behaviour tests tell their stories with: an origin that does as it is told, a client that hides nothing, and
//! gates that put events in order. All of it is plain bytes on plain sockets, so that what a well-mannered library
//! would smooth over is seen. Nothing here waits for a time to pass; the one limit is [`within`], which ends a test
//! that would otherwise hang.
//!
//! ```ignore
//! let gate = Gate::closed();
//! let origin = Origin::start(move |_| { let gate = gate.clone(); async move { gate.pass().await; Reply::ok("hi") } }).await;
//! let mut client = Client::connect(gateway).await;
//! let answer = client.get("/books/1").await;
//! assert_eq!((answer.status, answer.text()), (200, "hi"));
//! assert_eq!(origin.count(), 1);
//! ```
#![cfg(test)]
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test file uses another part of this")]

mod client;
mod gate;
mod gateway;
mod h2;
mod message;
mod origin;
pub mod process;
mod reply;
mod tls;
mod wire;

pub use client::{Answer, Client};
pub use gate::{Gate, within};
pub use gateway::{Gateway, TOKEN, sha256};
pub use h2::{Ended, H2, receive};
pub use message::{Fields, Request};
pub use origin::{Conn, Origin};
pub use reply::Reply;
pub use tls::{Authority, Pair};
pub use wire::Piece;
