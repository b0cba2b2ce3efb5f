//! The running gateway as the admin port sees it.

use crate::admin::{ApiView, House};
use crate::fill::Fills;
use crate::gateway::Served;
use crate::listener::Gate;
use crate::policy::{Apis, Mounted};
use crate::purge::{self, BadSelector, Purged, Selector, Target};
use crate::reached::Reached;
use crate::snapshot::Counts;
use crate::store::{Store, Tally};
use crate::telemetry::{Gauges, Telemetry};
use crate::tls;
use crate::upstream::Budget;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The rooms that the admin port reaches into.
pub(super) struct Rooms {
    apis: Apis,
    served: Vec<Served>,
    pub(super) store: Arc<Store>,
    /// Known once it is loaded, or found wanting.
    pub(super) snapshot: OnceLock<Counts>,
    fills: Arc<Fills>,
    telemetry: Arc<Telemetry>,
    reached: Arc<Reached>,
    /// Our certificates, by the listener that shows each.
    certificates: Vec<(&'static str, Arc<tls::Server>)>,
    /// What origins are asked, and who is connected.
    rims: Option<(Arc<Budget>, Arc<Gate>)>,
    config: Value,
    ready: AtomicBool,
}

impl Rooms {
    pub(super) fn new(
        apis: Apis,
        served: Vec<Served>,
        store: Arc<Store>,
        fills: Arc<Fills>,
        telemetry: Arc<Telemetry>,
        reached: Arc<Reached>,
        config: Value,
    ) -> Self {
        let (certificates, rims, ready) = (Vec::new(), None, AtomicBool::new(false));
        let snapshot = OnceLock::new();
        Rooms { apis, served, store, snapshot, fills, telemetry, reached, certificates, rims, config, ready }
    }

    /// Tells of what stands at the rims as well: certificates, how much origins are asked, who is connected.
    pub(super) fn showing(
        self,
        certificates: Vec<(&'static str, Arc<tls::Server>)>,
        budget: Arc<Budget>,
        gate: Arc<Gate>,
    ) -> Self {
        Rooms { certificates, rims: Some((budget, gate)), ..self }
    }

    pub(super) fn apis(&self) -> &Apis {
        &self.apis
    }

    /// Where what is stored for an API is counted.
    pub(super) fn tally(&self, mounted: &Mounted) -> Arc<Tally> {
        Arc::clone(&self.served[mounted.number].tally)
    }

    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    fn view(&self, mounted: &Mounted) -> ApiView {
        let tally = &self.served[mounted.number].tally;
        let counted = self.telemetry.api(&mounted.id);
        let (name, version) = (&mounted.api.name, &mounted.api.version);
        let all = self.config.get("api").and_then(Value::as_array);
        let own = |api: &&Value| api["name"] == name.as_str() && api["version"] == version.as_str();
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
        self.apis.iter().map(|mounted| self.view(mounted)).collect()
    }

    fn api(&self, name: &str, version: &str) -> Option<ApiView> {
        self.apis.get(&format!("{name}/{version}")).map(|mounted| self.view(mounted))
    }

    fn purge(&self, selector: &Selector) -> Result<Purged, BadSelector> {
        let stored = |mounted: &Mounted| self.served[mounted.number].tally.entries();
        let purged = purge::apply(&self.apis, &self.store, selector, &stored)?;
        if !selector.dry_run {
            let api = match &selector.target {
                Target::Api(api) => Some(api.as_str()),
                Target::All | Target::Path { .. } | Target::Prefix { .. } | Target::Tag(_) | Target::User(_) => {
                    selector.api.as_deref()
                }
            };
            self.telemetry.invalidated(api);
        }
        Ok(purged)
    }

    fn ready(&self) -> Result<(), Vec<String>> {
        if self.ready.load(Ordering::Relaxed) { Ok(()) } else { Err(vec!["starting or draining".into()]) }
    }

    fn config(&self) -> Value {
        self.config.clone()
    }

    fn metrics(&self) -> String {
        self.telemetry.render(|gauges| self.measure(gauges))
    }
}

impl Rooms {
    /// How origins are.
    fn measure_origins(&self, gauges: &mut Gauges) {
        for mounted in self.apis.iter() {
            let (api, shown) = (&*mounted.id, self.served[mounted.number].origin.shown());
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
        for mounted in self.apis.iter() {
            let (labels, tally) = ([("api", &*mounted.id)], &self.served[mounted.number].tally);
            gauges.put("freshgate_stored_entries", "Answers in the store, by API.", &labels, as_f64(tally.entries()));
            gauges.put("freshgate_stored_bytes", "Bytes that they take, by API.", &labels, as_f64(tally.bytes()));
        }
        let (fills, scopes) = (self.fills.running() as u64, self.store.scopes.len() as u64);
        gauges.put("freshgate_fills", "Answers that are being recorded.", &[], as_f64(fills));
        if let Some((budget, gate)) = &self.rims {
            let (asked, connected) = (budget.in_use() as u64, gate.connections() as u64);
            gauges.put("freshgate_origin_requests", "Requests to origins that are under way.", &[], as_f64(asked));
            gauges.put("freshgate_connections", "Connections of clients.", &[], as_f64(connected));
        }
        let waiting = self.fills.waiting() as u64;
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
        for (listener, certificate) in &self.certificates {
            let help = "When our certificate ends, in seconds since 1970.";
            let expires = certificate.expires() as f64;
            gauges.put("freshgate_certificate_expires_seconds", help, &[("listener", listener)], expires);
        }
        for (limit, count) in self.reached.counts() {
            let help = "How often a bound was reached, by its key in the configuration.";
            gauges.count("freshgate_limit_reached_total", help, &[("limit", limit)], count);
        }
        if let Some(snapshot) = self.snapshot.get() {
            for (what, count) in snapshot.all() {
                let help = "Answers that the snapshot had at the start, by what became of them.";
                gauges.put("freshgate_snapshot_entries", help, &[("what", what)], as_f64(count));
            }
            let (help, ignored) = ("Whether the snapshot could not be used at the start.", snapshot.ignored);
            gauges.put("freshgate_snapshot_ignored", help, &[], as_f64(ignored.into()));
        }
        let evicted = self.store.evicted();
        gauges.count("freshgate_evicted_total", "Keys that had to go for want of room.", &[], evicted);
        gauges.count("freshgate_epoch_total", "Invalidations since the start.", &[], self.store.scopes.epoch());
    }
}
