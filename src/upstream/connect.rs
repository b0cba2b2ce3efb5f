//! From an endpoint to a stream that can be written to.

use super::error::{AskError, AskErrorKind};
use super::names::{Addresses, Resolver};
use super::settings::Endpoint;
use super::tls::TlsClient;
use crate::alarm::later;
use crate::descriptors::{self, Spell};
use crate::gather;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

/// One endpoint, and what is needed to reach it.
pub(super) struct Way<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) addresses: &'a Addresses,
    pub(super) resolver: &'a Resolver,
    pub(super) tls: &'a TlsClient,
    pub(super) spell: &'a Spell,
    /// Whether HTTP/2 may be spoken.
    pub(super) http2: bool,
}

impl Way<'_> {
    /// Finds an address, connects and shakes hands, all within `limit`.
    pub(super) async fn connect(&self, limit: Duration) -> Result<Stream, AskError> {
        match timeout(limit, self.attempt(later(Instant::now(), limit))).await {
            Ok(result) => result,
            Err(_elapsed) => Err(AskError::unsent(AskErrorKind::ConnectTimeout)),
        }
    }

    async fn attempt(&self, deadline: Instant) -> Result<Stream, AskError> {
        let (tcp, address) = self.dial(deadline).await?;
        // Small requests must not wait for the acknowledgement of earlier ones; a failure costs only speed.
        drop(tcp.set_nodelay(true));
        let reads = Arc::default();
        if !self.endpoint.tls {
            return Ok(Stream { inner: Inner::Plain(tcp), reads, address, http2: self.http2 });
        }
        let handshake = self.tls.handshake(&self.endpoint.host, self.http2, tcp).await;
        let tls = handshake.map_err(|error| AskError::unsent(AskErrorKind::Tls).because(error))?;
        let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream { inner: Inner::Tls(Box::new(tls)), reads, address, http2 })
    }

    /// Tries one address after the other; each gets an equal share of the time that is left, so that one that swallows
    /// packets doesn't use up the others' turns.
    async fn dial(&self, deadline: Instant) -> Result<(TcpStream, SocketAddr), AskError> {
        let mut addresses = self.addresses.in_turn();
        if addresses.is_empty() {
            let looked = self.addresses.need(self.endpoint, self.resolver).await;
            looked.map_err(|error| AskError::unsent(unresolved()).because(error))?;
            addresses = self.addresses.in_turn();
        }
        let (mut last, mut wanted) = (io::Error::other("the name has no address"), !addresses.is_empty());
        for (done, address) in addresses.iter().enumerate() {
            let now = Instant::now();
            let turns = u32::try_from(addresses.len() - done).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(now) / turns;
            last = match timeout_at(now + share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    self.spell.went_well();
                    return Ok((stream, *address));
                }
                Ok(Err(error)) => error,
                Err(elapsed) => elapsed.into(),
            };
            wanted &= descriptors::is_want(&last);
            if descriptors::is_want_of_descriptors(&last) {
                break; // and it is no fault of the address
            }
            self.addresses.shun(*address);
        }
        if wanted {
            self.spell.wanted(&last);
            return Err(AskError::unsent(AskErrorKind::OutOfSockets).because(last).wait(Duration::from_secs(1)));
        }
        let slow = last.kind() == io::ErrorKind::TimedOut;
        let kind = if slow { AskErrorKind::ConnectTimeout } else { AskErrorKind::Connect };
        Err(AskError::unsent(kind).because(last))
    }
}

/// Why a name has no address: its name server's fault, or ours.
fn unresolved() -> AskErrorKind {
    if descriptors::are_out() { AskErrorKind::OutOfSockets } else { AskErrorKind::Resolve }
}

/// A connection to an origin, in the clear or not.
pub(super) struct Stream {
    inner: Inner,
    /// How often bytes have come back.
    reads: Arc<AtomicU64>,
    /// Where it leads.
    pub(super) address: SocketAddr,
    /// Whether HTTP/2 is spoken on it.
    pub(super) http2: bool,
}

enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// How often bytes have come back, for whoever wants to know whether any have.
    pub(super) fn reads(&self) -> Arc<AtomicU64> {
        self.reads.clone()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = match &mut self.inner {
            Inner::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Inner::Tls(s) => Pin::new(s).poll_read(cx, buf),
        };
        if buf.filled().len() > before {
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            Inner::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Inner::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            Inner::Plain(s) => gather::poll_write(Pin::new(s), cx, bufs),
            Inner::Tls(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.inner {
            Inner::Plain(s) => s.is_write_vectored(),
            Inner::Tls(s) => s.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(s) => Pin::new(s).poll_flush(cx),
            Inner::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Inner::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
