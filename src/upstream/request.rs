//! The request as it goes out: its target, its Host, and a body that says how far it has got.
//!
//! A [`Draft`] can be sent several times, one after the other, as long as the beginning of its body is there: what is in memory
//! anyhow always is, and of what a client is still sending the first bytes are kept (`retry.body`).

use super::error::{AskError, AskErrorKind};
use crate::body::{Body, BodyError};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// A request that may have to be sent more than once.
pub(super) struct Draft {
    method: Method,
    /// Path and query.
    uri: Uri,
    fields: HeaderMap,
    content: Content,
}

/// What a request carries.
enum Content {
    /// It is all here.
    Whole(Bytes),
    /// It comes little by little.
    Stream(Arc<Mutex<Source>>, SizeHint),
}

/// A body that is being read, and as much of it as is kept for another try.
struct Source {
    body: Body,
    kept: Vec<Bytes>,
    /// How many bytes more may be kept; `None` when the beginning is gone.
    room: Option<usize>,
    /// Whose turn it is to read: what a try that was given up still asks for isn't for it.
    turn: u32,
}

/// What of a request differs by endpoint and connection.
pub(super) struct Outgoing<'a> {
    /// Put before the path.
    pub(super) base: &'a str,
    /// The endpoint's.
    pub(super) authority: &'a HeaderValue,
    pub(super) tls: bool,
    pub(super) host: &'a HostChoice,
    /// HTTP/2 rather than HTTP/1.1.
    pub(super) http2: bool,
    pub(super) interim: Option<&'a InterimFn>,
}

impl Draft {
    /// Of the body `most` bytes are kept while it is sent.
    pub(super) fn new(request: Request<Body>, most: usize) -> Draft {
        let (parts, body) = request.into_parts();
        let hint = body.size_hint();
        let content = match body.into_whole() {
            Ok(bytes) => Content::Whole(bytes),
            Err(body) => {
                let source = Source { body, kept: Vec::new(), room: Some(most), turn: 0 };
                Content::Stream(Arc::new(Mutex::new(source)), hint)
            }
        };
        Draft { method: parts.method, uri: parts.uri, fields: parts.headers, content }
    }

    /// Path and query, for who chooses by them.
    pub(super) fn target(&self) -> &str {
        self.uri.path_and_query().map_or("/", |target| target.as_str())
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// Whether it is to become something else than HTTP.
    pub(super) fn is_upgrade(&self) -> bool {
        self.fields.contains_key(UPGRADE)
    }

    /// Whether there is a body.
    pub(super) fn has_body(&self) -> bool {
        !matches!(&self.content, Content::Whole(bytes) if bytes.is_empty())
    }

    /// Whether it can be sent from the beginning.
    pub(super) fn is_whole(&self) -> bool {
        match &self.content {
            Content::Whole(_) => true,
            Content::Stream(source, _) => lock(source).room.is_some(),
        }
    }

    /// Takes the body back from whoever still reads it; whether it can be sent from the beginning.
    pub(super) fn take_back(&self) -> bool {
        match &self.content {
            Content::Whole(_) => true,
            Content::Stream(source, _) => {
                let mut source = lock(source);
                let whole = source.room.is_some();
                if whole {
                    source.next_turn();
                }
                whole
            }
        }
    }

    /// The request in the form that the endpoint gets; what an earlier one still reads is taken from it.
    pub(super) fn request(&self, out: &Outgoing<'_>) -> Result<Request<Outbound>, AskError> {
        let body = match &self.content {
            Content::Whole(bytes) => Outbound::new(Sending::Whole(Body::full(bytes.clone()))),
            Content::Stream(source, hint) => {
                let turn = lock(source).next_turn();
                let (source, hint) = (Arc::clone(source), *hint);
                Outbound::new(Sending::Shared { source, turn, at: 0, hint })
            }
        };
        let host = match out.host {
            HostChoice::Endpoint => out.authority,
            HostChoice::Given(value) => value,
        };
        let unknown = !body.is_end_stream() && body.size_hint().exact().is_none();
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        let fields = request.headers_mut();
        fields.clone_from(&self.fields);
        if out.http2 {
            *request.uri_mut() = absolute(out, host, &self.uri)?;
            *request.version_mut() = Version::HTTP_2;
        } else {
            fields.insert(HOST, host.clone());
            // hyper takes a GET of unknown length for one without a body and would drop it silently.
            if unknown && !fields.contains_key(CONTENT_LENGTH) {
                fields.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            let as_it_is = out.base.is_empty() && self.uri.authority().is_none();
            *request.uri_mut() = if as_it_is { self.uri.clone() } else { target(out.base, &self.uri)? };
            *request.version_mut() = Version::HTTP_11;
        }
        if let Some(interim) = out.interim {
            relay(&mut request, interim.clone());
        }
        Ok(request)
    }
}

fn target(base: &str, uri: &Uri) -> Result<Uri, AskError> {
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let joined = if path == "*" { path.to_owned() } else { format!("{base}{path}") };
    Uri::try_from(joined).map_err(|e| AskError::unsent(AskErrorKind::Request).because(e))
}

/// As HTTP/2 has it: the authority is part of the target (RFC 9113 §8.3.1).
fn absolute(out: &Outgoing<'_>, host: &HeaderValue, uri: &Uri) -> Result<Uri, AskError> {
    let scheme = if out.tls { "https" } else { "http" };
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let path = if path == "*" { path.to_owned() } else { format!("{}{path}", out.base) };
    let built = Uri::builder().scheme(scheme).authority(host.as_bytes()).path_and_query(path).build();
    built.map_err(|e| AskError::unsent(AskErrorKind::Request).because(e))
}

/// Gives the origin's interim answers to `interim`.
fn relay(request: &mut Request<Outbound>, interim: InterimFn) {
    hyper::ext::on_informational(request, move |head| {
        if !matches!(head.status().as_u16(), 100 | 101) {
            let mut copy = Response::new(());
            *copy.status_mut() = head.status();
            *copy.headers_mut() = head.headers().clone();
            interim(copy);
        }
    });
}

/// A request's body on its way to the origin.
pub(super) struct Outbound {
    sending: Sending,
    progress: Option<Arc<Progress>>,
}

enum Sending {
    Whole(Body),
    Shared { source: Arc<Mutex<Source>>, turn: u32, at: usize, hint: SizeHint },
}

impl Outbound {
    fn new(sending: Sending) -> Self {
        let mut outbound = Outbound { sending, progress: None };
        outbound.progress = (!outbound.is_end_stream()).then(|| Arc::new(Progress::new()));
        outbound
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

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Sending {
    fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        match self {
            Sending::Whole(body) => Pin::new(body).poll_frame(cx),
            Sending::Shared { source, turn, at, .. } => {
                let mut source = lock(source);
                if source.turn != *turn {
                    return Poll::Ready(Some(Err(BodyError::Origin))); // this try was given up
                }
                if let Some(piece) = source.kept.get(*at) {
                    *at += 1;
                    return Poll::Ready(Some(Ok(Frame::data(piece.clone()))));
                }
                let polled = Pin::new(&mut source.body).poll_frame(cx);
                if source.keep(&polled) {
                    *at += 1;
                }
                polled
            }
        }
    }
}

impl Source {
    fn next_turn(&mut self) -> u32 {
        self.turn += 1;
        self.turn
    }

    /// Keeps what has come, if there is room; whether it did.
    fn keep(&mut self, polled: &Polled) -> bool {
        let Poll::Ready(Some(frame)) = polled else { return false };
        let piece = frame.as_ref().ok().and_then(Frame::data_ref);
        self.room = match (piece, self.room) {
            (Some(piece), Some(room)) => room.checked_sub(piece.len()),
            // Trailers aren't kept, and a body that broke has no whole.
            (_, _) => None,
        };
        match (piece, self.room) {
            (Some(piece), Some(_)) => {
                self.kept.push(piece.clone());
                true
            }
            (_, _) => {
                self.kept = Vec::new();
                false
            }
        }
    }
}

fn lock(source: &Mutex<Source>) -> MutexGuard<'_, Source> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HttpBody for Outbound {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let polled = self.sending.poll(cx);
        if let Some(progress) = &self.progress {
            progress.moved();
            progress.starved.store(polled.is_pending(), Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.sending {
            Sending::Whole(body) => body.is_end_stream(),
            Sending::Shared { source, at, .. } => {
                let source = lock(source);
                *at >= source.kept.len() && source.body.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.sending {
            Sending::Whole(body) => body.size_hint(),
            Sending::Shared { hint, .. } => *hint,
        }
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
