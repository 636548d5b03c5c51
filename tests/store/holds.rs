//! Nothing closes while an operator, or the store itself, says so.

use adjourn::store::Member;
use adjourn::store::testing::StoreInTests;

use crate::bench::*;

async fn until_held(bench: &Bench, wanted: bool) {
    let told = async {
        while bench.store().barrier(P).await.unwrap().held != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("the hold to be heard of");
}

pub async fn s15_held_closes_wait_until_they_are_released(bench: Bench) {
    let store = bench.store();
    store.seize(P, Member::default()).await.unwrap();
    assert_eq!((store.closes_held(), store.release_hold().await.unwrap()), (None, None));
    assert!(store.hold_closes("a restore".into()).await.unwrap());
    assert!(store.barrier(P).await.unwrap().held, "nothing closes once that was answered");
    assert!(!store.hold_closes("another".into()).await.unwrap());
    let held = store.closes_held().unwrap();
    assert_eq!((&*held.why, held.since.is_some()), ("a restore", true));
    // Everything else goes on.
    let ids = bench.append(&["e1"]).await;
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.checkpoint = ids[0]).await.unwrap();
    assert_eq!(store.release_hold().await.unwrap(), Some(held));
    until_held(&bench, false).await;
    assert_eq!(store.closes_held(), None);
}

pub async fn s15_a_hold_survives(mut bench: Bench) {
    assert!(bench.store().hold_closes("a restore".into()).await.unwrap());
    bench.reopen().await;
    bench.store().seize(P, Member::default()).await.unwrap();
    assert!(bench.store().barrier(P).await.unwrap().held);
    assert_eq!(bench.store().closes_held().map(|hold| hold.why.to_string()).as_deref(), Some("a restore"));
}
