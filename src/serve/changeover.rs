//! The two ends of a process's life, where another process is at the other side: it may take over from one that runs (`takeover`), and it
//! may be relieved by the next (`relief`). One after the other: who comes while we still overlap with the one before us waits.

use super::listeners::Listeners;
use super::relief::{Door, Parting, Relief};
use super::sockets::{Inherited, Kind};
use super::start_error::StartError;
use super::takeover::{self, Overlap, Taking, longest_write};
use crate::clock::Clock;
use crate::config::Config;
use crate::policy::Scope;
use crate::store::{Held, Store};
use crate::tasks::Tasks;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One that is on its way: it has asked the process that runs, if there is one.
pub(super) struct Coming {
    path: Option<PathBuf>,
    taking: Option<Taking>,
    longest: Duration,
}

/// One that is ready to serve. Another process, if there was one, keeps and uses nothing any more.
pub(super) struct Arrival {
    path: PathBuf,
    overlap: Option<Overlap>,
    door: Option<Door>,
    store: Arc<Store>,
    longest: Duration,
    clock: Clock,
    /// Dropped when no other process serves.
    alone: Sender<()>,
}

/// What a running gateway knows of who relieves it.
pub(super) struct Changeover {
    pub(super) took_over: bool,
    pub(super) relieved: CancellationToken,
    pub(super) parting: Parting,
    stop: Guard,
    /// Held as long as this process lives, so that what it says of settling isn't forgotten.
    everything: Held,
}

/// Ends the wait for who comes.
struct Guard(CancellationToken);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Coming {
    /// Asks the process that runs, where there is one; its sockets are added to `inherited`.
    pub(super) async fn ask(
        config: &Config,
        inherited: &mut Vec<Inherited>,
        clock: &Clock,
    ) -> Result<Self, StartError> {
        let path = config.server.handover.clone();
        let mut taking = match &path {
            Some(path) => takeover::ask(path, clock).await?,
            None => None,
        };
        if let Some(taking) = &mut taking {
            inherited.append(&mut taking.sockets);
        }
        Ok(Coming { path, taking, longest: longest_write(config) })
    }

    /// To be called when all is built and bound, and before anything is accepted. Also gives what tells when no other process serves.
    pub(super) async fn arrive(
        self,
        store: &Arc<Store>,
        clock: &Clock,
    ) -> Result<(Changeover, Arrival, Receiver<()>), StartError> {
        let path = self.path.clone().unwrap_or_default();
        let failed = |error: std::io::Error| StartError::Handover {
            path: path.clone(),
            reason: format!("no socket can be made there: {error}"),
        };
        let door = self.path.as_deref().map(Door::build).transpose().map_err(failed)?;
        let overlap = match self.taking {
            Some(taking) => Some(taking.take_over(&path, store, clock).await?),
            None => None,
        };
        let (relieved, parting, stop) = (CancellationToken::new(), Parting::default(), CancellationToken::new());
        let everything = store.scopes.hold(&[Scope::Everything]);
        let took_over = overlap.is_some();
        let changeover = Changeover { took_over, relieved, parting, stop: Guard(stop), everything };
        let (alone, is_alone) = channel();
        let (store, clock) = (Arc::clone(store), clock.clone());
        let arrival = Arrival { path, overlap, door, store, longest: self.longest, clock, alone };
        Ok((changeover, arrival, is_alone))
    }
}

impl Arrival {
    /// To be called when it accepts: the other process may go, and the next one come.
    pub(super) async fn serve(
        mut self,
        changeover: &Changeover,
        background: &Tasks,
        listeners: &Arc<Mutex<Listeners>>,
        house: Vec<(Kind, TcpListener)>,
        longest_write: Arc<AtomicU64>,
    ) -> Result<(), StartError> {
        if let Some(door) = &self.door {
            let failed = |error: std::io::Error| StartError::Handover {
                path: self.path.clone(),
                reason: format!("our socket can't take that place: {error}"),
            };
            door.open().map_err(failed)?;
        }
        if let Some(overlap) = &mut self.overlap {
            overlap.serving().await;
        }
        let relief = self.door.map(|door| Relief {
            door,
            listeners: Arc::downgrade(listeners),
            house,
            store: self.store,
            everything: changeover.everything.clone(),
            clock: self.clock.clone(),
            longest_write,
            parting: changeover.parting.clone(),
            relieved: changeover.relieved.clone(),
            stop: changeover.stop.0.clone(),
        });
        background.spawn(async move {
            if let Some(overlap) = self.overlap {
                overlap.ended(&self.clock, self.longest).await;
            }
            drop(self.alone);
            if let Some(relief) = relief {
                relief.wait().await;
            }
        });
        Ok(())
    }
}

impl Changeover {
    /// Nobody need come any more.
    pub(super) fn close(&self) {
        self.stop.0.cancel();
    }
}
