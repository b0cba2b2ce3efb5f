//! QUERY: a safe question whose content belongs to its key (draft-ietf-httpbis-safe-method-w-body §2.6).
//!
//! The content is read before anything is looked up, up to `limits.query_body`; a longer one goes to the origin as it is. From there on a
//! QUERY is read like a GET. It never invalidates anything.

use super::Gateway;
use super::admit::Admitted;
use super::outcome::{Answered, Kind};
use super::read::TOO_LONG;
use super::status::Status;
use crate::body::{Body, BodyError};
use crate::client::Client;
use crate::fill::Comer;
use crate::reached::Bound;
use crate::upstream::AskError;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use std::sync::Arc;

/// What became of a content that was to be read whole.
enum Gathered {
    Whole(Bytes),
    /// It is longer than a key may be: all of it.
    TooLong(Body),
    /// It has trailer fields, which no key has: all of it.
    Other(Body),
}

impl Gateway {
    pub(super) async fn query<'a>(
        self: &'a Arc<Self>,
        mut admitted: Admitted,
        body: Body,
        client: &'a Client,
        comer: Comer,
    ) -> Answered {
        match gathered(body, self.settings.query_body).await {
            Ok(Gathered::Whole(content)) => {
                admitted.has_body = false;
                admitted.content = Some(content.clone());
                self.read(admitted, Body::full(content), client, comer, self.clock.now()).answered().await
            }
            Ok(Gathered::TooLong(body)) => {
                self.settings.reached.note(Bound::QueryBody);
                self.pass(admitted, body, client, TOO_LONG, None).await
            }
            Ok(Gathered::Other(body)) => self.pass(admitted, body, client, TOO_LONG, None).await,
            Err(error) => {
                let problem = self.problem(&AskError::of_client(error));
                let api = Some(Arc::clone(&admitted.routed.mounted.id));
                (problem.response(Status::default()), problem.outcome(Kind::Failed, api))
            }
        }
    }
}

async fn gathered(mut body: Body, most: u64) -> Result<Gathered, BodyError> {
    let mut content = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(piece) => content.extend_from_slice(&piece),
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                return Ok(Gathered::Other(Body::with_trailers(content.freeze(), trailers)));
            }
        }
        if content.len() as u64 > most {
            return Ok(Gathered::TooLong(Body::chained(content.freeze(), body)));
        }
    }
    Ok(Gathered::Whole(content.freeze()))
}
