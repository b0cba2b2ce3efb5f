//! Objects that an event has made out of date: each is dropped at once and loaded again behind the event's back.
//!
//! Whoever reads one meanwhile waits for the new one, since the question that loads it was asked after the invalidation and may be joined. What
//! another event overtakes is asked for once more when it has ended, so at most one question for an object is under way here, and one more is due:
//! however many events come, the source is asked ten times a second at the most, and the last of them is never forgotten.
//!
//! Bounded are the objects that wait, and the questions. What there is no room for isn't loaded again; it is out of date all the same, and its next
//! reader loads it.

use super::Objects;
use super::space::object;
use crate::client::{Client, Interim};
use crate::gateway::Object;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Between two questions for one object: what comes meanwhile is covered by the second.
const PAUSE: Duration = Duration::from_millis(100);

/// The objects that are being loaded, or wait for it, by their keys in the store.
#[derive(Debug)]
pub(super) struct Refreshes {
    waiting: Mutex<HashMap<Box<[u8]>, Due>>,
    most: usize,
    asking: Semaphore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// It waits for its turn; whatever comes before that is covered by it.
    Once,
    /// It is being asked for.
    Asking,
    /// The same, and another event has come.
    Again,
}

impl Refreshes {
    /// `most` objects, `asking` of them at a time.
    pub(super) fn new(most: usize, asking: usize) -> Self {
        Refreshes { waiting: Mutex::default(), most, asking: Semaphore::new(asking.clamp(1, Semaphore::MAX_PERMITS)) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Due>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody is to be sent for it.
    fn enter(&self, key: &[u8]) -> Result<bool, String> {
        let mut waiting = self.lock();
        if let Some(due) = waiting.get_mut(key) {
            if *due == Due::Asking {
                *due = Due::Again;
            }
            return Ok(false);
        }
        if waiting.len() >= self.most {
            return Err(format!("{} objects wait to be loaded again already (objects.refreshes)", waiting.len()));
        }
        waiting.insert(key.into(), Due::Once);
        Ok(true)
    }

    fn begin(&self, key: &[u8]) {
        self.lock().insert(key.into(), Due::Asking);
    }

    /// Whether it has to be asked for once more.
    fn end(&self, key: &[u8]) -> bool {
        let mut waiting = self.lock();
        match waiting.get_mut(key) {
            Some(due @ Due::Again) => {
                *due = Due::Once;
                true
            }
            Some(Due::Once | Due::Asking) | None => {
                waiting.remove(key);
                false
            }
        }
    }
}

impl Objects {
    /// Drops an object, and loads it again if its namespace has a source.
    ///
    /// # Errors
    /// Why it isn't loaded again; it is dropped in any case, unless there is no such namespace or no such key.
    pub fn refresh(self: &Arc<Self>, namespace: &str, key: &str) -> Result<(), String> {
        let object = self.drop_one(namespace, key)?;
        if object.mounted.api.source().is_none() {
            return Err("its namespace has no source".into());
        }
        let lasting = &self.around.lasting;
        let own = object.key();
        if lasting.refreshes.enter(&own)? {
            let objects = Arc::clone(self);
            self.around.tasks.spawn(async move { objects.load(object, &own).await });
        }
        Ok(())
    }

    /// Drops an object.
    ///
    /// # Errors
    /// There is no such namespace, or it can be no key.
    pub fn drop_one(&self, namespace: &str, key: &str) -> Result<Object, String> {
        let space = self.spaces.get(namespace).ok_or_else(|| format!("there is no namespace `{namespace}`"))?;
        super::target::checked(key).map_err(|problem| problem.detail().to_owned())?;
        let object = object(space, key);
        self.invalidate(&object);
        Ok(object)
    }

    async fn load(self: &Arc<Self>, object: Object, key: &[u8]) {
        let refreshes = &self.around.lasting.refreshes;
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let client = Client::new(nobody, nobody, Interim::default());
        loop {
            let Ok(_turn) = refreshes.asking.acquire().await else { return };
            refreshes.begin(key);
            if !self.around.gateway.reload(object.clone(), &client).await {
                tracing::warn!(
                    api = &*object.mounted.id,
                    "an object could not be loaded again; its next reader asks for it"
                );
            }
            if !refreshes.end(key) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_events_one_is_asked_for_and_one_is_due() {
        let refreshes = Refreshes::new(2, 1);
        assert_eq!(refreshes.enter(b"a"), Ok(true));
        assert_eq!(refreshes.enter(b"a"), Ok(false), "who waits covers it");
        refreshes.begin(b"a");
        for _ in 0..100 {
            assert_eq!(refreshes.enter(b"a"), Ok(false));
        }
        assert!(refreshes.end(b"a"), "an event came while it was asked for");
        refreshes.begin(b"a");
        assert!(!refreshes.end(b"a"));
        assert_eq!(refreshes.enter(b"a"), Ok(true));
        assert_eq!(refreshes.enter(b"b"), Ok(true));
        assert!(refreshes.enter(b"c").is_err(), "two may wait");
    }
}
