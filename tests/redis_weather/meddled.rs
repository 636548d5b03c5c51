//! Somebody else writes under our prefix, or deletes there. What is ours to bring back comes back with the next claim; what
//! is lost is said to be lost.

use std::time::Duration;

use adjourn::domain::{PartitionId, Timestamp};
use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;
use crate::ground::*;
use crate::patience::eventually;
use crate::witness::Witness;

fn says(result: &Result<(), StoreError>, words: &str) -> bool {
    matches!(result, Err(StoreError::Refused(reason)) if reason.contains(words))
}

async fn numbers(ground: &Ground, after: u64, limit: usize) -> Vec<u64> {
    let page = ground.store().notifications(P, after, limit).await.unwrap();
    page.items.iter().map(|item| item.number).collect()
}

/// A stream takes nothing below its last id: the commit is refused as a whole, and the next owner goes on behind it.
#[tokio::test]
async fn numbers_go_on_behind_what_somebody_else_wrote_into_the_notifications() {
    let ground = Ground::new().await;
    let mut owner = ground.owner().await;
    let foreign: String = ground.ask(&["XADD", "adjourn:{p1}:notifications", "*", "somebody", "else"]);
    let place: u64 = foreign.split('-').next().unwrap().parse().unwrap();
    let (before, witness) = (ground.dump(), Witness::new());
    let told = |first: u64| move |batch: &mut Batch| (0..2).for_each(|n| batch.notifications.push(notification(first + n, None)));
    let refused = ground.bench.commit(&mut owner, told(3)).await;
    assert!(says(&refused, "notifications were written that are none of ours"), "{refused:?}");
    ground.is_as(&before, "a commit behind a foreign notification");
    witness.heard(&["Redis refused a command", "TAMPERED", "the prefix is to be its own"]);
    witness.counted("adjourn_redis_errors_total", "code=\"TAMPERED\"");
    ground.bench.commit(&mut owner, |batch| batch.rows.push(put("acme/c4", None, None))).await.unwrap();

    let claim = ground.store().seize(P, member("b", 2)).await.unwrap();
    assert_eq!((claim.last_notification, claim.numbered_from), (place, place + 1));
    let mut next = Owner { lease: claim.lease, head: claim.head, checkpoint: claim.checkpoint };
    ground.bench.commit(&mut next, told(place + 1)).await.unwrap();
    assert_eq!(numbers(&ground, 0, 9).await, [1, 2, place + 1, place + 2]);
    assert_eq!(numbers(&ground, 2, 1).await, [place + 1], "a page is never empty for what is none of ours");
    assert_eq!(ground.bench.heads().await[1], place + 2);

    let mut trimming = next.batch();
    trimming.trim_notifications_below = place + 2;
    ground.store().commit(next.lease, trimming).await.unwrap();
    assert_eq!(ground.ask::<u64>(&["XLEN", "adjourn:{p1}:notifications"]), 1);
}

#[tokio::test]
async fn more_foreign_notifications_than_a_page_hide_none_of_ours() {
    let ground = Ground::new().await;
    ground.owner().await;
    for _ in 0..50 {
        ground.run(&["XADD", "adjourn:{p1}:notifications", "*", "somebody", "else"]);
    }
    let mut next = ground.bench.claim().await;
    let first = ground.store().stats().await.unwrap()[1].last_notification + 1;
    ground.bench.commit(&mut next, |batch| batch.notifications.push(notification(first, None))).await.unwrap();
    assert_eq!(numbers(&ground, 0, 3).await, [1, 2, first]);
    assert_eq!(numbers(&ground, 2, 3).await, [first]);
}

#[tokio::test]
async fn a_stream_that_can_take_no_more_is_refused_until_it_is_deleted() {
    let ground = Ground::new().await;
    let mut owner = ground.owner().await;
    let highest = "18446744073709551615-18446744073709551615";
    for (stream, words) in [("notifications", "an id too high to go on from"), ("dead", "the highest id there is")] {
        let stream = format!("adjourn:{{p1}}:{stream}");
        ground.run(&["XADD", &stream, highest, "somebody", "else"]);
        let before = ground.dump();
        let refused = match stream.contains("dead") {
            false => ground.store().claim(P, member("b", 2), ground.bench.holder().await).await.map(drop),
            true => ground.bench.commit(&mut owner, |batch| batch.dead.push(dead_letter(LogId { ms: 7, seq: 7 }))).await,
        };
        assert!(says(&refused, words), "{stream}: {refused:?}");
        ground.is_as(&before, &stream);
        ground.run(&["DEL", &stream]);
        owner = ground.bench.claim().await;
    }
    ground.bench.commit(&mut owner, |batch| batch.dead.push(dead_letter(LogId { ms: 7, seq: 7 }))).await.unwrap();
}

/// Nothing is written in part while one of the keys is gone, and the next claim makes it anew and says what is lost.
#[tokio::test]
async fn a_key_that_was_deleted_is_made_anew_by_the_next_claim() {
    for name in ["events", "states", "deadlines", "notifications", "settings", "dead", "letters", "marks"] {
        let ground = Ground::new().await;
        let mut owner = ground.owner().await;
        let next = ground.bench.append(&["d"]).await[0];
        ground.run(&["DEL", &format!("adjourn:{{p1}}:{name}")]);
        let (before, witness) = (ground.dump(), Witness::new());
        let batch = |batch: &mut Batch| (batch.checkpoint, batch.rows) = (next, vec![put("acme/c4", None, Some(START))]);
        let refused = ground.bench.commit(&mut owner, batch).await;
        assert!(says(&refused, "a key of the partition is gone"), "{name}: {refused:?}");
        ground.is_as(&before, &format!("a commit, {name} being gone"));

        let mut owner = ground.bench.claim().await;
        witness.heard(&["a key of the partition is gone", name, "what it held is lost"]);
        witness.counted("adjourn_redis_keys_lost_total", &format!("key=\"{name}\""));
        ground.bench.commit(&mut owner, batch).await.unwrap();
        ground.bench.commit(&mut owner, |batch| batch.notifications.push(notification(3, None))).await.unwrap();
        let stats = ground.store().stats().await.unwrap()[1];
        let (rows, timers) = if name == "states" { (1, 1) } else { (4, 3) };
        assert_eq!((stats.conversations, stats.timers, stats.backlog), (rows, timers, 0), "{name}: {stats:?}");
    }
}

/// No timer is lost with it: every row knows when it is to be looked at.
#[tokio::test]
async fn an_index_that_was_deleted_is_made_anew_from_the_rows() {
    let ground = Ground::new().await;
    let mut owner = ground.bench.claim().await;
    let rows: Vec<_> = (0..3_000).map(|n| put(&format!("acme/c{n}"), None, (n % 3 > 0).then_some(START + n))).collect();
    ground.bench.commit(&mut owner, |batch| batch.rows = rows).await.unwrap();
    let due = async || ground.store().due(P, Timestamp::MAX, None, 9_000).await.unwrap();
    let before = due().await;
    assert_eq!(before.len(), 2_000);
    ground.run(&["DEL", "adjourn:{p1}:deadlines"]);
    // The first who claims it dies before it is done.
    ground.run(&["HSET", "adjourn:{p1}:lease", "reindex", "1"]);
    ground.run(&["ZADD", "adjourn:{p1}:deadlines", "+inf", "", "5", "acme/c4"]);
    let mut owner = ground.bench.claim().await;
    let mut after = due().await;
    assert_eq!(after.remove(0), DueKey { at: at(5), key: key("acme/c4") }, "what is there is newer");
    assert_eq!(after, before.into_iter().filter(|due| due.key != key("acme/c4")).collect::<Vec<_>>());
    assert_eq!(ground.ask::<u64>(&["HEXISTS", "adjourn:{p1}:lease", "reindex"]), 0);
    ground.run(&["DEL", "adjourn:{p1}:deadlines"]);
    assert!(says(&ground.bench.commit(&mut owner, |_| {}).await, "is gone"));
    ground.bench.claim().await;
    assert_eq!(due().await.len(), 2_000);
}

#[tokio::test]
async fn a_lease_that_was_deleted_is_taken_anew_and_nothing_is_told_twice() {
    let ground = Ground::new().await;
    let mut owner = ground.owner().await;
    ground.run(&["DEL", "adjourn:{p1}:lease"]);
    assert!(is_fenced(&ground.bench.commit(&mut owner, |_| {}).await));
    assert_eq!(ground.bench.holder().await, None);
    let witness = Witness::new();
    let claim = ground.store().claim(P, member("b", 2), None).await.unwrap();
    witness.heard(&["a key of the partition is gone", "lease"]);
    assert_eq!((claim.last_notification, claim.numbered_from, claim.checkpoint), (2, 3, LogId::ZERO));
    assert_eq!(ground.bench.read(P, claim.checkpoint).await.len(), 1, "what was applied is no longer in the log");
    let mut next = Owner { lease: claim.lease, head: claim.head, checkpoint: claim.checkpoint };
    ground.bench.commit(&mut next, |batch| batch.notifications.push(notification(3, None))).await.unwrap();
}

#[tokio::test]
async fn a_lease_that_somebody_else_wrote_into_is_refused_before_anything_is_written() {
    let ground = Ground::new().await;
    let owner = ground.owner().await;
    for (field, value) in [("beat", "x"), ("last", "x"), ("checkpoint", "x"), ("checkpoint", "5"), ("partitions", "64")] {
        let kept: String = ground.ask(&["HGET", "adjourn:{p1}:lease", field]);
        ground.run(&["HSET", "adjourn:{p1}:lease", field, value]);
        let before = ground.dump();
        let batch = Batch { rows: vec![put("acme/c4", None, None)], ..owner.batch() };
        let committed = ground.store().commit(owner.lease, batch).await;
        let refused = match field {
            "partitions" => ground.store().claim(P, member("b", 2), ground.bench.holder().await).await.map(drop),
            _ => committed,
        };
        assert!(says(&refused, "TAMPERED"), "{field} {value}: {refused:?}");
        if field != "partitions" {
            ground.is_as(&before, &format!("a commit, {field} being {value}"));
        }
        ground.run(&["HSET", "adjourn:{p1}:lease", field, &kept]);
    }
}

#[tokio::test]
async fn foreign_members_of_the_index_hide_nobody_who_is_due() {
    let ground = Ground::new().await;
    ground.owner().await;
    let mut add = ::redis::cmd("ZADD");
    add.arg("adjourn:{p1}:deadlines").arg("-inf").arg("nobody");
    for n in 0..100 {
        add.arg(n as f64 + 0.5).arg(format!("nobody {n}")).arg(START).arg(format!("aaa {n}"));
    }
    add.exec(&mut ground.redis()).unwrap();
    let c1 = DueKey { at: at(START), key: key("acme/c1") };
    let c3 = DueKey { at: at(START + 1), key: key("acme/c3") };
    assert_eq!(ground.store().due(P, at(START + 1), None, 1).await.unwrap(), std::slice::from_ref(&c1));
    assert_eq!(ground.store().due(P, at(START + 1), Some(c1.clone()), 7).await.unwrap(), std::slice::from_ref(&c3));
    assert_eq!(ground.store().due(P, at(START + 1), None, 7).await.unwrap(), [c1, c3]);
}

#[tokio::test]
async fn foreign_names_among_the_letters_hide_none_and_stop_no_commit() {
    let ground = Ground::new().await;
    let mut owner = ground.owner().await;
    let id = owner.checkpoint;
    let sorts = format!("{:020}-{:020}", id.ms, id.seq);
    for name in [format!("{sorts}/garbage"), format!("{sorts}/99999999999999999999-0"), "garbage".into(), "0/1".into()] {
        ground.run(&["ZADD", "adjourn:{p1}:letters", "0", &name]);
    }
    assert_eq!(ground.store().dead_letters(P, LogId::ZERO, 1).await.unwrap(), [dead_letter(id)]);
    ground.bench.commit(&mut owner, |batch| (batch.dead_removed, batch.rows) = (vec![id], vec![put("acme/c4", None, None)])).await.unwrap();
    assert_eq!(ground.store().dead_letters(P, LogId::ZERO, 9).await.unwrap(), []);
    assert!(matches!(ground.store().load(P, vec![key("acme/c4")]).await.unwrap()[0], Loaded::Found { .. }));
}

/// Beyond 2^53 a script cannot tell numbers apart. Nobody of ours gives such ids.
#[tokio::test]
async fn entries_with_ids_of_somebody_elses_making_are_applied_once_and_in_order() {
    let ground = Ground::new().await;
    let mut owner = ground.bench.claim().await;
    let ms = ground.store().clock().await.unwrap().as_millis() as u64;
    let seqs = [9_007_199_254_740_992, 9_007_199_254_740_993, u64::MAX - 1, u64::MAX];
    for seq in seqs {
        ground.run(&["XADD", "adjourn:{p1}:events", &format!("{ms}-{seq}"), "garbage", "1"]);
    }
    for (n, seq) in seqs.into_iter().enumerate() {
        let id = LogId { ms, seq };
        let left = ground.bench.read(P, owner.checkpoint).await;
        assert_eq!((left[0].id, left.len()), (id, seqs.len() - n));
        ground.bench.commit(&mut owner, |batch| batch.checkpoint = id).await.unwrap();
        let back = ground.store().commit(owner.lease, Batch { checkpoint: LogId { seq: seq - 1, ..id }, ..owner.batch() }).await;
        assert!(says(&back, "the checkpoint would go back"), "{back:?}");
        assert_eq!(ground.ask::<usize>(&["XLEN", "adjourn:{p1}:events"]), seqs.len() - n - 1);
    }
    assert!(ground.bench.append(&["e"]).await[0] > owner.checkpoint);
}

/// A checkpoint that is ahead of everything stays the least of what comes, also where the same commit closes.
#[tokio::test]
async fn a_close_takes_nothing_back_of_a_checkpoint_that_is_ahead() {
    let ground = Ground::new().await;
    let mut owner = ground.bench.claim().await;
    let now = ground.store().clock().await.unwrap().as_millis();
    let ahead = LogId { ms: now as u64 + 60_000, seq: 5 };
    ground.bench.commit(&mut owner, |batch| (batch.checkpoint, batch.not_before) = (ahead, Some(at(now - 5)))).await.unwrap();
    assert!(ground.bench.append(&["e"]).await[0] > ahead, "it would count as applied");
}

#[tokio::test]
async fn a_store_that_was_emptied_or_replaced_is_served_no_more() {
    for other in [false, true] {
        let ground = Ground::new().await;
        let mut owner = ground.owner().await;
        ground.run(&["FLUSHALL"]);
        if other {
            ground.another().await;
        }
        let fenced = ground.bench.commit(&mut owner, |_| {}).await;
        assert!(is_fenced(&fenced) || matches!(fenced, Err(StoreError::Unavailable(_))), "{fenced:?}");
        let claimed = ground.store().claim(P, member("a", 1), None).await;
        let ends = if other { "is of another store than this process opened" } else { "is gone: the store was emptied" };
        assert!(matches!(&claimed, Err(StoreError::Unavailable(why)) if why.contains(ends) && why.contains("restart")), "{claimed:?}");
        for answer in [
            ground.store().append(vec![(P, entry("e"))]).await.map(drop),
            ground.store().read(P, LogId::ZERO, 1, Duration::ZERO).await.map(drop),
            ground.store().claim(PartitionId(0), member("a", 1), None).await.map(drop),
            ground.store().cluster().await.map(drop),
            ground.store().clock().await.map(drop),
            ground.store().put_settings("acme".into(), 0, settings(1)).await.map(drop),
            ground.store().drain("a".into()).await,
        ] {
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        }
    }
}

/// Also where nobody claims anything: it looks now and then.
#[tokio::test]
async fn a_store_that_was_emptied_is_noticed() {
    let ground = Ground::new().await;
    ground.owner().await;
    ground.run(&["FLUSHALL"]);
    let is_noticed = async || matches!(ground.store().append(vec![(P, entry("e"))]).await, Err(StoreError::Unavailable(_)));
    eventually("the store is not served any more", is_noticed).await;
}
