//! The running gateway as the admin port sees it.

use super::foundation::Foundation;
use super::in_force::{Current, InForce};
use super::reload::Reloader;
use super::report;
use crate::admin::{ApiView, House, NotReloaded};
use crate::events::{Hands, Kind, Refused, Tell, Told, Via};
use crate::policy::Mounted;
use crate::purge::{self, BadSelector, Purged, Selector, Target};
use crate::telemetry::Gauges;
use crate::tls;
use http::HeaderMap;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The rooms that the admin port reaches into.
pub(super) struct Rooms {
    foundation: Arc<Foundation>,
    current: Current,
    reloader: Arc<Reloader>,
    ready: AtomicBool,
    leaves: AtomicBool,
}

impl Rooms {
    pub(super) fn new(foundation: Arc<Foundation>, current: Current, reloader: Arc<Reloader>) -> Self {
        let (ready, leaves) = Default::default();
        Rooms { foundation, current, reloader, ready, leaves }
    }

    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
        self.leaves.store(!ready, Ordering::Relaxed);
    }

    fn view(&self, in_force: &InForce, mounted: &Mounted) -> ApiView {
        let tally = &in_force.served[mounted.number].tally;
        let counted = self.foundation.telemetry.api(&mounted.id);
        let (name, version) = (&mounted.api.name, &mounted.api.version);
        let shown = &in_force.shown;
        let (all, of) = match &mounted.api.namespace {
            None => (shown.get("api"), Some(name)),
            Some(_) => (shown.get("objects").and_then(|objects| objects.get("namespace")), None),
        };
        let all = all.and_then(Value::as_array);
        let own = |api: &&Value| match of {
            Some(name) => api["name"] == name.as_str() && api["version"] == version.as_str(),
            None => api["name"] == version.as_str(),
        };
        ApiView {
            name: name.clone(),
            version: version.clone(),
            settings: all.and_then(|all| all.iter().find(own)).cloned().unwrap_or_default(),
            entries: tally.entries(),
            bytes: tally.bytes(),
            hits: counted.hits,
            misses: counted.misses,
            hit_ratio: counted.hit_ratio,
            origin_ms_saved: counted.origin_ms_saved,
        }
    }

    /// Applies a selector to what is in force.
    fn purged(&self, in_force: &InForce, selector: &Selector) -> Result<Purged, BadSelector> {
        // A purge that comes before a reload, and ends after it, has the names of before. What was asked under the new ones was asked after
        // the purge came, and what was stored under the old ones, and is still in force, is covered.
        let stored = |mounted: &Mounted| in_force.served[mounted.number].tally.entries();
        let purged = purge::apply(&in_force.apis, &self.foundation.store, selector, &stored)?;
        if !selector.dry_run {
            let api = match &selector.target {
                Target::Api(api) => Some(api.as_str()),
                Target::All | Target::Path { .. } | Target::Prefix { .. } | Target::Tag(_) | Target::User(_) => {
                    selector.api.as_deref()
                }
            };
            self.foundation.telemetry.invalidated(api);
        }
        Ok(purged)
    }

    /// What acts on events under the configuration in force.
    fn with_hands<T>(&self, in_force: &InForce, act: impl FnOnce(&Hands<'_>) -> T) -> T {
        let objects = |namespace: &str| {
            self.foundation.telemetry.invalidated(Some(&format!("objects/{namespace}")));
            in_force.objects.as_ref().ok_or("there is no [objects]")
        };
        act(&Hands {
            purge: &|selector| self.purged(in_force, selector),
            drop: &|namespace, key| objects(namespace)?.drop_one(namespace, key).map(drop),
            refresh: &|namespace, key| objects(namespace)?.refresh(namespace, key),
        })
    }

    /// Listens to the sources of events, and to others once the file says so.
    pub(super) fn begin_to_listen(self: &Arc<Self>) {
        let rooms = Arc::downgrade(self);
        let again = move || rooms.upgrade().iter().for_each(Rooms::listen);
        let _ = self.reloader.listen.set(Box::new(again));
        self.listen();
    }

    /// Listens to the sources of what is in force.
    pub(super) fn listen(self: &Arc<Self>) {
        let in_force = self.current.load_full();
        self.foundation.sources.change(&in_force.config.events.sources, |source| {
            let via = match source.kind {
                Kind::Postgres(_) => Via::Postgres,
                Kind::Redis(_) => Via::Redis,
            };
            self.tell(via, source.kind.channels().to_vec())
        });
    }

    /// Takes the news of a source of this kind that listens to these channels.
    pub(super) fn tell(self: &Arc<Self>, via: Via, channels: Vec<String>) -> Tell {
        let rooms = Arc::downgrade(self);
        Arc::new(move |news| {
            let Some(rooms) = rooms.upgrade() else { return };
            let in_force = rooms.current.load_full();
            let events = &rooms.foundation.events;
            rooms.with_hands(&in_force, |hands| events.hear(&in_force.config.events, (via, &channels), news, hands));
        })
    }
}

impl House for Rooms {
    fn apis(&self) -> Vec<ApiView> {
        let in_force = self.current.load_full();
        in_force.apis.iter().map(|mounted| self.view(&in_force, mounted)).collect()
    }

    fn api(&self, name: &str, version: &str) -> Option<ApiView> {
        let in_force = self.current.load_full();
        in_force.apis.get(&format!("{name}/{version}")).map(|mounted| self.view(&in_force, mounted))
    }

    fn event_body(&self) -> u64 {
        self.current.load().config.events.body
    }

    fn events(&self, fields: &HeaderMap, body: &[u8]) -> Result<Vec<Told>, Refused> {
        let in_force = self.current.load_full();
        let events = &self.foundation.events;
        self.with_hands(&in_force, |hands| events.ask(&in_force.config.events, (fields, body), hands))
    }

    fn purge(&self, selector: &Selector) -> Result<Purged, BadSelector> {
        self.purged(&self.current.load_full(), selector)
    }

    fn ready(&self) -> Result<(), Vec<String>> {
        if self.ready.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(vec![if self.leaves.load(Ordering::Relaxed) { "draining" } else { "starting" }.into()])
        }
    }

    fn config(&self) -> Value {
        self.current.load().shown.clone()
    }

    fn last_reload(&self) -> Option<Value> {
        self.reloader.history.told()
    }

    fn reload(&self) -> Result<Value, NotReloaded> {
        match self.reloader.reload("admin") {
            Ok(report) => Ok(report.json()),
            Err(refused @ (report::Refused::NoFile | report::Refused::Stopping)) => {
                Err(NotReloaded::Never(refused.to_string()))
            }
            Err(refused) => Err(NotReloaded::Faults { number: refused.count(), told: refused.faults() }),
        }
    }

    fn metrics(&self) -> String {
        self.foundation.telemetry.render(|gauges| self.measure(gauges))
    }
}

impl Rooms {
    /// How origins are.
    fn measure_origins(&self, gauges: &mut Gauges) {
        let in_force = self.current.load_full();
        for mounted in in_force.apis.iter() {
            let (api, shown) = (&*mounted.id, in_force.served[mounted.number].origin.shown());
            let condition = shown.condition;
            let states = [
                ("well", condition.well),
                ("resting", condition.resting),
                ("down", condition.down),
                ("open", condition.open),
            ];
            for (state, count) in states {
                let help =
                    "Endpoints, by API and state: resting for their failures, down by their checks, breaker open.";
                gauges.put("freshgate_endpoints", help, &[("api", api), ("state", state)], count as f64);
            }
            let labels = [("api", api)];
            let help = "Open connections to endpoints, by API.";
            gauges.put("freshgate_origin_connections", help, &labels, shown.connections as f64);
            let counts = [
                ("freshgate_retries_total", "Questions that were asked again.", shown.retried),
                ("freshgate_retries_refused_total", "Retries that the budget had no room for.", shown.spared),
                (
                    "freshgate_endpoint_rests_total",
                    "How often an endpoint was left alone for a while.",
                    condition.rested,
                ),
                ("freshgate_breaker_opened_total", "How often a circuit breaker opened.", condition.opened),
            ];
            counts.iter().for_each(|(name, help, count)| gauges.count(name, help, &labels, *count));
        }
    }

    /// What became of events.
    fn measure_events(&self, gauges: &mut Gauges) {
        let (events, counts) = (&self.foundation.events, self.foundation.events.counts());
        for (via, result, count) in counts.events() {
            let help = "Events, by how they came and what became of them; a request that is refused counts once.";
            gauges.count("freshgate_events_total", help, &[("via", via), ("result", result)], count);
        }
        for (via, count) in counts.gaps() {
            let help = "How often messages of a source may have been lost, and all that they could have meant was invalidated.";
            gauges.count("freshgate_event_gaps_total", help, &[("via", via)], count);
        }
        for (result, count) in counts.actions() {
            let help = "What rules had to do for events, by whether they could.";
            gauges.count("freshgate_event_actions_total", help, &[("result", result)], count);
        }
        let help = "How often a rule was for an event.";
        gauges.count("freshgate_event_rules_total", help, &[], counts.rules());
        let help = "Events that are remembered, to know them when they come again.";
        gauges.put("freshgate_events_remembered", help, &[], events.remembered() as f64);
    }

    fn measure_sources(&self, gauges: &mut Gauges) {
        for source in self.foundation.sources.shown() {
            let labels = [("source", &*source.name), ("kind", source.kind)];
            let help = "Whether a source of events is listened to.";
            gauges.put("freshgate_event_source_connected", help, &labels, f64::from(u8::from(source.connected)));
            let counts = [
                (
                    "freshgate_event_source_connections_total",
                    "How often a source was connected to.",
                    source.connections,
                ),
                ("freshgate_event_source_messages_total", "Messages of a source.", source.messages),
                ("freshgate_event_source_gaps_total", "How often a source may have missed something.", source.gaps),
                (
                    "freshgate_event_source_unusable_total",
                    "Messages that are neither a key nor an event.",
                    source.unusable,
                ),
            ];
            counts.iter().for_each(|(name, help, count)| gauges.count(name, help, &labels, *count));
        }
    }

    fn measure(&self, gauges: &mut Gauges) {
        self.measure_origins(gauges);
        self.measure_sources(gauges);
        self.measure_events(gauges);
        let as_f64 = |n: u64| n as f64;
        let Foundation { store, fills, budget, gate, reached, .. } = &*self.foundation;
        let in_force = self.current.load_full();
        for mounted in in_force.apis.iter() {
            let (labels, tally) = ([("api", &*mounted.id)], &in_force.served[mounted.number].tally);
            gauges.put("freshgate_stored_entries", "Answers in the store, by API.", &labels, as_f64(tally.entries()));
            gauges.put("freshgate_stored_bytes", "Bytes that they take, by API.", &labels, as_f64(tally.bytes()));
            if mounted.api.namespace.is_some() {
                let help = "Objects that had to go for want of room in their namespace.";
                let evicted = store.evicted_of(&mounted.api.version);
                gauges.count("freshgate_objects_evicted_total", help, &labels, evicted);
            }
        }
        let (running, scopes) = (fills.running() as u64, store.scopes.len() as u64);
        gauges.put("freshgate_fills", "Answers that are being recorded.", &[], as_f64(running));
        let (background, help) = (fills.in_background() as u64, "Questions to origins that nobody waits for.");
        gauges.put("freshgate_background_refreshes", help, &[], as_f64(background));
        let (asked, connected) = (budget.in_use() as u64, gate.connections() as u64);
        gauges.put("freshgate_origin_requests", "Requests to origins that are under way.", &[], as_f64(asked));
        gauges.put("freshgate_connections", "Connections of clients.", &[], as_f64(connected));
        let waiting = fills.waiting() as u64;
        gauges.put(
            "freshgate_waiting_requests",
            "Requests that wait for somebody else's question.",
            &[],
            as_f64(waiting),
        );
        gauges.put(
            "freshgate_scope_cells",
            "Cells of scopes that are held or were invalidated lately.",
            &[],
            as_f64(scopes),
        );
        let certificates: [(&str, &Option<Arc<tls::Server>>); 2] =
            [("data", &in_force.tls), ("admin", &self.reloader.admin_tls)];
        for (listener, certificate) in certificates {
            let help = "When our certificate ends, in seconds since 1970.";
            let Some(certificate) = certificate else { continue };
            let expires = certificate.expires() as f64;
            gauges.put("freshgate_certificate_expires_seconds", help, &[("listener", listener)], expires);
        }
        if let Some(snapshot) = self.foundation.snapshot.get() {
            for (what, count) in snapshot.all() {
                let help = "Answers that the snapshot had at the start, by what became of them.";
                gauges.put("freshgate_snapshot_entries", help, &[("what", what)], as_f64(count));
            }
            let (help, ignored) = ("Whether the snapshot could not be used at the start.", snapshot.ignored);
            gauges.put("freshgate_snapshot_ignored", help, &[], as_f64(ignored.into()));
        }
        for (limit, count) in reached.counts() {
            let help = "How often a bound was reached, by its key in the configuration.";
            gauges.count("freshgate_limit_reached_total", help, &[("limit", limit)], count);
        }
        let evicted = store.evicted();
        gauges.count("freshgate_evicted_total", "Keys that had to go for want of room.", &[], evicted);
        gauges.count("freshgate_epoch_total", "Invalidations since the start.", &[], store.scopes.epoch());
        self.reloader.history.measure(gauges);
    }
}
