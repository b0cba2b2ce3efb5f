//! One URL that is asked with GET: an issuer's keys, a judge of callers. Over connections of its own, as origins are asked.

use crate::body::Body;
use crate::clock::Clock;
use crate::tasks::Tasks;
use crate::upstream::{Budget, Endpoint, HostChoice, Origin, Resolver, Settings, Timeouts, TlsClient};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::BodyExt;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a check needs that asks somebody else.
#[derive(Clone, Debug)]
pub struct Outside {
    /// How servers are trusted.
    pub tls: TlsClient,
    /// Who knows where they are.
    pub resolver: Resolver,
    /// Where its tasks run.
    pub tasks: Tasks,
    /// Time.
    pub clock: Clock,
    /// How much may be asked at a time.
    pub budget: Arc<Budget>,
    /// How many requests may wait for what was asked.
    pub waiting: Arc<Budget>,
}

/// A URL as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The URL, as written.
    pub text: String,
    /// The server.
    pub endpoint: Endpoint,
    /// Path and query.
    pub target: Uri,
}

impl Url {
    /// As logs and the admin port show it: a query may hold a secret.
    pub fn shown(&self) -> Cow<'_, str> {
        match self.text.split_once('?') {
            None => Cow::Borrowed(&self.text),
            Some((bare, _)) => Cow::Owned(format!("{bare}?redacted")),
        }
    }
}

/// A URL that can be asked once it was [joined](Remote::join) with the outside.
pub(super) struct Remote {
    pub(super) url: Url,
    timeouts: Timeouts,
    joined: OnceLock<(Outside, Origin)>,
}

impl Remote {
    /// An answer takes `timeout` at most, its content included.
    pub(super) fn new(url: Url, timeout: Duration) -> Self {
        let timeouts = Timeouts { connect: timeout, first_byte: timeout, between_bytes: timeout, total: Some(timeout) };
        Remote { url, timeouts, joined: OnceLock::new() }
    }

    /// Whether this was the first time.
    pub(super) fn join(&self, outside: &Outside) -> bool {
        let around = || (outside.tls.clone(), outside.resolver.clone(), outside.tasks.clone());
        let endpoint = || vec![self.url.endpoint.clone()];
        let origin = || Origin::with("auth", endpoint(), &Settings::default(), around(), outside.clock.clone());
        let origin = || origin().within(Arc::clone(&outside.budget));
        self.joined.get().is_none() && self.joined.set((outside.clone(), origin())).is_ok()
    }

    /// `None` as long as nobody has joined it.
    pub(super) fn outside(&self) -> Option<&Outside> {
        self.joined.get().map(|(outside, _)| outside)
    }

    /// Asks. Of a content longer than `most` nothing but `None` is told.
    pub(super) async fn get(&self, fields: HeaderMap, most: usize) -> Result<Response<Option<Bytes>>, &'static str> {
        let Some((_, origin)) = self.joined.get() else { return Err("not-joined") };
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = self.url.target.clone();
        *request.headers_mut() = fields;
        let answer = origin.ask(request, &HostChoice::Endpoint, &self.timeouts, None).await;
        let (head, body) = answer.map_err(|error| error.kind.name())?.into_parts();
        let content = content(body, most).await?;
        Ok(Response::from_parts(head, content))
    }
}

async fn content(mut body: Body, most: usize) -> Result<Option<Bytes>, &'static str> {
    let mut content = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|error| error.name())?.into_data() else { continue };
        if content.len() + piece.len() > most {
            return Ok(None);
        }
        content.extend_from_slice(&piece);
    }
    Ok(Some(content.freeze()))
}
