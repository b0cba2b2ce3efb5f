//! `[[events.source]]`.

use crate::upstream::TlsClient;
use ::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::config::{Host, SslMode};

/// A source of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `name`: what metrics and log call it.
    pub name: Arc<str>,
    /// Where it is, with what it takes to be let in.
    pub url: Url,
    /// `tls`: whom to trust, instead of the system's roots.
    pub tls: Option<TlsClient>,
    /// `connect_timeout`: how long it may take to be connected, and to answer.
    pub connect_timeout: Duration,
    /// `backoff`: the first wait before it is connected to again.
    pub backoff: Duration,
    /// `max_backoff`: the longest.
    pub max_backoff: Duration,
    /// `keepalive`: how long a connection may be silent before it is asked for a sign of life.
    pub keepalive: Duration,
    /// `kind`, with what only that kind has.
    pub kind: Kind,
}

/// What is spoken with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A PostgreSQL server, by LISTEN.
    Postgres(Postgres),
    /// A Redis server, or one that speaks like it, by streams.
    Redis(Redis),
}

/// What only PostgreSQL has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// `channels`: the names after LISTEN.
    pub channels: Vec<String>,
}

/// What only Redis has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// `streams`: keys of streams.
    pub streams: Vec<String>,
    /// `block`: how long one question waits for something new.
    pub block: Duration,
    /// `count`: how many entries of a stream are read at a time.
    pub count: usize,
}

/// The address of a source; it may hold a password, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Kind {
    /// As the file calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Postgres(_) => "postgres",
            Kind::Redis(_) => "redis",
        }
    }

    /// The channels or streams that are listened to.
    pub fn channels(&self) -> &[String] {
        match self {
            Kind::Postgres(postgres) => &postgres.channels,
            Kind::Redis(redis) => &redis.streams,
        }
    }
}

impl Source {
    /// Whether a handshake may come.
    pub(super) fn may_need_tls(&self) -> bool {
        match &self.kind {
            Kind::Postgres(_) => self.url.postgres().is_some_and(|config| config.get_ssl_mode() != SslMode::Disable),
            Kind::Redis(_) => self.url.redis().is_some_and(|(_, tls)| tls),
        }
    }
}

impl Url {
    /// As the file, a variable or a file of its own has it.
    pub fn new(text: String) -> Self {
        Url(text)
    }

    /// With its secrets.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// What it says of a PostgreSQL server, if it does: `postgres://…`, or words as `host=… user=…`. rustls always verifies the
    /// server's name and chain, so that libpq's `verify-ca` and `verify-full` are the same as `require`.
    pub fn postgres(&self) -> Option<tokio_postgres::Config> {
        let (before, after) = self.0.rsplit_once('?').unwrap_or(("", &self.0));
        let after =
            after.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
        let text = if before.is_empty() { after } else { format!("{before}?{after}") };
        let config: tokio_postgres::Config = text.parse().ok()?;
        let somewhere = !config.get_hosts().is_empty() || !config.get_hostaddrs().is_empty();
        (somewhere && config.get_user().is_some()).then_some(config)
    }

    /// What it says of a Redis server, if it does: `redis://…`, `rediss://…` or `redis+unix://…`, or the same with `valkey`; and whether
    /// TLS is spoken there. One that asks for TLS without a look at the certificate says nothing.
    pub fn redis(&self) -> Option<(ConnectionInfo, bool)> {
        // The library knows TLS by connectors of its own only, and we have ours.
        let plain = [("rediss://", "redis://"), ("valkeys://", "valkey://")]
            .iter()
            .find_map(|(tls, plain)| Some(format!("{plain}{}", self.0.strip_prefix(tls)?)));
        let tls = plain.is_some();
        if tls && self.0.contains('#') {
            return None;
        }
        Some((plain.as_deref().unwrap_or(&self.0).into_connection_info().ok()?, tls))
    }

    /// Whether it holds a password.
    pub fn has_password(&self) -> bool {
        let postgres = self.postgres().is_some_and(|config| config.get_password().is_some());
        postgres || self.redis().is_some_and(|(info, _)| info.redis_settings().password().is_some())
    }

    /// Whether a PostgreSQL server may be talked to in the clear over a network.
    pub fn is_postgres_in_the_clear(&self) -> bool {
        let far = |host: &Host| match host {
            Host::Tcp(name) => !is_here(name),
            Host::Unix(_) => false,
        };
        self.postgres()
            .is_some_and(|config| config.get_ssl_mode() != SslMode::Require && config.get_hosts().iter().any(far))
    }

    /// Whether a Redis server is talked to in the clear over a network.
    pub fn is_redis_in_the_clear(&self) -> bool {
        self.redis()
            .is_some_and(|(info, tls)| !tls && matches!(info.addr(), ConnectionAddr::Tcp(host, _) if !is_here(host)))
    }
}

/// Whether it is this machine.
fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

impl Debug for Url {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}
