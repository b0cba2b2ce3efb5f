//! Order without sleeping.

use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;

/// A gate that tasks wait before until it is opened, and that can tell how many have come. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    arrived: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// A gate that nobody passes yet.
    pub fn closed() -> Gate {
        Gate { arrived: watch::Sender::new(0), open: watch::Sender::new(false) }
    }

    /// Counts the caller as arrived, then waits until the gate is open.
    pub async fn pass(&self) {
        self.arrived.send_modify(|n| *n += 1);
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
    }

    /// Waits until `n` have arrived in all, whether or not they have passed.
    pub async fn arrived(&self, n: usize) {
        within(&format!("{n} at the gate"), self.arrived.subscribe().wait_for(|have| *have >= n)).await.unwrap();
    }

    /// How many have arrived so far.
    pub fn count(&self) -> usize {
        *self.arrived.borrow()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Stops those who come from now on.
    pub fn close(&self) {
        self.open.send_replace(false);
    }
}

/// Waits for `event`, and fails the test when it is plainly not going to happen.
pub async fn within<F: Future>(what: &str, event: F) -> F::Output {
    match tokio::time::timeout(Duration::from_secs(30), event).await {
        Ok(output) => output,
        Err(_) => panic!("waited 30 s in vain for {what}"),
    }
}
