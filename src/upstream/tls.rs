//! TLS towards origins: whom we trust, what we show of ourselves, and which protocols we offer.

use crate::secret::{Digest, digest};
use crate::tls::{bytes_of, certificates};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// `[api.pool.tls]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// `ca`: PEM, the authorities that count instead of the system's.
    pub ca: Option<PathBuf>,
    /// `name`: whom the certificate has to be for, and what is said in SNI, instead of the URL's host.
    pub name: Option<String>,
    /// `cert` and `key`: PEM, what we show of ourselves.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How origins are trusted; clones share what was loaded.
#[derive(Clone, Debug, Default)]
pub struct TlsClient {
    loaded: Arc<OnceLock<Result<Configs, rustls::Error>>>,
    files: TlsFiles,
    /// Of what the files hold.
    content: Digest,
}

/// Whether HTTP/2 is offered, or HTTP/1.1 alone.
#[derive(Clone, Debug)]
struct Configs {
    http1: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
}

impl Eq for TlsClient {}

/// The same files with the same content.
impl PartialEq for TlsClient {
    fn eq(&self, other: &Self) -> bool {
        (&self.files, self.content) == (&other.files, other.content)
    }
}

impl TlsClient {
    /// Trusts the system's roots, read once, when the first `https` endpoint appears.
    pub fn system() -> Self {
        TlsClient::default()
    }

    /// Trusts `roots` and nothing else.
    pub fn with_roots(roots: RootCertStore) -> Self {
        let client = TlsClient::default();
        client.loaded.get_or_init(|| configs(roots, None));
        client
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Which one can't be used, and why.
    pub fn of_files(files: TlsFiles) -> Result<Self, String> {
        let mut all = Vec::new();
        let mut read = |path: &PathBuf| -> Result<Vec<u8>, String> {
            let bytes = bytes_of(path)?;
            all.extend_from_slice(&digest(&bytes));
            Ok(bytes)
        };
        let mut roots = RootCertStore::empty();
        match &files.ca {
            None => roots = system_roots(),
            Some(path) => {
                for authority in certificates(&read(path)?, path)? {
                    roots.add(authority).map_err(|error| format!("{}: {error}", path.display()))?;
                }
            }
        }
        let mut identity = None;
        if let Some((cert, key)) = &files.identity {
            let chain = certificates(&read(cert)?, cert)?;
            let secret = PrivateKeyDer::from_pem_slice(&read(key)?)
                .map_err(|_| format!("{}: expected a private key in PEM", key.display()))?;
            identity = Some((chain, secret));
        }
        let configs = configs(roots, identity).map_err(|error| {
            let shown = files.identity.as_ref().map(|(cert, _)| cert.display().to_string()).unwrap_or_default();
            format!("{shown}: {error}")
        })?;
        let content = digest(&all);
        Ok(TlsClient { loaded: Arc::new(OnceLock::from(Ok(configs))), files, content })
    }

    /// What it was made of.
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Reads the system's roots if that hasn't been done. Blocks on files, so it is called while an origin is built.
    pub(crate) fn load(&self) {
        self.loaded.get_or_init(|| configs(system_roots(), None));
    }

    /// For another protocol than HTTP: the same trust and the same identity, with these names in the handshake (ALPN).
    ///
    /// # Errors
    /// When nothing was [loaded](Self::load), or that failed.
    pub(crate) fn offering(&self, protocols: &[&[u8]]) -> io::Result<ClientConfig> {
        let mut config = ClientConfig::clone(&self.configs()?.http1);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }

    fn configs(&self) -> io::Result<&Configs> {
        match self.loaded.get() {
            Some(Ok(configs)) => Ok(configs),
            Some(Err(error)) => Err(io::Error::other(error.clone())),
            None => Err(io::Error::other("no roots were loaded")),
        }
    }

    /// The handshake. `host` is a name or an address without brackets; with `http2` that is offered as well.
    pub(crate) async fn handshake(
        &self,
        host: &str,
        http2: bool,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let configs = self.configs()?;
        let config = if http2 { &configs.either } else { &configs.http1 };
        let host = self.files.name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await
    }
}

fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a root certificate of the system can't be read");
    }
    let mut roots = RootCertStore::empty();
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(unusable, "the system has no root certificates: no https origin will be trusted");
    }
    roots
}

type Identity = (Vec<rustls::pki_types::CertificateDer<'static>>, PrivateKeyDer<'static>);

fn configs(roots: RootCertStore, identity: Option<Identity>) -> Result<Configs, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut http1 = match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut either = http1.clone();
    either.alpn_protocols.insert(0, b"h2".to_vec());
    Ok(Configs { http1: Arc::new(http1), either: Arc::new(either) })
}
