//! `GET /openapi.json`: what there is on this port, as OpenAPI 3.1 says it.
//!
//! It is made of what stands above each call (`#[utoipa::path]`) and of the types that are read and written. What holds for every call
//! is added here, once: that a token is asked for, and the answers that the rooms before the calls give.

use super::problem::Shape;
use super::{apis, audit, entries, events, explain, purge, read, reload, session, traffic};
use axum::Json;
use std::sync::LazyLock;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Freshgate admin API",
        description = "Shows and changes a running gateway. Errors are problem+json (RFC 9457) with a stable `type`. \
                       `x-role` of a call is the lowest role that may use it: viewer, operator or administrator.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        read::livez,
        read::readyz,
        read::metrics,
        apis::list,
        apis::one,
        apis::put,
        apis::patch,
        apis::remove,
        purge::api,
        purge::everything,
        purge::selected,
        events::take,
        events::handshake,
        read::config,
        reload::reload,
        audit::list,
        entries::list,
        explain::explain,
        traffic::traffic,
        session::sign_in,
        session::whoami,
        session::sign_out,
        openapi,
    ),
    components(schemas(Shape)),
    security(("token" = [])),
    modifiers(&Everywhere),
)]
struct Description;

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "look",
    extensions(("x-role" = json!("viewer"))),
    responses((status = 200, description = "This description", body = serde_json::Value)),
)]
pub(super) async fn openapi() -> Json<&'static utoipa::openapi::OpenApi> {
    static MADE: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(Description::openapi);
    Json(&MADE)
}

/// What is the same for all calls.
struct Everywhere;

const PROBLEM: &str = "application/problem+json";

/// What can become of a body.
const BODIES: [(&str, &str); 2] = [("408", "The body took too long"), ("413", "The body is too large")];

/// Answers that whoever shows no good token gets, or comes at a bad time: status and when.
const GUARDED: [(&str, &str); 3] = [
    ("401", "No token, or none that is known"),
    ("429", "Too many wrong tokens came from this address; Retry-After tells how long to wait"),
    ("503", "The call took too long"),
];

impl Modify for Everywhere {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token of [[admin.tokens]]"));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer.build()));
        for operation in openapi.paths.paths.values_mut().flat_map(operations) {
            let with_body: &[_] = if operation.request_body.is_some() { &BODIES } else { &[] };
            add(operation, with_body);
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && status.starts_with(['4', '5'])
                {
                    response.content.insert(PROBLEM.into(), as_problem().into());
                }
            }
            let Some(role) = operation.extensions.as_ref().and_then(|more| more.get("x-role")) else { continue };
            let forbidden: &[_] = if role == "viewer" { &[] } else { &[("403", "The token's role is too low")] };
            add(operation, forbidden);
            add(operation, &GUARDED);
        }
    }
}

/// Answers that are problems, where the call itself doesn't say what they mean there.
fn add(operation: &mut Operation, problems: &[(&str, &str)]) {
    for (status, says) in problems {
        let response = || ResponseBuilder::new().description(*says).content(PROBLEM, as_problem()).build().into();
        operation.responses.responses.entry((*status).into()).or_insert_with(response);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, patch, .. } = item;
    [get, put, post, delete, options, patch].into_iter().flatten()
}

fn as_problem() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa::openapi::Schema;

    #[test]
    fn no_schema_is_lost() {
        for (name, schema) in &Description::openapi().components.unwrap().schemas {
            let RefOr::T(Schema::Object(object)) = schema else { continue };
            let says = !object.properties.is_empty() || object.enum_values.is_some();
            assert!(says, "{name}: what is written there isn't a schema");
        }
    }
}
