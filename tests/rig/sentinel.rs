//! A primary with its replicas, and three sentinels that watch them and agree on another primary when it is gone.
//!
//! A failover takes about a second here: the sentinels' own periods are made short with `SENTINEL DEBUG` (Redis 7).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use redis::{RedisResult, Value, cmd};
use tempfile::TempDir;
use uuid::Uuid;

use super::process::{self, PATIENCE, Process, free_port, wait_until};
use super::server::{Options, Server, answers, connection_to, try_connection_to};

/// What the sentinels call the primary.
pub const NAME: &str = "rig";
const SENTINELS: usize = 3;
/// How many of them must find the primary gone.
const QUORUM: usize = 2;
/// A primary silent for so long is taken for gone while one is to be replaced: little enough to wait for.
const DOWN_AFTER_MS: u32 = 500;
/// And before and after: nobody takes a busy machine's hiccup for a death. A failover that no test asked for takes away what
/// was written a moment ago, and the test with it.
const DOWN_AFTER_WHILE_CALM_MS: u32 = 120_000;
/// An attempt that came to nothing is made again after twice this.
const FAILOVER_TIMEOUT_MS: u32 = 2_000;
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(3 * FAILOVER_TIMEOUT_MS as u64);
/// What Sentinel does every so often, in milliseconds: seconds by default.
const PERIODS: &[(&str, u32)] = &[("ping-period", 100), ("info-period", 200), ("publish-period", 200), ("ask-period", 200)];

/// What happens to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    /// SIGKILL.
    Kill,
    /// SIGSTOP: it will come back and believe itself the primary.
    Stop,
    /// Somebody asks a sentinel for it; the primary lives.
    Asked,
}

/// All of them. They end when this is dropped.
pub struct Sentinels {
    servers: Vec<Server>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    _process: Process,
    _dir: TempDir,
}

impl Sentinels {
    /// Replicas in sync, every sentinel ready for a failover.
    pub fn start(replicas: usize, options: &Options) -> Self {
        let primary = Server::start(options.clone());
        let follow = Options { replica_of: Some(primary.port()), ..options.clone() };
        let mut servers = vec![primary];
        servers.extend((0..replicas).map(|_| Server::start(follow.clone())));
        let sentinels = start_sentinels(&servers.iter().map(Server::port).collect::<Vec<_>>());
        let started = Self { servers, sentinels };
        let (primary, followers) = (started.servers[0].port(), &started.servers[1..]);
        wait_until("every replica is in sync", || followers.iter().all(|server| is_in_sync_with(primary, server.port())));
        wait_until("every sentinel knows the others and the replicas", || started.sentinels.iter().all(|one| one.is_ready(replicas)));
        started
    }

    /// Where clients ask who the primary is.
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(|one| format!("redis://127.0.0.1:{}", one.port)).collect()
    }

    /// The port that every sentinel names, once they agree.
    pub fn primary(&self) -> Option<u16> {
        let mut named = self.sentinels.iter().map(Sentinel::primary);
        let first = named.next()?;
        if named.all(|other| other == first) { first } else { None }
    }

    pub fn server(&mut self, port: u16) -> &mut Server {
        self.servers.iter_mut().find(|server| server.port() == port).expect("one of these servers")
    }

    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.servers.iter().map(Server::port)
    }

    /// Waits until every replica has what the primary had when this was called: a replica that takes over sooner, on a busy machine,
    /// does so without it.
    pub fn wait_for_replicas(&self) {
        let primary = self.primary().expect("they agree on a primary");
        let replicas = self.servers.len() - 1;
        let mut wait = cmd("WAIT");
        wait.arg(replicas).arg(PATIENCE.as_millis() as u64);
        let mut connection = connection_to(primary);
        // What is waited for is all there was at the last command of this connection.
        cmd("PING").exec(&mut connection).unwrap();
        let have: usize = wait.query(&mut connection).unwrap();
        assert_eq!(have, replicas, "replicas that have everything");
    }

    /// Takes the primary away, and tells which one it was.
    pub fn failover(&mut self, how: Failover) -> u16 {
        let old = self.primary().expect("they agree on a primary");
        self.find_gone_after(DOWN_AFTER_MS);
        match how {
            Failover::Kill => self.server(old).kill(),
            Failover::Stop => self.server(old).stop(),
            Failover::Asked => self.ask_for_failover().unwrap(),
        }
        old
    }

    fn ask_for_failover(&self) -> RedisResult<()> {
        cmd("SENTINEL").arg("FAILOVER").arg(NAME).exec(&mut connection_to(self.sentinels[0].port))
    }

    /// Waits until every sentinel names another primary than `old`, and that one believes it too.
    pub fn wait_for_new_primary(&self, old: u16, how: Failover) -> u16 {
        let (mut new, mut asked) = (None, Instant::now());
        wait_until("there is a new primary", || {
            // One that was given up, for a replica that took its time on a busy machine, is nobody's to try again: the old one lives.
            if how == Failover::Asked && asked.elapsed() > ASKED_AGAIN_AFTER {
                let _ = self.ask_for_failover(); // refused where it is under way after all
                asked = Instant::now();
            }
            new = self.primary().filter(|port| *port != old && role(*port).is_some_and(|role| role == "master"));
            new.is_some()
        });
        self.find_gone_after(DOWN_AFTER_WHILE_CALM_MS);
        new.unwrap()
    }

    fn find_gone_after(&self, ms: u32) {
        for sentinel in &self.sentinels {
            let mut set = cmd("SENTINEL");
            set.arg("SET").arg(NAME).arg("down-after-milliseconds").arg(ms).exec(&mut connection_to(sentinel.port)).unwrap();
        }
    }

    /// Brings a server back that [`Self::failover`] took away; it and all others follow the new primary when this returns.
    pub fn bring_back(&mut self, port: u16, how: Failover) {
        match how {
            Failover::Kill => self.server(port).restart(),
            Failover::Stop => self.server(port).cont(),
            Failover::Asked => {}
        }
        let primary = self.primary().expect("they agree on a new primary");
        wait_until("all follow the new primary", || self.ports().all(|port| port == primary || is_in_sync_with(primary, port)));
        let replicas = self.servers.len() - 1;
        wait_until("every sentinel has it among the replicas", || self.sentinels.iter().all(|one| one.is_ready(replicas)));
    }
}

impl Sentinel {
    fn start(port: u16, id: &str, watched: &[String]) -> Self {
        let dir = process::directory();
        let config = dir.path().join("sentinel.conf");
        let lines = [
            format!("port {port}\nbind 127.0.0.1\ndir {}\nsentinel myid {id}\n", dir.path().display()),
            watched.iter().map(|line| format!("sentinel {line}\n")).collect(),
        ];
        fs::write(&config, lines.concat()).unwrap();
        let process = Self::process(&config, &dir.path().join("log"));
        Self { port, _process: process, _dir: dir }
    }

    fn process(config: &Path, log: &Path) -> Process {
        let mut command = process::command("redis-server");
        command.arg(config).arg("--sentinel");
        Process::start(command, log)
    }

    fn primary(&self) -> Option<u16> {
        let address: RedisResult<(String, u16)> =
            cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(NAME).query(&mut connection_to(self.port));
        address.ok().map(|(_, port)| port)
    }

    /// Whether a failover would find enough voters and all of the replicas.
    fn is_ready(&self, replicas: usize) -> bool {
        let mut connection = connection_to(self.port);
        let voters: RedisResult<String> = cmd("SENTINEL").arg("CKQUORUM").arg(NAME).query(&mut connection);
        let known: Vec<Vec<(String, String)>> = cmd("SENTINEL").arg("REPLICAS").arg(NAME).query(&mut connection).unwrap();
        let is_healthy = |replica: &Vec<(String, String)>| {
            let has = |name: &str, value: &str| replica.iter().any(|(n, v)| n == name && v == value);
            has("flags", "slave") && has("master-link-status", "ok")
        };
        voters.is_ok_and(|told| told.starts_with("OK 3 ")) && known.iter().filter(|replica| is_healthy(replica)).count() == replicas
    }
}

/// They are told of each other: finding out by themselves takes seconds.
fn start_sentinels(servers: &[u16]) -> Vec<Sentinel> {
    let peers: [(u16, String); SENTINELS] = std::array::from_fn(|_| (free_port(), format!("{}00000000", Uuid::new_v4().simple())));
    let sentinels: Vec<Sentinel> = peers.iter().map(|(port, id)| Sentinel::start(*port, id, &watched(servers, &peers, id))).collect();
    for sentinel in &sentinels {
        wait_until("the sentinel answers", || answers(sentinel.port));
        let mut debug = cmd("SENTINEL");
        debug.arg("DEBUG");
        for (period, ms) in PERIODS {
            debug.arg(period).arg(ms);
        }
        debug.exec(&mut connection_to(sentinel.port)).unwrap();
    }
    sentinels
}

fn watched(servers: &[u16], peers: &[(u16, String)], own: &str) -> Vec<String> {
    let mut lines = vec![
        format!("monitor {NAME} 127.0.0.1 {} {QUORUM}", servers[0]),
        format!("down-after-milliseconds {NAME} {DOWN_AFTER_WHILE_CALM_MS}"),
        format!("failover-timeout {NAME} {FAILOVER_TIMEOUT_MS}"),
    ];
    lines.extend(servers[1..].iter().map(|port| format!("known-replica {NAME} 127.0.0.1 {port}")));
    let others = peers.iter().filter(|(_, id)| id != own);
    lines.extend(others.map(|(port, id)| format!("known-sentinel {NAME} 127.0.0.1 {port} {id}")));
    lines
}

/// What a server believes itself to be; nothing from one that is gone.
fn role(port: u16) -> Option<String> {
    answer_to_role(port)?.into_iter().next().and_then(|role| redis::from_redis_value(role).ok())
}

/// Whether the server on `port` follows the one on `primary` and has all it had, and that one counts on it: until then nothing
/// is waited for that it should have.
pub fn is_in_sync_with(primary: u16, port: u16) -> bool {
    let answer = answer_to_role(port).unwrap_or_default();
    let is = |at: usize, word: &str| matches!(answer.get(at), Some(Value::BulkString(text)) if text == word.as_bytes());
    let follows = is(0, "slave") && answer.get(2) == Some(&Value::Int(primary.into())) && is(3, "connected");
    let known = || -> RedisResult<String> { cmd("INFO").arg("replication").query(&mut try_connection_to(primary)?) };
    follows && known().is_ok_and(|info| info.contains(&format!("port={port},state=online")))
}

fn answer_to_role(port: u16) -> Option<Vec<Value>> {
    cmd("ROLE").query(&mut try_connection_to(port).ok()?).ok()
}
