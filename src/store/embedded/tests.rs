//! What only this store can get wrong: files, crashes, threads. What every store must do is in `tests/store`.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;
use crate::domain::testing::{accepted, at, contact, human, key};
use crate::domain::{Conversation, Input, Notice, Settings, Timestamp, step};
use crate::store::testing::StoreInTests;
use crate::store::{
    Batch, CommitId, DeadLetter, DueKey, Entry, Loaded, LogEntry, LogId, Member, Notification, PartitionStats, RowChange, RowWrite, Store,
    Unreadable, record,
};

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);

struct World {
    dir: TempDir,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: ManualClock::at(at(1_000)) }
    }

    fn options(&self) -> EmbeddedOptions {
        EmbeddedOptions { partitions: PartitionCount::new(4), ..EmbeddedOptions::new(self.clock.clone()) }
    }

    fn try_open(&self) -> Result<Arc<EmbeddedStore>, OpenError> {
        EmbeddedStore::open(self.dir.path(), self.options())
    }

    fn open(&self) -> Arc<EmbeddedStore> {
        self.try_open().unwrap()
    }

    /// The directory as a `kill -9` at this moment would leave it.
    fn crashed(&self) -> Self {
        let copy = Self { dir: tempfile::tempdir().unwrap(), clock: self.clock.clone() };
        fs::create_dir(log_dir(copy.dir.path())).unwrap();
        fs::copy(self.dir.path().join("state.redb"), copy.dir.path().join("state.redb")).unwrap();
        for segment in self.segments() {
            fs::copy(&segment, log_dir(copy.dir.path()).join(segment.file_name().unwrap())).unwrap();
        }
        copy
    }

    fn segments(&self) -> Vec<PathBuf> {
        let dir = log_dir(self.dir.path());
        segment::segment_numbers(&dir).unwrap().into_iter().map(|number| segment::segment_path(&dir, number)).collect()
    }
}

fn entry(name: &str) -> Entry {
    Entry::Event(human(name, 5))
}

fn names(entries: &[LogEntry]) -> Vec<&str> {
    fn name(entry: &LogEntry) -> &str {
        match &entry.entry {
            Ok(Entry::Event(event)) => event.name.id(),
            other => panic!("not an event: {other:?}"),
        }
    }
    entries.iter().map(name).collect()
}

async fn read_all(store: &EmbeddedStore, partition: PartitionId) -> Vec<LogEntry> {
    store.read(partition, LogId::ZERO, 1_000, Duration::ZERO).await.unwrap()
}

async fn append(store: &EmbeddedStore, partition: PartitionId, name: &str) -> LogId {
    store.append(vec![(partition, entry(name))]).await.unwrap()[0]
}

fn conversation_and_notices() -> (Conversation, Vec<Notice>) {
    let settings = Settings { enabled: true, enable_epoch: 1, ..Settings::default() };
    let before = Conversation::new(at(1));
    let opened = step(&key(), before, &Input::Event(accepted(contact("c", 1), 1)), &settings, at(1));
    let armed = step(&key(), opened.after, &Input::Event(accepted(human("h", 2), 2)), &settings, at(2));
    (armed.after, armed.effects.notices)
}

/// A batch with something in every table.
fn full_batch(based_on: CommitId, checkpoint: LogId) -> Batch {
    let (conversation, notices) = conversation_and_notices();
    let letter = DeadLetter {
        partition: P0,
        id: checkpoint,
        conversation: Some(key()),
        reason: "it was tried twice".into(),
        entry: Ok(entry("bad")),
    };
    let put = RowChange::Put { conversation: Arc::new(conversation), look_at: Some(at(9_000)) };
    Batch {
        rows: vec![RowWrite { key: key(), indexed_at: None, change: put }],
        notifications: vec![Notification { number: 1, previous: None, notice: notices[0].clone() }],
        dead: vec![letter],
        settings: vec![("acme".into(), Settings::default())],
        trying: Some((LogId { ms: 2_000, seq: 0 }, 1)),
        ..Batch::new(based_on, checkpoint)
    }
}

#[tokio::test]
async fn a_second_store_on_the_directory_is_refused() {
    let world = World::new();
    let store = world.open();
    let refused = world.try_open().err().unwrap();
    assert!(matches!(refused, OpenError::InUse { .. }));
    assert!(refused.to_string().contains(&world.dir.path().display().to_string()), "{refused}");
    store.close();
    world.open();
}

#[tokio::test]
async fn another_number_of_partitions_or_format_is_refused() {
    let world = World::new();
    world.open();
    let five = EmbeddedOptions { partitions: PartitionCount::new(5), ..world.options() };
    assert!(matches!(EmbeddedStore::open(world.dir.path(), five), Err(OpenError::Partitions { stored: 4, asked: 5, .. })));
    let any = EmbeddedOptions { partitions: None, ..world.options() };
    assert_eq!(EmbeddedStore::open(world.dir.path(), any).unwrap().partitions().get(), 4);
    let db = Database::create(world.dir.path().join("state.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(tables::META).unwrap().insert("format", 9).unwrap();
    txn.commit().unwrap();
    drop(db);
    assert!(matches!(world.try_open(), Err(OpenError::Format { found: 9, .. })));
}

#[tokio::test]
async fn reopening_keeps_everything() {
    let world = World::new();
    let store = world.open();
    let incarnation = store.incarnation();
    let first = append(&store, P0, "first").await;
    append(&store, P0, "second").await;
    let claim = store.seize(P0, Member::default()).await.unwrap();
    let batch = full_batch(claim.head, first);
    let head = batch.id;
    store.commit(claim.lease, batch.clone()).await.unwrap();
    assert!(store.put_settings("acme".into(), 0, Settings { version: 1, ..Settings::default() }).await.unwrap());
    let stats = store.stats().await.unwrap();
    drop(store);

    let store = world.open();
    assert_eq!(store.incarnation(), incarnation);
    assert_eq!(store.stats().await.unwrap(), stats);
    assert_eq!(
        stats[0],
        PartitionStats {
            conversations: 1,
            timers: 1,
            checkpoint: first,
            last: stats[0].last,
            backlog: 1,
            dead_letters: 1,
            last_notification: 1,
            oldest_notification: 1,
        }
    );
    assert_eq!(names(&read_all(&store, P0).await), ["second"]);
    let (conversation, _) = conversation_and_notices();
    let found = Loaded::Found { conversation: Box::new(conversation.clone()), look_at: Some(at(9_000)) };
    assert_eq!(store.load(P0, vec![key()]).await.unwrap(), [found]);
    assert_eq!(store.due(P0, at(9_000), None, 9).await.unwrap(), [DueKey { at: at(9_000), key: key() }]);
    assert_eq!(store.scan(P0, Some("acme".into()), None, 9).await.unwrap(), [(key(), conversation)]);
    assert_eq!(store.notifications(P0, 0, 9).await.unwrap().items, batch.notifications);
    assert_eq!(store.dead_letters(P0, LogId::ZERO, 9).await.unwrap(), batch.dead);
    assert_eq!(store.notification_heads(), [1, 0, 0, 0]);
    assert_eq!(store.all_settings().await.unwrap().len(), 1);
    let again = store.seize(P0, Member::default()).await.unwrap();
    assert_eq!((again.head, again.checkpoint, again.last_notification, again.trying), (head, first, 1, batch.trying));
    assert_eq!((again.attempts, again.settings.len()), (1, 1));
    assert!(again.lease.epoch > claim.lease.epoch && again.lease.nonce != claim.lease.nonce);
}

#[tokio::test]
async fn a_crash_between_log_and_state_replays_what_was_not_applied() {
    let world = World::new();
    let store = world.open();
    let first = append(&store, P0, "applied").await;
    append(&store, P1, "elsewhere").await;
    append(&store, P0, "accepted").await;
    let claim = store.seize(P0, Member::default()).await.unwrap();
    store.commit(claim.lease, Batch::new(claim.head, first)).await.unwrap();
    let crashed = world.crashed();
    let survivor = crashed.open();
    assert_eq!(names(&read_all(&survivor, P0).await), ["accepted"]);
    assert_eq!(names(&read_all(&survivor, P1).await), ["elsewhere"]);
    assert_eq!(read_all(&survivor, P0).await, read_all(&store, P0).await);
}

#[tokio::test]
async fn a_torn_end_is_cut_wherever_it_tore() {
    let world = World::new();
    let store = world.open();
    append(&store, P0, "kept").await;
    let sound = fs::metadata(&world.segments()[0]).unwrap().len();
    store.append(vec![(P0, entry("lost")), (P1, entry("lost too"))]).await.unwrap();
    store.close();
    let segment = world.segments().remove(0);
    let whole = fs::read(&segment).unwrap();
    for end in sound as usize..whole.len() {
        fs::write(&segment, &whole[..end]).unwrap();
        let store = world.open();
        assert_eq!(names(&read_all(&store, P0).await), ["kept"], "torn at {end}");
        append(&store, P1, "after").await;
        store.close();
        let found: Vec<PartitionId> = read_log(world.dir.path()).map(|entry| entry.unwrap().0).collect();
        assert_eq!(found, [P0, P1], "torn at {end}");
    }
    let mut garbled = whole.clone();
    *garbled.last_mut().unwrap() ^= 1;
    fs::write(&segment, &garbled).unwrap();
    assert_eq!(names(&read_all(&world.open(), P0).await), ["kept"]);
}

#[tokio::test]
async fn a_header_torn_at_creation_is_written_anew() {
    let world = World::new();
    world.open();
    let whole = fs::read(&world.segments()[0]).unwrap();
    for end in 0..whole.len() {
        fs::write(&world.segments()[0], &whole[..end]).unwrap();
        append(&world.open(), P0, "a").await;
        assert_eq!(names(&read_all(&world.open(), P0).await).len(), 1);
    }
}

#[tokio::test]
async fn damage_before_sound_entries_is_an_error_that_names_the_place() {
    let world = World::new();
    let store = world.open();
    let start = fs::metadata(&world.segments()[0]).unwrap().len();
    append(&store, P0, "damaged").await;
    let end = fs::metadata(&world.segments()[0]).unwrap().len();
    append(&store, P0, "sound").await;
    store.close();
    let segment = world.segments().remove(0);
    let whole = fs::read(&segment).unwrap();
    for place in start..end {
        let mut bytes = whole.clone();
        bytes[place as usize] ^= 0x10;
        fs::write(&segment, &bytes).unwrap();
        match world.try_open() {
            Err(OpenError::Damaged { file, offset }) => assert_eq!((file, offset), (segment.clone(), start)),
            other => panic!("byte {place}: {:?}", other.err()),
        }
    }
    let error = read_log(world.dir.path()).find_map(Result::err).unwrap();
    assert!(error.to_string().contains(&format!("byte {start}")), "{error}");
}

#[tokio::test]
async fn a_log_without_its_state_or_of_another_store_is_refused() {
    let (one, two) = (World::new(), World::new());
    append(&one.open(), P0, "a").await;
    two.open();
    fs::copy(&one.segments()[0], &two.segments()[0]).unwrap();
    assert!(matches!(two.try_open(), Err(OpenError::ForeignSegment { .. })));
    fs::remove_file(one.dir.path().join("state.redb")).unwrap();
    assert!(matches!(one.try_open(), Err(OpenError::StateMissing { .. })));
}

#[tokio::test]
async fn an_entry_nobody_can_decode_keeps_its_place() {
    let world = World::new();
    let incarnation = world.open().incarnation();
    let mut segment = segment::Segment::create(&log_dir(world.dir.path()), 1, incarnation).unwrap();
    let mut encoded = segment::Encoded::default();
    encoded.push(P0, &[0xff, 1, 2]);
    encoded.push(P0, &record::encode_entry(&entry("fine")));
    encoded.set_id(0, LogId { ms: 7, seq: 0 });
    encoded.set_id(1, LogId { ms: 7, seq: 1 });
    segment.write([&encoded].into_iter()).unwrap();
    let entries = read_all(&world.open(), P0).await;
    assert!(matches!(&entries[0].entry, Err(Unreadable { bytes, .. }) if *bytes == [0xff, 1, 2]));
    assert_eq!(names(&entries[1..]), ["fine"]);
}

#[tokio::test]
async fn segments_go_once_everything_in_them_is_applied() {
    let world = World::new();
    let small = || EmbeddedOptions { segment_bytes: 1, ..world.options() };
    let store = EmbeddedStore::open(world.dir.path(), small()).unwrap();
    let first = append(&store, P0, "a").await;
    append(&store, P1, "held").await;
    append(&store, P0, "c").await;
    assert_eq!(world.segments().len(), 3);
    let claim = store.seize(P0, Member::default()).await.unwrap();
    store.commit(claim.lease, Batch::new(claim.head, first)).await.unwrap();
    let last = append(&store, P0, "d").await;
    assert_eq!(world.segments().len(), 3, "the first went, a fourth came");
    drop(store);
    let store = EmbeddedStore::open(world.dir.path(), small()).unwrap();
    assert_eq!(names(&read_all(&store, P1).await), ["held"]);
    assert_eq!(names(&read_all(&store, P0).await), ["c", "d"]);
    assert_eq!(store.barrier(P0).await.unwrap().last, last);
    let kept: Vec<_> = read_log(world.dir.path()).map(|entry| entry.unwrap().0).collect();
    assert_eq!(kept, [P1, P0, P0]);
}

#[tokio::test]
async fn retention_keeps_every_segment() {
    let world = World::new();
    let options = EmbeddedOptions { segment_bytes: 1, log_retention: true, ..world.options() };
    let store = EmbeddedStore::open(world.dir.path(), options).unwrap();
    let claim = store.seize(P0, Member::default()).await.unwrap();
    let mut head = claim.head;
    for name in ["a", "b", "c"] {
        let batch = Batch::new(head, append(&store, P0, name).await);
        head = batch.id;
        store.commit(claim.lease, batch).await.unwrap();
    }
    let kept: Vec<LogEntry> = read_log(world.dir.path()).map(|entry| entry.unwrap().1).collect();
    assert_eq!(names(&kept), ["a", "b", "c"]);
    assert_eq!(read_all(&store, P0).await, []);
}

#[tokio::test]
async fn d1_the_date_may_step_back_but_nothing_is_accepted_before_a_clock_that_was_told() {
    let world = World::new();
    let store = world.open();
    let told = store.barrier(P0).await.unwrap().clock;
    world.clock.jump(-500);
    assert!(append(&store, P0, "later").await.accepted_at() >= told);
    world.clock.set(at(5_000));
    let claim = store.seize(P1, Member::default()).await.unwrap();
    let close = Batch { not_before: Some(at(4_999)), ..Batch::new(claim.head, LogId::ZERO) };
    store.commit(claim.lease, close).await.unwrap();
    drop(store);
    world.clock.set(at(1_000));
    assert!(append(&world.open(), P1, "a reply").await.accepted_at() >= at(5_000));
}

#[tokio::test]
async fn d2_what_a_barrier_names_can_be_read() {
    let world = World::new();
    let store = world.open();
    let appending = Arc::clone(&store);
    let appends = tokio::spawn(async move {
        for n in 0..200 {
            append(&appending, P0, &format!("e{n}")).await;
        }
    });
    let mut seen = LogId::ZERO;
    while !appends.is_finished() {
        let last = store.barrier(P0).await.unwrap().last;
        while seen < last {
            // Without any patience: what is being written is waited for all the same.
            let entries = store.read(P0, seen, 1_000, Duration::ZERO).await.unwrap();
            seen = entries.last().expect("a barrier named it").id;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_refused_batch_leaves_no_trace_and_its_neighbours_go_through() {
    let world = World::new();
    let store = world.open();
    let (good, other) = (store.seize(P0, Member::default()).await.unwrap(), store.seize(P1, Member::default()).await.unwrap());
    let bad = Batch { based_on: CommitId(7), ..full_batch(other.head, LogId::ZERO) };
    let (one, two, three) = tokio::join!(
        store.commit(good.lease, full_batch(good.head, LogId::ZERO)),
        store.commit(other.lease, bad),
        store.commit(other.lease, Batch::new(other.head, LogId::ZERO)),
    );
    assert!(one.is_ok() && three.is_ok());
    assert!(matches!(two, Err(StoreError::Refused(_))));
    let stats = store.stats().await.unwrap();
    assert_eq!((stats[0].conversations, stats[1].conversations), (1, 0));
    assert_eq!((stats[0].timers, stats[1].timers, stats[1].last_notification), (1, 0, 0));
}

#[tokio::test]
async fn the_index_follows_the_rows_whatever_their_writer_believed() {
    let world = World::new();
    let store = world.open();
    let claim = store.seize(P0, Member::default()).await.unwrap();
    let mut head = claim.head;
    for (believed, look_at) in [(None, Some(1)), (None, Some(2)), (Some(7), Some(3)), (Some(4), Some(4)), (None, None)] {
        let change = RowChange::Put { conversation: Arc::new(conversation_and_notices().0), look_at: look_at.map(at) };
        let rows = vec![RowWrite { key: key(), indexed_at: believed.map(at), change }];
        let batch = Batch { rows, ..Batch::new(head, LogId::ZERO) };
        head = batch.id;
        store.commit(claim.lease, batch).await.unwrap();
        let due: Vec<Timestamp> = store.due(P0, Timestamp::MAX, None, 9).await.unwrap().iter().map(|due| due.at).collect();
        assert_eq!(due, Vec::from_iter(look_at.map(at)));
        assert_eq!(store.stats().await.unwrap()[0].timers, due.len() as u64);
    }
}

#[tokio::test]
async fn a_full_log_refuses_until_something_is_applied() {
    let world = World::new();
    let store = EmbeddedStore::open(world.dir.path(), EmbeddedOptions { backlog_max: 2, ..world.options() }).unwrap();
    append(&store, P0, "a").await;
    let last = append(&store, P1, "b").await;
    let behind = store.append(vec![(P0, entry("c"))]).await;
    assert!(matches!(behind, Err(StoreError::Behind { unapplied: 2, limit: 2 })));
    let claim = store.seize(P1, Member::default()).await.unwrap();
    store.commit(claim.lease, Batch::new(claim.head, last)).await.unwrap();
    append(&store, P0, "c").await;
}

#[tokio::test]
async fn a_closed_store_answers_so_and_wakes_its_readers() {
    let world = World::new();
    let store = world.open();
    let reading = Arc::clone(&store);
    let reader = tokio::spawn(async move { reading.read(P0, LogId::ZERO, 1, Duration::from_secs(3_600)).await });
    tokio::task::yield_now().await;
    store.close();
    assert!(matches!(reader.await.unwrap(), Err(StoreError::Unavailable(_))));
    assert!(matches!(store.append(vec![(P0, entry("a"))]).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.seize(P0, Member::default()).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.load(P0, vec![key()]).await, Err(StoreError::Unavailable(_))));
}

/// Whether opening this state file means reading all of it; also where the copy caught it in the middle of a write.
fn needs_repair(state: &Path) -> bool {
    let asked = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = asked.clone();
    let mut builder = redb::Builder::new();
    builder.set_repair_callback(move |_| seen.store(true, std::sync::atomic::Ordering::Relaxed));
    builder.create(state).is_err() || asked.load(std::sync::atomic::Ordering::Relaxed)
}

#[tokio::test]
async fn after_a_quiet_moment_a_crash_costs_no_reading() {
    let world = World::new();
    let store = world.open();
    store.seize(P0, Member::default()).await.unwrap();
    let quiet = async {
        while needs_repair(&world.crashed().dir.path().join("state.redb")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), quiet).await.expect("the quiet moment is used");
    drop(store);
}
