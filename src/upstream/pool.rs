//! Connections to one endpoint that wait for their next request.
//!
//! A connection of HTTP/1.1 has one user at a time: it leaves the pool as a [`Lease`] and comes back only through
//! [`Lease::give_back`], when both messages of its exchange have ended. A lease that is dropped takes hyper's sender
//! with it, and hyper then closes the connection. So an answer that is left half-read, a request whose body is still
//! under way, or an exchange that failed can't leave a byte for somebody else's.
//!
//! The last one given back is the first one taken: few connections stay warm and the others grow idle and are closed.
//! Each connection's task closes it after `pool.idle_timeout`; a request that was handed over in that very moment comes back
//! from hyper unsent. One that is older than `pool.lifetime`, or leads to an address that its name no longer has, serves no further
//! request.
//!
//! A connection of HTTP/2 has many users; each has a lease of its own on it, and a lease that is dropped resets its stream only.

use super::connect::Stream;
use super::doors::Place;
use super::error::{AskError, AskErrorKind};
use super::request::{Outbound, Progress};
use super::settings::Pooling;
use crate::alarm::{Alarm, later};
use crate::counted::Counted;
use crate::tasks::Tasks;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a connection that was just given back may take to be ready: its task has only to come round once.
const READY: Duration = Duration::from_millis(100);
/// Bytes of an answer's head, and of its trailers.
const HEAD_BYTES: usize = 256 << 10;
/// Windows of HTTP/2, as towards clients: a stream's, and all streams' together.
const STREAM_WINDOW: u32 = 256 << 10;
const WINDOW: u32 = 4 << 20;
/// An origin that can't be seen to live is asked, and has so long to say so.
const ASK_AFTER: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The connections of one endpoint.
pub(super) struct Pool {
    settings: Pooling,
    idle: Mutex<Vec<Connection>>,
    /// Those of HTTP/2, idle or not.
    shared: Mutex<Vec<Shared>>,
    /// Where a connection may lead; `None`: anywhere.
    addresses: Mutex<Option<Arc<[SocketAddr]>>>,
    /// What the endpoint spoke last: who may hope for HTTP/2 waits for the one who connects.
    spoke: AtomicU8,
    pub(super) connecting: tokio::sync::Mutex<()>,
    open: Arc<AtomicUsize>,
}

const NOTHING: u8 = 0;
const HTTP1: u8 = 1;

/// One connection of HTTP/1.1 that nobody uses.
struct Connection {
    sender: http1::SendRequest<Outbound>,
    pulse: Arc<Pulse>,
    heard: Arc<AtomicBool>,
    alarm: Alarm,
    born: Born,
}

/// One of HTTP/2.
struct Shared {
    sender: http2::SendRequest<Outbound>,
    pulse: Arc<Pulse>,
    born: Born,
}

/// Where a connection leads, and since when.
#[derive(Clone, Copy)]
struct Born {
    at: Instant,
    address: SocketAddr,
}

/// A place on a connection, for one exchange.
pub(super) struct Lease {
    line: Line,
    alarm: Alarm,
    pool: Arc<Pool>,
    progress: Option<Arc<Progress>>,
    /// Not to be used again.
    retired: bool,
    /// What it takes of what may be under way.
    place: Place,
}

enum Line {
    One { sender: http1::SendRequest<Outbound>, pulse: Arc<Pulse>, heard: Arc<AtomicBool>, born: Born },
    Many { sender: http2::SendRequest<Outbound>, _stream: OnStream },
}

/// Counts as one stream of its connection.
struct OnStream {
    count: Option<Counted>,
    pulse: Arc<Pulse>,
}

impl Drop for OnStream {
    /// The last one to leave says since when the connection is idle; whether it still is, the count tells.
    fn drop(&mut self) {
        self.count = None;
        self.pulse.idle();
    }
}

impl Pool {
    pub(super) fn new(settings: Pooling) -> Arc<Pool> {
        Arc::new(Pool {
            settings,
            idle: Mutex::default(),
            shared: Mutex::default(),
            addresses: Mutex::default(),
            spoke: AtomicU8::new(NOTHING),
            connecting: tokio::sync::Mutex::default(),
            open: Arc::default(),
        })
    }

    /// A connection that is there already: of HTTP/1.1 the one that was given back last. An `upgrade` needs one of these.
    pub(super) async fn take(self: &Arc<Self>, upgrade: bool) -> Option<Lease> {
        if self.settings.http2
            && !upgrade
            && let Some(lease) = self.share()
        {
            return Some(lease);
        }
        let mut connection = self.pop()?;
        connection.pulse.busy();
        if !connection.sender.is_ready() {
            // One wait at most: if it comes to nothing, a new connection is the quicker way.
            let ready = timeout(READY, connection.sender.ready()).await;
            ready.ok()?.ok()?;
        }
        Some(self.lease(connection))
    }

    /// Whether a second connection may be one too many: HTTP/2 is hoped for.
    pub(super) fn hopes_for_http2(&self) -> bool {
        self.settings.http2 && self.spoke.load(Ordering::Relaxed) != HTTP1
    }

    /// A stream on a connection of HTTP/2 that has room.
    pub(super) fn share(self: &Arc<Self>) -> Option<Lease> {
        let mut shared = lock(&self.shared);
        shared.retain(|one| !one.sender.is_closed() && self.may_serve(one.born));
        for one in shared.iter() {
            if let Some(lease) = self.on_stream(one) {
                return Some(lease);
            }
        }
        None
    }

    fn on_stream(self: &Arc<Self>, one: &Shared) -> Option<Lease> {
        let count = Some(Counted::up_to(&one.pulse.streams, self.settings.streams)?);
        one.pulse.busy();
        let stream = OnStream { count, pulse: Arc::clone(&one.pulse) };
        Some(self.at(Line::Many { sender: one.sender.clone(), _stream: stream }, Alarm::default()))
    }

    /// Speaks HTTP over a new stream. One that is `apart` is nobody else's, and ends with its exchange.
    pub(super) async fn open(self: &Arc<Self>, stream: Stream, apart: bool, tasks: &Tasks) -> Result<Lease, AskError> {
        let failed = |error: hyper::Error| AskError::unsent(AskErrorKind::Connect).because(error);
        let (heard, born, http2) = (stream.heard(), Born { at: Instant::now(), address: stream.address }, stream.http2);
        let (pulse, io) = (Arc::new(Pulse::new()), TokioIo::new(stream));
        self.spoke.store(if http2 { NOTHING } else { HTTP1 }, Ordering::Relaxed);
        let counted = Counted::up_to(&self.open, usize::MAX);
        if !http2 {
            let mut builder = http1::Builder::new();
            // A hundred fields, hyper's default: any other number of them is parsed on the heap, for each answer.
            builder.max_buf_size(HEAD_BYTES).max_header_size(HEAD_BYTES);
            let (sender, driver) = builder.handshake(io).await.map_err(failed)?;
            tasks.spawn(tend(driver.with_upgrades(), pulse.clone(), self.settings.idle_timeout, counted));
            return Ok(self.lease(Connection { sender, pulse, heard, alarm: Alarm::default(), born }));
        }
        let (sender, driver) = http2_builder(tasks).handshake(io).await.map_err(failed)?;
        tasks.spawn(tend(driver, pulse.clone(), self.settings.idle_timeout, counted));
        let shared = Shared { sender, pulse, born };
        let lease = self.on_stream(&shared);
        if !apart {
            lock(&self.shared).push(shared);
        }
        lease.ok_or_else(|| AskError::unsent(AskErrorKind::Connect).because("the origin takes no streams"))
    }

    fn lease(self: &Arc<Self>, connection: Connection) -> Lease {
        let Connection { sender, pulse, heard, alarm, born } = connection;
        self.at(Line::One { sender, pulse, heard, born }, alarm)
    }

    fn at(self: &Arc<Self>, line: Line, alarm: Alarm) -> Lease {
        let (pool, place) = (Arc::clone(self), Place::default());
        Lease { line, alarm, pool, progress: None, retired: false, place }
    }

    fn pop(&self) -> Option<Connection> {
        let mut idle = lock(&self.idle);
        while let Some(connection) = idle.pop() {
            if !connection.sender.is_closed() && self.may_serve(connection.born) {
                return Some(connection);
            }
        }
        None
    }

    fn push(&self, connection: Connection) {
        if !self.may_serve(connection.born) {
            return;
        }
        let mut idle = lock(&self.idle);
        if idle.len() >= self.settings.idle {
            idle.retain(|c| !c.sender.is_closed());
        }
        if idle.len() < self.settings.idle {
            idle.push(connection);
        }
    }

    /// Whether a connection may serve one more request.
    fn may_serve(&self, born: Born) -> bool {
        let young = self.settings.lifetime.is_none_or(|lifetime| born.at.elapsed() < lifetime);
        young && lock(&self.addresses).as_ref().is_none_or(|all| all.contains(&born.address))
    }

    /// The endpoint's name has these addresses now: connections to others serve no further request.
    pub(super) fn lead_to(&self, addresses: Arc<[SocketAddr]>) {
        *lock(&self.addresses) = Some(addresses);
        lock(&self.idle).retain(|connection| self.may_serve(connection.born));
        lock(&self.shared).retain(|shared| self.may_serve(shared.born));
    }

    /// How many connections are open.
    pub(super) fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn http2_builder(tasks: &Tasks) -> http2::Builder<Spawns> {
    let mut builder = http2::Builder::new(Spawns(tasks.clone()));
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(ASK_AFTER)
        .keep_alive_timeout(ANSWER_WITHIN);
    builder
}

/// hyper's tasks, among ours.
#[derive(Clone)]
struct Spawns(Tasks);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawns {
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// What hyper makes of a request.
pub(super) type Sent = Result<Response<Incoming>, TrySendError<Request<Outbound>>>;

impl Lease {
    /// Takes this place until it is given back or dropped.
    pub(super) fn at(self, place: Place) -> Self {
        Lease { place, ..self }
    }

    /// Whether the request has to be one of HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.line, Line::Many { .. })
    }

    /// Hands the request to hyper. Dropping what comes back closes the connection, or of HTTP/2 the stream.
    pub(super) fn send(&mut self, request: Request<Outbound>) -> Pin<Box<dyn Future<Output = Sent> + Send>> {
        match &mut self.line {
            Line::One { sender, .. } => Box::pin(sender.try_send_request(request)),
            Line::Many { sender, .. } => Box::pin(sender.try_send_request(request)),
        }
    }

    /// The exchange's timer.
    pub(super) fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// An exchange begins whose request body reports to `progress`.
    pub(super) fn begin(&mut self, progress: Option<Arc<Progress>>) {
        self.progress = progress;
        if let Line::One { heard, .. } = &self.line {
            heard.store(false, Ordering::Relaxed);
        }
    }

    /// Whether any byte of an answer has come since [`Lease::begin`]. Of HTTP/2 one can't tell: bytes are of all streams, and a
    /// stream without a head has brought nothing.
    pub(super) fn heard(&self) -> bool {
        matches!(&self.line, Line::One { heard, .. } if heard.load(Ordering::Relaxed))
    }

    /// This exchange is the connection's last.
    pub(super) fn retire(mut self) -> Self {
        self.retired = true;
        self
    }

    /// What it takes of what may be under way.
    pub(super) fn place(&mut self) -> &mut Place {
        &mut self.place
    }

    /// The connection goes on as something else; its place is handed over.
    pub(super) fn into_place(self) -> Place {
        self.place
    }

    /// The answer has ended cleanly: keeps the connection for the next request, unless this one's body is still
    /// under way (an answer that came early).
    pub(super) fn give_back(self) {
        let Lease { line, alarm, pool, progress, retired, place: _ } = self;
        let Line::One { sender, pulse, heard, born } = line else { return };
        if !retired && progress.is_none_or(|p| p.ended()) && !sender.is_closed() {
            pulse.idle();
            pool.push(Connection { sender, pulse, heard, alarm, born });
        }
    }
}

/// Drives one connection until it ends, is upgraded, or has been idle for too long.
async fn tend(
    driver: impl Future<Output = hyper::Result<()>>,
    pulse: Arc<Pulse>,
    longest: Duration,
    open: Option<Counted>,
) {
    let mut driver = pin!(driver);
    let mut alarm = Alarm::default();
    let mut deadline = later(Instant::now(), longest);
    poll_fn(|cx| {
        if let Poll::Ready(ended) = driver.as_mut().poll(cx) {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to an origin broke");
            }
            return Poll::Ready(());
        }
        while alarm.poll(deadline, cx).is_ready() {
            let now = Instant::now();
            deadline = later(pulse.idle_since().unwrap_or(now), longest);
            if deadline <= now {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    })
    .await;
    drop(open);
}

/// Since when a connection has been idle: what its users tell its task.
struct Pulse {
    begin: Instant,
    /// Milliseconds after `begin`, plus 1; 0 while it is in use.
    idle: AtomicU64,
    /// Its streams, if it is one of HTTP/2.
    streams: Arc<AtomicUsize>,
}

impl Pulse {
    fn new() -> Self {
        Pulse { begin: Instant::now(), idle: AtomicU64::new(0), streams: Arc::default() }
    }

    fn busy(&self) {
        self.idle.store(0, Ordering::Relaxed);
    }

    fn idle(&self) {
        self.idle.store(crate::clock::millis(self.begin.elapsed()).saturating_add(1), Ordering::Relaxed);
    }

    fn idle_since(&self) -> Option<Instant> {
        let idle = self.idle.load(Ordering::Relaxed).checked_sub(1)?;
        (self.streams.load(Ordering::Acquire) == 0).then_some(())?;
        Some(self.begin + Duration::from_millis(idle))
    }
}
