//! Builds the parts, joins them, starts their tasks, replaces them, and stops them again: the only place that sees all of them.
//!
//! `foundation` is what stands as long as the process does, `in_force` what one configuration makes of it, and `reload` replaces the one
//! by another. `front` takes requests from the listeners, `house` shows everything to the admin port.

mod changeover;
mod fds;
mod file;
mod foundation;
mod front;
mod history;
mod house;
mod in_force;
mod listeners;
mod next_start;
pub mod notify;
mod papers;
mod ports;
mod progress;
mod relief;
mod reload;
mod replace;
mod report;
mod rewrite;
mod sampler;
mod sockets;
mod start_error;
mod sweeper;
mod takeover;
mod warm;
mod watch;
mod written;

pub use file::File;
pub use listeners::Moved;
pub use papers::Papers;
pub use relief::Parting;
pub use report::{Refused, Report};
pub use sockets::{Inherited, activated};
pub use start_error::StartError;

use crate::admin;
use crate::audit::Audit;
use crate::clock::{Clock, millis};
use crate::config::Config;
use crate::events::{Tell, Via};
use crate::policy::Apis;
use crate::store::Store;
use crate::tasks::Tasks;
use crate::telemetry::Lines;
use arc_swap::ArcSwap;
use changeover::{Changeover, Coming};
use foundation::Foundation;
use front::Cut;
use house::Rooms;
use in_force::Current;
use listeners::{Listeners, again, open};
use ports::{Doors, Ports};
use progress::patiently;
use reload::{Reloader, data_tls, load, looks};
use sampler::Sampler;
use sockets::{Found, Kind};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sweeper::Sweeper;
use tokio::net::TcpListener;
use warm::Warm;
use watch::{Looks, Watch};
use written::Written;

/// How long connections that idle are left open after another process has taken over: their clients' next answer tells them to
/// go, where an end out of the blue would cross with what they are about to ask.
const GRACE: Duration = Duration::from_secs(1);

/// How long those of the admin port may take to finish what they have asked for.
const ADMIN: Duration = Duration::from_secs(5);

/// How long what was cut at the drain deadline may take to fall.
const CUT: Duration = Duration::from_millis(200);

/// A running gateway. Dropping it without [`Running::stop`] cuts every connection.
pub struct Running {
    cut: Vec<Cut>,
    /// Where clients connect at the start, in the order of `server.listen`, with the ports that were free.
    pub data: Vec<SocketAddr>,
    /// The admin port.
    pub admin: Option<SocketAddr>,
    /// The probe port.
    pub probe: Option<SocketAddr>,
    /// The object cache.
    pub objects: Option<SocketAddr>,
    rooms: Arc<Rooms>,
    reloader: Arc<Reloader>,
    current: Current,
    clients: Tasks,
    listeners: Arc<Mutex<Listeners>>,
    admin_connections: admin::Connections,
    warm: Option<Arc<Warm>>,
    changeover: Changeover,
    _sweeper: Sweeper,
    _sampler: Sampler,
    watch: Watch,
}

/// Binds every listener, then serves. `lines` is where access lines go. There is no file to read again.
///
/// # Errors
/// When an address can't be bound; then nothing is served.
pub async fn start(config: Config, clock: Clock, lines: Lines) -> Result<Running, StartError> {
    start_from(None, config, clock, lines, Vec::new()).await
}

/// Binds every listener, or takes what is `inherited` for it, then serves; `file`, which `config` comes from, is read again when it changes or
/// somebody says so.
///
/// # Errors
/// When an address can't be bound, a socket isn't configured, or the process that runs doesn't hand over; then nothing is served.
pub async fn start_from(
    file: Option<File>,
    config: Config,
    clock: Clock,
    lines: Lines,
    mut inherited: Vec<Inherited>,
) -> Result<Running, StartError> {
    let tls = data_tls(&config, None)?;
    let admin_tls = load("admin.tls", config.admin.tls.as_ref(), &["http/1.1"])?;
    let audit = audit(&config.admin, &clock)?;
    let coming = Coming::ask(&config, &mut inherited, &clock).await?;
    let mut found = Found::assign(&config, inherited)?;
    let ports = Ports::open(&config, &mut found)?;
    let admin = AdminPorts::open(&config.admin, &mut found)?;
    let apis = Apis::new(config.all_apis());
    let foundation = Foundation::lay(&config, &apis, (clock.clone(), audit), lines);
    let served = foundation.served(&apis, None);
    let in_force = Arc::new(foundation.build(config, apis, served, tls.clone()));
    let (changeover, arrival, alone) = coming.arrive(&foundation.store, &clock).await?;
    let looks = Looks::new(looks(&in_force, [admin_tls.as_ref(), ports.object_tls()]));
    let current: Current = Arc::new(ArcSwap::new(Arc::clone(&in_force)));
    let doors = ports.serve(&foundation, &in_force, &current, tls);
    let Doors { cut, data, objects, serving, object_door, listeners } = doors;
    let reloader = Arc::new(Reloader {
        foundation: Arc::clone(&foundation),
        current: Arc::clone(&current),
        serving,
        listeners: Arc::downgrade(&listeners),
        looks: Arc::clone(&looks),
        admin_tls,
        objects: object_door,
        written: ArcSwap::new(file.as_ref().map_or_else(|| Arc::new(Written::nowhere()), File::written)),
        file: Mutex::new(file),
        history: Default::default(),
        listen: Default::default(),
    });
    let rooms = Arc::new(Rooms::new(Arc::clone(&foundation), Arc::clone(&current), Arc::clone(&reloader)));
    rooms.begin_to_listen();
    let admin_connections = admin::Connections::new(in_force.config.admin.limits.connections);
    let house = if in_force.config.server.handover.is_some() { admin.shared()? } else { Vec::new() };
    let (admin, probe) = admin.serve(&reloader, &rooms, in_force.config.admin.metrics_public, &admin_connections);
    let configuration = Arc::clone(&reloader);
    let warm = Warm::new(&foundation, &current);
    let first = warm.clone().map(|warm| move || warm.load(alone));
    rooms.set_ready(true);
    let (tasks, longest) = (&foundation.outside.tasks, Arc::clone(&foundation.longest_write));
    arrival.serve(&changeover, tasks, &listeners, house, longest).await?;
    Ok(Running {
        cut,
        data,
        admin,
        probe,
        objects,
        _sampler: Sampler::start(&rooms, clock.clone()),
        _sweeper: Sweeper::start(Arc::clone(&foundation.store), clock, || first.map_or((), |first| first())),
        warm,
        changeover,
        watch: Watch::start(looks, Box::new(move || configuration.look())),
        rooms,
        reloader,
        current,
        clients: foundation.clients.clone(),
        listeners,
        admin_connections,
    })
}

/// Where acts are told.
fn audit(settings: &admin::Settings, clock: &Clock) -> Result<Arc<Audit>, StartError> {
    let audit = match &settings.audit_file {
        Some(path) => {
            Audit::in_file(clock.clone(), path).map_err(|cause| StartError::Audit { path: path.clone(), cause })?
        }
        None => Audit::new(clock.clone()),
    };
    Ok(Arc::new(audit))
}

/// The sockets of `[admin]`, bound.
struct AdminPorts {
    admin: Option<TcpListener>,
    probe: Option<TcpListener>,
}

impl AdminPorts {
    fn open(settings: &admin::Settings, found: &mut Found) -> Result<Self, StartError> {
        let admin = settings.listen.map(|address| open(Kind::Admin, address, found)).transpose()?;
        let probe = settings.probe_listen.map(|address| open(Kind::Probe, address, found)).transpose()?;
        Ok(AdminPorts { admin, probe })
    }

    /// The same once more, to be handed on.
    fn shared(&self) -> Result<Vec<(Kind, std::net::TcpListener)>, StartError> {
        let both = [(Kind::Admin, &self.admin), (Kind::Probe, &self.probe)];
        let there = both.into_iter().filter_map(|(kind, listener)| Some((kind, listener.as_ref()?)));
        there.map(|(kind, listener)| Ok((kind, again(listener).map_err(StartError::Given)?))).collect()
    }

    /// Serves them; where they are.
    fn serve(
        self,
        reloader: &Reloader,
        rooms: &Arc<Rooms>,
        metrics_public: bool,
        connections: &admin::Connections,
    ) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let Foundation { guard, reached, .. } = &*reloader.foundation;
        let address = |listener: &Option<TcpListener>| listener.as_ref().and_then(|l| l.local_addr().ok());
        let addresses = (address(&self.admin), address(&self.probe));
        if let Some(listener) = self.admin {
            let (tls, guard) = (reloader.admin_tls.clone(), (Arc::clone(guard), metrics_public));
            let (house, reached) = (Arc::clone(rooms) as _, Arc::clone(reached));
            admin::run(listener, house, guard, tls, reached, connections);
        }
        if let Some(listener) = self.probe {
            let (house, reached) = (Arc::clone(rooms) as _, Arc::clone(reached));
            admin::run_probe(listener, house, reached, connections);
        }
        addresses
    }
}

impl Running {
    /// The store, for those who want to look.
    pub fn store(&self) -> &Arc<Store> {
        &self.reloader.foundation.store
    }

    /// Where clients can connect by now, in the order of `server.listen`.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners().addresses()
    }

    /// Reads the file again and takes over what it says, or nothing of it. `by` is who wants that, for the log.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub async fn reload(&self, by: &'static str) -> Result<Report, Refused> {
        let reloader = Arc::clone(&self.reloader);
        tokio::task::spawn_blocking(move || reloader.reload(by)).await.unwrap_or(Err(Refused::Stopping))
    }

    /// Takes over another configuration, or nothing of it. It may block, and is called inside a runtime.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub fn take_over(&self, config: Config) -> Result<Report, Refused> {
        self.reloader.take_over(config)
    }

    /// Looks at once at every file that is looked at every few seconds: what has changed is in force when this returns. It also begins
    /// what is due of fetches. The configuration itself is taken over when two looks have found the same.
    pub fn look_at_files(&self) {
        self.watch.look();
    }

    /// Takes a sample of the traffic at once, if a step has ended since the last one.
    pub fn sample(&self) {
        self.rooms.sample();
    }

    /// Takes the news of a source of events that listens to these channels; what they mean under the configuration in force is invalidated
    /// when it returns.
    pub fn tell(&self, via: Via, channels: Vec<String>) -> Tell {
        self.rooms.tell(via, channels)
    }

    /// Where acts are told.
    pub fn audit(&self) -> &Arc<Audit> {
        &self.reloader.foundation.audit
    }

    /// Resolves once another process has taken over (`server.handover`); then there is nothing left to do but to stop.
    pub async fn relieved(&self) {
        self.changeover.relieved.cancelled().await;
    }

    /// The files that it writes lines to.
    pub fn papers(&self) -> Papers {
        Papers(Arc::clone(&self.reloader.foundation))
    }

    /// Opens anew the files that lines are written to, since somebody may have given them another name; whether there are any.
    pub fn reopen(&self) -> bool {
        self.papers().reopen()
    }

    /// Whether it has taken over from another process.
    pub fn took_over(&self) -> bool {
        self.changeover.took_over
    }

    /// What is to be dropped after everything else, when no task can run any more.
    pub fn parting(&self) -> Parting {
        self.changeover.parting.clone()
    }

    /// Stops: not ready, then no new connections, then waits for requests and writes, then cuts what is left, then saves the snapshot. Returns
    /// whether everything ended by itself.
    pub async fn stop(mut self) -> bool {
        self.rooms.set_ready(false);
        if self.changeover.relieved.is_cancelled() {
            self.admin_connections.stop();
            self.listeners().depart();
            drop(tokio::time::timeout(GRACE, self.clients.ended()).await);
        } else {
            self.listeners().leave();
            let delay = self.current.load().config.server.drain_delay;
            self.draining(delay, tokio::time::sleep(delay)).await;
        }
        self.changeover.close();
        self.listeners().drain();
        let deadline = self.current.load().config.server.drain_deadline;
        let ended = self.draining(deadline, tokio::time::timeout(deadline, self.clients.ended())).await.is_ok();
        if !ended {
            tracing::warn!(
                open = self.clients.running(),
                deadline_ms = millis(deadline),
                "drain deadline reached; cutting what is left"
            );
        }
        self.cut.clear();
        self.listeners().close();
        if !ended {
            // What was cut is still to be logged. Writes go on, and have had their time.
            drop(tokio::time::timeout(CUT, self.clients.ended()).await);
        }
        // The snapshot would bring back what is purged after it.
        if !self.admin_connections.ended(ADMIN).await {
            tracing::warn!(after_ms = millis(ADMIN), "calls of the admin port were cut");
        }
        self.reloader.foundation.sources.stop();
        if let Some(warm) = &self.warm {
            Arc::clone(warm).save().await;
        }
        if let Some(traces) = self.reloader.foundation.telemetry.traces() {
            traces.flush().await;
        }
        if ended {
            let Foundation { succession, outside, .. } = &*self.reloader.foundation;
            self.changeover.parting.farewell(succession.settles_until().saturating_sub(outside.clock.mono()));
        }
        ended
    }

    /// Waits for `what`, which is over in `most`; says every few seconds what is left.
    async fn draining<T>(&self, most: Duration, what: impl Future<Output = T>) -> T {
        let foundation = &*self.reloader.foundation;
        let mut told = false;
        let say = |since: Duration| {
            told = true;
            let left = most.saturating_sub(since).as_secs();
            let (connections, writes) = (foundation.gate.connections(), foundation.writes.load(Ordering::Relaxed));
            let origin_requests = foundation.budget.in_use();
            tracing::info!(connections, writes, origin_requests, left_s = left, "still draining");
            notify::status(&format!("draining: {connections} connections, {writes} writes, at most {left} s left"));
        };
        let outcome = patiently(foundation.clock(), what, say).await;
        if told {
            notify::status("");
        }
        outcome
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
