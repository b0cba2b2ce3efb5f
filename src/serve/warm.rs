//! When the snapshot is loaded and saved, and what is said of it.

use super::foundation::Foundation;
use super::in_force::Current;
use super::progress::{Teller, What};
use crate::clock::millis;
use crate::policy::Mounted;
use crate::snapshot::{self, Counts, Loading, NotLoaded};
use crate::store;
use crate::telemetry::hides;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a process that takes over waits, unswept, for its predecessor's snapshot. The cells of writes that came meanwhile
/// are kept so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The snapshot of a running gateway.
pub(super) struct Warm {
    path: PathBuf,
    max_size: u64,
    max_object_size: u64,
    foundation: Arc<Foundation>,
    current: Current,
    /// Nothing is saved before what there was is loaded, or found wanting.
    begun: AtomicBool,
    /// Where the process before this one hadn't ended in time: what tells when it has. Until then the file is its to write.
    late: Mutex<Option<Receiver<()>>>,
}

impl Warm {
    /// `None` where the configuration names no file.
    pub(super) fn new(foundation: &Arc<Foundation>, current: &Current) -> Option<Arc<Self>> {
        let in_force = current.load();
        let store::Settings { snapshot, max_size, max_object_size, .. } = &in_force.config.cache;
        let path = snapshot.clone()?;
        let (max_size, max_object_size) = (*max_size, *max_object_size);
        let (foundation, current) = (Arc::clone(foundation), Arc::clone(current));
        let (begun, late) = (AtomicBool::new(false), Mutex::new(None));
        Some(Arc::new(Warm { path, max_size, max_object_size, foundation, current, begun, late }))
    }

    /// Loads once `alone` is closed: the predecessor, if there is one, saves at its end. In the thread that calls.
    pub(super) fn load(&self, alone: Receiver<()>) {
        let file = self.path.display();
        if alone.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(%file, "snapshot not loaded: the process before this one hasn't ended yet");
            *self.late() = Some(alone);
            return self.begun.store(true, Ordering::Release);
        }
        let found = self.load_now();
        self.begun.store(true, Ordering::Release);
        let _ = self.foundation.snapshot.set(found); // nobody else sets it
    }

    /// Whether the file may be written.
    fn may_save(&self) -> bool {
        let late = self.late().as_ref().is_some_and(|alone| alone.try_recv() == Err(TryRecvError::Empty));
        self.begun.load(Ordering::Acquire) && !late
    }

    fn late(&self) -> MutexGuard<'_, Option<Receiver<()>>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load_now(&self) -> Counts {
        let (clock, in_force) = (self.foundation.clock(), self.current.load_full());
        let (file, began) = (self.path.display(), clock.uptime());
        let tally = |mounted: &Mounted| Arc::clone(&in_force.served[mounted.number].tally);
        let teller = Teller::begin(What::Load, &self.path, clock, &self.foundation.progress);
        let to = Loading {
            store: &self.foundation.store,
            apis: &in_force.apis,
            tally: &tally,
            max_size: self.max_size,
            max_object_size: self.max_object_size,
            clock,
            watch: &|progress| teller.at(progress),
        };
        let loaded = snapshot::load(&self.path, &to);
        let ms = millis(clock.uptime().saturating_sub(began));
        match loaded {
            Ok(loaded) => {
                let (entries, left_out, bytes) = (loaded.entries, loaded.left_out, loaded.bytes);
                tracing::info!(%file, entries, left_out, bytes, ms, "snapshot loaded; each is confirmed before its first use");
                Counts { loaded: entries, left_out, ignored: false }
            }
            Err(NotLoaded::Absent) => {
                tracing::info!(%file, "no snapshot yet");
                Counts::default()
            }
            Err(NotLoaded::Wrong(wrong)) => {
                tracing::warn!(%file, reason = %wrong, "snapshot ignored");
                Counts { ignored: true, ..Counts::default() }
            }
        }
    }

    /// Saves what is stored now. When it can't, the file that was there stays.
    pub(super) async fn save(self: Arc<Self>) {
        if !self.may_save() {
            let file = self.path.display();
            return tracing::warn!(%file, "snapshot not saved: the one that is there isn't loaded yet, or not ours yet");
        }
        // A thread of its own and not the runtime's: who is told to end at once doesn't wait for a disk.
        let (done, ended) = tokio::sync::oneshot::channel::<()>();
        let save = move || {
            self.save_now();
            drop(done);
        };
        match std::thread::Builder::new().name("snapshot".into()).spawn(save) {
            Ok(_) => drop(ended.await),
            Err(error) => tracing::error!(%error, "no thread for the snapshot: not saved"),
        }
    }

    fn save_now(&self) {
        let clock = self.foundation.clock();
        let (file, began) = (self.path.display(), clock.uptime());
        let in_force = self.current.load();
        let teller = Teller::begin(What::Save, &self.path, clock, &self.foundation.progress);
        let hidden = &in_force.config.log.redact_query;
        let hides = |query: &str| hides(query, hidden);
        let saved = snapshot::save(&self.path, &self.foundation.store, &in_force.apis, &hides, &|at| teller.at(at));
        let ms = millis(clock.uptime().saturating_sub(began));
        match saved {
            Ok(saved) => {
                let (entries, left_out, bytes) = (saved.entries, saved.left_out, saved.bytes);
                tracing::info!(%file, entries, left_out, bytes, ms, "snapshot saved");
            }
            Err(error) => tracing::error!(%file, %error, "snapshot not saved; the one that was there stays"),
        }
    }
}
