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
            let help = "Those of them that nobody uses.";
            gauges.put("freshgate_origin_idle_connections", help, &labels, shown.idle as f64);
            let help = "Requests that wait for a place at an endpoint (breaker.requests), by API.";
            gauges.put("freshgate_origin_waiting_requests", help, &labels, condition.waiting as f64);
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

    /// What became of events, and of what is told of them.
    fn measure_events(&self, gauges: &mut Gauges) {
        let help = "Lines that the audit file has missed since it could not be written.";
        gauges.count("freshgate_audit_lost_total", help, &[], self.foundation.audit.lost());
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

    fn measure_snapshot(&self, gauges: &mut Gauges) {
        if let Some(snapshot) = self.foundation.snapshot.get() {
            for (what, count) in snapshot.all() {
                let help = "Answers that the snapshot had at the start, by what became of them.";
                gauges.put("freshgate_snapshot_entries", help, &[("what", what)], count as f64);
            }
            let (help, ignored) = ("Whether the snapshot could not be used at the start.", snapshot.ignored);
            gauges.put("freshgate_snapshot_ignored", help, &[], f64::from(u8::from(ignored)));
        }
        self.foundation.progress.measure(gauges);
    }

    /// What is stored, by API.
    fn measure_store(&self, gauges: &mut Gauges) {
        let (store, in_force) = (&self.foundation.store, self.current.load_full());
        for mounted in in_force.apis.iter() {
            let (labels, tally) = ([("api", &*mounted.id)], &in_force.served[mounted.number].tally);
            gauges.put("freshgate_stored_entries", "Answers in the store, by API.", &labels, tally.entries() as f64);
            gauges.put("freshgate_stored_bytes", "Bytes that they take, by API.", &labels, tally.bytes() as f64);
            let help =
                "Questions to origins for the cache's sake, by API, whether or not somebody waited for the answer.";
            gauges.count("freshgate_fills_total", help, &labels, tally.asked());
            for (why, count) in tally.gone() {
                let help = "Answers that left the store, by API and cause: for want of room (size), swept since they were of no use any more \
                            (expired) or invalidated, or replaced by a younger one.";
                let labels = [("api", &*mounted.id), ("cause", why.name())];
                gauges.count("freshgate_evictions_total", help, &labels, count);
            }
            if mounted.api.namespace.is_some() {
                let help = "Objects that had to go for want of room in their namespace.";
                let evicted = store.evicted_of(&mounted.api.version);
                gauges.count("freshgate_objects_evicted_total", help, &labels, evicted);
            }
        }
        gauges.put("freshgate_store_keys", "Keys in the store.", &[], store.len() as f64);
        gauges.put("freshgate_store_bytes", "Bytes that the store takes.", &[], store.bytes() as f64);
        let help = "Bytes that the store may take (cache.max_size, and max_size of every namespace).";
        gauges.put("freshgate_store_limit_bytes", help, &[], store.room() as f64);
        gauges.count("freshgate_evicted_total", "Keys that had to go for want of room.", &[], store.evicted());
        gauges.count("freshgate_epoch_total", "Invalidations since the start.", &[], store.scopes.epoch());
        let (help, cells) = ("Cells of scopes that are held or were invalidated lately.", store.scopes.len());
        gauges.put("freshgate_scope_cells", help, &[], cells as f64);
    }

    /// What goes on at this moment.
    fn measure_work(&self, gauges: &mut Gauges) {
        let Foundation { fills, budget, gate, reached, history, .. } = &*self.foundation;
        let mut put = |name, help, count: usize| gauges.put(name, help, &[], count as f64);
        put("freshgate_fills", "Answers that are being recorded.", fills.running());
        put("freshgate_background_refreshes", "Questions to origins that nobody waits for.", fills.in_background());
        put("freshgate_origin_requests", "Requests to origins that are under way.", budget.in_use());
        put("freshgate_connections", "Connections of clients.", gate.connections());
        put("freshgate_waiting_requests", "Requests that wait for somebody else's question.", fills.waiting());
        put("freshgate_traffic_streams", "Streams of /v1/traffic that are open.", history.followers());
        for (limit, count) in reached.counts() {
            let help = "How often a bound was reached, by its key in the configuration.";
            gauges.count("freshgate_limit_reached_total", help, &[("limit", limit)], count);
        }
    }

    fn measure_process(&self, gauges: &mut Gauges) {
        let now = self.foundation.clock().now();
        let help = "When the process started, in seconds since 1970.";
        gauges.put("process_start_time_seconds", help, &[], (now.unix.saturating_sub(now.mono) / 1000) as f64);
        if let Some(bytes) = resident() {
            gauges.put("process_resident_memory_bytes", "Memory that the process has.", &[], bytes as f64);
        }
        let in_force = self.current.load_full();
        let objects = self.reloader.objects.as_ref().and_then(|door| door.tls.as_ref());
        let certificates: [(&str, Option<&Arc<tls::Server>>); 3] =
            [("data", in_force.tls.as_ref()), ("admin", self.reloader.admin_tls.as_ref()), ("objects", objects)];
        for (listener, certificate) in certificates {
            let help = "When our certificate ends, in seconds since 1970.";
            let Some(certificate) = certificate else { continue };
            let expires = certificate.expires() as f64;
            gauges.put("freshgate_certificate_expires_seconds", help, &[("listener", listener)], expires);
        }
    }

    pub(super) fn measure(&self, gauges: &mut Gauges) {
        self.measure_origins(gauges);
        self.measure_sources(gauges);
        self.measure_events(gauges);
        self.measure_store(gauges);
        self.measure_work(gauges);
        self.measure_process(gauges);
        self.measure_snapshot(gauges);
        self.reloader.history.measure(gauges);
    }
}

/// Bytes of memory that the process has, where the system says so.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
