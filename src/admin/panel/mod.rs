//! The control panel: a page, and the files that it loads, all of them in the program.
//!
//! They are plain ES modules and one style sheet, as a browser takes them; nothing is built. `app.js` begins, `pages/` has a file per
//! page, the others are what those have in common. `uplot/` is uPlot 1.6.32 from the npm registry, as it comes, with its licence.
//!
//! They are for everybody, and show nothing by themselves: what they show they ask of the API, with the session. The policy lets the page
//! load from here only, run no script and take no style but these files, and make no HTML out of text.

use super::problem::Problem;
use crate::secret::digest;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::LazyLock;

/// What the page may do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// A file, by its path below `/panel/`.
struct File {
    path: &'static str,
    kind: &'static str,
    content: &'static [u8],
    /// A strong one (RFC 9110 §8.8.3), of its content.
    tag: String,
}

macro_rules! files {
    ($($path:literal: $kind:expr),* $(,)?) => {
        [$(($path, $kind, include_bytes!($path).as_slice())),*]
    };
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let all = files![
        "index.html": HTML,
        "panel.css": STYLE,
        "icon.svg": PICTURE,
        "app.js": SCRIPT,
        "api.js": SCRIPT,
        "state.js": SCRIPT,
        "dom.js": SCRIPT,
        "dialog.js": SCRIPT,
        "format.js": SCRIPT,
        "theme.js": SCRIPT,
        "pages/signin.js": SCRIPT,
        "pages/apis.js": SCRIPT,
        "pages/apis-edit.js": SCRIPT,
        "pages/live.js": SCRIPT,
        "pages/live-chart.js": SCRIPT,
        "pages/entries.js": SCRIPT,
        "pages/why.js": SCRIPT,
        "pages/audit.js": SCRIPT,
        "pages/config.js": SCRIPT,
        "uplot/uPlot.esm.js": SCRIPT,
        "uplot/uPlot.min.css": STYLE,
        "uplot/LICENSE": TEXT,
    ];
    let tag = |content| digest(content).iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>();
    all.into_iter()
        .map(|(path, kind, content)| File { path, kind, content, tag: format!("\"{}\"", tag(content)) })
        .collect()
});

/// `GET /`.
pub(super) async fn page(asked: HeaderMap) -> Result<Response, Problem> {
    answer("index.html", &asked)
}

/// `GET /panel/…`.
pub(super) async fn file(path: Result<Path<String>, PathRejection>, asked: HeaderMap) -> Result<Response, Problem> {
    let Path(path) = path.map_err(|_| Problem::not_found())?;
    answer(&path, &asked)
}

/// What is here may be kept, and is asked about each time: another version has other files.
fn answer(path: &str, asked: &HeaderMap) -> Result<Response, Problem> {
    let file = FILES.iter().find(|file| file.path == path).ok_or_else(Problem::not_found)?;
    let fields = [
        (header::ETAG, file.tag.as_str()),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|field| field.to_str().ok());
    if known.flat_map(|field| field.split(',')).any(|tag| tag.trim().trim_start_matches("W/") == file.tag) {
        return Ok((StatusCode::NOT_MODIFIED, fields).into_response());
    }
    Ok((fields, [(header::CONTENT_TYPE, file.kind)], file.content).into_response())
}
