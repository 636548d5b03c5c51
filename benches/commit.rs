//! What the embedded store writes per second, beside what the disk does: durable appends, and commits of closes (row put,
//! deadline removed, notification added) by size of batch and number of partitions.
//!
//! `cargo bench --bench commit`; `BENCH_DIR` names the disk to measure (default: the temporary directory),
//! `BENCH_CONVERSATIONS` and `BENCH_CACHE_MIB` a store of another size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)] // a bench that cannot go on should say so by panicking

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

use adjourn::clock::{Stopwatch, WallClock};
use adjourn::domain::conversation::MessageCounts;
use adjourn::domain::event::{EventKind, MessageSource};
use adjourn::domain::notice::Cause;
use adjourn::domain::{
    Accepted, Conversation, ConversationKey, ConversationNotice, Event, EventName, Input, Notice, NoticeKind, PartitionCount, PartitionId,
    Settings, Snapshot, Span, Timestamp, step,
};
use adjourn::store::embedded::{EmbeddedOptions, EmbeddedStore};
use adjourn::store::testing::StoreInTests;
use adjourn::store::{Batch, CommitId, Entry, Lease, LogId, Notification, RowChange, RowWrite, Store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const PARTITIONS: u16 = 64;
/// Conversations in the store before commits are measured, unless `BENCH_CONVERSATIONS` says otherwise.
const CONVERSATIONS: usize = 200_000;

criterion_group!(benches, disk, reads, appends, commits);
criterion_main!(benches);

fn directory() -> TempDir {
    match std::env::var_os("BENCH_DIR") {
        Some(dir) => tempfile::tempdir_in(dir).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

/// The floor under everything else: 4 KiB written over itself, and made durable.
fn disk(c: &mut Criterion) {
    let dir = directory();
    let mut file = File::create(dir.path().join("raw")).unwrap();
    file.write_all(&[0; 4_096]).unwrap();
    file.sync_all().unwrap();
    let mut group = c.benchmark_group("disk");
    group.throughput(Throughput::Elements(1));
    group.bench_function("write 4 KiB + fdatasync", |b| {
        b.iter(|| {
            file.seek(SeekFrom::Start(0)).unwrap();
            file.write_all(&[1; 4_096]).unwrap();
            file.sync_data().unwrap();
        });
    });
    group.finish();
}

/// What an actor waits for when it asks on its own thread.
fn reads(c: &mut Criterion) {
    let world = World::new(20_000);
    let partition = PartitionId(0);
    Chain::claim(&world, partition);
    let mut group = c.benchmark_group("read");
    for rows in [1, 16, 256] {
        let keys = &world.keys[0][..rows];
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::new("load", rows), |b| {
            b.iter(|| world.runtime.block_on(world.store.load(partition, keys.to_vec())).unwrap());
        });
        group.bench_function(BenchmarkId::new("due", rows), |b| {
            b.iter(|| world.runtime.block_on(world.store.due(partition, Timestamp::MAX, None, rows)).unwrap());
        });
    }
    group.finish();
}

fn appends(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.sample_size(20);
    for (batch, callers) in [(500, 1), (500, 4), (1, 64)] {
        let world = World::new(0);
        let mut ids = 0..;
        group.throughput(Throughput::Elements((batch * callers) as u64));
        group.bench_function(BenchmarkId::new(format!("{callers} callers"), batch), |b| {
            b.iter_custom(|turns| {
                let mut took = Duration::ZERO;
                for _ in 0..turns {
                    let calls: Vec<_> = (0..callers).map(|_| (0..batch).map(|_| entry(ids.next().unwrap())).collect::<Vec<_>>()).collect();
                    let watch = Stopwatch::start();
                    let answers = world.runtime.block_on(join_all(calls.into_iter().map(|call| world.store.append(call))));
                    took += watch.elapsed();
                    world.applied(answers.into_iter().flat_map(Result::unwrap).max().unwrap());
                }
                took
            });
        });
    }
    group.finish();
}

fn commits(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(8));
    for (rows, at_once) in [(256, 1), (1_024, 1), (256, 64), (1_024, 64)] {
        let mut filled = None;
        group.throughput(Throughput::Elements((rows * at_once) as u64));
        group.bench_function(BenchmarkId::new(format!("{at_once} partitions"), rows), |b| {
            let (world, chains) = filled.get_or_insert_with(World::filled);
            b.iter_custom(|turns| {
                let mut took = Duration::ZERO;
                for turn in 0..turns as usize {
                    let start = turn * at_once % usize::from(PARTITIONS);
                    let batches: Vec<_> =
                        chains[start..start + at_once].iter_mut().map(|chain| (chain.lease, chain.closes(rows))).collect();
                    let watch = Stopwatch::start();
                    let answers =
                        world.runtime.block_on(join_all(batches.into_iter().map(|(lease, batch)| world.store.commit(lease, batch))));
                    took += watch.elapsed();
                    answers.into_iter().for_each(Result::unwrap);
                }
                took
            });
        });
    }
    group.finish();
}

struct World {
    runtime: Runtime,
    store: Arc<EmbeddedStore>,
    keys: Vec<Vec<ConversationKey>>,
    _dir: TempDir,
}

impl World {
    fn new(conversations: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = directory();
        let partitions = PartitionCount::new(PARTITIONS);
        let mut options = EmbeddedOptions { partitions, backlog_max: u64::MAX, ..EmbeddedOptions::new(Arc::new(WallClock)) };
        if let Ok(mib) = std::env::var("BENCH_CACHE_MIB") {
            options.cache_bytes = mib.parse::<usize>().unwrap() << 20;
        }
        let store = EmbeddedStore::open(dir.path(), options).unwrap();
        let mut keys = vec![Vec::new(); usize::from(PARTITIONS)];
        for n in 0..conversations {
            // Names without an order of their own, as a hash or a UUID would be.
            let name = format!("{:016x}", (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let key = ConversationKey::new("acme", &name).unwrap();
            keys[usize::from(key.partition(partitions.unwrap()).0)].push(key);
        }
        Self { runtime, store, keys, _dir: dir }
    }

    fn filled() -> (Self, Vec<Chain>) {
        let conversations = std::env::var("BENCH_CONVERSATIONS").map_or(CONVERSATIONS, |count| count.parse().unwrap());
        let world = Self::new(conversations);
        let chains = (0..PARTITIONS).map(|p| Chain::claim(&world, PartitionId(p))).collect();
        (world, chains)
    }

    /// Keeps the log's tails short, outside the measurement.
    fn applied(&self, last: LogId) {
        let apply = async |partition| {
            let claim = self.store.seize(partition, adjourn::store::Member::default()).await.unwrap();
            self.store.commit(claim.lease, Batch::new(claim.head, last)).await.unwrap();
        };
        self.runtime.block_on(join_all(self.store.partitions().all().map(apply)));
    }
}

/// The commits of one partition, one on top of the other.
struct Chain {
    lease: Lease,
    head: CommitId,
    number: u64,
    keys: Vec<ConversationKey>,
    next: usize,
    armed: Arc<Conversation>,
    notice: Notice,
}

impl Chain {
    /// Claims and fills a partition with armed conversations.
    fn claim(world: &World, partition: PartitionId) -> Self {
        let claim = world.runtime.block_on(world.store.seize(partition, adjourn::store::Member::default())).unwrap();
        let (armed, notice) = conversation();
        let keys = world.keys[usize::from(partition.0)].clone();
        let mut chain = Self { lease: claim.lease, head: claim.head, number: 0, keys, next: 0, armed: Arc::new(armed), notice };
        let rows = (0..chain.keys.len()).map(|index| chain.row(index, None, Some(deadline(index)))).collect();
        let batch = Batch { rows, ..Batch::new(chain.head, LogId::ZERO) };
        chain.head = batch.id;
        world.runtime.block_on(world.store.commit(chain.lease, batch)).unwrap();
        chain
    }

    /// Closes the next conversations in the order of their deadlines; one that was closed before is armed again first.
    fn closes(&mut self, count: usize) -> Batch {
        let mut batch = Batch::new(self.head, LogId::ZERO);
        self.head = batch.id;
        for _ in 0..count {
            let index = self.next % self.keys.len();
            let lap = self.next / self.keys.len();
            // On a second lap there is no deadline to remove: put one, at the far end, to keep the work alike.
            let (from, to) = if lap.is_multiple_of(2) { (Some(deadline(index)), None) } else { (None, Some(deadline(index))) };
            batch.rows.push(self.row(index, from, to));
            self.number += 1;
            batch.notifications.push(Notification { number: self.number, previous: None, notice: self.notice.clone() });
            self.next += 1;
        }
        batch
    }

    fn row(&self, index: usize, indexed_at: Option<Timestamp>, look_at: Option<Timestamp>) -> RowWrite {
        let change = RowChange::Put { conversation: Arc::clone(&self.armed), look_at };
        RowWrite { key: self.keys[index].clone(), indexed_at, change }
    }
}

fn deadline(index: usize) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + index as i64)
}

fn message(n: u64, source: MessageSource) -> Event {
    Event {
        name: EventName::new("/ingest/whatsapp", &format!("m-{n:012}")).unwrap(),
        conversation: ConversationKey::new("acme", &format!("conv-{n}")).unwrap(),
        time: Timestamp::from_millis(1_799_000_000_000 + n as i64),
        kind: EventKind::Message { source, agent: Some("ana".into()), message_id: Some(format!("wamid-{n}").into()), text: None },
    }
}

fn entry(n: u64) -> (PartitionId, Entry) {
    (PartitionId((n % 8) as u16), Entry::Event(message(n, MessageSource::Contact)))
}

/// A conversation with a few messages, and the notification of its close.
fn conversation() -> (Conversation, Notice) {
    let settings = Settings { enabled: true, enable_epoch: 1, version: 1, ..Settings::default() };
    let key = ConversationKey::new("acme", "conv-1").unwrap();
    let mut conversation = Conversation::new(Timestamp::from_millis(1_799_000_000_000));
    for (n, source) in [(1, MessageSource::Contact), (2, MessageSource::User), (3, MessageSource::Contact), (4, MessageSource::User)] {
        let event = message(n, source);
        let accepted_at = event.time;
        conversation = step(&key, conversation, &Input::Event(Accepted { event, accepted_at }), &settings, accepted_at).after;
    }
    assert_eq!(conversation.messages, MessageCounts { incoming: 2, outgoing: 2 });
    let now = deadline(0);
    let armed_by = EventName::new("/ingest/whatsapp", "m-000000000004").unwrap();
    let cause = Cause::AutoClose { deadline: now, late: Span::ZERO, period: settings.period, armed_by, armed_at: now, farewell: None };
    let snapshot = Snapshot::of(&conversation, &settings, now);
    let notice = ConversationNotice { key, kind: NoticeKind::Closed, at: now, cause, snapshot };
    (conversation, Notice::Conversation(Box::new(notice)))
}
