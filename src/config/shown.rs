//! What several sections show of themselves in the same way.

use crate::upstream::TlsClient;
use serde_json::{Value, json};

/// What stands in the place of a secret or its digest.
pub(super) const REDACTED: &str = "redacted";

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
