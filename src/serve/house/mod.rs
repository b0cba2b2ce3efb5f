//! The running gateway as the admin port sees it.

mod inspection;
mod measure;
mod registry;
mod traffic;

use crate::admin::{ApiView, Health, House, NotReloaded, Registry};
use crate::events::{Hands, Kind, Refused, Tell, Told, Via};
use crate::policy::Mounted;
use crate::purge::{self, BadSelector, Purged, Selector, Target};
use crate::serve::foundation::Foundation;
use crate::serve::in_force::{Current, InForce};
use crate::serve::reload::Reloader;
use crate::serve::report;
use crate::serve::written::{Written, tag};
use crate::telemetry::By;
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

    /// `written` was looked at before `in_force`.
    fn view(&self, in_force: &InForce, mounted: &Mounted, written: &Written) -> ApiView {
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
        // They are in the same order.
        let at = if of.is_some() { mounted.number } else { mounted.number.saturating_sub(in_force.config.apis.len()) };
        let shown = all.and_then(|all| all.get(at).filter(own).or_else(|| all.iter().find(own)));
        let settings = shown.cloned().unwrap_or_default();
        let written_tag = if of.is_some() { written.tag(&mounted.id) } else { None };
        let condition = in_force.served[mounted.number].origin.shown().condition;
        ApiView {
            name: name.clone(),
            version: version.clone(),
            etag: written_tag.map_or_else(|| tag(settings.to_string().as_bytes()), str::to_owned),
            editable: written_tag.is_some() && written.locked.is_none(),
            settings,
            entries: tally.entries(),
            bytes: tally.bytes(),
            hits: counted.hits,
            misses: counted.misses,
            hit_ratio: counted.hit_ratio,
            origin_ms_saved: counted.origin_ms_saved,
            requests: counted.requests,
            requests_per_second: counted.requests_per_second,
            health: Health {
                well: condition.well,
                resting: condition.resting,
                down: condition.down,
                open: condition.open,
            },
            hit_ms: counted.hit_ms,
            origin_ms: counted.origin_ms,
        }
    }

    /// Takes a sample of the traffic, if a step has ended since the last one.
    pub(super) fn sample(&self) {
        let Foundation { telemetry, history, .. } = &*self.foundation;
        telemetry.sample(history, || self.stored());
    }

    /// Applies a selector to what is in force, for somebody who asks or an event.
    fn purged(&self, in_force: &InForce, selector: &Selector, by: By) -> Result<Purged, BadSelector> {
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
            self.foundation.telemetry.invalidated(api, by, selector.soft);
        }
        Ok(purged)
    }

    /// What acts on events under the configuration in force.
    fn with_hands<T>(&self, in_force: &InForce, act: impl FnOnce(&Hands<'_>) -> T) -> T {
        let objects = |namespace: &str| {
            self.foundation.telemetry.invalidated(Some(&format!("objects/{namespace}")), By::Event, false);
            in_force.objects.as_ref().ok_or("there is no [objects]")
        };
        act(&Hands {
            purge: &|selector| self.purged(in_force, selector, By::Event),
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
        self.page(None, usize::MAX).0
    }

    fn api(&self, name: &str, version: &str) -> Option<ApiView> {
        let written = self.reloader.written.load_full();
        let in_force = self.current.load_full();
        in_force.apis.get(&format!("{name}/{version}")).map(|mounted| self.view(&in_force, mounted, &written))
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
        self.purged(&self.current.load_full(), selector, By::Purge)
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
            Err(
                refused @ (report::Refused::NoFile
                | report::Refused::Stopping
                | report::Refused::FileChanged
                | report::Refused::Unwritable(_)),
            ) => Err(NotReloaded::Never(refused.to_string())),
            Err(refused) => Err(NotReloaded::Faults { number: refused.count(), told: refused.faults() }),
        }
    }

    fn metrics(&self) -> String {
        self.foundation.telemetry.render(|gauges| self.measure(gauges))
    }
}
