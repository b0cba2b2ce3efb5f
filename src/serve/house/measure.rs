//! What is measured at the moment of asking, for `/metrics`.

use super::Rooms;
use crate::serve::foundation::Foundation;
use crate::telemetry::Gauges;
use crate::tls;
use std::sync::Arc;

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

    pub(super) fn measure(&self, gauges: &mut Gauges) {
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
        let help = "Lines that the audit file has missed since it could not be written.";
        gauges.count("freshgate_audit_lost_total", help, &[], self.foundation.audit.lost());
        self.reloader.history.measure(gauges);
    }
}
