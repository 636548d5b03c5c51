//! Three nodes, their Redis, the load on them, and what is looked at from outside.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::chain::{Call, lease_key};
use super::judge::history::Ms;
use super::judge::listener::Listener;
use super::judge::rest;
use super::judge::rng::Rng;
use super::load::{Dial, Load, Raw, WORKSPACE};
use super::node::{Node, PARTITIONS, Setup};
use super::rig::clock::ClockFile;
use super::rig::process::{PATIENCE, wait_until};
use super::rig::proxy::Proxy;
use super::rig::sentinel::{self, Sentinels};
use super::rig::server::{Aof, Options, Server, try_connection_to};

pub const NODES: usize = 3;
/// A commit that came by so lately was most likely not answered yet.
pub const IN_FLIGHT: Duration = Duration::from_millis(5);
/// A stream says every second that it is still there.
const QUIET: Duration = Duration::from_secs(4);

/// What a scenario needs.
#[derive(Clone)]
pub struct Plan {
    pub scenario: &'static str,
    pub lease_ms: u64,
    pub backend: Backend,
    /// Dates that can be moved: of each node, of Redis.
    pub node_clocks: bool,
    pub redis_clock: bool,
    /// Whether Redis can lose its power.
    pub redis_power: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// One server, `appendfsync always`.
    Alone,
    /// A primary with its replicas and three sentinels; `replicas`: how many must have a write before it counts. All there
    /// are: a failover that is asked for takes any of them, and leaves the others with the old primary for a moment.
    Watched { replicas: u32 },
}

impl Plan {
    pub fn new(scenario: &'static str) -> Self {
        Self { scenario, lease_ms: 1_000, backend: Backend::Alone, node_clocks: false, redis_clock: false, redis_power: false }
    }
}

pub enum Redis {
    Alone(Server),
    Watched(Sentinels),
}

pub struct Fleet {
    pub plan: Plan,
    pub period_ms: u64,
    pub rng: Rng,
    pub nodes: Vec<Node>,
    pub redis: Redis,
    pub redis_clock: Option<Arc<ClockFile>>,
    pub load: Load,
    pub listener: Listener,
    pub client: reqwest::Client,
    /// When Redis last forgot what it had answered, and with it what it had executed: a close of before may have had the name
    /// of one that comes after.
    pub forgot_at: Option<Ms>,
    /// Commits as they came by, of every node.
    pub calls: Arc<Mutex<Vec<(Instant, usize, Call)>>>,
    pub dir: TempDir,
}

impl Fleet {
    /// Everything runs, and has something to do.
    pub async fn start(plan: Plan, mut rng: Rng) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let redis_clock = plan.redis_clock.then(|| Arc::new(ClockFile::offset()));
        // The whole file is read at the end: nothing may be rewritten.
        let options = |aof| {
            Options { clock: redis_clock.clone(), power: plan.redis_power, ..Options::aof(aof) }.line("auto-aof-rewrite-percentage 0")
        };
        let redis = match plan.backend {
            Backend::Alone => Redis::Alone(Server::start(options(Aof::Always))),
            Backend::Watched { replicas: 0 } => Redis::Watched(Sentinels::start(2, &options(Aof::Everysec))),
            Backend::Watched { replicas } => Redis::Watched(Sentinels::start(replicas as usize, &options(Aof::Always))),
        };
        let mut nodes: Vec<Node> = (1..=NODES).map(|nth| node(&dir, nth, &redis, &plan)).collect();
        let calls = Arc::<Mutex<Vec<_>>>::default();
        for (at, node) in nodes.iter_mut().enumerate() {
            if let Some(proxy) = &node.proxy {
                note_calls(at, proxy.watch(&[b":lease\r\n", b"EVAL"]), calls.clone());
            }
            node.start();
        }
        let client =
            adjourn::tls::http(None).unwrap().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(15)).build().unwrap();
        for node in &mut nodes {
            node.ready(&client).await;
        }
        let period_ms = 1_000 * rng.between(1, 3);
        let settings = json!({"auto_close": {"enabled": true, "period": format!("{}s", period_ms / 1_000)}});
        put_settings(&client, &nodes, WORKSPACE, &settings).await;
        let listener = Listener::start(&nodes.iter().map(|node| node.port).collect::<Vec<_>>(), QUIET);
        let load = Load::start(nodes.iter().map(Node::door).collect(), period_ms, raw(&redis, plan.backend), &mut rng);
        Self { plan, period_ms, rng, nodes, redis, redis_clock, load, listener, client, forgot_at: None, calls, dir }
    }

    /// Waits until every node has what it shall have.
    pub async fn settled(&mut self) {
        for node in &mut self.nodes {
            node.ready(&self.client).await;
        }
    }

    /// Waits until every partition has one of the running nodes as its owner.
    pub async fn owned(&mut self) {
        let asked = Instant::now();
        loop {
            self.nodes.iter_mut().for_each(Node::must_live);
            let names: Vec<&str> = self.nodes.iter().filter(|node| node.is_running()).map(|node| node.name.as_str()).collect();
            let owners = self.owners();
            if owners.iter().all(|owner| owner.as_deref().is_some_and(|owner| names.contains(&owner))) {
                return;
            }
            assert!(asked.elapsed() < PATIENCE, "not every partition has an owner: {owners:?}");
            pause(20).await;
        }
    }

    pub fn server(&mut self) -> &mut Server {
        match &mut self.redis {
            Redis::Alone(server) => server,
            Redis::Watched(_) => panic!("there are several"),
        }
    }

    pub fn sentinels(&mut self) -> &mut Sentinels {
        match &mut self.redis {
            Redis::Watched(sentinels) => sentinels,
            Redis::Alone(_) => panic!("there are none"),
        }
    }

    /// To whoever is the primary.
    pub fn connection(&self) -> redis::Connection {
        match &self.redis {
            Redis::Alone(server) => server.connection(),
            Redis::Watched(sentinels) => {
                let mut connection = None;
                wait_until("there is a primary that answers", || {
                    connection = sentinels.primary().and_then(|port| try_connection_to(port).ok());
                    connection.is_some()
                });
                connection.unwrap()
            }
        }
    }

    /// Where the service itself finds its store.
    pub fn store_url(&self) -> String {
        store_url(&self.redis)
    }

    /// Who has each partition.
    pub fn owners(&self) -> Vec<Option<String>> {
        let mut pipe = redis::pipe();
        for partition in 0..PARTITIONS {
            pipe.hget(lease_key(partition), "node");
        }
        pipe.query(&mut self.connection()).unwrap()
    }

    pub fn partitions_of(&self, node: usize) -> Vec<u16> {
        let name = Some(&self.nodes[node].name);
        self.owners().iter().zip(0..).filter(|(owner, _)| owner.as_ref() == name).map(|(_, partition)| partition).collect()
    }

    /// How many timers of these partitions run out within `ms`.
    pub fn due_within(&self, partitions: &[u16], ms: u64) -> u64 {
        if partitions.is_empty() {
            return 0; // a node that has none just now
        }
        let mut pipe = redis::pipe();
        let until = super::load::now() + ms as i64;
        for partition in partitions {
            pipe.zcount(format!("adjourn:{{p{partition}}}:deadlines"), 0, until);
        }
        pipe.query::<Vec<u64>>(&mut self.connection()).unwrap().iter().sum()
    }

    /// Waits for the next commit of this node (any, if `None`) to come by, a moment at most.
    pub async fn await_commit(&self, node: Option<usize>) {
        let (asked, before) = (Instant::now(), self.commits_of(node, asked_at_start()));
        while asked.elapsed() < Duration::from_millis(500) && self.commits_of(node, asked_at_start()) == before {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }

    /// Waits until something of this node (any, if `None`) is under way, 2 s at most; whether it still is.
    pub async fn await_in_flight(&mut self, node: Option<usize>) -> bool {
        let asked = Instant::now();
        loop {
            self.await_commit(node).await;
            // Not always at the same place of its way.
            let micros = self.rng.below(2_000);
            tokio::time::sleep(Duration::from_micros(micros)).await;
            let pending = node.map_or_else(|| self.any_pending(), |node| self.nodes[node].has_pending());
            let is_in_flight = pending || self.commits_of(node, IN_FLIGHT) > 0;
            if is_in_flight || asked.elapsed() > Duration::from_secs(2) {
                return is_in_flight;
            }
        }
    }

    /// Commits that came by within the last `within`.
    pub fn commits_of(&self, node: Option<usize>, within: Duration) -> usize {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .rev()
            .take_while(|(at, _, _)| at.elapsed() < within)
            .filter(|(_, from, _)| node.is_none_or(|node| node == *from))
            .count()
    }

    /// Waits until a node has a request that it has not answered, a moment at most; whether one has.
    pub async fn await_pending(&self) -> bool {
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_millis(500) && !self.any_pending() {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        self.any_pending()
    }

    pub fn any_pending(&self) -> bool {
        self.nodes.iter().any(Node::has_pending)
    }
}

/// Further back than any run goes.
fn asked_at_start() -> Duration {
    Duration::from_secs(86_400)
}

fn node(dir: &TempDir, nth: usize, redis: &Redis, plan: &Plan) -> Node {
    let (store, proxy) = match redis {
        Redis::Alone(server) => {
            let proxy = Proxy::start(server.address());
            (proxy.url(), Some(proxy))
        }
        Redis::Watched(_) => (store_url(redis), None),
    };
    let environment = match plan.backend {
        Backend::Watched { replicas } if replicas > 0 => strict(replicas),
        Backend::Watched { .. } | Backend::Alone => Vec::new(),
    };
    let mut node = Node::new(dir.path(), nth, store, proxy, Setup { lease_ms: plan.lease_ms, environment });
    node.clock = plan.node_clocks.then(ClockFile::offset);
    node
}

fn strict(replicas: u32) -> Vec<(&'static str, String)> {
    vec![("ADJOURN__DURABILITY__MODE", "strict".to_owned()), ("ADJOURN__DURABILITY__REPLICAS", replicas.to_string())]
}

fn store_url(redis: &Redis) -> String {
    match redis {
        Redis::Alone(server) => server.url(),
        Redis::Watched(sentinels) => {
            let hosts: Vec<String> = sentinels.urls().iter().map(|url| url.trim_start_matches("redis://").to_owned()).collect();
            format!("redis+sentinel://{}/{}", hosts.join(","), sentinel::NAME)
        }
    }
}

/// Where a primary may forget what only Redis knew of, nobody writes past the nodes.
fn raw(redis: &Redis, backend: Backend) -> Option<Raw> {
    let raw = |addresses, replicas| Some(Raw { dial: dial(addresses), replicas, partitions: PARTITIONS });
    match (redis, backend) {
        (Redis::Alone(server), _) => raw(vec![server.address()], 0),
        (Redis::Watched(_), Backend::Watched { replicas: 0 }) => None,
        (Redis::Watched(sentinels), Backend::Watched { replicas }) => {
            raw(sentinels.ports().map(super::rig::server::loopback).collect(), replicas)
        }
        (Redis::Watched(_), Backend::Alone) => None,
    }
}

/// To the first of these that says it is a primary.
fn dial(addresses: Vec<SocketAddr>) -> Dial {
    Arc::new(move || {
        addresses.iter().find_map(|address| {
            let client = redis::Client::open(format!("redis://{address}")).ok()?;
            let mut connection = client.get_connection_with_timeout(Duration::from_millis(500)).ok()?;
            connection.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
            let role: Vec<redis::Value> = redis::cmd("ROLE").query(&mut connection).ok()?;
            let is_primary = matches!(role.first(), Some(redis::Value::BulkString(role)) if role == b"master");
            is_primary.then_some(connection)
        })
    })
}

fn note_calls(node: usize, watched: mpsc::Receiver<Vec<u8>>, calls: Arc<Mutex<Vec<(Instant, usize, Call)>>>) {
    std::thread::spawn(move || {
        for request in watched {
            if let Some(call) = Call::read(&request) {
                calls.lock().unwrap().push((Instant::now(), node, call));
            }
        }
    });
}

/// Answered when every partition has applied it; whichever node can answer.
pub async fn put_settings(client: &reqwest::Client, nodes: &[Node], workspace: &str, settings: &Value) {
    rest::put_settings(client, &urls(nodes), workspace, settings).await;
}

pub fn urls(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(|node| node.url("")).collect()
}

pub fn settings_url(node: &Node, workspace: &str) -> String {
    node.url(&format!("/v1/workspaces/{workspace}/settings"))
}

pub async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Its directory stays, for whoever looks into a failure.
pub fn keep(dir: TempDir, redis: &Redis) -> PathBuf {
    let kept = dir.keep();
    if let Redis::Alone(server) = redis {
        let to = kept.join("redis");
        let copied = std::process::Command::new("cp").arg("-r").arg(server.dir()).arg(&to).status();
        assert!(copied.is_ok_and(|status| status.success()), "what Redis left cannot be copied to {}", to.display());
    }
    kept
}
