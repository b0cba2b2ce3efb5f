//! An object of the cache is read as an answer is: found by its key, checked against its scopes, asked for at its source, joined, recorded.
//! What is different comes before: nobody routes it, its caller is known already, and nothing that the request says but conditions and
//! ranges has a part in it.

use super::Gateway;
use super::admit::{self, Admitted, hops};
use super::find::Lookup;
use super::outcome::{Step, Whose};
use super::problem::Problem;
use super::read::Reading;
use super::status::Status;
use crate::body::Body;
use crate::client::Client;
use crate::clock::Now;
use crate::fill::{Candidates, Comer, Got, Wanted};
use crate::policy::namespace::HOST;
use crate::policy::{Identity, Mounted, write_generation, write_key};
use crate::trace::Trace;
use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderName, Method, Uri, request};
use std::sync::Arc;

/// What of a request counts for the answer from an object.
const OF_REQUEST: [HeaderName; 4] = [IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE, IF_RANGE];

/// One object: its namespace, and its path there, `/NAMESPACE/KEY` with the key encoded in one way only.
#[derive(Clone, Debug)]
pub struct Object {
    /// The namespace.
    pub mounted: Arc<Mounted>,
    /// The path.
    pub path: String,
}

/// Makes sure that a request for objects means one thing only, as for any other.
///
/// # Errors
/// Why it doesn't.
pub fn check(parts: &mut request::Parts) -> Result<(), Problem> {
    admit::host(&parts.uri, &parts.headers)?;
    admit::framing(&mut parts.headers, None)?;
    admit::repeated(&parts.headers)
}

impl Object {
    /// What it lies under in the store.
    pub fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.path.len() + 2);
        write_key(&mut key, HOST, &self.path, None, b"");
        write_generation(&mut key, self.mounted.generation);
        key
    }

    fn read(self, method: Method, fields: HeaderMap, hops: u8) -> Option<Admitted> {
        let uri: Uri = self.path.parse().ok()?;
        Some(Admitted {
            scheme: "http",
            hops,
            host: HOST.into(),
            uri,
            routed: self.mounted.route(&method, self.path),
            method,
            identity: Identity::default(),
            user: None,
            shown: None,
            fields,
            claims: Vec::new(),
            has_body: false,
            content: None,
            trailers: false,
            upgrade: None,
            trace: None,
        })
    }
}

impl Gateway {
    /// The namespaces of the object cache.
    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<Mounted>> {
        self.apis.iter().filter(|mounted| mounted.api.namespace.is_some())
    }

    /// What a namespace has in the store is counted there.
    pub fn tally_of(&self, namespace: &Mounted) -> &Arc<crate::store::Tally> {
        &self.served(namespace).tally
    }

    /// Answers GET, or HEAD, of an object by a request with these `fields`.
    pub fn object<'a>(
        self: &'a Arc<Self>,
        object: Object,
        method: Method,
        fields: &HeaderMap,
        client: &'a Client,
        now: Now,
        trace: Option<Arc<Trace>>,
    ) -> Step<'a> {
        let api = Arc::clone(&object.mounted.id);
        let refused = |problem: Problem, api| {
            let outcome = problem.outcome(super::Kind::Refused, Some(api));
            Step::Now((problem.response(Status::default()), outcome))
        };
        let hops = match hops(fields) {
            Ok(hops) => hops,
            Err(problem) => return refused(problem, api),
        };
        let comer = Comer { began_at: self.store.scopes.epoch(), began_time: now.mono, hops };
        let mut own = HeaderMap::new();
        for name in OF_REQUEST {
            own.extend(fields.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
        }
        if own.contains_key(RANGE) && self.store.find(&object.key()).is_none() {
            // The whole will be asked for, since it is everybody's.
            own.remove(RANGE);
            own.remove(IF_RANGE);
        }
        match object.read(method, own, hops) {
            Some(admitted) => {
                let admitted = Admitted { trace, ..admitted };
                self.read(admitted, Body::empty(), client, comer, now).of(Whose { api: Some(api), user: None })
            }
            None => refused(Problem::unsendable(), api),
        }
    }

    /// Asks the source of an object for it, whatever is stored, and says whether it was there to be kept.
    pub async fn reload(self: &Arc<Self>, object: Object, client: &Client) -> bool {
        let began = Comer { began_at: self.store.scopes.epoch(), began_time: self.clock.mono(), hops: 0 };
        let Some(admitted) = object.read(Method::GET, HeaderMap::new(), 0) else { return false };
        let lookup = Lookup::new(&admitted, None);
        let reading = Reading { admitted: &admitted, client, lookup: &lookup, encoders: &self.encoders };
        let Some(question) = self.question(&reading, Candidates::None, Wanted::Whole) else { return false };
        match self.fills.get(question, began).await {
            Got::Shared { .. } => true,
            Got::Own { .. } | Got::Failed(_) | Got::Overloaded => false,
        }
    }
}
