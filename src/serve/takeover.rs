//! Taking over from the process that runs: its sockets, and when this one may cache (`server.handover`).
//!
//! # Why two caches at a time would be stale
//! While the old process drains, each of the two carries writes that the other doesn't hear of. An answer that one has stored, or asked
//! for, before a write through the other would be used after it.
//!
//! So from before the first connection is accepted here until the other process is gone, neither keeps or uses anything. Here
//! the scope of *everything* settles without end: an answer that is asked for is given to the one who asked, is not kept, and is joined by
//! nobody (`store/scopes.rs`). Every question holds that scope, so none is left out, and nothing is stored, so nothing is found.
//!
//! # Why it may end with the other's end
//! The end of the connection is the end of the process: the system closes it, also after a crash. Questions that were asked here before were noted
//! at a time at which everything settled, and `settles_until` is then set to *after* that time: none of them is ever kept. A question that is
//! asked later was sent after the last write of the other process had ended. Nothing needs to be invalidated for that, and nothing is:
//! what the snapshot brings counts as asked for before all writes that this process has carried (`snapshot`), and shall outlive this moment.
//!
//! A write of the other one whose outcome is unknown may be applied even later. It says at its end how long that may take, and before it
//! drains how long a write of its may take at the most, which counts where it is cut short. Where it has said neither, our own longest counts.

use super::fds::{is_ours, line, receive_sockets, say};
use super::progress::patiently;
use super::sockets::Inherited;
use super::start_error::StartError;
use crate::clock::{Clock, millis};
use crate::config::Config;
use crate::policy::Scope;
use crate::store::{Held, Store};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How long the other process may take to hand over its sockets: it may itself wait for the one before it.
const SOCKETS: Duration = Duration::from_secs(60);
/// How long it may take to let us go.
const GO: Duration = Duration::from_secs(30);

/// A process that hands over, and what it gave.
pub(super) struct Taking {
    stream: UnixStream,
    pub(super) sockets: Vec<Inherited>,
}

/// Asks the process that runs for its sockets; `None` where there is none.
pub(super) async fn ask(path: &Path, clock: &Clock) -> Result<Option<Taking>, StartError> {
    let failed = |reason: String| StartError::Handover { path: path.into(), reason };
    let mut stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(format!("the process that runs can't be asked: {error}"))),
    };
    if !is_ours(&stream).map_err(|error| failed(error.to_string()))? {
        return Err(failed("it belongs to another user".into()));
    }
    tracing::info!(socket = %path.display(), "asking the process that runs to hand over");
    let tell = |since: Duration| {
        tracing::info!(
            waited_s = since.as_secs(),
            at_most_s = SOCKETS.as_secs(),
            "waiting for the process that runs to hand over its sockets"
        );
    };
    match patiently(clock, timeout(SOCKETS, receive_sockets(&mut stream)), tell).await {
        Ok(Ok(None)) => Ok(None), // it has just ended
        Ok(Ok(Some(sockets))) => Ok(Some(Taking { stream, sockets })),
        Ok(Err(error)) => Err(failed(format!("the process that runs doesn't hand over: {error}"))),
        Err(_) => Err(failed("the process that runs doesn't answer".into())),
    }
}

/// The time in which two processes serve.
pub(super) struct Overlap {
    stream: UnixStream,
    everything: Held,
}

impl Taking {
    /// To be called when all is ready to serve. When it returns the other process uses nothing stored any more, and this one keeps nothing.
    pub(super) async fn take_over(mut self, path: &Path, store: &Store, clock: &Clock) -> Result<Overlap, StartError> {
        let failed = |reason: String| StartError::Handover { path: path.into(), reason };
        let everything = store.scopes.hold(&[Scope::Everything]);
        everything.settle(u64::MAX);
        // If it is gone, the line after this tells.
        drop(say(&mut self.stream, "ready").await);
        let tell = |since: Duration| {
            tracing::info!(
                waited_s = since.as_secs(),
                at_most_s = GO.as_secs(),
                "waiting for the process that runs to let go"
            );
        };
        match patiently(clock, timeout(GO, line(&mut self.stream)), tell).await {
            // Without a word: it has ended, and we have its sockets.
            Ok(Ok(None)) => {}
            Ok(Ok(Some(word))) if word == "go" => {}
            Ok(Ok(Some(word))) => {
                return Err(failed(format!("the process that runs doesn't hand over: it said {word:?}")));
            }
            Ok(Err(error)) => return Err(failed(format!("the process that runs can't be heard: {error}"))),
            Err(_) => return Err(failed("the process that runs doesn't let go".into())),
        }
        Ok(Overlap { stream: self.stream, everything })
    }
}

impl Overlap {
    /// Says that this process accepts.
    pub(super) async fn serving(&mut self) {
        drop(say(&mut self.stream, "serving").await); // if it is gone, that is seen by `ended`
    }

    /// Resolves when the other process is gone; from then on, or a little later, this one caches.
    pub(super) async fn ended(mut self, clock: &Clock, longest: Duration) {
        let mut said = None;
        let heard = async {
            while let Ok(Some(word)) = line(&mut self.stream).await {
                said = word.strip_prefix("settles ").and_then(|ms| ms.parse::<u64>().ok()).or(said);
            }
        };
        let tell = |since: Duration| {
            tracing::info!(waited_s = since.as_secs(), "the process before this one still drains; nothing is kept yet");
        };
        patiently(clock, heard, tell).await;
        let ms = said.unwrap_or(millis(longest));
        self.everything.settled(clock.mono().saturating_add(ms).saturating_add(1));
        tracing::info!(settles_ms = ms, "the process before this one has ended; answers are kept from now on");
        tokio::time::sleep(Duration::from_millis(ms)).await; // the cell stays as long as it says something
    }
}

/// The longest that a write which was cut short may take to be applied.
pub(super) fn longest_write(config: &Config) -> Duration {
    let apis = config.all_apis();
    let rules =
        apis.iter().flat_map(|api| std::iter::once(&api.rules).chain(api.routes.iter().map(|route| &route.rules)));
    // A try that was given up and another one, each of which may be under way.
    rules.map(|rules| rules.write_settle.max(rules.timeouts.first_byte * 2)).max().unwrap_or_default()
}
