//! The socket under hyper: the deadlines that hyper doesn't keep, interim answers, and a close that loses nothing.
//!
//! **Whom are we waiting for?** [`Line`] counts the messages under way: a [`Turn`] lives in every answer until hyper
//! has taken its end, and in every request body until it has been read or dropped. While there is one, or hyper has
//! bytes of an answer left to write, a read that blocks is nobody's fault here: bodies have limits of their own
//! (`upload`), and so has writing. Else hyper reads a head: until its first byte the client may idle (`idle_timeout`;
//! `header_timeout` on a new connection), from then on it has `header_timeout`. One blind spot: the first part of a
//! head that came in one packet with the request before it counts as idling until more of it comes.
//!
//! **A client that takes nothing** for `write_stall` is given up; every byte that the socket takes starts anew.
//!
//! **Interim answers** are written when hyper flushes, since then it has nothing left to write itself. Why they can't
//! mix with hyper's bytes is argued in `client`.
//!
//! **Closing.** A socket that is closed while received bytes are unread makes the kernel send RST, which may destroy
//! the answer in the client's hands (RFC 9112, 9.6). So after an answer to a request that wasn't read to its end we
//! close our half, and read and drop for a bounded while. The other way round: when the answer to an HTTP/1.0 client
//! breaks off, the end of the connection would look like the end of the message, so there we do send RST.
//!
//! **HTTP/2** has the same deadlines on other grounds: a head is open as long as `frames` says so, whatever else is under
//! way, and a client idles while no stream is. One that still acknowledges what was sent before doesn't.

use super::frames::Frames;
use super::gate::Pass;
use super::line::Line;
use super::refusal;
use super::scan::Scanner;
use super::settings::Limits;
use super::socket::Socket;
use crate::alarm::{Alarm, later};
use crate::reached::Bound;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// How long and how much a client may go on sending after the last answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// The deadlines of a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct WireLimits {
    head: Duration,
    idle: Duration,
    stall: Duration,
}

impl WireLimits {
    pub(super) fn of(limits: &Limits) -> Self {
        WireLimits { head: limits.header_timeout, idle: limits.idle_timeout, stall: limits.write_stall }
    }
}

/// A client's socket.
pub(super) struct Wire {
    socket: Socket,
    line: Arc<Line>,
    limits: WireLimits,
    reading: Reading,
    head: HeadWait,
    stall: Stall,
    /// An interim answer that is being written, and how much of it has been.
    hint: (Vec<u8>, usize),
    /// hyper has bytes that the socket hasn't taken: from its first attempt until it flushes.
    writing: bool,
    closing: Closing,
    /// The connection's place; a tunnel keeps it after hyper has let go of the socket.
    _pass: Pass,
}

/// How what the client sends is followed.
pub(super) enum Reading {
    Http1(Scanner),
    Http2(Box<Following>),
}

impl Reading {
    pub(super) fn http1() -> Self {
        Reading::Http1(Scanner::default())
    }

    /// `streams` may be open at a time.
    pub(super) fn http2(streams: u32) -> Self {
        let frames = Frames::new(streams);
        Reading::Http2(Box::new(Following { frames, streams: streams.into(), refused: 0, sent: 0, waits_for: None }))
    }
}

/// A client of HTTP/2.
pub(super) struct Following {
    frames: Frames,
    /// How many streams may be open, and how many were refused for that.
    streams: u64,
    refused: u64,
    /// Bytes that it was sent.
    sent: u64,
    /// What the deadline is for.
    waits_for: Option<Awaited>,
}

/// What a client of HTTP/2 is waited for; the numbers tell one wait from the next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    FirstHead,
    RestOfHead(u64),
    /// After so many requests and so many acknowledgements.
    Anything(u64, u64),
}

#[derive(Default)]
struct HeadWait {
    alarm: Alarm,
    deadline: Option<Instant>,
    /// How many requests there had been when this wait began: tells one wait from the next.
    after: u64,
    /// A part of the head has come.
    begun: bool,
}

#[derive(Default)]
struct Stall {
    alarm: Alarm,
    deadline: Option<Instant>,
}

#[derive(Default)]
struct Closing {
    deadline: Option<Instant>,
    dropped: usize,
    client_closed: bool,
}

impl Wire {
    /// The first head is to be there until `deadline`.
    pub(super) fn new(
        socket: Socket,
        pass: Pass,
        line: Arc<Line>,
        limits: WireLimits,
        reading: Reading,
        deadline: Instant,
    ) -> Self {
        let head = HeadWait { deadline: Some(deadline), ..HeadWait::default() };
        let (stall, hint, writing, closing) = Default::default();
        Wire { socket, line, limits, reading, head, stall, hint, writing, closing, _pass: pass }
    }

    /// Whether hyper reads a head; notes the begin of each such wait.
    fn reads_head(&mut self) -> bool {
        if self.writing || self.line.under_way.load(Relaxed) > 0 || self.line.tunnel.load(Relaxed) {
            return false;
        }
        let requests = self.line.requests.load(Relaxed);
        if self.head.after != requests {
            (self.head.after, self.head.begun, self.head.deadline) = (requests, false, None);
        }
        true
    }

    fn heard(&mut self) {
        if self.reads_head() && !std::mem::replace(&mut self.head.begun, true) && self.head.after > 0 {
            self.head.deadline = None;
        }
    }

    /// Whether the client is waited for, and if so, whether it idles rather than sends a head.
    fn waits(&mut self) -> Option<bool> {
        let Reading::Http2(following) = &mut self.reading else {
            let reads = self.reads_head();
            return reads.then_some(!self.head.begun && self.head.after > 0);
        };
        let under_way = self.writing || self.line.under_way.load(Relaxed) > 0;
        let awaited = following.awaits(self.line.requests.load(Relaxed), under_way);
        let before = std::mem::replace(&mut following.waits_for, awaited);
        if before != awaited && awaited != Some(Awaited::FirstHead) {
            self.head.deadline = None;
        }
        Some(matches!(awaited?, Awaited::Anything(..)))
    }

    /// A read blocks: ready with an error when the client's time for its head, or for idling, is over.
    fn wait_for_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(idles) = self.waits() else { return Poll::Pending };
        let (limit, bound) =
            if idles { (self.limits.idle, Bound::IdleTimeout) } else { (self.limits.head, Bound::HeaderTimeout) };
        let deadline = *self.head.deadline.get_or_insert_with(|| later(Instant::now(), limit));
        ready!(self.head.alarm.poll(deadline, cx));
        self.line.note(bound);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client sent no request in time")))
    }

    /// Looks at what has come; says how much of it hyper may read.
    fn look(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let good = match &mut self.reading {
            Reading::Http1(_) if self.line.tunnel.load(Relaxed) => bytes.len(),
            Reading::Http1(scanner) => scanner.scan(bytes),
            Reading::Http2(following) => {
                let scanned = following.frames.scan(bytes, Instant::now(), following.sent);
                scanned.map_err(|bound| {
                    self.line.note(bound);
                    io::Error::other(bound.name())
                })?;
                for _ in 0..following.too_many(self.line.answered.load(Relaxed)) {
                    self.line.note(Bound::H2Streams);
                }
                return Ok(bytes.len());
            }
        };
        self.heard();
        Ok(good)
    }

    fn write_hint(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (bytes, done) = &mut self.hint;
        while *done < bytes.len() {
            let polled = Pin::new(&mut self.socket).poll_write(cx, &bytes[*done..]);
            *done += ready!(self.stall.watch(polled, self.limits.stall, &self.line, cx))?;
        }
        if *done > 0 {
            self.hint = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }

    /// Puts our words in place of a refusal that hyper has written itself; what is left of them goes out with the flush.
    fn refuse(&mut self, bytes: &[u8]) -> Option<usize> {
        if matches!(self.reading, Reading::Http2(_)) {
            return None;
        }
        let (refused, words) = refusal::in_place_of(bytes)?;
        let _ = self.line.refused.set(refused); // the first one ends the connection
        self.hint = (words, 0);
        Some(bytes.len())
    }

    /// Reads and drops what the client still sends; ready when it has closed, is done sending, or has had enough.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_old = matches!(self.reading, Reading::Http1(_));
        let mut more = is_old && (self.line.abandoned.load(Relaxed) || self.head.begun && self.reads_head());
        loop {
            let mut space = [0; 4096];
            let mut buf = ReadBuf::new(&mut space);
            match Pin::new(&mut self.socket).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.closing.dropped += buf.filled().len();
                    more = true;
                    if self.closing.dropped > LINGER_BYTES {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if more || self.closing.dropped > 0 => {
                    let deadline = *self.closing.deadline.get_or_insert_with(|| later(Instant::now(), LINGER));
                    return self.head.alarm.poll(deadline, cx);
                }
                Poll::Pending => return Poll::Ready(()),
            }
        }
    }
}

impl Stall {
    /// Turns a write that has been blocked for too long into an error.
    fn watch<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        limit: Duration,
        line: &Line,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.deadline = None;
            return polled;
        }
        let deadline = *self.deadline.get_or_insert_with(|| later(Instant::now(), limit));
        ready!(self.alarm.poll(deadline, cx));
        line.note(Bound::WriteStall);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client took nothing in time")))
    }
}

impl Following {
    /// How many of the streams that were opened just now are more than there may be, after so many were answered.
    fn too_many(&mut self, answered: u64) -> u64 {
        let open = self.frames.opened().saturating_sub(self.refused).saturating_sub(answered);
        let more = open.saturating_sub(self.streams);
        self.refused += more;
        more
    }

    /// What the client is waited for after so many requests, if it is.
    fn awaits(&self, requests: u64, under_way: bool) -> Option<Awaited> {
        match self.frames.head() {
            Some(number) => Some(Awaited::RestOfHead(number)),
            None if under_way => None,
            None if requests == 0 => Some(Awaited::FirstHead),
            None => Some(Awaited::Anything(requests, self.frames.acknowledged())),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.line.hints.written_by(cx.waker());
        if let Reading::Http1(scanner) = &mut this.reading
            && scanner.has_refused()
        {
            return Poll::Ready(scanner.refuse(buf));
        }
        let before = buf.filled().len();
        let Poll::Ready(result) = Pin::new(&mut this.socket).poll_read(cx, buf) else {
            return this.wait_for_head(cx);
        };
        if buf.filled().len() > before {
            let good = this.look(&buf.filled()[before..])?;
            buf.set_filled(before + good);
            if let (0, Reading::Http1(scanner)) = (good, &mut this.reading) {
                return Poll::Ready(scanner.refuse(buf));
            }
        } else {
            this.closing.client_closed = true;
        }
        Poll::Ready(result)
    }
}

impl Wire {
    /// Writes after what waits to be written; `write` is the one call.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        write: impl FnOnce(Pin<&mut Socket>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.writing = true;
        ready!(self.write_hint(cx))?;
        if let Some(taken) = self.refuse(first) {
            return Poll::Ready(Ok(taken));
        }
        let polled = write(Pin::new(&mut self.socket), cx);
        if let (Reading::Http2(following), Poll::Ready(Ok(sent))) = (&mut self.reading, &polled) {
            following.sent += *sent as u64;
        }
        self.stall.watch(polled, self.limits.stall, &self.line, cx)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, buf, |socket, cx| socket.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.first().map_or(&[][..], |first| first);
        self.write(cx, first, |socket, cx| socket.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper calls it only when all that it had to write has been taken.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.write_hint(cx))?;
        while let Some(bytes) = this.line.hints.take() {
            this.hint = (bytes, 0);
            ready!(this.write_hint(cx))?;
        }
        let polled = Pin::new(&mut this.socket).poll_flush(cx);
        ready!(this.stall.watch(polled, this.limits.stall, &this.line, cx))?;
        this.writing = false;
        // After an answer hyper may be content with the read that has been blocked since before: the wait for the
        // next head begins here.
        let is_old = matches!(this.reading, Reading::Http1(_));
        if !is_old || this.reads_head() && this.head.deadline.is_none() {
            drop(this.wait_for_head(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.closing.deadline.is_none() {
            ready!(this.write_hint(cx))?;
            let polled = Pin::new(&mut this.socket).poll_shutdown(cx);
            ready!(this.stall.watch(polled, this.limits.stall, &this.line, cx))?;
        }
        if !this.closing.client_closed && !this.line.tunnel.load(Relaxed) {
            ready!(this.linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.line.resets.load(Relaxed) {
            self.socket.reset_on_close();
        }
    }
}
