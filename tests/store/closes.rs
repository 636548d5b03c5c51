//! What a store refuses of a batch that closes by timer: only it can compare its clock and its log in one step (D1, D2).

use crate::bench::*;

pub async fn d1_no_close_before_the_clock_is_past_its_deadline(bench: Bench) {
    let mut owner = bench.claim().await;
    for early in [START + 60_000, START + 1, START] {
        let result = bench.commit(&mut owner, |batch| batch.not_before = Some(at(early))).await;
        assert!(is_refused(&result), "{early}: {result:?}");
    }
    bench.clock.jump(1);
    bench.commit(&mut owner, |batch| batch.not_before = Some(at(START))).await.unwrap();
}

pub async fn d2_no_close_over_an_entry_accepted_in_time(bench: Bench) {
    let reply = bench.append(&["reply"]).await[0];
    bench.clock.jump(60_000);
    let mut owner = bench.claim().await;
    for deadline in [START, START + 1] {
        let result = bench.commit(&mut owner, |batch| batch.not_before = Some(at(deadline))).await;
        assert!(is_refused(&result), "{deadline}: {result:?}");
    }
    // Applied with the same batch, or before: then whoever closes knew of it.
    let knowing = |batch: &mut adjourn::store::Batch| (batch.not_before, batch.checkpoint) = (Some(at(START + 1)), reply);
    bench.commit(&mut owner, knowing).await.unwrap();
    bench.commit(&mut owner, |batch| batch.not_before = Some(at(START + 2))).await.unwrap();
}

/// What was acknowledged before and taken again: its id says when it was taken, not when it came.
pub async fn d2_no_close_over_an_entry_taken_again_that_came_in_time(mut bench: Bench) {
    bench.store().append(vec![(P, entry("later")), (P, again(START - 500))]).await.unwrap();
    for _ in 0..2 {
        bench.clock.jump(60_000);
        let mut owner = bench.claim().await;
        for deadline in [START - 1, START - 500] {
            let result = bench.commit(&mut owner, |batch| batch.not_before = Some(at(deadline))).await;
            assert!(is_refused(&result), "{deadline}: {result:?}");
        }
        bench.commit(&mut owner, |batch| batch.not_before = Some(at(START - 501))).await.unwrap();
        bench.reopen().await;
    }
}

pub async fn d2_an_entry_accepted_later_holds_nothing_up(bench: Bench) {
    bench.append(&["too late"]).await;
    bench.store().append(vec![(OTHER, entry("elsewhere"))]).await.unwrap();
    bench.clock.jump(60_000);
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.not_before = Some(at(START - 1))).await.unwrap();
}

/// The clock allowed a close and steps back: what comes now came after the deadline all the same.
pub async fn d2_nothing_is_accepted_in_time_after_a_close(bench: Bench) {
    let mut owner = bench.claim().await;
    bench.clock.jump(1_000);
    bench.commit(&mut owner, |batch| batch.not_before = Some(at(START + 999))).await.unwrap();
    bench.clock.jump(-1_000);
    assert!(bench.append(&["late"]).await[0].accepted_at() > at(START + 999));
}
