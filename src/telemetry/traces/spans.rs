//! Spans as OpenTelemetry has them, with the attributes of its semantic conventions for HTTP (1.23 and later) and our own, `freshgate.…`.

use super::super::redact;
use crate::trace::{Context, Ended, OfRequest, Span, Trace};
use http::{Method, StatusCode, Version};
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::borrow::Cow;
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

/// The methods that the conventions know.
const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

/// What the collector is told of a span, without the values of these parameters.
pub(super) fn told(span: &Span, hidden: &[String]) -> SpanData {
    match span {
        Span::Request(trace, request) => of_request(trace, request, hidden),
        Span::Try(trace, number, ended) => of_try(trace, *number, ended, hidden),
    }
}

fn of_request(trace: &Trace, request: &OfRequest, hidden: &[String]) -> SpanData {
    let mut all = method(&request.method);
    if let Some(target) = &request.target {
        let (path, query) = parts(target, hidden);
        all.push(KeyValue::new("url.path", path.to_owned()));
        all.extend(query.map(|query| KeyValue::new("url.query", query)));
    }
    all.push(KeyValue::new("url.scheme", if trace.is_secure() { "https" } else { "http" }));
    if let Some(host) = &request.host {
        let (name, port) = host_and_port(host);
        all.push(KeyValue::new("server.address", name.to_owned()));
        all.extend(port.map(|port| KeyValue::new("server.port", i64::from(port))));
    }
    all.push(KeyValue::new("network.protocol.version", version(request.version)));
    all.extend(request.status.map(status));
    if request.failed {
        let code = || request.status.map_or("client-left".into(), |status| status.as_str().to_owned());
        all.push(KeyValue::new("error.type", request.reason.map_or_else(code, String::from)));
    }
    all.extend(request.api.as_ref().map(|api| KeyValue::new("freshgate.api", api.to_string())));
    all.push(KeyValue::new("freshgate.outcome", request.outcome));
    all.extend(request.reason.map(|reason| KeyValue::new("freshgate.reason", reason)));
    all.push(KeyValue::new("freshgate.stored", request.stored));
    let name = match &request.api {
        Some(api) => format!("{} {api}", name(&request.method)).into(),
        None => Cow::Borrowed(name(&request.method)),
    };
    let what = What { number: trace.own().span, kind: SpanKind::Server, name, failed: request.failed };
    data(trace, what, trace.parent(), Duration::ZERO, request.took, all)
}

fn of_try(trace: &Trace, number: u64, ended: &Ended, hidden: &[String]) -> SpanData {
    let mut all = method(&ended.method);
    let (host, port) = &ended.endpoint;
    let (scheme, (path, query)) = (if ended.tls { "https" } else { "http" }, parts(&ended.target, hidden));
    let shown = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
    let mut url = format!("{scheme}://{shown}:{port}{path}");
    if let Some(query) = query {
        let _ = write!(url, "?{query}");
    }
    all.push(KeyValue::new("url.full", url));
    all.push(KeyValue::new("server.address", host.to_string()));
    all.push(KeyValue::new("server.port", i64::from(*port)));
    all.extend(ended.version.map(|spoken| KeyValue::new("network.protocol.version", version(spoken))));
    let error = match ended.result {
        Ok(code) => {
            all.push(status(code));
            let wrong = code.is_client_error() || code.is_server_error();
            wrong.then(|| code.as_str().to_owned())
        }
        Err(name) => Some(name.to_owned()),
    };
    let failed = error.is_some();
    all.extend(error.map(|error| KeyValue::new("error.type", error)));
    if ended.tries > 0 {
        all.push(KeyValue::new("http.request.resend_count", i64::from(ended.tries)));
    }
    let what = What { number, kind: SpanKind::Client, name: name(&ended.method).into(), failed };
    data(trace, what, trace.parent_of_tries(), ended.from, ended.took, all)
}

struct What {
    number: u64,
    kind: SpanKind,
    name: Cow<'static, str>,
    failed: bool,
}

fn data(
    trace: &Trace,
    what: What,
    parent: Option<u64>,
    from: Duration,
    took: Duration,
    attributes: Vec<KeyValue>,
) -> SpanData {
    let start = UNIX_EPOCH + trace.began().unix + from;
    let own = Context { span: what.number, ..trace.own() };
    let state = trace.state().and_then(|state| state.to_str().ok()?.parse().ok()).unwrap_or_default();
    let mut links = SpanLinks::default();
    // A trace of its own has no request's span to hang it on; a request's tries needn't say it again.
    if what.kind == SpanKind::Server || trace.parent_of_tries().is_none() {
        links.links.extend(trace.link().map(|link| Link::new(context(link, TraceState::NONE), Vec::new(), 0)));
    }
    SpanData {
        span_context: context(own, state),
        parent_span_id: parent.map_or(SpanId::INVALID, |span| SpanId::from_bytes(span.to_be_bytes())),
        parent_span_is_remote: what.kind == SpanKind::Server && parent.is_some(),
        span_kind: what.kind,
        name: what.name,
        start_time: start,
        end_time: start + took,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: if what.failed { Status::error("") } else { Status::Unset },
        instrumentation_scope: InstrumentationScope::builder("freshgate")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

fn context(of: Context, state: TraceState) -> SpanContext {
    let (trace, span) = (TraceId::from_bytes(of.trace.to_be_bytes()), SpanId::from_bytes(of.span.to_be_bytes()));
    SpanContext::new(trace, span, TraceFlags::new(of.flags), false, state)
}

/// What the conventions don't know is one of the others: a stranger mustn't make names.
fn method(method: &Method) -> Vec<KeyValue> {
    let text = method.as_str();
    if METHODS.contains(&text) {
        return vec![KeyValue::new("http.request.method", text.to_owned())];
    }
    let original = crate::trace::cut(text).to_owned();
    vec![KeyValue::new("http.request.method", "_OTHER"), KeyValue::new("http.request.method_original", original)]
}

fn name(method: &Method) -> &'static str {
    METHODS.iter().find(|known| **known == method.as_str()).copied().unwrap_or("HTTP")
}

fn status(status: StatusCode) -> KeyValue {
    KeyValue::new("http.response.status_code", i64::from(status.as_u16()))
}

/// The path, and the query as the log has it.
fn parts<'a>(target: &'a str, hidden: &[String]) -> (&'a str, Option<String>) {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let redacted = query.map(|query| {
        let mut out = String::new();
        redact::query(query, hidden, &mut out);
        out
    });
    (path, redacted)
}

fn host_and_port(host: &str) -> (&str, Option<u16>) {
    let split = host.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
    let (name, port) = split.map_or((host, None), |(name, port): (&str, u16)| (name, Some(port)));
    (name.trim_start_matches('[').trim_end_matches(']'), port)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
