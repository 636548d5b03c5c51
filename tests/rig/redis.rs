//! Some Redis, for tests that neither kill it nor move its date, wherever it comes from:
//!
//! 1. `ADJOURN_TEST_REDIS_URL`: whatever is in its databases is thrown away.
//! 2. A container of `redis:7`, where a Docker engine answers; `deploy/images.sh` pulls the image, or makes it from packages.
//! 3. A `redis-server` of this machine.
//!
//! Without any of them the test fails. Whichever it is, it is gone when this process is, however that ends.

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::cmd;
use testcontainers::bollard::models::PortBinding;
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{GenericImage, ImageExt, TestcontainersError};

use super::process::{Afterwards, wait_until};
use super::server::{Aof, Options, Server, answers};

const IMAGE: (&str, &str) = ("redis", "7");
const PORT: u16 = 6379;
/// More than there are by default: one for each test that runs just now.
const DATABASES: u32 = 64;
/// On every container of ours, with the second it was started.
const LABEL: &str = "adjourn.rig";
/// No run takes so long; older containers are of one that could not end them.
const LEFTOVER_AFTER: Duration = Duration::from_secs(3_600);
/// An engine that lives answers in milliseconds.
const ENGINE_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The one that the tests of this process share.
pub fn shared() -> &'static Redis {
    static SHARED: LazyLock<Redis> = LazyLock::new(Redis::find);
    &SHARED
}

/// A standalone Redis with some databases.
pub struct Redis {
    url: String,
    source: Source,
    free: Mutex<BTreeSet<u32>>,
}

/// Where it comes from.
pub enum Source {
    Url,
    Container(Container),
    Local(Server),
}

impl Redis {
    fn find() -> Self {
        if let Ok(url) = env::var("ADJOURN_TEST_REDIS_URL") {
            return Self::new(url, Source::Url);
        }
        let no_container = match Container::start() {
            Ok(container) => return Self::new(container.url(), Source::Container(container)),
            Err(why) => why,
        };
        assert!(
            Command::new("redis-server").arg("--version").output().is_ok(),
            "these tests need a Redis: set ADJOURN_TEST_REDIS_URL, or start a Docker engine ({no_container}), \
             or install one (apt-get install redis-server)"
        );
        Self::local()
    }

    /// A process of this machine.
    pub fn local() -> Self {
        let server = Server::start(Options::aof(Aof::Everysec).line(format!("databases {DATABASES}")));
        Self::new(server.url(), Source::Local(server))
    }

    fn new(url: String, source: Source) -> Self {
        let found = Self { url, source, free: Mutex::default() };
        let databases: Option<(String, u32)> = cmd("CONFIG").arg("GET").arg("databases").query(&mut found.connection(0)).ok();
        // 16 are what there is unless somebody says otherwise.
        *found.free.lock().unwrap() = (0..databases.map_or(16, |(_, count)| count)).collect();
        found
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    /// An empty database that nobody else of this process has.
    pub fn database(&self) -> Database<'_> {
        let mut number = None;
        wait_until("a database is free", || {
            number = self.free.lock().unwrap().pop_first();
            number.is_some()
        });
        let database = Database { redis: self, number: number.unwrap() };
        database.flush();
        database
    }

    fn connection(&self, database: u32) -> redis::Connection {
        let client = redis::Client::open(self.database_url(database)).expect("the URL of a Redis");
        let within = Duration::from_secs(10);
        client.get_connection_with_timeout(within).unwrap_or_else(|error| panic!("{} does not answer: {error}", self.url))
    }

    fn database_url(&self, number: u32) -> String {
        let mut url = redis::parse_redis_url(&self.url).expect("the URL of a Redis");
        url.set_path(&format!("/{number}"));
        url.to_string()
    }
}

/// Given back, and emptied, when it is dropped.
pub struct Database<'a> {
    redis: &'a Redis,
    number: u32,
}

impl Database<'_> {
    pub fn url(&self) -> String {
        self.redis.database_url(self.number)
    }

    pub fn connection(&self) -> redis::Connection {
        self.redis.connection(self.number)
    }

    fn flush(&self) {
        cmd("FLUSHDB").exec(&mut self.connection()).unwrap();
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.flush();
        }
        self.redis.free.lock().unwrap().insert(self.number);
    }
}

/// Redis in a container. It is removed when this is dropped or this process is gone, whichever comes first.
pub struct Container {
    id: String,
    port: u16,
    _removal: Afterwards,
}

impl Container {
    /// Answers `PING` when this returns; why there can be none otherwise.
    pub fn start() -> Result<Self, String> {
        image()?;
        remove_leftovers();
        // A thread of its own: the test's may be inside a runtime already.
        let (id, port) = thread::spawn(start_container).join().unwrap().map_err(|error| error.to_string())?;
        let removal = Afterwards::run(&["docker", "rm", "--force", "--volumes", &id]);
        wait_until("Redis in its container answers", || answers(port));
        Ok(Self { id, port, _removal: removal })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// Sees to it that there is an image to start, and tells its name; why there can be none otherwise.
pub fn image() -> Result<String, String> {
    let within = ENGINE_ANSWERS_WITHIN.as_secs().to_string();
    run(Command::new("timeout").args([&within, "docker", "info"])).map_err(|why| format!("no engine answers: {why}"))?;
    let name = format!("{}:{}", IMAGE.0, IMAGE.1);
    run(Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/images.sh")).arg(&name))?;
    Ok(name)
}

#[tokio::main(flavor = "current_thread")]
async fn start_container() -> Result<(String, u16), TestcontainersError> {
    let request = GenericImage::new(IMAGE.0, IMAGE.1)
        .with_cmd(["redis-server", "--save", "", "--appendonly", "yes", "--databases", &DATABASES.to_string()])
        .with_label(LABEL, since_1970().as_secs().to_string())
        .with_host_config_modifier(|host| {
            // On loopback only, on a port that the engine chooses.
            let anywhere_here = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: None };
            host.port_bindings = Some(HashMap::from([(PORT.tcp().to_string(), Some(vec![anywhere_here]))]));
            host.publish_all_ports = Some(false);
        });
    let container = request.start().await?;
    let (id, port) = (container.id().to_owned(), container.get_host_port_ipv4(PORT.tcp()).await?);
    // Not to be removed with this runtime, but by whoever holds the [`Container`].
    std::mem::forget(container);
    Ok((id, port))
}

/// Removes what earlier runs could not: those were killed together with what ends their containers.
pub fn remove_leftovers() {
    let listed = run(Command::new("docker")
        .args(["ps", "--all", "--filter", &format!("label={LABEL}"), "--format"])
        .arg(format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}}")));
    for line in listed.unwrap().lines() {
        let (id, started) = line.split_once(' ').unwrap();
        let age = since_1970().saturating_sub(Duration::from_secs(started.parse().unwrap_or(0)));
        if age > LEFTOVER_AFTER {
            // Another run may have been quicker.
            let _ = run(Command::new("docker").args(["rm", "--force", "--volumes", id]));
        }
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// What it printed, or why it came to nothing.
fn run(command: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if status.success() {
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    } else {
        Err(format!("{:?} ended with {status}: {}", command.get_program(), String::from_utf8_lossy(&stderr).trim()))
    }
}
