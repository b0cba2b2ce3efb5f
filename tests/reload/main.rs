//! Another configuration while the gateway runs: what changes, what stays, and what nobody notices.
#![cfg(test)]

mod cache;
mod in_flight;
mod listeners;
mod load;
mod process;
mod state;
mod surfaces;

#[path = "../support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Origin, Reply};

/// An `[[api]]` of version v1 with more lines.
fn api(name: &str, path: &str, origin: &Origin, more: &str) -> String {
    let url = origin.url();
    format!("[[api]]\nname = \"{name}\"\nversion = \"v1\"\npath = \"{path}\"\nupstream = [\"{url}\"]\n{more}\n")
}

/// An origin that says nothing of caching, and whose n-th answer is `n`, from 0.
async fn numbered() -> Origin {
    let next = AtomicUsize::new(0);
    Origin::start(move |_| std::future::ready(Reply::ok(next.fetch_add(1, Ordering::SeqCst).to_string()))).await
}
