//! `[api.auth]` and `[api.route.auth]`.

mod forward;
mod jwt;
mod keys;
mod shown;
mod texts;

use super::table::Table;
use super::words::{NAME_FROM, Words};
use crate::auth::{ClientCertificate, NameFrom, Settings, TrustedHeader};
use serde_json::Value as Json;
use std::sync::Arc;
use texts::field;

/// How callers are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    ApiKey,
    Jwt,
    Forward,
    TrustedHeader,
    ClientCertificate,
}

const KINDS: &Words<Kind> = &[
    ("none", Kind::None),
    ("api-key", Kind::ApiKey),
    ("trusted-header", Kind::TrustedHeader),
    ("jwt", Kind::Jwt),
    ("forward", Kind::Forward),
    ("client-certificate", Kind::ClientCertificate),
];

/// Reads the table `auth` of `t`; it takes the place of what held before as a whole.
pub(super) fn auth(t: &Table<'_>, auth: &mut Settings) {
    let Some(t) = t.table("auth") else { return };
    let kind = t.need(
        "kind",
        "\"none\", \"api-key\", \"jwt\", \"forward\", \"trusted-header\" or \"client-certificate\"",
        |v| v.word(KINDS),
    );
    let read = match kind {
        None => return,
        Some(Kind::None) => Some(Settings::None),
        Some(Kind::ApiKey) => keys::api_key(&t).map(|keys| Settings::ApiKey(Arc::new(keys))),
        Some(Kind::Jwt) => jwt::jwt(&t).map(|jwt| Settings::Jwt(Arc::new(jwt))),
        Some(Kind::Forward) => forward::forward(&t).map(|forward| Settings::Forward(Arc::new(forward))),
        Some(Kind::TrustedHeader) => t
            .need("header", "the name of the field that holds the caller's name", |v| v.parsed(field))
            .map(|header| Settings::TrustedHeader(Arc::new(TrustedHeader { header }))),
        Some(Kind::ClientCertificate) => {
            let name_from = t.get("name_from", |v| v.word(NAME_FROM)).unwrap_or(NameFrom::CommonName);
            let tell = t.get("tell", |v| v.parsed(field));
            Some(Settings::ClientCertificate(Arc::new(ClientCertificate { name_from, tell })))
        }
    };
    t.finish();
    if let Some(read) = read {
        *auth = read;
    }
}

/// `auth` as the file writes it, without what could be guessed at: of keys only whose they are.
pub(super) fn shown(settings: &Settings) -> Json {
    let mut table = shown::whole(settings);
    if let Some(table) = table.as_object_mut() {
        table.retain(|_, value| !value.is_null());
    }
    table
}
