//! Connections to one endpoint that wait for their next request.
//!
//! A connection has one user at a time: it leaves the pool as a [`Lease`] and comes back only through
//! [`Lease::give_back`], when both messages of its exchange have ended. A lease that is dropped takes hyper's sender
//! with it, and hyper then closes the connection. So an answer that is left half-read, a request whose body is still
//! under way, or an exchange that failed can't leave a byte for somebody else's.
//!
//! The last one given back is the first one taken: few connections stay warm and the others grow idle and are closed.
//! Each connection's task closes it after [`IDLE`]; a request that was handed over in that very moment comes back
//! from hyper unsent.

use super::connect::Stream;
use super::error::{AskError, AskErrorKind};
use super::request::{Outbound, Progress};
use crate::alarm::Alarm;
use crate::counted::Counted;
use crate::tasks::Tasks;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Idle connections kept per endpoint: each costs the origin a descriptor (often a worker), and more than this many
/// are needed only for a moment after a burst.
const KEPT: usize = 64;
/// How long a connection may be idle: below the 60 to 75 s after which most servers close, and the request that
/// meets such a close is repeated only if it is safe.
const IDLE: Duration = Duration::from_secs(60);
/// How long a connection that was just given back may take to be ready: its task has only to come round once.
const READY: Duration = Duration::from_millis(100);
/// Bytes of an answer's head, and of its trailers.
const HEAD_BYTES: usize = 256 << 10;

/// The idle connections of one endpoint.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Connection>>);

struct Connection {
    sender: http1::SendRequest<Outbound>,
    pulse: Arc<Pulse>,
    heard: Arc<AtomicBool>,
    alarm: Alarm,
}

/// A connection in use.
pub(super) struct Lease {
    connection: Connection,
    pool: Arc<Pool>,
    progress: Option<Arc<Progress>>,
    /// Not to be used again.
    retired: bool,
    /// What it takes of what may be under way.
    place: Option<Counted>,
}

impl Pool {
    /// The connection that was given back last, if one is still open.
    pub(super) async fn take(self: &Arc<Self>) -> Option<Lease> {
        let mut connection = self.pop()?;
        connection.pulse.busy();
        if !connection.sender.is_ready() {
            // One wait at most: if it comes to nothing, a new connection is the quicker way.
            let ready = timeout(READY, connection.sender.ready()).await;
            ready.ok()?.ok()?;
        }
        Some(Lease { connection, pool: self.clone(), progress: None, retired: false, place: None })
    }

    /// Speaks HTTP/1.1 over a new stream.
    pub(super) async fn open(self: &Arc<Self>, stream: Stream, tasks: &Tasks) -> Result<Lease, AskError> {
        let heard = stream.heard();
        let mut builder = http1::Builder::new();
        // A hundred fields, hyper's default: any other number of them is parsed on the heap, for each answer.
        builder.max_buf_size(HEAD_BYTES).max_header_size(HEAD_BYTES);
        let handshake = builder.handshake(TokioIo::new(stream)).await;
        let (sender, driver) = handshake.map_err(|e| AskError::unsent(AskErrorKind::Connect).because(e))?;
        let pulse = Arc::new(Pulse::new());
        tasks.spawn(tend(driver.with_upgrades(), pulse.clone()));
        let connection = Connection { sender, pulse, heard, alarm: Alarm::default() };
        Ok(Lease { connection, pool: self.clone(), progress: None, retired: false, place: None })
    }

    fn pop(&self) -> Option<Connection> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if !connection.sender.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn push(&self, connection: Connection) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= KEPT {
            idle.retain(|c| !c.sender.is_closed());
        }
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }
}

impl Lease {
    /// Takes this place until it is given back or dropped.
    pub(super) fn at(self, place: Option<Counted>) -> Self {
        Lease { place, ..self }
    }

    /// hyper's end of the connection.
    pub(super) fn sender(&mut self) -> &mut http1::SendRequest<Outbound> {
        &mut self.connection.sender
    }

    /// The connection's timer.
    pub(super) fn alarm(&mut self) -> &mut Alarm {
        &mut self.connection.alarm
    }

    /// An exchange begins whose request body reports to `progress`.
    pub(super) fn begin(&mut self, progress: Option<Arc<Progress>>) {
        self.progress = progress;
        self.connection.heard.store(false, Ordering::Relaxed);
    }

    /// Whether any byte of an answer has come since [`Lease::begin`].
    pub(super) fn heard(&self) -> bool {
        self.connection.heard.load(Ordering::Relaxed)
    }

    /// This exchange is the connection's last.
    pub(super) fn retire(mut self) -> Self {
        self.retired = true;
        self
    }

    /// The connection goes on as something else; its place is handed over.
    pub(super) fn into_place(self) -> Option<Counted> {
        self.place
    }

    /// The answer has ended cleanly: keeps the connection for the next request, unless this one's body is still
    /// under way (an answer that came early).
    pub(super) fn give_back(self) {
        let Lease { connection, pool, progress, retired, place: _ } = self;
        if !retired && progress.is_none_or(|p| p.ended()) && !connection.sender.is_closed() {
            connection.pulse.idle();
            pool.push(connection);
        }
    }
}

/// Drives one connection until it ends, is upgraded, or has been idle for too long.
async fn tend(driver: impl Future<Output = hyper::Result<()>>, pulse: Arc<Pulse>) {
    let mut driver = pin!(driver);
    let mut alarm = Alarm::default();
    let mut deadline = Instant::now() + IDLE;
    poll_fn(|cx| {
        if let Poll::Ready(ended) = driver.as_mut().poll(cx) {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to an origin broke");
            }
            return Poll::Ready(());
        }
        while alarm.poll(deadline, cx).is_ready() {
            let now = Instant::now();
            deadline = pulse.idle_since().unwrap_or(now) + IDLE;
            if deadline <= now {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    })
    .await;
}

/// Since when a connection has been idle: what its user tells its task.
struct Pulse {
    begin: Instant,
    /// Milliseconds after `begin`, plus 1; 0 while it is in use.
    idle: AtomicU64,
}

impl Pulse {
    fn new() -> Self {
        Pulse { begin: Instant::now(), idle: AtomicU64::new(0) }
    }

    fn busy(&self) {
        self.idle.store(0, Ordering::Relaxed);
    }

    fn idle(&self) {
        self.idle.store(crate::clock::millis(self.begin.elapsed()).saturating_add(1), Ordering::Relaxed);
    }

    fn idle_since(&self) -> Option<Instant> {
        let idle = self.idle.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.begin + Duration::from_millis(idle))
    }
}
