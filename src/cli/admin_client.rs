//! Asks a running gateway, over its admin port: for all commands that do.

use crate::tasks::Tasks;
use crate::upstream::TlsClient;
use bytes::Bytes;
use http::uri::Authority;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
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
/// Bytes of an answer that are read: what is said of a few thousand APIs.
const LONGEST: usize = 32 << 20;

/// Where a gateway is asked, and who asks.
#[derive(Clone, clap::Args)]
pub struct Access {
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

/// Why there is no answer, or what the gateway said against it.
pub(super) enum Fault {
    /// Exit code 1.
    No(String),
    /// Exit code 2.
    Usage(String),
}

impl Fault {
    /// The exit code, and what is wrong, without what could drive a terminal.
    pub(super) fn told(&self) -> (u8, String) {
        match self {
            Fault::No(why) => (1, printable(why)),
            Fault::Usage(why) => (2, printable(why)),
        }
    }
}

/// Prints what was said to `out`, or what went wrong to `err`; the exit code of `command`.
pub(super) fn told(command: &str, said: Result<String, Fault>, mut out: impl Write, mut err: impl Write) -> u8 {
    let (code, fault) = match said {
        Ok(said) => match writeln!(out, "{said}") {
            Ok(()) => return 0,
            Err(error) => (2, error.to_string()),
        },
        Err(fault) => fault.told(),
    };
    drop(writeln!(err, "freshgate {command}: {fault}"));
    code
}

/// Asks one gateway.
pub(super) struct AdminClient {
    url: String,
    authority: Authority,
    base: String,
    tls: Option<TlsClient>,
    bearer: String,
}

impl AdminClient {
    /// Nobody is asked yet.
    pub(super) fn of(access: &Access) -> Result<Self, Fault> {
        let (authority, base, tls) = admin(&access.admin)?;
        let tls = if tls { Some(trusted(access)?) } else { None };
        let bearer = format!("Bearer {}", token(access)?);
        Ok(AdminClient { url: access.admin.clone(), authority, base, tls, bearer })
    }

    /// Makes a call (`/v1/purge`), with this body where there is one; what it is answered, as JSON.
    pub(super) async fn ask(&self, method: Method, call: &str, body: Option<&Value>) -> Result<Value, Fault> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{call}", self.base))
            .header(header::HOST, self.authority.as_str())
            .header(header::AUTHORIZATION, self.bearer.as_str());
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request
            .body(Full::new(bytes))
            .map_err(|_| Fault::Usage("the token can't be sent: it has characters that no field may have".into()))?;
        let (status, body) = exchange(&self.authority, request, self.tls.as_ref()).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() {
            let detail = answer["detail"].as_str().map(String::from);
            return Err(Fault::No(detail.unwrap_or_else(|| format!("the gateway answered {status}"))));
        }
        Ok(answer)
    }

    /// What has answered isn't what it should be.
    pub(super) fn stranger(&self) -> Fault {
        Fault::Usage(format!("{} is not the admin port of a Freshgate", self.url))
    }
}

/// Where to connect, the path below which the calls are, and whether by TLS.
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
    Ok((authority, base, tls))
}

/// Whom to trust.
fn trusted(access: &Access) -> Result<TlsClient, Fault> {
    let Some(file) = &access.cacert else {
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

fn token(access: &Access) -> Result<String, Fault> {
    let token = match (&access.token_file, &access.token) {
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

async fn exchange(
    authority: &Authority,
    request: Request<Full<Bytes>>,
    tls: Option<&TlsClient>,
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

/// What a stranger said, without what could drive a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
