//! Handing over to the process that comes; `takeover` has the other side, and why it is done so.
//!
//! Until the other one accepts, nothing is given up here: this process goes on accepting, though it neither uses nor keeps
//! anything from `go` on. If the other one is gone before it says `serving`, it may have carried writes all the same, and left them half done: so
//! all that is stored here is invalidated, nothing is kept for as long as a write may take, and this process goes on. There is no time-out for that wait, since it can't be known
//! whether the other one serves; it ends with a word or with the other process.
//!
//! Once sockets were sent the connection stays open until this process has ended, unless it has said `no`: for the other side its end means
//! that. So it is also kept where the runtime can't drop it ([`Parting`]).

use super::fds::{is_ours, line, say, send_sockets};
use super::listeners::Listeners;
use super::progress::patiently;
use super::sockets::Kind;
use crate::clock::Clock;
use crate::store::{Held, Severity, Store};
use std::fs::Permissions;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as Socket;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long the other process may take until it is ready to serve.
const READY: Duration = Duration::from_secs(60);
/// The wait after an accept that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The connection to the process that takes over. It is to be dropped last of all, when no task can run any more: its end says that
/// this process is gone.
#[derive(Clone, Debug, Default)]
pub struct Parting(Arc<Mutex<Option<Socket>>>);

impl Parting {
    fn set(&self, socket: Option<Socket>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = socket;
    }

    /// Says that every write has ended, and how long one of unknown outcome may still take to be applied.
    pub(super) fn farewell(&self, settles_ms: u64) {
        if let Some(socket) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            drop(socket.write_all(format!("settles {settles_ms}\n").as_bytes())); // the other side has a bound of its own
        }
    }
}

/// The socket at which the next process knocks.
pub(super) struct Door {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of the file, to know it again.
    file: (u64, u64),
}

impl Door {
    /// Makes it beside `path`; it is no door before [`Door::open`].
    pub(super) fn build(path: &Path) -> io::Result<Self> {
        if std::fs::symlink_metadata(path).is_ok_and(|about| !about.file_type().is_socket()) {
            return Err(io::Error::other("there is something else than a socket"));
        }
        let new = beside(path);
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&new)?;
        std::fs::set_permissions(&new, Permissions::from_mode(0o600))?;
        let about = std::fs::metadata(&new)?;
        Ok(Door { listener, path: path.into(), file: (about.dev(), about.ino()) })
    }

    /// Takes the place of the one that was there.
    pub(super) fn open(&self) -> io::Result<()> {
        std::fs::rename(beside(&self.path), &self.path)
    }
}

impl Drop for Door {
    /// Unless another process has put its own there.
    fn drop(&mut self) {
        let is_own = |path: &Path| std::fs::metadata(path).is_ok_and(|about| (about.dev(), about.ino()) == self.file);
        for path in [self.path.clone(), beside(&self.path)] {
            if is_own(&path) {
                drop(std::fs::remove_file(path));
            }
        }
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// What is needed to hand over.
pub(super) struct Relief {
    pub(super) door: Door,
    /// Where clients connect; gone when the gateway is.
    pub(super) listeners: Weak<Mutex<Listeners>>,
    /// The sockets of `[admin]`.
    pub(super) house: Vec<(Kind, TcpListener)>,
    pub(super) store: Arc<Store>,
    /// The scope of everything. Others must hold it as well for as long as this process lives: its cell says that nothing is to be kept.
    pub(super) everything: Held,
    pub(super) clock: Clock,
    /// Milliseconds that a write may take which is under way here, at the most.
    pub(super) longest_write: Arc<AtomicU64>,
    pub(super) parting: Parting,
    /// Cancelled when another process has taken over.
    pub(super) relieved: CancellationToken,
    /// Cancelled when nobody need come any more.
    pub(super) stop: CancellationToken,
}

impl Relief {
    /// Waits for who comes, one after the other, until one has taken over.
    pub(super) async fn wait(self) {
        loop {
            let Some(accepted) = self.stop.run_until_cancelled(self.door.listener.accept()).await else { return };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "nobody can be handed over to; trying again");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            match self.hand_over(stream).await {
                Ok(()) => {
                    tracing::info!("another process has taken over");
                    return self.relieved.cancel();
                }
                Err(reason) => tracing::warn!(reason, "not handed over; going on"),
            }
        }
    }

    /// Every socket at this moment.
    fn sockets(&self) -> io::Result<Vec<(Kind, TcpListener)>> {
        let listeners = self.listeners.upgrade().ok_or_else(|| io::Error::other("it is stopping"))?;
        let mut sockets = listeners.lock().unwrap_or_else(PoisonError::into_inner).shared()?;
        for (kind, socket) in &self.house {
            sockets.push((*kind, socket.try_clone()?));
        }
        Ok(sockets)
    }

    async fn hand_over(&self, mut stream: UnixStream) -> Result<(), String> {
        if !is_ours(&stream).map_err(text)? {
            return Err("who came is another user".into());
        }
        self.parting.set(Some(stream.as_fd().try_clone_to_owned().map_err(text)?.into()));
        let outcome = self.converse(&mut stream).await;
        if outcome.is_err() {
            drop(say(&mut stream, "no").await);
            self.parting.set(None);
        }
        outcome
    }

    async fn converse(&self, stream: &mut UnixStream) -> Result<(), String> {
        send_sockets(stream, &self.sockets().map_err(text)?).await.map_err(text)?;
        let tell = |since: Duration| {
            tracing::info!(
                waited_s = since.as_secs(),
                at_most_s = READY.as_secs(),
                "waiting for the process that takes over to be ready"
            );
        };
        match patiently(&self.clock, timeout(READY, line(stream)), tell).await {
            Ok(Ok(Some(word))) if word == "ready" => {}
            Ok(Ok(word)) => return Err(word.map_or("it is gone".into(), |word| format!("it said {word:?}"))),
            Ok(Err(error)) => return Err(text(error)),
            Err(_) => return Err("it doesn't get ready".into()),
        }
        self.everything.settle(u64::MAX);
        self.store.rest(true);
        let serves = async {
            say(stream, "go").await.map_err(text)?;
            line(stream).await.map_err(text)
        };
        let tell = |since: Duration| {
            tracing::info!(waited_s = since.as_secs(), "waiting for the process that takes over to accept");
        };
        match patiently(&self.clock, serves, tell).await {
            Ok(Some(word)) if word == "serving" => {
                // For as long as nothing else is said: this process may end in the middle of its writes.
                drop(say(stream, &format!("settles {}", self.longest_write.load(Relaxed))).await);
                Ok(())
            }
            other => {
                self.store.scopes.raise(&self.everything, Severity::Hard);
                self.everything
                    .settled(self.clock.mono().saturating_add(self.longest_write.load(Relaxed)).saturating_add(1));
                self.store.rest(false);
                Err(match other {
                    Ok(Some(word)) => format!("it said {word:?}"),
                    Ok(None) => "it is gone".into(),
                    Err(error) => error,
                })
            }
        }
    }
}

fn text(error: io::Error) -> String {
    error.to_string()
}
