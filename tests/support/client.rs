//! A client that sends what it is told and reads strictly what comes back.

use super::gate::within;
use super::message::{Fields, Framing, Head, declared};
use super::wire::{Piece, Reading, Wire};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Deref;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// One connection. It is kept alive, so a test can see that it stays usable.
#[derive(Debug)]
pub struct Client<S = TcpStream> {
    wire: Wire<S>,
    host: String,
    /// Methods of requests that haven't been answered, oldest first.
    asked: VecDeque<String>,
    /// The body that [`Client::piece`] reads.
    reading: Reading,
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub fields: Fields,
    /// Its content, chunks joined.
    pub body: Vec<u8>,
    /// Its trailer fields.
    pub trailers: Fields,
    /// Whether the body came to its proper end.
    pub complete: bool,
    /// 1xx answers that came before it.
    pub interim: Vec<(u16, Fields)>,
    /// Every byte of its head.
    pub raw_head: Vec<u8>,
}

impl Deref for Answer {
    type Target = Fields;
    fn deref(&self) -> &Fields {
        &self.fields
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.text()))
    }

    /// Whether the last hop's `Cache-Status` has this parameter: `hit`, `fwd=uri-miss`, `detail=…`.
    pub fn cache_says(&self, parameter: &str) -> bool {
        let says = self.all("cache-status");
        let last = says.last().and_then(|line| line.rsplit(',').next()).unwrap_or_default();
        last.split(';').skip(1).any(|p| p.trim() == parameter)
    }
}

impl Client<TcpStream> {
    /// A new connection.
    pub async fn connect(addr: SocketAddr) -> Client {
        let stream = within("a connection", TcpStream::connect(addr)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client::over(stream, &addr.to_string())
    }

    /// Ends the connection with a TCP reset.
    pub fn reset(self) {
        socket2::SockRef::from(self.wire.stream()).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// A client over any stream (TLS, say); `host` is what its requests say.
    pub fn over(stream: S, host: &str) -> Client<S> {
        let reading = Reading::new(Framing::Length(0));
        Client { wire: Wire::new(stream), host: host.to_owned(), asked: VecDeque::new(), reading }
    }

    /// The Host that later requests name.
    pub fn host(mut self, host: &str) -> Client<S> {
        self.host = host.to_owned();
        self
    }

    /// GET and its answer.
    pub async fn get(&mut self, target: &str) -> Answer {
        self.request("GET", target, &[], "").await
    }

    /// GET with fields, and its answer.
    pub async fn get_with(&mut self, target: &str, fields: &[(&str, &str)]) -> Answer {
        self.request("GET", target, fields, "").await
    }

    /// PUT of a body, and its answer.
    pub async fn put(&mut self, target: &str, body: &str) -> Answer {
        self.request("PUT", target, &[], body).await
    }

    /// POST of a body, and its answer.
    pub async fn post(&mut self, target: &str, body: &str) -> Answer {
        self.request("POST", target, &[], body).await
    }

    /// DELETE and its answer.
    pub async fn delete(&mut self, target: &str) -> Answer {
        self.request("DELETE", target, &[], "").await
    }

    /// A request and its answer.
    pub async fn request(&mut self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        self.send(method, target, fields, body).await;
        self.answer().await
    }

    /// Sends a request without waiting for its answer. A body gets a Content-Length unless fields frame it.
    pub async fn send(&mut self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) {
        let has = |name: &str| fields.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !has("host") {
            head += &format!("Host: {}\r\n", self.host);
        }
        if !(has("content-length")
            || has("transfer-encoding")
            || (body.is_empty() && method != "POST" && method != "PUT"))
        {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        self.asked.push_back(method.to_owned());
        // The gateway may have closed already; then reading its answer tells more than a failed write.
        let _ = within("a request to be taken", self.wire.send(format!("{head}\r\n{body}").as_bytes())).await;
    }

    /// Sends bytes as they are. Their answers are read as answers to GET.
    pub async fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = within("bytes to be taken", self.wire.send(bytes.as_ref())).await;
    }

    /// Sends pieces of this size until the other side ends the connection or answers; how many bytes it took.
    pub async fn flood(&mut self, piece: usize, times: usize) -> usize {
        let bytes = vec![b'x'; piece];
        within("the end of a flood", self.wire.flood(&bytes, times)).await
    }

    /// Ends the sending side; answers can still be read.
    pub async fn finish(&mut self) {
        let _ = self.wire.finish().await;
    }

    /// The next answer, to its end.
    pub async fn answer(&mut self) -> Answer {
        self.try_answer().await.expect("an answer, but the connection ended")
    }

    /// The next answer; `None` when the connection ended first.
    pub async fn try_answer(&mut self) -> Option<Answer> {
        let mut answer = self.answer_head().await?;
        let reading = self.reading;
        (answer.body, answer.trailers, answer.complete) = within("the end of an answer", self.wire.body(reading)).await;
        self.reading = Reading::new(Framing::Length(0));
        Some(answer)
    }

    /// The next answer's head; its body is left for [`Client::piece`]. `complete` is false.
    pub async fn answer_head(&mut self) -> Option<Answer> {
        let method = self.asked.pop_front().unwrap_or_else(|| "GET".to_owned());
        let mut interim = Vec::new();
        loop {
            let head = within("an answer", self.wire.head()).await.unwrap_or_else(|fault| panic!("{fault}"))?;
            let status = status_line(&head.line);
            if (100..200).contains(&status) && status != 101 {
                interim.push((status, head.fields));
                continue;
            }
            self.reading = Reading::new(framing(&method, status, &head));
            let (fields, raw_head) = (head.fields, head.raw);
            let (body, trailers) = (Vec::new(), Fields::default());
            return Some(Answer { status, fields, body, trailers, complete: false, interim, raw_head });
        }
    }

    /// What the body of the answer goes on with.
    pub async fn piece(&mut self) -> Piece {
        within("a piece of a body", self.wire.piece(&mut self.reading)).await
    }

    /// Body bytes until at least `n` have come, or the body has ended.
    pub async fn at_least(&mut self, n: usize) -> Vec<u8> {
        within("some of a body", self.wire.at_least(&mut self.reading, n)).await
    }

    /// So many bytes of another protocol, after a 101.
    pub async fn tunnelled(&mut self, n: usize) -> Vec<u8> {
        within("bytes of a tunnel", self.wire.exactly(n)).await
    }

    /// Waits until the other side ends the connection; gives what it sent before.
    pub async fn closed(&mut self) -> Vec<u8> {
        within("the end of the connection", self.wire.rest()).await
    }
}

/// How an answer's body ends (RFC 9112 §6.3).
fn framing(method: &str, status: u16, head: &Head) -> Framing {
    let declared = declared(&head.fields).unwrap_or_else(|fault| panic!("{fault} in {head:?}"));
    if method == "HEAD" || matches!(status, 204 | 304) {
        return Framing::Length(0);
    }
    declared.unwrap_or(Framing::Close)
}

fn status_line(line: &str) -> u16 {
    let status = match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
        ["HTTP/1.1" | "HTTP/1.0", status, _] if status.len() == 3 => status.parse().ok(),
        _ => None,
    };
    status.unwrap_or_else(|| panic!("a bad status line: {line:?}"))
}
