//! A double of the gateway, an admin port in front of it, and a client that says exactly what it is told to.

use freshgate::admin::{
    self, ApiView, Change, Changed, Condition, Connections, FieldFault, Guard, Health, House, Inspection, NotChanged,
    NotReloaded, Place, Proof, Registry, Role, Token, Traffic,
};
use freshgate::audit::Audit;
use freshgate::clock::{Clock, Now};
use freshgate::events::{self, Fired, Refused, Told};
use freshgate::gateway::{Bad, CallerView, Explainable, Explained, Listed, RequestView, StepView, VerdictView, Wanted};
use freshgate::purge::{BadSelector, Purged, Selector, Target};
use freshgate::reached::Reached;
use freshgate::telemetry::{History, Quantiles};
use http::HeaderMap;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Remembers what it was asked, answers with what can be told apart.
#[derive(Default)]
pub(crate) struct Double {
    pub(crate) purges: Mutex<Vec<Selector>>,
    pub(crate) wanted: Mutex<Vec<Wanted>>,
    pub(crate) explained: Mutex<Vec<Explainable>>,
    pub(crate) reasons: Mutex<Vec<String>>,
    pub(crate) last_reload: Mutex<Option<Value>>,
    /// Of the configuration.
    pub(crate) faults: Mutex<Vec<Value>>,
    /// When there, a dry run waits here.
    pub(crate) scan: Mutex<Option<mpsc::Receiver<()>>>,
    /// Dry runs under way, and the most there were at once.
    pub(crate) scans: (AtomicUsize, AtomicUsize),
    /// The subjects of events that were acted on.
    pub(crate) events: Mutex<Vec<Option<String>>>,
    /// What APIs were to say.
    pub(crate) asked: Mutex<Vec<serde_json::Map<String, Value>>>,
    pub(crate) audit: Audit,
    /// How often the one line of the metrics comes after the first.
    pub(crate) more_metrics: AtomicUsize,
    pub(crate) history: OnceLock<Arc<History>>,
}

impl Double {
    fn view(name: &str) -> ApiView {
        ApiView {
            name: name.into(),
            version: "v1".into(),
            settings: json!({ "ttl": "10m" }),
            entries: 3,
            bytes: 1_000,
            hits: 9,
            misses: 1,
            hit_ratio: Some(0.9),
            origin_ms_saved: 180,
            etag: "\"e1\"".into(),
            editable: true,
            requests: 12,
            requests_per_second: 0.4,
            health: Health { well: 1, ..Health::default() },
            hit_ms: Quantiles { p50: Some(0.1), p99: Some(0.5) },
            origin_ms: Quantiles::default(),
        }
    }
}

impl Registry for Double {
    fn page(&self, after: Option<&Place>, limit: usize) -> (Vec<ApiView>, Option<Place>) {
        let (all, begin) = (self.apis(), after.map_or(0, |after| after.number + 1));
        let page: Vec<_> = all.iter().skip(begin).take(limit).cloned().collect();
        let last = begin + page.len();
        let place = (last < all.len()).then(|| Place { number: last - 1, id: "x/v1".into() });
        (page, place)
    }

    fn change(
        &self,
        (name, version): (&str, &str),
        change: &Change,
        condition: &Condition,
    ) -> Result<Changed, NotChanged> {
        let view = self.api(name, version);
        let etag = view.as_ref().map(|view| view.etag.clone());
        if !condition.holds(etag.as_deref()) {
            return Err(NotChanged::Condition(etag));
        }
        let (created, view) = match (change, view) {
            (Change::Put(_), None) => (true, Some(ApiView { name: name.into(), ..Double::view("") })),
            (Change::Put(_) | Change::Patch(_), Some(view)) => (false, Some(view)),
            (Change::Remove, Some(_)) => (false, None),
            (Change::Patch(_) | Change::Remove, None) => return Err(NotChanged::NoSuchApi),
        };
        if let Change::Put(said) | Change::Patch(said) = change {
            self.asked.lock().unwrap().push(said.clone());
            if said.contains_key("fault") {
                return Err(NotChanged::Faults(2, vec![FieldFault::new("fault", "not so")]));
            }
        }
        Ok(Changed {
            view,
            created,
            cache: "kept",
            keys: vec!["ttl".into()],
            values: Default::default(),
            warnings: vec![],
        })
    }

    fn audit(&self) -> &Audit {
        &self.audit
    }
}

impl Inspection for Double {
    fn entries(&self, wanted: &Wanted) -> Result<Listed, Bad> {
        let bad = wanted.filter.api.as_deref().is_some_and(|api| api != "bookstore/v1");
        self.wanted.lock().unwrap().push(wanted.clone());
        if bad {
            Err(Bad { member: "api", why: "nobody".into() })
        } else {
            Ok(Listed { entries: Vec::new(), cursor: None })
        }
    }

    fn explain(&self, asked: &Explainable) -> Result<Explained, Bad> {
        let bad = Bad { member: "url", why: "nobody".into() };
        self.explained.lock().unwrap().push(asked.clone());
        if asked.url == "/nowhere" { Err(bad) } else { Ok(explained()) }
    }
}

impl Traffic for Double {
    fn history(&self) -> Arc<History> {
        Arc::clone(self.history.get_or_init(|| History::new(Now::default(), Arc::default())))
    }
}

impl House for Double {
    fn apis(&self) -> Vec<ApiView> {
        vec![Double::view("bookstore"), Double::view("a b/ü")]
    }

    fn api(&self, name: &str, version: &str) -> Option<ApiView> {
        self.apis().into_iter().find(|api| api.name == name && api.version == version)
    }

    fn purge(&self, selector: &Selector) -> Result<Purged, BadSelector> {
        if selector.dry_run {
            let (now, most) = &self.scans;
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            if let Some(gate) = &*self.scan.lock().unwrap() {
                gate.recv().unwrap();
            }
            now.fetch_sub(1, SeqCst);
        }
        let mut purges = self.purges.lock().unwrap();
        purges.push(selector.clone());
        match &selector.target {
            Target::Api(api) if api != "bookstore/v1" => Err(BadSelector::NoSuchApi(api.clone())),
            Target::Path { path, .. } if path == "/nowhere" => Err(BadSelector::NoSuchPath(path.clone())),
            Target::Path { path, .. } if path.contains("..") => Err(BadSelector::BadPath("the path has dots".into())),
            Target::Path { .. } => Ok(Purged { invalidated: Some(12), epoch: purges.len() as u64 }),
            _ if selector.dry_run => Ok(Purged { invalidated: Some(1), epoch: 0 }),
            Target::All | Target::Api(_) | Target::Prefix { .. } | Target::Tag(_) | Target::User(_) => {
                Ok(Purged { invalidated: None, epoch: purges.len() as u64 })
            }
        }
    }

    fn event_body(&self) -> u64 {
        4_096
    }

    fn events(&self, fields: &HeaderMap, body: &[u8]) -> Result<Vec<Told>, Refused> {
        let events = events::read(fields, body, 3)?;
        if let Some(index) = events.iter().position(|event| event.kind.as_deref() == Some("nobody")) {
            return Err(Refused::NoRule { index: (events.len() > 1).then_some(index) });
        }
        let told = |event: &events::Event| Told {
            id: event.id.clone(),
            source: event.source.clone(),
            duplicate: false,
            rules: vec![Fired { rule: 0, did: vec![json!({ "refresh": event.subject })] }],
        };
        let all = events.iter().map(told).collect();
        self.events.lock().unwrap().extend(events.into_iter().map(|event| event.subject));
        Ok(all)
    }

    fn ready(&self) -> Result<(), Vec<String>> {
        let reasons = self.reasons.lock().unwrap().clone();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    fn config(&self) -> Value {
        json!({ "admin": { "tokens": [{ "name": "ops", "sha256": "(hidden)" }] } })
    }

    fn last_reload(&self) -> Option<Value> {
        self.last_reload.lock().unwrap().clone()
    }

    fn reload(&self) -> Result<Value, NotReloaded> {
        let faults = self.faults.lock().unwrap().clone();
        if faults.is_empty() {
            Ok(json!({ "result": "applied" }))
        } else {
            Err(NotReloaded::Faults { number: 7, told: faults })
        }
    }

    fn metrics(&self) -> String {
        "freshgate_build_info 1\n".repeat(1 + self.more_metrics.load(SeqCst))
    }
}

/// An explanation with something in each place.
fn explained() -> Explained {
    let request = RequestView {
        method: "GET".into(),
        host: "h".into(),
        path: "/books/7".into(),
        query: Some("a=1".into()),
        fields: Default::default(),
        content: 0,
    };
    let step =
        StepView { step: "store", says: "nothing\u{1b} is stored".into(), section: Some("RFC 9111 §4"), config: None };
    let verdict = VerdictView {
        decision: "miss",
        says: "the origin is asked".into(),
        section: "RFC 9111 §4",
        cache_status: Some("freshgate; fwd=uri-miss".into()),
        ..VerdictView::default()
    };
    Explained {
        request,
        steps: vec![step],
        api: Some("bookstore/v1".into()),
        route: None,
        caller: CallerView { user: None, partition: "shared", how: "nobody is asked".into() },
        key: None,
        stored: Vec::new(),
        verdict,
        changes: vec!["set ttl".into()],
    }
}

/// An admin port that stops when it is dropped.
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    pub(crate) double: Arc<Double>,
    pub(crate) clock: Clock,
    pub(crate) connections: Connections,
    pub(crate) reached: Arc<Reached>,
    pub(crate) guard: Arc<Guard>,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.connections.stop();
    }
}

impl Port {
    /// Stops it and waits for the end of every connection, however long that takes.
    pub(crate) async fn ended(&self) {
        self.connections.ended(Duration::MAX).await;
    }
}

pub(crate) async fn port() -> Port {
    port_with(false).await
}

pub(crate) async fn port_with(metrics_public: bool) -> Port {
    let (port, listener) = bound().await;
    let (reached, guard) = (port.reached.clone(), (port.guard.clone(), metrics_public));
    admin::run(listener, port.double.clone(), guard, None, reached, &port.connections);
    port
}

pub(crate) fn token(name: &str, role: Role) -> Token {
    Token { name: name.into(), role, proof: Proof::Secret(Sha256::digest(format!("{name}-secret")).into()) }
}

/// One for each role, named after it.
pub(crate) fn tokens() -> Vec<Token> {
    vec![token("viewer", Role::Viewer), token("operator", Role::Operator), token("administrator", Role::Administrator)]
}

pub(crate) async fn probe() -> Port {
    let (port, listener) = bound().await;
    admin::run_probe(listener, port.double.clone(), port.reached.clone(), &port.connections);
    port
}

/// Everything the program has logged so far in this process, one JSON object a line.
pub(crate) fn events() -> Vec<Value> {
    let text = String::from_utf8(page().0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn page() -> &'static Page {
    static PAGE: OnceLock<Page> = OnceLock::new();
    PAGE.get_or_init(|| {
        let page = Page::default();
        let copy = page.clone();
        tracing_subscriber::fmt().json().with_writer(move || copy.clone()).init();
        page
    })
}

async fn bound() -> (Port, TcpListener) {
    page();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (clock, connections) = (Clock::steppable(), Connections::new(64));
    let (double, reached) = (Arc::default(), Arc::<Reached>::default());
    let guard = Arc::new(Guard::new(&tokens(), clock.clone(), Arc::clone(&reached)));
    (Port { address, double, clock, connections, reached, guard }, listener)
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// From the bytes of one whole answer.
    pub(crate) fn of(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.into() }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Asserts that this is the problem `name`, and gives its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, name: &str) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:freshgate:problem:{name}"));
        assert_eq!(problem["status"], status);
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// Sends `request` as it is and reads until the other end closes.
pub(crate) async fn raw(address: SocketAddr, request: &str) -> Answer {
    let mut socket = TcpStream::connect(address).await.unwrap();
    // A request that is refused before its end may meet a closed socket.
    drop(socket.write_all(request.as_bytes()).await);
    let mut text = Vec::new();
    drop(socket.read_to_end(&mut text).await);
    Answer::of(&String::from_utf8(text).unwrap())
}

/// A request without a body. `who` names a token; `""` shows none.
pub(crate) async fn call(port: &Port, who: &str, method: &str, path: &str) -> Answer {
    raw(port.address, &format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{}Connection: close\r\n\r\n", bearer(who))).await
}

/// A request with a body of JSON.
pub(crate) async fn send(port: &Port, who: &str, path: &str, body: &str) -> Answer {
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{}Connection: close\r\n", bearer(who));
    let length = body.len();
    raw(port.address, &format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")).await
}

pub(crate) fn bearer(who: &str) -> String {
    if who.is_empty() { String::new() } else { format!("Authorization: Bearer {who}-secret\r\n") }
}
