//! Where tasks are spawned, so that a stop can wait for them.

use std::future::Future;
use tokio_util::task::TaskTracker;

/// Spawns tasks and waits for them; clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Tasks(TaskTracker);

impl Tasks {
    /// Runs `task` to its end on the current runtime, whoever still waits for it.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(tokio::spawn(self.0.track_future(task)));
    }

    /// How many tasks are running.
    pub fn running(&self) -> usize {
        self.0.len()
    }

    /// Resolves once every task spawned here has ended.
    pub async fn ended(&self) {
        self.0.close();
        self.0.wait().await;
    }
}
