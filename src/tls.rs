//! TLS towards clients: the certificate that we show, and the one that a client may show.
//!
//! Files are read at the start, and again when somebody says [`Server::look`]: what has changed then holds for the next
//! handshake, while connections go on with what theirs began with. Files that can't be used change nothing, which is
//! said once. Their bytes are compared, not their times, so that links that are switched over count as well.
//!
//! A client's certificate tells who is calling only by what an authority has signed, so it is looked at only where
//! `client_ca` says which authority counts. Sessions are resumed within one reading of the files: once an authority is
//! taken out, no session that it had vouched for comes back, and on connections that are open its certificates tell nothing
//! any more. Nor does one whose time is over.

use crate::clock::Now;
use crate::files;
use crate::secret::{Digest, digest};
use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// A file of certificates or of a key is read no further than this.
const LONGEST_FILE: u64 = 4 << 20;

/// `tls = { … }`: where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `cert`: PEM, our own certificate first, then those between it and the root.
    pub cert: PathBuf,
    /// `key`: PEM, PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// `client_ca`: PEM, the authorities whose client certificates count; `None` asks for no certificate.
    pub client_ca: Option<PathBuf>,
    /// `client_auth`: whether a client without a certificate gets in.
    pub client_auth: ClientAuth,
}

/// Whether clients must show a certificate, where `client_ca` is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// The handshake fails without one.
    Required,
    /// It may be left out; one that is shown must be good.
    Optional,
}

/// What is shown at present.
pub struct Server {
    settings: Settings,
    protocols: Vec<Vec<u8>>,
    current: ArcSwap<Shown>,
    /// One look at a time.
    looking: Mutex<()>,
    complained: AtomicBool,
}

struct Shown {
    config: Arc<ServerConfig>,
    /// Of all the files' bytes.
    files: Digest,
    /// Seconds since 1970.
    expires: i64,
    authorities: Authorities,
}

/// What `client_ca` holds.
#[derive(Clone)]
struct Authorities {
    file: Option<Digest>,
    /// Whether it still holds that.
    count: Arc<AtomicBool>,
}

impl Server {
    /// Reads the files. `protocols` are offered in the handshake (ALPN), the best first.
    ///
    /// # Errors
    /// Which file can't be used, and why.
    pub fn load(settings: Settings, protocols: &[&str]) -> Result<Server, String> {
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let shown = Files::read(&settings)?.shown(&settings, &protocols)?;
        let (current, looking) = (ArcSwap::from_pointee(shown), Mutex::default());
        Ok(Server { settings, protocols, current, looking, complained: AtomicBool::default() })
    }

    /// Reads the files again, and shows from now on what they hold if that has changed and can be used.
    pub fn look(&self) {
        let _one = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        match self.look_again() {
            Ok(changed) => {
                if changed {
                    tracing::info!(cert = %self.settings.cert.display(), "the certificate was read again");
                }
                self.complained.store(false, Relaxed);
            }
            Err(reason) => {
                if !self.complained.swap(true, Relaxed) {
                    tracing::error!(cert = %self.settings.cert.display(), reason, "the certificate stays as it was");
                }
            }
        }
    }

    fn look_again(&self) -> Result<bool, String> {
        let files = Files::read(&self.settings)?;
        if files.digest() == self.current.load().files {
            return Ok(false);
        }
        let (mut next, last) = (files.shown(&self.settings, &self.protocols)?, self.current.load_full());
        if next.authorities.file == last.authorities.file {
            next.authorities = last.authorities.clone();
        }
        let others = !Arc::ptr_eq(&next.authorities.count, &last.authorities.count);
        self.current.store(Arc::new(next));
        if others {
            last.authorities.count.store(false, Relaxed);
        }
        Ok(true)
    }

    /// Goes on in the place of `last`, on whose connections the certificates of clients count as long as the authorities stay the same.
    pub fn succeed(&self, last: &Server) {
        let _one = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let (own, last) = (self.current.load_full(), last.current.load_full());
        if own.authorities.file == last.authorities.file {
            let Shown { config, files, expires, .. } = &*own;
            let authorities = last.authorities.clone();
            self.current.store(Arc::new(Shown {
                config: Arc::clone(config),
                files: *files,
                expires: *expires,
                authorities,
            }));
        } else {
            last.authorities.count.store(false, Relaxed);
        }
    }

    /// Nobody goes on in its place: the certificates of clients count no more.
    pub fn retire(&self) {
        self.current.load().authorities.count.store(false, Relaxed);
    }

    /// What it was made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// When our certificate ends, in seconds since 1970.
    pub fn expires(&self) -> i64 {
        self.current.load().expires
    }

    /// The handshake, and the certificate that the client has shown in it, if it was asked for one.
    ///
    /// # Errors
    /// What went wrong with it; the client has been told.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Option<Certificate>)> {
        let shown = self.current.load_full();
        let stream = TlsAcceptor::from(Arc::clone(&shown.config)).accept(stream).await?;
        let theirs = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = theirs.map(|der| Certificate::read(der, Arc::clone(&shown.authorities.count)));
        Ok((stream, certificate))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.settings.fmt(f)
    }
}

/// The bytes of all files.
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    fn read(settings: &Settings) -> Result<Files, String> {
        let client_ca = settings.client_ca.as_deref().map(bytes_of).transpose()?;
        Ok(Files { cert: bytes_of(&settings.cert)?, key: bytes_of(&settings.key)?, client_ca })
    }

    fn digest(&self) -> Digest {
        let all: Vec<Digest> = [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .map(|bytes| digest(bytes))
            .collect();
        digest(&all.concat())
    }

    fn shown(&self, settings: &Settings, protocols: &[Vec<u8>]) -> Result<Shown, String> {
        let chain = certificates(&self.cert, &settings.cert)?;
        let expires = chain.first().map_or(0, |own| expires(own));
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| format!("{}: expected a private key in PEM", settings.key.display()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match (&self.client_ca, &settings.client_ca) {
            (Some(bytes), Some(path)) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(bytes, path)? {
                    roots.add(root).map_err(|error| format!("{}: {error}", path.display()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match settings.client_auth {
                    ClientAuth::Required => verifier,
                    ClientAuth::Optional => verifier.allow_unauthenticated(),
                };
                let verifier = verifier.build().map_err(|error| format!("{}: {error}", path.display()))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            format!("{} and {} don't go together: {error}", settings.cert.display(), settings.key.display())
        })?;
        config.alpn_protocols = protocols.to_vec();
        let file = self.client_ca.as_ref().map(|bytes| digest(bytes));
        let authorities = Authorities { file, count: Arc::new(AtomicBool::new(true)) };
        Ok(Shown { config: Arc::new(config), files: self.digest(), expires, authorities })
    }
}

/// What a file of certificates or of a key holds.
pub(crate) fn bytes_of(path: &Path) -> Result<Vec<u8>, String> {
    let read = || {
        let mut bytes = Vec::new();
        let file = files::open(path)?;
        io::Read::read_to_end(&mut io::Read::take(file, LONGEST_FILE + 1), &mut bytes)?;
        Ok(bytes)
    };
    // Somebody may have put what the file should hold in the place of its name.
    let name = path.to_string_lossy();
    let name =
        if name.len() <= 500 && !name.contains(char::is_whitespace) { &*name } else { "what is given as a file" };
    let bytes = read().map_err(|error: io::Error| format!("{name}: can't be read: {error}"))?;
    let fits = bytes.len() as u64 <= LONGEST_FILE;
    fits.then_some(bytes).ok_or_else(|| format!("{}: has more than 4 MiB", path.display()))
}

/// The certificates of a file in PEM; at least one.
pub(crate) fn certificates(bytes: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let expected = || format!("{}: expected certificates in PEM", path.display());
    let all = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>().map_err(|_| expected())?;
    if all.is_empty() { Err(expected()) } else { Ok(all) }
}

fn expires(certificate: &[u8]) -> i64 {
    X509Certificate::from_der(certificate).map_or(0, |(_, parsed)| parsed.validity().not_after.timestamp())
}

/// What a client's certificate says of it; an authority that counted at the handshake has signed it.
#[derive(Clone, Debug, Default)]
pub struct Certificate {
    /// The common name of its subject, if it has exactly one.
    pub common_name: Option<String>,
    /// Its alternative names that are host names, in their order; of the other kinds likewise.
    pub dns: Vec<String>,
    /// Those that are URIs.
    pub uri: Vec<String>,
    /// Those that are mail addresses.
    pub email: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
    counts: Arc<AtomicBool>,
}

impl Certificate {
    /// Whether it counts at `now`: its time isn't over, and its authority hasn't been taken out.
    pub fn counts(&self, now: Now) -> bool {
        self.counts.load(Relaxed) && i64::try_from(now.unix / 1000).is_ok_and(|seconds| seconds <= self.expires)
    }

    fn read(der: &[u8], counts: Arc<AtomicBool>) -> Certificate {
        let Ok((_, parsed)) = X509Certificate::from_der(der) else { return Certificate::default() };
        let mut names = parsed.subject().iter_common_name();
        let common_name = match (names.next(), names.next()) {
            (Some(only), None) => only.as_str().ok().map(String::from),
            (_, Some(_)) | (None, None) => None,
        };
        let expires = parsed.validity().not_after.timestamp();
        let mut certificate = Certificate { common_name, expires, counts, ..Certificate::default() };
        let Ok(Some(alternative)) = parsed.subject_alternative_name() else { return certificate };
        let names = &alternative.value.general_names;
        let texts = |pick: fn(&GeneralName<'_>) -> Option<String>| names.iter().filter_map(pick).collect();
        certificate.dns = texts(|name| if let GeneralName::DNSName(text) = name { Some((*text).into()) } else { None });
        certificate.uri = texts(|name| if let GeneralName::URI(text) = name { Some((*text).into()) } else { None });
        certificate.email =
            texts(|name| if let GeneralName::RFC822Name(text) = name { Some((*text).into()) } else { None });
        certificate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    #[test]
    fn names_are_read_by_kind_and_a_common_name_must_be_the_only_one() {
        let mut params = CertificateParams::new(vec!["a.example".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "alice");
        params.subject_alt_names.push(SanType::URI("spiffe://example/a".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("a@example".try_into().unwrap()));
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let now = |unix| Now { mono: 0, unix };
        let read = Certificate::read(made.der(), Arc::new(AtomicBool::new(true)));
        let end = u64::try_from(read.expires).unwrap() * 1000;
        assert!(read.counts(now(end)) && !read.counts(now(end + 1000)));
        assert_eq!(read.expires, expires(made.der()));
        assert_eq!(read.common_name.as_deref(), Some("alice"));
        assert_eq!(
            (read.dns, read.uri, read.email),
            (vec!["a.example".into()], vec!["spiffe://example/a".into()], vec!["a@example".into()])
        );
        assert!(!Certificate::read(b"no certificate", Arc::new(AtomicBool::new(true))).counts(now(0)));
        assert!(expires(made.der()) > 1_700_000_000);
    }
}
