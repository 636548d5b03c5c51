//! Planned moves: nodes drain, restart and take over from each other while messages come in, and nobody notices.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use adjourn::actors::membership::cluster::{MoveRefused, NodeState};
use adjourn::actors::{Node, Unready};
use adjourn::clock::{Clock, Stopwatch};
use adjourn::domain::event::MessageSource;
use adjourn::domain::{PartitionId, invariant};
use adjourn::store::memory::MemoryStore;
use adjourn::store::{Hint, Store};

use crate::hosts::{Host, Hosts, accept};
use crate::patience::eventually;
use crate::rng::Rng;
use crate::world::{PATIENCE, key, message};

const CONVERSATIONS: u64 = 40;

/// Messages to many conversations by way of whichever node there is, until it is told to end.
struct Stream {
    sent: Rc<RefCell<BTreeMap<String, u64>>>,
    ended: Rc<Cell<bool>>,
    running: tokio::task::JoinHandle<()>,
}

impl Stream {
    fn start(seed: u64, hosts: &Hosts) -> (Self, Rc<RefCell<Vec<Node>>>) {
        let nodes = Rc::new(RefCell::new(hosts.all.iter().map(|host| host.node.clone()).collect::<Vec<_>>()));
        let (sent, ended) = (Rc::new(RefCell::new(BTreeMap::new())), Rc::new(Cell::new(false)));
        let (doors, wall, counted, over) = (nodes.clone(), hosts.wall.clone(), sent.clone(), ended.clone());
        let running = tokio::task::spawn_local(async move {
            let mut rng = Rng::new(seed);
            for number in 0.. {
                if over.get() {
                    return;
                }
                let conversation = format!("c{}", rng.below(CONVERSATIONS));
                let event = message(&format!("m{number}"), &conversation, wall.now(), MessageSource::User);
                let node = doors.borrow()[rng.below(doors.borrow().len() as u64) as usize].clone();
                let mut receipts = vec![accept(&node, event).await];
                *counted.borrow_mut().entry(conversation).or_insert(0) += 1;
                if rng.one_in(8) {
                    node.wait_applied(&mut receipts, PATIENCE).await.unwrap();
                    assert!(!receipts[0].is_duplicate(), "m{number} was sent once");
                }
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
        });
        (Self { sent, ended, running }, nodes)
    }

    /// Every message counts once, every conversation closes once.
    async fn end(self, hosts: &Hosts, seed: u64) {
        eventually("some messages", async || self.sent.borrow().values().sum::<u64>() > 100).await;
        self.ended.set(true);
        self.running.await.unwrap();
        let node = hosts.all[0].node.clone();
        eventually("the logs to be applied", async || node.stats().await.unwrap().iter().all(|p| p.backlog == 0)).await;
        hosts.pass(61);
        let sent = self.sent.take();
        for (conversation, count) in &sent {
            eventually("every close", async || hosts.closes(conversation).await > 0).await;
            let shown = node.conversation(&key(conversation)).await.unwrap().unwrap();
            assert_eq!(shown.messages.outgoing, *count, "seed {seed}: {conversation}");
            let told = hosts.told(&key(conversation)).await;
            assert!(invariant::one_close_per_episode(&told) && invariant::opens_and_closes_alternate(&told), "seed {seed}: {conversation}");
            assert!(told.iter().all(invariant::never_closes_early), "seed {seed}: {conversation}");
            assert_eq!(hosts.closes(conversation).await, 1, "seed {seed}: {conversation}");
        }
        assert_eq!(node.dead_letters(1).await.unwrap(), [], "seed {seed}");
    }
}

/// The longest time that a partition had no owner, while it was looked at.
struct Gaps {
    longest: Rc<Cell<Duration>>,
    watching: tokio::task::JoinHandle<()>,
}

impl Gaps {
    fn watch(store: &Arc<MemoryStore>) -> Self {
        let (longest, store) = (Rc::new(Cell::new(Duration::ZERO)), store.clone());
        let seen = longest.clone();
        let watching = tokio::task::spawn_local(async move {
            let mut alone: BTreeMap<usize, Stopwatch> = BTreeMap::new();
            loop {
                for (partition, holder) in store.cluster().await.unwrap().holders.iter().enumerate() {
                    match holder {
                        None => seen.set(seen.get().max(alone.entry(partition).or_insert_with(Stopwatch::start).elapsed())),
                        Some(_) => drop(alone.remove(&partition)),
                    }
                }
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        });
        Self { longest, watching }
    }

    fn end(self) -> Duration {
        self.watching.abort();
        self.longest.get()
    }
}

#[actix::test]
async fn a_drained_node_gives_everything_away_and_goes_on_answering() {
    let hosts = Hosts::start(3, 24).await;
    let held = hosts.holders().await.into_iter().flatten().filter(|holder| &*holder.member.node == "a");
    let held: BTreeSet<PartitionId> = held.map(|holder| holder.lease.partition).collect();
    let (mut hints, gaps) = (hosts.store.hints(), Gaps::watch(&hosts.store));
    let drained = hosts.node("b").drain_node("a", PATIENCE).await.unwrap();
    assert_eq!((drained.state, drained.partitions), (NodeState::Draining, 0));
    assert!(hosts.node("a").is_leaving(), "it is no longer ready");
    hosts.settled().await;
    println!("the longest a partition had no owner: {:?}", gaps.end());
    // Of what is taken over when its lease has run out, no such word is heard.
    let mut given = BTreeSet::new();
    while let Ok(hint) = hints.try_recv() {
        given.extend(if let Hint::Released { partition, to: Some(_) } = hint { Some(partition) } else { None });
    }
    assert_eq!(given, held, "each was given to somebody: no lease had to be waited out");
    hosts.take(hosts.node("a"), hosts.says("m1", "c", MessageSource::User)).await;
    let refused = hosts.node("b").move_shard(PartitionId(0), Some("a".into()), PATIENCE).await;
    assert!(matches!(refused, Err(MoveRefused::Draining(_))), "{refused:?}");
    assert!(matches!(hosts.node("b").drain_node("nobody", PATIENCE).await, Err(MoveRefused::UnknownNode(_))));
}

#[actix::test]
async fn the_last_node_to_go_releases_everything() {
    let hosts = Hosts::start(1, 4).await;
    hosts.node("a").stop().await;
    let view = hosts.store.cluster().await.unwrap();
    assert_eq!((view.holders, view.nodes.len()), (vec![None; 4], 0));
}

#[actix::test]
async fn a_partition_goes_where_an_operator_puts_it_and_back() {
    let hosts = Hosts::start(3, 6).await;
    let before = hosts.node("a").shards().await.unwrap().swap_remove(3);
    let other = ["a", "b", "c"].into_iter().find(|name| before.node.as_deref() != Some(name)).unwrap();
    let (stream, _) = Stream::start(7, &hosts);
    for _ in 0..20 {
        let moved = hosts.node("b").move_shard(PartitionId(3), Some(other.into()), PATIENCE).await.unwrap();
        assert_eq!((moved.node.as_deref(), moved.desired.as_deref(), moved.pinned), (Some(other), Some(other), true));
        let back = hosts.node("c").move_shard(PartitionId(3), None, PATIENCE).await.unwrap();
        assert_eq!((&back.node, back.pinned), (&before.node, false));
    }
    stream.end(&hosts, 7).await;
    for (partition, to) in [(6, Some(other)), (9_999, None)] {
        let refused = hosts.node("a").move_shard(PartitionId(partition), to.map(Into::into), PATIENCE).await;
        assert!(matches!(refused, Err(MoveRefused::NoSuchPartition { count: 6, .. })), "{refused:?}");
    }
    let refused = hosts.node("a").move_shard(PartitionId(0), Some("nobody".into()), PATIENCE).await;
    assert!(matches!(refused, Err(MoveRefused::UnknownNode(_))), "{refused:?}");
}

#[actix::test]
async fn a_move_to_a_node_that_just_died_is_asked_for_and_not_done() {
    let hosts = Hosts::start(2, 4).await;
    let mine = hosts.partition(&hosts.conversation_of("a").await);
    hosts.host("b").die();
    let moved = hosts.node("a").move_shard(mine, Some("b".into()), Duration::from_millis(50)).await;
    assert!(matches!(moved, Err(MoveRefused::Unready(Unready::NotYetMoved))), "{moved:?}");
    eventually("the living one to have all", async || hosts.owned_by("a").await == 4).await;
}

#[actix::test]
async fn p12_a_rolling_restart_under_load_loses_nothing() {
    for seed in 0..3 {
        let mut hosts = Hosts::start(3, 12).await;
        let gaps = Gaps::watch(&hosts.store);
        let (stream, doors) = Stream::start(seed, &hosts);
        for place in 0..3 {
            let old = hosts.all.remove(0);
            let name = old.node.name().to_owned();
            doors.borrow_mut().remove(0);
            old.node.stop().await;
            assert_eq!(hosts.owned_by(&name).await, 0);
            hosts.all.push(Host::start(&name, &hosts.store, &hosts.steady));
            doors.borrow_mut().push(hosts.all[2].node.clone());
            hosts.settled().await;
            assert!(hosts.owned_by(&name).await > 0, "seed {seed}, restart {place}");
        }
        println!("seed {seed}: the longest a partition had no owner: {:?}", gaps.end());
        stream.end(&hosts, seed).await;
    }
}
