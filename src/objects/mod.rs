//! The object cache: a second front door to the same store.
//!
//! Applications look up reference data (tax codes, currencies) that changes seldom and must not be old when it does. Here they read it by
//! namespace and key, from an object's source on a miss, or put it there themselves. **Nothing is kept here.** An object is an answer in the
//! store, under a key that no request of the data port has; it lies in scopes, is asked for and joined like any other, and a write through
//! the gateway to the place that its source is at invalidates it as well. What is its own is the shelf on which its namespace lies, so that no namespace
//! pushes out another.
//!
//! **A change is one step.** Whoever puts, creates or removes an object holds its lock (one of a few hundred, by its key) while he looks what
//! is there, compares that with what he was told to expect, takes the next epoch, and puts the new one in. So of two who replace one version one
//! wins, and no reader in between finds nothing: the store's step from the old entry to the new one is one. While it lasts nothing is kept of what
//! the source is asked (a scope in which only what was asked for lies *settles*, DESIGN rule 11); what was asked before it is older and takes nobody's
//! place (rule 7); and at its end that scope is raised, so that nobody joins a question from before, and after that the writer is
//! answered (rule 2). A removal raises the object's own scope. Nothing waits under the lock; the content has been read to its end before.
//!
//! **It is a cache.** What an application has put stays until its time is over, the namespace is full, an event or a purge; it is in the memory
//! of this process and nowhere else.

mod answer;
mod batch;
mod list;
mod problems;
mod query;
mod refresh;
mod settings;
mod space;
mod target;
mod write;

pub use settings::{Namespace, Settings};
pub use target::LONGEST_KEY;

use crate::admin::{Guard, Role, is_of_another_site};
use crate::body::Body;
use crate::client::Client;
use crate::clock::{Clock, Now};
use crate::fill::generated_etag;
use crate::gateway::{Answered, Gateway, Kind, Object, Outcome, Problem, Step, Whose, check};
use crate::policy::Mounted;
use crate::rfc9110::etag::is_strong;
use crate::store::{Entry, Store};
use crate::tasks::Tasks;
use crate::trace::Trace;
use answer::{as_asked, is_there};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG, HOST, IF_MATCH};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, request};
use http_body::Body as _;
use http_body_util::BodyExt;
use refresh::Refreshes;
use space::{Space, object};
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use target::Target;
use write::Locks;

/// What no reload replaces.
#[derive(Debug)]
pub struct Lasting {
    guard: Guard,
    locks: Locks,
    refreshes: Refreshes,
    listing: Arc<tokio::sync::Semaphore>,
}

impl Lasting {
    /// With the tokens of `[objects]`, if there are any.
    pub fn new(guard: Guard, settings: Option<&Settings>, background: usize) -> Self {
        let waiting = settings.map_or(0, |settings| settings.refreshes);
        Lasting {
            guard,
            locks: Locks::default(),
            refreshes: Refreshes::new(waiting, background),
            listing: Arc::new(tokio::sync::Semaphore::new(2)),
        }
    }

    /// The tokens may change.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }
}

/// So much room is made for a content that was only promised.
const PROMISED: usize = 16 << 10;

/// What objects are made of.
pub struct Around {
    /// Reads them.
    pub gateway: Arc<Gateway>,
    /// Has them.
    pub store: Arc<Store>,
    /// What is older than this configuration.
    pub lasting: Arc<Lasting>,
    /// Time.
    pub clock: Clock,
    /// What a stop needn't wait for.
    pub tasks: Tasks,
    /// Bytes that an object may have (`cache.max_object_size`).
    pub max_object_size: u64,
}

/// The object cache under one configuration.
pub struct Objects {
    spaces: HashMap<String, Space>,
    open: bool,
    batch: usize,
    around: Around,
}

/// Who may do what.
struct Caller {
    name: Option<Arc<str>>,
    role: Role,
}

impl Objects {
    /// With the namespaces that `around.gateway` has.
    pub fn new(settings: &Settings, around: Around) -> Arc<Self> {
        let own: HashMap<&str, &Namespace> =
            settings.namespaces.iter().map(|space| (space.api.version.as_str(), space)).collect();
        let space = |mounted: &Arc<Mounted>| {
            let own = own.get(mounted.api.version.as_str());
            let (max_ttl, room) = own.map_or((None, u64::MAX), |own| (own.max_ttl, own.bounds.bytes));
            (mounted.api.version.clone(), Space { mounted: Arc::clone(mounted), max_ttl, room })
        };
        let spaces = around.gateway.namespaces().map(space).collect();
        Arc::new(Objects { spaces, open: settings.tokens.is_empty(), batch: settings.batch, around })
    }

    /// Answers a request that came at `now`, or says what has to be waited for.
    pub fn handle<'a>(
        self: &'a Arc<Self>,
        request: Request<Body>,
        client: &'a Client,
        now: Now,
        trace: Option<Arc<Trace>>,
    ) -> Step<'a> {
        let (mut parts, body) = request.into_parts();
        let caller = match check(&mut parts).and_then(|()| self.caller(&parts.headers, client.address.ip())) {
            Ok(caller) => caller,
            Err(problem) => return Step::Now(problem.told(None)),
        };
        let user = caller.name.clone();
        let step = match self.step(parts, body, &caller, client, (now, trace)) {
            Ok(step) => step,
            Err((problem, api)) => Step::Now(problem.told(api)),
        };
        match step {
            Step::Now((response, outcome)) => Step::Now((response, outcome.of(user))),
            Step::Later(rest, Whose { api, user: _ }) => Step::Later(rest, Whose { api, user }),
        }
    }

    fn step<'a>(
        self: &'a Arc<Self>,
        parts: request::Parts,
        body: Body,
        caller: &Caller,
        client: &'a Client,
        (now, trace): (Now, Option<Arc<Trace>>),
    ) -> Result<Step<'a>, (Problem, Option<Arc<str>>)> {
        let nobodys = |problem| (problem, None);
        let (space, key) = match target::target(parts.uri.path()).map_err(nobodys)? {
            Target::Everything => {
                only(&parts, &[Method::GET, Method::HEAD], "GET, HEAD").map_err(nobodys)?;
                return Ok(Step::Now(self.everything()));
            }
            Target::Namespace(name) => {
                let space = self.space(name)?;
                let api = Some(Arc::clone(&space.mounted.id));
                only(&parts, &[Method::GET, Method::HEAD], "GET, HEAD").map_err(|p| (p, api.clone()))?;
                let wanted = list::Wanted::of(parts.uri.query()).map_err(|p| (p, api.clone()))?;
                return Ok(later(async move { Ok(self.list(space, wanted, now).await) }, api));
            }
            Target::Batch(name) => {
                let space = self.space(name)?;
                let api = Some(Arc::clone(&space.mounted.id));
                only(&parts, &[Method::POST], "POST").map_err(|p| (p, api.clone()))?;
                return Ok(later(self.batch(space, parts, body, client), api));
            }
            Target::Object(name, key) => (self.space(name)?, key),
        };
        let api = Some(Arc::clone(&space.mounted.id));
        let its = |problem| (problem, api.clone());
        only(
            &parts,
            &[Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE],
            "GET, HEAD, PUT, POST, DELETE",
        )
        .map_err(its)?;
        let object = object(space, &key);
        if matches!(parts.method, Method::GET | Method::HEAD) {
            query::none(parts.uri.query()).map_err(its)?;
            return Ok(self.read(object, parts, client, (now, trace)));
        }
        if caller.role < Role::Operator {
            return Err(its(problems::role()));
        }
        let ttl = query::ttl(parts.uri.query(), space.max_ttl).map_err(its)?;
        Ok(later(self.change((object, space.room), ttl, parts, body), api))
    }

    fn space(&self, name: &str) -> Result<&Space, (Problem, Option<Arc<str>>)> {
        self.spaces.get(name).ok_or_else(|| (problems::no_namespace(name), None))
    }

    /// Who is calling. Without tokens whoever reaches the listener may do everything, but for web pages, which a browser lets ask from
    /// wherever they come: they say so, or come by a name that was made to mean this address.
    fn caller(&self, fields: &HeaderMap, address: IpAddr) -> Result<Caller, Problem> {
        if !self.open {
            let (name, role) = self.around.lasting.guard.whose(fields, address).map_err(problems::unheard)?;
            return Ok(Caller { name: Some(name.into()), role });
        }
        let host = fields.get(HOST).and_then(|host| host.to_str().ok()).map(crate::policy::without_port);
        let plain = host.is_some_and(|host| {
            host.eq_ignore_ascii_case("localhost") || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        });
        if !plain || is_of_another_site(fields) {
            return Err(problems::other_site());
        }
        Ok(Caller { name: None, role: Role::Administrator })
    }

    fn read<'a>(
        self: &'a Arc<Self>,
        object: Object,
        parts: request::Parts,
        client: &'a Client,
        (now, trace): (Now, Option<Arc<Trace>>),
    ) -> Step<'a> {
        let request::Parts { method, headers, .. } = parts;
        // A HEAD is a GET without its content, also on a miss: it says what the next GET will.
        let step = self.around.gateway.object(object, Method::GET, &headers, client, now, trace);
        let (head, wanted) = (method == Method::HEAD, headers.contains_key(IF_MATCH).then_some(headers));
        match step {
            Step::Now(answered) => Step::Now(as_asked(answered, head, wanted.as_ref())),
            Step::Later(rest, whose) => {
                let asked = async move { as_asked(self.tagged(rest.await).await, head, wanted.as_ref()) };
                Step::Later(Box::pin(asked), whose)
            }
        }
    }

    /// Every object has an entity tag. Where the source gives none, it is made of the content, which has to be there for that.
    async fn tagged(&self, (response, outcome): Answered) -> Answered {
        let strong = response.headers().get(ETAG).is_some_and(|etag| is_strong(etag.as_bytes()));
        if response.status() != StatusCode::OK || strong {
            return (response, outcome);
        }
        let (mut parts, mut body) = response.into_parts();
        let (mut content, limit) = (Vec::new(), self.around.max_object_size);
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                let problem = problems::source_broke();
                let (told, refused) = problem.told(outcome.api.clone());
                return (told, Outcome { kind: Kind::Failed, reason: refused.reason, ..outcome });
            };
            content.extend_from_slice(&frame.into_data().unwrap_or_default());
            if content.len() as u64 > limit {
                return (Response::from_parts(parts, Body::chained(content.into(), body)), outcome);
            }
        }
        generated_etag(&content, true).and_then(|etag| parts.headers.insert(ETAG, etag));
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(content.len()));
        (Response::from_parts(parts, Body::full(content)), outcome)
    }

    /// What is there and may be given at `now`.
    fn current(&self, key: &[u8], now: Now) -> Option<Arc<Entry>> {
        let variants = self.around.store.find(key)?;
        let entry = variants.first()?;
        is_there(entry, now).then(|| Arc::clone(entry))
    }

    /// Reads a content to its end; what comes back takes no more room than it has bytes.
    async fn content(&self, mut body: Body) -> Result<Bytes, Problem> {
        let limit = self.around.max_object_size;
        let told = body.size_hint().lower();
        if told > limit {
            return Err(problems::too_large(limit));
        }
        let mut content = Vec::with_capacity(usize::try_from(told).unwrap_or_default().min(PROMISED));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(Problem::of_body)?;
            let Ok(data) = frame.into_data() else { continue };
            if (content.len() + data.len()) as u64 > limit {
                return Err(problems::too_large(limit));
            }
            content.extend_from_slice(&data);
        }
        Ok(content.into_boxed_slice().into())
    }
}

/// What has to be waited for.
fn later<'a>(rest: impl Future<Output = Result<Answered, Problem>> + Send + 'a, api: Option<Arc<str>>) -> Step<'a> {
    let whose = Whose { api: api.clone(), user: None };
    Step::Later(Box::pin(async move { rest.await.unwrap_or_else(|problem| problem.told(api)) }), whose)
}

fn only(parts: &request::Parts, methods: &[Method], allow: &'static str) -> Result<(), Problem> {
    if methods.contains(&parts.method) { Ok(()) } else { Err(problems::not_allowed(allow)) }
}
