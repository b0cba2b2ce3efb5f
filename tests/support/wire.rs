//! HTTP/1.1 read from a socket, heads strictly, bodies to where they end or break.

use super::message::{Fields, Framing, Head, parse_field, parse_head};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A head longer than this is no head.
const MAX_HEAD: usize = 1 << 20;

/// What a body goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Some bytes, as many as had come.
    Data(Vec<u8>),
    /// The proper end, with trailer fields.
    End(Fields),
    /// The connection ended, or the framing broke, before the end.
    Broken,
}

/// A body that is being read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    framing: Framing,
    /// Bytes left of the body, or of the present chunk.
    left: u64,
    ended: bool,
}

impl Reading {
    pub fn new(framing: Framing) -> Reading {
        let left = if let Framing::Length(n) = framing { n } else { 0 };
        Reading { framing, left, ended: false }
    }
}

/// A socket with what has been read ahead.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S) -> Wire<S> {
        Wire { stream, buffer: Vec::new() }
    }

    pub fn stream(&self) -> &S {
        &self.stream
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Ends the sending side.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Whether unread bytes have been read ahead.
    pub fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reads some more; false at the end (a reset counts as one).
    async fn more(&mut self) -> bool {
        self.buffer.reserve(16 << 10);
        self.stream.read_buf(&mut self.buffer).await.is_ok_and(|n| n > 0)
    }

    /// Sends back what comes until it ends.
    pub async fn echo(&mut self) {
        while self.has_more() || self.more().await {
            let bytes = std::mem::take(&mut self.buffer);
            if self.send(&bytes).await.is_err() {
                return;
            }
        }
    }

    /// Sends `bytes` up to so many times, and stops in the middle when something comes back; how much was taken.
    pub async fn flood(&mut self, bytes: &[u8], times: usize) -> usize {
        let (mut read, mut write) = tokio::io::split(&mut self.stream);
        let (mut taken, mut back) = (0, Vec::new());
        let send = async {
            for _ in 0..times {
                let mut left = bytes;
                while !left.is_empty() {
                    let Ok(n) = write.write(left).await else { return };
                    taken += n;
                    left = &left[n..];
                }
            }
        };
        tokio::select! { () = send => {}, _ = read.read_buf(&mut back) => {} }
        self.buffer.extend(back);
        taken
    }

    /// So many bytes, whatever they are; fewer when the connection ends.
    pub async fn exactly(&mut self, n: usize) -> Vec<u8> {
        while self.buffer.len() < n && self.more().await {}
        self.buffer.drain(..n.min(self.buffer.len())).collect()
    }

    /// Everything until the peer ends the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.buffer)
    }

    /// The next head; `None` where the connection ended before its first byte, an error where it ended inside, or
    /// isn't strictly formed.
    pub async fn head(&mut self) -> Result<Option<Head>, String> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.buffer.len() > MAX_HEAD {
                return Err("a head without end".to_owned());
            }
            if !self.more().await {
                let begun = String::from_utf8_lossy(&self.buffer).into_owned();
                return if begun.is_empty() { Ok(None) } else { Err(format!("the head broke off: {begun:?}")) };
            }
        };
        let raw: Vec<u8> = self.buffer.drain(..end).collect();
        let (line, fields) = parse_head(&raw)?;
        Ok(Some(Head { line, fields, raw }))
    }

    /// What the body goes on with. After its end it says `End` for ever.
    pub async fn piece(&mut self, body: &mut Reading) -> Piece {
        if body.ended {
            return Piece::End(Fields::default());
        }
        match body.framing {
            Framing::Length(_) if body.left == 0 => end(body, Fields::default()),
            Framing::Length(_) => self.data(body).await,
            Framing::Chunked => self.chunk(body).await,
            Framing::Close if self.has_more() || self.more().await => Piece::Data(std::mem::take(&mut self.buffer)),
            Framing::Close => end(body, Fields::default()),
        }
    }

    /// The whole body: bytes, trailers, and whether it came to its proper end.
    pub async fn body(&mut self, mut body: Reading) -> (Vec<u8>, Fields, bool) {
        let mut bytes = Vec::new();
        loop {
            match self.piece(&mut body).await {
                Piece::Data(more) => bytes.extend(more),
                Piece::End(trailers) => return (bytes, trailers, true),
                Piece::Broken => return (bytes, Fields::default(), false),
            }
        }
    }

    /// Body bytes until at least `n` have come, or the body has ended.
    pub async fn at_least(&mut self, body: &mut Reading, n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < n {
            match self.piece(body).await {
                Piece::Data(more) => bytes.extend(more),
                Piece::End(_) | Piece::Broken => break,
            }
        }
        bytes
    }

    async fn data(&mut self, body: &mut Reading) -> Piece {
        if !self.has_more() && !self.more().await {
            return Piece::Broken;
        }
        let most = usize::try_from(body.left).unwrap_or(usize::MAX).min(self.buffer.len());
        body.left -= most as u64;
        Piece::Data(self.buffer.drain(..most).collect())
    }

    async fn chunk(&mut self, body: &mut Reading) -> Piece {
        if body.left == 0 {
            let Some(size) = self.line().await.and_then(|line| chunk_size(&line)) else { return Piece::Broken };
            if size == 0 {
                return self.trailers().await.map_or(Piece::Broken, |trailers| end(body, trailers));
            }
            body.left = size;
        }
        let piece = self.data(body).await;
        if body.left == 0 && piece != Piece::Broken && self.line().await.as_deref() != Some("") {
            return Piece::Broken;
        }
        piece
    }

    async fn trailers(&mut self) -> Option<Fields> {
        let mut trailers = Fields::default();
        loop {
            match self.line().await? {
                line if line.is_empty() => return Some(trailers),
                line => trailers.0.push(parse_field(&line).ok()?),
            }
        }
    }

    /// A line that ends in CRLF.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line = self.buffer.drain(..at + 2).take(at).collect();
                return String::from_utf8(line).ok();
            }
            if !self.more().await {
                return None;
            }
        }
    }
}

fn end(body: &mut Reading, trailers: Fields) -> Piece {
    body.ended = true;
    Piece::End(trailers)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn chunk_size(line: &str) -> Option<u64> {
    let digits = line.split(';').next()?;
    let hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| u64::from_str_radix(digits, 16).ok())?
}
