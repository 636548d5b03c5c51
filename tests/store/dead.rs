//! What was set aside, and what a partition counts.

use adjourn::store::*;

use crate::bench::*;

async fn listed(bench: &Bench, after: LogId, limit: usize) -> Vec<LogId> {
    bench.store().dead_letters(P, after, limit).await.unwrap().into_iter().map(|letter| letter.id).collect()
}

const IDS: [LogId; 4] = [LogId { ms: 1, seq: 255 }, LogId { ms: 1, seq: 256 }, LogId { ms: 2, seq: 0 }, LogId { ms: 300, seq: 0 }];

async fn with_letters(bench: &Bench) -> Owner {
    let mut owner = bench.claim().await;
    for id in [IDS[2], IDS[0], IDS[3], IDS[1]] {
        bench.commit(&mut owner, |batch| batch.dead.push(dead_letter(id))).await.unwrap();
    }
    owner
}

pub async fn letters_are_listed_oldest_first(mut bench: Bench) {
    with_letters(&bench).await;
    for _ in 0..2 {
        assert_eq!(listed(&bench, LogId::ZERO, MANY).await, IDS);
        assert_eq!(listed(&bench, IDS[0], 2).await, IDS[1..3]);
        assert_eq!(listed(&bench, IDS[3], 9).await, []);
        assert_eq!(bench.store().dead_letters(P, LogId::ZERO, 1).await.unwrap(), [dead_letter(IDS[0])]);
        assert_eq!(bench.store().dead_letters(OTHER, LogId::ZERO, 9).await.unwrap(), []);
        bench.reopen().await;
    }
}

pub async fn a_letter_goes_when_it_is_removed(bench: Bench) {
    let mut owner = with_letters(&bench).await;
    let never = LogId { ms: 9, seq: 9 };
    bench.commit(&mut owner, |batch| batch.dead_removed.extend([IDS[1], never])).await.unwrap();
    assert_eq!(listed(&bench, LogId::ZERO, 9).await, [IDS[0], IDS[2], IDS[3]]);
    assert_eq!(bench.store().stats().await.unwrap()[usize::from(P.0)].dead_letters, 3);
}

pub async fn unreadable_bytes_are_kept_as_they_are(mut bench: Bench) {
    let unreadable = Unreadable { reason: "form version 9".into(), bytes: (0..=255).collect(), conversation: None };
    let letter = DeadLetter { conversation: None, entry: Err(unreadable), ..dead_letter(IDS[0]) };
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.dead.push(letter.clone())).await.unwrap();
    bench.reopen().await;
    assert_eq!(bench.store().dead_letters(P, LogId::ZERO, 9).await.unwrap(), [letter]);
}

pub async fn stats_count_what_there_is(mut bench: Bench) {
    let empty = bench.store().stats().await.unwrap();
    assert_eq!(empty, vec![PartitionStats { oldest_notification: 1, ..PartitionStats::default() }; usize::from(PARTITIONS)]);
    let ids = bench.append(&["a", "b", "c"]).await;
    let mut owner = bench.claim().await;
    let fill = |batch: &mut Batch| {
        batch.checkpoint = ids[0];
        batch.rows = vec![put("acme/a", None, Some(5)), put("acme/b", None, None), put("acme/c", None, Some(6))];
        batch.dead = vec![dead_letter(ids[0])];
        batch.notifications = vec![notification(1, None), notification(2, Some(1))];
        batch.trim_notifications_below = 2;
    };
    bench.commit(&mut owner, fill).await.unwrap();
    bench.commit(&mut owner, |batch| batch.rows = vec![put("acme/c", Some(6), None), put("acme/a", Some(5), Some(7))]).await.unwrap();
    let expected = PartitionStats {
        conversations: 3,
        timers: 1,
        checkpoint: ids[0],
        last: ids[2],
        backlog: 2,
        dead_letters: 1,
        last_notification: 2,
        oldest_notification: 2,
    };
    for _ in 0..2 {
        assert_eq!(bench.store().stats().await.unwrap()[usize::from(P.0)], expected);
        bench.reopen().await;
    }
}
