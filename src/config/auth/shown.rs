//! `[api.auth]` and `[api.route.auth]` as the file writes them.

use super::super::words::{NAME_FROM, word};
use crate::auth;
use crate::units::show_duration;
use serde_json::{Value, json};

/// With nothing for what isn't said, for which TOML has no word.
pub(super) fn whole(settings: &auth::Settings) -> Value {
    match settings {
        auth::Settings::None => json!({ "kind": "none" }),
        auth::Settings::Jwt(jwt) => {
            let d = jwt.demands();
            json!({
                "kind": "jwt",
                "algorithms": d.algorithms.iter().map(|a| format!("{a:?}")).collect::<Vec<_>>(),
                "jwks_url": jwt.issuer().map(auth::Url::shown),
                "issuer": d.issuer,
                "audience": d.audience,
                "leeway": show_duration(d.leeway),
                "user_claim": d.user_claim,
                "required_scopes": d.required_scopes,
                "permission_claims": d.permission_claims,
            })
        }
        auth::Settings::ClientCertificate(certificate) => {
            let name_from = word(NAME_FROM, &certificate.name_from);
            let mut table = json!({ "kind": "client-certificate", "name_from": name_from });
            if let Some(tell) = &certificate.tell {
                table["tell"] = json!(tell.as_str());
            }
            table
        }
        auth::Settings::TrustedHeader(trusted) => {
            json!({ "kind": "trusted-header", "header": trusted.header.as_str() })
        }
        auth::Settings::ApiKey(keys) => {
            let (place, name) = match &keys.place {
                auth::Place::Header(name) => ("header", name.as_str()),
                auth::Place::Query(name) => ("query", name.as_str()),
            };
            let users: Vec<_> =
                keys.own().iter().map(|key| json!({ "user": &*key.user, "scopes": &*key.scopes })).collect();
            let file = keys.file().map(|file| file.path().display().to_string());
            json!({
                "kind": "api-key",
                place: name,
                "required_scopes": keys.required_scopes,
                "keys": users,
                "keys_file": file,
            })
        }
        auth::Settings::Forward(forward) => {
            let q = forward.question();
            let names = |all: &[http::HeaderName]| all.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
            json!({
                "kind": "forward",
                "url": q.url.shown(),
                "headers": names(&q.headers),
                "pass_back": names(&q.pass_back),
                "user_header": q.user_header.as_ref().map(http::HeaderName::as_str),
                "remember": show_duration(q.remember),
                "timeout": show_duration(q.timeout),
            })
        }
    }
}
