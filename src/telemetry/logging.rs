//! Where the program's own events go: the same standard output as access lines, through the same buffer.
//!
//! One stream, because that is what a container's log is, and because two would have to be read together anyway. With
//! `format = "json"` both kinds are one JSON object a line: events have `level` and `message`, access lines have `method`
//! and `status`. Otherwise events are plain text. No colours: they would be control bytes in a file.
//! Access lines may have a file of their own (`log.file`), which can be rotated; events stay where they are.
//! The audit (target `audit`) is written at every level.

use super::lines::Lines;
use super::settings::{Format, Settings};
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// Why events can't be logged.
#[derive(Debug)]
pub enum InitError {
    /// The thread that writes could not be started.
    Thread(io::Error),
    /// The process has a subscriber already.
    Twice,
    /// The file of the access log can't be opened.
    File(PathBuf, io::Error),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitError::Thread(error) => write!(f, "the thread that writes the log could not be started: {error}"),
            InitError::File(path, error) => write!(f, "log.file {} can't be opened: {error}", path.display()),
            InitError::Twice => f.write_str("logging was set up twice in this process"),
        }
    }
}

impl std::error::Error for InitError {}

/// Sends the process's events to standard output as `settings` says, and gives the buffer for access lines. Once per
/// process. Call [`Lines::flush`] before the process ends.
///
/// # Errors
/// When it was called before, or no thread can be started.
pub fn init(settings: &Settings) -> Result<Lines, InitError> {
    let lines = Lines::to_stdout().map_err(InitError::Thread)?;
    tracing::subscriber::set_global_default(subscriber(settings, lines.clone())).map_err(|_| InitError::Twice)?;
    Ok(lines)
}

/// Where access lines go: to `log.file`, or to where events go.
///
/// # Errors
/// When the file can't be opened.
pub fn access_lines(settings: &Settings, events: Lines) -> Result<Lines, InitError> {
    match &settings.file {
        Some(path) => Lines::to_file(path, events).map_err(|error| InitError::File(path.clone(), error)),
        None => Ok(events),
    }
}

fn subscriber(settings: &Settings, lines: Lines) -> impl Subscriber + Send + Sync {
    let filter = Targets::new().with_default(settings.level).with_target("audit", settings.level.max(Level::INFO));
    let text = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Events(lines));
    let layer = match settings.format {
        Format::Json => text.json().flatten_event(true).boxed(),
        Format::Combined | Format::Pretty => text.boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter))
}

/// Makes each event one line.
struct Events(Lines);

impl<'a> MakeWriter<'a> for Events {
    type Writer = &'a Events;

    fn make_writer(&'a self) -> &'a Events {
        self
    }
}

/// The formatter hands over each event in one piece, with its line end.
impl Write for &Events {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write(event.strip_suffix(b"\n").unwrap_or(event));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::tests::Page;
    use super::*;

    fn logged(format: Format, level: Level, log: impl FnOnce()) -> String {
        let page = Page::default();
        let lines = Lines::to(page.clone()).unwrap();
        let settings = Settings { format, level, ..Settings::default() };
        tracing::subscriber::with_default(subscriber(&settings, lines.clone()), log);
        lines.flush();
        page.text()
    }

    #[test]
    fn json_events_are_one_object_a_line() {
        let text = logged(Format::Json, Level::INFO, || {
            tracing::info!(port = 8080, said = "a\nb\u{7f}", "ready");
            tracing::debug!("not this");
        });
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&event["message"], &event["port"], &event["said"]),
            (&"ready".into(), &8080.into(), &"a\nb\u{7f}".into())
        );
        assert_eq!(text.matches('\n').count(), 1);
    }

    #[test]
    fn text_events_cannot_forge_a_line() {
        let text = logged(Format::Pretty, Level::INFO, || tracing::info!(said = %"a\nb\u{1b}[2J", "hello"));
        assert!(text.contains("hello"), "{text}");
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn the_audit_is_written_at_every_level() {
        let text = logged(Format::Json, Level::ERROR, || {
            tracing::info!(target: "audit", "purge");
            tracing::warn!("not this");
        });
        assert!(text.contains("purge") && !text.contains("not this"), "{text}");
    }
}
