//! One answer's content, written once while many read it.
//!
//! The writer is paced by the origin alone as long as the content may be kept (`max_object_size`): it all stays in
//! memory and every reader goes at its own speed. Past that point the answer can't be kept and the recording becomes a
//! window: what everybody has read is forgotten, and the writer waits for the slowest reader. Who reads alone may be as
//! slow as he likes, as long as he takes something within `write_stall`. Where others have read all there is and wait
//! for more, the slowest is cut off once it has held them up for `write_stall` over one window's worth of bytes, so that
//! a trickle holds up like a standstill does, and one who is merely the slower of two is left in peace.

use crate::body::{Body, BodyError};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// Content on its way from one writer to many readers.
#[derive(Debug)]
pub struct Recording {
    state: Mutex<State>,
    /// Content-Length, where the head said one.
    length: Option<u64>,
}

#[derive(Debug)]
struct State {
    /// Pieces not yet forgotten.
    pieces: VecDeque<Bytes>,
    /// How many pieces were forgotten.
    forgotten: usize,
    /// Bytes in `pieces`.
    held: u64,
    /// Bytes in all.
    written: u64,
    /// No longer kept whole.
    window: bool,
    trailers: Option<Arc<HeaderMap>>,
    end: Option<Result<(), BodyError>>,
    readers: Vec<Option<Seat>>,
    writer: Option<Waker>,
}

/// A reader's place.
#[derive(Debug, Default)]
struct Seat {
    next: usize,
    waker: Option<Waker>,
    /// Has taken something since [`Recording::watch`].
    moved: bool,
    cut: bool,
    trailers_read: bool,
}

/// Breaks a recording off if its writer is gone without having ended it; its readers would wait for ever.
#[derive(Debug)]
pub(super) struct Ending(pub(super) Arc<Recording>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end(Err(BodyError::Origin));
    }
}

/// What the writer may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Write on.
    Free,
    /// The window is full; somebody has yet to read.
    Full,
    /// Nobody reads and nothing is kept.
    Abandoned,
}

impl Recording {
    /// An empty recording and its first reader, taken before anything can be forgotten; `length` is the Content-Length
    /// if the head says one.
    pub fn new(length: Option<u64>) -> (Arc<Self>, Body) {
        let state = State {
            pieces: VecDeque::new(),
            forgotten: 0,
            held: 0,
            written: 0,
            window: false,
            trailers: None,
            end: None,
            readers: vec![Some(Seat::default())],
            writer: None,
        };
        let recording = Arc::new(Recording { state: Mutex::new(state), length });
        let first = Body::stream(Reader { recording: Arc::clone(&recording), seat: 0, finished: false });
        (recording, first)
    }

    /// A reader from the beginning; `None` once the beginning is forgotten.
    pub fn reader(self: &Arc<Self>) -> Option<Body> {
        let mut state = self.lock();
        if state.forgotten > 0 {
            return None;
        }
        let seat = Seat::default();
        let free = state.readers.iter().position(Option::is_none);
        let at = free.unwrap_or(state.readers.len());
        if free.is_some() {
            state.readers[at] = Some(seat)
        } else {
            state.readers.push(Some(seat))
        }
        drop(state);
        Some(Body::stream(Reader { recording: Arc::clone(self), seat: at, finished: false }))
    }

    /// Adds a piece and returns how many bytes there are now.
    pub fn write(&self, piece: Bytes) -> u64 {
        let mut state = self.lock();
        state.written += piece.len() as u64;
        state.held += piece.len() as u64;
        if !piece.is_empty() {
            state.pieces.push_back(piece);
        }
        if state.window {
            state.forget();
        }
        state.wake_readers();
        state.written
    }

    /// Adds the trailer fields.
    pub fn trailers(&self, fields: HeaderMap) {
        self.lock().trailers = Some(Arc::new(fields));
    }

    /// Ends it, whole or broken. Readers get what was written, then the end.
    pub fn end(&self, how: Result<(), BodyError>) {
        let mut state = self.lock();
        state.end.get_or_insert(how);
        state.wake_readers();
    }

    /// It won't be kept: from now on what everybody has read is forgotten.
    pub fn give_up_keeping(&self) {
        let mut state = self.lock();
        state.window = true;
        state.forget();
    }

    /// All that was written and is still held, in one piece, copied so that no larger buffer stays alive behind it.
    pub fn whole(&self) -> (Bytes, Option<Arc<HeaderMap>>) {
        let state = self.lock();
        let mut all = Vec::with_capacity(usize::try_from(state.held).unwrap_or_default());
        for piece in &state.pieces {
            all.extend_from_slice(piece);
        }
        (all.into(), state.trailers.clone())
    }

    /// Whether the writer may go on while at most `most` bytes wait in the window.
    pub fn room(&self, most: u64) -> Room {
        self.lock().room(most)
    }

    /// Waits until the writer may go on.
    pub async fn wait_for_room(&self, most: u64) -> Room {
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            match state.room(most) {
                Room::Full => {
                    state.writer = Some(cx.waker().clone());
                    Poll::Pending
                }
                room @ (Room::Free | Room::Abandoned) => Poll::Ready(room),
            }
        })
        .await
    }

    /// Whether some have read all there is while others are behind.
    pub fn holds_up(&self) -> bool {
        let state = self.lock();
        let last = state.forgotten + state.pieces.len();
        let mut reading = state.readers.iter().flatten().filter(|seat| !seat.cut);
        state.slowest().is_some_and(|slowest| slowest < last) && reading.any(|seat| seat.next == last)
    }

    /// From here on it counts who takes something.
    pub fn watch(&self) {
        self.lock().readers.iter_mut().flatten().for_each(|seat| seat.moved = false);
    }

    /// Cuts off the readers that are furthest behind, if others wait for them or they have taken nothing since
    /// [`Recording::watch`]; returns how many.
    pub fn cut_slowest(&self) -> usize {
        let held_up = self.holds_up();
        let mut state = self.lock();
        let Some(slowest) = state.slowest() else { return 0 };
        let mut cut = 0;
        for seat in state.readers.iter_mut().flatten().filter(|seat| !seat.cut && seat.next == slowest) {
            if seat.moved && !held_up {
                continue;
            }
            seat.cut = true;
            cut += 1;
            if let Some(waker) = seat.waker.take() {
                waker.wake();
            }
        }
        state.forget();
        cut
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn slowest(&self) -> Option<usize> {
        self.readers.iter().flatten().filter(|seat| !seat.cut).map(|seat| seat.next).min()
    }

    fn room(&self, most: u64) -> Room {
        match (self.window, self.slowest()) {
            (true, None) => Room::Abandoned,
            (true, Some(_)) if self.held > most => Room::Full,
            (true, Some(_)) | (false, _) => Room::Free,
        }
    }

    fn forget(&mut self) {
        let keep_from = self.slowest().unwrap_or(self.forgotten + self.pieces.len());
        while self.forgotten < keep_from
            && let Some(piece) = self.pieces.pop_front()
        {
            self.held -= piece.len() as u64;
            self.forgotten += 1;
        }
    }

    fn wake_readers(&mut self) {
        for seat in self.readers.iter_mut().flatten() {
            if let Some(waker) = seat.waker.take() {
                waker.wake();
            }
        }
    }

    fn read_on(&mut self) {
        if self.window {
            self.forget();
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
        }
    }
}

struct Reader {
    recording: Arc<Recording>,
    seat: usize,
    finished: bool,
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let at = self.seat;
        let recording = Arc::clone(&self.recording);
        let mut state = recording.lock();
        let (forgotten, end, trailers) = (state.forgotten, state.end, state.trailers.clone());
        let Some(seat) = state.readers[at].as_mut() else { return Poll::Ready(None) };
        if self.finished {
            return Poll::Ready(None);
        }
        if seat.cut {
            self.finished = true;
            return Poll::Ready(Some(Err(BodyError::Lagged)));
        }
        let next = seat.next;
        let piece = next.checked_sub(forgotten).and_then(|i| state.pieces.get(i).cloned());
        let Some(seat) = state.readers[at].as_mut() else { return Poll::Ready(None) };
        if let Some(piece) = piece {
            seat.next += 1;
            seat.moved = true;
            state.read_on();
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match end {
            None => {
                if !seat.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
                    seat.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
            Some(Ok(())) if trailers.is_some() && !seat.trailers_read => {
                seat.trailers_read = true;
                Poll::Ready(trailers.map(|t| Ok(Frame::trailers((*t).clone()))))
            }
            Some(Ok(())) => {
                self.finished = true;
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                self.finished = true;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.recording.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.recording.lock();
        state.readers[self.seat] = None;
        state.forget_after_leaving();
    }
}

impl State {
    fn forget_after_leaving(&mut self) {
        self.read_on();
        if self.slowest().is_none()
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
    }
}

#[cfg(test)]
mod tests;
