//! HTTP/2 as it comes from a client, frame by frame (RFC 9113 §4.1): what the library under us doesn't bound.
//!
//! The library reads frames and keeps their state right; it doesn't know how long a head has been on its way, and it
//! answers frames that carry nothing for as long as they come. So the frames' heads are read here before it gets them:
//!
//! * **A head is open** from the first byte of a HEADERS frame's payload until the frame with END_HEADERS is complete
//!   (§4.3, §6.10). The wire gives it `header_timeout`.
//! * **Resets** (§10.5): who opens streams and resets them makes the gateway, and the origin behind it, work for answers
//!   that nobody takes. In one window there may be `h2_streams` of them, and one for every two requests that were left to
//!   be answered, so that a client that gives up now and then isn't cut off.
//! * **Frames that carry nothing**: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA and CONTINUATION, and kinds that
//!   nobody knows. A window has room for [`IDLE_FRAMES`], and for one more for every [`BYTES_PER_FRAME`] bytes that the client
//!   was sent, since it acknowledges these by WINDOW_UPDATE.

use super::socket::PREFACE;
use crate::reached::Bound;
use std::time::Duration;
use tokio::time::Instant;

/// Frames that carry nothing, in one window.
const IDLE_FRAMES: u64 = 1_000;
/// Bytes sent to the client that allow one more of them.
const BYTES_PER_FRAME: u64 = 256;
/// Over how long both are counted.
const WINDOW: Duration = Duration::from_secs(10);
const FRAME_HEAD: usize = 9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Follows what one client sends.
pub(super) struct Frames {
    /// Bytes of the preface that are to come.
    preface: usize,
    head: [u8; FRAME_HEAD],
    filled: usize,
    /// Bytes of this frame's payload that are to come.
    payload: u32,
    /// A head is on its way.
    open: bool,
    /// Heads that are complete.
    heads: u64,
    /// WINDOW_UPDATE frames.
    acknowledged: u64,
    /// It ends with this frame.
    ends: bool,
    /// The client's newest stream, and how many there were.
    newest: u32,
    opened: u64,
    streams: u64,
    counted: Counted,
}

/// What came in this window.
#[derive(Default)]
struct Counted {
    since: Option<Instant>,
    /// Bytes that the client had been sent when it began.
    sent: u64,
    requests: u64,
    resets: u64,
    idle: u64,
}

impl Frames {
    /// `streams` may be open at a time.
    pub(super) fn new(streams: u32) -> Self {
        Frames {
            preface: PREFACE.len(),
            head: [0; FRAME_HEAD],
            filled: 0,
            payload: 0,
            open: false,
            heads: 0,
            acknowledged: 0,
            ends: false,
            newest: 0,
            opened: 0,
            streams: streams.into(),
            counted: Counted::default(),
        }
    }

    /// The number of the request's head, or trailer section, that is on its way.
    pub(super) fn head(&self) -> Option<u64> {
        self.open.then_some(self.heads)
    }

    /// How many streams the client has opened.
    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    /// How often the client has said that it took something.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Looks at what the client has sent next, after it was `sent` so many bytes in all.
    ///
    /// # Errors
    /// Which bound the client has reached.
    pub(super) fn scan(&mut self, mut bytes: &[u8], now: Instant, sent: u64) -> Result<(), Bound> {
        self.counted.roll(now, sent);
        while !bytes.is_empty() {
            let taken = if self.preface > 0 {
                let taken = bytes.len().min(self.preface);
                self.preface -= taken;
                taken
            } else if self.payload > 0 {
                let taken = usize::try_from(self.payload).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.payload -= u32::try_from(taken).unwrap_or(self.payload);
                taken
            } else {
                let taken = bytes.len().min(FRAME_HEAD - self.filled);
                self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
                self.filled += taken;
                if self.filled == FRAME_HEAD {
                    self.filled = 0;
                    self.frame(sent)?;
                }
                taken
            };
            if self.payload == 0 && self.filled == 0 && self.ends {
                (self.open, self.ends) = (false, false);
                self.heads += 1;
            }
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// A frame's head is there.
    fn frame(&mut self, sent: u64) -> Result<(), Bound> {
        let [a, b, c, kind, flags, s0, s1, s2, s3] = self.head;
        self.payload = u32::from_be_bytes([0, a, b, c]);
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        let idle = match kind {
            0 => self.payload == 0 && flags & END_STREAM == 0,
            1 => {
                if stream > self.newest {
                    self.newest = stream;
                    self.opened += 1;
                    self.counted.requests += 1;
                }
                (self.open, self.ends) = (true, flags & END_HEADERS != 0);
                false
            }
            3 => {
                self.counted.resets += 1;
                let kept = self.counted.requests.saturating_sub(self.counted.resets);
                if self.counted.resets > self.streams + kept / 2 {
                    return Err(Bound::H2Resets);
                }
                false
            }
            8 => {
                self.acknowledged += 1;
                true
            }
            9 => {
                self.ends = flags & END_HEADERS != 0;
                self.payload == 0 && !self.ends
            }
            _ => true,
        };
        self.counted.idle += u64::from(idle);
        let room = IDLE_FRAMES + sent.saturating_sub(self.counted.sent) / BYTES_PER_FRAME;
        if self.counted.idle > room { Err(Bound::H2Frames) } else { Ok(()) }
    }
}

impl Counted {
    /// Begins a new window if the last one is over.
    fn roll(&mut self, now: Instant, sent: u64) {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            *self = Counted { since: Some(now), sent, ..Counted::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn begun(streams: u32) -> Frames {
        let mut frames = Frames::new(streams);
        assert_eq!(frames.scan(PREFACE, Instant::now(), 0), Ok(()));
        frames
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_open_until_its_last_frame_is_complete_however_the_bytes_come() {
        let bytes = [
            (frame(4, 0, 0, &[0; 6]), [false, false]),
            (frame(1, END_STREAM, 1, b"abc"), [true, true]),
            (frame(9, 0, 1, b"d"), [true, true]),
            (frame(9, END_HEADERS, 1, b"ef"), [true, false]),
            (frame(0, 0, 1, b"ghi"), [false, false]),
            (frame(1, END_HEADERS | END_STREAM, 3, b"jkl"), [true, false]),
            (frame(1, END_HEADERS, 5, b""), [false, false]),
        ];
        for size in [1, 2, 5, 100] {
            let mut frames = begun(100);
            for (bytes, [inside, after]) in &bytes {
                let (last, first) = bytes.split_last().unwrap();
                first.chunks(size).for_each(|piece| frames.scan(piece, Instant::now(), 0).unwrap());
                if bytes.len() > FRAME_HEAD {
                    assert_eq!(frames.head().is_some(), *inside, "{bytes:?} by {size}");
                }
                frames.scan(&[*last], Instant::now(), 0).unwrap();
                assert_eq!(frames.head().is_some(), *after, "{bytes:?} by {size}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn resets_are_bounded_by_the_streams_that_may_be_open() {
        let mut frames = begun(10);
        let now = Instant::now();
        let open = |n: u32| frame(1, END_HEADERS | END_STREAM, 2 * n + 1, b"x");
        let reset = |n: u32| frame(3, 0, 2 * n + 1, &[0; 4]);
        let rapid = |frames: &mut Frames, from: u32, now| {
            (from..from + 1000).position(|n| frames.scan(&[open(n), reset(n)].concat(), now, 0).is_err())
        };
        assert_eq!(rapid(&mut frames, 0, now), Some(10), "the eleventh");
        let mut frames = begun(10);
        for n in 0..40 {
            assert_eq!(frames.scan(&open(n), now, 0), Ok(()));
        }
        assert_eq!(rapid(&mut frames, 40, now), Some(30), "ten, and one for each two that were left alone");
        let mut frames = begun(10);
        for n in 0..40 {
            assert_eq!(frames.scan(&open(n), now, 0), Ok(()));
        }
        assert_eq!(rapid(&mut frames, 40, now + WINDOW), Some(10), "a new window");
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_carry_nothing_are_bounded_and_acknowledgements_are_not() {
        let now = Instant::now();
        let many = |bytes: Vec<u8>, sent: fn(u64) -> u64| {
            let mut frames = begun(10);
            (0..100_000).position(|n| frames.scan(&bytes, now, sent(n)) == Err(Bound::H2Frames))
        };
        let room = usize::try_from(IDLE_FRAMES).unwrap();
        for (kind, flags, payload) in [(0, 0, 0), (2, 0, 5), (4, 0, 0), (6, 0, 8), (8, 0, 4), (9, 0, 0), (0x42, 0, 100)]
        {
            let bytes = frame(kind, flags, 1, &vec![0; payload]);
            assert_eq!(many(bytes, |_| 0), Some(room), "kind {kind}");
        }
        assert_eq!(many(frame(8, 0, 1, &[0; 4]), |n| n * BYTES_PER_FRAME), None, "as many as it was sent bytes for");
        assert_eq!(many(frame(0, 0, 1, b"x"), |_| 0), None, "data is data");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_upset_it(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let mut frames = Frames::new(10);
            let _ = frames.scan(&bytes, Instant::now(), 0);
        }
    }
}
