//! Commits: each builds on the last, is written once and whole, or not at all.

use adjourn::domain::Timestamp;
use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;

pub async fn a_commit_builds_on_the_last_one(bench: Bench) {
    let mut owner = bench.claim().await;
    let stale = owner;
    bench.commit(&mut owner, |_| {}).await.unwrap();
    for based_on in [stale.head, CommitId(7), CommitId(owner.head.0 ^ 1)] {
        let mut astray = Owner { head: based_on, ..owner };
        let result = bench.commit(&mut astray, |_| {}).await;
        assert!(is_refused(&result), "{result:?}");
    }
    bench.commit(&mut owner, |_| {}).await.unwrap();
}

pub async fn a_commit_is_written_once(bench: Bench) {
    let owner = bench.claim().await;
    let mut batch = owner.batch();
    batch.notifications.push(notification(1, None));
    bench.store().commit(owner.lease, batch.clone()).await.unwrap();
    let before = bench.dump().await;
    let again = bench.store().commit(owner.lease, batch).await;
    assert!(is_refused(&again), "{again:?}");
    assert_eq!(bench.dump().await, before);
}

/// An owner of yesterday is to step down, not to reload.
pub async fn the_fence_is_asked_before_the_chain(bench: Bench) {
    let old = bench.claim().await;
    bench.claim().await;
    let mut astray = Owner { head: CommitId(7), ..old };
    assert!(is_fenced(&bench.commit(&mut astray, |batch| batch.not_before = Some(Timestamp::MAX)).await));
}

pub async fn the_checkpoint_never_goes_back(bench: Bench) {
    let ids = bench.append(&["a", "b"]).await;
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.checkpoint = ids[1]).await.unwrap();
    let back = bench.commit(&mut owner, |batch| batch.checkpoint = ids[0]).await;
    assert!(is_refused(&back), "{back:?}");
    assert_eq!(bench.store().seize(P, Member::default()).await.unwrap().checkpoint, ids[1]);
}

/// A batch with something of everything.
fn full(batch: &mut Batch, id: LogId, last_notification: u64) {
    batch.rows = vec![put_version("acme/c1", 9, Some(5), Some(7)), remove("acme/c2", Some(6)), put("acme/c3", None, Some(8))];
    batch.notifications = vec![notification(last_notification + 1, None), notification(last_notification + 2, Some(1))];
    batch.trim_notifications_below = 2;
    batch.dead = vec![dead_letter(id)];
    batch.dead_removed = vec![LogId { ms: 1, seq: 1 }];
    batch.settings = vec![("acme".into(), settings(9))];
    batch.trying = Some((id, 1));
}

/// What `full` has something to change of.
async fn furnished(bench: &Bench) -> (Owner, LogId) {
    let id = bench.append(&["a", "b"]).await[0];
    let mut owner = bench.claim().await;
    let furnish = |batch: &mut Batch| {
        batch.rows = vec![put("acme/c1", None, Some(5)), put("acme/c2", None, Some(6))];
        batch.notifications = vec![notification(1, None)];
        batch.dead = vec![dead_letter(LogId { ms: 1, seq: 1 })];
        batch.settings = vec![("acme".into(), settings(1))];
    };
    bench.commit(&mut owner, furnish).await.unwrap();
    (owner, id)
}

pub async fn a_refused_batch_changes_nothing(bench: Bench) {
    let (mut owner, id) = furnished(&bench).await;
    let before = bench.dump().await;
    let full = |batch: &mut Batch| full(batch, id, 1);

    let mut astray = Owner { head: CommitId(7), ..owner };
    assert!(is_refused(&bench.commit(&mut astray, full).await));
    let early = |batch: &mut Batch| (full(batch), batch.not_before = Some(at(START))).1;
    assert!(is_refused(&bench.commit(&mut owner, early).await));
    bench.clock.jump(1);
    assert!(is_refused(&bench.commit(&mut owner, early).await), "an entry accepted at the deadline is not applied");
    let gap = |batch: &mut Batch| (full(batch), batch.notifications.remove(0)).0;
    assert!(is_refused(&bench.commit(&mut owner, gap).await));

    assert_eq!(bench.dump().await, before);
    let trying = bench.store().seize(P, Member::default()).await.unwrap().trying;
    assert_eq!(trying, None);
    let mut owner = Owner { lease: bench.claim().await.lease, ..owner };
    bench.commit(&mut owner, full).await.unwrap();
    assert_ne!(bench.dump().await, before);
}

pub async fn partitions_have_chains_of_their_own(bench: Bench) {
    let (mut here, mut there) = (bench.claim().await, bench.claim_of(OTHER).await);
    for _ in 0..2 {
        bench.commit(&mut here, |batch| batch.rows.push(put("acme/c1", None, None))).await.unwrap();
        bench.commit(&mut there, |batch| batch.rows.push(put("acme/c1", None, None))).await.unwrap();
    }
}

pub async fn what_was_committed_survives(mut bench: Bench) {
    let (mut owner, id) = furnished(&bench).await;
    bench.commit(&mut owner, |batch| full(batch, id, 1)).await.unwrap();
    let before = bench.dump().await;
    bench.reopen().await;
    assert_eq!(bench.dump().await, before);
    let mut next = bench.claim().await;
    assert_eq!(next.head, owner.head);
    bench.commit(&mut next, |batch| batch.checkpoint = id).await.unwrap();
}
