//! All connections of the admin ports, and how they end.

use crate::tasks::Tasks;
use std::future::Future;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Clones mean the same connections.
#[derive(Clone, Debug)]
pub struct Connections {
    /// Open at once, on each port.
    pub(super) most: usize,
    tasks: Tasks,
    pub(super) stop: CancellationToken,
    cut: CancellationToken,
}

impl Connections {
    /// There are none yet; so many may be open at once on each port.
    pub fn new(most: usize) -> Self {
        Connections { most, tasks: Tasks::default(), stop: CancellationToken::new(), cut: CancellationToken::new() }
    }

    /// Accepts no more of them. Who has asked is answered, and who has only just connected may ask once.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Stops, and resolves when the last of them has ended; after `patience` they are cut. From then on nothing is done for them. Whether they
    /// ended by themselves.
    pub async fn ended(&self, patience: Duration) -> bool {
        self.stop();
        let ended = tokio::time::timeout(patience, self.tasks.ended()).await.is_ok();
        if !ended {
            self.cut.cancel();
            self.tasks.ended().await;
        }
        ended
    }

    /// How many tasks there are: one for each connection, and one for each port.
    pub fn running(&self) -> usize {
        self.tasks.running()
    }

    /// Runs `task`, which ends by itself when it is told to stop, and is dropped when it doesn't.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.clone();
        self.tasks.spawn(async move {
            cut.run_until_cancelled(task).await;
        });
    }
}
