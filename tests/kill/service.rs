//! The service and its sender as processes of their own, and what becomes of them: they are killed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::history::Ms;
use super::rig::process::{PATIENCE, Process, command, free_port};

pub const BINARY: &str = env!("CARGO_BIN_EXE_adjourn");
pub const PARTITIONS: u16 = 8;

/// `adjourn serve` on one directory and two ports, as often as it takes.
pub struct Service {
    dir: PathBuf,
    pub port: u16,
    admin_port: u16,
    pub client: reqwest::Client,
    running: Option<Process>,
}

impl Service {
    pub fn new(dir: &Path) -> Self {
        // A connection to a process that died must not hold up the question whether the next one is there.
        let client =
            adjourn::tls::http(None).unwrap().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(30)).build().unwrap();
        Self { dir: dir.to_owned(), port: free_port(), admin_port: free_port(), client, running: None }
    }

    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    pub fn start(&mut self) {
        assert!(self.running.is_none());
        let mut command = command(BINARY);
        command.arg("serve").env_clear();
        command.args(["--listen", &format!("127.0.0.1:{}", self.port), "--admin-listen", &format!("127.0.0.1:{}", self.admin_port)]);
        command.args(["--store", &format!("embedded:{}", self.store().display()), "--partitions", &PARTITIONS.to_string()]);
        // Files of the log begin and are kept: what was accepted can be read at the end, and beginning one is killed too.
        command.env("ADJOURN__EVENT_LOG__KEEP", "true").env("ADJOURN__EVENT_LOG__SEGMENT_BYTES", "65536");
        command.env("ADJOURN__AUTO_CLOSE__MIN_PERIOD", "1s").env("ADJOURN__NOTIFICATIONS__KEEP", "100000000");
        self.running = Some(Process::start(command, &self.dir.join("serve.log")));
    }

    pub fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    pub async fn stop(&mut self) {
        let mut running = self.running.take().unwrap();
        running.ask_to_end();
        let asked = Instant::now();
        // Whoever listens goes on hearing of it meanwhile, on this thread.
        let status = loop {
            if let Some(status) = running.ended() {
                break status;
            }
            assert!(asked.elapsed() < PATIENCE, "does not end when it is asked to:\n{}", running.last_words());
            nap().await;
        };
        assert!(status.success(), "asked to stop, it ended with {status}:\n{}", running.last_words());
    }

    /// Waits until every partition is served; answers how long that took.
    pub async fn ready(&mut self) -> Duration {
        let asked = Instant::now();
        let url = format!("http://127.0.0.1:{}/readyz", self.admin_port);
        loop {
            let answer = self.client.get(&url).timeout(Duration::from_secs(5)).send().await;
            self.must_live();
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return asked.elapsed();
            }
            assert!(asked.elapsed() < PATIENCE, "not ready:\n{}", self.last_words());
            nap().await;
        }
    }

    /// Whether it still runs; a service that ends by itself has failed.
    pub fn must_live(&mut self) {
        let Some(ended) = self.running.as_mut().and_then(Process::ended) else { return };
        panic!("it ended by itself, with {ended}:\n{}", self.last_words());
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Where backups are asked for.
    pub fn admin(&self) -> String {
        format!("127.0.0.1:{}", self.admin_port)
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(self.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    pub fn put_settings(&self, workspace: &str, settings: &Value) -> reqwest::RequestBuilder {
        let put = self.client.put(self.url(&format!("/v1/workspaces/{workspace}/settings")));
        put.header("content-type", "application/json").body(settings.to_string())
    }

    /// How many conversations wait for a deadline.
    pub async fn timers(&self, workspace: &str) -> usize {
        let list = self.get(&format!("/v1/workspaces/{workspace}/conversations?due_before=9999-01-01T00:00:00Z&limit=200")).await;
        list["items"].as_array().unwrap().len()
    }

    pub fn last_words(&self) -> String {
        self.running.as_ref().map(Process::last_words).unwrap_or_default()
    }
}

pub async fn nap() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

pub fn now() -> Ms {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as Ms
}
