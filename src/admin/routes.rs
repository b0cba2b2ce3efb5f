//! What there is on the admin port, and which role each call needs.

use super::guard::{self, Guard, at_least};
use super::house::House;
use super::problem::Problem;
use super::settings::Role::{Administrator, Operator, Viewer};
use super::{apis, audit, entries, events, explain, openapi, panel, purge, read, reload, session, traffic};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use axum::{Extension, Router};
use std::sync::Arc;
use std::time::Duration;

/// How long a call may take. A dry run that is still scanning then, and a reload, is left to end by itself.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

type Routes = Router<Arc<dyn House>>;

/// The admin port.
pub(super) fn admin(house: Arc<dyn House>, guard: Arc<Guard>, metrics_public: bool) -> Router {
    let (public, guarded) = if metrics_public {
        (health().route("/metrics", get(read::metrics)), guarded())
    } else {
        (health(), guarded().route("/metrics", at_least(Viewer, get(read::metrics))))
    };
    let guarded = guarded
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&guard), guard::authenticate));
    let public = public.merge(browsers(guard)).method_not_allowed_fallback(method_not_allowed);
    dressed(public.merge(guarded)).with_state(house)
}

/// The probe port: health and metrics only.
pub(super) fn probe(house: Arc<dyn House>) -> Router {
    let routes = health().route("/metrics", get(read::metrics));
    dressed(routes.fallback(not_found).method_not_allowed_fallback(method_not_allowed)).with_state(house)
}

fn health() -> Routes {
    Router::new().route("/livez", get(read::livez)).route("/readyz", get(read::readyz))
}

/// The panel's page and files, and the way in, which are for everybody; the way out, and who one is, which aren't.
fn browsers(guard: Arc<Guard>) -> Routes {
    let authenticated = middleware::from_fn_with_state(Arc::clone(&guard), guard::authenticate);
    let session = get(session::whoami).delete(session::sign_out).route_layer(authenticated).post(session::sign_in);
    Router::new()
        .route("/", get(panel::page))
        .route("/panel/{*file}", get(panel::file))
        .route("/session", session.layer(Extension(guard)))
}

fn guarded() -> Routes {
    Router::new()
        .route("/v1/apis", at_least(Viewer, get(apis::list)))
        .route("/v1/apis/{name}/{version}", at_least(Viewer, get(apis::one)))
        .route("/v1/apis/{name}/{version}", at_least(Operator, patch(apis::patch)))
        .route("/v1/apis/{name}/{version}", at_least(Administrator, put(apis::put).delete(apis::remove)))
        .route("/v1/apis/{name}/{version}/cache", at_least(Operator, delete(purge::api)))
        .route("/v1/traffic", at_least(Viewer, get(traffic::traffic)))
        .route("/v1/cache", at_least(Administrator, delete(purge::everything)))
        .route("/v1/purge", at_least(Operator, post(purge::selected)))
        .route("/v1/events", at_least(Operator, post(events::take).options(events::handshake)))
        .route("/v1/entries", at_least(Viewer, get(entries::list)))
        .route("/v1/explain", at_least(Viewer, post(explain::explain)))
        .route("/v1/config", at_least(Viewer, get(read::config)))
        .route("/v1/config/reload", at_least(Administrator, post(reload::reload)))
        .route("/openapi.json", at_least(Viewer, get(openapi::openapi)))
        .route("/v1/audit", at_least(Administrator, get(audit::list)))
}

async fn not_found() -> Problem {
    Problem::not_found()
}

/// `Allow` is added by the router, which knows the methods.
async fn method_not_allowed() -> Problem {
    let detail = "this path has other methods; see the Allow field";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
}

/// What browsers are told with every answer: it loads nothing, is shown in no frame, is taken for nothing but its type, gives nothing
/// away about where its reader goes, and is of no use to pages from elsewhere. The panel's page says itself what it loads, which is from
/// here and nowhere else.
const BROWSERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What holds for every answer: it comes in time, nobody keeps it (but the panel's files, which say so), and browsers are on their guard.
fn dressed(routes: Routes) -> Routes {
    routes.layer(middleware::from_fn(|request: Request, next: Next| async move {
        let mut response = match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
            Ok(response) => response,
            Err(_) => too_slow().into_response(),
        };
        let headers = response.headers_mut();
        for (name, value) in BROWSERS.into_iter().chain([(header::CACHE_CONTROL, "no-store")]) {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        Response::from(response)
    }))
}

fn too_slow() -> Problem {
    let detail = format!("the call took longer than {} s", REQUEST_TIMEOUT.as_secs());
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-slow", "The call took too long", detail)
}
