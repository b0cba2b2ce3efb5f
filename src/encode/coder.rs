//! The three codecs behind one door: bytes go in, encoded bytes come out, now or when they are asked for.

use crate::rfc9110::accept_encoding::Coding;
use async_compression::Level;
use async_compression::brotli::EncoderParams;
use async_compression::codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZstdEncoder};
use async_compression::core::util::{PartialBuffer, WriteBuffer};
use std::io;

/// Levels: about where a little more is dearly bought, for contents that are encoded on the way.
const GZIP: i32 = 6;
const BROTLI: i32 = 5;
const ZSTD: i32 = 3;
/// The logarithm of Brotli's window: 512 KiB; the usual 4 MiB would be taken for every answer on its way.
const BROTLI_WINDOW: i32 = 19;
/// Bytes of output at a time.
const PIECE: usize = 8 << 10;

/// One content on its way through a codec.
pub(super) struct Coder {
    codec: Box<dyn EncodeV2 + Send>,
    piece: Box<[u8]>,
}

impl Coder {
    pub(super) fn new(coding: Coding) -> Self {
        let codec: Box<dyn EncodeV2 + Send> = match coding {
            Coding::Gzip => Box::new(GzipEncoder::new(Level::Precise(GZIP).into())),
            Coding::Brotli => {
                let params = EncoderParams::default().quality(Level::Precise(BROTLI)).window_size(BROTLI_WINDOW);
                Box::new(BrotliEncoder::new(params))
            }
            Coding::Zstd => Box::new(ZstdEncoder::new(ZSTD)),
        };
        Coder { codec, piece: vec![0; PIECE].into() }
    }

    /// Takes all of `input`; what comes out of it so far is added to `out`.
    pub(super) fn encode(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let mut input = PartialBuffer::new(input);
        self.run(out, |codec, piece| {
            codec.encode(&mut input, piece)?;
            Ok(input.unwritten().is_empty())
        })
    }

    /// Adds all that the input so far comes to.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.run(out, |codec, piece| codec.flush(piece))
    }

    /// Adds the end.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.run(out, |codec, piece| codec.finish(piece))
    }

    /// Takes `step` until it says that it is done.
    fn run(
        &mut self,
        out: &mut Vec<u8>,
        mut step: impl FnMut(&mut dyn EncodeV2, &mut WriteBuffer<'_>) -> io::Result<bool>,
    ) -> io::Result<()> {
        loop {
            let mut piece = WriteBuffer::new_initialized(&mut self.piece);
            let done = step(&mut *self.codec, &mut piece)?;
            out.extend_from_slice(piece.written());
            if done {
                return Ok(());
            }
        }
    }
}

/// A whole content encoded; `None` where that makes it no smaller.
pub fn whole(content: &[u8], coding: Coding) -> Option<Vec<u8>> {
    let (mut coder, mut out) = (Coder::new(coding), Vec::new());
    let done = coder.encode(content, &mut out).and_then(|()| coder.finish(&mut out));
    if let Err(error) = &done {
        tracing::error!(%error, coding = coding.name(), "a content couldn't be encoded");
    }
    out.shrink_to_fit();
    Some(out).filter(|out| done.is_ok() && out.len() < content.len())
}
