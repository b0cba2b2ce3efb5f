//! Where lines go: one bounded buffer, written out by a thread of its own.
//!
//! A request never waits for a terminal, a pipe or a disk. It copies its line into the buffer under a lock that is held
//! for that copy only; when the buffer is full, because the reader at the other end has stopped, the line is lost and
//! counted. The writer takes the whole buffer, gives back an empty one, and writes without the lock. It is woken when the
//! buffer stops being empty, so that a line of an idle gateway is there at once; having written, it lets lines gather for
//! [`GATHER`], so that a busy one doesn't pay for waking it, and for a write, with every request.
//!
//! What can't be written (the disk is full, the reader is gone) is lost and counted as well. That is said once on standard error, which is
//! another place with luck, and when lines can be written again they begin with how many were lost meanwhile.
//!
//! Lines can't be forged: a control byte (below 0x20) inside a line, from wherever it came, is written as `\x0a` and the
//! like; only the end of a line ends it. What builds a line escapes first, and better; this is the last net.

use super::file::Paper;
use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that may wait to be written.
const ROOM: usize = 1 << 20;
/// How long after a write lines gather for the next one, if the buffer isn't half full before.
const GATHER: Duration = Duration::from_millis(10);
/// How long [`Lines::flush`] waits for a reader that has stopped.
const FLUSH: Duration = Duration::from_secs(2);

/// A handle on the buffer; clones share it. The thread ends with the last one.
#[derive(Clone)]
pub struct Lines {
    shared: Arc<Shared>,
    /// Dropped with the last handle; the thread holds only `shared`.
    _open: Arc<Open>,
    /// Those that go elsewhere, and are asked about together with these.
    beside: Option<Box<Lines>>,
}

struct Shared {
    state: Mutex<State>,
    /// The buffer stopped being empty or is half full, somebody waits for it, or there will be no more lines.
    filled: Condvar,
    /// All that was taken has been written.
    drained: Condvar,
    lost: AtomicU64,
    room: usize,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    /// The thread is writing or lets lines gather: it looks again without being woken.
    writing: bool,
    /// Somebody waits for all to be written.
    hurried: bool,
    /// The file is to be opened anew before anything more is written.
    reopen: bool,
    closed: bool,
}

struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.filled.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: writes batches until the last handle is gone and the buffer is empty.
    fn write_out(&self, mut to: To) {
        let (mut batch, mut trouble) = (Vec::new(), Trouble::default());
        loop {
            let mut state = self.state();
            while state.buffer.is_empty() && !state.reopen {
                (state.writing, state.hurried) = (false, false);
                self.drained.notify_all();
                if state.closed {
                    return;
                }
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut state.buffer, &mut batch);
            state.writing = true;
            let reopen = std::mem::take(&mut state.reopen);
            drop(state);
            // Between two batches, each of whole lines: none is torn apart, and none goes where nobody looks any more.
            if let (To::File(paper), true) = (&mut to, reopen) {
                paper.reopen();
                trouble.torn = false;
            }
            if !batch.is_empty() {
                trouble.write(&mut to, &batch, &self.lost);
            }
            batch.clear();
            let gathering = |state: &mut State| {
                !state.closed && !state.hurried && !state.reopen && state.buffer.len() < self.room / 2
            };
            drop(self.filled.wait_timeout_while(self.state(), GATHER, gathering));
        }
    }
}

/// Where they go.
enum To {
    File(Paper),
    Other(Box<dyn Write + Send>),
}

impl Write for To {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            To::File(paper) => paper.write(bytes),
            To::Other(other) => other.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            To::File(paper) => paper.flush(),
            To::Other(other) => other.flush(),
        }
    }
}

/// Whether lines can be written just now, and what to do about it if not.
#[derive(Debug, Default)]
struct Trouble {
    /// How many were lost before, while it lasts.
    since: Option<u64>,
    /// The last line that was written lacks its end.
    torn: bool,
}

impl Trouble {
    /// Writes as much as possible, and counts what isn't whole as lost.
    fn write(&mut self, to: &mut impl Write, batch: &[u8], lost: &AtomicU64) {
        let (written, result) = match self.end_torn(to) {
            Ok(()) => write_out(to, batch),
            Err(error) => (0, Err(error)),
        };
        if let Some(last) = written.checked_sub(1) {
            self.torn = batch[last] != b'\n';
        }
        let result = result.and_then(|()| to.flush());
        match (result, self.since) {
            (Ok(()), None) => {}
            (Ok(()), Some(before)) => {
                self.since = None;
                let lost = lost.load(Relaxed) - before;
                tracing::warn!(lost, "the log can be written again; so many lines are missing here");
            }
            (Err(error), since) => {
                let missing = batch[written..].iter().filter(|byte| **byte == b'\n').count();
                let before = lost.fetch_add(missing as u64, Relaxed);
                if since.is_none() {
                    self.since = Some(before);
                    let complaint =
                        format!("freshgate: the log can't be written: {error}; lines are lost until it can be\n");
                    drop(io::stderr().write_all(complaint.as_bytes()));
                }
            }
        }
    }

    /// Ends the line that wasn't written whole, so that the next one stands by itself.
    fn end_torn(&mut self, to: &mut impl Write) -> io::Result<()> {
        if self.torn {
            to.write_all(b"\n")?;
            self.torn = false;
        }
        Ok(())
    }
}

/// How many bytes went out, and why not all.
fn write_out(to: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match to.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

impl Lines {
    /// Lines to the process's standard output; past the buffer that the standard library has for it, which would keep some of what
    /// couldn't be written and write it later.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn to_stdout() -> std::io::Result<Lines> {
        Lines::to(std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?))
    }

    /// Lines to `to`, of which up to 1 MiB may wait.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn to(to: impl Write + Send + 'static) -> std::io::Result<Lines> {
        Lines::with_room(To::Other(Box::new(to)), ROOM)
    }

    /// Lines to the file at `path`, beside `events`, which go elsewhere: what is lost of either counts, and both are flushed.
    ///
    /// # Errors
    /// When it can't be opened, or no thread can be started.
    pub fn to_file(path: &Path, events: Lines) -> io::Result<Lines> {
        let lines = Lines::with_room(To::File(Paper::open(path)?), ROOM)?;
        Ok(Lines { beside: Some(Box::new(events)), ..lines })
    }

    /// Opens their file anew before the next line is written, where they go to a file; somebody may have given it another name. Says in the
    /// log what came of it. Whether they go to a file.
    pub fn reopen(&self) -> bool {
        let to_file = self.beside.is_some();
        if to_file {
            self.shared.state().reopen = true;
            self.shared.filled.notify_one();
        }
        to_file
    }

    fn with_room(to: To, room: usize) -> std::io::Result<Lines> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
            lost: AtomicU64::new(0),
            room,
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name("log".into()).spawn(move || writer.write_out(to))?;
        Ok(Lines { _open: Arc::new(Open(Arc::clone(&shared))), shared, beside: None })
    }

    /// Takes one line, without its end, or loses it.
    pub fn write(&self, line: &[u8]) {
        let mut state = self.shared.state();
        if state.buffer.len() + line.len() >= self.shared.room {
            drop(state);
            self.shared.lost.fetch_add(1, Relaxed);
            return;
        }
        let before = state.buffer.len();
        escape_into(&mut state.buffer, line);
        state.buffer.push(b'\n');
        let half = self.shared.room / 2;
        let wake = if state.writing { before < half && state.buffer.len() >= half } else { before == 0 };
        drop(state);
        if wake {
            self.shared.filled.notify_one();
        }
    }

    /// How many lines were lost so far: no room, or the write failed.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Relaxed) + self.beside.as_ref().map_or(0, |beside| beside.lost())
    }

    /// Waits until all lines so far are written; gives up after 2 s with a reader that has stopped. For the end of the
    /// process; it blocks.
    pub fn flush(&self) {
        if let Some(beside) = &self.beside {
            beside.flush();
        }
        let busy = |state: &mut State| state.writing || !state.buffer.is_empty();
        let mut state = self.shared.state();
        state.hurried = busy(&mut state);
        self.shared.filled.notify_one();
        drop(self.shared.drained.wait_timeout_while(state, FLUSH, busy));
    }
}

fn escape_into(buffer: &mut Vec<u8>, line: &[u8]) {
    for part in line.chunk_by(|a, b| (*a < b' ') == (*b < b' ')) {
        if part.first().is_some_and(|byte| *byte < b' ') {
            for byte in part {
                buffer.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
            }
        } else {
            buffer.extend_from_slice(part);
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lines({} lost)", self.lost())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Collects what is written.
    #[derive(Clone, Default)]
    pub(in crate::telemetry) struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        pub(in crate::telemetry) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A reader that stops: says when a write has begun, and lets it end when told to.
    struct Gate(mpsc::Sender<()>, mpsc::Receiver<()>, Page);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(()).unwrap();
            self.1.recv().unwrap();
            self.2.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_out_in_order_and_one_each() {
        let page = Page::default();
        let lines = Lines::to(page.clone()).unwrap();
        for n in 0..1_000 {
            lines.write(format!("line {n}").as_bytes());
        }
        lines.flush();
        let expected: String = (0..1_000).map(|n| format!("line {n}\n")).collect();
        assert_eq!(page.text(), expected);
        assert_eq!(lines.lost(), 0);
    }

    #[test]
    fn a_line_end_inside_a_line_is_escaped() {
        let page = Page::default();
        let lines = Lines::to(page.clone()).unwrap();
        lines.write(b"one\r\ntwo \x1b[31m\x00 caf\xc3\xa9");
        lines.flush();
        assert_eq!(page.text(), "one\\x0d\\x0atwo \\x1b[31m\\x00 café\n");
    }

    #[test]
    fn a_reader_that_has_stopped_costs_lines_and_no_time() {
        let (begun, has_begun) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let page = Page::default();
        let lines = Lines::with_room(To::Other(Box::new(Gate(begun, may_go, page.clone()))), 16).unwrap();
        lines.write(b"first");
        has_begun.recv().unwrap();
        lines.write(b"0123456789");
        lines.write(b"too much");
        lines.write(b"abc");
        assert_eq!(lines.lost(), 1);
        go.send(()).unwrap();
        has_begun.recv().unwrap();
        go.send(()).unwrap();
        lines.flush();
        assert_eq!(page.text(), "first\n0123456789\nabc\n");
    }

    #[test]
    fn what_a_broken_pipe_takes_is_counted() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::to(Broken).unwrap();
        lines.write(b"one");
        lines.flush();
        lines.write(b"two");
        lines.flush();
        assert_eq!(lines.lost(), 2);
    }

    #[test]
    fn what_a_full_disk_tears_apart_spoils_nothing_after_it() {
        /// Has room for so many bytes.
        struct Disk(Arc<Mutex<usize>>, Page);
        impl Write for Disk {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let mut room = self.0.lock().unwrap();
                let most = bytes.len().min(*room);
                *room -= most;
                if most == 0 { Err(std::io::ErrorKind::StorageFull.into()) } else { self.1.write(&bytes[..most]) }
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (room, page) = (Arc::new(Mutex::new(7)), Page::default());
        let lines = Lines::to(Disk(Arc::clone(&room), page.clone())).unwrap();
        for (line, more) in [("one", 0), ("two, torn", 0), ("three", 100), ("four", 100)] {
            *room.lock().unwrap() += more;
            lines.write(line.as_bytes());
            lines.flush();
        }
        assert_eq!(page.text(), "one\ntwo\nthree\nfour\n");
        assert_eq!(lines.lost(), 1);
    }

    #[test]
    fn the_thread_writes_what_is_left_and_ends_with_the_last_handle() {
        struct Last(mpsc::Sender<Vec<u8>>, Vec<u8>);
        impl Write for Last {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.1.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        impl Drop for Last {
            fn drop(&mut self) {
                self.0.send(std::mem::take(&mut self.1)).unwrap();
            }
        }
        let (ended, has_ended) = mpsc::channel();
        let lines = Lines::to(Last(ended, Vec::new())).unwrap();
        let other = lines.clone();
        lines.write(b"one");
        drop(lines);
        other.write(b"two");
        drop(other);
        assert_eq!(has_ended.recv().unwrap(), b"one\ntwo\n");
    }
}
