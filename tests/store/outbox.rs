//! The outbox of notifications: numbered without a gap, read by whoever follows.

use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;

/// Commits notifications `from..=to`, each naming the one before it.
async fn tell(bench: &Bench, owner: &mut Owner, from: u64, to: u64) {
    let told = (from..=to).map(|number| notification(number, number.checked_sub(1).filter(|previous| *previous > 0)));
    bench.commit(owner, |batch| batch.notifications.extend(told)).await.unwrap();
}

async fn page(bench: &Bench, after: u64, limit: usize) -> NotificationPage {
    bench.store().notifications(P, after, limit).await.unwrap()
}

async fn numbers(bench: &Bench, after: u64, limit: usize) -> Vec<u64> {
    page(bench, after, limit).await.items.into_iter().map(|notification| notification.number).collect()
}

pub async fn notifications_read_back_in_order(mut bench: Bench) {
    assert_eq!(page(&bench, 0, 9).await, NotificationPage { items: vec![], oldest: 1 });
    let mut owner = bench.claim().await;
    tell(&bench, &mut owner, 1, 2).await;
    tell(&bench, &mut owner, 3, 300).await;
    for _ in 0..2 {
        assert_eq!(page(&bench, 1, 1).await, NotificationPage { items: vec![notification(2, Some(1))], oldest: 1 });
        assert_eq!(page(&bench, 0, 1).await.items, [notification(1, None)]);
        assert_eq!(numbers(&bench, 0, MANY).await, (1..=300).collect::<Vec<_>>());
        assert_eq!(numbers(&bench, 254, 3).await, [255, 256, 257]);
        assert_eq!(numbers(&bench, 300, 9).await, [0; 0]);
        assert_eq!(numbers(&bench, u64::MAX, 9).await, [0; 0]);
        assert_eq!(numbers(&bench, 0, 0).await, [0; 0]);
        bench.reopen().await;
    }
}

pub async fn a_gap_in_the_numbers_is_refused(bench: Bench) {
    let mut owner = bench.claim().await;
    tell(&bench, &mut owner, 1, 2).await;
    for numbers in [vec![4], vec![2], vec![3, 5], vec![3, 3]] {
        let told = numbers.iter().map(|number| notification(*number, None)).collect();
        let result = bench.commit(&mut owner, |batch| batch.notifications = told).await;
        assert!(is_refused(&result), "{numbers:?}: {result:?}");
    }
    tell(&bench, &mut owner, 3, 3).await;
}

pub async fn what_was_trimmed_is_told(mut bench: Bench) {
    let mut owner = bench.claim().await;
    tell(&bench, &mut owner, 1, 5).await;
    let trim = async |owner: &mut Owner, below| {
        bench.commit(owner, |batch| batch.trim_notifications_below = below).await.unwrap();
        let page = page(&bench, 0, MANY).await;
        (page.items.first().map(|notification| notification.number), page.oldest)
    };
    assert_eq!(trim(&mut owner, 3).await, (Some(3), 3));
    assert_eq!(trim(&mut owner, 1).await, (Some(3), 3), "what is gone is gone");
    assert_eq!(trim(&mut owner, 99).await, (None, 6), "whoever read all five has missed nothing");
    tell(&bench, &mut owner, 6, 7).await;
    bench.reopen().await;
    assert_eq!(page(&bench, 5, 9).await, NotificationPage { items: vec![notification(6, Some(5)), notification(7, Some(6))], oldest: 6 });
    assert_eq!(bench.store().stats().await.unwrap()[usize::from(P.0)].oldest_notification, 6);
}

pub async fn heads_are_of_each_partition(mut bench: Bench) {
    assert_eq!(bench.heads().await, [0; PARTITIONS as usize]);
    let (mut here, mut there) = (bench.claim().await, bench.claim_of(OTHER).await);
    tell(&bench, &mut here, 1, 3).await;
    tell(&bench, &mut there, 1, 1).await;
    for _ in 0..2 {
        let heads = bench.heads().await;
        assert_eq!((heads.len(), heads[usize::from(P.0)], heads[usize::from(OTHER.0)]), (usize::from(PARTITIONS), 3, 1));
        bench.reopen().await;
    }
}

/// Whoever asks for the signal, looks, and then waits misses nothing.
pub async fn a_commit_with_notifications_wakes_who_listens(bench: Bench) {
    let mut owner = bench.claim().await;
    let mut signal = bench.store().notification_signal();
    tokio::join!(woken(&bench, &mut signal, 1), tell(&bench, &mut owner, 1, 1));

    let mut signal = bench.store().notification_signal();
    tell(&bench, &mut owner, 2, 2).await;
    woken(&bench, &mut signal, 2).await;
}

/// Waits for the signal, again while it came for nothing, until the head is this one.
async fn woken(bench: &Bench, signal: &mut tokio::sync::watch::Receiver<u64>, head: u64) {
    let heard = async {
        loop {
            signal.changed().await.unwrap();
            if bench.store().notification_heads()[usize::from(P.0)] == head {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("the commit wakes nobody");
}

pub async fn numbers_go_on_after_reopening(mut bench: Bench) {
    let mut owner = bench.claim().await;
    tell(&bench, &mut owner, 1, 4).await;
    bench.reopen().await;
    let Claim { last_notification: last, numbered_from, .. } = bench.store().seize(P, Member::default()).await.unwrap();
    // Skipped numbers are told of, and nobody's place is ahead of what comes next.
    assert!(last == 4 || (last > 4 && numbered_from == last + 1), "{last}, gapless from {numbered_from}");
    let mut owner = bench.claim().await;
    tell(&bench, &mut owner, last + 1, last + 1).await;
    assert_eq!(numbers(&bench, 3, 9).await, [4, last + 1]);
}

/// A subscriber from the very beginning has nothing to start over for.
pub async fn numbers_skipped_before_anything_was_told_hide_nothing(mut bench: Bench) {
    bench.claim().await;
    bench.reopen().await;
    let Claim { last_notification: last, .. } = bench.store().seize(P, Member::default()).await.unwrap();
    assert_eq!(page(&bench, 0, 9).await, NotificationPage { items: vec![], oldest: 1 });
    let mut owner = bench.claim().await;
    tell(&bench, &mut owner, last + 1, last + 1).await;
    assert_eq!(page(&bench, 0, 9).await.oldest, 1);
    bench.commit(&mut owner, |batch| batch.trim_notifications_below = last + 2).await.unwrap();
    assert_eq!(page(&bench, 0, 9).await.oldest, last + 2, "what was trimmed is gone");
}
