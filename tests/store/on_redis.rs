//! Every kind of Redis the suite runs on.
//!
//! Starting a server takes longer than most cases, a cluster takes seconds: each kind is started as often as tests run side
//! by side, and handed from case to case. A case has a prefix of its own, and its clock is set to the beginning.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use adjourn::store::Store;
use adjourn::store::redis::acl::acl_line;
use adjourn::store::redis::{Durability, RedisOptions, RedisStore};
use futures_util::future::FutureExt;
use redis::cmd;

use crate::bench::*;
use crate::rig::clock::ClockFile;
use crate::rig::cluster::Cluster;
use crate::rig::process::wait_until;
use crate::rig::redis::shared;
use crate::rig::sentinel::{NAME, Sentinels, is_in_sync_with};
use crate::rig::server::{Aof, Options, Server};

/// Servers of one kind that no case has at the moment. They live as long as this process.
pub struct Pool<T: 'static>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// For one case at a time; started where all others are taken.
    pub fn take(&'static self, start: impl FnOnce() -> T) -> Taken<T> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Taken { one: Some(free.unwrap_or_else(start)), pool: self }
    }
}

/// Given back when it is dropped; what a failed case had is not used again.
pub struct Taken<T: 'static> {
    one: Option<T>,
    pool: &'static Pool<T>,
}

impl<T> std::ops::Deref for Taken<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.one.as_ref().expect("there until dropped")
    }
}

impl<T> std::ops::DerefMut for Taken<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.one.as_mut().expect("there until dropped")
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).extend(self.one.take());
        }
    }
}

/// Something that goes by a clock of the tests.
pub struct Clocked<T> {
    clock: Arc<ClockFile>,
    servers: T,
}

impl<T> Clocked<T> {
    /// Shows the beginning again, and who moves it from now on.
    fn hands(&self) -> Hands {
        self.clock.set(START);
        let clock = Arc::clone(&self.clock);
        Hands::new(clock.manual(), move |ms| clock.jump(ms))
    }
}

impl Clocked<Server> {
    fn start(options: Options) -> Self {
        let clock = Arc::new(ClockFile::absolute(at(START)));
        Self { servers: Server::start(Options { clock: Some(Arc::clone(&clock)), ..options }), clock }
    }
}

/// Standalone; opened again, the connections are new.
pub async fn redis() -> Bench {
    static POOL: Pool<Clocked<Server>> = Pool::new();
    let server = POOL.take(|| Clocked::start(Options::default()));
    let (hands, prefix) = (server.hands(), prefix());
    Bench::new(hands, Box::new(move || open(server.servers.url(), options(&prefix)).boxed())).await
}

/// The same, killed and started again before it is opened again: what it promised to keep is on its disk.
pub async fn redis_restarted() -> Bench {
    static POOL: Pool<Clocked<Server>> = Pool::new();
    let mut server = POOL.take(|| Clocked::start(Options::aof(Aof::Always)));
    let (hands, prefix, mut runs) = (server.hands(), prefix(), true);
    let open = move || {
        if !std::mem::take(&mut runs) {
            server.servers.kill();
            server.servers.restart();
        }
        open(server.servers.url(), options(&prefix)).boxed()
    };
    Bench::new(hands, Box::new(open)).await
}

/// As a user who may do what `adjourn redis acl` prints, and nothing else.
pub async fn redis_with_least_rights() -> Bench {
    static POOL: Pool<Clocked<Server>> = Pool::new();
    let server = POOL.take(|| Clocked::start(Options::default()));
    let (hands, prefix) = (server.hands(), prefix());
    let line = acl_line(&prefix, &prefix);
    let mut words = line.split(' ');
    cmd(words.next().unwrap()).arg(words.collect::<Vec<_>>()).exec(&mut server.servers.connection()).unwrap();
    let watched = Rights(server);
    let url = format!("redis://{prefix}:CHANGE-THIS-PASSWORD@127.0.0.1:{}", watched.0.servers.port());
    let open = move || {
        let _ = &watched;
        open(url.clone(), options(&prefix)).boxed()
    };
    Bench::new(hands, Box::new(open)).await
}

/// Whatever was refused, be it within a script or where nobody looks at the answer, is in the server's log. The checks at the
/// start may ask for what is no right of everybody: how often the append-only file is synced.
struct Rights(Taken<Clocked<Server>>);

impl Drop for Rights {
    fn drop(&mut self) {
        if !thread::panicking() {
            let log: Vec<HashMap<String, redis::Value>> = cmd("ACL").arg("LOG").query(&mut self.0.servers.connection()).unwrap();
            let refused = log.iter().map(|line| redis::from_redis_value::<String>(line["object"].clone()).unwrap());
            assert_eq!(refused.filter(|object| object != "config|get").collect::<Vec<_>>(), [""; 0]);
        }
    }
}

/// Three primaries, all by the same clock.
pub async fn redis_cluster() -> Bench {
    static POOL: Pool<Clocked<Cluster>> = Pool::new();
    let cluster = POOL.take(start_cluster);
    let (hands, prefix) = (cluster.hands(), prefix());
    let url = cluster.servers.urls().join(",").replace("redis://", "");
    let open = move || {
        let _ = &cluster;
        open(format!("redis+cluster://{url}"), options(&prefix)).boxed()
    };
    Bench::new(hands, Box::new(open)).await
}

/// Its nodes count their time by the tests' clock: it goes on until they have joined, and jumps alarm nobody afterwards.
fn start_cluster() -> Clocked<Cluster> {
    const STEP: Duration = Duration::from_millis(10);
    let clock = Arc::new(ClockFile::absolute(at(START)));
    let options = Options { clock: Some(Arc::clone(&clock)), ..Options::default() }.line("cluster-node-timeout 1000000000");
    let servers = thread::scope(|scope| {
        let starting = scope.spawn(|| Cluster::start(3, &options));
        while !starting.is_finished() {
            clock.jump(STEP.as_millis() as i64 * 5);
            thread::sleep(STEP);
        }
        starting.join().unwrap()
    });
    Clocked { clock, servers }
}

/// By the machine's clock: sentinels take a server whose clock stands still for one that is gone.
pub async fn redis_by_sentinel() -> Bench {
    static POOL: Pool<Sentinels> = Pool::new();
    let sentinels = POOL.take(|| Sentinels::start(1, &Options::default()));
    let (url, prefix) = (sentinels.urls().join(",").replace("redis://", ""), prefix());
    let open = move || {
        let _ = &sentinels;
        open(format!("redis+sentinel://{url}/{NAME}"), options(&prefix)).boxed()
    };
    Bench::new(Hands::tied(), Box::new(open)).await
}

/// Encryption knows no clock of ours: that of the machine will do.
pub async fn redis_over_tls() -> Bench {
    static POOL: Pool<Server> = Pool::new();
    let server = POOL.take(|| Server::start(Options { tls: true, ..Options::default() }));
    let prefix = prefix();
    let url = move || format!("{}/?ca={}", server.tls_url(), server.ca().display());
    Bench::new(Hands::tied(), Box::new(move || open(url(), options(&prefix)).boxed())).await
}

/// Every write counts when one replica has it too. By the machine's clock: waiting for replicas ends by the server's.
pub async fn redis_strict() -> Bench {
    static POOL: Pool<[Server; 2]> = Pool::new();
    let servers = POOL.take(|| {
        let primary = Server::start(Options::aof(Aof::Always));
        let replica = Server::start(Options { replica_of: Some(primary.port()), ..Options::aof(Aof::Always) });
        wait_until("the replica follows", || is_in_sync_with(primary.port(), replica.port()));
        [primary, replica]
    });
    let prefix = prefix();
    let strict = Durability { strict: true, replicas: 1 };
    let open = move || open(servers[0].url(), RedisOptions { durability: strict, ..options(&prefix) }).boxed();
    Bench::new(Hands::tied(), Box::new(open)).await
}

/// Whatever `ADJOURN_TEST_REDIS_URL` names, else one in a container, else a process (`rig/redis.rs`): none has our clock.
pub async fn redis_found() -> Bench {
    let (database, prefix) = (shared().database(), prefix());
    Bench::new(Hands::tied(), Box::new(move || open(database.url(), options(&prefix)).boxed())).await
}

/// Not two of a run are the same, nor of two runs on one server.
fn prefix() -> String {
    static CASES: AtomicU64 = AtomicU64::new(0);
    format!("suite-{}-{}", std::process::id(), CASES.fetch_add(1, Ordering::Relaxed))
}

fn options(prefix: &str) -> RedisOptions {
    let options = RedisOptions { partitions: Some(partitions()), backlog_max: UNAPPLIED_MAX, ..RedisOptions::new("bench") };
    RedisOptions { prefix: prefix.into(), ..options }
}

async fn open(url: String, options: RedisOptions) -> Arc<dyn Store> {
    RedisStore::open(url.parse().unwrap(), options).await.unwrap()
}
