//! TLS towards origins: the system's roots, or given ones.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How origins are trusted; clones share what was loaded.
#[derive(Clone, Debug, Default)]
pub struct TlsClient(Arc<OnceLock<Result<Arc<ClientConfig>, rustls::Error>>>);

impl TlsClient {
    /// Trusts the system's roots, read once, when the first `https` endpoint appears.
    pub fn system() -> Self {
        TlsClient::default()
    }

    /// Trusts `roots` and nothing else.
    pub fn with_roots(roots: RootCertStore) -> Self {
        let client = TlsClient::default();
        client.0.get_or_init(|| config(roots));
        client
    }

    /// Reads the system's roots if that hasn't been done. Blocks on files, so it is called while an origin is built.
    pub(crate) fn load(&self) {
        self.0.get_or_init(|| config(system_roots()));
    }

    /// The handshake. `host` is a name or an address without brackets.
    pub(crate) async fn handshake(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = match self.0.get() {
            Some(Ok(config)) => config.clone(),
            Some(Err(error)) => return Err(io::Error::other(error.clone())),
            None => return Err(io::Error::other("no roots were loaded")),
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(config).connect(name, stream).await
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

fn config(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
