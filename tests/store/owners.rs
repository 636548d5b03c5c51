//! Who may write a partition: claims, fences, and what a new owner is told.

use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;

pub async fn every_claim_has_a_token_of_its_own(mut bench: Bench) {
    let mut leases = vec![bench.claim().await.lease, bench.claim().await.lease];
    bench.store().release(leases[1], None).await.unwrap();
    leases.push(bench.claim().await.lease);
    bench.reopen().await;
    leases.push(bench.claim().await.lease);
    for (n, lease) in leases.iter().enumerate() {
        assert_eq!(lease.partition, P);
        assert!(!leases[..n].contains(lease), "{lease:?} was given twice");
    }
}

pub async fn only_the_last_owner_may_write(bench: Bench) {
    let mut old = bench.claim().await;
    let mut new = bench.claim().await;
    let before = bench.dump().await;
    let fenced = bench.commit(&mut old, |batch| batch.rows.push(put("acme/c1", None, None))).await;
    assert!(is_fenced(&fenced), "{fenced:?}");
    assert_eq!(bench.dump().await, before);
    bench.commit(&mut new, |batch| batch.rows.push(put("acme/c1", None, None))).await.unwrap();

    let mut forged = Owner { lease: Lease { nonce: new.lease.nonce ^ 1, ..new.lease }, ..new };
    assert!(is_fenced(&bench.commit(&mut forged, |_| {}).await));
    let mut elsewhere = Owner { lease: Lease { epoch: new.lease.epoch + 1, ..new.lease }, ..new };
    assert!(is_fenced(&bench.commit(&mut elsewhere, |_| {}).await));
}

pub async fn a_claim_tells_where_the_last_owner_stood(mut bench: Bench) {
    let first = bench.store().seize(P, Member::default()).await.unwrap();
    let Claim { checkpoint, last_notification, attempts, trying, settings: applied, .. } = first;
    assert_eq!((checkpoint, last_notification, attempts, trying, applied), (LogId::ZERO, 0, 0, None, vec![]));

    let last = bench.append(&["a"]).await[0];
    let mut owner = bench.claim().await;
    assert_eq!(owner.head, first.head);
    let told = |batch: &mut Batch| {
        batch.checkpoint = last;
        batch.notifications.push(notification(1, None));
        batch.settings.push(("acme".into(), settings(3)));
    };
    bench.commit(&mut owner, told).await.unwrap();
    for _ in 0..2 {
        let claim = bench.store().seize(P, Member::default()).await.unwrap();
        assert_eq!((claim.head, claim.checkpoint), (owner.head, last));
        assert!(claim.last_notification == 1 || claim.last_notification + 1 == claim.numbered_from, "{claim:?}");
        assert_eq!(claim.settings, [("acme".into(), settings(3))]);
        bench.reopen().await;
    }
}

pub async fn a_released_partition_belongs_to_nobody(bench: Bench) {
    let mut owner = bench.claim().await;
    bench.store().release(owner.lease, None).await.unwrap();
    assert!(is_fenced(&bench.commit(&mut owner, |_| {}).await));
    bench.store().release(owner.lease, None).await.unwrap();
    let mut next = bench.claim().await;
    bench.commit(&mut next, |_| {}).await.unwrap();
}

pub async fn a_late_release_harms_nobody(bench: Bench) {
    let old = bench.claim().await;
    let mut new = bench.claim().await;
    bench.store().release(old.lease, None).await.unwrap();
    bench.commit(&mut new, |_| {}).await.unwrap();
}

/// From the third on, an entry is suspected of killing its node; a partition with nothing to do kills nobody.
pub async fn attempts_count_claims_that_met_the_same_backlog(mut bench: Bench) {
    assert_eq!(attempts(&bench).await, 0);
    assert_eq!(attempts(&bench).await, 0);
    let ids = bench.append(&["a", "b"]).await;
    assert_eq!(attempts(&bench).await, 1);
    bench.reopen().await;
    assert_eq!(attempts(&bench).await, 2);

    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.trying = Some((ids[0], 1))).await.unwrap();
    assert_eq!(attempts(&bench).await, 4);
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.checkpoint = ids[0]).await.unwrap();
    assert_eq!(attempts(&bench).await, 1);
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.checkpoint = ids[1]).await.unwrap();
    assert_eq!(attempts(&bench).await, 0);
}

async fn attempts(bench: &Bench) -> u32 {
    bench.store().seize(P, Member::default()).await.unwrap().attempts
}

pub async fn the_entry_tried_alone_is_marked_until_cleared(mut bench: Bench) {
    let id = bench.append(&["a"]).await[0];
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.trying = Some((id, 2))).await.unwrap();
    bench.reopen().await;
    assert_eq!(bench.store().seize(P, Member::default()).await.unwrap().trying, Some((id, 2)));
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.checkpoint = id).await.unwrap();
    assert_eq!(bench.store().seize(P, Member::default()).await.unwrap().trying, None);
}
