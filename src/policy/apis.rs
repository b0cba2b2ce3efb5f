//! All APIs in force, and which of them answers a request.

use super::scope::{Place, Standing, blurred};
use super::settings::{Api, Rules};
use super::target::without_port;
use crate::auth::{self, Sender};
use http::{HeaderName, Method};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The APIs in force, ordered so that the first that fits is the right one.
#[derive(Clone, Debug, Default)]
pub struct Apis(Vec<Arc<Mounted>>);

/// An API with what is worked out from its settings once.
#[derive(Debug)]
pub struct Mounted {
    /// The settings.
    pub api: Api,
    /// Its place in [`Apis::iter`].
    pub number: usize,
    /// `name/version`.
    pub id: Arc<str>,
    /// The name of its origin in scopes: the same for all APIs that have an endpoint in common.
    pub origin: Arc<str>,
    /// The fields by which its origin is told who is calling, on whatever route, and who may send them.
    pub told: Vec<(HeaderName, Sender)>,
    /// The parameters of the query that are a credential, on whatever route.
    pub parameters: Vec<String>,
    /// The places of the API's root at its origin: where `strip_prefix` is off, and where it is on.
    roots: [Place; 2],
}

/// The API and rules for one request, and the paths that follow from them.
#[derive(Clone, Debug)]
pub struct Routed {
    /// The API.
    pub mounted: Arc<Mounted>,
    /// The rules of the first route that matches, else of the API.
    pub rules: Arc<Rules>,
    /// The public path, canonical.
    pub path: String,
}

impl Routed {
    /// The path relative to the API: empty or begins with `/`.
    pub fn relative(&self) -> &str {
        &self.path[self.mounted.api.path.len()..]
    }

    /// The path at the origin, without the endpoint's base: begins with `/`.
    pub fn sent(&self) -> Cow<'_, str> {
        self.mounted.sent(&self.rules, &self.path)
    }

    /// The same as scopes name it, base included.
    pub fn place(&self) -> Place {
        self.mounted.place(&self.sent())
    }

    /// Where the request stands among the scopes.
    pub fn standing(&self) -> Standing<'_> {
        let m = &*self.mounted;
        let root = &m.roots[usize::from(self.rules.strip_prefix)];
        let place = self.place();
        Standing { api: &m.api, id: &m.id, origin: &m.origin, root, place, relative: self.relative() }
    }
}

impl Mounted {
    /// How its callers are told apart, on every route; what routes have in common comes several times.
    pub fn auths(&self) -> impl Iterator<Item = &auth::Settings> {
        std::iter::once(&self.api.rules)
            .chain(self.api.routes.iter().map(|route| &route.rules))
            .map(|rules| &rules.auth)
    }

    fn base(&self) -> &str {
        self.api.upstream.first().map_or("", |e| &e.base)
    }

    /// The path at the origin of a public path of this API, without the endpoint's base.
    pub fn sent<'a>(&self, rules: &Rules, path: &'a str) -> Cow<'a, str> {
        let rest = if rules.strip_prefix { &path[self.api.path.len()..] } else { path };
        if rest.starts_with('/') { Cow::Borrowed(rest) } else { Cow::Owned(format!("/{rest}")) }
    }

    /// The place of a path at the origin, given without the endpoint's base.
    pub fn place(&self, sent: &str) -> Place {
        if self.base().is_empty() { Place::new(sent) } else { Place::new(&format!("{}{sent}", self.base())) }
    }

    /// The request's route within this API; `path` is canonical and lies under the API's prefix.
    pub fn route(self: &Arc<Self>, method: &Method, path: String) -> Routed {
        let relative = &path[self.api.path.len()..];
        let found = self.api.routes.iter().find(|r| r.methods.contains(method) && r.path.matches(relative).is_some());
        let rules = Arc::clone(found.map_or(&self.api.rules, |route| &route.rules));
        Routed { mounted: Arc::clone(self), rules, path }
    }

    /// Whether a canonical public path lies under this API's prefix, by whole segments.
    pub fn covers(&self, path: &str) -> bool {
        // Comparing with an empty `String` makes some processors stumble over its dangling pointer, for a hundred nanoseconds.
        let prefix = self.api.path.as_str();
        let rest = if prefix.is_empty() { Some(path) } else { path.strip_prefix(prefix) };
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether this API answers on a canonical host, whatever its port.
    pub fn answers_on(&self, host: &str) -> bool {
        self.api.host.as_deref().is_none_or(|own| own == without_port(host))
    }
}

impl Apis {
    /// Puts the APIs in order: those with a host before those without, longer prefixes before shorter ones.
    pub fn new(apis: Vec<Api>) -> Self {
        let origins = origin_names(&apis);
        let mut apis: Vec<(Api, Arc<str>)> = apis.into_iter().zip(origins).collect();
        apis.sort_by_key(|(api, _)| (api.host.is_none(), std::cmp::Reverse(api.path.len())));
        Apis(apis.into_iter().enumerate().map(|(number, (api, origin))| mount(number, api, origin)).collect())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Mounted>> {
        self.0.iter()
    }

    /// Whether somebody who reads this path more generously than we do would ask another question about its caller. Many an origin takes
    /// `/a;x` and `/a%2Fb` for `/a` and `/a/b`; where these lie in another route, or another API, that is to be no way around its check.
    pub fn is_checked_otherwise(&self, host: &str, routed: &Routed, method: &Method) -> bool {
        let Some(other) = blurred(&routed.path) else { return false };
        let auth = |path: String| self.find(host, &path).map(|mounted| mounted.route(method, path).rules);
        auth(other).is_some_and(|rules| !Arc::ptr_eq(&rules, &routed.rules) && rules.auth != routed.rules.auth)
    }

    /// The API called `name/version`.
    pub fn get(&self, id: &str) -> Option<&Arc<Mounted>> {
        self.0.iter().find(|m| &*m.id == id)
    }

    /// The API that answers on a canonical host and path: one with this host before one without, the longest prefix first.
    pub fn find(&self, host: &str, path: &str) -> Option<&Arc<Mounted>> {
        self.0.iter().find(|m| m.answers_on(host) && m.covers(path))
    }
}

fn mount(number: usize, mut api: Api, origin: Arc<str>) -> Arc<Mounted> {
    name_credentials(&mut api);
    let id = api.id().into();
    let base = api.upstream.first().map_or("", |e| e.base.as_str());
    let roots = [Place::new(&format!("{base}{}", api.path)), Place::new(base)];
    let mut mounted = Mounted { number, id, origin, told: Vec::new(), parameters: Vec::new(), roots, api };
    mounted.told = told(&mounted);
    mounted.parameters = mounted.auths().filter_map(auth::Settings::parameter).map(String::from).collect();
    Arc::new(mounted)
}

/// What says who is calling on one route is a credential on each, whether or not anybody is asked there: the origin gets it.
fn name_credentials(api: &mut Api) {
    let routes = api.routes.iter().map(|route| &route.rules);
    let fields: Vec<HeaderName> =
        std::iter::once(&api.rules).chain(routes).flat_map(|rules| rules.auth.fields().to_vec()).collect();
    if fields.is_empty() {
        return;
    }
    for rules in std::iter::once(&mut api.rules).chain(api.routes.iter_mut().map(|route| &mut route.rules)) {
        let rules = Arc::make_mut(rules);
        fields.iter().for_each(|name| rules.key.credentials.add(name.as_str()));
    }
}

/// A field that several routes name stands once, as the strictest of them has it.
fn told(mounted: &Mounted) -> Vec<(HeaderName, Sender)> {
    let mut told: Vec<(HeaderName, Sender)> = Vec::new();
    for (name, sender) in mounted.auths().flat_map(auth::Settings::told) {
        match told.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) if sender == Sender::Nobody => *known = sender,
            Some(_) => {}
            None => told.push((name.clone(), sender)),
        }
    }
    told
}

/// One name for each group of APIs that are linked by common endpoints (`host:port`): the least address of the group.
fn origin_names(apis: &[Api]) -> Vec<Arc<str>> {
    let mut group: HashMap<String, String> = HashMap::new();
    loop {
        let mut changed = false;
        for api in apis {
            let addresses: Vec<String> = api.upstream.iter().map(|e| format!("{}:{}", e.host, e.port)).collect();
            let names = addresses.iter().map(|a| group.get(a).unwrap_or(a));
            let Some(least) = names.min().cloned() else { continue };
            for address in addresses {
                changed |= group.insert(address, least.clone()).as_ref() != Some(&least);
            }
        }
        if !changed {
            break;
        }
    }
    let first = |api: &Api| api.upstream.first().map(|e| format!("{}:{}", e.host, e.port)).unwrap_or_default();
    apis.iter().map(|api| group.get(&first(api)).cloned().unwrap_or_default().into()).collect()
}
