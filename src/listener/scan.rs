//! What can't be seen any more once hyper has parsed a request, looked for in its bytes before.
//!
//! hyper takes a bare LF for a line's end and drops, without a word, a Content-Length beside Transfer-Encoding (RFC
//! 9112 §6.3), the second of two equal Content-Lengths, what follows a `#` in a target, and whatever stands in a chunk's
//! extensions. Somebody before us may have read such a request another way, so all of it is refused (§2.2, §6.3, §7.1.1, §11.2).
//!
//! The scanner follows the messages of a connection line by line: heads, counted bodies, chunked bodies with their
//! trailer fields. It refuses by letting nothing pass from the offending byte on. What hyper reads in its place is in a head
//! something that no head may hold: it then answers 400 after all answers that are due before, and closes. In a body it is an
//! error, which ends the body for whoever reads it, and the connection with it. Whatever else is wrong with a head is hyper's
//! or `admit`'s to say; both close the connection then.
//!
//! A request costs one search for each line's end and one for `#`. Nothing is copied unless a line comes in parts, and
//! then no more than its beginning.

use crate::rfc9110::fields::{is_token, quoted_len};
use memchr::memchr;
use std::io;
use tokio::io::ReadBuf;

/// How much of a line that comes in parts is kept, and the most that a line about a body's length may have: one with a
/// Content-Length, or a chunk's first with its extensions, which nobody here reads (§7.1.1: "ought to limit").
const LONGEST: usize = 256;

/// What no head holds, up to its end.
const IMPOSSIBLE: &[u8] = b"\0\r\n\r\n";

/// Follows what one client sends.
#[derive(Debug, Default)]
pub struct Scanner {
    place: Place,
    part: Part,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    /// A request line is to come, perhaps after empty lines (§2.2).
    #[default]
    Request,
    Field,
    /// So many bytes of a counted body are to come.
    Body(u64),
    ChunkSize,
    /// So many bytes of a chunk are to come.
    Chunk(u64),
    ChunkEnd,
    Trailer,
    /// A head was refused, and hyper doesn't know yet.
    BadHead,
    /// Nothing more is taken.
    Over,
}

/// The message can't be taken as it is.
struct Refused;

/// The parts of a line that came before.
#[derive(Debug, Default)]
struct Part {
    begun: bool,
    beginning: Vec<u8>,
    cut: bool,
    last: u8,
}

impl Scanner {
    /// Looks at what the client has sent next, in the order in which it came; says how much of it may be read. When that
    /// isn't all, [`Scanner::refuse`] says how it goes on.
    pub fn scan(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let taken = match self.place {
                Place::BadHead | Place::Over => return done,
                Place::Body(left) => {
                    let (taken, left) = skip(left, rest.len());
                    self.place = if left == 0 { Place::Request } else { Place::Body(left) };
                    Ok(taken)
                }
                Place::Chunk(left) => {
                    let (taken, left) = skip(left, rest.len());
                    self.place = if left == 0 { Place::ChunkEnd } else { Place::Chunk(left) };
                    Ok(taken)
                }
                Place::Request | Place::Field | Place::ChunkSize | Place::ChunkEnd | Place::Trailer => {
                    self.line_or_part(rest)
                }
            };
            match taken {
                Ok(taken) => done += taken,
                Err(before) => {
                    let in_head = matches!(self.place, Place::Request | Place::Field);
                    self.place = if in_head { Place::BadHead } else { Place::Over };
                    return done + before;
                }
            }
        }
        done
    }

    /// Whether nothing more of what the client sends is to be read.
    pub fn has_refused(&self) -> bool {
        matches!(self.place, Place::BadHead | Place::Over)
    }

    /// What is read in place of what was refused.
    ///
    /// # Errors
    /// Where nothing is: the message is over.
    pub fn refuse(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        if matches!(self.place, Place::BadHead) && buf.remaining() >= IMPOSSIBLE.len() {
            self.place = Place::Over;
            buf.put_slice(IMPOSSIBLE);
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "the client's message can be read in two ways"))
    }

    /// How many bytes the next line, or what is there of it, has; an error where it is refused, with what may be read before.
    fn line_or_part(&mut self, bytes: &[u8]) -> Result<usize, usize> {
        let end = memchr(b'\n', bytes);
        let piece = &bytes[..end.unwrap_or(bytes.len())];
        if matches!(self.place, Place::Request)
            && let Some(at) = memchr(b'#', piece)
        {
            return Err(at);
        }
        match end {
            Some(end) => self.line(piece).map(|()| end + 1).map_err(|Refused| end),
            None => {
                self.part.keep(piece);
                let too_long = self.part.cut && matches!(self.place, Place::ChunkSize | Place::ChunkEnd);
                if too_long { Err(0) } else { Ok(bytes.len()) }
            }
        }
    }

    /// A line whose last piece, without LF, is `piece`.
    fn line(&mut self, piece: &[u8]) -> Result<(), Refused> {
        if !self.part.begun {
            let line = piece.strip_suffix(b"\r").ok_or(Refused)?;
            return self.judge(line, line.len() > LONGEST);
        }
        self.part.keep(piece);
        let mut part = std::mem::take(&mut self.part);
        if part.last != b'\r' {
            return Err(Refused);
        }
        if !part.cut {
            part.beginning.pop();
        }
        self.judge(&part.beginning, part.cut)
    }

    /// `long`: longer than is kept of one in parts.
    fn judge(&mut self, line: &[u8], long: bool) -> Result<(), Refused> {
        self.place = match self.place {
            Place::Request if line.is_empty() => Place::Request,
            Place::Request => {
                (self.length, self.chunked) = (None, false);
                Place::Field
            }
            Place::Field if line.is_empty() => self.body()?,
            Place::Field => return self.field(line, long),
            Place::ChunkSize if long => return Err(Refused),
            Place::ChunkSize => match chunk_size(line).ok_or(Refused)? {
                0 => Place::Trailer,
                size => Place::Chunk(size),
            },
            Place::ChunkEnd if line.is_empty() => Place::ChunkSize,
            Place::Trailer if line.is_empty() => Place::Request,
            Place::Trailer => Place::Trailer,
            Place::ChunkEnd | Place::Body(_) | Place::Chunk(_) | Place::BadHead | Place::Over => return Err(Refused),
        };
        Ok(())
    }

    /// What follows a head.
    fn body(&self) -> Result<Place, Refused> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Refused),
            (None, true) => Ok(Place::ChunkSize),
            (None | Some(0), false) => Ok(Place::Request),
            (Some(length), false) => Ok(Place::Body(length)),
        }
    }

    fn field(&mut self, line: &[u8], long: bool) -> Result<(), Refused> {
        if is_named(line, b"transfer-encoding") {
            // A second one, or another coding than `chunked`: `admit` sees that, and closes.
            self.chunked = true;
        } else if is_named(line, b"content-length") {
            if self.length.is_some() || long {
                return Err(Refused);
            }
            let value = line[b"content-length:".len()..].trim_ascii();
            let digits = value.iter().all(u8::is_ascii_digit).then_some(value).ok_or(Refused)?;
            let length = std::str::from_utf8(digits).ok().and_then(|v| v.parse().ok());
            self.length = Some(length.ok_or(Refused)?);
        }
        Ok(())
    }
}

impl Part {
    fn keep(&mut self, piece: &[u8]) {
        self.begun = true;
        let room = LONGEST + 1 - self.beginning.len(); // and the CR
        self.cut |= piece.len() > room;
        self.beginning.extend_from_slice(&piece[..piece.len().min(room)]);
        self.last = piece.last().copied().unwrap_or(self.last);
    }
}

/// How many of `here` bytes belong to `left`, and how many are left then.
fn skip(left: u64, here: usize) -> (usize, u64) {
    let taken = usize::try_from(left).map_or(here, |left| left.min(here));
    (taken, left - taken as u64)
}

fn is_named(line: &[u8], name: &[u8]) -> bool {
    line.len() > name.len() && line[name.len()] == b':' && line[..name.len()].eq_ignore_ascii_case(name)
}

/// The size in a chunk's first line: nothing but as many digits as 64 bits have, and extensions by the grammar.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (digits, extensions) = line.split_at(digits);
    if !(1..=16).contains(&digits.len()) || !are_extensions(extensions) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )` (§7.1.1). What they say doesn't matter.
fn are_extensions(mut rest: &[u8]) -> bool {
    if rest.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        return false;
    }
    while !rest.is_empty() {
        let Some(named) = without_blanks(rest).strip_prefix(b";").map(without_blanks) else { return false };
        let Some(after) = after_token(named) else { return false };
        rest = match without_blanks(after).strip_prefix(b"=").map(without_blanks) {
            None => after,
            Some(value) => {
                let end =
                    if value.starts_with(b"\"") { quoted_len(value).map(|n| &value[n..]) } else { after_token(value) };
                let Some(end) = end else { return false };
                end
            }
        };
    }
    true
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    &text[blanks..]
}

fn after_token(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().take_while(|b| is_token(std::slice::from_ref(b))).count();
    (length > 0).then(|| &text[length..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the scanner refuses these bytes when they come in pieces of `size`.
    fn refuses(bytes: &[u8], size: usize) -> bool {
        let mut scanner = Scanner::default();
        let taken: usize = bytes.chunks(size).map(|piece| scanner.scan(piece)).sum();
        assert_eq!(scanner.has_refused(), taken < bytes.len());
        scanner.has_refused()
    }

    const GOOD: [&str; 10] = [
        "GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x HTTP/1.1\r\nReferer: b#c\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\n#\n\n",
        "POST /x HTTP/1.1\r\nContent-Length:  0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\n\n#\n\n\r\nA\r\n0123\n56789\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1 ; a = \"\\\"; b\" ;c;d=e\r\n\n\r\n00\r\nX-T: 1\r\nContent-Length: 1\r\n\r\n",
        "POST /x HTTP/1.1\r\ntransfer-encoding:chunked\r\n\r\n0000000000000001\r\n\n\r\n0;last\r\n\r\n",
        "GET /x HTTP/1.1\r\nX-Content-Length: 1\r\nTransfer-Encodings: x\r\n\r\n",
        "GET /0123456789012345678901234567890123456789012345678901234567890123456789 HTTP/1.1\r\nHost: a\r\n\r\n",
    ];

    const BAD: [&str; 24] = [
        "GET /x HTTP/1.1\nHost: a\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\n\n",
        "\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "POST /x HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: +1\r\n\r\na",
        "POST /x HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\nCONTENT-LENGTH: 5\r\n\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\na",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x\na\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x\rx\r\na\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x=\"\r\na\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;\r\na\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x\0\r\na\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000001\r\na\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-T: 1\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n",
        "POST /0123456789012345678901234567890123456789012345678901234567890123456789 HTTP/1.1\n\r\n",
    ];

    #[test]
    fn the_second_request_is_seen_like_the_first_however_the_bytes_come() {
        for first in GOOD {
            for size in [1, 2, 3, 7, 16, 4096] {
                assert!(!refuses(first.as_bytes(), size), "{first:?} in pieces of {size}");
                for second in GOOD {
                    let bytes = [first.as_bytes(), second.as_bytes()].concat();
                    assert!(!refuses(&bytes, size), "{first:?} then {second:?} in pieces of {size}");
                }
                for second in BAD {
                    let bytes = [first.as_bytes(), second.as_bytes()].concat();
                    assert!(refuses(&bytes, size), "{first:?} then {second:?} in pieces of {size}");
                }
            }
        }
    }

    #[test]
    fn a_line_about_the_length_is_not_longer_than_is_sensible() {
        for size in [1, 10, 4096] {
            let with = |blanks: usize| format!("POST /x HTTP/1.1\r\nContent-Length:{}1\r\n\r\na", " ".repeat(blanks));
            let most = LONGEST - "Content-Length:1".len();
            assert!(!refuses(with(most).as_bytes(), size), "{size}");
            assert!(refuses(with(most + 1).as_bytes(), size), "{size}");
            let with = |x: usize| {
                format!("POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;{}\r\na\r\n0\r\n\r\n", "x".repeat(x))
            };
            assert!(!refuses(with(LONGEST - 2).as_bytes(), size), "{size}");
            assert!(refuses(with(LONGEST - 1).as_bytes(), size), "{size}");
        }
    }

    #[test]
    fn what_is_read_in_place_of_a_bad_head_is_no_head() {
        let mut space = [0; 16];
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(b"GET /x HTTP/1.1\r\nHost: a\nHost: b\r\n\r\n"), 24);
        let mut buf = ReadBuf::new(&mut space);
        scanner.refuse(&mut buf).unwrap();
        assert_eq!(buf.filled(), IMPOSSIBLE);
        scanner.refuse(&mut buf).unwrap_err();
        assert_eq!(scanner.scan(b"GET /x HTTP/1.1\r\n\r\n"), 0, "nothing more is taken");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_upset_it(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), size in 1usize..40) {
            let chunked = [b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", &bytes[..]].concat();
            for bytes in [bytes, chunked] {
                proptest::prop_assert_eq!(refuses(&bytes, size), refuses(&bytes, 4096), "it doesn't matter how they come");
            }
        }
    }
}
