//! Claims over a record that was seen: nobody takes from a holder who has moved since, and the loser cannot write.

use adjourn::store::*;

use crate::bench::*;
use crate::ear::{Ear, released};

/// Claims `P` as `node` over exactly `over`.
async fn claim(bench: &Bench, node: &str, over: Option<Holder>) -> Result<Claim, StoreError> {
    bench.store().claim(P, member(node, 1), over).await
}

async fn is_refused_as_fenced(bench: &Bench, over: Option<Holder>) -> bool {
    matches!(claim(bench, "late", over).await, Err(StoreError::Fenced { partition: P }))
}

pub async fn a_held_partition_is_not_claimed_as_free(bench: Bench) {
    let mut owner = bench.claim().await;
    let before = bench.holder().await;
    assert!(is_refused_as_fenced(&bench, None).await);
    assert_eq!(bench.holder().await, before);
    bench.commit(&mut owner, |_| {}).await.unwrap();
}

pub async fn a_claim_needs_exactly_the_record_as_it_stands(bench: Bench) {
    let mut owner = bench.claim().await;
    let seen = bench.holder().await.unwrap();
    bench.commit(&mut owner, |_| {}).await.unwrap();
    assert!(is_refused_as_fenced(&bench, Some(seen)).await, "it has committed since");
    let seen = bench.holder().await.unwrap();
    bench.store().renew(owner.lease).await.unwrap();
    assert!(is_refused_as_fenced(&bench, Some(seen)).await, "it has renewed since");

    let stands = bench.holder().await.unwrap();
    let forged_lease = Lease { nonce: stands.lease.nonce ^ 1, ..stands.lease };
    let forged_member = Member { instance: stands.member.instance ^ 1, ..stands.member.clone() };
    let forged = [Holder { lease: forged_lease, ..stands.clone() }, Holder { member: forged_member, ..stands.clone() }];
    for record in forged {
        assert!(is_refused_as_fenced(&bench, Some(record)).await);
    }
    assert_eq!(bench.holder().await.as_ref(), Some(&stands));
    bench.commit(&mut owner, |_| {}).await.unwrap();

    let stands = bench.holder().await;
    let granted = claim(&bench, "b", stands).await.unwrap();
    let holder = bench.holder().await.unwrap();
    assert_eq!((holder.lease, holder.member), (granted.lease, member("b", 1)));
}

pub async fn the_loser_of_a_claim_is_fenced(bench: Bench) {
    let mut loser = bench.claim().await;
    let winner = claim(&bench, "b", bench.holder().await).await.unwrap();
    assert!(is_fenced(&bench.commit(&mut loser, |_| {}).await));
    assert!(is_fenced(&bench.store().renew(loser.lease).await));
    bench.store().release(loser.lease, Some("c".into())).await.unwrap();
    let mut winner = Owner { lease: winner.lease, head: winner.head, checkpoint: winner.checkpoint };
    bench.commit(&mut winner, |_| {}).await.unwrap();
}

pub async fn what_was_given_back_is_claimed_as_free(bench: Bench) {
    let owner = bench.claim().await;
    let before = bench.holder().await;
    bench.store().release(owner.lease, None).await.unwrap();
    assert_eq!(bench.holder().await, None);
    assert!(is_refused_as_fenced(&bench, before).await);
    claim(&bench, "b", None).await.unwrap();
}

pub async fn of_two_claims_over_one_record_one_is_granted(bench: Bench) {
    for round in 0..8 {
        let over = bench.holder().await;
        let (one, other) = tokio::join!(claim(&bench, "a", over.clone()), claim(&bench, "b", over));
        assert!(one.is_ok() != other.is_ok(), "round {round}: {one:?} {other:?}");
        let lease = one.or(other).unwrap().lease;
        assert_eq!(bench.holder().await.unwrap().lease, lease);
    }
}

pub async fn commits_and_renewals_move_the_beat(bench: Bench) {
    let mut owner = bench.claim().await;
    let mut records = vec![bench.holder().await.unwrap()];
    for _ in 0..2 {
        bench.commit(&mut owner, |_| {}).await.unwrap();
        records.push(bench.holder().await.unwrap());
        bench.store().renew(owner.lease).await.unwrap();
        records.push(bench.holder().await.unwrap());
    }
    for (n, record) in records.iter().enumerate() {
        assert_eq!((record.lease, &record.member), (owner.lease, &records[0].member));
        assert!(!records[..n].contains(record), "{record:?} stood there before");
    }
}

/// A holder whose commits are all refused is not to be taken for one that gets on.
pub async fn a_refused_commit_does_not_move_the_beat(bench: Bench) {
    let fenced = bench.claim().await;
    let owner = bench.claim().await;
    let before = bench.holder().await;
    let mut astray = Owner { head: CommitId(7), ..owner };
    assert!(is_refused(&bench.commit(&mut astray, |_| {}).await));
    let early = bench.commit(&mut owner.clone(), |batch| batch.not_before = Some(at(START + 1))).await;
    assert!(is_refused(&early), "{early:?}");
    assert!(is_fenced(&bench.commit(&mut fenced.clone(), |_| {}).await));
    assert_eq!(bench.holder().await, before);
}

pub async fn a_lost_lease_is_not_renewed(bench: Bench) {
    let lost = bench.claim().await.lease;
    let given_back = bench.claim().await.lease;
    let before = bench.holder().await;
    let forged = Lease { nonce: given_back.nonce ^ 1, ..given_back };
    for lease in [lost, forged] {
        assert!(is_fenced(&bench.store().renew(lease).await));
    }
    assert_eq!(bench.holder().await, before);
    bench.store().release(given_back, None).await.unwrap();
    assert!(is_fenced(&bench.store().renew(given_back).await));
    assert_eq!(bench.holder().await, None);
}

pub async fn giving_back_is_told_once_and_by_the_holder_alone(bench: Bench) {
    let mut ear = Ear::open(&bench).await;
    let late = bench.claim().await.lease;
    let holder = bench.claim().await.lease;
    for lease in [late, holder, holder, late] {
        bench.store().release(lease, Some("node-2".into())).await.unwrap();
    }
    assert_eq!(ear.releases(&bench).await, [released(P, Some("node-2"))]);
    let lease = bench.claim().await.lease;
    bench.store().release(lease, None).await.unwrap();
    assert_eq!(ear.releases(&bench).await, [released(P, None)]);
}

/// Whoever gives a partition back was not killed by what it was trying.
pub async fn giving_back_clears_what_was_suspected(bench: Bench) {
    let id = bench.append(&["a"]).await[0];
    bench.claim().await;
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.trying = Some((id, 2))).await.unwrap();
    bench.store().release(owner.lease, None).await.unwrap();
    let next = claim(&bench, "b", None).await.unwrap();
    assert_eq!((next.attempts, next.trying), (1, None));
}
