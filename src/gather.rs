//! Small writes in one piece.
//!
//! hyper hands over a head and its content as two slices. For a few kilobytes, copying them together and calling
//! `send` costs the kernel less than `writev`; beyond that the copy costs more than it saves.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// Slices up to so many bytes in all are copied together.
const SMALL: usize = 4096;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes `bufs` to `io`: as one slice where that is cheaper.
pub(crate) fn poll_write(
    io: Pin<&mut (impl AsyncWrite + ?Sized)>,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    match bufs {
        [only] => io.poll_write(cx, only),
        _ if bufs.iter().map(|b| b.len()).sum::<usize>() <= SMALL => SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            bufs.iter().for_each(|b| scratch.extend_from_slice(b));
            io.poll_write(cx, scratch)
        }),
        _ => io.poll_write_vectored(cx, bufs),
    }
}
