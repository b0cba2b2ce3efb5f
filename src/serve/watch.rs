//! Things that look at what is outside and may change: files, an issuer's keys.
//!
//! One thread goes round them every few seconds; reading a file may take its time, and no request should wait for that. Each knows by
//! itself whether anything has changed and what to do then. The file of the configuration is looked at before the others, and not as one
//! of them: what it says may replace them.

use arc_swap::ArcSwap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long after a round the next one begins.
const PAUSE: Duration = Duration::from_secs(5);

/// One of those things. It is quick as long as nothing has changed, and may spawn.
pub(super) type Look = Box<dyn Fn() + Send + Sync>;

/// All of them but the configuration.
pub(super) struct Looks {
    list: ArcSwap<Vec<Look>>,
    /// One round at a time.
    turn: Mutex<()>,
}

impl Looks {
    pub(super) fn new(list: Vec<Look>) -> Arc<Self> {
        Arc::new(Looks { list: ArcSwap::from_pointee(list), turn: Mutex::default() })
    }

    /// These from now on.
    pub(super) fn set(&self, list: Vec<Look>) {
        self.list.store(Arc::new(list));
    }

    /// Goes round them, in the thread that calls.
    pub(super) fn round(&self) {
        let _one = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.list.load_full().iter().for_each(|look| look());
    }
}

/// The watch; dropping it ends its thread.
pub(super) struct Watch {
    looks: Arc<Looks>,
    configuration: Arc<Look>,
    _stop: Sender<()>,
}

impl Watch {
    /// Called inside a runtime, where what is spawned by a look will run.
    pub(super) fn start(looks: Arc<Looks>, configuration: Look) -> Self {
        let (stop, stopped) = channel();
        let configuration = Arc::new(configuration);
        let watch = Watch { looks: Arc::clone(&looks), configuration: Arc::clone(&configuration), _stop: stop };
        let runtime = Handle::current();
        let go_round = move || {
            let _inside = runtime.enter();
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                configuration();
                looks.round();
            }
        };
        if let Err(error) = std::thread::Builder::new().name("watch".into()).spawn(go_round) {
            tracing::error!(%error, "no thread for the watch: files that change aren't seen");
        }
        watch
    }

    /// Goes round at once, in the thread that calls.
    pub(super) fn look(&self) {
        (self.configuration)();
        self.looks.round();
    }
}
