//! `[telemetry]`.

use super::address::endpoint;
use super::bounds;
use super::objects::field;
use super::table::{Table, Value};
use crate::telemetry::traces::Settings;

/// Reads `[telemetry]`; without `otlp` there are no traces.
pub(super) fn telemetry(root: &Table<'_>) -> Option<Settings> {
    let t = root.table("telemetry")?;
    let otlp = t.get("otlp", |v| v.parsed(collector));
    let mut settings = Settings::to(otlp.clone().unwrap_or_default());
    t.set("sample", &mut settings.sample, Value::share);
    t.set("service_name", &mut settings.service_name, |v| v.parsed(service));
    t.set("timeout", &mut settings.timeout, |v| v.duration(&bounds::TRACE_TIMEOUT));
    t.set("queue", &mut settings.queue, |v| v.count(bounds::SPANS));
    settings.headers = t.get("headers", |v| v.list(bounds::FIELDS, field)).unwrap_or_default();
    if settings.headers.iter().any(|(name, _)| name.as_str().starts_with("grpc-") || name.as_str().ends_with("-bin")) {
        t.place_of("headers").fault("names that begin with grpc- or end with -bin are gRPC's own");
    }
    if t.find("otlp").is_none() {
        t.at.warn("says nothing without otlp: there are no traces");
    }
    t.finish();
    otlp.map(|_| settings)
}

/// Where a collector is: scheme, host and port.
fn collector(text: &str) -> Result<String, String> {
    let checked = endpoint(text)?;
    if !checked.base.is_empty() {
        return Err("expected a URL without a path: gRPC has paths of its own".into());
    }
    Ok(format!("{}://{}", if checked.tls { "https" } else { "http" }, checked.authority()))
}

fn service(text: &str) -> Result<String, &'static str> {
    let plain = text.chars().all(|c| !c.is_control());
    let fits = plain && (1..=255).contains(&text.chars().count());
    fits.then(|| text.into()).ok_or("expected 1 to 255 characters")
}
