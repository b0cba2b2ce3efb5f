//! What can't be seen any more once hyper has parsed a request, looked for in its bytes before.
//!
//! hyper takes a bare LF for a line's end and drops, without a word, a Content-Length beside Transfer-Encoding (RFC
//! 9112 §6.3), the second of two equal Content-Lengths, and what follows a `#` in a target. Somebody before us may have
//! read such a request another way, so all of it is refused (§2.2, §6.3, §11.2).
//!
//! The scanner follows the messages of a connection line by line: heads, counted bodies, chunked bodies with their
//! trailer fields. It refuses by putting a NUL over the offending byte, which no part of a head and no chunk size may
//! hold: hyper then answers 400 after all answers that are due before, and closes. Whatever else is wrong with a
//! message is hyper's or `admit`'s to say; both close the connection then, so the scanner stops following where it
//! can't tell how a body ends.
//!
//! A request costs one search for each line's end and one for `#`. Nothing is copied unless a line comes in parts, and
//! then no more than its beginning.

use memchr::memchr;

/// How much of a line that comes in parts is kept: more than a sensible line about a body's length has.
const BEGINNING: usize = 64;

/// Follows what one client sends.
#[derive(Debug, Default)]
pub(super) struct Scanner {
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
    /// This can't be followed, and needn't be: the connection will be closed.
    Lost,
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
    /// Looks at what the client has sent next, in the order in which it came.
    pub(super) fn scan(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = match self.place {
                Place::Lost => return,
                Place::Body(left) => {
                    let (taken, left) = skip(left, bytes.len());
                    self.place = if left == 0 { Place::Request } else { Place::Body(left) };
                    taken
                }
                Place::Chunk(left) => {
                    let (taken, left) = skip(left, bytes.len());
                    self.place = if left == 0 { Place::ChunkEnd } else { Place::Chunk(left) };
                    taken
                }
                Place::Request | Place::Field | Place::ChunkSize | Place::ChunkEnd | Place::Trailer => {
                    self.line_or_part(bytes)
                }
            };
            bytes = &mut bytes[taken..];
        }
    }

    fn line_or_part(&mut self, bytes: &mut [u8]) -> usize {
        let all = bytes.len();
        let end = memchr(b'\n', bytes);
        let piece = &mut bytes[..end.unwrap_or(all)];
        if matches!(self.place, Place::Request)
            && let Some(at) = memchr(b'#', piece)
        {
            piece[at] = 0;
            self.place = Place::Lost;
        } else if let Some(end) = end {
            if self.line(&bytes[..end]).is_err() {
                bytes[end] = 0;
                self.place = Place::Lost;
            }
        } else {
            self.part.keep(piece);
        }
        end.map_or(all, |end| end + 1)
    }

    /// A line whose last piece, without LF, is `piece`.
    fn line(&mut self, piece: &[u8]) -> Result<(), Refused> {
        if !self.part.begun {
            let line = piece.strip_suffix(b"\r").ok_or(Refused)?;
            return self.judge(line, false);
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

    fn judge(&mut self, line: &[u8], cut: bool) -> Result<(), Refused> {
        self.place = match self.place {
            Place::Request if line.is_empty() => Place::Request,
            Place::Request => {
                (self.length, self.chunked) = (None, false);
                Place::Field
            }
            Place::Field if line.is_empty() => self.body()?,
            Place::Field => return self.field(line, cut),
            Place::ChunkSize => {
                chunk_size(line).map_or(Place::Lost, |n| if n == 0 { Place::Trailer } else { Place::Chunk(n) })
            }
            Place::ChunkEnd if line.is_empty() => Place::ChunkSize,
            Place::Trailer if line.is_empty() => Place::Request,
            Place::Trailer => Place::Trailer,
            Place::ChunkEnd | Place::Body(_) | Place::Chunk(_) | Place::Lost => Place::Lost,
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

    fn field(&mut self, line: &[u8], cut: bool) -> Result<(), Refused> {
        if is_named(line, b"transfer-encoding") {
            // A second one, or another coding than `chunked`: `admit` sees that, and closes.
            self.chunked = true;
        } else if is_named(line, b"content-length") {
            let value = line[b"content-length:".len()..].trim_ascii();
            let length = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
            if self.length.is_some() || cut {
                return Err(Refused);
            }
            self.length = Some(length.ok_or(Refused)?);
        }
        Ok(())
    }
}

impl Part {
    fn keep(&mut self, piece: &[u8]) {
        self.begun = true;
        let room = BEGINNING - self.beginning.len();
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

/// The size in a chunk's first line; extensions don't matter (RFC 9112 §7.1.1).
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|b| matches!(b, b';' | b' ' | b'\t')).next()?;
    let hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    hex.then(|| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the scanner changes these bytes when they come in pieces of `size`.
    fn refuses(bytes: &[u8], size: usize) -> bool {
        let mut scanner = Scanner::default();
        let mut seen = Vec::new();
        for piece in bytes.chunks(size) {
            let mut piece = piece.to_vec();
            scanner.scan(&mut piece);
            seen.extend(piece);
        }
        seen != bytes
    }

    const GOOD: [&str; 9] = [
        "GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x HTTP/1.1\r\nReferer: b#c\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\n#\n\n",
        "POST /x HTTP/1.1\r\nContent-Length:  0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\n\n#\n\n\r\nA\r\n0123\n56789\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\ntransfer-encoding:chunked\r\n\r\n1 \r\n\n\r\n0\r\nX-T: 1\r\nContent-Length: 1\r\n\r\n",
        "GET /x HTTP/1.1\r\nX-Content-Length: 1\r\nTransfer-Encodings: x\r\n\r\n",
        "GET /0123456789012345678901234567890123456789012345678901234567890123456789 HTTP/1.1\r\nHost: a\r\n\r\n",
    ];

    const BAD: [&str; 14] = [
        "GET /x HTTP/1.1\nHost: a\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\n\n",
        "\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "POST /x HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\nCONTENT-LENGTH: 5\r\n\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\na",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
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
        let blanks = " ".repeat(BEGINNING);
        let bytes = format!("POST /x HTTP/1.1\r\nContent-Length: {blanks}1\r\n\r\na");
        assert!(refuses(bytes.as_bytes(), 10));
        assert!(!refuses(bytes.as_bytes(), 4096), "in one piece it can be read");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_upset_it(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), size in 1usize..40) {
            refuses(&bytes, size);
            refuses(&[b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", &bytes[..]].concat(), size);
        }
    }
}
