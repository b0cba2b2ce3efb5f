//! PostgreSQL: LISTEN, and what NOTIFY says.
//!
//! # Why nothing is missed
//! A server keeps no notification for who isn't there. What was sent while nobody listened is lost, and nobody can say whether
//! anything was. So every connection begins with a gap, told *after* LISTEN was acknowledged: a change that was committed before LISTEN
//! took effect was committed before the gap is told, and what is invalidated then was asked for before or is asked for anew; a
//! change that is committed afterwards is notified. Told before LISTEN there would be a moment between the two that neither covers.
//!
//! Also the first connection begins with one: a snapshot or the process before this one may have filled the cache long ago.
//!
//! A notification is sent when its transaction commits, so who asks the database after having heard it sees what it is about (unless
//! it asks a replica that lags).
//!
//! # Why a dead connection is noticed
//! A server that is gone says nothing, and neither does one that has nothing to say. So after `keepalive` of silence it is asked for
//! an answer, an empty query, which has to come in `connect_timeout`. TCP's own keepalive stands behind that.
//!
//! LISTEN holds for a session: a pooler in between has to pool sessions, not transactions, or be gone around.

use super::ear::Ear;
use super::failure::Failure;
use super::settings::{Postgres, Source};
use crate::upstream::TlsClient;
use bytes::Bytes;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Config, Connection, Error, Notification, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What comes before LISTEN is acknowledged is kept up to here. Beyond, the gap speaks for it.
const EARLY: usize = 1000;

/// Listens until that fails.
pub(super) async fn listen(
    source: &Source,
    postgres: &Postgres,
    ear: &Ear,
    tls: &TlsClient,
) -> Result<Infallible, Failure> {
    let config = config(source)?;
    let servers = u32::try_from(config.get_hosts().len().max(config.get_hostaddrs().len()).max(1)).unwrap_or(u32::MAX);
    let patience = source.connect_timeout.saturating_mul(servers);
    let connecting = timeout(patience, config.connect(connector(tls)?)).await.map_err(|_| slow("be connected to"))?;
    let (client, mut connection) = connecting.map_err(failure)?;

    let mut early = Vec::new();
    let statement = statement(&postgres.channels);
    let listened = client.batch_execute(&statement);
    meanwhile(&mut connection, patience, listened, |message| {
        if early.len() < EARLY {
            early.push(message);
        }
    })
    .await?;
    ear.gap();
    ear.connected();
    early.into_iter().for_each(|message| tell(ear, message));
    loop {
        match timeout(source.keepalive, poll_fn(|cx| connection.poll_message(cx))).await {
            Ok(message) => heard(message)?.into_iter().for_each(|message| tell(ear, message)),
            Err(_silent) => {
                let asked = client.batch_execute("");
                meanwhile(&mut connection, patience, asked, |message| tell(ear, message)).await?;
            }
        }
    }
}

fn tell(ear: &Ear, message: Notification) {
    ear.message(message.channel(), Bytes::copy_from_slice(message.payload().as_bytes()));
}

/// Waits for the outcome of `work` while the connection is kept going; what comes on it goes to `take`.
async fn meanwhile<S, T>(
    connection: &mut Connection<S, T>,
    patience: Duration,
    work: impl Future<Output = Result<(), Error>>,
    mut take: impl FnMut(Notification),
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let both = async {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done.map_err(failure),
                message = poll_fn(|cx| connection.poll_message(cx)) => heard(message)?.into_iter().for_each(&mut take),
            }
        }
    };
    timeout(patience, both).await.map_err(|_| slow("answer"))?
}

/// What came: a notification, or something that is only worth a word.
fn heard(message: Option<Result<AsyncMessage, Error>>) -> Result<Option<Notification>, Failure> {
    match message {
        Some(Ok(AsyncMessage::Notification(notification))) => Ok(Some(notification)),
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(failure(error)),
        None => Err(Failure::passing("the server has closed the connection")),
    }
}

fn slow(what: &str) -> Failure {
    Failure::passing(format!("the server took too long to {what}"))
}

/// All channels in one statement, so that they are listened to from one moment on.
fn statement(channels: &[String]) -> String {
    channels.iter().map(|channel| format!("LISTEN \"{}\";", channel.replace('"', "\"\""))).collect()
}

fn config(source: &Source) -> Result<Config, Failure> {
    // The configuration was checked with this.
    let mut config = source.url.postgres().ok_or_else(|| Failure::lasting("the url can't be read"))?;
    if config.get_application_name().is_none() {
        config.application_name("freshgate");
    }
    config.connect_timeout(source.connect_timeout);
    config.tcp_user_timeout(source.connect_timeout);
    config.keepalives(true).keepalives_idle(source.keepalive);
    config.keepalives_interval((source.keepalive / 3).max(Duration::from_secs(1))).keepalives_retries(3);
    Ok(config)
}

/// [`MakeRustlsConnect`], but that the certificate may have to be for another name than the url's host.
#[derive(Clone)]
struct Connector {
    rustls: MakeRustlsConnect,
    name: Option<String>,
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;
    type Error = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, Self::Error> {
        MakeTlsConnect::<Socket>::make_tls_connect(&mut self.rustls, self.name.as_deref().unwrap_or(host))
    }
}

fn connector(tls: &TlsClient) -> Result<Connector, Failure> {
    let config = tls.offering(&[b"postgresql"]).map_err(|error| Failure::of(&error))?;
    Ok(Connector { rustls: MakeRustlsConnect::new(config), name: tls.files().name.clone() })
}

/// Refusals that only a person can mend: of who we are, of the database, of what we may, of LISTEN on a standby.
fn failure(error: Error) -> Failure {
    let Some(refusal) = error.as_db_error() else { return Failure::of(&error) };
    let code = refusal.code();
    let reason = format!("{} (SQLSTATE {})", refusal.message(), code.code());
    let kinds = ["28", "3D", "42", "0A", "25"];
    let lasting = kinds.iter().any(|kind| code.code().starts_with(kind)) || *code == SqlState::NAME_TOO_LONG;
    if lasting { Failure::lasting(reason) } else { Failure::passing(reason) }
}
