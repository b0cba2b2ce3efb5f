//! `[[events.source]]`.

use super::bounds;
use super::origin::tls;
use super::read::no_twins;
use super::secret::{from_env, from_file};
use super::shown::{REDACTED, trust};
use super::table::{Table, Value};
use super::words::Words;
use crate::events::{Kind, Postgres, Redis, Source, Url};
use crate::units::show_duration;
use serde_json::json;
use std::time::Duration;

/// `kind`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Postgres,
    Redis,
}

const KINDS: &Words<Word> = &[("postgres", Word::Postgres), ("redis", Word::Redis)];

/// What only one kind has.
const OF_POSTGRES: [&str; 1] = ["channels"];
const OF_REDIS: [&str; 3] = ["streams", "block", "count"];

/// Reads every `[[events.source]]` of `[events]`.
pub(super) fn sources(events: &Table<'_>) -> Vec<Source> {
    let (mut sources, mut names) = (Vec::new(), Vec::new());
    for table in events.tables("source", bounds::SOURCES) {
        let place = table.place_of("name");
        if let Some(source) = source(&table) {
            names.push((place, source.name.clone()));
            sources.push(source);
        }
        table.finish();
    }
    no_twins(&names);
    sources
}

fn source(t: &Table<'_>) -> Option<Source> {
    let word = t.need("kind", "\"postgres\" or \"redis\"", |v| v.word(KINDS));
    let name = t.get("name", |v| v.parsed(name));
    let mut times =
        [Duration::from_secs(5), Duration::from_millis(250), Duration::from_secs(30), Duration::from_secs(30)];
    let keys = [
        ("connect_timeout", &bounds::CONNECT),
        ("backoff", &bounds::SOURCE_BACKOFF),
        ("max_backoff", &bounds::SOURCE_BACKOFF),
        ("keepalive", &bounds::SOURCE_KEEPALIVE),
    ];
    for ((key, bounds), time) in keys.into_iter().zip(&mut times) {
        t.set(key, time, |v| v.duration(bounds));
    }
    let [connect_timeout, backoff, max_backoff, keepalive] = times;
    if max_backoff < backoff {
        t.place_of("max_backoff").fault("is shorter than backoff");
    }
    let tls = t.table("tls").and_then(tls);
    let kind = match word {
        Some(Word::Postgres) => postgres(t),
        Some(Word::Redis) => redis(t),
        None => {
            OF_POSTGRES.iter().chain(&OF_REDIS).for_each(|key| drop(t.find(key)));
            None
        }
    };
    let url = url(t, word);
    let (url, kind) = (url?, kind?);
    let name = name.unwrap_or_else(|| kind.name().into()).into();
    Some(Source { name, url, tls, connect_timeout, backoff, max_backoff, keepalive, kind })
}

fn postgres(t: &Table<'_>) -> Option<Kind> {
    t.forbid(&OF_REDIS, "says nothing with kind = \"postgres\"");
    let channels = names(t, "channels", "the channels, such as [\"codes_changed\"]", channel)?;
    Some(Kind::Postgres(Postgres { channels }))
}

fn redis(t: &Table<'_>) -> Option<Kind> {
    t.forbid(&OF_POSTGRES, "says nothing with kind = \"redis\"; its key is streams");
    let (mut block, mut count) = (Duration::from_secs(5), 100);
    t.set("block", &mut block, |v| v.duration(&bounds::SOURCE_BLOCK));
    t.set("count", &mut count, |v| v.count(bounds::SOURCE_COUNT));
    let streams = names(t, "streams", "the keys of streams, such as [\"codes\"]", stream)?;
    Some(Kind::Redis(Redis { streams, block, count }))
}

/// At least one name, none of them twice.
fn names(
    t: &Table<'_>,
    key: &'static str,
    expected: &str,
    read: fn(&str) -> Result<String, &'static str>,
) -> Option<Vec<String>> {
    let named = t.need(key, expected, |v| match v.value.as_array() {
        Some(none) if none.is_empty() => v.wrong("at least one"),
        _ => v.list(bounds::CHANNELS, |v| v.parsed(read).map(|name| (v.at.clone(), name))),
    })?;
    no_twins(&named);
    Some(named.into_iter().map(|(_, name)| name).collect())
}

/// From the one key of these three that gives it. What was found is never repeated: it may hold a password.
fn url(t: &Table<'_>, word: Option<Word>) -> Option<Url> {
    let [plain, env, file] = ["url", "url_env", "url_file"].map(|key| t.find(key));
    let (value, text) = match (plain, env, file) {
        (Some(value), None, None) => (value.clone(), value.text()?.to_owned()),
        (None, Some(value), None) => (value.clone(), value.parsed(|name| from_env(&value, name))?),
        (None, None, Some(value)) => (value.clone(), value.parsed(|path| from_file(&value, path))?),
        (None, None, None) => {
            t.at.fault("doesn't say where it is, expected one of url, url_env and url_file");
            return None;
        }
        _ => {
            t.at.fault("says more than once where it is, expected one of url, url_env and url_file");
            return None;
        }
    };
    let url = Url::new(text.trim_end_matches(['\r', '\n']).to_owned());
    let word = word?;
    let (understood, expected) = match word {
        Word::Postgres => (
            url.postgres().is_some(),
            "expected postgres://USER:PASSWORD@HOST:5432/DATABASE, with ?sslmode=disable, prefer, require or verify-full",
        ),
        Word::Redis => {
            (url.redis().is_some(), "expected redis://HOST:6379/0, rediss://USER:PASSWORD@HOST or redis+unix:///PATH")
        }
    };
    if !understood {
        value.at.fault(format!("what was found isn't shown, as it may hold a password; {expected}"));
        return None;
    }
    warn(&value, &url, word);
    Some(url)
}

fn warn(value: &Value<'_>, url: &Url, word: Word) {
    if value.at.path().ends_with(".url") && url.has_password() {
        value.at.warn("holds a password; with url_env or url_file this file needn't be a secret");
    }
    let (in_the_clear, mend) = match word {
        Word::Postgres => {
            (url.is_postgres_in_the_clear(), "sslmode=verify-full encrypts it, and is sure whom it talks to")
        }
        Word::Redis => (url.is_redis_in_the_clear(), "rediss:// encrypts it"),
    };
    if in_the_clear {
        value.at.warn(format!("what is said to this server may cross the network in the clear; {mend}"));
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let fits = plain && (1..=64).contains(&text.len());
    fits.then(|| text.into()).ok_or("expected 1 to 64 letters, digits, \"-\", \"_\" and \".\"")
}

/// PostgreSQL cuts longer names off without a word (NAMEDATALEN).
fn channel(text: &str) -> Result<String, &'static str> {
    let fits = (1..=63).contains(&text.len()) && !text.contains('\0');
    fits.then(|| text.into()).ok_or("expected 1 to 63 bytes")
}

fn stream(text: &str) -> Result<String, &'static str> {
    (1..=512).contains(&text.len()).then(|| text.into()).ok_or("expected 1 to 512 bytes")
}

/// A source as the file writes it. Its address may hold a password, and isn't shown.
pub(super) fn shown_source(s: &Source) -> serde_json::Value {
    let mut table = json!({
        "name": &*s.name,
        "kind": s.kind.name(),
        "url": REDACTED,
        "connect_timeout": show_duration(s.connect_timeout),
        "backoff": show_duration(s.backoff),
        "max_backoff": show_duration(s.max_backoff),
        "keepalive": show_duration(s.keepalive),
    });
    match &s.kind {
        Kind::Postgres(postgres) => table["channels"] = json!(postgres.channels),
        Kind::Redis(redis) => {
            table["streams"] = json!(redis.streams);
            table["block"] = json!(show_duration(redis.block));
            table["count"] = json!(redis.count);
        }
    }
    s.tls.iter().for_each(|tls| table["tls"] = trust(tls));
    table
}
