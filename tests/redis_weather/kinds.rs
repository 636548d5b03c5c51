//! A key that is of another kind: something else wrote there, or a restore went wrong. Nothing is half-written, what stands
//! beside it goes on, and all is well once the key is.

use std::time::Duration;

use adjourn::store::redis::{OpenError, RedisOptions};
use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;
use crate::dump::Dump;
use crate::ground::*;
use crate::witness::Witness;

const KEYS: [&str; 12] =
    ["lease", "events", "states", "deadlines", "notifications", "settings", "dead", "letters", "marks", "rollups", "texts", "lists"];

/// Puts the key aside, and something else in its place.
fn spoil(ground: &Ground, key: &str) -> Dump {
    ground.run(&["RENAME", key, "aside"]);
    ground.run(&["SET", key, "of another kind"]);
    ground.dump()
}

fn mend(ground: &Ground, key: &str) {
    ground.run(&["RENAME", "aside", key]);
}

fn is_wrong_type<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Refused(reason)) if reason.contains("WRONGTYPE") && reason.contains("the prefix is to be its own"))
}

#[tokio::test]
async fn nothing_is_half_written_whichever_key_of_a_partition_is_of_another_kind() {
    let ground = Ground::new().await;
    let mut owner = ground.owner().await;
    let next = ground.bench.append(&["d"]).await[0];
    for name in KEYS {
        let key = format!("adjourn:{{p1}}:{name}");
        let holder = ground.bench.holder().await;
        let spoiled = spoil(&ground, &key);
        let witness = Witness::new();

        let batch = || {
            let mut batch = everything(&owner.batch(), next);
            batch.rows.push(remove("acme/c1", Some(START)));
            batch.rows[0] = put("acme/c9", None, Some(START));
            batch.notifications = vec![notification(3, None)];
            batch.dead_removed = vec![next];
            batch
        };
        let committed = ground.store().commit(owner.lease, batch()).await;
        assert!(is_wrong_type(&committed), "{name}: {committed:?}");
        ground.is_as(&spoiled, &format!("a commit, {name} being of another kind"));
        let closing = ground.store().commit(owner.lease, Batch { not_before: Some(at(START)), ..batch() }).await;
        assert!(is_wrong_type(&closing), "{name}: {closing:?}");
        ground.is_as(&spoiled, &format!("a closing commit, {name} being of another kind"));
        let claimed = ground.store().claim(P, member("b", 2), holder).await;
        assert!(is_wrong_type(&claimed), "{name}: {claimed:?}");
        ground.is_as(&spoiled, &format!("a claim, {name} being of another kind"));
        witness.heard(&["Redis refused a command", "partition=1", "WRONGTYPE", "something else writes under adjourn's prefix"]);
        witness.counted("adjourn_redis_errors_total", "code=\"WRONGTYPE\"");

        // Nobody else is the worse for it.
        let view = ground.store().cluster().await.unwrap();
        assert_eq!((view.holders.len(), view.holders[1].is_some()), (4, name != "lease"), "{name}");
        assert_eq!(ground.store().stats().await.unwrap().len(), 4);
        let mut beside = ground.bench.claim_of(OTHER).await;
        ground.bench.commit(&mut beside, |batch| batch.rows.push(put("acme/c7", None, None))).await.unwrap();

        mend(&ground, &key);
        ground.store().renew(owner.lease).await.unwrap();
    }
    ground.bench.commit(&mut owner, |batch| batch.checkpoint = next).await.unwrap();
}

#[tokio::test]
async fn a_log_of_another_kind_takes_nothing_and_those_beside_it_do() {
    let ground = Ground::new().await;
    let owner = ground.owner().await;
    let before = spoil(&ground, "adjourn:{p1}:events");
    let taken = ground.store().append(vec![(P, entry("e1"))]).await;
    assert!(is_wrong_type(&taken), "{taken:?}");
    assert!(is_wrong_type(&ground.store().read(P, LogId::ZERO, 9, Duration::ZERO).await));
    assert!(is_wrong_type(&ground.store().read(P, LogId::ZERO, 9, Duration::from_secs(9)).await));
    assert!(is_wrong_type(&ground.store().barrier(P).await));
    ground.is_as(&before, "an event for a log of another kind");
    let both = ground.store().append(vec![(P, entry("e1")), (OTHER, entry("e2"))]).await;
    assert!(matches!(both, Err(StoreError::OutcomeUnknown(_))), "one of them was taken: {both:?}");
    mend(&ground, "adjourn:{p1}:events");
    assert_eq!(ground.bench.read(P, owner.checkpoint).await.len(), 1);
    assert_eq!(ground.bench.read(OTHER, LogId::ZERO).await.len(), 1);
}

#[tokio::test]
async fn the_keys_all_share_are_refused_with_the_reason_and_the_partitions_go_on() {
    let ground = Ground::new().await;
    let mut owner = ground.owner().await;
    ground.store().drain("b".into()).await.unwrap();
    spoil(&ground, "adjourn:nodes");
    let record =
        NodeRecord { member: member("a", 1), address: "".into(), version: "1".into(), started_at: at(START), beat: 1, lease_ms: 0 };
    assert!(is_wrong_type(&ground.store().heartbeat(record, None).await));
    assert!(is_wrong_type(&ground.store().cluster().await));
    assert!(is_wrong_type(&ground.store().drain("a".into()).await));
    ground.store().renew(owner.lease).await.unwrap();
    ground.bench.commit(&mut owner, |batch| batch.rows.push(put("acme/c8", None, None))).await.unwrap();
    mend(&ground, "adjourn:nodes");

    assert!(ground.store().put_settings("other".into(), 0, settings(1)).await.unwrap());
    spoil(&ground, "adjourn:settings");
    assert!(is_wrong_type(&ground.store().put_settings("acme".into(), 0, settings(1)).await));
    assert!(is_wrong_type(&ground.store().all_settings().await));
    let agents = Document { version: 1, bytes: Vec::new() };
    assert!(ground.store().put_document(Shelf::Agents, "other".into(), 0, agents).await.unwrap());
    spoil(&ground, "adjourn:agents");
    assert!(is_wrong_type(&ground.store().document(Shelf::Agents, "acme".into()).await));
    ground.bench.commit(&mut owner, |batch| batch.rows.push(put("acme/c9", None, None))).await.unwrap();
}

#[tokio::test]
async fn a_store_of_another_number_of_partitions_or_another_format_is_refused() {
    let ground = Ground::new().await;
    let options = RedisOptions { partitions: adjourn::domain::PartitionCount::new(8), ..options() };
    let refused = |opened: Result<_, OpenError>| match opened {
        Err(OpenError::Refused(reason)) => reason,
        Err(OpenError::Away(reason)) => panic!("nothing gets better by waiting: {reason}"),
        Ok(_) => panic!("it opened"),
    };
    let before = ground.dump();
    let opened = adjourn::store::redis::RedisStore::open(ground.server.url().parse().unwrap(), options).await.map(drop);
    assert!(refused(opened).contains("adjourn:meta has 4 partitions, 8 were asked for"));
    ground.is_as(&before, "a store that was not opened");

    ground.run(&["HSET", "adjourn:meta", "format", "2"]);
    assert!(refused(open(&ground.server.url()).await.map(drop)).contains("has format 2, this version reads format 1"));
    spoil(&ground, "adjourn:meta");
    assert!(refused(open(&ground.server.url()).await.map(drop)).contains("WRONGTYPE"));
}
