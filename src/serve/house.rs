//! The running gateway as the admin port sees it.

use super::foundation::Foundation;
use super::in_force::{Current, InForce};
use super::reload::Reloader;
use super::report::Refused;
use crate::admin::{ApiView, House, NotReloaded};
use crate::policy::Mounted;
use crate::purge::{self, BadSelector, Purged, Selector, Target};
use crate::telemetry::Gauges;
use crate::tls;
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

    fn purge(&self, selector: &Selector) -> Result<Purged, BadSelector> {
        // A purge that comes before a reload, and ends after it, has the names of before. What was asked under the new ones was asked after
        // the purge came, and what was stored under the old ones, and is still in force, is covered.
        let in_force = self.current.load_full();
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
            Err(refused @ (Refused::NoFile | Refused::Stopping)) => Err(NotReloaded::Never(refused.to_string())),
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

    fn measure(&self, gauges: &mut Gauges) {
        self.measure_origins(gauges);
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
