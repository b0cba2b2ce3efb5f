//! Things that look at what is outside and may change: files, an issuer's keys.
//!
//! One thread goes round them every few seconds; reading a file may take its time, and no request should wait for that. Each knows by
//! itself whether anything has changed and what to do then.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long after a round the next one begins.
const PAUSE: Duration = Duration::from_secs(5);

/// One of those things. It is quick as long as nothing has changed, and may spawn.
pub(super) type Look = Box<dyn Fn() + Send + Sync>;

/// The watch; dropping it ends its thread.
pub(super) struct Watch {
    looks: Arc<Mutex<Vec<Look>>>,
    _stop: Sender<()>,
}

impl Watch {
    /// Called inside a runtime, where what is spawned by a look will run.
    pub(super) fn start(looks: Vec<Look>) -> Self {
        let (stop, stopped) = channel();
        let looks = Arc::new(Mutex::new(looks));
        let watch = Watch { looks, _stop: stop };
        let looks = Arc::clone(&watch.looks);
        if lock(&looks).is_empty() {
            return watch;
        }
        let runtime = Handle::current();
        let go_round = move || {
            let _inside = runtime.enter();
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                round(&looks);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("watch".into()).spawn(go_round) {
            tracing::error!(%error, "no thread for the watch: files that change aren't seen");
        }
        watch
    }

    /// Goes round at once, in the thread that calls.
    pub(super) fn look(&self) {
        round(&self.looks);
    }
}

/// One round at a time.
fn round(looks: &Mutex<Vec<Look>>) {
    lock(looks).iter().for_each(|look| look());
}

fn lock(looks: &Mutex<Vec<Look>>) -> std::sync::MutexGuard<'_, Vec<Look>> {
    looks.lock().unwrap_or_else(PoisonError::into_inner)
}
