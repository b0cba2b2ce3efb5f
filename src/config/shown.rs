//! What several sections show of themselves in the same way.

use crate::telemetry;
use crate::upstream::TlsClient;
use serde_json::{Value, json};
use std::borrow::Cow;

/// What stands in the place of a secret or its digest.
pub(super) const REDACTED: &str = "redacted";

/// A URL that is always asked, or its path and query. Where one of `hidden` is among the names of its query none of that is shown, so that it
/// is plain for what the word stands.
pub(super) fn fixed<'a>(url: &'a str, hidden: &[String]) -> Cow<'a, str> {
    match url.split_once('?') {
        Some((bare, query)) if telemetry::hides(query, hidden) => Cow::Owned(format!("{bare}?{REDACTED}")),
        Some(_) | None => Cow::Borrowed(url),
    }
}

/// Whom we trust at the other end, and what we show there.
pub(super) fn trust(tls: &TlsClient) -> Value {
    let (files, shown) = (tls.files(), |path: &std::path::PathBuf| json!(path.display().to_string()));
    let identity = files.identity.as_ref();
    let all = [
        ("ca", files.ca.as_ref().map(shown)),
        ("name", files.name.as_ref().map(|name| json!(name))),
        ("cert", identity.map(|(cert, _)| shown(cert))),
        ("key", identity.map(|(_, key)| shown(key))),
    ];
    let all = all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(all.collect())
}
