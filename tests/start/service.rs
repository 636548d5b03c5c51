//! `adjourn serve` as a process of its own, on a Redis that may be away.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rig::process::{Process, command, wait_until};

/// Ends with the test.
pub struct Service {
    process: Process,
    dir: TempDir,
    client: reqwest::Client,
    public: String,
    admin: String,
}

impl Service {
    /// Listening when this returns.
    pub fn start(store: &str, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = command(env!("CARGO_BIN_EXE_adjourn"));
        command.args(["serve", "--admin-listen", "127.0.0.1:0", "--store", store]);
        command.args(if more.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] });
        command.args(["--set", "log.format=json", "--set", "auto_close.min_period=1s"]).args(more).envs(environment.iter().copied());
        let process = Process::start(command, &dir.path().join("log"));
        let client = adjourn::tls::http(None).unwrap().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let mut service = Self { process, dir, client, public: String::new(), admin: String::new() };
        wait_until("the log says where it listens", || {
            let log = service.log();
            let (public, admin) = (address(&log, "public_addr"), address(&log, "admin_addr"));
            (service.public, service.admin) = (public.unwrap_or_default(), admin.unwrap_or_default());
            !service.public.is_empty() || service.process.ended().is_some()
        });
        service
    }

    /// Everything it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn lines(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How often it has said this.
    pub fn said(&self, message: &str) -> usize {
        self.lines().iter().filter(|line| line["message"] == message).count()
    }

    pub async fn admin(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(format!("{}{path}", self.admin)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// A contact's message.
    pub async fn post(&self, id: &str) -> reqwest::Response {
        let event = json!({"specversion": "1.0", "id": id, "source": "/test", "type": "inbox.message.v1", "subject": "c-1",
            "workspace": "acme", "time": chrono::Utc::now(), "data": {"source": "contact"}});
        self.post_raw(event.to_string()).await
    }

    pub async fn post_raw(&self, body: String) -> reqwest::Response {
        let post = self.client.post(format!("{}/v1/events", self.public)).header("content-type", "application/cloudevents+json");
        post.header("prefer", "wait=10").body(body).send().await.unwrap()
    }

    /// A request with a key.
    pub fn asking(&self, method: reqwest::Method, path: &str, key: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.public)).bearer_auth(key)
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.public)).send().await.unwrap()
    }

    /// Waits for the admin port to say that it is ready.
    pub async fn until_ready(&self) {
        let ready = async {
            while self.admin("/readyz").await.0 != 200 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(crate::rig::process::PATIENCE, ready).await.is_err() {
            panic!("{}\n{}", self.admin("/readyz?verbose").await.1, self.log());
        }
    }

    /// Waits for `/readyz` to say this of the store.
    pub async fn until_missing(&self, reason: &str) {
        let seen = async {
            loop {
                let (status, text) = self.admin("/readyz").await;
                if status == 503 && text.starts_with("[-]store ") && text.contains(reason) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(crate::rig::process::PATIENCE, seen).await.is_err() {
            panic!("{}\n{}", self.admin("/readyz").await.1, self.log());
        }
    }

    /// Asks it to stop, which must end well.
    pub fn stop(mut self) {
        let status = self.process.terminate();
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// Waits for it to give up; what it said last.
    pub fn gave_up(mut self) -> String {
        let mut code = None;
        wait_until("it gives up", || {
            code = self.process.ended().map(|status| status.code());
            code.is_some()
        });
        assert_eq!(code, Some(Some(1)), "{}", self.log());
        self.log().lines().last().unwrap().to_owned()
    }
}

/// Where it listens, from a log in either format.
fn address(log: &str, name: &str) -> Option<String> {
    let begins = [format!("\"{name}\":\""), format!("{name}=")].iter().find_map(|said| Some(log.find(said)? + said.len()))?;
    let address: String = log[begins..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    Some(format!("http://{address}"))
}

/// The last part of a problem document's type, and after how many seconds to come back.
pub async fn problem(answer: reqwest::Response) -> (u16, String, Option<u32>) {
    let retry_after = answer.headers().get(RETRY_AFTER).map(|seconds| seconds.to_str().unwrap().parse().unwrap());
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let (status, document) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
    assert_eq!(document["status"], status);
    (status, document["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned(), retry_after)
}
