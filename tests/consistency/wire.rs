//! HTTP/1.1 in as few steps as possible, since there are hundreds of thousands of messages, and the dice.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Repeatable dice (splitmix64).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64, who: u64) -> Dice {
        let mut dice = Dice(seed ^ who.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// An index below `n`.
    pub fn index(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// True in so many of a thousand cases.
    pub fn permille(&mut self, n: u64) -> bool {
        self.below(1000) < n
    }

    /// Waits: mostly not at all, often for a moment, seldom for long. Not to put events in order, but to shuffle them.
    pub async fn dawdle(&mut self) {
        match self.below(100) {
            0..40 => {}
            40..60 => tokio::task::yield_now().await,
            60..98 => tokio::time::sleep(Duration::from_millis(self.below(5))).await,
            _ => tokio::time::sleep(Duration::from_millis(self.below(30))).await,
        }
    }
}

/// A message.
#[derive(Debug)]
pub struct Message {
    head: String,
    pub body: Vec<u8>,
}

impl Message {
    /// The words of the first line.
    pub fn first_line(&self) -> impl Iterator<Item = &str> {
        self.head.lines().next().unwrap_or_default().split(' ')
    }

    /// The status, if it is an answer.
    pub fn status(&self) -> u16 {
        self.first_line().nth(1).and_then(|s| s.parse().ok()).unwrap_or_default()
    }

    /// The first field of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Whether its connection ends with it.
    pub fn is_last(&self) -> bool {
        self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }
}

/// One connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Wire {
        stream.set_nodelay(true).unwrap();
        Wire { stream, buffer: Vec::with_capacity(2048) }
    }

    pub async fn connect(addr: SocketAddr) -> Wire {
        Wire::new(TcpStream::connect(addr).await.unwrap())
    }

    pub async fn send(&mut self, text: &str) -> Result<()> {
        self.stream.write_all(text.as_bytes()).await
    }

    /// The next message. `silent`: it is an answer without a body, whatever its fields say.
    pub async fn message(&mut self, silent: bool) -> Result<Message> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head).map_err(|_| ErrorKind::InvalidData)?;
        let mut message = Message { head, body: Vec::new() };
        if silent || matches!(message.status(), 204 | 304) {
            return Ok(message);
        }
        message.body = match (message.field("transfer-encoding"), message.field("content-length")) {
            (Some(_), _) => self.chunks().await?,
            (None, Some(length)) => self.bytes(length.parse().map_err(|_| ErrorKind::InvalidData)?).await?,
            (None, None) => Vec::new(),
        };
        Ok(message)
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                    break at;
                }
                self.more().await?;
            };
            let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
            self.buffer.drain(..end + 2);
            let size = usize::from_str_radix(line.trim(), 16).map_err(|_| ErrorKind::InvalidData)?;
            let piece = self.bytes(size + 2).await?;
            all.extend_from_slice(&piece[..size]);
            if size == 0 {
                return Ok(all);
            }
        }
    }

    async fn bytes(&mut self, n: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < n {
            self.more().await?;
        }
        Ok(self.buffer.drain(..n).collect())
    }

    async fn more(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(Error::from(ErrorKind::UnexpectedEof)),
            _ => Ok(()),
        }
    }
}
