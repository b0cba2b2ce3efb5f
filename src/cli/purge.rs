//! `freshgate purge`: asks a running gateway, over its admin port.

use crate::tasks::Tasks;
use crate::upstream::TlsClient;
use bytes::Bytes;
use http::uri::Authority;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the gateway may take; it gives up itself after 30 s.
const ANSWER: Duration = Duration::from_secs(45);
/// Bytes of an answer that are read.
const LONGEST: usize = 64 << 10;

/// Asks a running gateway to purge.
#[derive(Clone, clap::Args)]
#[command(group = clap::ArgGroup::new("target").args(["path", "prefix", "tag", "user", "all"]))]
#[command(group = clap::ArgGroup::new("what").args(["path", "prefix", "tag", "user", "all", "api"]).required(true).multiple(true))]
pub struct Args {
    /// One public path, with every query, for every caller
    #[arg(long)]
    pub path: Option<String>,
    /// A public path and everything below it
    #[arg(long)]
    pub prefix: Option<String>,
    /// Everything that carries this tag
    #[arg(long)]
    pub tag: Option<String>,
    /// Everything that was stored for this caller
    #[arg(long)]
    pub user: Option<String>,
    /// One API; beside another target, only within this API
    #[arg(long, value_name = "NAME/VERSION", conflicts_with = "all")]
    pub api: Option<String>,
    /// Everything
    #[arg(long)]
    pub all: bool,
    /// With --path or --prefix: only APIs of this host
    #[arg(long, conflicts_with_all = ["tag", "user", "all"])]
    pub host: Option<String>,
    /// Mark stale instead of invalidating
    #[arg(long)]
    pub soft: bool,
    /// Count what would go, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The gateway's admin port
    #[arg(long, value_name = "URL", env = "FRESHGATE_ADMIN", default_value = "http://127.0.0.1:9090")]
    pub admin: String,
    /// The admin token; seen by others in the list of processes, so prefer the variable or a file
    #[arg(long, env = "FRESHGATE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// A file that holds the admin token; wins over --token
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// With an https URL: a PEM file of the authorities to trust, in place of the system's
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
}

/// Why nothing can be said about the purge, or what the gateway said against it.
enum Fault {
    /// Exit code 1.
    No(String),
    /// Exit code 2.
    Usage(String),
}

/// Asks, prints one line to `out`, or what went wrong to `err`. Gives the exit code: 0 purged (nothing stored is fine
/// too), 1 the gateway says no, 2 wrong usage or no gateway.
pub async fn run(args: &Args, mut out: impl Write, mut err: impl Write) -> u8 {
    let (code, fault) = match ask(args).await {
        Ok(said) => match writeln!(out, "{said}") {
            Ok(()) => return 0,
            Err(error) => (2, error.to_string()),
        },
        Err(Fault::No(why)) => (1, why),
        Err(Fault::Usage(why)) => (2, why),
    };
    drop(writeln!(err, "freshgate purge: {}", printable(&fault)));
    code
}

async fn ask(args: &Args) -> Result<String, Fault> {
    let (authority, path, tls) = admin(&args.admin)?;
    let tls = if tls { Some(trusted(args)?) } else { None };
    let request = Request::post(path)
        .header(header::HOST, authority.as_str())
        .header(header::AUTHORIZATION, format!("Bearer {}", token(args)?))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(selector(args).to_string())))
        .map_err(|_| Fault::Usage("the token can't be sent: it has characters that no field may have".into()))?;
    let (status, body) = exchange(&authority, request, tls).await?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !status.is_success() {
        let detail = answer["detail"].as_str().map(String::from);
        return Err(Fault::No(detail.unwrap_or_else(|| format!("the gateway answered {status}"))));
    }
    said(args, &answer).ok_or_else(|| Fault::Usage(format!("{} is not the admin port of a Freshgate", args.admin)))
}

/// Where to connect, the path to ask for, and whether by TLS.
fn admin(url: &str) -> Result<(Authority, String, bool), Fault> {
    let bad = |why: &str| Fault::Usage(format!("--admin: {why}"));
    let parts = url.parse::<Uri>().map_err(|_| bad("not a URL"))?.into_parts();
    let tls = match parts.scheme.as_ref().map(|scheme| scheme.as_str()) {
        Some("http") => false,
        Some("https") => true,
        Some(_) | None => return Err(bad("a URL begins with http:// or https://")),
    };
    let authority = parts.authority.ok_or_else(|| bad("the URL has no host"))?;
    if authority.as_str().contains('@') {
        return Err(bad("give the token with --token, not in the URL"));
    }
    let base = parts.path_and_query.map(|target| target.path().trim_end_matches('/').to_owned()).unwrap_or_default();
    Ok((authority, format!("{base}/v1/purge"), tls))
}

/// Whom to trust.
fn trusted(args: &Args) -> Result<TlsClient, Fault> {
    let Some(file) = &args.cacert else {
        let system = TlsClient::system();
        system.load();
        return Ok(system);
    };
    let bad = |why: String| Fault::Usage(format!("--cacert {}: {why}", file.display()));
    let pem = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&pem) {
        roots.add(root.map_err(|_| bad("not PEM".into()))?).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() { Err(bad("there is no certificate in it".into())) } else { Ok(TlsClient::with_roots(roots)) }
}

fn token(args: &Args) -> Result<String, Fault> {
    let token = match (&args.token_file, &args.token) {
        (Some(file), _) => {
            let read = std::fs::read_to_string(file);
            read.map_err(|error| Fault::Usage(format!("--token-file {}: {error}", file.display())))?
        }
        (None, Some(token)) => token.clone(),
        (None, None) => return Err(Fault::Usage("give --token, --token-file or FRESHGATE_TOKEN".into())),
    };
    match token.trim_end_matches(['\r', '\n']) {
        "" => Err(Fault::Usage("the token is empty".into())),
        token => Ok(token.to_owned()),
    }
}

/// The body of `POST /v1/purge`.
fn selector(args: &Args) -> Value {
    let texts = [
        ("path", &args.path),
        ("prefix", &args.prefix),
        ("tag", &args.tag),
        ("user", &args.user),
        ("api", &args.api),
        ("host", &args.host),
    ];
    let flags = [("all", args.all), ("soft", args.soft), ("dry_run", args.dry_run)];
    let texts = texts.into_iter().filter_map(|(name, text)| text.as_ref().map(|text| (name.to_owned(), json!(text))));
    let flags = flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| (name.to_owned(), json!(true)));
    Value::Object(texts.chain(flags).collect::<Map<_, _>>())
}

async fn exchange(
    authority: &Authority,
    request: Request<Full<Bytes>>,
    tls: Option<TlsClient>,
) -> Result<(StatusCode, Bytes), Fault> {
    let lost = |why: String| Fault::Usage(format!("no answer from {authority}: {why}"));
    let (host, usual) = (authority.host().trim_matches(['[', ']']), if tls.is_some() { 443 } else { 80 });
    let connected = timeout(CONNECT, async {
        let socket = TcpStream::connect((host, authority.port_u16().unwrap_or(usual))).await?;
        io::Result::Ok(match tls {
            None => Box::new(socket) as Box<dyn Stream>,
            Some(tls) => Box::new(tls.handshake(host, false, socket).await?),
        })
    });
    let socket = match connected.await {
        Ok(socket) => socket.map_err(|error| lost(error.to_string()))?,
        Err(_) => return Err(lost(format!("not connected within {} s", CONNECT.as_secs()))),
    };
    answer(socket, request).await.map_err(lost)
}

/// What is spoken over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn answer(socket: Box<dyn Stream>, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
    let answered = timeout(ANSWER, async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(|e| e.to_string())?;
        Tasks::default().spawn(async { drop(connection.await) });
        let (head, body) = sender.send_request(request).await.map_err(|e| e.to_string())?.into_parts();
        let body = Limited::new(body, LONGEST).collect().await.map_err(|e| e.to_string())?;
        Ok((head.status, body.to_bytes()))
    });
    match answered.await {
        Ok(answer) => answer,
        Err(_) => Err(format!("nothing within {} s", ANSWER.as_secs())),
    }
}

/// The answer in words; `None` when it isn't one of a Freshgate.
fn said(args: &Args, answer: &Value) -> Option<String> {
    let epoch = answer["epoch"].as_u64()?;
    let invalidated = answer.get("invalidated")?;
    let count = match invalidated.as_u64() {
        Some(1) => "1 answer".to_owned(),
        Some(count) => format!("{count} answers"),
        None if invalidated.is_null() => "(not counted)".to_owned(),
        None => return None,
    };
    Some(match (args.dry_run, args.soft) {
        (true, false) => format!("would invalidate {count}"),
        (true, true) => format!("would mark stale {count}"),
        (false, false) => format!("invalidated {count}, epoch {epoch}"),
        (false, true) => format!("marked stale {count}, epoch {epoch}"),
    })
}

/// What a stranger said, without what could drive a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
