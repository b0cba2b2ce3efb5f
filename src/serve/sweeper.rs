//! The thread that takes dead answers out of the store.
//!
//! The pages that this frees belong to the threads that serve requests; the allocator gives them back to the system
//! when those allocate next. A gateway without any traffic keeps them until then.

use crate::clock::Clock;
use crate::store::Store;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How soon after an invalidation a sweep may begin; it is also the least time between two sweeps.
const SOON: Duration = Duration::from_millis(500);
/// How often expired answers are looked for when nothing was invalidated.
const CALM: u32 = 60; // times SOON: 30 s
/// A sweep may take one part in so many of the sweeper's time, so that steady writes don't cost a core.
const SHARE: u32 = 10;

/// The sweeper; dropping it ends its thread.
pub(super) struct Sweeper {
    _stop: Sender<()>,
}

impl Sweeper {
    /// `first` is done before the first sweep, in the sweeper's thread: what it puts may belong to scopes that nobody holds yet.
    pub(super) fn start(store: Arc<Store>, clock: Clock, first: impl FnOnce() + Send + 'static) -> Self {
        let (stop, stopped) = channel();
        let sweep = move || {
            first();
            let (mut pause, mut waited) = (SOON, 0);
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                waited += 1;
                if !store.wants_sweep() && waited < CALM {
                    continue;
                }
                let began = clock.now();
                let gone = store.sweep(began);
                let took = Duration::from_millis(clock.now().mono - began.mono);
                if gone > 0 {
                    tracing::debug!(gone, ms = crate::clock::millis(took), "swept the store");
                }
                (pause, waited) = (SOON.max(took * SHARE), 0);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("sweeper".into()).spawn(sweep) {
            tracing::error!(%error, "no thread for the sweeper: dead answers leave only by eviction");
        }
        Sweeper { _stop: stop }
    }
}
