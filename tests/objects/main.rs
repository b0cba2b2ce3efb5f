//! The object cache through its own listener: the calls of a key/value application, read-through, conditions, bounds, and whatever is refused.

#![cfg(test)]

mod bounds;
mod calls;
mod conditions;
mod invalidated;
mod listing;
mod refreshed;
mod refused;
mod source;
#[path = "../support/mod.rs"]
mod support;

use support::{Client, Gateway};

/// A gateway with this in `[objects]` (namespaces included), and a client of its object cache.
async fn cache(objects: &str) -> (Gateway, Client) {
    cache_beside(objects, "", "").await
}

/// The same with more of the file.
async fn cache_beside(objects: &str, rest: &str, apis: &str) -> (Gateway, Client) {
    let rest = format!("{rest}\n[objects]\nlisten = \"127.0.0.1:0\"\n{objects}\n");
    let gateway = Gateway::with(&rest, apis).await;
    let client = Client::connect(gateway.running.objects.unwrap()).await;
    (gateway, client)
}

/// A namespace `codes` whose objects live for 100 days.
const CODES: &str = "[[objects.namespace]]\nname = \"codes\"\nttl = \"100d\"\n";

fn codes(lines: &str) -> String {
    format!("{CODES}{lines}\n")
}
