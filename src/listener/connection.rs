//! One client's connection: hyper with every limit set, and the stop signal.

use super::gate::Pass;
use super::service::{Handler, service};
use super::settings::Limits;
use super::stop::Stop;
use super::upload::UploadLimits;
use super::wire::{Line, Wire, WireLimits};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::net::TcpStream;

/// hyper's own number; at it, hyper parses on the stack.
const HYPER_FIELDS: usize = 100;
/// hyper panics below this.
const HYPER_BUFFER: usize = 8 << 10;

/// What all connections of one listener share.
pub(super) struct Server<H> {
    http: http1::Builder,
    wire: WireLimits,
    upload: UploadLimits,
    handler: H,
}

impl<H: Handler> Server<H> {
    pub(super) fn new(limits: &Limits, handler: H) -> Self {
        Server { http: builder(limits), wire: WireLimits::of(limits), upload: UploadLimits::of(limits), handler }
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(&self, stream: TcpStream, peer: SocketAddr, pass: Pass, stop: Stop) {
        // Answers are written whole; without this their last part would wait for an acknowledgement.
        drop(stream.set_nodelay(true));
        let Ok(local) = stream.local_addr() else { return };
        let line = Arc::new(Line::default());
        let service = service(self.handler.clone(), line.clone(), self.upload, peer, local);
        let io = TokioIo::new(Wire::new(stream, pass, line, self.wire));
        let connection = self.http.serve_connection(io, service).with_upgrades();
        let mut connection = pin!(connection);

        let (mut first, mut second) = (stop.clone(), stop.clone());
        let mut draining = pin!(first.draining());
        let mut closing = pin!(second.closing());
        let (mut looked, mut drained) = (false, false);
        let ended = poll_fn(|cx| {
            // A task keeps its waker, so one look is enough to be woken; after that one atomic load tells.
            if !drained && (!std::mem::replace(&mut looked, true) || stop.stirred()) {
                drained = draining.as_mut().poll(cx).is_ready();
                if drained {
                    connection.as_mut().graceful_shutdown();
                }
            }
            if drained && closing.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            connection.as_mut().poll(cx)
        })
        .await;
        if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a client's connection broke");
        }
    }
}

/// hyper's HTTP/1 server. Said even where it is the default: what another release of hyper may change.
///
/// `header_read_timeout` is off, because it runs from the end of the last answer: it would either cut off idle
/// connections or give a slow head the time of an idle one, and it costs an allocation per request. `wire` measures
/// both from the socket.
fn builder(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(None)
        .keep_alive(true)
        .half_close(false)
        .pipeline_flush(false)
        .ignore_invalid_headers(false)
        .allow_multiple_spaces_in_request_line_delimiters(false)
        .preserve_header_case(false)
        // A head that comes in one read may be longer than the buffer's limit, hence both.
        .max_buf_size(limits.header_bytes.max(HYPER_BUFFER))
        .max_header_size(limits.header_bytes);
    if limits.header_count != HYPER_FIELDS {
        http.max_headers(limits.header_count);
    }
    http
}
