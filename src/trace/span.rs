//! Spans while they last, and as they are told when they have ended.

use super::context::{Context, TRACEPARENT, TRACESTATE, state};
use crate::clock::Clock;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;

/// Characters of any one text in a span.
const LONGEST: usize = 2_048;

/// Begins traces, and takes the spans that have ended.
#[derive(Debug)]
pub struct Tracer {
    queue: mpsc::Sender<Span>,
    /// A trace that begins here is sampled where its draw is below this; `None` for every one.
    below: Option<u64>,
    lost: AtomicU64,
    clock: Clock,
}

impl Tracer {
    /// A tracer, and the queue of what has ended, which has room for so many spans. Of traces that begin here this share is sampled.
    pub fn new(share: f64, room: usize, clock: Clock) -> (Arc<Tracer>, mpsc::Receiver<Span>) {
        let (queue, spans) = mpsc::channel(room.max(1));
        let below = (share < 1.0).then_some((share * u64::MAX as f64) as u64);
        (Arc::new(Tracer { queue, below, lost: AtomicU64::new(0), clock }), spans)
    }

    /// The trace of a request with these fields, whose head came at `uptime`: its client's, whoever that is, or a new one.
    pub fn begin(self: &Arc<Self>, fields: &HeaderMap, secure: bool, uptime: Duration) -> Arc<Trace> {
        let caller = Context::read(fields);
        let (trace, flags, state) = match caller {
            Some(caller) => (caller.trace, caller.flags, state(fields)),
            None => {
                let sampled = self.below.is_none_or(|below| fastrand::u64(..) < below);
                (fastrand::u128(1..), Context::flags(sampled), None)
            }
        };
        let own = Context { trace, span: number(), flags };
        Arc::new(Trace {
            own,
            parent: caller.map(|caller| caller.span),
            state,
            began: Moment { unix: self.clock.unix(), uptime },
            secure,
            link: OnceLock::new(),
            apart: false,
            tracer: Arc::clone(self),
        })
    }

    /// Takes a span that has ended, or loses it.
    fn put(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.lost(1);
        }
    }

    /// So many spans are lost.
    pub fn lost(&self, spans: u64) {
        self.lost.fetch_add(spans, Relaxed);
    }

    /// How many spans were lost so far: there was no room for them, or the collector didn't take them.
    pub fn all_lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

/// The number of a span.
fn number() -> u64 {
    fastrand::u64(1..)
}

/// A moment by both clocks. Spans of one trace are told by the same pair, so that they lie to each other as they did.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Since 1970.
    pub unix: Duration,
    /// The same moment by [`Clock::uptime`].
    pub uptime: Duration,
}

/// The trace of one request.
#[derive(Debug)]
pub struct Trace {
    own: Context,
    parent: Option<u64>,
    state: Option<HeaderValue>,
    began: Moment,
    secure: bool,
    link: OnceLock<Context>,
    /// It has no span but those of its tries: nobody waits for it.
    apart: bool,
    tracer: Arc<Tracer>,
}

/// What a request's span says beside what its trace knows.
#[derive(Debug)]
pub struct OfRequest {
    /// The method.
    pub method: Method,
    /// The Host, without user information.
    pub host: Option<Box<str>>,
    /// Path and query as the client wrote them.
    pub target: Option<Box<str>>,
    /// The version of HTTP.
    pub version: http::Version,
    /// The status; `None` where the client has left before there was one.
    pub status: Option<StatusCode>,
    /// From the end of the request's head to the end of its answer.
    pub took: Duration,
    /// The API.
    pub api: Option<Arc<str>>,
    /// What happened.
    pub outcome: &'static str,
    /// Why.
    pub reason: Option<&'static str>,
    /// Whether the answer was kept.
    pub stored: bool,
    /// Whether it is its fate that it failed.
    pub failed: bool,
}

/// What a try's span says.
#[derive(Debug)]
pub struct Ended {
    /// The method.
    pub method: Method,
    /// The endpoint's host and port.
    pub endpoint: (Box<str>, u16),
    /// Whether it is spoken to by TLS.
    pub tls: bool,
    /// Path and query as the origin has got them.
    pub target: Box<str>,
    /// The version of HTTP that was spoken, where anything was.
    pub version: Option<http::Version>,
    /// The status, or the name of what went wrong.
    pub result: Result<StatusCode, &'static str>,
    /// How often it had been tried before.
    pub tries: u32,
    /// Since the trace's beginning.
    pub from: Duration,
    /// From then to the head of the answer.
    pub took: Duration,
}

/// A span that has ended.
#[derive(Debug)]
pub enum Span {
    /// A request.
    Request(Arc<Trace>, Box<OfRequest>),
    /// A try at an origin, and its number.
    Try(Arc<Trace>, u64, Box<Ended>),
}

impl Trace {
    /// Its own span as others are told of it.
    pub fn own(&self) -> Context {
        self.own
    }

    /// The client's span, if it has named one.
    pub fn parent(&self) -> Option<u64> {
        self.parent
    }

    /// The span below which its tries lie.
    pub fn parent_of_tries(&self) -> Option<u64> {
        (!self.apart).then_some(self.own.span)
    }

    /// `tracestate`.
    pub fn state(&self) -> Option<&HeaderValue> {
        self.state.as_ref()
    }

    /// When it began.
    pub fn began(&self) -> Moment {
        self.began
    }

    /// Whether the client's connection is encrypted.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The span that it has to do with though it is none above it.
    pub fn link(&self) -> Option<Context> {
        self.link.get().copied()
    }

    /// Whether its spans are told.
    pub fn is_sampled(&self) -> bool {
        self.own.is_sampled()
    }

    /// What another trace may link to; nothing where nobody would find it.
    pub fn linkable(&self) -> Option<Context> {
        self.is_sampled().then_some(self.own)
    }

    /// It shares the answer to that one's question.
    pub fn joined(&self, asker: Option<Context>) {
        if let Some(asker) = asker {
            let _ = self.link.set(asker); // the first one whose answer it has waited for
        }
    }

    /// The trace of a question that this request gives rise to and doesn't wait for.
    pub fn apart(&self) -> Arc<Trace> {
        let Trace { own, secure, tracer, .. } = self;
        let (secure, tracer, link) = (*secure, Arc::clone(tracer), OnceLock::new());
        if let Some(own) = self.linkable() {
            let _ = link.set(own); // nobody else sets it
        }
        let began = Moment { unix: tracer.clock.unix(), uptime: tracer.clock.uptime() };
        let own = Context { trace: fastrand::u128(1..), span: number(), flags: own.flags };
        Arc::new(Trace { own, parent: None, state: None, began, secure, link, apart: true, tracer })
    }

    /// The request has ended.
    pub fn ended(self: &Arc<Self>, request: OfRequest) {
        self.tracer.put(Span::Request(Arc::clone(self), Box::new(request)));
    }
}

/// A try at an origin, from the moment in which an endpoint is chosen to the head of its answer. One that is dropped before was given up.
#[derive(Debug)]
pub struct Try {
    trace: Arc<Trace>,
    number: u64,
    began: Duration,
    /// Taken when it is told.
    ended: Option<Box<Ended>>,
}

impl Try {
    /// Begins now: host, port and TLS of the endpoint, the two parts of its target, and how often it was tried before.
    pub fn begin(
        trace: &Arc<Trace>,
        method: &Method,
        endpoint: (&str, u16, bool),
        target: (&str, &str),
        tries: u32,
    ) -> Try {
        let began = if trace.is_sampled() { trace.tracer.clock.uptime() } else { Duration::ZERO };
        let ended = trace.is_sampled().then(|| {
            let (host, port, tls) = endpoint;
            Box::new(Ended {
                method: method.clone(),
                endpoint: (host.into(), port),
                tls,
                target: cut(&format!("{}{}", target.0, target.1)).into(),
                version: None,
                result: Err("given-up"),
                tries,
                from: began.saturating_sub(trace.began.uptime),
                took: Duration::ZERO,
            })
        });
        Try { trace: Arc::clone(trace), number: number(), began, ended }
    }

    /// Names itself in a request to the origin, in the place of what the client has said.
    pub fn mark(&self, fields: &mut HeaderMap) {
        let own = Context { span: self.number, ..self.trace.own };
        match own.field() {
            Some(own) => drop(fields.insert(TRACEPARENT, own)),
            None => drop(fields.remove(TRACEPARENT)),
        }
        match &self.trace.state {
            Some(state) => drop(fields.insert(TRACESTATE, state.clone())),
            None => drop(fields.remove(TRACESTATE)),
        }
    }

    /// The head of an answer is there, or won't be.
    pub fn ended(mut self, result: Result<(StatusCode, http::Version), &'static str>) {
        if let Some(ended) = &mut self.ended {
            ended.version = result.ok().map(|(_, version)| version);
            ended.result = result.map(|(status, _)| status);
        }
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        if let Some(mut ended) = self.ended.take() {
            let tracer = &self.trace.tracer;
            ended.took = tracer.clock.uptime().saturating_sub(self.began);
            tracer.put(Span::Try(Arc::clone(&self.trace), self.number, ended));
        }
    }
}

/// As much of a text as a span has room for.
pub(crate) fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()));
        lines.collect()
    }

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";

    fn try_of(trace: &Arc<Trace>) -> Try {
        Try::begin(trace, &Method::GET, ("origin.example", 80, false), ("", "/a?token=hush"), 0)
    }

    #[test]
    fn a_callers_flag_decides_and_where_there_is_none_the_share() {
        let begun = |share, lines: &[(&'static str, &str)]| {
            let (tracer, _spans) = Tracer::new(share, 1, Clock::system());
            tracer.begin(&fields(lines), false, Duration::ZERO)
        };
        let (yes, no) = (format!("{PARENT}1"), format!("{PARENT}0"));
        assert!(begun(0.0, &[("traceparent", &yes)]).is_sampled());
        assert!(!begun(1.0, &[("traceparent", &no)]).is_sampled());
        assert_eq!(begun(0.0, &[("traceparent", &yes)]).own().trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert!(begun(1.0, &[("traceparent", "nonsense")]).is_sampled());
        assert!(!begun(0.0, &[]).is_sampled());
        let (tracer, _spans) = Tracer::new(0.25, 1, Clock::system());
        let sampled = (0..10_000).filter(|_| tracer.begin(&HeaderMap::new(), false, Duration::ZERO).is_sampled());
        let sampled = sampled.count();
        assert!((2_200..2_800).contains(&sampled), "{sampled}");
    }

    #[test]
    fn the_origin_is_told_of_the_try_and_of_nothing_that_cannot_be() {
        let (tracer, _spans) = Tracer::new(1.0, 9, Clock::system());
        let marked = |lines: &[(&'static str, &str)]| {
            let mut fields = fields(lines);
            let trace = tracer.begin(&fields, false, Duration::ZERO);
            let one = try_of(&trace);
            one.mark(&mut fields);
            (fields, trace, one.number)
        };
        let yes = format!("{PARENT}1");
        let (fields, trace, number) = marked(&[("traceparent", &yes), ("tracestate", "a=1"), ("tracestate", "b=2")]);
        assert_eq!(fields["traceparent"], format!("00-{:032x}-{number:016x}-01", trace.own().trace));
        assert_eq!(fields.get_all("tracestate").iter().collect::<Vec<_>>(), ["a=1,b=2"]);
        assert_ne!(number, trace.own().span);
        let (fields, _, _) = marked(&[("traceparent", "nonsense"), ("tracestate", "a=1"), ("baggage", "k=v")]);
        assert_ne!(fields["traceparent"], "nonsense");
        assert!(!fields.contains_key("tracestate"), "a state without a context says nothing");
        assert_eq!(fields["baggage"], "k=v");
        let no = format!("{PARENT}0");
        assert!(marked(&[("traceparent", &no)]).0["traceparent"].to_str().unwrap().ends_with("-00"));
    }

    #[test]
    fn a_try_is_told_once_whatever_becomes_of_it_and_lost_where_there_is_no_room() {
        let (tracer, mut spans) = Tracer::new(1.0, 2, Clock::system());
        let trace = tracer.begin(&HeaderMap::new(), false, Duration::ZERO);
        drop(try_of(&trace));
        try_of(&trace).ended(Ok((StatusCode::OK, http::Version::HTTP_11)));
        let results: Vec<_> = std::iter::from_fn(|| spans.try_recv().ok())
            .map(|span| match span {
                Span::Try(_, _, ended) => ended.result,
                Span::Request(..) => panic!("{span:?}"),
            })
            .collect();
        assert_eq!(results, [Err("given-up"), Ok(StatusCode::OK)]);
        (0..5).for_each(|_| drop(try_of(&trace)));
        assert_eq!(tracer.all_lost(), 3);
    }

    #[test]
    fn what_is_not_sampled_is_not_told() {
        let (tracer, mut spans) = Tracer::new(0.0, 2, Clock::system());
        let trace = tracer.begin(&HeaderMap::new(), false, Duration::ZERO);
        drop(try_of(&trace));
        assert!(spans.try_recv().is_err());
        assert_eq!((trace.linkable(), tracer.all_lost()), (None, 0));
    }

    #[test]
    fn what_nobody_waits_for_is_a_trace_of_its_own_that_knows_where_it_comes_from() {
        let (tracer, _spans) = Tracer::new(1.0, 2, Clock::system());
        let trace = tracer.begin(&HeaderMap::new(), false, Duration::ZERO);
        let apart = trace.apart();
        assert_ne!(apart.own().trace, trace.own().trace);
        assert_eq!((apart.link(), apart.parent_of_tries()), (Some(trace.own()), None));
        assert_eq!(trace.parent_of_tries(), Some(trace.own().span));
    }
}
