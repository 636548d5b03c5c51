//! `adjourn serve` as one of several nodes, on ports of its own, as often as it takes.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::load::Door;
use super::rig::clock::ClockFile;
use super::rig::disk::Disk;
use super::rig::process::{self, PATIENCE, Process, free_port};
use super::rig::proxy::Proxy;

pub const BINARY: &str = env!("CARGO_BIN_EXE_adjourn");
pub const PARTITIONS: u16 = 12;

/// What every node of a fleet is started with.
#[derive(Clone)]
pub struct Setup {
    pub lease_ms: u64,
    /// More of the environment.
    pub environment: Vec<(&'static str, String)>,
}

pub struct Node {
    pub name: String,
    pub port: u16,
    admin_port: u16,
    /// Its way to Redis, where there is but one Redis.
    pub proxy: Option<Proxy>,
    /// How far its date is off, believed when it starts.
    pub clock: Option<ClockFile>,
    /// What its store is on, where that can lose its power; its date is the machine's then.
    pub disk: Option<Disk>,
    /// Requests of the load that it has not answered.
    pub pending: Arc<AtomicUsize>,
    store: String,
    setup: Setup,
    /// The program: this build's, or one of another version.
    pub binary: PathBuf,
    log: PathBuf,
    running: Option<Process>,
}

impl Node {
    pub fn new(dir: &Path, nth: usize, store: String, proxy: Option<Proxy>, setup: Setup) -> Self {
        let name = format!("node-{nth}");
        let log = dir.join(format!("{name}.log"));
        let pending = Arc::default();
        Self {
            name,
            port: free_port(),
            admin_port: free_port(),
            proxy,
            clock: None,
            disk: None,
            pending,
            store,
            setup,
            binary: BINARY.into(),
            log,
            running: None,
        }
    }

    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// With more of the environment, this time.
    pub fn start_with(&mut self, more: &[(&str, &str)]) {
        assert!(self.running.is_none(), "it runs");
        let mut command = process::command(&self.binary);
        command.arg("serve").env_clear();
        command.args(["--listen", &format!("127.0.0.1:{}", self.port), "--admin-listen", &format!("127.0.0.1:{}", self.admin_port)]);
        command.args(["--store", &self.store, "--partitions", &PARTITIONS.to_string(), "--node", &self.name]);
        command.env("ADJOURN__LEASE", lease(self.setup.lease_ms));
        // What was accepted can be read at the end, and a listener that lost its node finds out soon.
        command.env("ADJOURN__EVENT_LOG__KEEP", "true").env("ADJOURN__LIMITS__KEEP_ALIVE", "1s");
        command.env("ADJOURN__AUTO_CLOSE__MIN_PERIOD", "1s").env("ADJOURN__NOTIFICATIONS__KEEP", "100000000");
        command.env("ADJOURN__LOG__LEVEL", "info,actix_server=warn,adjourn=debug");
        command.envs(self.setup.environment.iter().map(|(name, value)| (name, value))).envs(more.iter().copied());
        if let Some(clock) = &self.clock {
            clock.preload(&mut command);
        }
        if let Some(disk) = &self.disk {
            assert!(self.clock.is_none(), "one library is preloaded, not two");
            disk.preload(&mut command);
        }
        self.running = Some(Process::start(command, &self.log));
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub fn kill(&mut self) {
        self.running.take().expect("it runs").kill();
    }

    /// SIGTERM: it must end well.
    pub fn terminate(&mut self) {
        let mut running = self.running.take().expect("it runs");
        let status = running.terminate();
        assert!(status.success(), "{} was asked to stop and ended with {status}:\n{}", self.name, running.last_words());
    }

    /// SIGTERM; whoever asks waits for what comes of it.
    pub fn ask_to_end(&self) {
        self.running.as_ref().expect("it runs").ask_to_end();
    }

    /// How it ended, if it did: then it no longer runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.running.as_mut()?.ended()?;
        self.running = None;
        Some(status)
    }

    pub fn freeze(&self) {
        self.running.as_ref().expect("it runs").stop();
    }

    pub fn thaw(&self) {
        self.running.as_ref().expect("it runs").cont();
    }

    /// A node that ends by itself has failed.
    pub fn must_live(&mut self) {
        let Some(running) = &mut self.running else { return };
        let ended = running.ended();
        assert!(ended.is_none(), "{} ended by itself, with {ended:?}:\n{}", self.name, running.last_words());
    }

    /// Whether it has what it shall have.
    pub async fn is_ready(&self, client: &reqwest::Client) -> bool {
        let url = format!("http://127.0.0.1:{}/readyz", self.admin_port);
        let answer = client.get(url).timeout(Duration::from_secs(5)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// Waits until it is.
    pub async fn ready(&mut self, client: &reqwest::Client) {
        let asked = Instant::now();
        loop {
            let is_ready = self.is_ready(client).await;
            self.must_live();
            if is_ready {
                return;
            }
            assert!(asked.elapsed() < PATIENCE, "{} does not become ready:\n{}", self.name, self.last_words());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A counter of its metrics; 0 where it has none, or does not answer.
    pub async fn counter(&self, client: &reqwest::Client, name: &str) -> u64 {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin_port);
        let Ok(answer) = client.get(url).timeout(Duration::from_secs(5)).send().await else { return 0 };
        let text = answer.text().await.unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        value.unwrap_or(0.0) as u64
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn door(&self) -> Door {
        Door { url: self.url("/v1/events"), pending: self.pending.clone() }
    }

    pub fn has_pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst) > 0
    }

    fn last_words(&self) -> String {
        self.running.as_ref().map(Process::last_words).unwrap_or_default()
    }
}

fn lease(ms: u64) -> String {
    assert!(ms.is_multiple_of(1_000), "the configuration knows whole seconds");
    format!("{}s", ms / 1_000)
}
