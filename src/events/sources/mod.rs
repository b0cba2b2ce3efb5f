//! The sources of events, `[[events.source]]`: each is a task with one connection, which comes back for ever.
//!
//! What a source hears it tells at once, in order. What it may have missed it tells as a gap. So whoever acts on both never
//! believes what the source's database has changed meanwhile, however often the connection is lost. How each kind knows that it may
//! have missed something is said where it listens (`postgres.rs`, `redis.rs`, `stream.rs`).

mod backoff;
mod ear;
mod entry;
mod failure;
mod postgres;
mod redis;
mod settings;
mod stream;

pub use ear::Shown;
pub use settings::{Kind, Postgres, Redis, Source, Url};

use super::source::Tell;
use crate::clock::Clock;
use crate::tasks::Tasks;
use crate::upstream::TlsClient;
use backoff::Backoff;
use ear::Ear;
use failure::Failure;
use rustls::RootCertStore;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The sources that are listened to.
#[derive(Debug)]
pub struct Sources {
    running: Mutex<Vec<Running>>,
    tasks: Tasks,
    clock: Clock,
    /// Where a source has no `tls` of its own.
    tls: TlsClient,
}

/// It ends when this is dropped.
#[derive(Debug)]
struct Running {
    source: Arc<Source>,
    ear: Arc<Ear>,
    _stop: DropGuard,
}

impl Sources {
    /// Listens to none yet. `tls` says whom to trust where a source doesn't say it itself.
    pub fn new(tasks: Tasks, clock: Clock, tls: TlsClient) -> Self {
        Sources { running: Mutex::default(), tasks, clock, tls }
    }

    /// Listens to these from now on, each telling what it hears to what `tell` makes for it. One that was listened to already, by the very
    /// same settings, keeps its connection, its place and the [`Tell`] that it has. Called within a runtime.
    pub fn change(&self, sources: &[Source], tell: impl Fn(&Source) -> Tell) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *running);
        for source in sources {
            let same = before.iter().position(|running| *running.source == *source);
            running.push(match same {
                Some(at) => before.swap_remove(at),
                None => self.begin(source, tell(source)),
            });
        }
    }

    /// Ends all.
    pub fn stop(&self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How they are, in the order of the file.
    pub fn shown(&self) -> Vec<Shown> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().map(|running| running.ear.shown(&running.source)).collect()
    }

    fn begin(&self, source: &Source, tell: Tell) -> Running {
        let (source, stop) = (Arc::new(source.clone()), CancellationToken::new());
        let ear = Arc::new(Ear::new(&source.name, tell, self.clock.clone()));
        let tls = self.trust(&source);
        let (mine, heard, until) = (Arc::clone(&source), Arc::clone(&ear), stop.clone());
        self.tasks.spawn(async move {
            until.run_until_cancelled(listen(&mine, &heard, &tls)).await;
        });
        Running { source, ear, _stop: stop.drop_guard() }
    }

    /// Whom a source's handshake trusts. The system's roots aren't read where none can come.
    fn trust(&self, source: &Source) -> TlsClient {
        if !source.may_need_tls() {
            return TlsClient::with_roots(RootCertStore::empty());
        }
        let tls = source.tls.clone().unwrap_or_else(|| self.tls.clone());
        tls.load();
        tls
    }
}

/// Listens, and comes back whenever that has failed.
async fn listen(source: &Source, ear: &Ear, tls: &TlsClient) -> Infallible {
    let mut backoff = Backoff::new(source.backoff, source.max_backoff);
    let mut reader = redis::Reader::default();
    loop {
        let outcome: Result<Infallible, Failure> = match &source.kind {
            Kind::Postgres(postgres) => postgres::listen(source, postgres, ear, tls).await,
            Kind::Redis(redis) => reader.listen(source, redis, ear, tls).await,
        };
        let Err(failure) = outcome;
        let stood = ear.lost(&failure);
        tokio::time::sleep(backoff.next(stood, &failure)).await;
    }
}
