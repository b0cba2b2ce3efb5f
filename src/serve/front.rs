//! Between the listener and the gateway: makes the one record of each request.

use super::in_force::{Current, Texts};
use crate::body::{Body, BodyError};
use crate::client::Client;
use crate::clock::Clock;
use crate::gateway::{Kind, Outcome, Step, Whose};
use crate::listener::{Handler, Refused};
use crate::telemetry::{Record, Telemetry};
use bytes::Bytes;
use http::header::{HOST, REFERER, USER_AGENT};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// The status that is logged for a client that left before there was an answer; as nginx does.
const CLIENT_LEFT: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

/// Dropped before the connections are, it says that whatever ends without an answer then is ended by us.
pub(super) struct Cut(pub(super) Front);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.0.cutting.store(true, Ordering::Relaxed);
    }
}

/// Hands requests to the gateway and their records to telemetry.
#[derive(Clone)]
pub(super) struct Front(Arc<Parts>);

/// Where requests come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// The data port.
    Data,
    /// The object cache.
    Objects,
}

struct Parts {
    current: Current,
    door: Door,
    telemetry: Arc<Telemetry>,
    clock: Clock,
    /// Whether a stop cuts what is left.
    cutting: AtomicBool,
}

impl Front {
    pub(super) fn new(current: Current, door: Door, telemetry: Arc<Telemetry>, clock: Clock) -> Self {
        Front(Arc::new(Parts { current, door, telemetry, clock, cutting: AtomicBool::new(false) }))
    }
}

impl Handler for Front {
    async fn handle(&self, request: Request<Body>, client: Arc<Client>) -> Response<Body> {
        let parts = &self.0;
        // The one look at what is in force. It is kept while the request waits, which costs nobody anything but a swap.
        let in_force = parts.current.load();
        let began = parts.clock.uptime();
        let now = parts.clock.at(began);
        let fields = request.headers();
        let shown = |from, name| (in_force.texts >= from).then(|| fields.get(name).cloned()).flatten();
        let host = shown(Texts::Target, HOST);
        let (user_agent, referer) = (shown(Texts::Combined, USER_AGENT), shown(Texts::Combined, REFERER));
        let (method, version) = (request.method().clone(), request.version());
        let target = request.uri().path_and_query().filter(|_| in_force.texts >= Texts::Target).cloned();
        let (peer, took) = (client.address, Duration::ZERO);
        let (outcome, status) = (Outcome::default(), CLIENT_LEFT);
        let trace = parts.telemetry.traces().map(|traces| traces.tracer().begin(fields, client.secure, began));
        let mut record = Record {
            outcome,
            method,
            host,
            target,
            version,
            status,
            peer,
            bytes_out: 0,
            took,
            user_agent,
            referer,
            trace: trace.clone(),
        };
        let step = match (parts.door, &in_force.objects) {
            (Door::Objects, Some(objects)) => objects.handle(request, &client, now, trace),
            (Door::Data, _) | (Door::Objects, None) => in_force.gateway.handle(request, &client, now, trace),
        };
        let (mut record, (response, outcome)) = match step {
            Step::Now(answered) => (record, answered),
            Step::Later(rest, Whose { api, user }) => {
                record.outcome = Outcome { api, user: user.clone(), kind: Kind::Failed, ..Outcome::default() };
                let mut waiting = Waiting { parts, began, record: Some(record) };
                let (response, outcome) = rest.await;
                let Some(record) = waiting.record.take() else { return response };
                (record, (response, outcome.of(user)))
            }
        };
        record.outcome = outcome;
        record.status = response.status();
        if let Some(bytes) = response.body().in_memory() {
            parts.record(record, began, bytes);
            return response;
        }
        let parts = Arc::clone(parts);
        response.map(|body| Body::stream(Metered { body, parts, began, bytes: 0, record: Some(record) }))
    }

    fn refused(&self, peer: SocketAddr, refused: Refused) {
        let outcome = Outcome { reason: Some(refused.name), ..Outcome::default() };
        let Ok(method) = Method::from_bytes(b"-") else { return }; // as Apache writes what it couldn't read
        let record = Record {
            outcome,
            method,
            host: None,
            target: None,
            version: Version::HTTP_11,
            status: refused.status,
            peer,
            bytes_out: 0,
            took: Duration::ZERO,
            user_agent: None,
            referer: None,
            trace: None,
        };
        self.0.telemetry.record(record);
    }
}

/// hyper drops the handler when the client leaves, or when a stop cuts its connection: this makes the record then, so that nobody can
/// write unseen.
struct Waiting<'a> {
    parts: &'a Parts,
    began: Duration,
    record: Option<Record>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            let cut = self.parts.cutting.load(Ordering::Relaxed);
            record.outcome.reason = Some(if cut { "drain-deadline" } else { "client-left" });
            if cut {
                record.status = StatusCode::SERVICE_UNAVAILABLE;
            }
            self.parts.record(record, self.began, 0);
        }
    }
}

impl Parts {
    fn record(&self, record: Record, began: Duration, bytes_out: u64) {
        let took = self.clock.uptime().saturating_sub(began);
        self.telemetry.record(Record { bytes_out, took, ..record });
    }
}

/// Counts a body's bytes and makes the record when it has ended or broken off.
struct Metered {
    body: Body,
    parts: Arc<Parts>,
    began: Duration,
    bytes: u64,
    record: Option<Record>,
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.parts.record(record, self.began, self.bytes);
        }
    }
}
