//! Secrets as the file gives them: their digest, or where the secret itself is to be found.

use super::table::{Table, Value};
use crate::files;
use crate::secret::{Digest, digest};
use std::io::Read;
use std::path::{Path, PathBuf};

/// A secret shorter than this many bytes can be guessed.
const SHORT: usize = 16;
/// A file of a secret is read no further than this.
const LONGEST: u64 = 4096;

/// The digest of a secret, from the one key of these three that gives it: digest, environment variable, file.
pub(super) fn secret(table: &Table<'_>, keys: [&'static str; 3]) -> Option<Digest> {
    let [digest, env, file] = keys.map(|key| table.find(key));
    let expected = format!("expected one of {}, {} and {}", keys[0], keys[1], keys[2]);
    match (&digest, &env, &file) {
        // What was found isn't repeated: it may be the secret itself, put in the wrong place.
        (Some(value), None, None) => hex_digest(value.text()?).map_err(|expected| value.at.fault(expected)).ok(),
        (None, Some(value), None) => secret_of(value, value.parsed(|name| from_env(value, name))?),
        (None, None, Some(value)) => secret_of(value, value.parsed(|path| from_file(value, path))?),
        (None, None, None) => {
            table.at.fault(format!("has no secret, {expected}"));
            None
        }
        _ => {
            table.at.fault(format!("has more than one secret, {expected}"));
            None
        }
    }
}

fn hex_digest(text: &str) -> Result<Digest, &'static str> {
    const EXPECTED: &str = "expected 64 hexadecimal digits, as `freshgate hash-token` prints them";
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    if text.len() != 64 || digits.len() != 64 {
        return Err(EXPECTED);
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Ok(digest)
}

pub(super) fn from_env(value: &Value<'_>, name: &str) -> Result<String, &'static str> {
    (value.at.reader.around.env)(name).ok_or("there is no such environment variable")
}

/// A path of the configuration; a relative one begins at its folder.
pub(super) fn beside(value: &Value<'_>, path: &str) -> PathBuf {
    Path::new(value.at.reader.file()).parent().unwrap_or(Path::new("")).join(path)
}

/// Reads a file; a relative path begins at the folder of the configuration.
pub(super) fn from_file(value: &Value<'_>, path: &str) -> Result<String, String> {
    let path = beside(value, path);
    let read = || {
        let mut text = String::new();
        files::open(&path)?.take(LONGEST + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|e: std::io::Error| format!("can't be read: {e}"))?;
    if text.len() as u64 > LONGEST {
        return Err(format!("a secret has at most {LONGEST} bytes"));
    }
    Ok(text)
}

/// The digest of a secret; the line end that editors put after it isn't part of it.
fn secret_of(value: &Value<'_>, secret: String) -> Option<Digest> {
    let secret = secret.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        value.at.fault("the secret is empty");
        return None;
    }
    if secret.len() < SHORT {
        value.at.warn(format!("the secret has fewer than {SHORT} bytes; it can be guessed"));
    }
    Some(digest(secret.as_bytes()))
}
