//! What only real servers show. Each test starts its own, on free ports of the loopback.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use redis::{FromRedisValue, Value};
use tempfile::TempDir;

use super::*;
use crate::clock::Stopwatch;

mod cluster;
mod sentinel;
mod standalone;
mod tls;

/// Whatever takes longer than this is broken.
const PATIENCE: Duration = Duration::from_secs(15);

/// A `redis-server`, ended when dropped.
struct Server {
    child: Child,
    port: u16,
    dir: TempDir,
    options: Vec<String>,
}

impl Server {
    fn start(options: &[&str]) -> Self {
        Self::start_on(free_port(), options)
    }

    fn start_on(port: u16, options: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), port, options)
    }

    fn start_in(dir: TempDir, port: u16, options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let child = spawn(dir.path(), port, &options);
        let server = Self { child, port, dir, options };
        server.wait();
        server
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it where it stands, or lets it go on.
    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.dir.path(), self.port, &self.options);
        self.wait();
    }

    fn wait(&self) {
        until("the server answers", || self.try_ask::<String>(&["PING"]).is_some_and(|answer| answer == "PONG"));
    }

    /// Asks on a connection beside the link.
    fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).unwrap()
    }

    fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> Option<T> {
        let mut connection = ::redis::Client::open(("127.0.0.1", self.port)).unwrap().get_connection().ok()?;
        cmd(words).query(&mut connection).ok()
    }

    fn info(&self, name: &str) -> String {
        let info: String = self.ask(&["INFO", "all"]);
        field(&info, name).unwrap().to_owned()
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn link(&self) -> Link {
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

fn spawn(dir: &Path, port: u16, options: &[String]) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
    let fixed = ["--bind", "127.0.0.1", "--save", "", "--dir"];
    let started = Command::new("redis-server")
        .args(options)
        .args(fixed)
        .arg(dir)
        .args(["--port", &port.to_string()])
        .stdout(log)
        .stderr(Stdio::null())
        .spawn();
    started.expect("`redis-server` must be installed")
}

/// A port that is free, and the one 10,000 above it, where a cluster's node talks to the others. Below those the kernel
/// gives out by itself.
fn free_port() -> u16 {
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

fn link(url: &str) -> Link {
    link_with(url, LinkOptions::default())
}

fn link_with(url: &str, options: LinkOptions) -> Link {
    Link::open(url.parse().unwrap(), options).unwrap()
}

fn cmd(words: &[&str]) -> Cmd {
    let mut cmd = Cmd::new();
    for word in words {
        cmd.arg(*word);
    }
    cmd
}

fn string(value: &str) -> Value {
    Value::BulkString(value.into())
}

/// Looks again and again, for a bounded time.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = Stopwatch::start();
    while !holds() {
        assert!(patience.elapsed() < PATIENCE, "still not: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Asks again and again until it holds, for a bounded time.
async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let patience = Stopwatch::start();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(patience.elapsed() < PATIENCE, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("still not: {what}"))
}
