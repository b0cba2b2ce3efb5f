//! One client's connection: hyper with every limit set, and the stop signal.

use super::carry::{FIRST_REQUEST, carry};
use super::gate::{Gate, Pass};
use super::line::Line;
use super::service::{Handler, service};
use super::settings::{Limits, Settings};
use super::socket::{Protocol, Socket};
use super::stop::Stop;
use super::streams::Streams;
use super::upload::UploadLimits;
use super::wire::{Reading, Wire, WireLimits};
use crate::alarm::later;
use crate::client::{Client, Interim};
use crate::reached::{Bound, Reached};
use crate::tasks::Tasks;
use crate::tls;
use http::StatusCode;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

/// hyper's own number; at it, hyper parses on the stack.
const HYPER_FIELDS: usize = 100;
/// hyper panics below this.
const HYPER_BUFFER: usize = 8 << 10;

/// What all connections of one listener share.
pub(super) struct Server<H> {
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
    tls: Option<Arc<tls::Server>>,
    speaks_http2: bool,
    streams: u32,
    header_timeout: Duration,
    wire: WireLimits,
    upload: UploadLimits,
    reached: Arc<Reached>,
    handler: H,
}

impl<H: Handler> Server<H> {
    pub(super) fn new(
        settings: &Settings,
        tls: Option<Arc<tls::Server>>,
        gate: &Gate,
        tasks: &Tasks,
        handler: H,
    ) -> Self {
        let limits = &settings.limits;
        let streams =
            Streams { tasks: tasks.clone(), write_stall: limits.write_stall, reached: Arc::clone(&gate.reached) };
        Server {
            http1: http1(limits),
            http2: http2(limits, streams),
            tls,
            speaks_http2: settings.http2,
            streams: limits.h2_streams,
            header_timeout: limits.header_timeout,
            wire: WireLimits::of(limits),
            upload: UploadLimits::of(limits),
            reached: Arc::clone(&gate.reached),
            handler,
        }
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(&self, stream: TcpStream, peer: SocketAddr, pass: Pass, stop: Stop) {
        // Answers are written whole; without this their last part would wait for an acknowledgement.
        drop(stream.set_nodelay(true));
        limit_unsent(&stream);
        let Ok(local) = stream.local_addr() else { return };
        let since = Instant::now();
        let deadline = later(since, self.header_timeout);
        let opening = timeout_at(deadline, Socket::open(stream, self.tls.as_deref(), self.speaks_http2));
        let mut watch = stop.clone();
        let opened = tokio::select! {
            opened = opening => opened,
            () = too_late(&mut watch, since) => return, // it hasn't asked for anything yet
        };
        let (mut socket, protocol) = match opened {
            Ok(Ok(Some(opened))) => opened,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return tracing::debug!(%error, %peer, "a client's connection broke at its beginning"),
            Err(_) => return self.reached.note(Bound::HeaderTimeout),
        };
        let line = Arc::new(Line::new(Arc::clone(&self.reached)));
        let mut client = Client::new(peer, local, Interim::new(line.hints.clone(), 0));
        if socket.is_secure() {
            client = client.over_tls(socket.take_certificate());
        }
        let service = service(self.handler.clone(), line.clone(), self.upload, client, stop.clone());
        let ended = match protocol {
            Protocol::Http1 => {
                let wire = Wire::new(socket, pass, line.clone(), self.wire, Reading::http1(), deadline);
                carry(
                    self.http1.serve_connection(TokioIo::new(wire), service).with_upgrades(),
                    http1::UpgradeableConnection::graceful_shutdown,
                    stop,
                    &line,
                    protocol,
                    since,
                )
                .await
            }
            Protocol::Http2 => {
                let wire = Wire::new(socket, pass, line.clone(), self.wire, Reading::http2(self.streams), deadline);
                carry(
                    self.http2.serve_connection(TokioIo::new(wire), service),
                    http2::Connection::graceful_shutdown,
                    stop,
                    &line,
                    protocol,
                    since,
                )
                .await
            }
        };
        if let Some(refused) = line.refused() {
            if refused.status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
                line.note(Bound::Header);
            }
            self.handler.refused(peer, refused);
        }
        if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a client's connection broke");
        }
    }
}

/// When one that is still opening need not be waited for any more.
async fn too_late(stop: &mut Stop, since: Instant) {
    stop.draining().await;
    tokio::select! {
        () = sleep_until(since + FIRST_REQUEST) => {}
        () = stop.closing() => {}
    }
}

/// What the system may hold of answers that it hasn't sent yet.
const UNSENT: u32 = 128 << 10;

/// Without it the system takes megabytes of an answer for a client that takes nothing: copied for nobody, and memory that no
/// limit of ours knows. Where there is no such setting, `write_stall` has to do.
fn limit_unsent(stream: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    drop(socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (stream, UNSENT);
}

/// hyper's HTTP/1 server. Said even where it is the default: what another release of hyper may change.
///
/// `header_read_timeout` is off, because it runs from the end of the last answer: it would either cut off idle
/// connections or give a slow head the time of an idle one, and it costs an allocation per request. `wire` measures
/// both from the socket.
fn http1(limits: &Limits) -> http1::Builder {
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

/// A stream's window, and what the library may hold of its answer that isn't sent.
const STREAM_WINDOW: u32 = 128 << 10;
const SEND_BUFFER: usize = 64 << 10;
/// All streams' window together: what uploads can make a connection hold.
const WINDOW: u32 = 1 << 20;
/// Streams that were reset before anybody has looked at them, or that we have reset for an error; then the connection ends.
const RESET_UNSEEN: usize = 20;
const RESET_BY_US: usize = 100;
/// A client that can't be seen to live is asked, and has so long to say so.
const ASK_AFTER: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// hyper's HTTP/2 server, with every limit set by hand: what it takes by default is more, or none at all.
fn http2(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let mut http = http2::Builder::new(streams);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .adaptive_window(false)
        .max_frame_size(16 << 10)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESET_UNSEEN)
        .max_local_error_reset_streams(RESET_BY_US)
        .keep_alive_interval(ASK_AFTER)
        .keep_alive_timeout(ANSWER_WITHIN);
    http
}
