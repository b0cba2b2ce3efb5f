//! An origin that does as the test tells it, and remembers what it was asked.

use super::gate::within;
use super::message::{Fields, Framing, Request, declared};
use super::reply::{Reply, Then};
use super::wire::{Piece, Reading, Wire};
use freshgate::tasks::Tasks;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server on a port of its own. It ends, with every connection, when it is dropped.
#[derive(Debug)]
pub struct Origin {
    /// Where it listens.
    pub addr: SocketAddr,
    seen: Arc<Seen>,
    _stop: DropGuard,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    faults: Mutex<Vec<String>>,
    count: watch::Sender<usize>,
    connections: watch::Sender<usize>,
    /// Connections that have ended, by either side.
    ended: watch::Sender<usize>,
}

impl Origin {
    /// Answers each request, once it is wholly there, with what `handler` says. Its waiting holds back the answer.
    pub async fn start<H, F>(handler: H) -> Origin
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let handler = Arc::new(handler);
        Origin::raw(move |conn| converse(conn, Arc::clone(&handler))).await
    }

    /// The same on a socket that is bound already.
    pub fn on<H, F>(listener: TcpListener, handler: H) -> Origin
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let handler = Arc::new(handler);
        Origin::scripted(listener, move |conn| converse(conn, Arc::clone(&handler)))
    }

    /// Always the same answer.
    pub async fn always(reply: Reply) -> Origin {
        Origin::start(move |_| std::future::ready(reply.clone())).await
    }

    /// Hands each connection to `script`, for what a handler can't express: answers before the request's end, say.
    pub async fn raw<H, F>(script: H) -> Origin
    where
        H: Fn(Conn) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Origin::scripted(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    fn scripted<H, F>(listener: TcpListener, script: H) -> Origin
    where
        H: Fn(Conn) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let addr = listener.local_addr().unwrap();
        let (seen, stop, tasks) = (Arc::<Seen>::default(), CancellationToken::new(), Tasks::default());
        let (their_seen, their_stop, their_tasks) = (Arc::clone(&seen), stop.clone(), tasks.clone());
        tasks.spawn(async move {
            while let Some(Ok((stream, _))) = their_stop.run_until_cancelled(listener.accept()).await {
                let conn = Conn::new(stream, &their_seen);
                let (script, seen, stop) = (script(conn), Arc::clone(&their_seen), their_stop.clone());
                their_tasks.spawn(async move {
                    stop.run_until_cancelled(script).await;
                    seen.ended.send_modify(|n| *n += 1);
                });
            }
        });
        Origin { addr, seen, _stop: stop.drop_guard() }
    }

    /// `http://address`, for a configuration.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Every request so far, broken ones included, in the order they were read.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// How many requests have come so far.
    pub fn count(&self) -> usize {
        *self.seen.count.borrow()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        *self.seen.connections.borrow()
    }

    /// What came that wasn't HTTP, strictly read. A gateway should never cause any.
    pub fn faults(&self) -> Vec<String> {
        self.seen.faults.lock().unwrap().clone()
    }

    /// Waits until `n` requests have come in all.
    pub async fn received(&self, n: usize) {
        let mut count = self.seen.count.subscribe();
        within(&format!("request {n} at the origin"), count.wait_for(|have| *have >= n)).await.unwrap();
    }

    /// Waits until `n` connections have ended in all.
    pub async fn ended(&self, n: usize) {
        let mut ended = self.seen.ended.subscribe();
        within(&format!("end {n} of a connection"), ended.wait_for(|have| *have >= n)).await.unwrap();
    }
}

/// One connection to the origin.
#[derive(Debug)]
pub struct Conn {
    /// Which one, from 0.
    pub number: usize,
    wire: Wire<TcpStream>,
    seen: Arc<Seen>,
}

impl Conn {
    fn new(stream: TcpStream, seen: &Arc<Seen>) -> Conn {
        let number = *seen.connections.borrow();
        stream.set_nodelay(true).unwrap();
        seen.connections.send_modify(|n| *n += 1);
        Conn { number, wire: Wire::new(stream), seen: Arc::clone(seen) }
    }

    /// The next request with its body; `None` when there is none, or what came can't be read.
    pub async fn request(&mut self) -> Option<Request> {
        let (mut request, reading) = self.read_head().await?;
        if request.lists("expect", "100-continue") {
            self.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        (request.body, request.trailers, request.complete) = self.wire.body(reading).await;
        self.record(&request);
        Some(request)
    }

    /// The head of the next request, recorded as it stands; its body is left for [`Conn::piece`].
    pub async fn head(&mut self) -> Option<(Request, Reading)> {
        let (request, reading) = self.read_head().await?;
        self.record(&request);
        Some((request, reading))
    }

    /// What the body goes on with.
    pub async fn piece(&mut self, reading: &mut Reading) -> Piece {
        self.wire.piece(reading).await
    }

    /// Body bytes until at least `n` have come, or the body has ended.
    pub async fn at_least(&mut self, reading: &mut Reading, n: usize) -> Vec<u8> {
        self.wire.at_least(reading, n).await
    }

    /// Sends bytes as they are; false when the other side is gone.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes.as_ref()).await.is_ok()
    }

    /// Sends a reply; false when the connection is not to be used again.
    pub async fn reply(&mut self, reply: &Reply, method: &str) -> bool {
        let Ok(then) = reply.send(&mut self.wire, method).await else { return false };
        if then == Then::Reset {
            self.reset_on_drop();
        }
        then == Then::Keep
    }

    /// Gives back every byte until the other side ends.
    pub async fn echo(&mut self) {
        self.wire.echo().await;
    }

    /// Waits until the other side ends the connection; gives what it sent before.
    pub async fn rest(&mut self) -> Vec<u8> {
        self.wire.rest().await
    }

    /// Makes the end of this connection a TCP reset.
    pub fn reset_on_drop(&self) {
        socket2::SockRef::from(self.wire.stream()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    async fn read_head(&mut self) -> Option<(Request, Reading)> {
        let read = match self.wire.head().await {
            Ok(None) => return None,
            Ok(Some(head)) => {
                let framing = declared(&head.fields);
                framing.and_then(|framing| Ok((request_line(&head.line)?, framing.unwrap_or(Framing::Length(0)), head)))
            }
            Err(fault) => Err(fault),
        };
        let ((method, target), framing, head) = match read {
            Ok(read) => read,
            Err(fault) => {
                self.seen.faults.lock().unwrap().push(fault);
                return None;
            }
        };
        let request = Request {
            method,
            target,
            fields: head.fields,
            body: Vec::new(),
            trailers: Fields::default(),
            complete: false,
            raw_head: head.raw,
            connection: self.number,
        };
        Some((request, Reading::new(framing)))
    }

    fn record(&self, request: &Request) {
        self.seen.requests.lock().unwrap().push(request.clone());
        self.seen.count.send_modify(|n| *n += 1);
    }
}

/// Request, reply, request, reply.
async fn converse<H, F>(mut conn: Conn, handler: Arc<H>)
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    while let Some(request) = conn.request().await {
        if !request.complete {
            return;
        }
        let (method, last) = (request.method.clone(), request.lists("connection", "close"));
        let reply = handler(request).await;
        if !conn.reply(&reply, &method).await || last {
            return;
        }
    }
}

/// `GET /books HTTP/1.1` → method and target.
fn request_line(line: &str) -> Result<(String, String), String> {
    match line.split(' ').collect::<Vec<_>>()[..] {
        [method, target, "HTTP/1.1" | "HTTP/1.0"] if !method.is_empty() && !target.is_empty() => {
            Ok((method.to_owned(), target.to_owned()))
        }
        _ => Err(format!("a bad request line: {line:?}")),
    }
}
