//! TLS: for the public port, and for every server that is asked. Always checked, always with `ring`, of one set-up.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;

/// How often the files of a certificate are read again: whoever renews it restarts nothing.
const REREAD: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot use {path}: {wrong}")]
    File { path: PathBuf, wrong: Box<str> },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

impl TlsError {
    fn file(path: &Path, wrong: impl ToString) -> Self {
        Self::File { path: path.to_owned(), wrong: wrong.to_string().into() }
    }
}

/// Whom a client trusts (`ca`: who may have signed; else the public authorities), and who it is, by a certificate and its key.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn client(ca: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(ca)?);
    Ok(match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder.with_client_auth_cert(certificates(cert)?, private_key(key)?)?,
    })
}

/// An HTTP client of this house, that trusts as [`client`] says.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn http(ca: Option<&Path>) -> Result<reqwest::ClientBuilder, TlsError> {
    Ok(reqwest::Client::builder().tls_backend_preconfigured(client(ca, None)?))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let Some(ca) = ca else { return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() }) };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|error| TlsError::file(ca, error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read.map_err(|error| TlsError::file(path, error))? {
        none if none.is_empty() => Err(TlsError::file(path, "there is no certificate in it")),
        certificates => Ok(certificates),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::file(path, error))
}

/// Who a server is: a certificate and its key, in files that somebody else renews.
#[derive(Debug)]
pub struct ServerIdentity {
    cert: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    shown: Arc<CertifiedKey>,
    /// Of both files, so that they are only looked at when they are others.
    digest: [u8; 32],
}

impl ServerIdentity {
    /// # Errors
    /// [`TlsError`] names the file.
    pub fn load(cert: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let current = RwLock::new(Current::read(cert, key)?);
        Ok(Arc::new(Self { cert: cert.to_owned(), key: key.to_owned(), current }))
    }

    /// For a server that shows it. Whoever connects after a renewal sees the new one.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions()?;
        let resolver: Arc<dyn ResolvesServerCert> = self.clone();
        Ok(builder.with_no_client_auth().with_cert_resolver(resolver))
    }

    /// Reads the files again. True: they are others, and are shown from now on.
    ///
    /// # Errors
    /// [`TlsError`] names the file; the certificate before goes on being shown.
    pub fn renew(&self) -> Result<bool, TlsError> {
        let digest = digest(&self.cert, &self.key)?;
        if digest == self.current.read().unwrap_or_else(PoisonError::into_inner).digest {
            return Ok(false);
        }
        // A certificate that is there already and a key that is not yet: the next look finds both.
        let renewed = Current::read(&self.cert, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(true)
    }

    /// Reads the files again and again, until `stopping`.
    pub async fn watch(self: Arc<Self>, stopping: CancellationToken) {
        let mut failing = false;
        while stopping.run_until_cancelled(tokio::time::sleep(REREAD)).await.is_some() {
            let identity = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || identity.renew()).await {
                Ok(Ok(is_new)) => {
                    if is_new {
                        tracing::info!(certificate = %self.cert.display(), "the renewed certificate is shown from now on");
                    }
                    failing = false;
                }
                Ok(Err(error)) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "the certificate cannot be read again; the one before goes on being shown");
                    }
                }
                Err(error) => tracing::warn!(%error, "reading the certificate again"),
            }
        }
    }
}

impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).shown))
    }
}

impl Current {
    fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let digest = digest(cert, key)?;
        let shown = CertifiedKey::from_der(certificates(cert)?, private_key(key)?, &provider());
        Ok(Self { shown: Arc::new(shown.map_err(|error| TlsError::file(key, error))?), digest })
    }
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}

fn digest(cert: &Path, key: &Path) -> Result<[u8; 32], TlsError> {
    let mut context = ::ring::digest::Context::new(&::ring::digest::SHA256);
    for path in [cert, key] {
        context.update(&fs::read(path).map_err(|error| TlsError::file(path, error))?);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Ok(bytes)
}
