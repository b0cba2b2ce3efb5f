//! The two ends of a process's life, where another process is at the other side: it may take over from one that runs (`takeover`), and it
//! may be relieved by the next (`relief`). One after the other: who comes while we still overlap with the one before us waits.

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
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

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
    relief: Option<Relief>,
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
    door: DropGuard,
    /// Held as long as this process lives, so that what it says of settling isn't forgotten.
    _everything: Held,
}

impl Coming {
    /// Asks the process that runs, where there is one; its sockets are added to `inherited`.
    pub(super) async fn ask(config: &Config, inherited: &mut Vec<Inherited>) -> Result<Self, StartError> {
        let path = config.server.handover.clone();
        let mut taking = match &path {
            Some(path) => takeover::ask(path).await?,
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
        shared: Vec<(Kind, TcpListener)>,
    ) -> Result<(Changeover, Arrival, Receiver<()>), StartError> {
        let path = self.path.clone().unwrap_or_default();
        let failed = |error: std::io::Error| StartError::Handover {
            path: path.clone(),
            reason: format!("no socket can be made there: {error}"),
        };
        let door = self.path.as_deref().map(Door::build).transpose().map_err(failed)?;
        let overlap = match self.taking {
            Some(taking) => Some(taking.take_over(&path, store).await?),
            None => None,
        };
        let (relieved, parting, stop) = (CancellationToken::new(), Parting::default(), CancellationToken::new());
        let everything = store.scopes.hold(&[Scope::Everything]);
        let relief = door.map(|door| Relief {
            door,
            sockets: shared,
            store: Arc::clone(store),
            everything: everything.clone(),
            clock: clock.clone(),
            parting: parting.clone(),
            relieved: relieved.clone(),
            stop: stop.clone(),
        });
        let (took_over, door) = (overlap.is_some(), stop.drop_guard());
        let changeover = Changeover { took_over, relieved, parting, door, _everything: everything };
        let (alone, is_alone) = channel();
        let arrival = Arrival { path, overlap, relief, longest: self.longest, clock: clock.clone(), alone };
        Ok((changeover, arrival, is_alone))
    }
}

impl Arrival {
    /// To be called when it accepts: the other process may go, and the next one come.
    pub(super) async fn serve(mut self, background: &Tasks) -> Result<(), StartError> {
        if let Some(relief) = &self.relief {
            let failed = |error: std::io::Error| StartError::Handover {
                path: self.path.clone(),
                reason: format!("our socket can't take that place: {error}"),
            };
            relief.door.open().map_err(failed)?;
        }
        if let Some(overlap) = &mut self.overlap {
            overlap.serving().await;
        }
        background.spawn(async move {
            if let Some(overlap) = self.overlap {
                overlap.ended(&self.clock, self.longest).await;
            }
            drop(self.alone);
            if let Some(relief) = self.relief {
                relief.wait().await;
            }
        });
        Ok(())
    }
}

impl Changeover {
    /// Nobody need come any more; also the sockets that were kept to be handed on are let go.
    pub(super) fn close(self) -> Parting {
        drop(self.door);
        self.parting
    }
}
