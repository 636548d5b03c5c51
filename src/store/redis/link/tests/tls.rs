//! TLS with an authority of one's own.

use std::path::PathBuf;

use super::*;

/// An authority, and certificates it signed: for the server under the name 127.0.0.1, and for us.
struct Papers(TempDir);

impl Papers {
    fn new() -> Self {
        let papers = Self(tempfile::tempdir().unwrap());
        papers
            .openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority");
        for (name, purpose) in [("server", "serverAuth"), ("client", "clientAuth")] {
            let request = format!("-keyout {name}.key -out {name}.csr -subj /CN={name}");
            papers.openssl(&format!("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes {request}"));
            let extensions = format!("basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\nextendedKeyUsage={purpose}\n");
            std::fs::write(papers.path("extensions"), extensions).unwrap();
            let signed = format!("-in {name}.csr -out {name}.pem -extfile extensions -days 2");
            papers.openssl(&format!("x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial {signed}"));
        }
        papers
    }

    fn openssl(&self, words: &str) {
        let made = Command::new("openssl").args(words.split(' ')).current_dir(self.0.path()).output().expect("`openssl` must be installed");
        assert!(made.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&made.stderr));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn serve(&self, clients: &str) -> (Server, u16) {
        let (port, path) = (free_port(), |name| self.path(name).display().to_string());
        let port_text = port.to_string();
        let ours = ["--tls-cert-file", &path("server.pem"), "--tls-key-file", &path("server.key"), "--tls-ca-cert-file", &path("ca.pem")];
        let server = Server::start(&[&["--tls-port", &port_text, "--tls-auth-clients", clients], ours.as_slice()].concat());
        (server, port)
    }
}

fn reason(outcome: &Result<Value, LinkError>) -> &str {
    match outcome {
        Err(LinkError::Away(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_named_and_nobody_else_is() {
    let papers = Papers::new();
    let (server, port) = papers.serve("no");
    let ca = papers.path("ca.pem");
    let trusting = link(&format!("rediss://{LOGIN}@127.0.0.1:{port}?ca={}", ca.display()));
    assert_eq!(trusting.run(cmd(&["PING", "hello"])).await, Ok(string("hello")));
    let mut heard = trusting.subscribe("adjourn:news");
    assert_eq!(in_time("it listens", heard.next()).await, Some(Heard::Resubscribed));
    let public = link(&format!("rediss://{LOGIN}@127.0.0.1:{port}"));
    assert!(reason(&public.run(cmd(&["PING"])).await).contains("UnknownIssuer"));
    let other_name = link(&format!("rediss://{LOGIN}@localhost:{port}?ca={}", ca.display()));
    assert!(reason(&other_name.run(cmd(&["PING"])).await).contains("not valid for name"));
    let plain = link(&format!("rediss://{LOGIN}@127.0.0.1:{}?ca={}", server.port, ca.display()));
    assert!(plain.run(cmd(&["PING"])).await.is_err());
}

#[tokio::test]
async fn a_server_that_asks_who_we_are_is_shown_a_certificate() {
    let papers = Papers::new();
    let (_server, port) = papers.serve("yes");
    let url = format!("rediss://{LOGIN}@127.0.0.1:{port}?ca={}", papers.path("ca.pem").display());
    let named = format!("{url}&cert={}&key={}", papers.path("client.pem").display(), papers.path("client.key").display());
    assert_eq!(link(&named).run(cmd(&["PING", "hello"])).await, Ok(string("hello")));
    let nameless = link(&url).run(cmd(&["PING"])).await;
    assert!(matches!(nameless, Err(LinkError::Away(_))), "{nameless:?}");
}

#[test]
fn a_certificate_that_cannot_be_read_is_said_at_once() {
    let open = |ca: &str| Link::open(format!("rediss://h?ca={ca}").parse().unwrap(), LinkOptions::default()).err().unwrap().to_string();
    assert!(open("/nowhere.pem").starts_with("cannot use /nowhere.pem:"));
    assert_eq!(open("/dev/null"), "cannot use /dev/null: there is no certificate in it");
}
