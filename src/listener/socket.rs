//! What lies under a connection: TCP or TLS, and which version of HTTP is spoken over it.
//!
//! With TLS the handshake tells (ALPN, RFC 7301). Without, a client may begin with HTTP/2's preface (RFC 9113 §3.3),
//! so the first bytes are looked at before anybody else gets them: as soon as one isn't the preface's, it is HTTP/1.

use crate::gather;
use crate::tls::{self, Certificate};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What a client of HTTP/2 sends first (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A version of HTTP, as far as it matters who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A client's socket.
pub(super) struct Socket {
    /// Read to tell the protocol and not handed on yet: up to `PREFACE` and how much of it, and how much is handed on.
    begun: Option<Begun>,
    kind: Kind,
    /// What the client has shown in the handshake.
    certificate: Option<Certificate>,
}

struct Begun {
    bytes: [u8; PREFACE.len()],
    filled: usize,
    taken: usize,
}

enum Kind {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Finds out what is spoken; `None` where the client left before that. `http2` says whether HTTP/2 is to be
    /// understood without TLS.
    ///
    /// # Errors
    /// A handshake that failed, a connection that broke.
    pub(super) async fn open(
        stream: TcpStream,
        tls: Option<&tls::Server>,
        http2: bool,
    ) -> io::Result<Option<(Socket, Protocol)>> {
        if let Some(tls) = tls {
            let (stream, certificate) = tls.accept(stream).await?;
            let told = stream.get_ref().1.alpn_protocol();
            let protocol = if told == Some(b"h2") { Protocol::Http2 } else { Protocol::Http1 };
            let kind = Kind::Secure(Box::new(stream));
            return Ok(Some((Socket { begun: None, kind, certificate }, protocol)));
        }
        if !http2 {
            let kind = Kind::Plain(stream);
            return Ok(Some((Socket { begun: None, kind, certificate: None }, Protocol::Http1)));
        }
        Socket::look(stream).await
    }

    async fn look(mut stream: TcpStream) -> io::Result<Option<(Socket, Protocol)>> {
        let mut begun = Begun { bytes: [0; PREFACE.len()], filled: 0, taken: 0 };
        let protocol = loop {
            let read = stream.read(&mut begun.bytes[begun.filled..]).await?;
            begun.filled += read;
            if !PREFACE.starts_with(&begun.bytes[..begun.filled]) {
                break Protocol::Http1;
            }
            if begun.filled == PREFACE.len() {
                break Protocol::Http2;
            }
            if read == 0 && begun.filled == 0 {
                return Ok(None);
            }
            if read == 0 {
                break Protocol::Http1; // a beginning without an end: its parser has words for that
            }
        };
        Ok(Some((Socket { begun: Some(begun), kind: Kind::Plain(stream), certificate: None }, protocol)))
    }

    /// Whether nobody on the way can read along.
    pub(super) fn is_secure(&self) -> bool {
        matches!(self.kind, Kind::Secure(_))
    }

    /// What the client's certificate says of it; it can be taken once.
    pub(super) fn take_certificate(&mut self) -> Option<Certificate> {
        self.certificate.take()
    }

    /// Makes the end of the connection a TCP reset.
    pub(super) fn reset_on_close(&self) {
        let stream = match &self.kind {
            Kind::Plain(stream) => stream,
            Kind::Secure(stream) => stream.get_ref().0,
        };
        drop(stream.set_zero_linger());
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(begun) = &mut self.begun {
            let left = &begun.bytes[begun.taken..begun.filled];
            let taken = left.len().min(buf.remaining());
            buf.put_slice(&left[..taken]);
            begun.taken += taken;
            if begun.taken == begun.filled {
                self.begun = None;
            }
            if taken > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Secure(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Secure(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Plain(stream) => gather::poll_write(Pin::new(stream), cx, bufs),
            Kind::Secure(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Secure(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
