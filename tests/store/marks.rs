//! What is known of entries once they are applied: how far the partition is, and which of them changed nothing, and why.

use adjourn::domain::Refusal;
use adjourn::store::*;

use crate::bench::*;

const DUPLICATE: Option<Mark> = Some(Mark::Duplicate);

async fn applied(bench: &Bench, ids: &[LogId]) -> Applied {
    bench.store().applied(P, ids.to_vec()).await.unwrap()
}

pub async fn applied_tells_how_far_a_partition_is(mut bench: Bench) {
    let ids = bench.append(&["a", "b", "c"]).await;
    assert_eq!(applied(&bench, &[]).await, Applied { checkpoint: LogId::ZERO, marks: vec![] });
    let mut owner = bench.claim().await;
    for id in &ids[..2] {
        bench.commit(&mut owner, |batch| batch.checkpoint = *id).await.unwrap();
        assert_eq!(applied(&bench, &ids).await, Applied { checkpoint: *id, marks: vec![None; 3] });
    }
    bench.reopen().await;
    assert_eq!(applied(&bench, &[]).await.checkpoint, ids[1]);
}

pub async fn repeats_are_told_from_what_changed_something(bench: Bench) {
    let ids = bench.append(&["a", "b", "a", "b"]).await;
    let repeats = |ids: &[LogId]| ids.iter().map(|id| (*id, Mark::Duplicate)).collect::<Vec<_>>();
    let mut owner = bench.claim().await;
    let mut astray = Owner { head: CommitId(7), ..owner };
    let refused = bench.commit(&mut astray, |batch| batch.marks = repeats(&ids)).await;
    assert!(is_refused(&refused), "{refused:?}");
    assert_eq!(applied(&bench, &ids).await.marks, [None; 4]);

    for id in [ids[2], ids[3]] {
        bench.commit(&mut owner, |batch| (batch.checkpoint, batch.marks) = (id, repeats(&[id]))).await.unwrap();
    }
    let never = LogId { seq: ids[3].seq + 1, ..ids[3] };
    let asked = [ids[3], ids[0], never, ids[2], ids[1], ids[3]];
    assert_eq!(applied(&bench, &asked).await.marks, [DUPLICATE, None, None, DUPLICATE, None, DUPLICATE]);
    assert_eq!(bench.store().applied(OTHER, ids.clone()).await.unwrap().marks, [None; 4]);
}

pub async fn why_an_entry_changed_nothing_is_told(bench: Bench) {
    let refusals = Refusal::ALL.iter().map(|refusal| Mark::Refused(*refusal));
    let all: Vec<Mark> = [Mark::Duplicate, Mark::Failed, Mark::Done].into_iter().chain(refusals).collect();
    let names: Vec<String> = (0..all.len()).map(|n| format!("e{n}")).collect();
    let ids = bench.append(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut owner = bench.claim().await;
    let told: Vec<(LogId, Mark)> = ids.iter().copied().zip(all.iter().copied()).collect();
    bench.commit(&mut owner, |batch| (batch.checkpoint, batch.marks) = (*ids.last().unwrap(), told)).await.unwrap();
    assert_eq!(applied(&bench, &ids).await.marks, all.into_iter().map(Some).collect::<Vec<_>>());
}

pub async fn the_last_thousand_repeats_are_known(bench: Bench) {
    let mut owner = bench.claim().await;
    let ids: Vec<LogId> = (1..=1_700).map(|seq| LogId { ms: START as u64, seq }).collect();
    for some in ids.chunks(300) {
        let some = some.iter().map(|id| (*id, Mark::Duplicate)).collect();
        bench.commit(&mut owner, |batch| batch.marks = some).await.unwrap();
    }
    let last = &ids[ids.len() - 1_000..];
    assert_eq!(applied(&bench, last).await.marks, vec![DUPLICATE; 1_000]);
}
