//! Traces: what a request did here, as spans that a collector puts together with those of its client and its origin.
//!
//! Each request has a [`Trace`]: the trace that it belongs to, which its client has named (`traceparent`, W3C Trace Context) or which begins here, and
//! the number of its own span. Each try at an origin is a [`Try`], a span below it, and names itself to the origin in the same way. A
//! question that nobody waits for begins a trace of its own, with a link to the request that gave rise to it; so has a request that joined
//! somebody else's question a link to whoever asked it.
//!
//! A span that has ended is put into a bounded queue, and whoever has the other end sends it ([`crate::telemetry`]). Nobody waits for
//! that: where there is no room the span is lost and counted. Of a trace that isn't sampled nothing is put there, but its
//! context is passed on all the same, so that those behind us know that they needn't either.
//!
//! Where traces are off there is no [`Tracer`], nobody has a [`Trace`], and a client's context is a field like any other.

mod context;
mod span;

pub use context::{Context, TRACEPARENT, TRACESTATE};
pub(crate) use span::cut;
pub use span::{Ended, Moment, OfRequest, Span, Trace, Tracer, Try};
