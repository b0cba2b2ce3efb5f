//! A connection of HTTP/2, which many exchanges use at a time.
//!
//! How many at a time, we say (`pool.streams`) and the origin says: with its SETTINGS, the first thing that it sends. What it doesn't allow
//! waits inside the library, where nobody sees it and time runs out, so no more is put on a connection than the origin allows. Until
//! it has said so that is one request; who comes meanwhile waits for its word, but not for long: an origin that doesn't
//! say anything is believed to allow what we do.
//!
//! It takes no further request once the origin has turned one away (GOAWAY), and once a request has waited in vain and nothing whatever had come
//! back since it was sent: whoever is gone without a farewell is noticed by one request and not by all.

use super::connect::Stream;
use super::pulse::Pulse;
use super::request::Outbound;
use crate::counted::Counted;
use crate::tasks::Tasks;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of an answer's head, and of its trailers.
pub(super) const HEAD_BYTES: usize = 256 << 10;
/// Windows, as towards clients: a stream's, and all streams' together.
const STREAM_WINDOW: u32 = 256 << 10;
const WINDOW: u32 = 4 << 20;
/// An origin that can't be seen to live is asked, and has so long to say so.
const ASK_AFTER: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a new connection's origin may take to say what it allows.
const SAYS_WITHIN: Duration = Duration::from_secs(1);
/// What the library gives for the origin's limit before there is one. No origin says this: its numbers have 32 bits.
const UNSAID: usize = usize::MAX - 1;

/// Where a connection leads, and since when.
#[derive(Clone, Copy)]
pub(super) struct Born {
    pub(super) at: Instant,
    pub(super) address: SocketAddr,
}

/// One connection.
pub(super) struct Shared {
    pub(super) sender: SendRequest<Outbound>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) born: Born,
    driver: Arc<Driver>,
}

/// What drives it, for its task, and for those who want to know what the origin allows.
struct Driver(Mutex<Option<Connection<TokioIo<Stream>, Outbound, Spawns>>>);

impl Driver {
    fn lock(&self) -> MutexGuard<'_, Option<Connection<TokioIo<Stream>, Outbound, Spawns>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the task has of it; the connection ends with it.
pub(super) struct Drive {
    driver: Arc<Driver>,
    pulse: Arc<Pulse>,
}

impl Future for Drive {
    type Output = hyper::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.driver.lock().as_mut().map_or(Poll::Ready(Ok(())), |driver| Pin::new(driver).poll(cx))
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        let driver = self.driver.lock().take();
        drop(driver);
        self.pulse.stirred.notify_waiters();
    }
}

/// Counts as one stream of its connection.
pub(super) struct OnStream {
    count: Option<Counted>,
    pub(super) pulse: Arc<Pulse>,
}

impl Drop for OnStream {
    /// The last one to leave says since when the connection is idle; whether it still is, the count tells.
    fn drop(&mut self) {
        self.count = None;
        self.pulse.idle();
    }
}

impl Shared {
    /// Speaks HTTP/2 over a new stream.
    pub(super) async fn new(stream: Stream, born: Born, tasks: &Tasks) -> hyper::Result<(Shared, Drive)> {
        let pulse = Arc::new(Pulse::new(stream.reads()));
        let spawns = Spawns { tasks: tasks.clone(), pulse: Arc::clone(&pulse) };
        let (sender, driver) = builder(spawns).handshake(TokioIo::new(stream)).await?;
        let driver = Arc::new(Driver(Mutex::new(Some(driver))));
        let drive = Drive { driver: Arc::clone(&driver), pulse: Arc::clone(&pulse) };
        Ok((Shared { sender, pulse, born, driver }, drive))
    }

    /// Whether it takes requests at all.
    pub(super) fn serves(&self) -> bool {
        !self.sender.is_closed() && !self.pulse.is_over()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pulse.streams.load(Ordering::Relaxed) == 0
    }

    /// Until when the origin may take to say how much it allows, if it hasn't.
    pub(super) fn awaited(&self) -> Option<Instant> {
        let until = self.born.at + SAYS_WITHIN;
        (self.allowed() == Some(UNSAID) && Instant::now() < until).then_some(until)
    }

    /// How many streams the origin allows.
    fn allowed(&self) -> Option<usize> {
        self.driver.lock().as_ref().map(Connection::current_max_send_streams)
    }

    /// A place on it, if there are fewer than `most` and than the origin allows.
    pub(super) fn enter(&self, most: usize) -> Option<OnStream> {
        let allowed = if self.awaited().is_some() { 1 } else { self.allowed()? };
        let count = Some(Counted::up_to(&self.pulse.streams, most.min(allowed))?);
        self.pulse.busy();
        Some(OnStream { count, pulse: Arc::clone(&self.pulse) })
    }
}

fn builder(spawns: Spawns) -> Builder<Spawns> {
    let mut builder = Builder::new(spawns);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .initial_max_send_streams(UNSAID)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(ASK_AFTER)
        .keep_alive_timeout(ANSWER_WITHIN);
    builder
}

/// hyper's tasks, among ours. One of them reads what the origin says.
#[derive(Clone)]
struct Spawns {
    tasks: Tasks,
    pulse: Arc<Pulse>,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawns {
    fn execute(&self, task: F) {
        let pulse = Arc::clone(&self.pulse);
        self.tasks.spawn(async move {
            let mut task = pin!(task);
            poll_fn(|cx| {
                let polled = task.as_mut().poll(cx);
                pulse.stirred.notify_waiters();
                polled
            })
            .await;
        });
    }
}
