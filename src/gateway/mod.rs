//! The way of a request: one function, [`Gateway::handle`], shows it whole; each step is a leaf that returns a verdict.

mod acknowledged;
mod address;
mod admit;
mod asked;
mod authenticate;
mod compress;
mod deliver;
mod explain;
mod fallback;
mod find;
mod forward;
mod list;
mod object;
mod outcome;
mod payer;
mod problem;
mod purge_method;
mod query;
mod read;
mod stale;
mod status;
mod succession;
mod tunnel;
mod view;
mod write;

pub use explain::{
    Around, Asked as Explainable, AskedFields, CallerView, Explained, GivenCaller, KeyView, RequestView, StepView,
    VerdictView,
};
pub use list::{Bad, Filter, LARGEST_PAGE, Listed, PAGE, Wanted};
pub use object::{Object, check};
pub use outcome::{Answered, BY_PURGE, Kind, Outcome, Step, Whose};
pub use problem::Problem;
pub use succession::Succession;
pub use view::{ContentView, EntryView, Hide};

use crate::auth::{Checked, Found};
use crate::body::Body;
use crate::client::Client;
use crate::clock::{Clock, Now};
use crate::counted::Counted;
use crate::encode::Encoders;
use crate::fill::{Comer, Fills};
use crate::policy::{Apis, Mounted};
use crate::reached::{Bound, Reached};
use crate::store::{Payer, Store, Tally};
use crate::tasks::Tasks;
use crate::trace::Trace;
use crate::upstream::{AskError, Origin};
use admit::{Admitted, Way, admit};
use asked::Asked;
use authenticate::{accept, authenticate, within_rate};
use http::{Method, Request, StatusCode};
use status::{Fwd, Status};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use write::Written;

/// Whether the bearer of this token, who calls from this address, may purge: where to tell what he has purged; or for how many seconds
/// nobody there is listened to.
pub type MayPurge = Box<dyn Fn(&[u8], IpAddr) -> Result<Option<Told>, u64> + Send + Sync>;

/// Takes what was purged, as a selector, and its epoch.
pub type Told = Box<dyn Fn(serde_json::Value, u64) + Send>;

/// What the gateway needs of the configuration beside the APIs.
pub struct Settings {
    /// Whether `Forwarded` and `X-Forwarded-*` of this peer are believed.
    pub trusts: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// Fields that a request may have.
    pub header_count: usize,
    /// Bytes that a request's body may have; `None` is no limit.
    pub request_body: Option<u64>,
    /// Bytes that the content of a QUERY may have to be part of a key.
    pub query_body: u64,
    /// Contents that may be encoded at a time.
    pub compressions: usize,
    /// Counts which bounds are reached.
    pub reached: Arc<Reached>,
    /// Which APIs are in force by now.
    pub succession: Arc<Succession>,
    /// Whether a token may purge by the method PURGE; `None` forwards PURGE like any other method.
    pub may_purge: Option<MayPurge>,
    /// Counts the writes that are under way.
    pub writes: Arc<AtomicUsize>,
}

/// An API that is being served.
#[derive(Clone)]
pub struct Served {
    /// Where it lives.
    pub origin: Arc<Origin>,
    /// What it has in the store.
    pub tally: Arc<Tally>,
}

/// The gateway: APIs in front, origins behind, the store between.
pub struct Gateway {
    apis: Apis,
    served: Vec<Served>,
    store: Arc<Store>,
    fills: Arc<Fills>,
    settings: Settings,
    encoders: Encoders,
    lists: list::Lists,
    clock: Clock,
    /// Writes; a stop waits for them.
    tasks: Tasks,
    /// What a stop needn't wait for.
    background: Tasks,
}

impl Gateway {
    /// `served` is in the order of `apis`; a stop waits for what is spawned in `tasks`.
    pub fn new(
        apis: Apis,
        served: Vec<Served>,
        store: Arc<Store>,
        fills: Arc<Fills>,
        settings: Settings,
        clock: Clock,
        tasks: Tasks,
    ) -> Self {
        let encoders = Encoders::new(settings.compressions, Arc::clone(&settings.reached));
        let (lists, background) = Default::default();
        Gateway { apis, served, store, fills, settings, encoders, lists, clock, tasks, background }
    }

    /// Answers a request that came at `now`, of this trace if there are traces, or says what has to be waited for.
    pub fn handle<'a>(
        self: &'a Arc<Self>,
        request: Request<Body>,
        client: &'a Client,
        now: Now,
        trace: Option<Arc<Trace>>,
    ) -> Step<'a> {
        let mut comer = Comer { began_at: self.store.scopes.epoch(), began_time: now.mono, hops: 0 };
        let (mut admitted, body) = match admit(request, &self.apis, &self.settings) {
            Ok(admitted) => admitted,
            Err(problem) => {
                let problem = self.noted(problem);
                return Step::Now((problem.response(Status::default()), problem.outcome(Kind::Refused, None)));
            }
        };
        let is_trusted = || (self.settings.trusts)(client.address.ip());
        (admitted.scheme, admitted.trace) = (client.scheme(), trace);
        comer.hops = admitted.hops;
        if let Some(purged) = self.purged(&admitted, client.address.ip()) {
            return Step::Now(purged);
        }
        match authenticate(&mut admitted, client, is_trusted, now) {
            Checked::Now(found) => self.go_on(admitted, found, body, client, comer, now),
            Checked::Later(awaited) => {
                let whose = Whose { api: Some(Arc::clone(&admitted.routed.mounted.id)), user: None };
                let on = async move {
                    let found = awaited.await;
                    self.go_on(admitted, found, body, client, comer, self.clock.now()).answered().await
                };
                Step::later(on).of(whose)
            }
        }
    }

    /// The way on, once it is known who is calling.
    #[inline]
    fn go_on<'a>(
        self: &'a Arc<Self>,
        mut admitted: Admitted,
        found: Found,
        body: Body,
        client: &'a Client,
        comer: Comer,
        now: Now,
    ) -> Step<'a> {
        let let_in = accept(&mut admitted, found);
        admitted.claims = forward::claims(&admitted, || (self.settings.trusts)(client.address.ip()));
        let whose = Whose { api: Some(Arc::clone(&admitted.routed.mounted.id)), user: admitted.shown.clone() };
        if let Err(problem) =
            let_in.and_then(|()| within_rate(&admitted, client.address.ip(), &self.settings.trusts, now))
        {
            let api = whose.api.clone();
            return Step::Now((problem.response(Status::default()), problem.outcome(Kind::Refused, api))).of(whose);
        }
        if let Some(upgrade) = admitted.upgrade.take() {
            return Step::later(self.tunnel(admitted, body, upgrade, client)).of(whose);
        }
        let step = match admitted.way() {
            Way::Read => self.read(admitted, body, client, comer, now),
            Way::Query => Step::later(self.query(admitted, body, client, comer)),
            Way::Pass => Step::later(self.pass(admitted, body, client, read::METHOD, None)),
            Way::Change => Step::later(self.change(admitted, body, client)),
        };
        step.of(whose)
    }

    fn served(&self, mounted: &Mounted) -> &Served {
        &self.served[mounted.number]
    }

    /// To whom an answer to this request is charged.
    fn payer(&self, admitted: &Admitted, client: &Client) -> Option<Payer> {
        payer::payer(&self.store.accounts, admitted, client.address.ip(), &self.settings.trusts)
    }

    /// What a client is told of a failure that its own body may be the cause of.
    fn problem(&self, error: &AskError) -> Problem {
        self.noted(Problem::of(error))
    }

    fn noted(&self, problem: Problem) -> Problem {
        if problem.status == StatusCode::PAYLOAD_TOO_LARGE {
            self.settings.reached.note(Bound::RequestBody);
        }
        problem
    }

    /// Carries a write; the client's leaving doesn't stop it.
    async fn change(self: &Arc<Self>, mut admitted: Admitted, body: Body, client: &Client) -> Answered {
        let api = Some(Arc::clone(&admitted.routed.mounted.id));
        let reading = (admitted.method == Method::POST).then(|| admitted.read_of_target());
        let reading = reading.filter(|reading| reading.routed.rules.cache && !reading.routed.place().is_too_deep());
        let payer = reading.is_some().then(|| self.payer(&admitted, client)).flatten();
        let Some(request) = self.request(&mut admitted, client, body) else {
            let problem = Problem::unsendable();
            return (problem.response(Status::default()), problem.outcome(Kind::Refused, api));
        };
        let write = write::Write {
            routed: admitted.routed.clone(),
            method: admitted.method.clone(),
            host: admitted.host.clone(),
            request,
            to: forward::host(&admitted),
            reading,
            payer,
            interim: read::interim(client),
            trace: admitted.trace.clone(),
        };
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let (gateway, counted) = (Arc::clone(self), Counted::up_to(&self.settings.writes, usize::MAX));
        self.tasks.spawn(async move {
            let served = gateway.served(&write.routed.mounted).clone();
            if let Err(Written { answer: Ok(response), .. }) = sender.send(gateway.write(&served, write).await) {
                acknowledged::read_out(response.into_body()).await;
            }
            drop(counted);
        });
        let Ok(written) = receiver.await else {
            let problem = Problem::unsendable();
            return (problem.response(Status::default()), problem.outcome(Kind::Failed, api));
        };
        let status = Status::fwd(Fwd::Method);
        let (origin_ms, invalidated) = (Some(written.origin_ms), written.invalidated);
        let outcome = Outcome { api, kind: Kind::Write, origin_ms, invalidated, ..Outcome::default() };
        match written.answer {
            Ok(response) => {
                let status = Status { fwd_status: Some(response.status()), ..status };
                (deliver::own(Asked::new(&admitted, &self.encoders), response, &status), outcome)
            }
            Err(error) => {
                let problem = self.problem(&error);
                let outcome = Outcome { kind: Kind::Failed, reason: Some(problem.name), ..outcome };
                (problem.response(status), outcome)
            }
        }
    }
}
