//! How listeners are told to stop, in two steps.

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    Closing,
}

/// The hand on the switch. Dropping it closes at once.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Phase>);

/// What a listener and its connections look at; clones look at the same switch.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Phase>);

/// A switch that serves.
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(Phase::Serving);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// No connection is accepted any more; idle ones are closed, busy ones end with the answer they are at.
    pub fn drain(&self) {
        self.0.send_if_modified(|phase| std::mem::replace(phase, Phase::Draining.max(*phase)) < Phase::Draining);
    }

    /// Whether nobody looks at it any more: the listener and all its connections have ended.
    pub fn is_over(&self) -> bool {
        self.0.receiver_count() == 0
    }

    /// Every connection is cut.
    pub fn close(&self) {
        self.0.send_if_modified(|phase| std::mem::replace(phase, Phase::Closing) < Phase::Closing);
    }
}

impl Stop {
    /// Whether something has happened since the last [`Stop::draining`] or [`Stop::closing`]; one atomic load.
    pub(super) fn stirred(&self) -> bool {
        self.0.has_changed().unwrap_or(true)
    }

    /// Resolves once draining or closing has begun.
    pub(super) async fn draining(&mut self) {
        self.reached(Phase::Draining).await;
    }

    /// Resolves once closing has begun.
    pub(super) async fn closing(&mut self) {
        self.reached(Phase::Closing).await;
    }

    async fn reached(&mut self, least: Phase) {
        // An error means that the stopper is gone, which is the strongest stop of all.
        drop(self.0.wait_for(|phase| *phase >= least).await.map(|_| ()));
    }
}
