//! The whole engine but for HTTP, on Redis, beside raw Redis in the same run: `cargo bench --bench redis -- [ingest] [storm]
//! [restart] [memory]`.
//!
//! One redis-server of our own on the same machine, append-only file with `everysec` that is not rewritten
//! meanwhile. Not criterion: each figure is one run over many events, as a load would make it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

/// As in the service: with the system's own the figures are of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "../tests/rig/mod.rs"]
mod rig;
mod storm;

use std::sync::Arc;
use std::time::Duration;

use adjourn::actors::{Fed, Node, NodeOptions, node};
use adjourn::clock::{Clock, SteadyClock, Stopwatch, WallClock};
use adjourn::domain::event::{EventKind, MessageSource};
use adjourn::domain::{ConversationKey, Event, EventName, Notice, NoticeKind, Settings, Span, Timestamp};
use adjourn::store::redis::{RedisOptions, RedisStore};
use adjourn::store::{Entry, Store};
use rig::server::{Aof, Options, Server};
use storm::TIMERS;

const BATCH: u64 = 500;
const EVENTS: u64 = 500_000;
const CONVERSATIONS: u64 = 100_000;
/// Of the rows in `memory`.
const ROWS: u64 = 100_000;
/// Events in one raw pipeline.
const RAW_PIPELINE: u64 = 64;
/// Entries in one pipeline of raw `XADD`s, and the bytes of each: as prototypes of this design were measured, so that their
/// machine can be compared with this one.
const RAW_XADD_PIPELINE: u64 = 256;
const RAW_ENTRY_BYTES: usize = 100;

/// 36 characters with its workspace, as the figures of other layouts have it.
fn key(conversation: u64) -> ConversationKey {
    ConversationKey::new("acme", &format!("conversation-{conversation:018}")).unwrap()
}

fn message(number: u64, conversation: u64, time: Timestamp, source: MessageSource) -> Event {
    let name = EventName::new("/bench", &format!("message-{number:012}")).unwrap();
    Event {
        name,
        conversation: key(conversation),
        time,
        kind: EventKind::Message { source, agent: Some("ana".into()), message_id: None, text: None },
    }
}

/// 45 % people, 35 % contacts, 20 % that change nothing.
fn source(number: u64) -> MessageSource {
    match number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 0x7f {
        0..58 => MessageSource::User,
        58..103 => MessageSource::Contact,
        _ => MessageSource::Workflow,
    }
}

fn spread(number: u64) -> u64 {
    number.wrapping_mul(2_654_435_761) % CONVERSATIONS
}

struct Engine {
    store: Arc<RedisStore>,
    node: Node,
}

impl Engine {
    async fn start(server: &Server, period: Span) -> Self {
        let store = RedisStore::open(server.url().parse().unwrap(), RedisOptions::new("bench")).await.unwrap();
        let defaults = Settings { enabled: true, enable_epoch: 1, period, ..Settings::default() };
        let options = NodeOptions { defaults, notifications_kept: 5_000, node: "bench".into(), ..NodeOptions::default() };
        let node = node::start(store.clone(), Arc::new(SteadyClock::start()), options);
        while node.shards_ready() < usize::from(node.partitions()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self { store, node }
    }

    async fn applied(&self) {
        while self.node.stats().await.unwrap().iter().any(|partition| partition.backlog > 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn send(&self, events: Vec<Event>) {
        while self.node.ingest(events.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn stop(self) {
        self.node.stop().await;
        self.store.close();
    }
}

async fn until(time: Timestamp) {
    tokio::time::sleep(Duration::from_millis(time.since(WallClock.now()).as_millis().max(0) as u64)).await;
}

/// Not rewriting its file: that takes a core for seconds, at a moment that is chance, and here are but two.
fn server() -> Server {
    Server::start(Options::aof(Aof::Everysec).line("auto-aof-rewrite-percentage 0"))
}

/// Writes into the logs as a pipeline that is fast enough never to be waited for, on a thread of its own.
fn produce(server: &Server, events: u64) -> std::thread::JoinHandle<()> {
    let url = server.url();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = RedisStore::open(url.parse().unwrap(), RedisOptions::new("producer")).await.unwrap();
            let now = WallClock.now();
            for from in (0..events).step_by(BATCH as usize) {
                let entry = |number: u64| {
                    let event = message(number, spread(number), now, source(number));
                    (event.conversation.partition(store.partitions()), Entry::Event(event))
                };
                let entries: Vec<_> = (from..from + BATCH).map(entry).collect();
                while store.append(entries.clone()).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
    })
}

/// What the sorted set and the hash alone cost: a person's message sets both, a contact's takes both away.
fn raw(server: &Server, events: u64) -> f64 {
    let mut connection = server.connection();
    let row = [0x5a_u8; 60];
    let stopwatch = Stopwatch::start();
    for from in (0..events).step_by(RAW_PIPELINE as usize) {
        let mut pipe = redis::pipe();
        for number in from..from + RAW_PIPELINE {
            let id = key(spread(number));
            match source(number) {
                MessageSource::User => {
                    pipe.hset("raw:states", id.as_str(), &row[..]).ignore();
                    pipe.zadd("raw:deadlines", id.as_str(), 1_800_000_000_000_u64 + number).ignore();
                }
                MessageSource::Contact => {
                    pipe.hdel("raw:states", id.as_str()).ignore();
                    pipe.zrem("raw:deadlines", id.as_str()).ignore();
                }
                _ => {}
            }
        }
        pipe.exec(&mut connection).unwrap();
    }
    let rate = events as f64 / stopwatch.elapsed().as_secs_f64();
    redis::cmd("DEL").arg("raw:states").arg("raw:deadlines").exec(&mut connection).unwrap();
    rate
}

/// What a log takes of somebody who does nothing else.
fn raw_xadd(server: &Server, entries: u64) -> f64 {
    let mut connection = server.connection();
    let entry = [0x5a_u8; RAW_ENTRY_BYTES];
    let stopwatch = Stopwatch::start();
    for _ in 0..entries / RAW_XADD_PIPELINE {
        let mut pipe = redis::pipe();
        for _ in 0..RAW_XADD_PIPELINE {
            pipe.cmd("XADD").arg("raw:log").arg("*").arg("r").arg(&entry[..]).ignore();
        }
        pipe.exec(&mut connection).unwrap();
    }
    let rate = entries as f64 / stopwatch.elapsed().as_secs_f64();
    redis::cmd("DEL").arg("raw:log").exec(&mut connection).unwrap();
    rate
}

/// Seconds of a core that a phase took of Redis and of us, the load among it: together with how long it was they tell whether
/// anybody waited for anything but a core.
struct Cores {
    redis: f64,
    own: f64,
    stopwatch: Stopwatch,
}

impl Cores {
    fn start(server: &Server) -> Self {
        Self { redis: redis_cpu(server), own: own_cpu(), stopwatch: Stopwatch::start() }
    }

    fn say(&self, server: &Server, what: &str) {
        let took = self.stopwatch.elapsed().as_secs_f64();
        let (redis, own) = (redis_cpu(server) - self.redis, own_cpu() - self.own);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = (redis + own) / took / cores as f64 * 100.0;
        println!(
            "{what}: in {took:.2} s Redis used a core for {redis:.2} s and this process for {own:.2} s: {share:.0} % of {cores} cores"
        );
    }
}

fn redis_cpu(server: &Server) -> f64 {
    let info: String = redis::cmd("INFO").arg("cpu").query(&mut server.connection()).unwrap();
    let of = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse::<f64>().unwrap();
    of("used_cpu_user:") + of("used_cpu_sys:")
}

fn own_cpu() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// What the server was asked since its figures were reset, the costliest first: calls, and its time in them.
fn spent(server: &Server) -> Vec<String> {
    let info: String = redis::cmd("INFO").arg("commandstats").query(&mut server.connection()).unwrap();
    let mut lines: Vec<(u64, String)> = info
        .lines()
        .filter_map(|line| {
            let (command, figures) = line.strip_prefix("cmdstat_")?.split_once(':')?;
            let figure = |name: &str| figures.split(',').find_map(|figure| figure.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
            let (calls, micros): (u64, u64) = (figure("calls")?, figure("usec")?);
            Some((micros, format!("{command} {calls} times, {} ms", micros / 1_000)))
        })
        .collect();
    lines.sort_unstable_by(|one, other| other.cmp(one));
    lines.into_iter().take(12).map(|(_, line)| line).collect()
}

async fn ingest() {
    let server = server();
    let raw_before = raw(&server, EVENTS);
    let xadd = raw_xadd(&server, EVENTS);
    let engine = Engine::start(&server, Span::from_hours(24)).await;
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut server.connection()).unwrap();
    let (cores, stopwatch) = (Cores::start(&server), Stopwatch::start());
    let producer = produce(&server, EVENTS);
    while !producer.is_finished() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let accepted = stopwatch.elapsed();
    producer.join().unwrap();
    engine.applied().await;
    let rate = |took: Duration| EVENTS as f64 / took.as_secs_f64();
    let (durable, applied) = (rate(accepted), rate(stopwatch.elapsed()));
    cores.say(&server, "ingest");
    let spent = spent(&server);
    engine.stop().await;
    let raw_after = raw(&server, EVENTS);
    let raw = (raw_before + raw_after) / 2.0;
    println!("ingest: {EVENTS} events, appended {durable:.0}/s, applied {applied:.0}/s");
    println!("ingest: raw HSET+ZADD / HDEL+ZREM in pipelines of {RAW_PIPELINE}: {raw_before:.0}/s before, {raw_after:.0}/s after");
    println!("ingest: raw XADD of {RAW_ENTRY_BYTES} bytes in pipelines of {RAW_XADD_PIPELINE}: {xadd:.0}/s");
    println!("ingest: Redis spent (what scripts call is also in evalsha) {}", spent.join("; "));
    println!("ingest: applied is {:.0} % of raw", applied / raw * 100.0);
}

/// Timers due one after the other within a second, from `first` on.
async fn arm(engine: &Engine, first: Timestamp) {
    for from in (0..TIMERS).step_by(BATCH as usize) {
        engine.send((from..from + BATCH).map(|i| message(i, i, storm::time(first, i), MessageSource::User)).collect()).await;
    }
    engine.applied().await;
}

async fn storm() {
    let server = server();
    let period = Span::from_secs(1);
    let engine = Engine::start(&server, period).await;
    let first = WallClock.now().plus(Span::from_secs(8));
    arm(&engine, first).await;
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut server.connection()).unwrap();
    let from_the_first_on = async {
        until(first.plus(period)).await;
        Cores::start(&server)
    };
    let (cores, ()) = tokio::join!(from_the_first_on, storm::hear(engine.node.follow(), first.plus(period)));
    cores.say(&server, "storm");
    println!("storm: Redis spent {}", spent(&server).join("; "));
    engine.stop().await;
}

/// A node that finds everything overdue, from being ready on.
async fn restart() {
    let server = server();
    let period = Span::from_secs(3);
    let engine = Engine::start(&server, period).await;
    let first = WallClock.now().plus(Span::from_secs(8));
    arm(&engine, first).await;
    engine.stop().await;
    let overdue_at = first.plus(period).plus(Span::from_millis(1_500));
    until(overdue_at).await;
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut server.connection()).unwrap();
    let (cores, stopwatch) = (Cores::start(&server), Stopwatch::start());
    let store = RedisStore::open(server.url().parse().unwrap(), RedisOptions::new("listener")).await.unwrap();
    let mut feed = adjourn::actors::Feed::from_now(store);
    let engine = Engine::start(&server, period).await;
    let ready = stopwatch.elapsed();
    let (mut closed, mut first) = (0, None);
    while closed < TIMERS {
        let Fed::Notifications(told) = feed.next().await.unwrap() else { continue };
        let closes = told.iter().filter(|told| matches!(&told.notice, Notice::Conversation(told) if told.kind == NoticeKind::Closed));
        closed += closes.count() as u64;
        first = first.or((closed > 0).then(|| stopwatch.elapsed()));
    }
    let after = |at: Duration| at.as_millis() as i64 - ready.as_millis() as i64;
    let (first, last) = (after(first.unwrap()), after(stopwatch.elapsed()));
    cores.say(&server, "restart");
    println!("restart: Redis spent {}", spent(&server).join("; "));
    println!("restart: {TIMERS} overdue; ready after {} ms, first close {first} ms and last {last} ms after that", ready.as_millis());
    engine.stop().await;
}

async fn memory() {
    let server = Server::start(Options::default());
    let used = || {
        let info: String = redis::cmd("INFO").arg("memory").query(&mut server.connection()).unwrap();
        info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse::<u64>().unwrap()
    };
    let engine = Engine::start(&server, Span::from_hours(24)).await;
    let before = used();
    let now = WallClock.now();
    for from in (0..ROWS).step_by(BATCH as usize) {
        engine.send((from..from + BATCH).map(|i| message(i, i, now, MessageSource::User)).collect()).await;
    }
    engine.applied().await;
    let with_notifications = used();
    let mut connection = server.connection();
    for partition in 0..engine.node.partitions() {
        redis::cmd("XTRIM").arg(format!("adjourn:{{p{partition}}}:notifications")).arg("MAXLEN").arg(0).exec(&mut connection).unwrap();
    }
    let (each, told) = (used() - before, with_notifications - used());
    println!("memory: {} B a conversation with a timer and one event remembered", each / ROWS);
    println!("memory: {} B a notification kept", told / ROWS);
    engine.stop().await;
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|arg| arg == name);
    // RUST_LOG=warn shows what the engine says.
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    actix::System::new().block_on(async {
        if wants("memory") {
            memory().await;
        }
        if wants("ingest") {
            ingest().await;
        }
        if wants("storm") {
            storm().await;
        }
        if wants("restart") {
            restart().await;
        }
    });
}
