//! The service and its sender as processes of their own, and what becomes of them: they are killed.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::history::Ms;
use super::rng::Rng;

pub const BINARY: &str = env!("CARGO_BIN_EXE_adjourn");
pub const PARTITIONS: u16 = 8;
/// For anything that is only waited for: far more than it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A child that does not outlive its test.
pub struct Process(Child);

impl Process {
    /// Its words go to the end of `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let log = |_| OpenOptions::new().create(true).append(true).open(log).unwrap();
        let [out, err]: [File; 2] = std::array::from_fn(log);
        Self(command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap())
    }

    /// SIGKILL; gone when this returns.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// SIGTERM, and waits for what comes of it.
    pub async fn terminate(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        let asked = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(asked.elapsed() < PATIENCE, "does not end when it is asked to");
            nap().await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `adjourn serve` on one directory and two ports, as often as it takes.
pub struct Service {
    dir: PathBuf,
    pub port: u16,
    admin_port: u16,
    pub client: reqwest::Client,
    running: Option<Process>,
}

impl Service {
    pub fn new(dir: &Path, rng: &mut Rng) -> Self {
        let [port, admin_port] = free_ports(rng);
        // A connection to a process that died must not hold up the question whether the next one is there.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(30)).build().unwrap();
        Self { dir: dir.to_owned(), port, admin_port, client, running: None }
    }

    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    pub fn start(&mut self) {
        assert!(self.running.is_none());
        let mut command = Command::new(BINARY);
        command.arg("serve").env_clear();
        command.args(["--listen", &format!("127.0.0.1:{}", self.port), "--admin-listen", &format!("127.0.0.1:{}", self.admin_port)]);
        command.args(["--store", &format!("embedded:{}", self.store().display()), "--partitions", &PARTITIONS.to_string()]);
        // Files of the log begin and are kept: what was accepted can be read at the end, and beginning one is killed too.
        command.env("ADJOURN__EVENT_LOG__KEEP", "true").env("ADJOURN__EVENT_LOG__SEGMENT_BYTES", "65536");
        command.env("ADJOURN__AUTO_CLOSE__MIN_PERIOD", "1s").env("ADJOURN__NOTIFICATIONS__KEEP", "100000000");
        self.running = Some(Process::start(&mut command, &self.dir.join("serve.log")));
    }

    pub fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    pub async fn stop(&mut self) {
        let status = self.running.take().unwrap().terminate().await;
        assert!(status.success(), "asked to stop, it ended with {status}:\n{}", self.last_words());
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
        let ended = self.running.as_mut().and_then(Process::ended);
        assert!(ended.is_none(), "it ended by itself, with {ended:?}:\n{}", self.last_words());
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
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
        tail(&self.dir.join("serve.log"))
    }
}

/// The end of a file, for a failing test.
pub fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

pub async fn nap() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

pub fn now() -> Ms {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as Ms
}

/// Given out by [`free_ports`]: the tests of this process run side by side, and a service that was just killed holds none.
static PORTS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Ports nobody listens on, below those that the system gives to connections going out: between two lives of the service,
/// one of those could otherwise take the place, or a client that tries again and again could meet itself.
fn free_ports<const N: usize>(rng: &mut Rng) -> [u16; N] {
    let mut given = PORTS.lock().unwrap();
    std::array::from_fn(|_| {
        loop {
            let port = rng.between(10_000, 32_000) as u16;
            if given.insert(port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    })
}
