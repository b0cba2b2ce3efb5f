//! Redis (or Valkey): streams, read by XREAD.
//!
//! # Why nothing is missed
//! A stream keeps what was added, so other than with PostgreSQL a lost connection loses nothing: each stream's position is kept in memory,
//! and an entry is passed only when it has been told. The first connection takes the streams' ends for positions and then tells
//! a gap: what was added before lies under the gap, what is added later behind the position. From then on every look at a stream is a
//! transaction that also shows whether something was lost between the last one and this one; `stream.rs` has the argument.
//! Between looks one question waits for a new entry in any of the streams; its answer is only a call to look.
//!
//! Beside that a gap is told after a new connection where the server isn't the same process as before (`run_id`). What a server had acknowledged
//! and we hadn't read may have gone down with it: a file that is written every second, a replica that was behind and leads now.
//! Whoever may not ask for INFO gets a gap with every connection.
//!
//! # Why a dead connection is noticed
//! Each question that waits ends after `block`, with an answer; one that hasn't come `connect_timeout` later doesn't come. TCP's own
//! keepalive stands behind that.

use super::ear::Ear;
use super::entry::{Fields, payload};
use super::failure::Failure;
use super::settings::{Redis, Source};
use super::stream::{Id, Info, Position};
use crate::upstream::TlsClient;
use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, ProtocolVersion, RedisError,
    RedisResult, Value, cmd, pipe,
};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// What is kept from one connection to the next.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Of each stream, in the order of the file; none before the first connection.
    positions: Vec<Position>,
    /// The process that served last.
    run_id: Option<String>,
}

/// One connection, with what it reads for.
struct Reading<'a> {
    connection: MultiplexedConnection,
    source: &'a Source,
    redis: &'a Redis,
    ear: &'a Ear,
}

/// The entries that a look has brought, and what XINFO STREAM said in the same moment.
type Seen = (Info, Vec<(Id, Fields)>);

/// A connection, and what carries its bytes.
type Opened = (MultiplexedConnection, Driver);
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Reader {
    /// Reads until that fails.
    pub(super) async fn listen(
        &mut self,
        source: &Source,
        redis: &Redis,
        ear: &Ear,
        tls: &TlsClient,
    ) -> Result<Infallible, Failure> {
        // The configuration was checked with this.
        let (info, encrypted) = source.url.redis().ok_or_else(|| Failure::lasting("the url can't be read"))?;
        let opened = timeout(source.connect_timeout, open(&info, source, encrypted.then_some(tls))).await;
        let (connection, driver) = opened.map_err(|_| slow("be connected to"))??;
        let mut reading = Reading { connection, source, redis, ear };
        tokio::select! {
            failed = self.read(&mut reading) => failed,
            () = driver => Err(Failure::passing("the server has closed the connection")),
        }
    }

    async fn read(&mut self, reading: &mut Reading<'_>) -> Result<Infallible, Failure> {
        self.begin(reading).await?;
        reading.ear.connected();
        loop {
            reading.wait(&self.positions).await?;
            self.catch_up(reading).await?;
        }
    }

    /// From where the last connection had come to; at the first one from the streams' ends.
    async fn begin(&mut self, reading: &mut Reading<'_>) -> Result<(), Failure> {
        let run_id = reading.run_id().await?;
        let same = run_id.is_some() && run_id == self.run_id;
        let first = self.positions.is_empty();
        let lost = first || !same || self.positions.iter().any(Position::is_blank);
        if first {
            let mut ends = Vec::new();
            for stream in &reading.redis.streams {
                ends.push(Position::end(&reading.look(stream, None).await?.0));
            }
            self.positions = ends;
        }
        if lost {
            reading.ear.gap();
        }
        // Only now: were the connection lost on the way, the next one would have to tell it.
        self.run_id = run_id;
        self.catch_up(reading).await
    }

    /// Tells what was added since the last look.
    async fn catch_up(&mut self, reading: &mut Reading<'_>) -> Result<(), Failure> {
        for (stream, position) in reading.redis.streams.iter().zip(&mut self.positions) {
            loop {
                let (info, entries) = reading.look(stream, Some(position.id)).await?;
                let ids: Vec<Id> = entries.iter().map(|(id, _)| *id).collect();
                // Nothing waits from here to the end of the telling, so that no entry is passed untold or told twice.
                let verdict = position.advance(&info, &ids, reading.redis.count);
                if verdict.lost {
                    reading.ear.gap();
                }
                entries.into_iter().for_each(|entry| tell(reading.ear, stream, entry));
                if verdict.at_end {
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Reading<'_> {
    /// Until something is new in any of the streams, or `block` is over.
    async fn wait(&mut self, positions: &[Position]) -> Result<(), Failure> {
        let mut question = cmd("XREAD");
        question.arg("COUNT").arg(1).arg("BLOCK").arg(u64::try_from(self.redis.block.as_millis()).unwrap_or(u64::MAX));
        question.arg("STREAMS").arg(&self.redis.streams);
        question.arg(positions.iter().map(|position| position.id.to_string()).collect::<Vec<_>>());
        let patience = self.redis.block + self.source.connect_timeout;
        answer(patience, question.query_async::<Value>(&mut self.connection)).await?;
        Ok(())
    }

    /// What lies after `position`, up to `count`, and the stream as it is in that moment. Without a position only the latter.
    async fn look(&mut self, stream: &str, position: Option<Id>) -> Result<Seen, Failure> {
        let mut both = pipe();
        both.atomic().ignore_errors().cmd("XINFO").arg("STREAM").arg(stream);
        if let Some(position) = position {
            let read = both.cmd("XREAD").arg("COUNT").arg(self.redis.count);
            read.arg("STREAMS").arg(stream).arg(position.to_string());
        }
        let answers = both.query_async::<Vec<RedisResult<Value>>>(&mut self.connection);
        let mut answers = answer(self.source.connect_timeout, answers).await?.into_iter();
        let info = match answers.next() {
            Some(Err(error)) if is_absence(&error) => Info::nothing(),
            Some(said) => info(said.map_err(failure)?).ok_or_else(not_understood)?,
            None => return Err(not_understood()),
        };
        let entries = match answers.next() {
            Some(said) => entries(said.map_err(failure)?).ok_or_else(not_understood)?,
            None => Vec::new(),
        };
        Ok((info, entries))
    }

    /// The name of the server's process; `None` where we aren't told.
    async fn run_id(&mut self) -> Result<Option<String>, Failure> {
        let question = cmd("INFO").arg("server").to_owned();
        let asked = timeout(self.source.connect_timeout, question.query_async::<String>(&mut self.connection));
        let about = match asked.await.map_err(|_| slow("answer"))? {
            Ok(about) => about,
            Err(error) if error.code() == Some("NOPERM") => return Ok(None),
            Err(error) => return Err(failure(error)),
        };
        Ok(about.lines().find_map(|line| line.strip_prefix("run_id:")).map(|id| id.trim().to_owned()))
    }
}

async fn answer<T>(patience: Duration, question: impl Future<Output = RedisResult<T>>) -> Result<T, Failure> {
    timeout(patience, question).await.map_err(|_| slow("answer"))?.map_err(failure)
}

fn tell(ear: &Ear, stream: &str, (id, fields): (Id, Fields)) {
    match payload(fields) {
        Some(payload) => ear.message(stream, payload),
        None => ear.unusable(stream, &id.to_string()),
    }
}

fn info(value: Value) -> Option<Info> {
    let mut info = Info::default();
    for (name, value) in pairs(value)? {
        match String::from_redis_value(name).ok()?.as_str() {
            "last-generated-id" => info.last = Id::read(&String::from_redis_value(value).ok()?)?,
            "entries-added" => info.added = Some(u64::from_redis_value(value).ok()?),
            "first-entry" => info.first = entry(value).map(|(id, _)| id),
            _ => {}
        }
    }
    Some(info)
}

/// Of the one stream that was asked about; none where nothing is new.
fn entries(value: Value) -> Option<Vec<(Id, Fields)>> {
    if value == Value::Nil {
        return Some(Vec::new());
    }
    // A list of pairs, each of a stream's key and its entries.
    let stream = array(value)?.pop()?;
    array(array(stream)?.pop()?)?.into_iter().map(entry).collect()
}

fn entry(value: Value) -> Option<(Id, Fields)> {
    let [id, fields] = <[Value; 2]>::try_from(array(value)?).ok()?;
    let bytes = |value| Vec::<u8>::from_redis_value(value).ok();
    let fields = pairs(fields)?.into_iter().map(|(name, value)| Some((bytes(name)?, bytes(value)?)));
    Some((Id::read(&String::from_redis_value(id).ok()?)?, fields.collect::<Option<Fields>>()?))
}

fn array(value: Value) -> Option<Vec<Value>> {
    if let Value::Array(values) = value { Some(values) } else { None }
}

/// What comes two by two, in one flat array.
fn pairs(value: Value) -> Option<Vec<(Value, Value)>> {
    let flat = array(value)?;
    let even = flat.len().is_multiple_of(2);
    let mut flat = flat.into_iter();
    even.then(|| std::iter::from_fn(|| flat.next().zip(flat.next())).collect())
}

async fn open(info: &ConnectionInfo, source: &Source, tls: Option<&TlsClient>) -> Result<Opened, Failure> {
    let stream = dial(info.addr(), source.keepalive, tls).await.map_err(|error| Failure::of(&error))?;
    // What is asked has deadlines of its own: they differ.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    // Whatever the url says: the answers are read in the older form.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    let opened = MultiplexedConnection::new_with_config(&settings, stream, config).await;
    opened.map(|(connection, driver)| (connection, Box::pin(driver) as Driver)).map_err(failure)
}

/// A socket of any kind.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

async fn dial(address: &ConnectionAddr, keepalive: Duration, tls: Option<&TlsClient>) -> io::Result<Box<dyn Socket>> {
    match (address, tls) {
        (ConnectionAddr::Tcp(host, port), None) => Ok(Box::new(tcp(host, *port, keepalive).await?)),
        (ConnectionAddr::Tcp(host, port), Some(tls)) => {
            let stream = tcp(host, *port, keepalive).await?;
            let name = tls.files().name.as_deref().unwrap_or(bare(host)).to_owned();
            let name = ServerName::try_from(name).map_err(io::Error::other)?;
            let connector = TlsConnector::from(Arc::new(tls.offering(&[])?));
            Ok(Box::new(connector.connect(name, stream).await?))
        }
        (ConnectionAddr::Unix(path), None) => Ok(Box::new(UnixStream::connect(path).await?)),
        _ => Err(io::Error::other("the url leads to nothing that is known")),
    }
}

async fn tcp(host: &str, port: u16, keepalive: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((bare(host), port)).await?;
    stream.set_nodelay(true)?;
    let each = (keepalive / 3).max(Duration::from_secs(1));
    let alive = TcpKeepalive::new().with_time(keepalive).with_interval(each).with_retries(3);
    SockRef::from(&stream).set_tcp_keepalive(&alive)?;
    Ok(stream)
}

/// An address of IPv6 without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn is_absence(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("no such key"))
}

fn slow(what: &str) -> Failure {
    Failure::passing(format!("the server took too long to {what}"))
}

fn not_understood() -> Failure {
    Failure::lasting("the server's answer isn't one of Redis")
}

/// Refusals that only a person can mend: of who we are, of what we may, of a key that is no stream. (Not EXECABORT: a server that still loads says that
/// as well.)
fn failure(error: RedisError) -> Failure {
    const CODES: [&str; 4] = ["NOAUTH", "WRONGPASS", "NOPERM", "WRONGTYPE"];
    let lasting = matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig)
        || error.code().is_some_and(|code| CODES.contains(&code));
    if lasting { Failure::lasting(error.to_string()) } else { Failure::of(&error) }
}
