//! Over TLS, with an authority of one's own and without.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority, and a certificate for 127.0.0.1 that it signed.
struct Papers(TempDir);

impl Papers {
    fn new() -> Self {
        let papers = Self(tempfile::tempdir().unwrap());
        let curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        papers.openssl(&format!("req -x509 {curve} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
        papers.openssl(&format!("req -new {curve} -keyout server.key -out server.csr -subj /CN=server"));
        std::fs::write(papers.path("extensions"), "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n").unwrap();
        papers.openssl("x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -in server.csr -out server.pem -extfile extensions -days 2");
        papers
    }

    fn openssl(&self, words: &str) {
        let made = Command::new("openssl").args(words.split(' ')).current_dir(self.0.path()).output().expect("`openssl` must be installed");
        assert!(made.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&made.stderr));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn acceptor(&self) -> TlsAcceptor {
        let certificates = CertificateDer::pem_file_iter(self.path("server.pem")).unwrap().collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let builder =
            ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().unwrap();
        TlsAcceptor::from(Arc::new(builder.with_no_client_auth().with_single_cert(certificates, key).unwrap()))
    }
}

#[tokio::test]
async fn l11_a_private_authority_is_trusted_when_named_and_nobody_else_is() {
    let papers = Papers::new();
    let stub = Stub::with(vec![note("Billing", "Paid back.")], Some(papers.acceptor())).await;
    let trusting = RemoteOptions { ca: Some(papers.path("ca.pem")), ..options(&stub.url) };
    assert_eq!(write(trusting.clone()).await, proposal(Some("Billing"), "Paid back."));
    let other_name = RemoteOptions { base_url: stub.url.replace("127.0.0.1", "localhost").parse().unwrap(), ..trusting };
    for (options, says) in [(options(&stub.url), "UnknownIssuer"), (other_name, "not valid for name")] {
        let refused = write(options).await;
        assert!(matches!(&refused, Err(WriteError::Again { reason, .. }) if reason.contains(says)), "{refused:?}");
    }
    assert_eq!(stub.asked().len(), 1, "nobody else was told anything");
}
