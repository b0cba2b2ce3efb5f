//! How listeners are told to stop, step by step.

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// Answers tell their connections to end.
    Leaving,
    /// Nobody is accepted here any more, since somebody else accepts at the same sockets.
    Departing,
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
    /// Connections are still accepted, and each ends with the next answer that it is given.
    pub fn leave(&self) {
        self.reach(Phase::Leaving);
    }

    /// The same, but no connection is accepted any more: another process accepts at the same sockets.
    pub fn depart(&self) {
        self.reach(Phase::Departing);
    }

    /// No connection is accepted any more, but for those that wait to be; idle ones are closed, busy ones end with the answer they are at.
    pub fn drain(&self) {
        self.reach(Phase::Draining);
    }

    /// Whether nobody looks at it any more: the listener and all its connections have ended.
    pub fn is_over(&self) -> bool {
        self.0.receiver_count() == 0
    }

    /// Every connection is cut.
    pub fn close(&self) {
        self.reach(Phase::Closing);
    }

    fn reach(&self, next: Phase) {
        self.0.send_if_modified(|phase| std::mem::replace(phase, next.max(*phase)) < next);
    }
}

impl Stop {
    /// Whether something has happened since the last wait on this very value; on one that was never waited on, whether any
    /// step has been taken. One atomic load.
    pub(super) fn stirred(&self) -> bool {
        self.0.has_changed().unwrap_or(true)
    }

    /// Whether another process accepts at the same sockets.
    pub(super) fn is_departing(&self) -> bool {
        *self.0.borrow() == Phase::Departing
    }

    /// Resolves once connections are to end with their next answer.
    pub(super) async fn leaving(&mut self) {
        self.reached(Phase::Leaving).await;
    }

    /// Resolves once nobody is to be accepted any more.
    pub(super) async fn departing(&mut self) {
        self.reached(Phase::Departing).await;
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
