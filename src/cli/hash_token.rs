//! `freshgate hash-token`: a secret in, what goes into the file out.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::{self, Read, Write};

/// The longest secret, in bytes; a field of a request can't carry more.
const LONGEST: u64 = 32 << 10;

/// Reads a secret on standard input and prints the SHA-256 to put in the file.
///
/// One line end at its end isn't part of the secret. Nothing is echoed.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// Reads the secret from `input` and writes its digest, in hexadecimal, and a line end to `out`; faults go to `err`.
/// Gives the exit code: 0, or 2 when there is no usable secret.
pub fn run(_: &Args, input: impl Read, mut out: impl Write, mut err: impl Write) -> u8 {
    match digest(input).and_then(|hex| writeln!(out, "{hex}").map_err(Fault::Broken)) {
        Ok(()) => 0,
        Err(fault) => {
            let said = match fault {
                Fault::Empty => "the secret on standard input is empty".to_owned(),
                Fault::TooLong => format!("the secret on standard input is longer than {LONGEST} bytes"),
                Fault::Broken(error) => format!("standard input or output failed: {error}"),
            };
            drop(writeln!(err, "freshgate hash-token: {said}"));
            2
        }
    }
}

enum Fault {
    Empty,
    TooLong,
    Broken(io::Error),
}

fn digest(input: impl Read) -> Result<String, Fault> {
    let mut secret = Vec::new();
    input.take(LONGEST + 3).read_to_end(&mut secret).map_err(Fault::Broken)?;
    let bare = secret.strip_suffix(b"\n").map_or(&*secret, |line| line.strip_suffix(b"\r").unwrap_or(line));
    if bare.is_empty() {
        return Err(Fault::Empty);
    }
    if bare.len() as u64 > LONGEST {
        return Err(Fault::TooLong);
    }
    Ok(Sha256::digest(bare).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(secret: &[u8]) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&Args {}, secret, &mut out, &mut err);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn the_digest_is_of_the_secret_without_its_line_end() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
        for secret in [&b"abc"[..], b"abc\n", b"abc\r\n"] {
            assert_eq!(hashed(secret), (0, abc.into(), String::new()));
        }
        assert_ne!(hashed(b"abc\n\n").1, abc);
        assert_ne!(hashed(b" abc").1, abc);
    }

    #[test]
    fn no_secret_and_too_long_a_one_are_refused() {
        for secret in [&b""[..], b"\n", b"\r\n"] {
            let (code, out, err) = hashed(secret);
            assert_eq!((code, &*out), (2, ""));
            assert!(err.contains("empty"), "{err}");
        }
        assert_eq!(hashed(&vec![b'x'; 32 << 10]).0, 0);
        let (code, out, err) = hashed(&vec![b'x'; (32 << 10) + 1]);
        assert_eq!((code, &*out), (2, ""));
        assert!(err.contains("longer than 32768 bytes"), "{err}");
    }
}
