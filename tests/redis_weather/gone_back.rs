//! A backup is restored under nodes that run on (S15): they notice, all of them, and nothing closes until an operator says so.

use std::sync::Arc;

use adjourn::store::redis::hold::{hold, resume};
use adjourn::store::redis::{RedisOptions, RedisStore};
use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;
use crate::ground::*;
use crate::patience::eventually;
use crate::rig::clock::ClockFile;
use crate::rig::server::{Aof, Options};

/// More than any failover loses.
const BACKUP_AGE_MS: i64 = 300_000;

async fn node(ground: &Ground, name: &str) -> Arc<RedisStore> {
    let options = RedisOptions { node: name.into(), ..options() };
    RedisStore::open(ground.server.url().parse().unwrap(), options).await.unwrap()
}

async fn beat(store: &dyn Store, name: &str, instance: u64) -> Result<bool, StoreError> {
    let record =
        NodeRecord { member: member(name, instance), address: "".into(), version: "1".into(), started_at: at(START), beat: 1, lease_ms: 0 };
    store.heartbeat(record, None).await
}

async fn may_close(store: &dyn Store) -> bool {
    !store.barrier(P).await.unwrap().held
}

/// A Redis whose date can be moved, and a backup of it.
struct Restored {
    ground: Ground,
    clock: Arc<ClockFile>,
    backup: tempfile::TempDir,
}

impl Restored {
    async fn new() -> Self {
        let clock = Arc::new(ClockFile::offset());
        let ground = Ground::with(Options { clock: Some(clock.clone()), ..Options::aof(Aof::Always) }).await;
        Self { ground, clock, backup: tempfile::tempdir().unwrap() }
    }

    fn back_up(&self) {
        self.ground.server.back_up(self.backup.path());
    }

    fn restore(&mut self) {
        self.ground.server.restore(self.backup.path());
    }
}

async fn beats(store: &Arc<RedisStore>, name: &str) {
    eventually("a sign of life is taken", async || beat(&**store, name, 1).await.is_ok_and(|taken| taken)).await;
}

#[tokio::test]
async fn s15_nodes_that_live_through_a_restored_backup_hold_all_closes_until_an_operator_says_so() {
    let mut run = Restored::new().await;
    let (a, b) = (node(&run.ground, "a").await, node(&run.ground, "b").await);
    beats(&a, "a").await;
    beats(&b, "b").await;
    run.back_up();
    run.clock.jump(BACKUP_AGE_MS);
    beats(&a, "a").await;
    beats(&b, "b").await;
    assert!(may_close(&*a).await && may_close(&*b).await);
    run.restore();
    // One that knows nothing of before comes first, and hides nothing.
    let fresh = node(&run.ground, "fresh").await;
    beats(&fresh, "fresh").await;
    beats(&a, "a").await;
    assert!(a.closes_held().unwrap().why.contains("node a saw the store go back by 300 s"), "{:?}", a.closes_held());
    assert!(!may_close(&*a).await);
    for (store, name) in [(&b, "b"), (&fresh, "fresh")] {
        store.seize(P, member(name, 1)).await.unwrap();
        assert!(!may_close(&**store).await, "{name} closes");
    }
    // What is sent again is taken and applied all the while.
    let ids = run.ground.bench.append(&["again"]).await;
    let mut owner = run.ground.bench.claim().await;
    run.ground.bench.commit(&mut owner, |batch| batch.checkpoint = ids[0]).await.unwrap();
    // A node that starts now holds as well.
    let late = node(&run.ground, "late").await;
    late.seize(P, member("late", 1)).await.unwrap();
    assert!(!may_close(&*late).await);

    let link = RedisStore::link(run.ground.server.url().parse().unwrap(), &options()).unwrap();
    assert!(resume(&link, "adjourn").await.unwrap().is_some());
    for store in [&a, &b, &fresh, &late] {
        eventually("closing goes on", async || may_close(&**store).await).await;
        beats(store, "a").await;
        assert_eq!(store.closes_held(), None);
    }
    assert_eq!(resume(&link, "adjourn").await.unwrap(), None);
}

/// Its record of the backup is another process's, or none: neither costs it its name.
#[tokio::test]
async fn s15_a_node_that_began_after_the_backup_notices_too_and_keeps_its_name() {
    for was_there in [false, true] {
        let mut run = Restored::new().await;
        if was_there {
            beat(run.ground.store(), "a", 7).await.unwrap();
        }
        run.back_up();
        run.clock.jump(BACKUP_AGE_MS);
        run.ground.run(&["HDEL", "adjourn:nodes", "node/a"]);
        let a = node(&run.ground, "a").await;
        beats(&a, "a").await;
        run.restore();
        beats(&a, "a").await;
        let back = if was_there { "by 300 s" } else { "to before this node began" };
        assert!(a.closes_held().is_some_and(|hold| hold.why.contains(back)), "{:?}", a.closes_held());
    }
}

/// What a failover loses, each node appends again.
#[tokio::test]
async fn s15_a_few_seconds_are_no_backup() {
    let ground = Ground::new().await;
    let a = node(&ground, "a").await;
    beats(&a, "a").await;
    let pulse: i64 = ground.ask(&["HGET", "adjourn:nodes", "pulse/a"]);
    ground.run(&["HSET", "adjourn:nodes", "pulse/a", &(pulse - 9_000).to_string()]);
    beats(&a, "a").await;
    a.seize(P, member("a", 1)).await.unwrap();
    assert!(may_close(&*a).await);
    // The clock of the store is no measure: it may step back as it likes.
    let pulse: i64 = ground.ask(&["HGET", "adjourn:nodes", "pulse/a"]);
    ground.run(&["HSET", "adjourn:nodes", "pulse/a", &(pulse - 11_000).to_string()]);
    beats(&a, "a").await;
    assert!(!may_close(&*a).await);
}

#[tokio::test]
async fn s15_whoever_restores_under_stopped_nodes_holds_by_hand() {
    let ground = Ground::new().await;
    let link = RedisStore::link(ground.server.url().parse().unwrap(), &options()).unwrap();
    assert!(hold(&link, "adjourn", "because").await.unwrap());
    assert!(!hold(&link, "adjourn", "again").await.unwrap());
    let a = node(&ground, "a").await;
    a.seize(P, member("a", 1)).await.unwrap();
    assert_eq!(a.closes_held().map(|hold| (hold.why.to_string(), hold.since.is_some())), Some(("because".into(), true)));
    assert!(!may_close(&*a).await);
    let error = hold(&link, "elsewhere", "because").await.unwrap_err().to_string();
    assert!(error.contains("there is no store"), "{error}");
}

/// Whatever of it is still under way then: a claim, a sign of life.
#[tokio::test]
async fn a_node_that_leaves_has_not_seen_the_store_go_back() {
    let ground = Ground::new().await;
    for round in 0..50 {
        let a = node(&ground, "a").await;
        beats(&a, "a").await;
        let partition = adjourn::domain::PartitionId(round % 4);
        let claims = async { a.seize(partition, member("a", 1)).await };
        let signs = async { (beat(&*a, "a", 1).await, beat(&*a, "a", 1).await) };
        let leaves = async { a.leave(member("a", 1)).await };
        let (_, _, left) = tokio::join!(signs, claims, leaves);
        left.unwrap();
        a.leave(member("a", 1)).await.unwrap();
        drop(a.seize(partition, member("a", 1)).await);
        assert!(may_close(&*a).await, "round {round}: {:?}", a.closes_held());
        a.close();
    }
}
