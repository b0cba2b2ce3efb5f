//! The request as it goes out: its target, its Host, and a body that says how far it has got.

use super::error::{AskError, AskErrorKind};
use crate::body::{Body, BodyError};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// What the origin sees in Host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostChoice {
    /// The endpoint's own authority.
    Endpoint,
    /// This value.
    Given(HeaderValue),
}

/// Takes the origin's interim answers (1xx but 100 and 101). Called on the connection's task: it must not block.
pub type InterimFn = Arc<dyn Fn(Response<()>) + Send + Sync>;

/// Puts the request into the form that the endpoint gets: `base` before its path, Host set, HTTP/1.1.
pub(super) fn prepare(
    request: Request<Body>,
    base: &str,
    authority: &HeaderValue,
    host: &HostChoice,
    interim: Option<&InterimFn>,
) -> Result<Request<Outbound>, AskError> {
    let (mut parts, body) = request.into_parts();
    if !base.is_empty() || parts.uri.authority().is_some() {
        parts.uri = target(base, &parts.uri)?;
    }
    parts.version = Version::HTTP_11;
    let host = match host {
        HostChoice::Endpoint => authority.clone(),
        HostChoice::Given(value) => value.clone(),
    };
    parts.headers.insert(HOST, host);
    // hyper takes a GET of unknown length for one without a body and would drop it silently.
    let unknown = !body.is_end_stream() && body.size_hint().exact().is_none();
    if unknown && !parts.headers.contains_key(CONTENT_LENGTH) {
        parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let mut request = Request::from_parts(parts, Outbound::new(body));
    if let Some(interim) = interim {
        relay(&mut request, interim.clone());
    }
    Ok(request)
}

fn target(base: &str, uri: &Uri) -> Result<Uri, AskError> {
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let joined = if path == "*" { path.to_owned() } else { format!("{base}{path}") };
    Uri::try_from(joined).map_err(|e| AskError::unsent(AskErrorKind::Request).because(e))
}

/// Gives the origin's interim answers to `interim`.
pub(super) fn relay(request: &mut Request<Outbound>, interim: InterimFn) {
    hyper::ext::on_informational(request, move |head| {
        if !matches!(head.status().as_u16(), 100 | 101) {
            let mut copy = Response::new(());
            *copy.status_mut() = head.status();
            *copy.headers_mut() = head.headers().clone();
            interim(copy);
        }
    });
}

/// A second copy for one repetition, if the request is safe (RFC 9110, 9.2.1) and has no body. What [`relay`] has put
/// into it has to be put there again.
pub(super) fn copy(request: &Request<Outbound>) -> Option<Request<Outbound>> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Outbound::new(Body::empty()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// A request's body on its way to the origin.
pub(super) struct Outbound {
    body: Body,
    progress: Option<Arc<Progress>>,
}

impl Outbound {
    fn new(body: Body) -> Self {
        let progress = (!body.is_end_stream()).then(|| Arc::new(Progress::new()));
        Outbound { body, progress }
    }

    /// How far the body has got; `None` if there is none to send.
    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }
}

impl Drop for Outbound {
    /// hyper drops a body as soon as it has taken the last of it.
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.moved();
            progress.ended.store(true, Ordering::Release);
        }
    }
}

impl HttpBody for Outbound {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(progress) = &self.progress {
            progress.moved();
            progress.starved.store(polled.is_pending(), Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Who is to be waited for while a request's body is under way.
pub(super) struct Progress {
    begin: Instant,
    /// Microseconds after `begin` at which hyper last asked for, or was done with, the body.
    last: AtomicU64,
    /// The client is to send more; its slowness is not the origin's.
    starved: AtomicBool,
    ended: AtomicBool,
}

impl Progress {
    fn new() -> Self {
        let (last, starved, ended) = Default::default();
        Progress { begin: Instant::now(), last, starved, ended }
    }

    fn moved(&self) {
        let micros = u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last.store(micros, Ordering::Release);
    }

    /// Whether hyper has taken the last of the body.
    pub(super) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Since when the origin is the one who is waited for: for its answer once the body has ended, before that for
    /// taking what lies ready. `None` while the client is.
    pub(super) fn origin_since(&self) -> Option<Instant> {
        let waiting = self.ended() || !self.starved.load(Ordering::Acquire);
        waiting.then(|| self.begin + Duration::from_micros(self.last.load(Ordering::Acquire)))
    }
}
