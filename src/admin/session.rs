//! `/session`: how a browser signs in with a token, asks who it is, and signs out.

use super::body::{self, must_be_json};
use super::guard::{Guard, InSession, Peer};
use super::problem::Problem;
use super::read::TheHouse;
use super::selector::Object;
use super::settings::Role;
use super::tokens::Caller;
use crate::audit::Act;
use axum::extract::{Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Bytes of the body with a token.
const BODY_LIMIT: usize = 4 << 10;

/// The body of `POST /session`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// A secret of `[[admin.tokens]]`.
    token: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignedIn {
    /// `name` of the token.
    name: String,
    /// What it may do.
    role: Role,
    /// What calls other than GET and HEAD must send as `X-Freshgate-CSRF`; `null` for who shows a token or a certificate with each call.
    csrf: Option<String>,
}

/// Signs a browser in with a token.
///
/// The answer sets a cookie that scripts don't see. Calls with it, other than GET and HEAD, need `X-Freshgate-CSRF` with the `csrf` of this answer.
#[utoipa::path(
    post,
    path = "/session",
    tag = "session",
    security(()),
    request_body = SignIn,
    responses(
        (status = 200, description = "Signed in", body = SignedIn, headers(("Set-Cookie" = String, description = "The session"))),
        (status = 400, description = "No body with a token"),
        (status = 401, description = "Not a token of this gateway"),
        (status = 403, description = "Another site's page asks"),
        (status = 415, description = "Not JSON"),
        (status = 429, description = "Too many wrong tokens came from this address; Retry-After tells how long to wait"),
        (status = 503, description = "No session can begin, or the call took too long"),
    ),
)]
pub(super) async fn sign_in(
    State(house): TheHouse,
    Extension(guard): Extension<Arc<Guard>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, content) = request.into_parts();
    guard.must_be_at_home(&head.headers, &peer)?;
    must_be_json(&head.headers, "application/json")?;
    let content = body::read(content, BODY_LIMIT).await?;
    // What is wrong is not repeated: it may be the token.
    let asked: Result<Object<SignIn>, _> = serde_json::from_slice(&content);
    let Object(SignIn { token }) = asked.map_err(|_| Problem::bad_request("expected {\"token\": \"…\"}"))?;
    let begun = guard.sign_in(token.trim().as_bytes(), &peer)?;
    house.audit().record(&begun.caller.at(peer.address), Act::SignIn);
    let (name, role) = (begun.caller.name, begun.caller.role);
    let signed_in = SignedIn { name, role, csrf: Some(begun.session.second) };
    Ok((cookie(&peer, &begun.session.id, ""), Json(signed_in)).into_response())
}

/// Says who asks.
#[utoipa::path(
    get,
    path = "/session",
    tag = "session",
    extensions(("x-role" = json!("viewer"))),
    responses((status = 200, description = "Who is signed in", body = SignedIn)),
)]
pub(super) async fn whoami(by: Extension<Caller>, session: Option<Extension<InSession>>) -> Json<SignedIn> {
    let csrf = session.map(|session| session.0.second);
    Json(SignedIn { name: by.0.name, role: by.0.role, csrf })
}

/// Signs a browser out. Who shows a token has no session, and nothing ends.
#[utoipa::path(
    delete,
    path = "/session",
    tag = "session",
    extensions(("x-role" = json!("viewer"))),
    responses((status = 204, description = "Signed out")),
)]
pub(super) async fn sign_out(
    State(house): TheHouse,
    Extension(guard): Extension<Arc<Guard>>,
    Extension(peer): Extension<Peer>,
    by: Extension<Caller>,
    session: Option<Extension<InSession>>,
) -> impl IntoResponse {
    if let Some(session) = session {
        guard.sign_out(&session.id);
        house.audit().record(&by.at(peer.address), Act::SignOut);
    }
    (StatusCode::NO_CONTENT, cookie(&peer, "", "; Max-Age=0"))
}

/// Scripts don't see it, and it is sent with requests that pages of this site have made, and no others (RFC 6265bis §5.6.7).
fn cookie(peer: &Peer, id: &str, more: &str) -> [(HeaderName, String); 1] {
    let secure = if peer.encrypted { "; Secure" } else { "" };
    let text = format!("{}={id}; Path=/; HttpOnly; SameSite=Strict{secure}{more}", peer.cookie());
    [(header::SET_COOKIE, text)]
}
