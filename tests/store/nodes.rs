//! Who lives, who is to give everything away, and what an operator gave to whom.

use std::collections::{BTreeMap, BTreeSet};

use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;
use crate::ear::Ear;

/// A node as it makes itself known for the `beat`th time.
fn record(node: &str, instance: u64, beat: u64) -> NodeRecord {
    let address = format!("http://{node}.example:8080").into();
    NodeRecord { member: member(node, instance), address, version: "0.1.0".into(), started_at: at(START - 5), beat, lease_ms: 0 }
}

async fn nodes(bench: &Bench) -> Vec<NodeRecord> {
    bench.store().cluster().await.unwrap().nodes
}

async fn draining(bench: &Bench) -> BTreeSet<Box<str>> {
    bench.store().cluster().await.unwrap().draining
}

async fn beat(bench: &Bench, record: NodeRecord, over: Option<u64>) -> bool {
    bench.store().heartbeat(record, over).await.unwrap()
}

pub async fn nodes_are_known_as_they_say_in_order_of_name(bench: Bench) {
    assert_eq!(nodes(&bench).await, []);
    for node in ["b", "a-2", "a", "c"] {
        assert!(beat(&bench, record(node, 1, 1), None).await);
    }
    assert!(beat(&bench, record("b", 1, 2), None).await);
    let known = [record("a", 1, 1), record("a-2", 1, 1), record("b", 1, 2), record("c", 1, 1)];
    assert_eq!(nodes(&bench).await, known);
}

pub async fn a_taken_name_is_not_given_away(bench: Bench) {
    assert!(beat(&bench, record("a", 1, 4), None).await);
    for over in [None, Some(2), Some(3)] {
        assert!(!beat(&bench, record("a", 2, 1), over).await, "over {over:?}");
    }
    assert_eq!(nodes(&bench).await, [record("a", 1, 4)]);
}

pub async fn a_new_process_takes_the_place_of_the_one_it_names(bench: Bench) {
    assert!(beat(&bench, record("a", 1, 9), None).await);
    bench.store().drain("a".into()).await.unwrap();
    assert!(beat(&bench, record("a", 2, 1), Some(1)).await);
    assert_eq!(nodes(&bench).await, [record("a", 2, 1)]);
    assert_eq!(draining(&bench).await, BTreeSet::new());
    assert!(!beat(&bench, record("a", 1, 10), None).await, "its place is taken");
    assert_eq!(nodes(&bench).await, [record("a", 2, 1)]);
}

pub async fn a_node_drains_until_its_next_process_starts(bench: Bench) {
    for node in ["a", "b"] {
        assert!(beat(&bench, record(node, 1, 1), None).await);
    }
    bench.store().drain("a".into()).await.unwrap();
    bench.store().drain("a".into()).await.unwrap();
    assert!(beat(&bench, record("a", 1, 2), None).await);
    assert_eq!(draining(&bench).await, ["a".into()].into());
    bench.store().leave(member("a", 1)).await.unwrap();
    assert!(beat(&bench, record("a", 2, 1), None).await);
    assert_eq!(draining(&bench).await, BTreeSet::new());
}

pub async fn a_node_that_leaves_is_gone(bench: Bench) {
    for node in ["a", "b"] {
        assert!(beat(&bench, record(node, 1, 1), None).await);
    }
    bench.store().leave(member("a", 1)).await.unwrap();
    bench.store().leave(member("a", 1)).await.unwrap();
    assert_eq!(nodes(&bench).await, [record("b", 1, 1)]);
    assert!(beat(&bench, record("a", 2, 1), None).await, "the name is free again");
}

pub async fn another_process_that_leaves_changes_nothing(bench: Bench) {
    assert!(beat(&bench, record("a", 2, 1), None).await);
    bench.store().drain("a".into()).await.unwrap();
    let before = bench.store().cluster().await.unwrap();
    for late in [member("a", 1), member("b", 2)] {
        bench.store().leave(late).await.unwrap();
    }
    assert_eq!(bench.store().cluster().await.unwrap(), before);
}

pub async fn a_pin_holds_until_it_is_taken_off(bench: Bench) {
    let pins = async || bench.store().cluster().await.unwrap().pins;
    let pin = async |partition, to: Option<&str>| bench.store().pin(partition, to.map(Into::into)).await.unwrap();
    assert_eq!(pins().await, BTreeMap::new());
    pin(P, Some("a")).await;
    pin(OTHER, Some("a")).await;
    pin(P, Some("b")).await;
    assert_eq!(pins().await, [(P, "b".into()), (OTHER, "a".into())].into());
    pin(P, None).await;
    pin(P, None).await;
    assert_eq!(pins().await, [(OTHER, "a".into())].into());
}

pub async fn the_view_has_the_holder_of_every_partition_in_order(bench: Bench) {
    let holders = async || bench.store().cluster().await.unwrap().holders;
    assert_eq!(holders().await, vec![None; usize::from(PARTITIONS)]);
    let mut expected = Vec::new();
    for (n, partition) in partitions().all().enumerate() {
        let node = member(["a", "b"][n % 2], 7);
        let claim = bench.store().claim(partition, node.clone(), None).await.unwrap();
        expected.push(Some((claim.lease, node)));
    }
    let claim = bench.store().seize(OTHER, member("c", 8)).await.unwrap();
    expected[usize::from(OTHER.0)] = Some((claim.lease, member("c", 8)));
    bench.store().release(expected[0].clone().unwrap().0, None).await.unwrap();
    expected[0] = None;
    let seen: Vec<_> = holders().await.into_iter().map(|held| held.map(|held| (held.lease, held.member))).collect();
    assert_eq!(seen, expected);
}

/// Each is waited for before the next, so that none can stand for another.
pub async fn changes_of_the_cluster_are_told(bench: Bench) {
    let mut ear = Ear::open(&bench).await;
    assert!(beat(&bench, record("a", 1, 1), None).await);
    assert_eq!(ear.next().await, Hint::Changed);
    assert!(beat(&bench, record("a", 2, 1), Some(1)).await);
    assert_eq!(ear.next().await, Hint::Changed);
    bench.store().drain("a".into()).await.unwrap();
    assert_eq!(ear.next().await, Hint::Changed);
    bench.store().pin(P, Some("a".into())).await.unwrap();
    assert_eq!(ear.next().await, Hint::Changed);
    bench.store().pin(P, None).await.unwrap();
    assert_eq!(ear.next().await, Hint::Changed);
    bench.store().leave(member("a", 2)).await.unwrap();
    assert_eq!(ear.next().await, Hint::Changed);
}
