//! The line that each request leaves.
//!
//! Paths, names and agents are strangers' words. What could end a line, end a string or drive a terminal is escaped: in
//! JSON as `\u001b`, elsewhere as Apache does it, `\x1b`. Each is cut at [`LONGEST`] characters. Of a request's fields
//! only the user agent and the referer are ever here; credentials and cookies are not even in a [`Record`].

use super::record::Record;
use super::settings::{Format, Settings};
use super::{redact, timestamp};
use crate::clock::Now;
use http::{HeaderValue, StatusCode, Version};
use std::cell::{Cell, RefCell};
use std::fmt::Write;

/// Characters of any one text in a line.
const LONGEST: usize = 2_048;

/// How lines look, and who gets one.
#[derive(Debug)]
pub(super) struct Access {
    format: Format,
    on: bool,
    /// A request whose draw is below this gets a line; `None` for every one.
    below: Option<u64>,
    redact: Vec<String>,
}

impl Access {
    pub(super) fn new(settings: &Settings) -> Access {
        let below = (settings.sample < 1.0).then_some((settings.sample * u64::MAX as f64) as u64);
        Access { format: settings.format, on: settings.access, below, redact: settings.redact_query.clone() }
    }

    /// Whether an answer of `status` gets a line: server errors always do, where there are lines at all.
    pub(super) fn wanted(&self, status: StatusCode) -> bool {
        self.on && (status.is_server_error() || self.below.is_none_or(|below| draw() < below))
    }

    /// Builds the line of `record`, in memory that the thread keeps, and hands it to `write`.
    pub(super) fn line(&self, record: &Record, now: Now, write: impl FnOnce(&[u8])) {
        thread_local!(static SCRATCH: RefCell<(String, String)> = const { RefCell::new((String::new(), String::new())) });
        SCRATCH.with_borrow_mut(|(line, text)| {
            line.clear();
            let mut page = Page { line, text, redact: &self.redact };
            match self.format {
                Format::Json => page.json(record, now),
                Format::Combined => page.combined(record, now),
                Format::Pretty => page.pretty(record, now),
            }
            write(line.as_bytes());
        });
    }
}

/// A draw between 0 and `u64::MAX` (splitmix64): each thread has its own row, so drawing costs no shared memory.
fn draw() -> u64 {
    thread_local!(static STATE: Cell<u64> = const { Cell::new(0) });
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A line being written. Writing to a `String` can't fail, so results of `write!` are dropped.
struct Page<'a> {
    line: &'a mut String,
    /// For texts that are changed before they are escaped.
    text: &'a mut String,
    redact: &'a [String],
}

impl Page<'_> {
    fn json(&mut self, record: &Record, now: Now) {
        let outcome = &record.outcome;
        let _ = write!(self.line, r#"{{"ts":"{}","method":""#, timestamp::rfc3339(now.unix));
        escape_json(record.method.as_str().as_bytes(), self.line);
        self.line.push('"');
        self.member("host", record.host.as_ref().map(|host| redact::host(host.as_bytes())));
        self.member("path", record.target.as_ref().map(|target| target.path().as_bytes()));
        if let Some(query) = record.target.as_ref().and_then(|target| target.query()) {
            self.text.clear();
            redact::query(query, self.redact, self.text);
            self.line.push_str(r#","query":""#);
            escape_json(self.text.as_bytes(), self.line);
            self.line.push('"');
        }
        let (status, bytes, ms) = (record.status.as_u16(), record.bytes_out, record.took.as_secs_f64() * 1e3);
        let _ = write!(self.line, r#","status":{status},"bytes":{bytes},"ms":{ms:.3}"#);
        self.member("api", outcome.api.as_deref().map(str::as_bytes));
        self.member("user", outcome.user.as_deref().map(str::as_bytes));
        self.member("outcome", Some(outcome.kind.name().as_bytes()));
        self.member("reason", outcome.reason.map(str::as_bytes));
        if let Some(ms) = outcome.origin_ms {
            let _ = write!(self.line, r#","origin_ms":{ms}"#);
        }
        if let Some(trace) = &record.trace {
            let _ = write!(self.line, r#","trace":"{:032x}""#, trace.own().trace);
        }
        let (stored, version) = (outcome.stored, version(record.version));
        let _ = write!(self.line, r#","stored":{stored},"peer":"{}","version":"{version}"}}"#, record.peer);
    }

    /// `,"name":"value"`, or nothing.
    fn member(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            let _ = write!(self.line, r#","{name}":""#);
            escape_json(value, self.line);
            self.line.push('"');
        }
    }

    fn combined(&mut self, record: &Record, now: Now) {
        let _ = write!(self.line, "{} - ", record.peer.ip());
        match record.outcome.user.as_deref() {
            Some(user) => escape_word(user.as_bytes(), self.line),
            None => self.line.push('-'),
        }
        let _ = write!(self.line, r#" [{}] ""#, timestamp::common(now.unix));
        escape_text(record.method.as_str().as_bytes(), self.line);
        self.line.push(' ');
        self.target(record);
        let _ = write!(self.line, r#" {}" {} "#, version(record.version), record.status.as_u16());
        match record.bytes_out {
            0 => self.line.push('-'),
            bytes => drop(write!(self.line, "{bytes}")),
        }
        self.text.clear();
        if let Some(referer) = &record.referer {
            redact::referer(&String::from_utf8_lossy(referer.as_bytes()), self.redact, self.text);
        }
        let agent = record.user_agent.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        for field in [self.text.as_bytes(), agent] {
            self.line.push_str(" \"");
            escape_text(if field.is_empty() { b"-" } else { field }, self.line);
            self.line.push('"');
        }
    }

    fn pretty(&mut self, record: &Record, now: Now) {
        let outcome = &record.outcome;
        let (status, ms) = (record.status.as_u16(), record.took.as_secs_f64() * 1e3);
        let _ = write!(self.line, "{} {status} {:<11} ", timestamp::rfc3339(now.unix), outcome.kind.name());
        let _ = write!(self.line, "{ms:>9.3} ms {:>9} B  ", record.bytes_out);
        escape_text(record.method.as_str().as_bytes(), self.line);
        self.line.push(' ');
        escape_text(record.host.as_ref().map_or(&b""[..], |host| redact::host(host.as_bytes())), self.line);
        self.target(record);
        if let Some(reason) = outcome.reason {
            let _ = write!(self.line, "  ({reason})");
        }
    }

    /// Path and query, redacted and escaped; `-` where there is none.
    fn target(&mut self, record: &Record) {
        self.text.clear();
        self.text.push_str(record.target.as_ref().map_or("-", |target| target.path()));
        if let Some(query) = record.target.as_ref().and_then(|target| target.query()) {
            self.text.push('?');
            redact::query(query, self.redact, self.text);
        }
        escape_text(self.text.as_bytes(), self.line);
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/?",
    }
}

/// Appends what stands between the quotes of a JSON string. Bytes that aren't UTF-8 become U+FFFD.
fn escape_json(text: &[u8], out: &mut String) {
    let text = String::from_utf8_lossy(text);
    for c in text.chars().take(LONGEST) {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    mark_cut(text.chars().nth(LONGEST).is_some(), out);
}

/// Appends `text` as Apache's logs have it: quotes and backslashes escaped, all but printable ASCII as `\xhh`.
fn escape_text(text: &[u8], out: &mut String) {
    for byte in text.iter().take(LONGEST) {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(*byte)),
            byte => drop(write!(out, "\\x{byte:02x}")),
        }
    }
    mark_cut(text.len() > LONGEST, out);
}

/// The same where no quotes stand around it: a blank would begin the next column.
fn escape_word(text: &[u8], out: &mut String) {
    let from = out.len();
    escape_text(text, out);
    if out[from..].contains(' ') {
        let word = out[from..].replace(' ', "\\x20");
        out.replace_range(from.., &word);
    }
}

fn mark_cut(cut: bool, out: &mut String) {
    if cut {
        out.push_str("...");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{Kind, Outcome};
    use http::Method;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn record() -> Record {
        Record {
            outcome: Outcome {
                api: Some("bookstore/v1".into()),
                user: Some("alice".into()),
                kind: Kind::Miss,
                reason: Some("not-stored"),
                origin_ms: Some(7),
                stored: true,
                invalidated: false,
            },
            method: Method::GET,
            host: Some(HeaderValue::from_static("api.example.org")),
            target: Some("/books/7?token=hush&page=2".parse().unwrap()),
            version: Version::HTTP_11,
            status: StatusCode::OK,
            peer: "192.0.2.7:4321".parse().unwrap(),
            bytes_out: 512,
            took: Duration::from_micros(8_250),
            user_agent: Some(HeaderValue::from_static("curl/8")),
            referer: Some(HeaderValue::from_static("https://u:p@example.org/a?key=hush")),
            trace: None,
        }
    }

    fn line(format: Format, record: &Record) -> String {
        let access = Access::new(&Settings { format, ..Settings::default() });
        let mut written = Vec::new();
        access.line(record, Now { mono: 0, unix: 1_795_314_859_005 }, |line| written.extend_from_slice(line));
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn json_has_every_member() {
        let line: Value = serde_json::from_str(&line(Format::Json, &record())).unwrap();
        let expected = json!({
            "ts": "2026-11-22T02:34:19.005Z", "method": "GET", "host": "api.example.org", "path": "/books/7",
            "query": "token=***&page=2", "status": 200, "bytes": 512, "ms": 8.25, "api": "bookstore/v1",
            "user": "alice", "outcome": "miss", "reason": "not-stored", "origin_ms": 7, "stored": true, "peer": "192.0.2.7:4321",
            "version": "HTTP/1.1",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn json_names_the_trace_where_there_is_one() {
        let mut fields = http::HeaderMap::new();
        let context = HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        fields.insert("traceparent", context);
        let (tracer, _spans) = crate::trace::Tracer::new(1.0, 1, crate::clock::Clock::system());
        let traced = Record { trace: Some(tracer.begin(&fields, false, Duration::ZERO)), ..record() };
        let line: Value = serde_json::from_str(&line(Format::Json, &traced)).unwrap();
        assert_eq!(line["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn combined_is_apaches() {
        assert_eq!(
            line(Format::Combined, &record()),
            r#"192.0.2.7 - alice [22/Nov/2026:02:34:19 +0000] "GET /books/7?token=***&page=2 HTTP/1.1" 200 512 "https://example.org/a?key=***" "curl/8""#
        );
        let bare = Record { target: None, bytes_out: 0, user_agent: None, referer: None, ..record() };
        let nobody = Outcome { user: None, ..bare.outcome.clone() };
        let bare = Record { outcome: nobody, ..bare };
        assert!(line(Format::Combined, &bare).starts_with("192.0.2.7 - - [22"));
        assert!(line(Format::Combined, &bare).ends_with(r#""GET - HTTP/1.1" 200 - "-" "-""#));
    }

    #[test]
    fn pretty_shows_what_a_person_wants() {
        let line = line(Format::Pretty, &record());
        assert!(line.starts_with("2026-11-22T02:34:19.005Z 200 miss "), "{line}");
        assert!(line.ends_with("GET api.example.org/books/7?token=***&page=2  (not-stored)"), "{line}");
    }

    #[test]
    fn strangers_words_stay_inside_their_string() {
        let nasty = HeaderValue::from_bytes(b"a\"b\\c\td\x80\xc2\x9be").unwrap();
        let record = Record {
            method: Method::from_bytes(b"G|T").unwrap(),
            host: Some(nasty.clone()),
            user_agent: Some(nasty),
            target: Some("/a%0a%1b[2J?q=%22".parse().unwrap()),
            outcome: Outcome { user: Some("a [b]\"\n\u{9b}".into()), ..record().outcome },
            ..record()
        };
        let combined = line(Format::Combined, &record);
        assert!(combined.starts_with(r#"192.0.2.7 - a\x20[b]\"\x0a\xc2\x9b ["#), "{combined}");
        assert!(combined.ends_with(r#" "a\"b\\c\x09d\x80\xc2\x9be""#), "{combined}");
        assert!(combined.contains(r#""G|T /a%0a%1b[2J?q=%22 HTTP/1.1""#), "{combined}");
        let json = line(Format::Json, &record);
        assert!(json.contains(r#""host":"a\"b\\c\u0009d"#) && json.contains(r"\u009be"), "{json}");
        assert!(!json.chars().chain(combined.chars()).any(char::is_control));
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["host"], "a\"b\\c\td\u{fffd}\u{9b}e");
    }

    #[test]
    fn a_long_text_is_cut() {
        let long = format!("/{}", "a".repeat(LONGEST * 2)).parse().unwrap();
        let record = Record { target: Some(long), ..record() };
        for format in [Format::Json, Format::Combined, Format::Pretty] {
            let line = line(format, &record);
            assert!(line.len() < LONGEST + 500 && line.contains("aaa..."), "{}", line.len());
        }
    }

    #[test]
    fn sampling_keeps_its_share_and_every_server_error() {
        let kept = |sample, status| {
            let access = Access::new(&Settings { sample, ..Settings::default() });
            (0..10_000).filter(|_| access.wanted(status)).count()
        };
        assert_eq!(kept(1.0, StatusCode::OK), 10_000);
        assert_eq!(kept(0.0, StatusCode::OK), 0);
        assert_eq!(kept(0.0, StatusCode::BAD_GATEWAY), 10_000);
        let quarter = kept(0.25, StatusCode::OK);
        assert!((2_200..2_800).contains(&quarter), "{quarter}");
        let off = Access::new(&Settings { access: false, ..Settings::default() });
        assert!(!off.wanted(StatusCode::OK) && !off.wanted(StatusCode::BAD_GATEWAY));
    }
}
