//! TLS on the public port: who it is, and that a renewal needs no restart.

use std::path::Path;

use adjourn::tls::ServerIdentity;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::papers::Papers;
use crate::patience::eventually;
use crate::support::*;

async fn served(papers: &Papers) -> TestApp {
    let (cert, key) = (papers.path("server.pem"), papers.path("server.key"));
    TestApp::start_with(&[("tls.cert_file", cert.to_str().unwrap()), ("tls.key_file", key.to_str().unwrap())]).await
}

/// The certificate that is shown to whoever connects now.
async fn shown(app: &TestApp, ca: &Path) -> CertificateDer<'static> {
    let connector = TlsConnector::from(std::sync::Arc::new(adjourn::tls::client(Some(ca), None).unwrap()));
    let stream = TcpStream::connect(app.public).await.unwrap();
    let stream = connector.connect("127.0.0.1".try_into().unwrap(), stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[actix_rt::test]
async fn row_12_the_api_is_spoken_over_tls_and_a_renewed_certificate_needs_no_restart() {
    let papers = Papers::new();
    let app = served(&papers).await;
    let client = adjourn::tls::http(Some(&papers.path("ca.pem"))).unwrap().no_proxy().build().unwrap();
    let url = format!("https://{}/v1/topology", app.public);
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    assert!(app.client.get(&url).send().await.is_err(), "an authority that nobody named");

    let current = || CertificateDer::from_pem_file(papers.path("server.pem")).unwrap();
    let first = current();
    assert_eq!(shown(&app, &papers.path("ca.pem")).await, first);
    papers.renew();
    assert_ne!(current(), first);
    eventually("the renewed certificate is shown", async || shown(&app, &papers.path("ca.pem")).await == current()).await;
    app.stop().await;
}

/// The one before goes on being shown.
#[test]
fn a_renewal_that_is_no_good_is_refused() {
    let papers = Papers::new();
    let identity = ServerIdentity::load(&papers.path("server.pem"), &papers.path("server.key")).unwrap();
    assert!(!identity.renew().unwrap(), "nothing changed");
    let certificate = std::fs::read(papers.path("server.pem")).unwrap();
    for bad in [&b"nothing"[..], &std::fs::read(papers.path("ca.pem")).unwrap()] {
        std::fs::write(papers.path("server.pem"), bad).unwrap();
        assert!(identity.renew().is_err());
    }
    std::fs::write(papers.path("server.pem"), certificate).unwrap();
    assert!(!identity.renew().unwrap(), "it is the one that was shown all the while");
    papers.renew();
    assert!(identity.renew().unwrap());
}

#[actix_rt::test]
async fn row_5_who_says_nothing_of_tls_is_cut_off() {
    let papers = Papers::new();
    let app = served(&papers).await;
    for said in ["", "GET /v1/topology HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        let mut stream = TcpStream::connect(app.public).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok() && !answer.starts_with(b"HTTP"), "{said:?}: {}", String::from_utf8_lossy(&answer));
    }
    app.stop().await;
}

/// What cannot be used is said at the start, with its file.
#[actix_rt::test]
async fn a_certificate_that_cannot_be_used_is_named() {
    use adjourn::app::App;
    use adjourn::config::{Config, Sources};

    let (papers, others) = (Papers::new(), Papers::new());
    let key = others.path("server.key");
    for (cert, key) in [(papers.path("server.pem"), key.clone()), (papers.path("nowhere.pem"), key.clone()), (papers.path("ca.key"), key)] {
        let dir = tempfile::tempdir().unwrap();
        let flags = [
            ("listen", "127.0.0.1:0".to_owned()),
            ("admin_listen", "127.0.0.1:0".to_owned()),
            ("store", format!("embedded:{}", dir.path().join("store").display())),
            ("tls.cert_file", cert.display().to_string()),
            ("tls.key_file", key.display().to_string()),
        ];
        let flags = flags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let config = Config::load(Sources { flags, ..Sources::default() }).unwrap();
        let error = App::build(config).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.starts_with("tls: cannot use "), "{error}");
    }
}
