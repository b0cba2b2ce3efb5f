//! `[admin]`, `[[admin.tokens]]`.

use super::bounds;
use super::read::no_twins;
use super::secret::{beside, secret};
use super::server::{Bound, address};
use super::table::{Table, Value};
use super::tls::tls;
use super::words::ROLE;
use crate::admin::{Limits, Proof, SessionTimes, Settings, Token};
use std::net::SocketAddr;

/// Reads `[admin]`; its addresses are added to `bound`. Without the section there is no admin API.
pub(super) fn admin<'a>(root: &Table<'a>, bound: &mut Vec<Bound<'a>>) -> Settings {
    let mut settings = Settings::default();
    let Some(table) = root.table("admin") else { return settings };
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 9090));
    table.set("listen", &mut listen, address);
    settings.listen = Some(listen);
    bound.push((table.place_of("listen"), listen));
    let insecure = table.get("insecure", Value::bool).unwrap_or(false);
    settings.tls = tls(&table);
    if !insecure && !listen.ip().is_loopback() && table.find("tls").is_none() {
        let reason = "tokens would cross the network unencrypted";
        table.place_of("listen").fault(format!(
            "found {listen}, expected a loopback address such as 127.0.0.1:9090: {reason}; `tls` encrypts them, \
             `insecure = true` allows it"
        ));
    }
    if let Some(probe) = table.get("probe_listen", address) {
        bound.push((table.place_of("probe_listen"), probe));
        settings.probe_listen = Some(probe);
    }
    settings.audit_file = table.get("audit_file", |value| Some(beside(value, value.text()?)));
    table.set("metrics_public", &mut settings.metrics_public, Value::bool);
    let SessionTimes { idle, lifetime } = &mut settings.sessions;
    table.set("session_idle", idle, |v| v.duration(&bounds::SESSION));
    table.set("session_lifetime", lifetime, |v| v.duration(&bounds::SESSION));
    if let Some(t) = table.table("limits") {
        settings.limits = limits(t);
    }
    let certificates = settings.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    settings.tokens = tokens(&table, certificates);
    if table.find("tokens").is_none_or(|tokens| tokens.value.as_array().is_some_and(|all| all.is_empty())) {
        table.at.warn("no tokens: only health answers, everything else is refused");
    }
    table.finish();
    settings
}

fn limits(t: Table<'_>) -> Limits {
    let mut l = Limits::default();
    t.set("connections", &mut l.connections, |v| v.count(bounds::ADMIN_CONNECTIONS));
    t.set("sessions", &mut l.sessions, |v| v.count(bounds::SESSIONS));
    t.set("sessions_per_token", &mut l.sessions_per_token, |v| v.count(bounds::SESSIONS));
    t.set("wrong_tokens", &mut l.wrong_tokens, |v| v.count(bounds::WRONG_TOKENS));
    t.finish();
    l
}

/// `certificates`: whether clients are asked for theirs.
pub(super) fn tokens(of: &Table<'_>, certificates: bool) -> Vec<Token> {
    let tables = of.tables("tokens", bounds::TOKENS);
    let mut names = Vec::new();
    let mut tokens = Vec::new();
    for table in tables {
        let name = table.need("name", "a name such as \"ops\"", |v| v.parsed(token_name));
        names.extend(name.clone().map(|name| (table.place_of("name"), name)));
        let role = table.need("role", "\"viewer\", \"operator\" or \"administrator\"", |v| v.word(ROLE));
        let proof = match table.find("certificate") {
            None => secret(&table, ["sha256", "token_env", "token_file"]).map(Proof::Secret),
            Some(value) => certificate(&table, &value, certificates),
        };
        table.finish();
        if let (Some(name), Some(role), Some(proof)) = (name, role, proof) {
            tokens.push(Token { name, role, proof });
        }
    }
    no_twins(&names);
    tokens
}

/// The common name of a client certificate, in the place of a secret.
fn certificate(table: &Table<'_>, value: &Value<'_>, asked_for: bool) -> Option<Proof> {
    if ["sha256", "token_env", "token_file"].iter().any(|name| table.find(name).is_some()) {
        value.at.fault("stands beside a secret, expected one of the two");
    }
    if !asked_for {
        value.at.fault("needs admin.tls with client_ca, the authorities whose client certificates count");
    }
    value.parsed(token_name).map(Proof::Certificate)
}

fn token_name(text: &str) -> Result<String, &'static str> {
    let plain = text.chars().all(|c| !c.is_control());
    let fits = plain && (1..=64).contains(&text.chars().count());
    fits.then(|| text.into()).ok_or("expected 1 to 64 characters")
}
