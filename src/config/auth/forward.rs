//! `kind = "forward"`.

use super::super::bounds;
use super::super::table::{Table, Value};
use super::texts::{any_field, field, url};
use crate::auth::{Forward, Question};
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use std::time::Duration;

pub(super) fn forward(t: &Table<'_>) -> Option<Forward> {
    let url = t.need("url", "the URL that is asked, such as \"https://auth.example.org/check\"", url);
    let mut headers = vec![AUTHORIZATION, COOKIE];
    t.set("headers", &mut headers, |v| names(v, any_field));
    let pass_back = t.get("pass_back", |v| names(v, field)).unwrap_or_default();
    let user_header = t.get("user_header", |v| v.parsed(field));
    let (mut remember, mut timeout) = (Duration::from_secs(30), Duration::from_secs(5));
    t.set("remember", &mut remember, |v| v.duration(&bounds::REMEMBER));
    t.set("timeout", &mut timeout, |v| v.duration(&bounds::JUDGE));
    if headers.is_empty() {
        t.place_of("headers").fault("expected at least one field: who is calling can't be told from nothing");
    }
    Some(Forward::new(Question { url: url?, headers, pass_back, user_header, remember, timeout }))
}

/// Names of fields; each once.
fn names(value: &Value<'_>, read: fn(&str) -> Result<HeaderName, &'static str>) -> Option<Vec<HeaderName>> {
    let mut names = value.list(bounds::FIELDS, |v| v.parsed(read))?;
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    Some(names)
}
