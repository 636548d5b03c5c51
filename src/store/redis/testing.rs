//! Real servers for tests, on free ports of the loopback, each with a user that has the rights of `acl` and no more.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Value};
use tempfile::TempDir;

use super::acl;
use super::link::{Link, LinkOptions, field};
use crate::clock::Stopwatch;

/// Whatever takes longer than this is broken.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The user of the links.
pub const LOGIN: &str = "adjourn:secret";

/// A `redis-server`, ended when dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    dir: TempDir,
    options: Vec<String>,
}

impl Server {
    pub fn start(options: &[&str]) -> Self {
        Self::start_on(free_port(), options)
    }

    pub fn start_on(port: u16, options: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), port, options)
    }

    pub fn start_in(dir: TempDir, port: u16, options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        std::fs::write(dir.path().join("users"), users()).unwrap();
        let child = spawn(dir.path(), port, &options);
        let server = Self { child, port, dir, options };
        server.wait();
        server
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it where it stands, or lets it go on.
    pub fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.dir.path(), self.port, &self.options);
        self.wait();
    }

    fn wait(&self) {
        until("the server answers", || self.try_ask::<String>(&["PING"]).is_some_and(|answer| answer == "PONG"));
    }

    /// Asks on a connection beside the link.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).unwrap()
    }

    pub fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> Option<T> {
        let mut connection = ::redis::Client::open(("127.0.0.1", self.port)).unwrap().get_connection().ok()?;
        cmd(words).query(&mut connection).ok()
    }

    pub fn info(&self, name: &str) -> String {
        let info: String = self.ask(&["INFO", "all"]);
        field(&info, name).unwrap().to_owned()
    }

    pub fn url(&self) -> String {
        format!("redis://{LOGIN}@127.0.0.1:{}", self.port)
    }

    pub fn link(&self) -> Link {
        link(&self.url())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what port {} said:\n{}", self.port, std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tests ask beside the link as the user who may do everything.
fn users() -> String {
    let ours = acl::acl_line("adjourn", "adjourn").replace("ACL SETUSER", "user").replace("CHANGE-THIS-PASSWORD", "secret");
    format!("user default on nopass ~* &* +@all\n{ours}\n")
}

fn spawn(dir: &Path, port: u16, options: &[String]) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
    let port = port.to_string();
    let mut command = Command::new("redis-server");
    command.args(options).args(["--bind", "127.0.0.1", "--save", "", "--port", &port, "--dir"]).arg(dir);
    if !options.iter().any(|option| option == "--sentinel") {
        command.arg("--aclfile").arg(dir.join("users"));
    }
    let started = command.stdout(log).stderr(Stdio::null()).spawn();
    started.expect("`redis-server` must be installed")
}

/// A port that is free, and the one 10,000 above it, where a cluster's node talks to the others. Below those the kernel
/// gives out by itself.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 1_000).unwrap() * 10;
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    loop {
        let port = 11_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if free(port) && free(port + 10_000) {
            return port;
        }
    }
}

pub fn link(url: &str) -> Link {
    link_with(url, LinkOptions::default())
}

pub fn link_with(url: &str, options: LinkOptions) -> Link {
    Link::open(url.parse().unwrap(), options).unwrap()
}

pub fn cmd(words: &[&str]) -> Cmd {
    let mut cmd = Cmd::new();
    for word in words {
        cmd.arg(*word);
    }
    cmd
}

pub fn string(value: &str) -> Value {
    Value::BulkString(value.into())
}

/// Looks again and again, for a bounded time.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = Stopwatch::start();
    while !holds() {
        assert!(patience.elapsed() < PATIENCE, "still not: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Asks again and again until it holds, for a bounded time.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let patience = Stopwatch::start();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(patience.elapsed() < PATIENCE, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("still not: {what}"))
}
