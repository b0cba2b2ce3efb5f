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
//! A connection of HTTP/2 has many users (`shared`); each has a lease of its own on it, and a lease that is dropped resets its stream only.

use super::connect::Stream;
use super::doors::Place;
use super::error::{AskError, AskErrorKind};
use super::pulse::{Pulse, tend};
use super::request::{Outbound, Progress};
use super::settings::Pooling;
use super::shared::{Born, HEAD_BYTES, OnStream, Shared};
use crate::alarm::Alarm;
use crate::counted::Counted;
use crate::tasks::Tasks;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a connection that was just given back may take to be ready: its task has only to come round once.
const READY: Duration = Duration::from_millis(100);

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
    alarm: Alarm,
    born: Born,
}

/// A place on a connection, for one exchange.
pub(super) struct Lease {
    line: Line,
    alarm: Alarm,
    pool: Arc<Pool>,
    progress: Option<Arc<Progress>>,
    /// How often bytes had come back when the exchange began.
    reads: u64,
    /// Not to be used again.
    retired: bool,
    /// What it takes of what may be under way.
    place: Place,
}

enum Line {
    One {
        sender: http1::SendRequest<Outbound>,
        pulse: Arc<Pulse>,
        born: Born,
    },
    Many {
        sender: http2::SendRequest<Outbound>,
        stream: OnStream,
    },
    /// The connection is gone, and whoever had something to send there has let go of it.
    Gone {
        pulse: Arc<Pulse>,
        http2: bool,
    },
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
            && let Some(lease) = self.share(None)
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

    /// A stream on a connection of HTTP/2 that has room, if need be on one that is younger than `since`. As many as may be kept
    /// idle are; the others close when they have nothing more to do.
    pub(super) fn share(self: &Arc<Self>, since: Option<Instant>) -> Option<Lease> {
        let (mut shared, mut idle) = (lock(&self.shared), 0);
        shared.retain(|one| {
            one.serves() && self.may_serve(one.born) && {
                idle += usize::from(one.is_idle());
                !one.is_idle() || idle <= self.settings.idle
            }
        });
        let mut young = shared.iter().filter(|one| since.is_none_or(|since| one.born.at >= since));
        young.find_map(|one| self.on_stream(one))
    }

    /// The same; where it depends on what a new connection's origin allows, waits for its word.
    pub(super) async fn share_soon(self: &Arc<Self>, since: Option<Instant>) -> Option<Lease> {
        loop {
            let awaited = lock(&self.shared).iter().find_map(|one| Some((Arc::clone(&one.pulse), one.awaited()?)));
            let Some((pulse, until)) = awaited else { return self.share(since) };
            let mut stirred = pin!(pulse.stirred.notified());
            stirred.as_mut().enable();
            if let Some(lease) = self.share(since) {
                return Some(lease);
            }
            if lock(&self.shared).iter().any(|one| Arc::ptr_eq(&one.pulse, &pulse) && one.awaited().is_some()) {
                drop(timeout_at(until, stirred).await);
            }
        }
    }

    fn on_stream(self: &Arc<Self>, one: &Shared) -> Option<Lease> {
        let stream = one.enter(self.settings.streams)?;
        Some(self.at(Line::Many { sender: one.sender.clone(), stream }, Alarm::default()))
    }

    /// Speaks HTTP over a new stream. One that is `apart` is nobody else's, and ends with its exchange.
    pub(super) async fn open(self: &Arc<Self>, stream: Stream, apart: bool, tasks: &Tasks) -> Result<Lease, AskError> {
        let failed = |error: hyper::Error| AskError::unsent(AskErrorKind::Connect).because(error);
        let (born, http2) = (Born { at: Instant::now(), address: stream.address }, stream.http2);
        self.spoke.store(if http2 { NOTHING } else { HTTP1 }, Ordering::Relaxed);
        let (counted, longest) = (Counted::up_to(&self.open, usize::MAX), self.settings.idle_timeout);
        if !http2 {
            let mut builder = http1::Builder::new();
            // A hundred fields, hyper's default: any other number of them is parsed on the heap, for each answer.
            builder.max_buf_size(HEAD_BYTES).max_header_size(HEAD_BYTES);
            let pulse = Arc::new(Pulse::new(stream.reads()));
            let (sender, driver) = builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
            tasks.spawn(tend(driver.with_upgrades(), pulse.clone(), longest, counted));
            return Ok(self.lease(Connection { sender, pulse, alarm: Alarm::default(), born }));
        }
        let (shared, drive) = Shared::new(stream, born, tasks).await.map_err(failed)?;
        tasks.spawn(tend(drive, shared.pulse.clone(), longest, counted));
        let lease = self.on_stream(&shared);
        if !apart {
            lock(&self.shared).push(shared);
        }
        lease.ok_or_else(|| AskError::unsent(AskErrorKind::Connect).because("the origin takes no streams"))
    }

    fn lease(self: &Arc<Self>, connection: Connection) -> Lease {
        let Connection { sender, pulse, alarm, born } = connection;
        self.at(Line::One { sender, pulse, born }, alarm)
    }

    fn at(self: &Arc<Self>, line: Line, alarm: Alarm) -> Lease {
        let (pool, place) = (Arc::clone(self), Place::default());
        Lease { line, alarm, pool, progress: None, reads: 0, retired: false, place }
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

    /// How many connections wait for their next request.
    pub(super) fn idle(&self) -> usize {
        let one = lock(&self.idle).iter().filter(|connection| !connection.sender.is_closed()).count();
        one + lock(&self.shared).iter().filter(|shared| shared.serves() && shared.is_idle()).count()
    }

    /// How many connections are open.
    pub(super) fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        matches!(self.line, Line::Many { .. } | Line::Gone { http2: true, .. })
    }

    /// Hands the request to hyper. Dropping what comes back closes the connection, or of HTTP/2 the stream.
    pub(super) fn send(&mut self, request: Request<Outbound>) -> Pin<Box<dyn Future<Output = Sent> + Send>> {
        match &mut self.line {
            Line::One { sender, .. } => Box::pin(sender.try_send_request(request)),
            Line::Many { sender, .. } => Box::pin(sender.try_send_request(request)),
            Line::Gone { .. } => Box::pin(std::future::pending()),
        }
    }

    /// Resolves when the connection's task has ended.
    pub(super) fn gone(&self) -> impl Future<Output = ()> + use<> {
        self.pulse().gone.clone().cancelled_owned()
    }

    /// Lets go of a connection whose task has ended. A request that was handed over in that very moment may lie in hyper's queue behind the
    /// last look that its task took there; it comes back, unsent, when nobody holds the queue any more.
    pub(super) fn let_go(&mut self) {
        let (pulse, http2) = (Arc::clone(self.pulse()), self.is_http2());
        self.line = Line::Gone { pulse, http2 };
        lock(&self.pool.shared).retain(Shared::serves);
    }

    /// The exchange's timer.
    pub(super) fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// An exchange begins whose request body reports to `progress`.
    pub(super) fn begin(&mut self, progress: Option<Arc<Progress>>) {
        (self.progress, self.reads) = (progress, self.pulse().reads());
    }

    fn pulse(&self) -> &Arc<Pulse> {
        match &self.line {
            Line::One { pulse, .. } | Line::Gone { pulse, .. } => pulse,
            Line::Many { stream, .. } => &stream.pulse,
        }
    }

    /// Whether any byte of an answer has come since [`Lease::begin`]. Of HTTP/2 one can't tell: bytes are of all streams, and a
    /// stream without a head has brought nothing.
    pub(super) fn heard(&self) -> bool {
        !self.is_http2() && self.stirred()
    }

    /// Whether any byte has come, for whomever.
    fn stirred(&self) -> bool {
        self.pulse().reads() != self.reads
    }

    /// The exchange has waited in vain: if the connection is as silent as that, nobody is to wait on it any more.
    pub(super) fn waited_in_vain(&self) {
        if !self.stirred() {
            self.leave();
        }
    }

    /// The connection takes no further request. Since when.
    pub(super) fn leave(&self) -> Instant {
        self.pulse().end()
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
        let Lease { line, alarm, pool, progress, reads: _, retired, place: _ } = self;
        let Line::One { sender, pulse, born } = line else { return };
        if !retired && progress.is_none_or(|p| p.ended()) && !sender.is_closed() {
            pulse.idle();
            pool.push(Connection { sender, pulse, alarm, born });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::head;
    use super::super::request::{Draft, HostChoice, Outgoing};
    use super::super::time::TryTime;
    use super::*;
    use crate::body::Body;
    use http::HeaderValue;
    use std::hint::spin_loop;
    use std::sync::mpsc;

    /// hyper's queue takes a request in two steps, and its last look into it may fall between them (about once in ten thousand tries here).
    #[test]
    fn a_request_that_meets_the_end_of_its_connection_comes_back_unsent() {
        const TIMES: usize = 20_000;
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let pool = Pool::new(Pooling::default());
        let (authority, host) = (HeaderValue::from_static("origin"), HostChoice::Endpoint);
        let outgoing =
            Outgoing { base: "", authority: &authority, tls: false, host: &host, http2: false, interim: None };
        let draft = Draft::new(Request::new(Body::empty()), 0);
        let long = Duration::from_secs(20);
        let time = TryTime { connect: long, first_byte: long, between_bytes: long, total: None, haste: None };
        let turn = Arc::new(AtomicUsize::new(0));
        let (hand, ends) = mpsc::channel();
        let ending = {
            let turn = Arc::clone(&turn);
            std::thread::spawn(move || {
                let runtime = runtime();
                for (n, (driver, pulse)) in ends.iter().enumerate() {
                    let turn = &turn;
                    let ends = async move {
                        while turn.load(Ordering::Acquire) < n + 1 {
                            spin_loop();
                        }
                        (0..n * 7 % 60).for_each(|_| spin_loop());
                        drop::<http1::Connection<TokioIo<tokio::io::DuplexStream>, Outbound>>(driver);
                        Ok(())
                    };
                    runtime.block_on(tend(ends, pulse, long, None));
                }
            })
        };
        runtime().block_on(async {
            for n in 0..TIMES {
                let (near, _far) = tokio::io::duplex(64);
                let (sender, mut driver) = http1::handshake(TokioIo::new(near)).await.unwrap();
                let idle = std::future::poll_fn(|cx| std::task::Poll::Ready(Pin::new(&mut driver).poll(cx)));
                assert!(idle.await.is_pending());
                let (pulse, address) = (Arc::new(Pulse::new(Arc::default())), ([127, 0, 0, 1], 1).into());
                let born = Born { at: Instant::now(), address };
                hand.send((driver, Arc::clone(&pulse))).unwrap();
                let mut lease = pool.lease(Connection { sender, pulse, alarm: Alarm::default(), born });
                let request = draft.request(&outgoing).unwrap();
                turn.store(n + 1, Ordering::Release);
                (0..n * 13 % 60).for_each(|_| spin_loop());
                let Ok(Err(mut unsent)) = head(&mut lease, request, None, &time).await else { panic!("try {n}") };
                assert!(unsent.take_message().is_some());
            }
        });
        drop(hand);
        ending.join().unwrap();
    }
}
