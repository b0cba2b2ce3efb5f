//! What stands as long as the process does, and the parts of a configuration that are built upon it.

use super::in_force::{InForce, Texts};
use super::progress::Shares;
use super::takeover::longest_write;
use crate::admin;
use crate::audit::{Act, Audit, Who};
use crate::auth::Outside;
use crate::clock::{Clock, millis};
use crate::config::{self, Config};
use crate::descriptors;
use crate::events::{Engine, Sources};
use crate::fill::{self, Fills};
use crate::gateway::{self, Gateway, Served, Succession};
use crate::listener::{self, Gate};
use crate::objects::{self, Objects};
use crate::policy::{Api, Apis, Mounted};
use crate::reached::{Bound, Reached};
use crate::snapshot::Counts;
use crate::store::{self, Store};
use crate::tasks::Tasks;
use crate::telemetry::{History, Lines, Telemetry, Traces};
use crate::tls;
use crate::upstream::{Budget, Origin, Resolver, TlsClient};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// What no reload replaces.
pub(super) struct Foundation {
    pub(super) store: Arc<Store>,
    pub(super) fills: Arc<Fills>,
    pub(super) telemetry: Arc<Telemetry>,
    /// The last hour of the traffic.
    pub(super) history: Arc<History>,
    pub(super) reached: Arc<Reached>,
    pub(super) outside: Outside,
    /// What origins are asked.
    pub(super) budget: Arc<Budget>,
    /// Who changed or purged what.
    pub(super) audit: Arc<Audit>,
    pub(super) guard: Arc<admin::Guard>,
    /// What the object cache has of its own.
    pub(super) objects: Arc<objects::Lasting>,
    pub(super) gate: Arc<Gate>,
    /// Connections of clients, and writes; a stop waits for them.
    pub(super) clients: Tasks,
    pub(super) succession: Arc<Succession>,
    /// Milliseconds that a write may take at the most, under any configuration since the start.
    pub(super) longest_write: Arc<AtomicU64>,
    /// Acts on events.
    pub(super) events: Arc<Engine>,
    /// Who says what has changed, beside those who say it by HTTP.
    pub(super) sources: Sources,
    /// What was found of the snapshot; known once it is loaded, or found wanting.
    pub(super) snapshot: OnceLock<Counts>,
    /// How far its loading and saving have come.
    pub(super) progress: Shares,
    /// Writes that are under way.
    pub(super) writes: Arc<AtomicUsize>,
}

impl Foundation {
    /// For the configuration and the APIs of the start.
    pub(super) fn lay(config: &Config, apis: &Apis, (clock, audit): (Clock, Arc<Audit>), lines: Lines) -> Arc<Self> {
        let mut limits = config.server.limits.clone();
        (limits.connections, limits.origin_requests) =
            descriptors::make_room(limits.connections, limits.origin_requests);
        let limits = &limits;
        let reached = Arc::new(Reached::default());
        let tasks = Tasks::default();
        let budget = |most, bound| Budget::new(most, bound, Arc::clone(&reached));
        let store = Arc::new(Store::new(&config.cache, store_limits(limits), Arc::clone(&reached)));
        store.arrange(&shelves(config));
        let settings = fill_settings(&config.cache, limits);
        let guard = |tokens| admin::Guard::new(tokens, clock.clone(), Arc::clone(&reached)).audited(Arc::clone(&audit));
        let engine = Engine::new(&config.events.duplicates, clock.clone(), Arc::clone(&reached));
        let fills = Fills::new(Arc::clone(&store), settings, tasks.clone(), clock.clone(), Arc::clone(&reached));
        let traces = traces(config, &clock);
        let ids = apis.iter().map(|m| Arc::clone(&m.id));
        let admin_guard = guard(&config.admin.tokens);
        admin_guard.sessions_last(&config.admin.sessions);
        let object_guard = guard(object_tokens(config));
        [&admin_guard, &object_guard].into_iter().for_each(|guard| guard.limit(&config.admin.limits));
        Arc::new(Foundation {
            store,
            fills,
            history: History::new(clock.now(), Arc::clone(&reached)),
            telemetry: Arc::new(Telemetry::new(&config.log, ids, lines, clock.clone()).with_traces(traces)),
            budget: budget(limits.origin_requests, Bound::OriginRequests),
            guard: Arc::new(admin_guard),
            objects: Arc::new(objects::Lasting::new(
                object_guard,
                config.objects.as_ref(),
                limits.background_refreshes,
            )),
            gate: Gate::new(limits, Arc::clone(&reached)),
            clients: Tasks::default(),
            succession: Arc::new(Succession::new(apis.clone())),
            longest_write: Arc::default(),
            sources: Sources::new(tasks.clone(), clock.clone(), TlsClient::system()),
            events: Arc::new(engine.audited(Arc::clone(&audit))),
            audit,
            snapshot: OnceLock::new(),
            progress: Shares::default(),
            writes: Arc::default(),
            outside: Outside {
                tls: TlsClient::system(),
                resolver: Resolver::of(&config.server.resolver),
                tasks,
                clock,
                budget: budget(limits.origin_requests, Bound::OriginRequests),
                waiting: budget(limits.waiting_requests, Bound::WaitingRequests),
            },
            reached,
        })
    }

    /// Time.
    pub(super) fn clock(&self) -> &Clock {
        &self.outside.clock
    }

    /// Where these APIs live. One whose origin is asked as it was keeps its connections; one that was there keeps its count.
    pub(super) fn served(&self, apis: &Apis, before: Option<&InForce>) -> Vec<Served> {
        let serve = |mounted: &Arc<Mounted>| {
            let last =
                before.and_then(|before| before.apis.get(&mounted.id).map(|last| (last, &before.served[last.number])));
            let same = last.filter(|(last, _)| is_asked_alike(&last.api, &mounted.api));
            let origin = same.map_or_else(|| self.origin(&mounted.api), |(_, served)| Arc::clone(&served.origin));
            Served { origin, tally: last.map(|(_, served)| Arc::clone(&served.tally)).unwrap_or_default() }
        };
        apis.iter().map(serve).collect()
    }

    fn origin(&self, api: &Api) -> Arc<Origin> {
        let Outside { tls, resolver, tasks, clock, .. } = &self.outside;
        let around = (tls.clone(), resolver.clone(), tasks.clone());
        let origin = Origin::with(&api.id(), api.upstream.clone(), &api.origin, around, clock.clone());
        Arc::new(origin.within(Arc::clone(&self.budget)))
    }

    /// What is in force once requests come to it.
    pub(super) fn build(
        &self,
        config: Config,
        apis: Apis,
        served: Vec<Served>,
        tls: Option<Arc<tls::Server>>,
    ) -> InForce {
        apis.iter().flat_map(|mounted| mounted.auths()).for_each(|auth| auth.join(&self.outside));
        self.longest_write.fetch_max(millis(longest_write(&config)), Ordering::Relaxed);
        let gateway = Gateway::new(
            apis.clone(),
            served.clone(),
            Arc::clone(&self.store),
            Arc::clone(&self.fills),
            self.settings(&config.server),
            self.clock().clone(),
            self.clients.clone(),
        );
        let (shown, texts, gateway) =
            (config::effective(&config), Texts::of(&config.log, config.telemetry.is_some()), Arc::new(gateway));
        let objects = config.objects.as_ref().map(|settings| self.objects(settings, &config, &gateway));
        InForce { shown, texts, apis, served, gateway, objects, tls, config }
    }

    fn objects(&self, settings: &objects::Settings, config: &Config, gateway: &Arc<Gateway>) -> Arc<Objects> {
        let around = objects::Around {
            gateway: Arc::clone(gateway),
            store: Arc::clone(&self.store),
            lasting: Arc::clone(&self.objects),
            clock: self.clock().clone(),
            tasks: self.outside.tasks.clone(),
            max_object_size: config.cache.max_object_size,
        };
        Objects::new(settings, around)
    }

    fn settings(&self, server: &listener::Settings) -> gateway::Settings {
        let proxies = server.trusted_proxies.clone();
        gateway::Settings {
            trusts: Box::new(move |peer| proxies.iter().any(|network| network.contains(peer))),
            header_count: server.limits.header_count,
            request_body: server.limits.request_body,
            query_body: server.limits.query_body,
            compressions: server.limits.compressions,
            reached: Arc::clone(&self.reached),
            succession: Arc::clone(&self.succession),
            may_purge: self.may_purge(server),
            writes: Arc::clone(&self.writes),
        }
    }

    /// Who may use PURGE on the data port: the tokens that may purge on the admin port. What they do is told in the same audit.
    fn may_purge(&self, server: &listener::Settings) -> Option<gateway::MayPurge> {
        let (guard, audit) = (Arc::clone(&self.guard), Arc::clone(&self.audit));
        server.purge_method.then(|| {
            Box::new(move |secret: &[u8], address| {
                let told = |who: Who| {
                    let audit = Arc::clone(&audit);
                    Box::new(move |selector, epoch| {
                        audit.record(&who, Act::Purge { selector, outcome: Ok((None, epoch)) });
                    }) as gateway::Told
                };
                Ok(guard.may_purge(secret, address)?.map(told))
            }) as Box<_>
        })
    }
}

/// What tells of traces, where that is wanted.
fn traces(config: &Config, clock: &Clock) -> Option<Traces> {
    let started = Traces::start(config.telemetry.as_ref()?, &config.log.redact_query, clock.clone());
    started.map_err(|error| tracing::error!(%error, "no thread for traces: there are none")).ok()
}

/// Whether everything is the same that [`Foundation::origin`] makes an origin of.
fn is_asked_alike(old: &Api, new: &Api) -> bool {
    (&old.upstream, &old.origin) == (&new.upstream, &new.origin)
}

/// Who may use the object cache.
pub(super) fn object_tokens(config: &Config) -> &[admin::Token] {
    config.objects.as_ref().map_or(&[], |objects| &objects.tokens)
}

/// The shelves that it wants.
pub(super) fn shelves(config: &Config) -> Vec<(String, store::Bounds)> {
    let namespaces = config.objects.iter().flat_map(|objects| &objects.namespaces);
    namespaces.map(|namespace| (namespace.api.version.clone(), namespace.bounds)).collect()
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
        background: limits.background_refreshes,
    }
}
