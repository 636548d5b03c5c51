//! Certificates for tests, made by `openssl`.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

const CURVE: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/// An authority, and a certificate for 127.0.0.1 that it signed.
pub struct Papers(TempDir);

impl Papers {
    pub fn new() -> Self {
        let papers = Self(tempfile::tempdir().unwrap());
        papers.openssl(&format!("req -x509 {CURVE} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
        std::fs::write(papers.path("extensions"), "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n").unwrap();
        papers.renew();
        papers
    }

    /// Another certificate with another key, in the place of the one before.
    pub fn renew(&self) {
        self.openssl(&format!("req -new {CURVE} -keyout server.key -out server.csr -subj /CN=server"));
        self.openssl("x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -in server.csr -out server.pem -extfile extensions -days 2");
    }

    fn openssl(&self, words: &str) {
        let made = Command::new("openssl").args(words.split(' ')).current_dir(self.0.path()).output().expect("`openssl` must be installed");
        assert!(made.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&made.stderr));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
