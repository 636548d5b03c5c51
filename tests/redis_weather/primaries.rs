//! Another primary than before: Redis restarted, failed over, was told to follow somebody; and one that knows no scripts.

use std::sync::Arc;

use adjourn::store::redis::{Durability, OpenError, RedisOptions, RedisStore};
use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;
use crate::ground::*;
use crate::patience::eventually;
use crate::rig::cluster::Cluster;
use crate::rig::process::{free_port, wait_until};
use crate::rig::sentinel::is_in_sync_with;
use crate::rig::server::{Aof, Options, Server};
use crate::witness::Witness;

/// More numbers than any primary can have told that is not heard of any more.
const SKIPPED: u64 = 1_000;

fn is_another_primary(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Refused(reason)) if reason.contains("another Redis primary answers"))
}

#[tokio::test]
async fn after_another_primary_took_over_an_owner_claims_anew_and_goes_on() {
    let mut ground = Ground::with(Options::aof(Aof::Always)).await;
    let witness = Witness::new();
    let mut owner = ground.owner().await;
    let told = async |ground: &Ground| ground.bench.read(P, LogId::ZERO).await;
    let waiting = told(&ground).await;
    assert_eq!(waiting.len(), 1);
    ground.server.kill();
    let away = ground.bench.commit(&mut owner, |batch| batch.notifications.push(notification(3, None))).await;
    assert!(matches!(away, Err(StoreError::OutcomeUnknown(_) | StoreError::Unavailable(_))), "{away:?}");
    ground.server.restart();

    eventually("it is seen", async || is_another_primary(&ground.store().renew(owner.lease).await)).await;
    let before = ground.dump();
    assert!(is_another_primary(&ground.bench.commit(&mut owner, |batch| batch.rows.push(put("acme/c4", None, None))).await));
    assert_eq!(before.changed(&ground.dump()), [""; 0], "by a commit from before");

    // What was acknowledged in the last seconds comes again, with when it was accepted.
    eventually("it is appended again", async || told(&ground).await.len() == 1 + 3).await;
    for (entry, name) in told(&ground).await[1..].iter().zip(["a", "b", "c"]) {
        let Ok(Entry::Again { event: again, accepted_at }) = &entry.entry else { panic!("{entry:?}") };
        assert_eq!(again.name, event(name).name);
        assert!(*accepted_at <= waiting[0].id.accepted_at(), "{entry:?}");
    }
    witness.heard(&["another Redis primary answers", "appended again", "events=3"]);
    witness.counted("adjourn_events_appended_again_total", "");

    let claim = ground.store().seize(P, member("a", 1)).await.unwrap();
    assert_eq!((claim.head, claim.checkpoint), (owner.head, owner.checkpoint), "nothing was lost here");
    let last = claim.last_notification;
    assert!(last > 2 + SKIPPED && claim.numbered_from == last + 1, "{last}, numbered from {}", claim.numbered_from);
    let mut owner = Owner { lease: claim.lease, head: claim.head, checkpoint: claim.checkpoint };
    ground.bench.commit(&mut owner, |batch| batch.notifications.push(notification(last + 1, None))).await.unwrap();
    ground.store().renew(owner.lease).await.unwrap();
    assert_eq!(ground.bench.heads().await[1], last + 1);
    let claim = ground.store().seize(P, member("a", 1)).await.unwrap();
    assert_eq!(claim.last_notification, last + 1, "under the same primary nothing is skipped");
}

#[tokio::test]
async fn a_primary_that_follows_somebody_takes_nothing_until_it_is_one_again() {
    let ground = Ground::new().await;
    let mut owner = ground.owner().await;
    let before = ground.dump();
    let witness = Witness::new();
    let (nobody, lease) = (free_port().to_string(), owner.lease);
    ground.run(&["REPLICAOF", "127.0.0.1", &nobody]);
    let taken = ground.store().append(vec![(P, entry("e"))]).await;
    assert!(matches!(taken, Err(StoreError::Unavailable(_))), "{taken:?}");
    let committed = ground.bench.commit(&mut owner, |batch| batch.rows.push(put("acme/c4", None, None))).await;
    assert!(matches!(committed, Err(StoreError::Unavailable(_) | StoreError::Refused(_))), "{committed:?}");
    let opened = open(&ground.server.url()).await.map(drop);
    assert!(matches!(&opened, Err(OpenError::Away(why)) if why.contains("it is no primary, its role is slave")), "{opened:?}");
    witness.heard(&["it is no primary"]);
    witness.counted("adjourn_redis_errors_total", "code=\"READONLY\"");
    ground.is_as(&before, "what a replica was asked");

    ground.run(&["REPLICAOF", "NO", "ONE"]);
    let goes_on = async || is_another_primary(&ground.store().renew(lease).await);
    eventually("it is another primary than before", goes_on).await;
    let mut owner = ground.bench.claim().await;
    ground.bench.commit(&mut owner, |batch| batch.rows.push(put("acme/c4", None, None))).await.unwrap();
}

/// Every script there is, each time to a server that has never heard of any.
async fn without_scripts(bench: &Bench, forget: impl Fn()) {
    let ids = bench.append(&["a", "b"]).await;
    forget();
    let mut owner = bench.claim().await;
    forget();
    bench.commit(&mut owner, |batch| *batch = everything(batch, ids[0])).await.unwrap();
    forget();
    bench.store().renew(owner.lease).await.unwrap();
    forget();
    assert_eq!(bench.store().barrier(P).await.unwrap().last, ids[1]);
    forget();
    let after = DueKey { at: at(START), key: key("acme/c1") };
    assert_eq!(bench.store().due(P, at(START + 9), Some(after), 9).await.unwrap().len(), 1);
    forget();
    assert!(bench.store().put_settings("acme".into(), 0, settings(1)).await.unwrap());
    forget();
    let record =
        NodeRecord { member: member("a", 1), address: "".into(), version: "1".into(), started_at: at(START), beat: 1, lease_ms: 0 };
    assert!(bench.store().heartbeat(record, None).await.unwrap());
    forget();
    bench.store().leave(member("a", 1)).await.unwrap();
    forget();
    bench.store().release(owner.lease, None).await.unwrap();
    forget();
    let mut owner = bench.claim().await;
    forget();
    let notified = |batch: &mut Batch| batch.notifications.push(notification(3, None));
    bench.commit(&mut owner, notified).await.unwrap();
}

#[tokio::test]
async fn scripts_that_a_server_forgot_are_brought_again() {
    let ground = Ground::new().await;
    without_scripts(&ground.bench, || ground.run(&["SCRIPT", "FLUSH"])).await;
}

#[tokio::test]
async fn also_where_writes_wait_for_a_replica() {
    let primary = Server::start(Options::aof(Aof::Always));
    let replica = Server::start(Options { replica_of: Some(primary.port()), ..Options::default() });
    wait_until("the replica follows", || is_in_sync_with(primary.port(), replica.port()));
    let strict = RedisOptions { durability: Durability { strict: true, replicas: 1 }, ..options() };
    let url = primary.url();
    let open = move || {
        let (url, strict) = (url.clone(), strict.clone());
        let opened = async move { RedisStore::open(url.parse().unwrap(), strict).await.unwrap() as Arc<dyn Store> };
        Box::pin(opened) as _
    };
    let bench = Bench::new(Hands::tied(), Box::new(open)).await;
    without_scripts(&bench, || command(&["SCRIPT", "FLUSH"]).exec(&mut primary.connection()).unwrap()).await;

    // Without its replica nothing is accepted, and what was written all the same is not told as refused.
    drop(replica);
    let taken = bench.store().append(vec![(P, entry("c"))]).await;
    assert!(matches!(&taken, Err(StoreError::OutcomeUnknown(why)) if why.contains("0 of 1 replicas have it")), "{taken:?}");
}

/// Key by key, with a commit after each: it is written whole or not at all, and the owner goes on where the slot ends up.
#[tokio::test]
async fn a_slot_that_moves_under_its_owner_costs_it_nothing() {
    let mut cluster = tokio::task::spawn_blocking(|| Cluster::start(3, &Options::default())).await.unwrap();
    let url = format!("redis+cluster://{}", cluster.urls().join(",").replace("redis://", ""));
    let bench = bench(url).await;
    let ids = bench.append(&["a", "b"]).await;
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| *batch = everything(batch, ids[0])).await.unwrap();
    let slot = cluster.slot("adjourn:{p1}:lease");
    let to = (cluster.node_of(slot) + 1) % 3;
    let mut told = 2;
    let mut committed = async |owner: &mut Owner| {
        let row = put_version("acme/c1", told, Some(START), Some(START));
        let outcome =
            bench.commit(owner, |batch| (batch.rows, batch.notifications) = (vec![row], vec![notification(told + 1, None)])).await;
        told += u64::from(outcome.is_ok());
        outcome
    };
    cluster.begin_move(slot, to);
    committed(&mut owner).await.unwrap();
    cluster.move_keys(slot, to, 4);
    let halfway = committed(&mut owner).await;
    assert!(matches!(halfway, Err(StoreError::Unavailable(_))), "some of its keys are here, some there: {halfway:?}");
    while cluster.move_keys(slot, to, 100) > 0 {}
    committed(&mut owner).await.unwrap();
    bench.store().renew(owner.lease).await.unwrap();
    cluster.finish_move(slot, to);
    committed(&mut owner).await.unwrap();
    let page = bench.store().notifications(P, 0, 99).await.unwrap();
    assert_eq!(page.items.iter().map(|item| item.number).collect::<Vec<_>>(), (1..=5).collect::<Vec<_>>());
    let Loaded::Found { conversation, .. } = bench.store().load(P, vec![key("acme/c1")]).await.unwrap().remove(0) else { panic!() };
    assert_eq!(conversation.version, 4);
    bench.claim().await;
}
