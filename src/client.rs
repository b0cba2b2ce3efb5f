//! Who asked, and the way back to them for interim (1xx) answers.
//!
//! # How a 103 gets between hyper's bytes without mixing with them
//!
//! hyper's server can't send 1xx answers, so they are put on the socket below it. The parts: `Hints` is a queue that
//! belongs to one connection; [`Interim`] is a request's handle to it; the listener's I/O layer is the only one that
//! writes to the socket. The rules:
//!
//! 1. Only the connection's own task changes `current`: it becomes the request's number when the handler is called
//!    and 0 when the handler has returned its answer, that is before hyper encodes the first byte of that answer.
//! 2. Queued heads are taken only while hyper's write buffer is empty (hyper calls `poll_flush` of the I/O layer in
//!    no other state), so whatever came before (the previous answer, a `100 Continue`) is wholly in the socket.
//! 3. They are taken only if their request is still `current`. With 2: nothing of this answer has been encoded, and
//!    everything before it has been written, so the head stands exactly between two messages.
//! 4. What the socket doesn't take of a head at once is written before anything that hyper writes later.
//!
//! A head that comes too late, or for another request of the same connection, is dropped: it is only advice
//! (RFC 8297). HTTP/1.0 clients are never sent one (RFC 9110, 15.2).

use crate::tls::Certificate;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

/// Bytes of interim heads that may wait for one request; more are dropped. Early hints are a few `Link` fields.
const QUEUE: usize = 16 << 10;

/// The client of one request.
#[derive(Clone, Debug)]
pub struct Client {
    /// The peer of the connection; a proxy's address if one stands in front of us.
    pub address: SocketAddr,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// The peer's address as text, without brackets and without an IPv4 address in the clothes of IPv6; made once for
    /// all requests of a connection.
    pub node: HeaderValue,
    /// Whether the connection is encrypted.
    pub secure: bool,
    /// What the client's certificate says of it, where one was asked for and shown.
    pub certificate: Option<Arc<Certificate>>,
    /// The way for interim answers.
    pub interim: Interim,
}

impl Client {
    /// The client at the far end of a connection.
    pub fn new(address: SocketAddr, local: SocketAddr, interim: Interim) -> Self {
        let text = address.ip().to_canonical().to_string();
        // An address has no character that a field value can't have.
        let node = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown"));
        Client { address, local, node, secure: false, certificate: None, interim }
    }

    /// The same over TLS.
    pub fn over_tls(self, certificate: Option<Certificate>) -> Self {
        Client { secure: true, certificate: certificate.map(Arc::new), ..self }
    }

    /// The scheme by which it asks.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Makes `client` the one of request number `request` of the same connection (0: no interim answers). Reuses the
    /// allocation unless somebody still holds the last request's.
    pub(crate) fn turn(client: &mut Arc<Client>, request: u64) {
        match Arc::get_mut(client) {
            Some(client) => client.interim.request = request,
            None => {
                let interim = Interim { hints: client.interim.hints.clone(), request };
                *client = Arc::new(Client { interim, ..Client::clone(client) });
            }
        }
    }
}

/// Sends interim answers to the client of one request; does nothing where that isn't possible.
#[derive(Clone, Debug, Default)]
pub struct Interim {
    hints: Option<Arc<Hints>>,
    request: u64,
}

impl Interim {
    /// A handle that sends nothing.
    pub fn none() -> Self {
        Interim::default()
    }

    /// The handle of request number `request`; 0 sends nothing.
    pub(crate) fn new(hints: Arc<Hints>, request: u64) -> Self {
        Interim { hints: Some(hints), request }
    }

    /// Sends a 1xx head with its fields, but for those of one hop or of framing. Dropped without a word: 100 and 101 (hyper's and the tunnel's
    /// business), a head after the answer has begun, any head for an HTTP/1.0 client, and what exceeds 16 KiB.
    pub fn send(&self, head: &Response<()>) {
        let status = head.status();
        let relayed = status.is_informational() && !matches!(status.as_u16(), 100 | 101);
        if let (Some(hints), true) = (&self.hints, relayed) {
            hints.push(self.request, head);
        }
    }
}

/// The interim heads that wait for one connection.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    /// The request whose answer hasn't begun; 0 if there is none, or if its client speaks HTTP/1.0.
    current: AtomicU64,
    /// Whether `queue` may hold something; spares the lock on every flush.
    queued: AtomicBool,
    queue: Mutex<Queue>,
    /// The connection's task. It never moves to another one while requests are served.
    waker: OnceLock<Waker>,
}

#[derive(Debug, Default)]
struct Queue {
    request: u64,
    bytes: Vec<u8>,
}

impl Hints {
    /// Says which task writes; the first call counts.
    pub(crate) fn written_by(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    /// The handler of `request` begins; 0 closes the way.
    pub(crate) fn begin(&self, request: u64) {
        self.current.store(request, Ordering::Release);
    }

    /// The current request's answer begins: nothing is sent any more.
    pub(crate) fn end(&self) {
        self.current.store(0, Ordering::Release);
    }

    /// What is to be written now. Call it only while hyper has no unwritten bytes.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        if !self.queued.load(Ordering::Acquire) {
            return None;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.queued.store(false, Ordering::Release);
        let bytes = std::mem::take(&mut queue.bytes);
        let current = self.current.load(Ordering::Acquire);
        (queue.request == current && current != 0 && !bytes.is_empty()).then_some(bytes)
    }

    fn push(&self, request: u64, head: &Response<()>) {
        if request == 0 || self.current.load(Ordering::Acquire) != request {
            return;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.request != request {
            *queue = Queue { request, bytes: Vec::new() };
        }
        let before = queue.bytes.len();
        encode(head, &mut queue.bytes);
        if queue.bytes.len() > QUEUE {
            queue.bytes.truncate(before);
            return;
        }
        self.queued.store(true, Ordering::Release);
        drop(queue);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// Fields that belong to one connection or frame a message; an interim answer has no content to frame
/// (RFC 9110, 7.6.1 and 8.6; RFC 9112, 6.1), and a client that believed them would lose step.
const NOT_RELAYED: [HeaderName; 5] = [CONNECTION, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// An interim head as RFC 9112 writes it. Field values hold no CR or LF: `HeaderValue` can't.
fn encode(head: &Response<()>, into: &mut Vec<u8>) {
    let status: StatusCode = head.status();
    into.extend_from_slice(b"HTTP/1.1 ");
    into.extend_from_slice(status.as_str().as_bytes());
    into.push(b' ');
    into.extend_from_slice(status.canonical_reason().unwrap_or("Interim").as_bytes());
    into.extend_from_slice(b"\r\n");
    for (name, value) in head.headers().iter().filter(|(name, _)| !NOT_RELAYED.contains(name)) {
        into.extend_from_slice(name.as_str().as_bytes());
        into.extend_from_slice(b": ");
        into.extend_from_slice(value.as_bytes());
        into.extend_from_slice(b"\r\n");
    }
    into.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(link: &str) -> Response<()> {
        Response::builder().status(103).header("link", link).body(()).unwrap()
    }

    #[test]
    fn a_hint_goes_out_before_its_own_answer_only() {
        let hints = Arc::new(Hints::default());
        let first = Interim::new(hints.clone(), 1);
        first.send(&hint("</early>"));
        assert_eq!(hints.take(), None, "not yet asked");
        hints.begin(1);
        first.send(&hint("</a>"));
        assert_eq!(hints.take().unwrap(), b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
        assert_eq!(hints.take(), None, "once");
        first.send(&hint("</b>"));
        hints.end();
        assert_eq!(hints.take(), None, "the answer has begun");
        hints.begin(2);
        first.send(&hint("</c>"));
        assert_eq!(hints.take(), None, "another request's turn");
    }

    #[test]
    fn what_frames_or_belongs_to_a_hop_is_left_out() {
        let hints = Arc::new(Hints::default());
        hints.begin(1);
        let head = Response::builder().status(103).header("content-length", "5").header("link", "</a>");
        let head = head.header("connection", "close").header("transfer-encoding", "chunked");
        Interim::new(hints.clone(), 1).send(&head.body(()).unwrap());
        assert_eq!(hints.take().unwrap(), b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    }

    #[test]
    fn neither_100_nor_101_nor_a_flood_passes() {
        let hints = Arc::new(Hints::default());
        hints.begin(1);
        let interim = Interim::new(hints.clone(), 1);
        for status in [100, 101, 200] {
            interim.send(&Response::builder().status(status).body(()).unwrap());
        }
        assert_eq!(hints.take(), None);
        for _ in 0..100 {
            interim.send(&hint(&"x".repeat(1000)));
        }
        let bytes = hints.take().unwrap();
        assert!(bytes.len() <= QUEUE && bytes.ends_with(b"\r\n\r\n"), "{}", bytes.len());
    }
}
