//! Builds the parts, joins them, starts their tasks, and stops them again: the only place that sees all of them.

mod changeover;
mod fds;
mod front;
mod house;
pub mod notify;
mod relief;
mod sockets;
mod start_error;
mod sweeper;
mod takeover;
mod warm;
mod watch;

pub use relief::Parting;
pub use sockets::{Inherited, activated};
pub use start_error::StartError;

use crate::auth::Outside;
use crate::clock::{Clock, millis};
use crate::config::Config;
use crate::fill::{self, Fills};
use crate::gateway::{self, Gateway, Served};
use crate::listener::{self, Gate, Stopper};
use crate::policy::Apis;
use crate::reached::{Bound, Reached};
use crate::store::{self, Store};
use crate::tasks::Tasks;
use crate::telemetry::{Lines, Telemetry};
use crate::upstream::{Budget, Origin, Resolver, TlsClient};
use crate::{admin, config, policy, tls};
use changeover::{Changeover, Coming};
use front::Front;
use house::Rooms;
use sockets::Sockets;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use sweeper::Sweeper;
use tokio_util::sync::CancellationToken;
use warm::Warm;
use watch::{Look, Watch};

/// How long connections that idle are left open after another process has taken over: their clients' next answer tells them to
/// go, where an end out of the blue would cross with what they are about to ask.
const GRACE: Duration = Duration::from_secs(1);

/// A running gateway. Dropping it without [`Running::stop`] cuts every connection.
pub struct Running {
    /// Where clients connect, in the order of `server.listen`, with the ports that were free.
    pub data: Vec<SocketAddr>,
    /// The admin port.
    pub admin: Option<SocketAddr>,
    /// The probe port.
    pub probe: Option<SocketAddr>,
    rooms: Arc<Rooms>,
    clients: Tasks,
    stopper: Stopper,
    admin_stop: CancellationToken,
    drain_delay: Duration,
    drain_deadline: Duration,
    clock: Clock,
    warm: Option<Arc<Warm>>,
    changeover: Changeover,
    _sweeper: Sweeper,
    watch: Watch,
}

/// Binds every listener, then serves. `lines` is where access lines go.
///
/// # Errors
/// When an address can't be bound; then nothing is served.
pub async fn start(config: Config, clock: Clock, lines: Lines) -> Result<Running, StartError> {
    start_with(config, clock, lines, Vec::new()).await
}

/// The same with sockets that were there before: what of them is configured isn't bound anew.
///
/// # Errors
/// When an address can't be bound, a socket isn't configured, or the process that runs doesn't hand over; then nothing is served.
pub async fn start_with(
    config: Config,
    clock: Clock,
    lines: Lines,
    mut inherited: Vec<Inherited>,
) -> Result<Running, StartError> {
    let certificates = Certificates::load(&config)?;
    let coming = Coming::ask(&config, &mut inherited).await?;
    let sockets = Sockets::open(&config, inherited)?;
    let (clients, background) = (Tasks::default(), Tasks::default());
    let reached = Arc::new(Reached::default());
    let outside = outside(&config.server, &background, &clock, &reached);
    let guard = Arc::new(admin::Guard::new(&config.admin.tokens, clock.clone(), Arc::clone(&reached)));
    let gate = Gate::new(&config.server.limits, Arc::clone(&reached));
    let rims = Rims { reached, certificates, guard, gate };
    let (front, rooms) = join(&config, &outside, lines, &clients, &rims);
    let Rims { reached, certificates, guard, gate } = rims;
    let mut looks = looks(rooms.apis(), &outside);
    looks.extend(certificates.all().map(|(_, tls)| Box::new(move || tls.look()) as Look));
    let warm = Warm::new(&config.cache, &rooms, &clock);
    let (changeover, arrival, alone) = coming.arrive(&rooms.store, &clock, sockets.shared).await?;
    let first = warm.clone().map(|warm| move || warm.load(alone));
    let Config { server, admin, .. } = config;
    let (stopper, stop) = listener::stop();
    let admin_stop = CancellationToken::new();
    let running = Running {
        data: sockets.data.iter().filter_map(|l| l.local_addr().ok()).collect(),
        admin: sockets.admin.as_ref().and_then(|l| l.local_addr().ok()),
        probe: sockets.probe.as_ref().and_then(|l| l.local_addr().ok()),
        _sweeper: Sweeper::start(Arc::clone(&rooms.store), clock.clone(), || first.map_or((), |first| first())),
        clock,
        warm,
        changeover,
        watch: Watch::start(looks),
        rooms: Arc::clone(&rooms),
        clients: clients.clone(),
        stopper,
        admin_stop: admin_stop.clone(),
        drain_delay: server.drain_delay,
        drain_deadline: server.drain_deadline,
    };
    let server = Arc::new(server);
    for listener in sockets.data {
        let (gate, server, clients) = (Arc::clone(&gate), Arc::clone(&server), clients.clone());
        let tls = certificates.data.clone();
        let tasks = clients.clone(); // a stop waits for whom they take in at their end
        tasks.spawn(listener::run(listener, gate, server, tls, front.clone(), clients, stop.clone()));
    }
    if let Some(listener) = sockets.admin {
        let (tls, around) = (certificates.admin, (background.clone(), Arc::clone(&reached)));
        let guard = (guard, admin.metrics_public);
        background.spawn(admin::run(listener, rooms.clone(), guard, tls, around, admin_stop.clone()));
    }
    if let Some(listener) = sockets.probe {
        background.spawn(admin::run_probe(listener, rooms.clone(), background.clone(), reached, admin_stop));
    }
    rooms.set_ready(true);
    arrival.serve(&background).await?;
    Ok(running)
}

/// What those need who ask others about callers.
fn outside(server: &listener::Settings, background: &Tasks, clock: &Clock, reached: &Arc<Reached>) -> Outside {
    let budget = |most, bound| Budget::new(most, bound, Arc::clone(reached));
    Outside {
        tls: TlsClient::system(),
        resolver: Resolver::of(&server.resolver),
        tasks: background.clone(),
        clock: clock.clone(),
        budget: budget(server.limits.origin_requests, Bound::OriginRequests),
        waiting: budget(server.limits.waiting_requests, Bound::WaitingRequests),
    }
}

/// What stands between strangers and the parts.
struct Rims {
    reached: Arc<Reached>,
    certificates: Certificates,
    guard: Arc<admin::Guard>,
    gate: Arc<Gate>,
}

/// What the listeners show of themselves.
struct Certificates {
    data: Option<Arc<tls::Server>>,
    admin: Option<Arc<tls::Server>>,
}

impl Certificates {
    fn load(config: &Config) -> Result<Self, StartError> {
        let load = |key, settings: &Option<tls::Settings>, protocols: &[&str]| {
            let server = settings.clone().map(|settings| tls::Server::load(settings, protocols)).transpose();
            server.map(|server| server.map(Arc::new)).map_err(|reason| StartError::Certificate { key, reason })
        };
        let protocols: &[&str] = if config.server.http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
        let data = load("server.tls", &config.server.tls, protocols)?;
        Ok(Certificates { data, admin: load("admin.tls", &config.admin.tls, &["http/1.1"])? })
    }

    /// Each with its listener's name.
    fn all(&self) -> impl Iterator<Item = (&'static str, Arc<tls::Server>)> {
        [("data", &self.data), ("admin", &self.admin)].into_iter().filter_map(|(name, tls)| Some((name, tls.clone()?)))
    }
}

/// Builds the parts and joins them.
fn join(
    config: &Config,
    outside: &Outside,
    lines: Lines,
    clients: &Tasks,
    Rims { reached, certificates, guard, gate }: &Rims,
) -> (Front, Arc<Rooms>) {
    let Config { server, cache, log, apis, .. } = config;
    let Outside { clock, tasks: background, .. } = outside;
    let store = Arc::new(Store::new(cache, store_limits(&server.limits), Arc::clone(reached)));
    let settings = fill_settings(cache, &server.limits);
    let fills = Fills::new(Arc::clone(&store), settings, background.clone(), clock.clone(), Arc::clone(reached));
    let apis = Apis::new(apis.clone());
    let budget = Budget::new(server.limits.origin_requests, Bound::OriginRequests, Arc::clone(reached));
    let served = serve_apis(&apis, outside, &budget);
    let telemetry = Arc::new(Telemetry::new(log, apis.iter().map(|m| Arc::clone(&m.id)), lines, clock.clone()));
    let proxies = server.trusted_proxies.clone();
    let settings = gateway::Settings {
        trusts: Box::new(move |peer| proxies.iter().any(|network| network.contains(peer))),
        header_count: server.limits.header_count,
        request_body: server.limits.request_body,
        query_body: server.limits.query_body,
        reached: Arc::clone(reached),
        may_purge: may_purge(server, guard),
    };
    let parts = (Arc::clone(&store), Arc::clone(&fills));
    let gateway =
        Gateway::new(apis.clone(), served.clone(), parts.0, parts.1, settings, clock.clone(), clients.clone());
    let effective = config::effective(config);
    let rooms = Rooms::new(apis, served, store, fills, Arc::clone(&telemetry), Arc::clone(reached), effective);
    let rooms = Arc::new(rooms.showing(certificates.all().collect(), budget, Arc::clone(gate)));
    (Front::new(Arc::new(gateway), telemetry, clock.clone(), log), rooms)
}

impl Running {
    /// The store, for those who want to look.
    pub fn store(&self) -> &Arc<Store> {
        &self.rooms.store
    }

    /// Looks at once at every file that is looked at every few seconds: what has changed is in force when this returns. It also begins
    /// what is due of fetches.
    pub fn look_at_files(&self) {
        self.watch.look();
    }

    /// Resolves once another process has taken over (`server.handover`); then there is nothing left to do but to stop.
    pub async fn relieved(&self) {
        self.changeover.relieved.cancelled().await;
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
    pub async fn stop(self) -> bool {
        self.rooms.set_ready(false);
        if self.changeover.relieved.is_cancelled() {
            self.admin_stop.cancel();
            self.stopper.depart();
            drop(tokio::time::timeout(GRACE, self.clients.ended()).await);
        } else {
            self.stopper.leave();
            tokio::time::sleep(self.drain_delay).await;
        }
        let parting = self.changeover.close();
        self.stopper.drain();
        let ended = tokio::time::timeout(self.drain_deadline, self.clients.ended()).await.is_ok();
        if !ended {
            tracing::warn!(
                open = self.clients.running(),
                deadline_ms = millis(self.drain_deadline),
                "drain deadline reached; cutting what is left"
            );
        }
        self.stopper.close();
        if let Some(warm) = self.warm {
            warm.save().await;
        }
        if ended {
            parting.farewell(self.rooms.store.scopes.settles_until().saturating_sub(self.clock.mono()));
        }
        self.admin_stop.cancel();
        ended
    }
}

/// Who may use PURGE on the data port: the tokens that may purge on the admin port.
fn may_purge(server: &listener::Settings, guard: &Arc<admin::Guard>) -> Option<gateway::MayPurge> {
    let guard = Arc::clone(guard);
    server.purge_method.then(|| Box::new(move |secret: &[u8], address| guard.may_purge(secret, address)) as Box<_>)
}

fn store_limits(limits: &listener::Limits) -> store::Limits {
    store::Limits { variants_per_path: limits.variants_per_path, keys_per_caller: limits.keys_per_caller }
}

fn fill_settings(cache: &store::Settings, limits: &listener::Limits) -> fill::Settings {
    fill::Settings {
        max_object_size: cache.max_object_size,
        max_fill_time: cache.max_fill_time,
        write_stall: limits.write_stall,
        waiting: limits.waiting_requests,
        fills: limits.fills,
    }
}

/// Everything that looks at something outside from time to time.
fn looks(apis: &Apis, outside: &Outside) -> Vec<Look> {
    apis.iter().flat_map(|mounted| mounted.auths()).filter_map(|auth| auth.join(outside)).collect()
}

fn serve_apis(apis: &Apis, outside: &Outside, budget: &Arc<Budget>) -> Vec<Served> {
    let around = || (outside.tls.clone(), outside.resolver.clone(), outside.tasks.clone());
    let origin = |api: &policy::Api| {
        Origin::with(api.upstream.clone(), &api.origin, around(), outside.clock.clone()).within(Arc::clone(budget))
    };
    apis.iter().map(|mounted| Served { origin: Arc::new(origin(&mounted.api)), tally: Arc::default() }).collect()
}
