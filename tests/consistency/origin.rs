//! The origin: it dawdles before and after everything, answers in pieces, fails, hangs and breaks off.

use super::changes::Change;
use super::history::{Applied, History};
use super::modes::Mode;
use super::wire::{Dice, Message, Wire};
use super::world::{BOOKS, FIRST_BYTE, Resource};
use std::fmt::Write as _;
use std::io::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What all connections share.
#[derive(Debug)]
pub struct Shop {
    versions: [AtomicU32; BOOKS],
    history: Arc<History>,
    mode: &'static Mode,
    /// Writes that are being worked at.
    busy: AtomicUsize,
}

impl Shop {
    pub fn new(history: Arc<History>, mode: &'static Mode) -> Arc<Shop> {
        Arc::new(Shop { versions: [const { AtomicU32::new(1) }; BOOKS], history, mode, busy: AtomicUsize::new(0) })
    }

    /// The versions of all books.
    pub fn versions(&self) -> Vec<u32> {
        self.versions.iter().map(|v| v.load(Ordering::SeqCst)).collect()
    }

    /// A new version of a book, for the write `id`, or 0 behind the gateway's back.
    pub fn apply(&self, id: u64, book: usize) -> u32 {
        let version = self.versions[book].fetch_add(1, Ordering::SeqCst) + 1;
        let change = Applied { at: self.history.moment(), at_ms: self.history.now(), id, book, version };
        self.history.add(|events| events.applied.push(change));
        version
    }

    pub fn is_idle(&self) -> bool {
        self.busy.load(Ordering::SeqCst) == 0
    }
}

/// Listens on a free port, until the set is dropped.
pub async fn start(shop: Arc<Shop>, seed: u64) -> (SocketAddr, JoinSet<()>) {
    start_at("127.0.0.1:0".parse().unwrap(), shop, seed).await
}

/// The same where another one has listened before.
pub async fn start_at(addr: SocketAddr, shop: Arc<Shop>, seed: u64) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind(addr).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        let mut connections = JoinSet::new();
        for number in 1_000.. {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection =
                Connection { wire: Wire::new(stream), shop: Arc::clone(&shop), dice: Dice::new(seed, number) };
            connections.spawn(async move { while matches!(connection.serve().await, Ok(true)) {} });
        }
    });
    (addr, accepting)
}

struct Connection {
    wire: Wire,
    shop: Arc<Shop>,
    dice: Dice,
}

/// Counts a write as being worked at.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Busy(count)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Connection {
    /// Answers one request; whether the connection goes on.
    async fn serve(&mut self) -> Result<bool> {
        let request = self.wire.message(false).await?;
        let mut line = request.first_line();
        let (method, target) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
        if matches!(method, "GET" | "HEAD") {
            let resource = Resource::at(target).unwrap_or_else(|| panic!("{target}"));
            self.read(method == "HEAD", resource, &request).await
        } else {
            self.write(&request).await
        }
    }

    async fn read(&mut self, head: bool, resource: Resource, request: &Message) -> Result<bool> {
        self.dice.dawdle().await;
        let all = self.shop.versions();
        let versions: Vec<u32> = resource.books().map(|book| all[book]).collect();
        self.dice.dawdle().await;
        let mut fields = format!("Surrogate-Key: {}\r\n", resource.tags(&versions));
        let public = if matches!(resource, Resource::Book(i) if i % 2 == 0) { "public, " } else { "" };
        match self.shop.mode.max_age {
            Some(seconds) => _ = write!(fields, "Cache-Control: {public}max-age={seconds}\r\n"),
            None if !public.is_empty() => fields += "Cache-Control: public\r\n",
            None => {}
        }
        if matches!(resource, Resource::Book(_)) {
            fields += "Vary: Accept-Language\r\n";
        }
        let etag = resource.etag(&versions);
        if let Some(etag) = &etag {
            let _ = write!(fields, "ETag: {etag}\r\n");
        }
        if etag.is_some() && request.field("if-none-match") == etag.as_deref() {
            self.wire.send(&format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n")).await?;
            return Ok(true);
        }
        let upheaval = self.shop.mode.upheaval;
        match self.dice.below(1000) {
            _ if upheaval.spares_reads() => {}
            0..4 => {
                self.wire.send("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n").await?;
                return Ok(true);
            }
            4..6 => return Ok(false),
            _ => {}
        }
        let body = content(resource, &versions, request);
        if head || !upheaval.has_pieces() || self.dice.permille(800) {
            let length = body.len();
            let body = if head { "" } else { &body };
            self.wire.send(&format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {length}\r\n\r\n{body}")).await?;
            return Ok(true);
        }
        self.in_pieces(&fields, &body).await
    }

    /// Some answers come slowly, and some of those break off.
    async fn in_pieces(&mut self, fields: &str, body: &str) -> Result<bool> {
        let (first, rest) = body.split_at(self.dice.index(body.len()));
        let chunk =
            |text: &str| if text.is_empty() { String::new() } else { format!("{:x}\r\n{text}\r\n", text.len()) };
        let start = format!("HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n{}", chunk(first));
        self.wire.send(&start).await?;
        tokio::time::sleep(Duration::from_millis(self.dice.below(8))).await;
        if !self.shop.mode.upheaval.spares_reads() && self.dice.permille(10) {
            return Ok(false);
        }
        self.wire.send(&format!("{}0\r\n\r\n", chunk(rest))).await?;
        Ok(true)
    }

    async fn write(&mut self, request: &Message) -> Result<bool> {
        let shop = Arc::clone(&self.shop);
        let _busy = Busy::new(&shop.busy);
        let number = |name| request.field(name).and_then(|n| n.parse::<u64>().ok()).unwrap();
        let (id, book, change) = (number("x-write"), number("x-book") as usize, number("x-change") as usize);
        let began = shop.history.now();
        let fault = self.dice.below(1000);
        let fault = if shop.mode.upheaval.spoils_writes(matches!(fault, 20..40)) { fault } else { 1000 };
        if !matches!(fault, 20..35) {
            self.dice.dawdle().await;
        }
        match fault {
            0..10 => self.answer("500 Oh", "").await,
            10..15 => Ok(false),
            15..20 => {
                shop.apply(id, book);
                Ok(false)
            }
            20..35 => {
                // Long after the gateway has given up, but while the write's scopes settle.
                let late = FIRST_BYTE + 5 + self.dice.below(FIRST_BYTE - 40);
                let late = late.saturating_sub(shop.history.now() - began);
                tokio::time::sleep(Duration::from_millis(late)).await;
                shop.apply(id, book);
                Ok(false)
            }
            35..40 => {
                shop.apply(id, book);
                tokio::time::sleep(Duration::from_millis(FIRST_BYTE + 100)).await;
                Ok(false)
            }
            40..50 => {
                shop.apply(id, book);
                self.dice.dawdle().await;
                self.answer("503 Oh", "").await
            }
            _ if Change::ALL[change] == Change::Import && shop.mode.upheaval.has_pieces() => {
                // It is applied when its answer has long begun.
                let place = format!("Content-Location: /books/{book}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n  \r\n");
                self.wire.send(&format!("HTTP/1.1 200 OK\r\n{place}")).await?;
                self.dice.dawdle().await;
                let version = shop.apply(id, book).to_string();
                self.dice.dawdle().await;
                self.wire.send(&format!("{:x}\r\n{version}\r\n0\r\n\r\n", version.len())).await?;
                Ok(true)
            }
            _ => {
                let version = shop.apply(id, book);
                self.dice.dawdle().await;
                let (status, place) = match Change::ALL[change] {
                    Change::Put => ("200 OK", String::new()),
                    Change::Delete => ("204 Gone", String::new()),
                    Change::Review => ("303 See Other", format!("Location: /books/{book}/reviews\r\n")),
                    Change::Create => ("201 Created", format!("Location: /books/{book}\r\n")),
                    Change::Reviewed => return self.reviewed(book, version, request).await,
                    Change::Import => ("200 OK", format!("Content-Location: /books/{book}\r\n")),
                };
                self.answer(status, &format!("{place}X-Version: {version}\r\n")).await
            }
        }
    }

    /// The reviews as they are now, for whoever reads them next.
    async fn reviewed(&mut self, book: usize, version: u32, request: &Message) -> Result<bool> {
        let reviews = Resource::Reviews(book);
        let (etag, body) = (reviews.etag(&[version]).unwrap(), content(reviews, &[version], request));
        let fields = format!("X-Version: {version}\r\nETag: {etag}\r\nCache-Control: max-age=1000\r\n");
        let place = format!("Content-Location: {}\r\nContent-Length: {}\r\n", reviews.target(), body.len());
        self.wire.send(&format!("HTTP/1.1 200 OK\r\n{fields}{place}\r\n{body}")).await?;
        Ok(true)
    }

    async fn answer(&mut self, status: &str, fields: &str) -> Result<bool> {
        let length = if status.starts_with("204") { "" } else { "Content-Length: 0\r\n" };
        self.wire.send(&format!("HTTP/1.1 {status}\r\n{fields}{length}\r\n")).await?;
        Ok(true)
    }
}

/// What is answered: where it was asked for, by whom, in which language, and the versions.
fn content(resource: Resource, versions: &[u32], request: &Message) -> String {
    let who = request.field("authorization").unwrap_or("-");
    let language = request.field("accept-language").unwrap_or("-");
    let list: Vec<String> = versions.iter().map(u32::to_string).collect();
    let padding = if matches!(resource, Resource::View(_, 2..)) { 5_000 } else { 10 };
    format!("{}|{who}|{language}|{}|{}", resource.target(), list.join(","), "x".repeat(padding))
}
