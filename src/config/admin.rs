//! `[admin]`, `[[admin.tokens]]`.

use super::bounds;
use super::read::no_twins;
use super::server::{Bound, address};
use super::table::{Table, Value};
use super::words::ROLE;
use crate::admin::{Settings, Token};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;

/// A secret shorter than this many bytes can be guessed.
const SHORT_SECRET: usize = 16;
/// A file of a secret is read no further than this.
const LONGEST_SECRET: u64 = 4096;

/// Reads `[admin]`; its addresses are added to `bound`. Without the section there is no admin API.
pub(super) fn admin<'a>(root: &Table<'a>, bound: &mut Vec<Bound<'a>>) -> Settings {
    let mut settings = Settings { listen: None, probe_listen: None, metrics_public: false, tokens: Vec::new() };
    let Some(table) = root.table("admin") else { return settings };
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 9090));
    table.set("listen", &mut listen, address);
    settings.listen = Some(listen);
    bound.push((table.place_of("listen"), listen));
    let insecure = table.get("insecure", Value::bool).unwrap_or(false);
    if !insecure && !listen.ip().is_loopback() {
        let reason = "tokens would cross the network unencrypted";
        table.place_of("listen").fault(format!(
            "found {listen}, expected a loopback address such as 127.0.0.1:9090: {reason}; `insecure = true` allows it"
        ));
    }
    if let Some(probe) = table.get("probe_listen", address) {
        bound.push((table.place_of("probe_listen"), probe));
        settings.probe_listen = Some(probe);
    }
    table.set("metrics_public", &mut settings.metrics_public, Value::bool);
    settings.tokens = tokens(&table);
    table.finish();
    settings
}

fn tokens(admin: &Table<'_>) -> Vec<Token> {
    let tables = admin.tables("tokens", bounds::TOKENS);
    if tables.is_empty() {
        admin.at.warn("no tokens: only health answers, everything else is refused");
    }
    let mut names = Vec::new();
    let mut tokens = Vec::new();
    for table in tables {
        let name = table.need("name", "a name such as \"ops\"", |v| v.parsed(token_name));
        names.extend(name.clone().map(|name| (table.place_of("name"), name)));
        let role = table.need("role", "\"viewer\", \"operator\" or \"administrator\"", |v| v.word(ROLE));
        let sha256 = secret(&table);
        table.finish();
        if let (Some(name), Some(role), Some(sha256)) = (name, role, sha256) {
            tokens.push(Token { name, role, sha256 });
        }
    }
    no_twins(&names);
    tokens
}

fn token_name(text: &str) -> Result<String, &'static str> {
    let plain = text.chars().all(|c| !c.is_control());
    let fits = plain && (1..=64).contains(&text.chars().count());
    fits.then(|| text.into()).ok_or("expected 1 to 64 characters")
}

/// The digest of a token's secret, from the one key of three that gives it.
fn secret(table: &Table<'_>) -> Option<[u8; 32]> {
    let digest = table.find("sha256");
    let env = table.find("token_env");
    let file = table.find("token_file");
    match (&digest, &env, &file) {
        // What was found isn't repeated: it may be the secret itself, put in the wrong place.
        (Some(value), None, None) => hex_digest(value.text()?).map_err(|expected| value.at.fault(expected)).ok(),
        (None, Some(value), None) => secret_of(value, value.parsed(|name| from_env(value, name))?),
        (None, None, Some(value)) => secret_of(value, value.parsed(|path| from_file(value, path))?),
        (None, None, None) => {
            table.at.fault("has no secret, expected one of sha256, token_env and token_file");
            None
        }
        _ => {
            table.at.fault("has more than one secret, expected one of sha256, token_env and token_file");
            None
        }
    }
}

fn hex_digest(text: &str) -> Result<[u8; 32], &'static str> {
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

fn from_env(value: &Value<'_>, name: &str) -> Result<String, &'static str> {
    (value.at.reader.around.env)(name).ok_or("there is no such environment variable")
}

/// Reads a file; a relative path begins at the folder of the configuration.
fn from_file(value: &Value<'_>, path: &str) -> Result<String, String> {
    let folder = Path::new(value.at.reader.file()).parent().unwrap_or(Path::new(""));
    let read = || {
        let mut text = String::new();
        std::fs::File::open(folder.join(path))?.take(LONGEST_SECRET + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|e: std::io::Error| format!("can't be read: {e}"))?;
    if text.len() as u64 > LONGEST_SECRET {
        return Err(format!("a secret has at most {LONGEST_SECRET} bytes"));
    }
    Ok(text)
}

/// The digest of a secret; the line end that editors put after it isn't part of it.
fn secret_of(value: &Value<'_>, secret: String) -> Option<[u8; 32]> {
    let secret = secret.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        value.at.fault("the secret is empty");
        return None;
    }
    if secret.len() < SHORT_SECRET {
        value.at.warn(format!("the secret has fewer than {SHORT_SECRET} bytes; it can be guessed"));
    }
    Some(Sha256::digest(secret.as_bytes()).into())
}
