//! TLS to a Redis, as its URL says.

use std::sync::Arc;

use rustls::ClientConfig;

use super::super::target::Tls;
pub use crate::tls::TlsError;

pub fn config(tls: &Tls) -> Result<Arc<ClientConfig>, TlsError> {
    let identity = tls.identity.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
    crate::tls::client(tls.ca.as_deref(), identity).map(Arc::new)
}
