//! `[log]`.

use std::path::PathBuf;

/// The checked form of `[log]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `format`. Default json.
    pub format: Format,
    /// `level`: error, warn, info, debug or trace. Default info.
    pub level: tracing::Level,
    /// `access`: a line per request. Default true.
    pub access: bool,
    /// `sample`: the share of requests that get a line, 0.0 to 1.0; answers of 5xx always do. Default 1.0.
    pub sample: f64,
    /// `file`: where access lines go; `None` is standard output, as everything else.
    pub file: Option<PathBuf>,
    /// `redact_query`: query names whose values are not logged.
    pub redact_query: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let redact = [
            "token",
            "access_token",
            "access-token",
            "api_key",
            "api-key",
            "apikey",
            "x-api-key",
            "key",
            "code",
            "password",
            "secret",
            "client_secret",
        ];
        Settings {
            format: Format::Json,
            level: tracing::Level::INFO,
            access: true,
            sample: 1.0,
            file: None,
            redact_query: redact.map(String::from).to_vec(),
        }
    }
}

/// `format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Apache's combined format for access lines, plain text for the rest.
    Combined,
    /// For a person at a terminal.
    Pretty,
}
