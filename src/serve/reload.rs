//! Another configuration while the gateway runs: all of it, or nothing.
//!
//! Everything that can fail comes first: the file is read and checked, new sockets are bound, certificates are loaded, origins made. Whoever
//! fails there has changed nothing. After that comes the change, of which no step can fail or waits for anything.
//!
//! # The order of the change
//! 1. The new APIs are published to writes that are under way ([`Succession`](crate::gateway::Succession)), and settle as far as others do.
//! 2. One pointer is swapped. Requests that come from now on are under the new configuration; those that came before end under the old one.
//! 3. What the change has made worthless is invalidated: an API's scope is raised, softly or hard.
//!
//! Swapped first and invalidated then, because of those in between. One that still has the old configuration and looks up after the
//! invalidation finds nothing of use and asks; what it stores lies under the old generation where the change was hard, and nobody under the
//! new configuration looks there. The other way round it would do so for as long as it takes to swap, and with a soft change its
//! answers would go on being as fresh as the old `ttl` says. One that has the new configuration already and looks up before the
//! invalidation finds nothing under the new generation after a hard change, and after a soft one something that is as fresh as it was a
//! moment ago: it came before the reload was acknowledged. After a soft change there is one case that isn't closed: a read that was let in
//! under the old configuration and asks its origin only after the invalidation (it waited for a judge of callers, say) stores with the old
//! lifetime. It is no older than its question and nobody else's; it is only fresh for longer than the file now says.
//!
//! An API that is changed by the admin port comes the same way (`rewrite`): its file is written when nothing can fail any more but that.
//!
//! One reload runs at a time; others wait for it. It runs on a thread that may block, to its end, whether or not anybody still listens.

use super::file::File;
use super::foundation::{Foundation, object_tokens, shelves};
use super::front::Front;
use super::history::History;
use super::in_force::{Current, InForce};
use super::listeners::{Listeners, Moved};
use super::next_start;
use super::report::{Refused, Report};
use super::sockets::Found;
use super::start_error::StartError;
use super::watch::{Look, Looks};
use super::written::Written;
use crate::audit::{Act, Who};
use crate::auth;
use crate::config::{Config, Faults, Loaded};
use crate::listener::{self, Serving};
use crate::policy::{Apis, Change, Effect, Fate, Scope};
use crate::store::Severity;
use crate::telemetry::By;
use crate::{telemetry, tls};
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// How the object cache is served; which socket and which certificate it has stays.
pub(super) struct ObjectDoor {
    pub(super) serving: Arc<Serving<Front>>,
    pub(super) tls: Option<Arc<tls::Server>>,
}

/// Brings another configuration into force.
pub(super) struct Reloader {
    pub(super) foundation: Arc<Foundation>,
    pub(super) current: Current,
    pub(super) serving: Arc<Serving<Front>>,
    /// The gateway's; when they are gone it is.
    pub(super) listeners: Weak<Mutex<Listeners>>,
    pub(super) looks: Arc<Looks>,
    pub(super) admin_tls: Option<Arc<tls::Server>>,
    /// The object cache's listener, if there is one.
    pub(super) objects: Option<ObjectDoor>,
    /// Whoever has this lock reloads.
    pub(super) file: Mutex<Option<File>>,
    /// What the admin port is told of the file.
    pub(super) written: ArcSwap<Written>,
    pub(super) history: History,
    /// Listens to the sources of events of what is in force.
    pub(super) listen: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Reloader {
    /// Reads the file again. `by` is who wants that, for the log.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub(super) fn reload(&self, by: &'static str) -> Result<Report, Refused> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = file.as_mut() else { return Err(Refused::NoFile) };
        let loaded = file.again();
        let outcome = self.noted(by, self.take_read(file, loaded));
        if by != "admin" {
            self.told(by, &outcome);
        }
        outcome
    }

    /// Reads the file if it has changed.
    pub(super) fn look(&self) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = file.as_mut() else { return };
        let Some(loaded) = file.changed() else {
            if let Some(written) = self.written.load().looked_at_again(file.path()) {
                self.written.store(Arc::new(written));
            }
            return;
        };
        let outcome = self.noted("file", self.take_read(file, loaded));
        self.told("file", &outcome);
    }

    /// A reload that nobody asked for over the admin port, in the audit.
    fn told(&self, by: &'static str, outcome: &Result<Report, Refused>) {
        let result = outcome.as_ref().map_or("refused", Report::result).to_owned();
        self.foundation.audit.record(&Who::Process(by), Act::Reload { result });
    }

    /// What the file says is in force by now, and the admin port shows it.
    pub(super) fn published(&self, file: &File) {
        self.written.store(file.written());
    }

    /// Takes over what was read, unless it looks like a file that somebody has cut off: on a full disk, or in the middle of writing.
    fn take_read(&self, file: &mut File, loaded: Result<Loaded, Faults>) -> Result<Report, Refused> {
        let (loaded, before) = (loaded?, self.current.load().config.apis.len());
        if before > 0 && loaded.config.apis.is_empty() {
            let message =
                format!("there is no [[api]], where {before} are served; only a restart takes the last one away");
            return Err(file.fault(message).into());
        }
        let report = self.take(loaded, || Ok(()))?;
        file.is_in_force();
        self.published(file);
        Ok(report)
    }

    /// Takes over a configuration that comes from no file.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub(super) fn take_over(&self, config: Config) -> Result<Report, Refused> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let report = self.take(Loaded { config, warnings: Vec::new(), remarks: Vec::new() }, || Ok(()));
        if report.is_ok() {
            file.iter_mut().for_each(File::is_not_in_force);
        }
        self.noted("program", report)
    }

    pub(super) fn noted(&self, by: &str, outcome: Result<Report, Refused>) -> Result<Report, Refused> {
        self.history.note(&outcome, self.foundation.clock().now().unix);
        match &outcome {
            Err(refused) => refused.log(by),
            Ok(report) => {
                for warning in &report.warnings {
                    tracing::warn!("{warning}");
                }
                let (generation, next_start) = (report.generation, report.next_start.join(" "));
                let (added, removed) = (report.of(Fate::Added).join(" "), report.of(Fate::Removed).join(" "));
                let changed: Vec<String> =
                    report.changed().iter().map(|(api, cache)| format!("{api}:{cache}")).collect();
                let (changed, result) = (changed.join(" "), report.result());
                tracing::info!(by, result, generation, added, changed, removed, next_start, "configuration reloaded");
            }
        }
        outcome
    }

    /// Takes over what was loaded. `write` is the last that may fail: it is called when nothing else can fail any more, and if it doesn't nothing has changed.
    pub(super) fn take(&self, loaded: Loaded, write: impl FnOnce() -> Result<(), Refused>) -> Result<Report, Refused> {
        let before = self.current.load_full();
        let Loaded { mut config, warnings, .. } = loaded;
        let next_start = next_start::keep(&before.config, &mut config);
        let listeners = self.listeners.upgrade().ok_or(Refused::Stopping)?;
        let mut listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if listeners.is_draining() {
            return Err(Refused::Stopping);
        }
        if config == before.config {
            drop(listeners);
            write()?;
            self.looks.round();
            let apis = before.config.all_apis().into_iter().map(|api| api.id().into());
            let apis = apis.map(|id| Change { id, fate: Fate::Unchanged(Effect::Nothing) }).collect();
            let (generation, listeners) = (self.history.generation(), Moved::default());
            return Ok(Report { applied: false, generation, apis, listeners, next_start, warnings });
        }
        let plan = listeners.plan(&config.server.listen, &mut Found::default())?;
        let tls = data_tls(&config, Some(&before))?;
        write()?;
        let (apis, changes) = before.apis.after(config.all_apis());
        let served = self.foundation.served(&apis, Some(&before));
        let next = self.foundation.build(config, apis, served, tls);
        // Nothing fails from here on.
        let next = self.change(&before, next, &changes);
        let moved = listeners.follow(plan, &self.serving, &self.foundation.clients);
        drop(listeners);
        self.listen.get().into_iter().for_each(|listen| listen());
        self.looks.set(looks(&next, self.fixed_tls()));
        self.looks.round();
        let generation = self.history.next_generation();
        Ok(Report { applied: true, generation, apis: changes, listeners: moved, next_start, warnings })
    }

    /// Certificates that no reload replaces by others.
    fn fixed_tls(&self) -> [Option<&Arc<tls::Server>>; 2] {
        [self.admin_tls.as_ref(), self.objects.as_ref().and_then(|objects| objects.tls.as_ref())]
    }

    /// The change itself.
    fn change(&self, before: &InForce, next: InForce, changes: &[Change]) -> Arc<InForce> {
        let (next, foundation) = (Arc::new(next), &*self.foundation);
        let ids = |apis: &Apis| apis.iter().map(|m| Arc::clone(&m.id)).collect::<Vec<_>>();
        foundation.guard.change(&next.config.admin.tokens);
        foundation.guard.sessions_last(&next.config.admin.sessions);
        let guards = [&*foundation.guard, foundation.objects.guard()];
        guards.into_iter().for_each(|guard| guard.limit(&next.config.admin.limits));
        foundation.events.change(&next.config.events.duplicates);
        foundation.objects.guard().change(object_tokens(&next.config));
        foundation.store.arrange(&shelves(&next.config));
        foundation.telemetry.set_apis(ids(&before.apis).into_iter().chain(ids(&next.apis)));
        foundation.telemetry.change(&hiding_both(&before.config.log, &next.config.log));
        match (&before.tls, &next.tls) {
            (Some(old), Some(new)) if !Arc::ptr_eq(old, new) => new.succeed(old),
            (Some(old), None) => old.retire(),
            (Some(_) | None, _) => {}
        }
        let scopes = &foundation.store.scopes;
        foundation.succession.publish(&next.apis, scopes, foundation.clock().mono());
        self.current.store(Arc::clone(&next));
        self.serving.change(&next.config.server, next.tls.clone());
        if let Some(ObjectDoor { serving, tls }) = &self.objects {
            serving.change(&next.config.server, tls.clone());
        }
        for Change { id, fate } in changes {
            let severity = match fate.effect() {
                Effect::Nothing => continue,
                Effect::Soft => Severity::Soft,
                Effect::Hard => Severity::Hard,
            };
            scopes.invalidate(&[Scope::Api(id)], severity);
            foundation.telemetry.invalidated(Some(id), By::Reload, severity == Severity::Soft);
        }
        foundation.telemetry.set_apis(ids(&next.apis));
        next
    }
}

/// As the new configuration says, but hiding what either wants hidden: requests that began under the old one have yet to be logged.
fn hiding_both(old: &telemetry::Settings, new: &telemetry::Settings) -> telemetry::Settings {
    let mut log = new.clone();
    log.redact_query.extend(old.redact_query.iter().filter(|name| !new.redact_query.contains(name)).cloned());
    log
}

/// What the data port shows of itself: as `before` where nothing has changed, so that sessions can be resumed.
pub(super) fn data_tls(config: &Config, before: Option<&InForce>) -> Result<Option<Arc<tls::Server>>, StartError> {
    let listener::Settings { tls, http2, .. } = &config.server;
    if let Some(before) = before
        && (&before.config.server.tls, &before.config.server.http2) == (tls, http2)
    {
        return Ok(before.tls.clone());
    }
    let protocols: &[&str] = if *http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
    load("server.tls", tls.as_ref(), protocols)
}

/// What a listener shows of itself.
pub(super) fn load(
    key: &'static str,
    settings: Option<&tls::Settings>,
    protocols: &[&str],
) -> Result<Option<Arc<tls::Server>>, StartError> {
    let server = settings.map(|settings| tls::Server::load(settings.clone(), protocols)).transpose();
    server.map(|server| server.map(Arc::new)).map_err(|reason| StartError::Certificate { key, reason })
}

/// Everything that has to be looked at from time to time: keys of callers, our certificates.
pub(super) fn looks(in_force: &InForce, fixed: [Option<&Arc<tls::Server>>; 2]) -> Vec<Look> {
    let mut auths: Vec<&auth::Settings> = Vec::new();
    for auth in in_force.apis.iter().flat_map(|mounted| mounted.auths()) {
        if !auths.iter().any(|known| known.is(auth)) {
            auths.push(auth);
        }
    }
    let certificates = in_force.tls.iter().chain(fixed.into_iter().flatten()).cloned();
    let certificates = certificates.map(|tls| Box::new(move || tls.look()) as Look);
    auths.into_iter().filter_map(auth::Settings::look).chain(certificates).collect()
}
