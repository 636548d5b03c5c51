//! The whole engine but for HTTP, on the embedded store: `cargo bench --bench engine -- [ingest] [storm]`.
//!
//! Not criterion: each figure is one run over many events, as a load would make it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod storm;

use std::sync::Arc;
use std::time::Duration;

use adjourn::actors::{Node, NodeOptions, node};
use adjourn::clock::{Clock, SteadyClock, Stopwatch, WallClock};
use adjourn::domain::event::{EventKind, MessageSource};
use adjourn::domain::{ConversationKey, Event, EventName, PartitionCount, Settings, Span, Timestamp};
use adjourn::store::Store;
use adjourn::store::embedded::{EmbeddedOptions, EmbeddedStore};
use storm::TIMERS;

/// As in the service: with the system's own the figures are of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: u64 = 500;
const SENDERS: u64 = 8;
const EVENTS: u64 = 240_000;
const CONVERSATIONS: u64 = 40_000;

fn message(number: u64, conversation: u64, time: Timestamp, source: MessageSource) -> Event {
    let name = EventName::new("/bench", &format!("message-{number:012}")).unwrap();
    let conversation = ConversationKey::new("acme", &format!("conversation-{conversation:010}")).unwrap();
    Event { name, conversation, time, kind: EventKind::Message { source, agent: Some("ana".into()), message_id: None, text: None } }
}

async fn engine(period: Span) -> (tempfile::TempDir, Node) {
    let directory = tempfile::tempdir().unwrap();
    let mut options = EmbeddedOptions::new(Arc::new(WallClock));
    options.partitions = PartitionCount::new(64);
    let store: Arc<dyn Store> = EmbeddedStore::open(directory.path(), options).unwrap();
    let defaults = Settings { enabled: true, enable_epoch: 1, period, ..Settings::default() };
    let node = node::start(store, Arc::new(SteadyClock::start()), NodeOptions { defaults, ..NodeOptions::default() });
    while node.shards_ready() < 64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (directory, node)
}

async fn applied(node: &Node) {
    while node.stats().await.unwrap().iter().any(|partition| partition.backlog > 0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn send(node: Node, events: Vec<Event>) {
    while node.ingest(events.clone()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ingest() {
    let (_directory, node) = engine(Span::from_hours(24)).await;
    let now = WallClock.now();
    let stopwatch = Stopwatch::start();
    let sender = |sender: u64| {
        let node = node.clone();
        async move {
            for batch in 0..EVENTS / BATCH / SENDERS {
                let event = |i: u64| {
                    let number = (batch * SENDERS + sender) * BATCH + i;
                    let source = if number.is_multiple_of(3) { MessageSource::Contact } else { MessageSource::User };
                    message(number, number.wrapping_mul(2_654_435_761) % CONVERSATIONS, now, source)
                };
                send(node.clone(), (0..BATCH).map(event).collect()).await;
            }
        }
    };
    futures_util::future::join_all((0..SENDERS).map(sender)).await;
    let accepted = stopwatch.elapsed();
    applied(&node).await;
    let done = stopwatch.elapsed();
    let rate = |took: Duration| EVENTS as f64 / took.as_secs_f64();
    println!("ingest: {EVENTS} events, durable {:.0}/s, applied {:.0}/s", rate(accepted), rate(done));
    node.stop().await;
}

async fn storm() {
    let period = Span::from_secs(1);
    let (_directory, node) = engine(period).await;
    let first = WallClock.now().plus(Span::from_secs(5));
    for from in (0..TIMERS).step_by(BATCH as usize) {
        send(node.clone(), (from..from + BATCH).map(|i| message(i, i, storm::time(first, i), MessageSource::User)).collect()).await;
    }
    applied(&node).await;
    storm::hear(node.follow(), first.plus(period)).await;
    node.stop().await;
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|arg| arg == name);
    actix::System::new().block_on(async {
        if wants("ingest") {
            ingest().await;
        }
        if wants("storm") {
            storm().await;
        }
    });
}
