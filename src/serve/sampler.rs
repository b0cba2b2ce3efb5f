//! The thread that takes a sample of the traffic at the end of each step.

use super::house::Rooms;
use crate::clock::Clock;
use crate::telemetry::History;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long it sleeps at the most: a clock that is stepped, as by a machine that slept, is noticed as soon.
const LONGEST: Duration = Duration::from_millis(500);

/// The sampler; dropping it ends its thread.
pub(super) struct Sampler {
    _stop: Sender<()>,
}

impl Sampler {
    pub(super) fn start(rooms: &Arc<Rooms>, clock: Clock) -> Self {
        let (stop, stopped) = channel();
        let rooms = Arc::downgrade(rooms);
        let sample = move || {
            while stopped.recv_timeout(History::left(clock.mono()).min(LONGEST)) == Err(RecvTimeoutError::Timeout) {
                let Some(rooms) = rooms.upgrade() else { return };
                rooms.sample();
            }
        };
        if let Err(error) = std::thread::Builder::new().name("sampler".into()).spawn(sample) {
            tracing::error!(%error, "no thread for the sampler: /v1/traffic stays empty");
        }
        Sampler { _stop: stop }
    }
}
