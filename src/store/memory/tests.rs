//! The fault switches do what they say. What the model promises as a store is in `tests/store`.

use super::*;
use crate::clock::ManualClock;
use crate::domain::testing::{at, human, key};
use crate::store::testing::StoreInTests;

async fn model() -> (Arc<MemoryStore>, Faults, Claim, PartitionId) {
    let store = MemoryStore::new(PartitionCount::new(4).unwrap(), ManualClock::at(at(1_000)));
    let partition = key().partition(store.partitions);
    let claim = store.seize(partition, Member::default()).await.unwrap();
    let faults = store.faults();
    (store, faults, claim, partition)
}

fn put(claim: &Claim, version: u64) -> Batch {
    let conversation = Arc::new(Conversation { version, ..Conversation::new(at(1)) });
    let change = RowChange::Put { conversation, look_at: None };
    let mut batch = Batch::new(claim.head, claim.checkpoint);
    batch.rows.push(RowWrite { key: key(), indexed_at: None, change });
    batch
}

async fn version(store: &MemoryStore) -> Option<u64> {
    match store.load(key().partition(store.partitions), vec![key()]).await.unwrap().remove(0) {
        Loaded::Found { conversation, .. } => Some(conversation.version),
        Loaded::Missing | Loaded::Corrupt { .. } => None,
    }
}

#[tokio::test]
async fn refused_commits_write_nothing() {
    let (store, faults, claim, _) = model().await;
    faults.refuse_commits(1);
    assert!(matches!(store.commit(claim.lease, put(&claim, 1)).await, Err(StoreError::Refused(_))));
    assert_eq!(version(&store).await, None);
    store.commit(claim.lease, put(&claim, 2)).await.unwrap();
    assert_eq!(version(&store).await, Some(2));
}

#[tokio::test]
async fn an_unknown_outcome_may_be_either() {
    let (store, faults, claim, _) = model().await;
    faults.lose_commits(1);
    assert!(matches!(store.commit(claim.lease, put(&claim, 1)).await, Err(StoreError::OutcomeUnknown(_))));
    assert_eq!(version(&store).await, None);
    faults.lose_commit_answers(1);
    assert!(matches!(store.commit(claim.lease, put(&claim, 2)).await, Err(StoreError::OutcomeUnknown(_))));
    assert_eq!(version(&store).await, Some(2));
}

#[tokio::test]
async fn a_stalled_commit_arrives_late_and_is_refused() {
    let (store, faults, claim, _) = model().await;
    faults.stall_commits(1);
    let late = tokio::spawn({
        let (store, batch) = (Arc::clone(&store), put(&claim, 1));
        async move { store.commit(claim.lease, batch).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(faults.stalled(), 1);
    store.commit(claim.lease, put(&claim, 2)).await.unwrap();
    faults.release_stalled();
    assert!(matches!(late.await.unwrap(), Err(StoreError::Refused(_))));
    assert_eq!(version(&store).await, Some(2));
}

#[tokio::test]
async fn a_stalled_commit_arrives_even_if_nobody_waits() {
    let (store, faults, claim, _) = model().await;
    faults.stall_commits(1);
    let given_up = tokio::time::timeout(Duration::ZERO, store.commit(claim.lease, put(&claim, 1))).await;
    assert!(given_up.is_err());
    faults.release_stalled();
    assert_eq!(version(&store).await, Some(1));
}

#[tokio::test]
async fn a_doubled_commit_is_written_once() {
    let (store, faults, claim, partition) = model().await;
    let mut batch = put(&claim, 1);
    let notice = crate::domain::Notice::Settings { workspace: "acme".into(), at: at(1), settings: Box::default(), replaces: false };
    batch.notifications.push(Notification { number: 1, previous: None, notice });
    faults.double_commits(1);
    store.commit(claim.lease, batch).await.unwrap();
    assert_eq!(store.notifications(partition, 0, 9).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn appends_are_refused_or_taken_without_an_answer() {
    let (store, faults, _, partition) = model().await;
    let entry = || vec![(partition, Entry::Event(human("e1", 1)))];
    faults.refuse_appends(1);
    assert!(matches!(store.append(entry()).await, Err(StoreError::Refused(_))));
    assert_eq!(store.stats().await.unwrap()[usize::from(partition.0)].backlog, 0);
    faults.lose_append_answers(1);
    assert!(matches!(store.append(entry()).await, Err(StoreError::OutcomeUnknown(_))));
    assert_eq!(store.stats().await.unwrap()[usize::from(partition.0)].backlog, 1);
}

#[tokio::test]
async fn a_lost_second_is_gone_and_its_ids_may_come_again() {
    let (store, faults, _, partition) = model().await;
    let entries = ["e1", "e2", "e3"].map(|id| (partition, Entry::Event(human(id, 1))));
    let ids = store.append(entries.into()).await.unwrap();
    faults.forget_log_after(partition, ids[0]);
    assert_eq!(store.barrier(partition).await.unwrap().last, ids[0]);
    assert_eq!(store.read(partition, LogId::ZERO, 9, Duration::ZERO).await.unwrap().len(), 1);
    let again = store.append(vec![(partition, Entry::Event(human("e2", 1)))]).await.unwrap();
    assert_eq!(again, [ids[1]]);
}

#[tokio::test]
async fn what_is_corrupt_says_so_in_its_place() {
    let (store, faults, claim, partition) = model().await;
    let ids = store.append(["e1", "e2"].map(|id| (partition, Entry::Event(human(id, 1)))).into()).await.unwrap();
    store.commit(claim.lease, put(&claim, 1)).await.unwrap();
    faults.corrupt_entry(partition, ids[0]);
    faults.corrupt_row(&key());
    let read: Vec<bool> =
        store.read(partition, LogId::ZERO, 9, Duration::ZERO).await.unwrap().iter().map(|entry| entry.entry.is_ok()).collect();
    assert_eq!(read, [false, true]);
    assert!(matches!(store.load(partition, vec![key()]).await.unwrap()[..], [Loaded::Corrupt { .. }]));
    assert_eq!(store.scan(partition, None, None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_replica_that_takes_over_knows_nothing_of_what_came_after() {
    let (store, faults, claim, partition) = model().await;
    store.append(vec![(partition, Entry::Event(human("e1", 1)))]).await.unwrap();
    let replica = faults.replica();
    store.append(vec![(partition, Entry::Event(human("e2", 1)))]).await.unwrap();
    store.commit(claim.lease, put(&claim, 1)).await.unwrap();
    faults.fail_over(replica);
    assert_eq!(store.read(partition, LogId::ZERO, 9, Duration::ZERO).await.unwrap().len(), 1);
    assert_eq!(version(&store).await, None);
    assert!(matches!(store.renew(claim.lease).await, Err(StoreError::Refused(_))), "claimed under another primary");
    assert!(matches!(store.commit(claim.lease, put(&claim, 1)).await, Err(StoreError::Refused(_))));
    let again = store.seize(partition, Member::default()).await.unwrap();
    assert_eq!(again.numbered_from, again.last_notification + 1, "which numbers were given out nobody knows");
    store.commit(again.lease, put(&again, 2)).await.unwrap();
}
