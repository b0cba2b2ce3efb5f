//! Raw sockets for the tests of both rims: bytes in, bytes out, nothing that repairs them.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failure in a helper fails its test")]

use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far longer than anything here takes: a test that hangs fails instead.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("took too long")
}

/// One end of a connection, with what was read beyond the last message.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Raw { stream, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Reads up to and with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            let found = self.buffer.windows(end.len()).position(|w| w == end.as_bytes());
            if let Some(at) = found {
                let rest = self.buffer.split_off(at + end.len());
                return String::from_utf8(std::mem::replace(&mut self.buffer, rest)).unwrap();
            }
            let mut more = [0; 16384];
            let n = soon(self.stream.read(&mut more)).await.unwrap();
            assert!(n > 0, "closed before {end:?}; came: {:?}", String::from_utf8_lossy(&self.buffer));
            self.buffer.extend_from_slice(&more[..n]);
        }
    }

    /// A head with its blank line.
    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// Everything until the other side closes; a reset counts as an error.
    pub(crate) async fn rest(&mut self) -> std::io::Result<String> {
        let mut all = std::mem::take(&mut self.buffer);
        soon(self.stream.read_to_end(&mut all)).await?;
        Ok(String::from_utf8(all).unwrap())
    }

    /// Waits until the other side has closed or reset, whatever it still sends.
    pub(crate) async fn closed(&mut self) {
        let mut space = [0; 16384];
        while soon(self.stream.read(&mut space)).await.is_ok_and(|n| n > 0) {}
    }
}
