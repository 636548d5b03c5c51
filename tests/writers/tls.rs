//! Over TLS, with an authority of one's own and without.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::papers::Papers;

fn acceptor(papers: &Papers) -> TlsAcceptor {
    let certificates = CertificateDer::pem_file_iter(papers.path("server.pem")).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(papers.path("server.key")).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(builder.with_no_client_auth().with_single_cert(certificates, key).unwrap()))
}

#[tokio::test]
async fn l11_a_private_authority_is_trusted_when_named_and_nobody_else_is() {
    let papers = Papers::new();
    let stub = Stub::with(vec![note("Billing", "Paid back.")], Some(acceptor(&papers))).await;
    let trusting = RemoteOptions { ca: Some(papers.path("ca.pem")), ..options(&stub.url) };
    assert_eq!(write(trusting.clone()).await, proposal(Some("Billing"), "Paid back."));
    let other_name = RemoteOptions { base_url: stub.url.replace("127.0.0.1", "localhost").parse().unwrap(), ..trusting };
    for (options, says) in [(options(&stub.url), "UnknownIssuer"), (other_name, "not valid for name")] {
        let refused = write(options).await;
        assert!(matches!(&refused, Err(WriteError::Again { reason, .. }) if reason.contains(says)), "{refused:?}");
    }
    assert_eq!(stub.asked().len(), 1, "nobody else was told anything");
}
