//! TLS: whom we trust, who we are. Always checked, always with `ring`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::super::target::Tls;

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

pub fn config(tls: &Tls) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(tls.ca.as_deref())?);
    let config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let private = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::file(key, error))?;
            builder.with_client_auth_cert(certificates(cert)?, private)?
        }
    };
    Ok(Arc::new(config))
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
