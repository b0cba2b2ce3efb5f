//! Who is calling (`[api.auth]`): asked before anything else, and what of the answer makes a partition.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod forward;
mod issuer;
mod jwt;
mod key_file;
mod keys;
mod named;
mod rates;
mod ways_round;

use sha2::{Digest, Sha256};
use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Answer, Gateway, Origin, Reply};

pub(crate) const ALICE: (&str, &str) = ("X-Api-Key", "alice-secret");
pub(crate) const BOB: (&str, &str) = ("X-Api-Key", "bob-secret");

/// A key as the file has it.
pub(crate) fn key(user: &str, scopes: &str, secret: &str) -> String {
    let digest: String = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{ user = \"{user}\", scopes = [{scopes}], sha256 = \"{digest}\" }}")
}

/// Alice may read and write, so may Ann; Bob, of the same name as another key of his, may only read; Eve may nothing.
pub(crate) fn keys() -> String {
    [
        key("alice", "\"read\", \"write\"", "alice-secret"),
        key("alice", "\"read\"", "alice-reads"),
        key("bob", "\"read\"", "bob-secret"),
        key("alice", "\"write\", \"read\"", "alices-next-secret"),
        key("eve", "", "eve-secret"),
    ]
    .join(", ")
}

pub(crate) fn by_key(more: &str) -> String {
    format!("auth = {{ kind = \"api-key\", required_scopes = [\"read\"], keys = [{}]{more} }}", keys())
}

pub(crate) type Fields = &'static [(&'static str, &'static str)];

/// Numbered answers that are fresh for a minute.
pub(crate) async fn numbered() -> Origin {
    let count = AtomicUsize::new(0);
    Origin::start(move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        ready(Reply::ok(n.to_string()).field("Cache-Control", "max-age=60"))
    })
    .await
}

pub(crate) async fn get(gateway: &Gateway, target: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = gateway.client().await.get_with(target, fields).await;
    gateway.settled().await;
    answer
}
