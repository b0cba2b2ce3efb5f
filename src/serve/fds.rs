//! What two processes say to each other when one takes over from the other: lines of text, and sockets (`SCM_RIGHTS`) beside the first.
//!
//! ```text
//! the one that runs                      the one that comes
//! freshgate-handover 1 data admin  +fds →
//!                                       ← ready       it is built and its other sockets are bound
//! go                                    →             (nothing stored is used or kept any more)
//!                                       ← serving     it accepts (and keeps nothing)
//! settles 60000                         →             how long its writes may take, should it say nothing else
//!   … drains …
//! settles 0                             →             all its writes have ended, and the last may take effect so many ms later
//! (end)                                 →             the process is gone: the other one caches
//! ```
//! `no` in the place of `go` says that it won't.

use super::sockets::{Inherited, Kind};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// The first word, and the version of all that follows.
const HELLO: &str = "freshgate-handover 1";
/// More sockets than a configuration can name.
const MOST: usize = 128;
const LONGEST_LINE: usize = 4096;

/// Sends the sockets with the line that says what they are for.
pub(super) async fn send_sockets(stream: &UnixStream, sockets: &[(Kind, TcpListener)]) -> io::Result<()> {
    let mut line = String::from(HELLO);
    for (kind, _) in sockets {
        line.push(' ');
        line.push_str(kind.name());
    }
    line.push('\n');
    let fds: Vec<_> = sockets.iter().map(|(_, listener)| listener.as_fd()).collect();
    let send = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::Error::other("too many sockets"));
        }
        Ok(sendmsg(stream, &[IoSlice::new(line.as_bytes())], &mut beside, SendFlags::NOSIGNAL)?)
    };
    let sent = stream.async_io(Interest::WRITABLE, send).await?;
    if sent == line.len() { Ok(()) } else { Err(io::Error::other("the first line wasn't taken whole")) }
}

/// Receives them; `None` where the other side has ended without a word.
pub(super) async fn receive_sockets(stream: &mut UnixStream) -> io::Result<Option<Vec<Inherited>>> {
    let mut fds: Vec<OwnedFd> = Vec::new();
    let mut first = [0; LONGEST_LINE];
    let got = stream
        .async_io(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let got = recvmsg(&*stream, &mut [IoSliceMut::new(&mut first)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
            for message in beside.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = message {
                    fds.extend(received);
                }
            }
            Ok(got.bytes)
        })
        .await?;
    if got == 0 {
        return Ok(None);
    }
    let mut text = String::from_utf8_lossy(&first[..got]).into_owned();
    if !text.ends_with('\n') {
        text.push_str(&line(stream).await?.unwrap_or_default());
    }
    let kinds = text.trim_end().strip_prefix(HELLO).ok_or_else(|| io::Error::other("it speaks another protocol"))?;
    let kinds: Vec<&str> = kinds.split(' ').filter(|kind| !kind.is_empty()).collect();
    if kinds.len() != fds.len() {
        return Err(io::Error::other("it named other sockets than it sent"));
    }
    kinds.into_iter().zip(fds).map(|(kind, fd)| inherited(kind, fd)).collect::<io::Result<_>>().map(Some)
}

fn inherited(kind: &str, fd: OwnedFd) -> io::Result<Inherited> {
    let kind = Kind::ALL.into_iter().find(|known| known.name() == kind);
    let kind = kind.ok_or_else(|| io::Error::other("it named a socket that isn't known here"))?;
    let listener = TcpListener::from(fd);
    Ok(Inherited { address: listener.local_addr()?, listener, kind: Some(kind), pressing: false })
}

/// Says one line.
pub(super) async fn say(stream: &mut UnixStream, line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\n").as_bytes()).await
}

/// The next line; `None` where the other side has ended.
pub(super) async fn line(stream: &mut UnixStream) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await {
            Ok(b'\n') => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            Ok(byte) if line.len() < LONGEST_LINE => line.push(byte),
            Ok(_) => return Err(io::Error::other("it said too much")),
            Err(error) if is_end(error.kind()) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// A process that was killed with something unread ends its sockets with a reset.
fn is_end(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// Whether the other side is the same user as this process, or root.
pub(super) fn is_ours(stream: &UnixStream) -> io::Result<bool> {
    let (mine, _) = UnixStream::pair()?;
    let (mine, other) = (mine.peer_cred()?.uid(), stream.peer_cred()?.uid());
    Ok(other == mine || other == 0)
}
