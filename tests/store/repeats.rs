//! What is known of entries once they are applied: how far the partition is, and which of them changed nothing.

use adjourn::store::*;

use crate::bench::*;

async fn applied(bench: &Bench, ids: &[LogId]) -> Applied {
    bench.store().applied(P, ids.to_vec()).await.unwrap()
}

pub async fn applied_tells_how_far_a_partition_is(mut bench: Bench) {
    let ids = bench.append(&["a", "b", "c"]).await;
    assert_eq!(applied(&bench, &[]).await, Applied { checkpoint: LogId::ZERO, repeats: vec![] });
    let mut owner = bench.claim().await;
    for id in &ids[..2] {
        bench.commit(&mut owner, |batch| batch.checkpoint = *id).await.unwrap();
        assert_eq!(applied(&bench, &ids).await, Applied { checkpoint: *id, repeats: vec![false; 3] });
    }
    bench.reopen().await;
    assert_eq!(applied(&bench, &[]).await.checkpoint, ids[1]);
}

pub async fn repeats_are_told_from_what_changed_something(bench: Bench) {
    let ids = bench.append(&["a", "b", "a", "b"]).await;
    let mut owner = bench.claim().await;
    let mut astray = Owner { head: CommitId(7), ..owner };
    let refused = bench.commit(&mut astray, |batch| batch.repeats = ids.clone()).await;
    assert!(is_refused(&refused), "{refused:?}");
    assert_eq!(applied(&bench, &ids).await.repeats, [false; 4]);

    for id in [ids[2], ids[3]] {
        bench.commit(&mut owner, |batch| (batch.checkpoint, batch.repeats) = (id, vec![id])).await.unwrap();
    }
    let never = LogId { seq: ids[3].seq + 1, ..ids[3] };
    let asked = [ids[3], ids[0], never, ids[2], ids[1], ids[3]];
    assert_eq!(applied(&bench, &asked).await.repeats, [true, false, false, true, false, true]);
    assert_eq!(bench.store().applied(OTHER, ids.clone()).await.unwrap().repeats, [false; 4]);
}

pub async fn the_last_thousand_repeats_are_known(bench: Bench) {
    let mut owner = bench.claim().await;
    let ids: Vec<LogId> = (1..=1_700).map(|seq| LogId { ms: START as u64, seq }).collect();
    for some in ids.chunks(300) {
        bench.commit(&mut owner, |batch| batch.repeats = some.to_vec()).await.unwrap();
    }
    let last = &ids[ids.len() - 1_000..];
    assert_eq!(applied(&bench, last).await.repeats, vec![true; 1_000]);
}
