//! The file: a head, records, and an end that says how many there were.
//!
//! ```text
//! magic · version of the format · version of the program · checksum of these
//! length of a record (not 0) · record · checksum of both        as often as there are entries
//! 0 · number of records · checksum of that and of all checksums
//! ```
//!
//! Every byte stands under a checksum, so a file that was torn anywhere, or in which a bit has changed, is known as such. Which records
//! there are, and in what order, is under the last one. A file that is longer than its end is wrong as well. A length is
//! first compared with what is left of the file: what it says is never taken as memory or time without that.
//!
//! The checksum (CRC-32) is against accidents, not against who may write to the file: it is made with mode 0600.

use crc32fast::Hasher;
use std::fmt;
use std::io::{self, Read, Write};

const MAGIC: &[u8; 18] = b"freshgate snapshot";
/// Goes up with every change of what follows, of the records, or of how keys are made.
const FORMAT: u32 = 1;
const PROGRAM: &str = env!("CARGO_PKG_VERSION");
/// Bytes that are read at a time where they are only checked.
const PIECE: usize = 64 << 10;

/// Why a file can't be used.
#[derive(Debug)]
pub enum Wrong {
    /// It is something else.
    Foreign,
    /// It is no file, but a folder or a device.
    NoFile,
    /// Another format.
    Format(u32),
    /// Another version of the program has written it.
    Program(String),
    /// It ends before its end.
    Torn,
    /// A checksum doesn't fit: the head's, or that of the record with this number, or the last.
    Damaged(&'static str, u64),
    /// A record doesn't say what an entry is.
    Unreadable(u64),
    /// There is more behind its end.
    TooLong,
    /// It can't be read.
    Io(io::Error),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Foreign => f.write_str("it is not a snapshot"),
            Wrong::NoFile => f.write_str("it is not a file"),
            Wrong::Format(found) => write!(f, "it has format {found}, this version reads {FORMAT}"),
            Wrong::Program(found) => write!(f, "version {found} has written it, this is {PROGRAM}"),
            Wrong::Torn => f.write_str("it is torn: its end is missing"),
            Wrong::Damaged(what, number) => write!(f, "it is damaged: the checksum of {what} {number} doesn't fit"),
            Wrong::Unreadable(number) => write!(f, "record {number} can't be read"),
            Wrong::TooLong => f.write_str("there is something behind its end"),
            Wrong::Io(error) => write!(f, "{error}"),
        }
    }
}

/// Writes a file.
pub(super) struct Writer<W> {
    inner: W,
    count: u64,
    all: Hasher,
}

impl<W: Write> Writer<W> {
    /// Begins with the head.
    pub(super) fn new(mut inner: W) -> io::Result<Self> {
        let head = head();
        inner.write_all(&head)?;
        inner.write_all(&crc32fast::hash(&head).to_le_bytes())?;
        Ok(Writer { inner, count: 0, all: Hasher::new() })
    }

    /// One record, made of two pieces. One that is too long for a length is not written; returns whether it was.
    pub(super) fn record(&mut self, head: &[u8], body: &[u8]) -> io::Result<bool> {
        let Ok(length) = u32::try_from(head.len() + body.len()) else { return Ok(false) };
        let length = length.to_le_bytes();
        let sum = sum(&[&length, head, body]).to_le_bytes();
        for piece in [&length[..], head, body, &sum] {
            self.inner.write_all(piece)?;
        }
        self.all.update(&sum);
        self.count += 1;
        Ok(true)
    }

    /// The end.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let count = self.count.to_le_bytes();
        self.all.update(&count);
        self.inner.write_all(&0u32.to_le_bytes())?;
        self.inner.write_all(&count)?;
        self.inner.write_all(&self.all.finalize().to_le_bytes())?;
        Ok(self.inner)
    }
}

fn head() -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&FORMAT.to_le_bytes());
    head.extend_from_slice(&u32::try_from(PROGRAM.len()).unwrap_or(0).to_le_bytes());
    head.extend_from_slice(PROGRAM.as_bytes());
    head
}

fn sum(pieces: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new();
    pieces.iter().for_each(|piece| hasher.update(piece));
    hasher.finalize()
}

/// What is asked of a record.
#[derive(Debug, PartialEq)]
pub(super) enum Record {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// It is longer than was asked for, and sound.
    TooLong,
}

/// Reads a file.
pub(super) struct Reader<R> {
    inner: R,
    /// Bytes that are left.
    left: u64,
    count: u64,
    all: Hasher,
}

impl<R: Read> Reader<R> {
    /// Reads the head; `length` is that of the whole file.
    pub(super) fn new(inner: R, length: u64) -> Result<Self, Wrong> {
        let mut reader = Reader { inner, left: length, count: 0, all: Hasher::new() };
        let magic = reader.array::<{ MAGIC.len() }>();
        let magic = magic.map_err(|wrong| if matches!(wrong, Wrong::Torn) { Wrong::Foreign } else { wrong })?;
        if magic != *MAGIC {
            return Err(Wrong::Foreign);
        }
        let (format, length) = (reader.array::<4>()?, reader.array::<4>()?);
        if u32::from_le_bytes(length) > 64 {
            return Err(Wrong::Damaged("the head", 0));
        }
        let mut program = Vec::new();
        reader.take(u32::from_le_bytes(length), |piece| program.extend_from_slice(piece))?;
        if reader.array()? != sum(&[&magic, &format, &length, &program]).to_le_bytes() {
            return Err(Wrong::Damaged("the head", 0));
        }
        if u32::from_le_bytes(format) != FORMAT {
            return Err(Wrong::Format(u32::from_le_bytes(format)));
        }
        if program != PROGRAM.as_bytes() {
            return Err(Wrong::Program(String::from_utf8_lossy(&program).into_owned()));
        }
        Ok(reader)
    }

    /// The next record, in memory if it has at most `most` bytes; `None` at a sound end.
    pub(super) fn next(&mut self, most: usize) -> Result<Option<Record>, Wrong> {
        let length = self.array::<4>()?;
        if length == [0; 4] {
            return self.end().map(|()| None);
        }
        let (mut hasher, size) = (Hasher::new(), u32::from_le_bytes(length));
        if u64::from(size) > self.left {
            return Err(Wrong::Torn);
        }
        let mut bytes = (size as usize <= most).then(|| Vec::with_capacity(size as usize));
        hasher.update(&length);
        self.take(size, |piece| {
            hasher.update(piece);
            if let Some(bytes) = &mut bytes {
                bytes.extend_from_slice(piece);
            }
        })?;
        let sum = self.array::<4>()?;
        if sum != hasher.finalize().to_le_bytes() {
            return Err(Wrong::Damaged("record", self.count));
        }
        self.all.update(&sum);
        self.count += 1;
        Ok(Some(bytes.map_or(Record::TooLong, Record::Bytes)))
    }

    /// How many records have been read.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Records that were read.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    fn end(&mut self) -> Result<(), Wrong> {
        let count = self.array::<8>()?;
        let sum = self.array::<4>()?;
        self.all.update(&count);
        if count != self.count.to_le_bytes() || sum != self.all.clone().finalize().to_le_bytes() {
            return Err(Wrong::Damaged("the end after record", self.count));
        }
        if self.left > 0 { Err(Wrong::TooLong) } else { Ok(()) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn take(&mut self, mut length: u32, mut each: impl FnMut(&[u8])) -> Result<(), Wrong> {
        let mut piece = [0; PIECE];
        while length > 0 {
            let now = PIECE.min(length as usize);
            self.fill(&mut piece[..now])?;
            each(&piece[..now]);
            length -= now as u32;
        }
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Wrong> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(Wrong::Torn)?;
        let torn = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
        self.inner.read_exact(bytes).map_err(|error| if torn(&error) { Wrong::Torn } else { Wrong::Io(error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(records: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        for record in records {
            assert!(writer.record(&record[..record.len() / 2], &record[record.len() / 2..]).unwrap());
        }
        writer.finish().unwrap()
    }

    fn read(file: &[u8], most: usize) -> Result<Vec<Record>, Wrong> {
        let mut reader = Reader::new(file, file.len() as u64)?;
        std::iter::from_fn(|| reader.next(most).transpose()).collect()
    }

    fn records() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..6)
    }

    #[test]
    fn torn_at_any_byte_it_is_wrong() {
        let whole = file(&[b"one".to_vec(), vec![7; 3 * PIECE / 2], b"three".to_vec()]);
        assert!(read(&whole, 1 << 20).is_ok());
        for length in (0..whole.len()).filter(|n| n % 97 == 0 || *n < 100 || *n + 100 > whole.len()) {
            assert!(read(&whole[..length], 1 << 20).is_err(), "{length}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let of = |bytes: &[u8]| read(bytes, 9).unwrap_err().to_string();
        let whole = file(&[b"one".to_vec()]);
        let with = |at: usize, bytes: &[u8]| {
            let mut other = whole.clone();
            other[at..at + bytes.len()].copy_from_slice(bytes);
            let end = MAGIC.len() + 8 + PROGRAM.len();
            let sum = crc32fast::hash(&other[..end]).to_le_bytes();
            other[end..end + 4].copy_from_slice(&sum);
            other
        };
        assert_eq!(of(b""), "it is not a snapshot");
        assert_eq!(of(b"#!/bin/sh\nrm -rf everything"), "it is not a snapshot");
        assert_eq!(of(&with(MAGIC.len(), &[9])), "it has format 9, this version reads 1");
        let other = of(&with(MAGIC.len() + 8, b"9.9.9"));
        assert_eq!(other, format!("version 9.9.9 has written it, this is {PROGRAM}"));
        assert_eq!(of(&[&whole[..], b"x"].concat()), "there is something behind its end");
        assert_eq!(of(&whole[..whole.len() - 1]), "it is torn: its end is missing");
    }

    #[test]
    fn no_length_is_believed() {
        let mut whole = file(&[]);
        whole.truncate(whole.len() - 16);
        whole.extend_from_slice(&(u32::MAX - 1).to_le_bytes());
        whole.extend_from_slice(&[0; 64]);
        assert!(matches!(read(&whole, usize::MAX), Err(Wrong::Torn)), "4 GiB of 64 bytes");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(records in records()) {
            let read = read(&file(&records), 100).unwrap();
            let expected = |record: Vec<u8>| if record.len() <= 100 { Record::Bytes(record) } else { Record::TooLong };
            prop_assert_eq!(read, records.into_iter().map(expected).collect::<Vec<_>>());
        }

        #[test]
        fn a_changed_bit_is_seen(records in records(), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = file(&records);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(read(&bytes, 100).is_err());
        }

        #[test]
        fn anything_else_is_wrong(bytes: Vec<u8>) {
            prop_assert!(read(&bytes, 100).is_err());
        }
    }
}
