//! `Cache-Status` (RFC 9211): what the cache did with a request, in the words of the RFC.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, StatusCode};

/// How we call ourselves in `Via` (RFC 9110 §7.6.3).
pub(super) const VIA_VALUE: HeaderValue = HeaderValue::from_static("1.1 freshgate");

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a request went forward (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fwd {
    /// The cache is passed by on purpose.
    Bypass,
    /// The method isn't answered from the cache.
    Method,
    /// Nothing is stored for the URI.
    UriMiss,
    /// What is stored was selected by other fields (`Vary`), or is another caller's.
    VaryMiss,
    /// What was stored doesn't count any more: it was invalidated.
    Miss,
    /// What the client asked for (`no-cache`, `max-age`, a precondition) can't be answered from the cache.
    Request,
    /// What is stored is stale.
    Stale,
    /// A part was asked for and the whole isn't stored.
    Partial,
}

impl Fwd {
    fn name(self) -> &'static str {
        match self {
            Fwd::Bypass => "bypass",
            Fwd::Method => "method",
            Fwd::UriMiss => "uri-miss",
            Fwd::VaryMiss => "vary-miss",
            Fwd::Miss => "miss",
            Fwd::Request => "request",
            Fwd::Stale => "stale",
            Fwd::Partial => "partial",
        }
    }
}

/// One member of the list: ours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Status {
    pub(super) hit: bool,
    pub(super) fwd: Option<Fwd>,
    pub(super) fwd_status: Option<StatusCode>,
    /// Seconds of freshness left, negative when stale; `None` where it has no end or isn't known.
    pub(super) ttl: Option<i64>,
    pub(super) stored: bool,
    pub(super) collapsed: bool,
    pub(super) detail: Option<&'static str>,
}

impl Status {
    pub(super) fn hit(ttl: Option<i64>) -> Self {
        Status { hit: true, ttl, ..Status::default() }
    }

    pub(super) fn fwd(fwd: Fwd) -> Self {
        Status { fwd: Some(fwd), ..Status::default() }
    }

    /// Appends our member after those of caches nearer to the origin.
    pub(super) fn write(&self, fields: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(self.text())) {
            fields.append(CACHE_STATUS, value);
        }
    }

    /// Our member.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(64);
        text.push_str("freshgate");
        if self.hit {
            text.push_str("; hit");
        }
        if let Some(fwd) = self.fwd {
            text.push_str("; fwd=");
            text.push_str(fwd.name());
        }
        if let Some(status) = self.fwd_status {
            text.push_str("; fwd-status=");
            text.push_str(status.as_str());
        }
        if let Some(ttl) = self.ttl {
            text.push_str("; ttl=");
            text.push_str(itoa::Buffer::new().format(ttl));
        }
        for (set, word) in [(self.stored, "; stored"), (self.collapsed, "; collapsed")] {
            if set {
                text.push_str(word);
            }
        }
        if let Some(detail) = self.detail {
            text.push_str("; detail=");
            text.push_str(detail);
        }
        text
    }
}
