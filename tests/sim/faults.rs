//! D3, D4 under a store that refuses, forgets to answer, stalls, doubles and loses.

use adjourn::domain::invariant;
use adjourn::domain::notice::Status;
use adjourn::store::Store;

use crate::patience::eventually;
use crate::world::{World, key};

#[actix::test]
async fn d3_a_commit_whose_answer_is_lost_closes_once() {
    let world = World::start().await;
    world.human("c").await;
    world.store.faults().lose_commit_answers(1);
    world.pass(61);
    eventually("the close", async || world.closes("c").await == 1).await;
    world.ticks(3).await;
    assert_eq!(world.closes("c").await, 1);
}

#[actix::test]
async fn d4_a_commit_that_is_refused_or_lost_is_made_again() {
    let world = World::start().await;
    world.human("refused").await;
    world.human("lost").await;
    world.store.faults().refuse_commits(2);
    world.store.faults().lose_commits(2);
    world.pass(61);
    eventually("both closes", async || world.closes("refused").await == 1 && world.closes("lost").await == 1).await;
}

#[actix::test]
async fn d3_a_doubled_commit_counts_once() {
    let world = World::start().await;
    world.store.faults().double_commits(3);
    world.human("c").await;
    world.human("c").await;
    world.pass(61);
    eventually("the close", async || world.closes("c").await == 1).await;
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 1);
    assert_eq!(world.snapshot("c").await.messages.outgoing, 2);
}

#[actix::test]
async fn d3_a_commit_that_arrives_after_its_owner_is_gone_changes_nothing() {
    let mut world = World::start().await;
    world.human("c").await;
    world.store.faults().stall_commits(1);
    world.pass(61);
    eventually("the close to hang", async || world.store.faults().stalled() == 1).await;
    // The owner is given up for dead; another claims and closes; then the old commit arrives after all.
    let options = world.node.options().clone();
    let other = adjourn::actors::node::start(world.store.clone(), world.steady.clone(), options);
    let old = std::mem::replace(&mut world.node, other);
    eventually("the close by the next owner", async || world.closes("c").await == 1).await;
    world.store.faults().release_stalled();
    old.stop().await;
    world.ticks(3).await;
    assert_eq!(world.closes("c").await, 1);
    assert!(invariant::one_close_per_episode(&world.told("c").await));
}

#[actix::test]
async fn d4_a_log_tail_that_disappears_loses_only_itself() {
    let world = World::start().await;
    world.human("c").await;
    let partition = key("c").partition(world.store.partitions());
    let kept = world.store.barrier(partition).await.unwrap().last;
    world.store.faults().forget_log_after(partition, kept);
    world.human("c").await;
    world.pass(61);
    eventually("the close", async || world.closes("c").await == 1).await;
    assert_eq!(world.snapshot("c").await.status, Status::Closed);
}

#[actix::test]
async fn d6_an_append_without_an_answer_may_be_sent_again() {
    let world = World::start().await;
    let event = world.says("c", adjourn::domain::event::MessageSource::User);
    world.store.faults().lose_append_answers(1);
    assert!(world.node.ingest(vec![event.clone()]).await.is_err());
    let receipts = world.take(vec![event]).await;
    assert!(receipts[0].is_duplicate(), "exact after waiting");
    assert_eq!(world.snapshot("c").await.messages.outgoing, 1);
}

#[actix::test]
async fn an_owner_whose_log_was_applied_by_another_finds_out() {
    let world = World::start().await;
    world.human("c").await;
    let rival = adjourn::actors::node::start(world.store.clone(), world.steady.clone(), world.node.options().clone());
    // The rival owns the partition and applies what comes; what it applied is gone from the log.
    let verdicts = rival.ingest(vec![world.says("c", adjourn::domain::event::MessageSource::User)]).await.unwrap();
    assert_eq!(verdicts.len(), 1);
    eventually("the rival to apply it", async || rival.stats().await.unwrap().iter().all(|p| p.backlog == 0)).await;
    rival.stop().await;
    world.pass(61);
    world.ticks(2).await;
    eventually("the close", async || world.closes("c").await == 1).await;
}
