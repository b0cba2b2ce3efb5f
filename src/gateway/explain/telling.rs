//! An explanation as it grows: steps, changes, and where in the configuration things are said.

use super::super::admit::Admitted;
use super::super::problem::Problem;
use super::super::view::{HIDDEN, Hide, is_secret};
use super::answer::{CallerView, Explained, RequestView, StepView, VerdictView};
use super::words::{BAD_TARGET, Word, word};
use crate::policy::{Mounted, Routed, Rules};
use http::{HeaderMap, HeaderName, Request};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an explanation needs to know of its surroundings.
pub struct Around<'a> {
    /// Makes a query showable.
    pub hide: Hide<'a>,
    /// The place of an API among the `[[api]]` of the file.
    pub place: &'a (dyn Fn(&Mounted) -> Option<usize> + Sync),
    /// The Host of a request that names none.
    pub host: &'a str,
}

/// Fields whose values may be shown unless they are credentials: those that decide about caching.
const SHOWN: [&str; 26] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-query",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

/// An explanation on its way.
pub(super) struct Telling<'a> {
    pub(super) around: &'a Around<'a>,
    pub(super) told: Explained,
    /// What routes the request; once that is known.
    routed: Option<Routed>,
}

impl<'a> Telling<'a> {
    pub(super) fn new(request: &Request<impl Sized>, content: usize, around: &'a Around<'a>) -> Self {
        let fields = request.headers();
        let host = fields.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        let view = RequestView {
            method: request.method().to_string(),
            host: host.rsplit('@').next().unwrap_or_default().to_owned(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(|_| HIDDEN.to_owned()), // until it is known which of it are credentials
            fields: shown(fields, None),
            content,
        };
        let caller = CallerView { user: None, partition: "shared", how: "not asked yet".into() };
        let told = Explained {
            request: view,
            steps: Vec::new(),
            api: None,
            route: None,
            caller,
            key: None,
            stored: Vec::new(),
            verdict: VerdictView::default(),
            changes: Vec::new(),
        };
        Telling { around, told, routed: None }
    }

    /// The request was let in by its form.
    pub(super) fn admitted(&mut self, admitted: &Admitted, query: Option<&str>) {
        let routed = &admitted.routed;
        let mounted = &routed.mounted;
        self.routed = Some(routed.clone());
        self.told.request.path.clone_from(&routed.path);
        self.told.request.host.clone_from(&admitted.host);
        self.told.request.query = query.map(|query| (self.around.hide)(query));
        self.told.request.fields = shown(&admitted.fields, Some(mounted));
        self.told.api = Some(mounted.id.to_string());
        let key = self.key("path");
        self.step("admit", format!("the API {} answers on this host and path", mounted.id), Some("RFC 9110 §7.4"), key);
        let route = mounted.api.routes.iter().position(|route| Arc::ptr_eq(&route.rules, &routed.rules));
        let Some(at) = route else { return };
        let on = format!("{} {}", mounted.api.routes[at].methods, mounted.api.routes[at].path.text());
        let key = self.key(&format!("route[{at}].on"));
        self.step("admit", format!("its route `{on}` is the first that matches"), None, key);
        self.told.route = Some(on);
    }

    pub(super) fn step(
        &mut self,
        step: &'static str,
        says: impl Into<String>,
        section: Option<&'static str>,
        config: Option<String>,
    ) {
        self.told.steps.push(StepView { step, says: says.into(), section, config });
    }

    /// A step by a named reason, and what would change it.
    pub(super) fn reason(&mut self, step: &'static str, reason: &str) -> &'static str {
        let Word { says, section, key, change } = word(reason);
        let config = key.and_then(|key| self.key(key));
        self.step(step, says, section.starts_with("RFC").then_some(section), config);
        self.change(change);
        section
    }

    /// One thing that would change the verdict.
    pub(super) fn change(&mut self, change: impl Into<String>) {
        let change = change.into();
        if !change.is_empty() && !self.told.changes.contains(&change) {
            self.told.changes.push(change);
        }
    }

    /// The request goes no further.
    pub(super) fn refused(&mut self, step: &'static str, problem: &Problem) -> VerdictView {
        let known = word(problem.name);
        // The names of targets that can't be read are many; what is said to the client tells them apart.
        let section =
            if known.says == word("").says && problem.status.as_u16() == 400 { BAD_TARGET } else { known.section };
        let config = known.key.and_then(|key| self.key(key));
        self.step(step, problem.detail(), Some(section).filter(|section| section.starts_with("RFC")), config);
        self.change(known.change);
        VerdictView {
            decision: "refused",
            status: Some(problem.status.as_u16()),
            reason: Some(problem.name),
            says: format!("it is refused with {}: {}", problem.status.as_u16(), problem.detail()),
            section,
            cache_status: Some(format!("freshgate; detail={}", problem.name)),
        }
    }

    /// A key of the configuration, with its path in the file: of the route if that says something else than its API does.
    pub(super) fn key(&self, key: &str) -> Option<String> {
        if ["server.", "cache.", "objects."].iter().any(|section| key.starts_with(section)) {
            return Some(key.to_owned());
        }
        let routed = self.routed.as_ref()?;
        let api = &routed.mounted.api;
        let at = (self.around.place)(&routed.mounted)?;
        let route = api.routes.iter().position(|route| Arc::ptr_eq(&route.rules, &routed.rules));
        let own = route.filter(|_| differs(key, &routed.rules, &api.rules));
        Some(own.map_or_else(|| format!("api[{at}].{key}"), |route| format!("api[{at}].route[{route}].{key}")))
    }
}

/// Whether two rules differ in what this key, or the table that it is in, says.
fn differs(key: &str, a: &Rules, b: &Rules) -> bool {
    match key.split('.').next().unwrap_or_default() {
        "cache" => a.cache != b.cache,
        "safe" => a.safe != b.safe,
        "ttl" => a.ttl != b.ttl,
        "grace" => a.grace != b.grace,
        "keep_on_error" => a.keep_on_error != b.keep_on_error,
        "stale_after" => a.stale_after != b.stale_after,
        "refresh_ahead" => a.refresh_ahead != b.refresh_ahead,
        "freshness" => a.freshness != b.freshness,
        "error_answers" => a.error_answers != b.error_answers,
        "set_cookie" => a.set_cookie != b.set_cookie,
        "content_types" => a.content_types != b.content_types,
        "client_directives" => a.client_directives != b.client_directives,
        "invalidate" => a.invalidate != b.invalidate,
        "write_settle" => a.write_settle != b.write_settle,
        "upgrade" => a.upgrade != b.upgrade,
        "auth" => a.auth != b.auth,
        "rate" => a.rate != b.rate,
        "key" => a.key != b.key,
        _ => false,
    }
}

/// Fields as they may be shown; of credentials, and of what nobody needs to know here, the names only.
fn shown(fields: &HeaderMap, api: Option<&Mounted>) -> BTreeMap<String, String> {
    let value = |name: &HeaderName| {
        let secret = is_secret(api, name) || !SHOWN.contains(&name.as_str());
        let lines = || {
            fields
                .get_all(name)
                .iter()
                .map(|line| String::from_utf8_lossy(line.as_bytes()))
                .collect::<Vec<_>>()
                .join(", ")
        };
        match name.as_str() {
            _ if secret => HIDDEN.to_owned(),
            // Who signs in by a URL does it there.
            "host" | "origin" => lines().rsplit('@').next().unwrap_or_default().to_owned(),
            _ => lines(),
        }
    };
    fields.keys().map(|name| (name.as_str().to_owned(), value(name))).collect()
}
