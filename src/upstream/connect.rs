//! From an endpoint to a stream that can be written to.

use super::error::{AskError, AskErrorKind};
use super::settings::Endpoint;
use super::tls::TlsClient;
use crate::alarm::later;
use crate::gather;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

/// Addresses of one name that are tried; more would leave each too little of the time.
const ADDRESSES: usize = 8;

/// Resolves, connects and shakes hands, all within `limit`.
pub(super) async fn connect(endpoint: &Endpoint, tls: &TlsClient, limit: Duration) -> Result<Stream, AskError> {
    match timeout(limit, attempt(endpoint, tls, later(Instant::now(), limit))).await {
        Ok(result) => result,
        Err(_elapsed) => Err(AskError::unsent(AskErrorKind::ConnectTimeout)),
    }
}

async fn attempt(endpoint: &Endpoint, tls: &TlsClient, deadline: Instant) -> Result<Stream, AskError> {
    let addresses = resolve(endpoint).await.map_err(|e| AskError::unsent(AskErrorKind::Resolve).because(e))?;
    let tcp = dial(&addresses, deadline).await.map_err(|e| {
        let slow = e.kind() == io::ErrorKind::TimedOut;
        let kind = if slow { AskErrorKind::ConnectTimeout } else { AskErrorKind::Connect };
        AskError::unsent(kind).because(e)
    })?;
    // Small requests must not wait for the acknowledgement of earlier ones; a failure costs only speed.
    drop(tcp.set_nodelay(true));
    let inner = if endpoint.tls {
        let handshake = tls.handshake(&endpoint.host, tcp).await;
        Inner::Tls(Box::new(handshake.map_err(|e| AskError::unsent(AskErrorKind::Tls).because(e))?))
    } else {
        Inner::Plain(tcp)
    };
    Ok(Stream { inner, heard: Arc::default() })
}

async fn resolve(endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = endpoint.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, endpoint.port)]);
    }
    let found = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await?;
    let addresses: Vec<_> = found.take(ADDRESSES).collect();
    if addresses.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(addresses) }
}

/// Tries one address after the other; each gets an equal share of the time that is left, so that one that swallows
/// packets doesn't use up the others' turns.
async fn dial(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for (done, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let turns = u32::try_from(addresses.len() - done).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(now) / turns;
        match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(elapsed) => last = elapsed.into(),
        }
    }
    Err(last)
}

/// A connection to an origin, in the clear or not.
pub(super) struct Stream {
    inner: Inner,
    /// Set whenever bytes come back; the pool clears it before a request.
    heard: Arc<AtomicBool>,
}

enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The flag that says whether anything has come back.
    pub(super) fn heard(&self) -> Arc<AtomicBool> {
        self.heard.clone()
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
            self.heard.store(true, Ordering::Relaxed);
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
