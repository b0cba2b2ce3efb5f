//! One request, as log and metrics want to know it.

use crate::gateway::Outcome;
use crate::trace::Trace;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode, Version};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One request, made when its answer's body has ended or broken off.
#[derive(Clone, Debug)]
pub struct Record {
    /// What became of it.
    pub outcome: Outcome,
    /// Its method.
    pub method: Method,
    /// The host it was for: `Host` or `:authority`.
    pub host: Option<HeaderValue>,
    /// Path and query as the client wrote them; `None` where there was none (`OPTIONS *`, a bad request).
    pub target: Option<PathAndQuery>,
    /// The client's version of HTTP.
    pub version: Version,
    /// The status the client got.
    pub status: StatusCode,
    /// The client's end of the connection.
    pub peer: SocketAddr,
    /// Bytes of body that were handed to the connection.
    pub bytes_out: u64,
    /// From the end of the request's head to the end of the answer's body.
    pub took: Duration,
    /// `User-Agent`; only the combined format shows it.
    pub user_agent: Option<HeaderValue>,
    /// `Referer`; only the combined format shows it, redacted.
    pub referer: Option<HeaderValue>,
    /// Its trace, where there are traces.
    pub trace: Option<Arc<Trace>>,
}
