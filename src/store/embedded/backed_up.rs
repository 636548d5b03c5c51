//! Backups of a store that goes on, and what becomes of them (S15).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redb::ReadableDatabase;
use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;
use crate::domain::testing::{at, human, key};
use crate::domain::{Conversation, ConversationKey, Notice, Settings, Timestamp};
use crate::store::testing::StoreInTests;
use crate::store::{
    BackupRefused, BackupState, BackupStatus, Batch, Contents, Document, Entry, LogId, Member, Notification, RowChange, RowWrite, Shelf,
    Store,
};

const P: PartitionId = PartitionId(0);
const OTHER: PartitionId = PartitionId(1);
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    home: TempDir,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), clock: ManualClock::at(at(1_000)) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn try_open(&self, name: &str) -> Result<Arc<EmbeddedStore>, OpenError> {
        let options = EmbeddedOptions { partitions: PartitionCount::new(2), ..EmbeddedOptions::new(self.clock.clone()) };
        EmbeddedStore::open(&self.path(name), options)
    }

    fn open(&self, name: &str) -> Arc<EmbeddedStore> {
        self.try_open(name).unwrap()
    }

    async fn back_up(&self, store: &EmbeddedStore, name: &str) -> Contents {
        store.begin_backup(self.path(name)).await.unwrap();
        match ended(store).await.state {
            BackupState::Whole(contents) => contents,
            other => panic!("{other:?}"),
        }
    }
}

async fn ended(store: &EmbeddedStore) -> BackupStatus {
    let ended = async {
        loop {
            match store.backup() {
                Some(status) if status.state != BackupState::Running => return status,
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("the backup to end")
}

async fn append(store: &EmbeddedStore, partition: PartitionId, names: &[&str]) -> Vec<LogId> {
    store.append(names.iter().map(|name| (partition, Entry::Event(human(name, 5)))).collect()).await.unwrap()
}

/// Everything a reader can see.
async fn dump(store: &EmbeddedStore) -> Vec<String> {
    let mut parts = vec![format!("{:?} {:?}", store.stats().await.unwrap(), store.all_settings().await.unwrap())];
    parts.push(format!("{:?}", store.document(Shelf::Agents, "acme".into()).await.unwrap()));
    for partition in [P, OTHER] {
        parts.push(format!("{:?}", store.read(partition, LogId::ZERO, 1_000, Duration::ZERO).await.unwrap()));
        parts.push(format!("{:?}", store.scan(partition, None, None, 1_000).await.unwrap()));
        parts.push(format!("{:?}", store.due(partition, Timestamp::MAX, None, 1_000).await.unwrap()));
        parts.push(format!("{:?}", store.notifications(partition, 0, 1_000).await.unwrap()));
        parts.push(format!("{:?}", store.applied_settings(partition, "acme".into()).await.unwrap()));
    }
    parts
}

/// Something in most tables, applied and not.
async fn filled(world: &World) -> Arc<EmbeddedStore> {
    let store = world.open("store");
    let ids = append(&store, P, &["applied", "waits"]).await;
    append(&store, OTHER, &["waits too"]).await;
    let claim = store.seize(P, Member::default()).await.unwrap();
    let put = RowChange::Put { conversation: Arc::new(Conversation::new(at(1))), look_at: Some(at(9_000)) };
    let notice = Notice::Settings { workspace: "acme".into(), at: at(1), settings: Box::default(), replaces: false };
    let batch = Batch {
        rows: vec![RowWrite { key: key(), indexed_at: None, change: put }],
        notifications: vec![Notification { number: 1, previous: None, notice }],
        settings: vec![("acme".into(), Settings::default())],
        ..Batch::new(claim.head, ids[0])
    };
    store.commit(claim.lease, batch).await.unwrap();
    assert!(store.put_settings("acme".into(), 0, Settings { version: 1, ..Settings::default() }).await.unwrap());
    assert!(store.put_document(Shelf::Agents, "acme".into(), 0, Document { version: 1, bytes: vec![7] }).await.unwrap());
    store
}

#[tokio::test]
async fn s15_a_backup_has_all_there_is_and_begins_anew_with_its_closes_held() {
    let world = World::new();
    let store = filled(&world).await;
    let contents = world.back_up(&store, "backup").await;
    assert_eq!((contents.conversations, contents.unapplied), (1, 2));
    assert!(contents.bytes > 0 && contents.position > LogId::ZERO);
    let status = store.backup().unwrap();
    assert_eq!((status.incarnation, status.began_at), (store.incarnation(), at(1_000)));
    assert!(!world.path("backup.part").exists());

    let restored = world.open("backup");
    assert_eq!(dump(&restored).await, dump(&store).await);
    assert_ne!(restored.incarnation(), store.incarnation());
    let hold = restored.closes_held().unwrap();
    assert!(hold.why.contains("1970-01-01T00:00:01.000Z") && hold.since == Some(at(1_000)), "{hold:?}");
    assert!(restored.barrier(P).await.unwrap().held && !store.barrier(P).await.unwrap().held);
    let claim = restored.seize(P, Member::default()).await.unwrap();
    let close = Batch { not_before: Some(at(900)), ..Batch::new(claim.head, claim.checkpoint) };
    assert!(matches!(restored.commit(claim.lease, close.clone()).await, Err(StoreError::Refused(_))), "nothing closes");
    append(&restored, OTHER, &["taken meanwhile"]).await;

    // It is a store like any other from here on: held until somebody says so, also over a start.
    let incarnation = restored.incarnation();
    restored.close();
    let restored = world.open("backup");
    assert_eq!((restored.incarnation(), restored.closes_held()), (incarnation, Some(hold.clone())));
    assert_eq!(restored.release_hold().await.unwrap(), Some(hold));
    assert!(!restored.barrier(P).await.unwrap().held);
    drop(restored);
    assert_eq!(world.open("backup").closes_held(), None);
}

#[tokio::test]
async fn s15_each_restoration_is_an_incarnation_of_its_own_and_a_backup_of_one_is_one() {
    let world = World::new();
    let store = filled(&world).await;
    world.back_up(&store, "first").await;
    fs::create_dir(world.path("twin")).unwrap();
    fs::copy(world.path("first").join(place::STATE), world.path("twin").join(place::STATE)).unwrap();
    let (one, twin) = (world.open("first"), world.open("twin"));
    assert_ne!(one.incarnation(), twin.incarnation());
    world.back_up(&one, "second").await;
    let second = world.open("second");
    assert_eq!(dump(&second).await, dump(&store).await);
    assert!(second.closes_held().is_some() && ![store.incarnation(), one.incarnation()].contains(&second.incarnation()));
}

/// Every row was written with the notification of its number and the checkpoint of its entry.
#[tokio::test]
async fn s15_a_backup_under_load_is_one_moment_and_has_what_was_acknowledged_before() {
    let world = World::new();
    let store = world.open("store");
    let claim = store.seize(P, Member::default()).await.unwrap();
    let (mut head, mut number) = (claim.head, 0);
    for round in 0..5 {
        let name = format!("backup-{round}");
        let before = append(&store, P, &["acknowledged"]).await[0];
        store.begin_backup(world.path(&name)).await.unwrap();
        while store.backup().unwrap().state == BackupState::Running {
            let id = append(&store, P, &["e", "f"]).await[0];
            number += 1;
            let key = ConversationKey::new("acme", &format!("c-{number}")).unwrap();
            let change = RowChange::Put { conversation: Arc::new(Conversation::new(at(1))), look_at: Some(at(9_000)) };
            let notice = Notice::Settings { workspace: "acme".into(), at: at(1), settings: Box::default(), replaces: false };
            let batch = Batch {
                rows: vec![RowWrite { key, indexed_at: None, change }],
                notifications: vec![Notification { number, previous: None, notice }],
                ..Batch::new(head, id)
            };
            head = batch.id;
            store.commit(claim.lease, batch).await.unwrap();
        }
        assert!(matches!(store.backup().unwrap().state, BackupState::Whole(_)));
        let restored = world.open(&name);
        let stats = restored.stats().await.unwrap()[0];
        let rows = restored.scan(P, None, None, usize::MAX).await.unwrap().len() as u64;
        let due = restored.due(P, Timestamp::MAX, None, usize::MAX).await.unwrap().len() as u64;
        let told = restored.notifications(P, 0, usize::MAX).await.unwrap().items.len() as u64;
        assert_eq!((stats.conversations, stats.timers, stats.last_notification), (rows, due, told));
        assert_eq!(rows, told);
        let unapplied = restored.read(P, LogId::ZERO, usize::MAX, Duration::ZERO).await.unwrap();
        assert!(unapplied.iter().all(|entry| entry.id > stats.checkpoint) && unapplied.is_sorted_by_key(|entry| entry.id));
        assert!(stats.checkpoint >= before || unapplied.iter().any(|entry| entry.id == before), "{before}: {stats:?}");
    }
}

#[tokio::test]
async fn s15_what_was_cut_off_is_no_store_and_is_in_nobodys_way() {
    let world = World::new();
    let store = filled(&world).await;
    let part = world.path("backup.part");
    fs::create_dir(&part).unwrap();
    fs::write(part.join("incomplete"), "").unwrap();
    fs::write(part.join(place::STATE), "half of it").unwrap();
    assert!(matches!(world.try_open("backup.part"), Err(OpenError::CutOff { .. })));
    assert!(!log_dir(&part).exists(), "nothing was made of it");
    world.back_up(&store, "backup").await;
    assert!(!part.exists());
    assert_eq!(dump(&world.open("backup")).await, dump(&store).await);
}

#[tokio::test]
async fn s15_a_restoration_that_was_cut_off_is_done_again() {
    let world = World::new();
    let store = filled(&world).await;
    world.back_up(&store, "backup").await;
    // The log was written by a start that did not come to say so.
    let (backup, other) = (world.path("backup"), world.open("other"));
    append(&other, P, &["of a start before"]).await;
    other.close();
    fs::create_dir(log_dir(&backup)).unwrap();
    let segment = |dir: &Path| segment::segment_path(&log_dir(dir), 1);
    fs::copy(segment(&world.path("other")), segment(&backup)).unwrap();
    assert_eq!(dump(&world.open("backup")).await, dump(&store).await);
}

#[tokio::test]
async fn a_backup_goes_nowhere_but_to_a_new_directory() {
    let world = World::new();
    let store = filled(&world).await;
    fs::create_dir(world.path("full")).unwrap();
    fs::write(world.path("full").join("file"), "").unwrap();
    fs::create_dir(world.path("taken.part")).unwrap();
    fs::write(world.path("taken.part").join("file"), "").unwrap();
    fs::create_dir(world.path("empty")).unwrap();
    let refused = async |path: PathBuf| match store.begin_backup(path).await {
        Err(BackupRefused::Place(reason)) => reason.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(refused(world.path("full")).await.contains("no empty directory"));
    assert!(refused(world.path("full").join("file")).await.contains("no empty directory"));
    assert!(refused(world.path("nowhere").join("backup")).await.contains("create it"));
    assert!(refused(world.path("store").join("backup")).await.contains("lies in the directory of the store"));
    assert!(refused(world.path("empty").join("../store/backup")).await.contains("lies in the directory of the store"));
    assert!(refused(world.path("taken")).await.contains("in the way"));
    assert!(refused("backup".into()).await.contains("absolute"));
    assert!(refused("/".into()).await.contains("absolute"));
    assert_eq!(store.backup(), None, "none was begun");
    assert!(world.path("taken.part").join("file").exists());
    world.back_up(&store, "empty").await;
    world.open("empty");
}

#[tokio::test]
async fn of_two_backups_at_a_time_the_second_is_refused() {
    let world = World::new();
    let store = filled(&world).await;
    store.begin_backup(world.path("one")).await.unwrap();
    let second = store.begin_backup(world.path("two")).await;
    assert!(matches!(&second, Err(BackupRefused::UnderWay { path }) if path.ends_with("one")), "{second:?}");
    ended(&store).await;
    assert!(!world.path("two").exists() && !world.path("two.part").exists());
    // Another store's to the same end.
    let held = place::Place::take(&world.path("three"), &world.path("store")).unwrap();
    let third = store.begin_backup(world.path("three")).await;
    assert!(matches!(&third, Err(BackupRefused::Place(reason)) if reason.contains("another process")), "{third:?}");
    held.give_up();
    world.back_up(&store, "three").await;
}

#[tokio::test]
async fn a_backup_ends_with_its_store_and_leaves_nothing() {
    let world = World::new();
    let store = filled(&world).await;
    store.begin_backup(world.path("backup")).await.unwrap();
    store.close();
    if let BackupState::Failed(reason) = ended(&store).await.state {
        assert!(reason.contains("closed"), "{reason}");
        assert!(!world.path("backup").exists() && !world.path("backup.part").exists());
    }
    assert!(matches!(store.begin_backup(world.path("later")).await, Err(BackupRefused::Store(StoreError::Unavailable(_)))));
    world.open("store");
}

/// What is to be copied is neither made nor changed by that.
#[tokio::test]
async fn a_store_that_is_to_be_taken_as_it_is_is_not_made_and_not_restored() {
    let world = World::new();
    let store = filled(&world).await;
    world.back_up(&store, "backup").await;
    let as_it_is = |name: &str| {
        let options = EmbeddedOptions { as_it_is: true, ..EmbeddedOptions::new(world.clock.clone()) };
        EmbeddedStore::open(&world.path(name), options)
    };
    assert!(matches!(as_it_is("nothing"), Err(OpenError::Missing { .. })));
    assert!(!world.path("nothing").exists());
    assert!(matches!(as_it_is("backup"), Err(OpenError::IsBackup { .. })));
    assert!(!log_dir(&world.path("backup")).exists());
    let before = dump(&store).await;
    store.close();
    assert_eq!(dump(&as_it_is("store").unwrap()).await, before);
}

/// Whoever knows no backups refuses one, and reads what was made of one.
#[tokio::test]
async fn an_older_version_refuses_a_backup_and_reads_a_restored_store() {
    let world = World::new();
    let store = filled(&world).await;
    world.back_up(&store, "backup").await;
    let tables_and_format = |name: &str| {
        let db = Database::open(world.path(name).join(place::STATE)).unwrap();
        let txn = db.begin_read().unwrap();
        let names: Vec<String> = txn.list_tables().unwrap().map(|table| redb::TableHandle::name(&table).to_owned()).collect();
        (names, txn.open_table(tables::META).unwrap().get("format").unwrap().unwrap().value())
    };
    let (_, format) = tables_and_format("backup");
    assert_eq!(format, open::BACKUP_FORMAT);
    world.open("backup").close();
    let (names, format) = tables_and_format("backup");
    assert_eq!(format, open::FORMAT);
    assert!(!names.contains(&"unapplied".to_owned()), "{names:?}");
    assert!(names.iter().all(|name| tables::ALL.contains(&name.as_str())), "{names:?}");
}

#[tokio::test]
async fn a_table_that_nobody_knows_is_not_left_out() {
    let world = World::new();
    filled(&world).await.close();
    let db = Database::open(world.path("store").join(place::STATE)).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(redb::TableDefinition::<&str, u64>::new("newer")).unwrap();
    txn.commit().unwrap();
    drop(db);
    let store = world.open("store");
    store.begin_backup(world.path("backup")).await.unwrap();
    let BackupState::Failed(reason) = ended(&store).await.state else { panic!("it left a table out") };
    assert!(reason.contains("`newer`"), "{reason}");
    assert!(!world.path("backup.part").exists());
}
