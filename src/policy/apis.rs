//! All APIs in force, and which of them answers a request.
//!
//! # Generations
//! Keys name no API, only host and path, and a reload may give a path to another API, or to the same one with other rules. A request that
//! was let in before may still ask its origin after that, and store the answer. So each API has a **generation**, a part of its keys: one
//! number for the process counts them, and an API gets the next one when it is new, when it comes back, and when its change is hard
//! ([`Effect::Hard`]). Of two APIs that were ever here with the same number either both are the same one with nothing changed that a
//! stored answer depends on, or both were there at the start and have no host and path in common. So no answer is ever found by
//! other rules than those that it was stored by. At the start all are 0, which isn't written, but for those that lie in another one's path.
//!
//! The name of an origin in scopes follows from all APIs together. One that has got another by a change of its neighbours has new
//! cells, which those of its stored answers know nothing of; that is a hard change as well.

use super::change::{Effect, effect};
use super::heritage::inherit;
use super::namespace;
use super::scope::{Place, Standing, blurred};
use super::settings::{Api, Rules};
use super::target::without_port;
use crate::auth::{self, Sender};
use http::{HeaderName, Method};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The APIs in force, ordered so that the first that fits is the right one.
#[derive(Clone, Debug, Default)]
pub struct Apis {
    list: Vec<Arc<Mounted>>,
    /// The last generation that was given to an API, here or before.
    last: u64,
}

/// What a reload means for one API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `name/version`.
    pub id: Arc<str>,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It wasn't there.
    Added,
    /// It isn't there any more.
    Removed,
    /// It stays, with other settings, which mean this for what is stored.
    Changed(Effect),
    /// It stays, and nothing has changed but perhaps the name of its origin in scopes.
    Unchanged(Effect),
}

impl Fate {
    /// What it means for what is stored.
    pub fn effect(self) -> Effect {
        match self {
            Fate::Added => Effect::Nothing,
            Fate::Removed => Effect::Hard,
            Fate::Changed(effect) | Fate::Unchanged(effect) => effect,
        }
    }
}

/// An API with what is worked out from its settings once.
#[derive(Debug)]
pub struct Mounted {
    /// The settings.
    pub api: Api,
    /// Its place in [`Apis::iter`].
    pub number: usize,
    /// `name/version`.
    pub id: Arc<str>,
    /// Its generation, a part of its keys.
    pub generation: u64,
    /// The name of its origin in scopes: the same for all APIs that have an endpoint in common.
    pub origin: Arc<str>,
    /// The same of a namespace's source.
    pub source: Arc<str>,
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

    /// The same as scopes name it, base included; of an object its place among objects.
    pub fn place(&self) -> Place {
        match &self.mounted.api.namespace {
            Some(_) => own_place(&self.mounted.api, &self.path),
            None => self.mounted.place(&self.sent()),
        }
    }

    /// Where the request stands among the scopes.
    pub fn standing(&self) -> Standing<'_> {
        let m = &*self.mounted;
        let root = &m.roots[usize::from(self.rules.strip_prefix)];
        let place = self.place();
        let source = m.api.source().filter(|source| source.is_named_by_path());
        let source = source.map(|_| (&*m.source, m.place(&self.sent())));
        Standing { api: &m.api, id: &m.id, origin: &m.origin, root, place, relative: self.relative(), source }
    }
}

/// The key in a path of a namespace; still encoded.
fn key_in<'a>(api: &Api, path: &'a str) -> &'a str {
    path.get(api.path.len() + 1..).unwrap_or_default()
}

/// The place of an object among objects, or of its namespace.
fn own_place(api: &Api, path: &str) -> Place {
    let key = percent_decode_str(key_in(api, path)).decode_utf8_lossy().into_owned();
    let key = Some(key).filter(|key| !key.is_empty());
    Place::exactly(std::iter::once(api.version.clone()).chain(key).collect())
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
    pub fn sent<'a>(&'a self, rules: &Rules, path: &'a str) -> Cow<'a, str> {
        if let Some(source) = self.api.source() {
            return source.path(key_in(&self.api, path));
        }
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
    /// The APIs of a start.
    pub fn new(apis: Vec<Api>) -> Self {
        let (nested, mut last) = (nested(&apis), 0);
        let named = named(apis).into_iter().map(|(api, origin)| {
            let generation = if nested.contains(&api.id()) { next(&mut last) } else { 0 };
            (api, origin, generation)
        });
        let list = in_order(named.collect());
        Apis { list, last }
    }

    /// Those that take the place of these, and what that means for each of both. What has a state and stays as it is goes on.
    pub fn after(&self, apis: Vec<Api>) -> (Apis, Vec<Change>) {
        let mut here: HashMap<&str, &Arc<Mounted>> = self.list.iter().map(|m| (&*m.id, m)).collect();
        let (mut last, mut changes, mut all) = (self.last, Vec::new(), Vec::new());
        for (mut api, origin) in named(apis) {
            let id: Arc<str> = api.id().into();
            let Some(before) = here.remove(&*id) else {
                all.push((api, origin, next(&mut last)));
                changes.push(Change { id, fate: Fate::Added });
                continue;
            };
            inherit(&before.api, &mut api);
            let same_cells = before.source == origin;
            let effect = if same_cells { effect(&before.api, &api) } else { Effect::Hard };
            let fate = if before.api == api { Fate::Unchanged(effect) } else { Fate::Changed(effect) };
            let generation = if effect == Effect::Hard { next(&mut last) } else { before.generation };
            all.push((api, origin, generation));
            changes.push(Change { id, fate });
        }
        let gone = self.list.iter().filter(|before| here.contains_key(&*before.id));
        changes.extend(gone.map(|m| Change { id: Arc::clone(&m.id), fate: Fate::Removed }));
        (Apis { list: in_order(all), last }, changes)
    }

    /// Those that weren't there when these were, or not as they are now.
    pub fn younger_than<'a>(&'a self, others: &Apis) -> impl Iterator<Item = &'a Arc<Mounted>> {
        let last = others.last;
        self.list.iter().filter(move |mounted| mounted.generation > last)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Mounted>> {
        self.list.iter()
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
        self.list.iter().find(|m| &*m.id == id)
    }

    /// The API that answers on a canonical host and path: one with this host before one without, the longest prefix first.
    pub fn find(&self, host: &str, path: &str) -> Option<&Arc<Mounted>> {
        self.list.iter().find(|m| m.answers_on(host) && m.covers(path))
    }
}

/// The next generation.
fn next(last: &mut u64) -> u64 {
    *last += 1;
    *last
}

/// Each with the name of its origin, and with its credentials named.
fn named(mut apis: Vec<Api>) -> Vec<(Api, Arc<str>)> {
    apis.iter_mut().for_each(name_credentials);
    let origins = origin_names(&apis);
    apis.into_iter().zip(origins).collect()
}

/// Puts the APIs in order: those with a host before those without, longer prefixes before shorter ones.
fn in_order(mut all: Vec<(Api, Arc<str>, u64)>) -> Vec<Arc<Mounted>> {
    all.sort_by_key(|(api, ..)| (api.host.is_none(), std::cmp::Reverse(api.path.len())));
    all.into_iter()
        .enumerate()
        .map(|(number, (api, origin, generation))| mount(number, api, origin, generation))
        .collect()
}

/// The ids of those that answer on what would be another one's if they weren't there.
fn nested(apis: &[Api]) -> HashSet<String> {
    let mut hosts: HashMap<&str, Vec<Option<&str>>> = HashMap::new();
    apis.iter().for_each(|api| hosts.entry(&api.path).or_default().push(api.host.as_deref()));
    let is_nested = |api: &&Api| {
        let own = api.host.as_deref();
        let on = |host: &Option<&str>| host.is_none() || own.is_none() || *host == own;
        let above = |path: &str| hosts.get(path).is_some_and(|hosts| hosts.iter().any(on));
        let same = || own.is_some() && hosts.get(api.path.as_str()).is_some_and(|hosts| hosts.contains(&None));
        api.path.match_indices('/').any(|(end, _)| above(&api.path[..end])) || same()
    };
    apis.iter().filter(is_nested).map(Api::id).collect()
}

fn mount(number: usize, api: Api, origin: Arc<str>, generation: u64) -> Arc<Mounted> {
    let id = api.id().into();
    let base = api.upstream.first().map_or("", |e| e.base.as_str());
    let roots = [Place::new(&format!("{base}{}", api.path)), Place::new(base)];
    // What is put there is at no origin; by that name its scopes are its own.
    let own = api.namespace.is_some().then(|| namespace::ORIGIN.into());
    let source = Arc::clone(&origin);
    let origin = own.unwrap_or(origin);
    let mut mounted =
        Mounted { number, id, generation, origin, source, told: Vec::new(), parameters: Vec::new(), roots, api };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Surroundings};

    /// `name path upstream more…` of each.
    fn read(apis: &[(&str, &str, &str, &str)]) -> Vec<Api> {
        let one = |(name, path, upstream, more): &(&str, &str, &str, &str)| {
            format!("[[api]]\nname = \"{name}\"\nversion = \"1\"\npath = \"{path}\"\nupstream = [{upstream}]\n{more}\n")
        };
        let text: String = apis.iter().map(one).collect();
        let around = Surroundings { env: &|_| None, memory_limit: None };
        config::parse(&text, "f.toml", &around).unwrap_or_else(|faults| panic!("{faults}\n{text}")).config.apis
    }

    fn generations(apis: &Apis) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = apis.iter().map(|m| (m.api.name.as_str(), m.generation)).collect();
        all.sort_unstable();
        all
    }

    const H: &str = "\"http://h\"";

    #[test]
    fn only_who_lies_in_another_ones_path_has_a_generation_at_the_start() {
        let host = "host = \"x.example\"";
        let apart =
            [("a", "/a", H, ""), ("b", "/ab", H, ""), ("c", "/c", H, host), ("d", "/c/d", H, "host = \"y.example\"")];
        assert!(Apis::new(read(&apart)).iter().all(|m| m.generation == 0));
        let nested = [("a", "/", H, ""), ("b", "/b", H, ""), ("c", "/b", H, host), ("d", "/b/d/e", H, host)];
        let apis = Apis::new(read(&nested));
        assert_eq!(generations(&apis)[0], ("a", 0));
        let mut others: Vec<u64> = generations(&apis)[1..].iter().map(|(_, generation)| *generation).collect();
        others.sort_unstable();
        assert_eq!(others, [1, 2, 3], "each has its own");
    }

    #[test]
    fn a_generation_never_comes_back() {
        let (a, b) = (("a", "/a", H, ""), ("b", "/b", H, ""));
        let first = Apis::new(read(&[a, b]));
        let (second, _) = first.after(read(&[a]));
        let (third, changes) = second.after(read(&[a, b]));
        assert_eq!(generations(&third), [("a", 0), ("b", 1)]);
        assert_eq!(changes[1].fate, Fate::Added);
        let (fourth, _) = third.after(read(&[("a", "/a", H, "cache = false"), b]));
        assert_eq!(generations(&fourth), [("a", 2), ("b", 1)]);
        let (fifth, changes) = fourth.after(read(&[("a", "/a", H, "cache = false\nttl = \"1m\""), b]));
        assert_eq!(generations(&fifth), [("a", 2), ("b", 1)]);
        assert_eq!(changes[0].fate, Fate::Changed(Effect::Soft));
        let younger: Vec<&str> = fifth.younger_than(&first).map(|m| &*m.id).collect();
        assert_eq!(younger.len(), 2);
        assert_eq!(fifth.younger_than(&fourth).count(), 0);
    }

    #[test]
    fn who_is_known_by_another_name_in_scopes_begins_anew() {
        let one = ("a", "/a", "\"http://m\"", "");
        let linked = ("b", "/b", "\"http://c\", \"http://m\"", "");
        let first = Apis::new(read(&[one]));
        let (second, changes) = first.after(read(&[one, linked]));
        assert_eq!(changes[0], Change { id: "a/1".into(), fate: Fate::Unchanged(Effect::Hard) });
        assert_eq!(changes[0].fate.effect(), Effect::Hard);
        assert!(generations(&second).iter().all(|(_, generation)| *generation > 0));
        assert_eq!(second.after(read(&[one, linked])).1[0].fate, Fate::Unchanged(Effect::Nothing));
    }
}
