//! A shard under pressure: what it does on the side never costs what it is there for.

use std::sync::Arc;
use std::time::Duration;

use adjourn::actors::{Fed, NodeOptions};
use adjourn::clock::{Clock, ManualClock, SteadyClock, WallClock};
use adjourn::domain::event::MessageSource;
use adjourn::domain::{
    Conversation, ConversationKey, Input, Notice, NoticeKind, PartitionCount, PartitionId, Settings, Span, Step, Timestamp, step,
};
use adjourn::store::memory::MemoryStore;
use adjourn::store::testing::StoreInTests;
use adjourn::store::{Entry, Store};

use crate::patience::eventually;
use crate::poison::quiet_panics;
use crate::world::{PATIENCE, World, message, minute, options};

fn one() -> PartitionCount {
    PartitionCount::new(1).unwrap()
}

fn says(id: &str, conversation: &str) -> (PartitionId, Entry) {
    (PartitionId(0), Entry::Event(message(id, conversation, minute(0), MessageSource::User)))
}

/// What a PUT leaves behind that switched auto-close off and could not reach the partitions any more.
fn off() -> Settings {
    let on = options().defaults;
    Settings { version: on.version + 1, enabled: false, ..on }
}

#[actix::test]
async fn t22_a_full_log_delays_a_lost_marker_and_costs_nothing_else() {
    let wall = ManualClock::at(minute(0));
    let store = MemoryStore::bounded(one(), wall.clone(), 3);
    assert!(store.put_settings("acme".into(), 0, off()).await.unwrap());
    store.append((0..600).map(|i| says(&format!("m{i}"), "c")).collect()).await.unwrap();
    assert!(store.append(vec![says("late", "c")]).await.is_err(), "full");
    let world = World::on(store, wall, NodeOptions { batch_behind: 1, batch: 1, ..options() }, step);
    eventually("the change", async || world.store.applied_settings(PartitionId(0), "acme".into()).await.unwrap().is_some()).await;
    let claims = world.store.seize(PartitionId(0), adjourn::store::Member::default()).await.unwrap().lease.epoch - 1;
    assert_eq!(claims, 1, "the shard kept its memory and its partition");
}

#[actix::test]
async fn t22_an_owner_compares_with_the_master_before_it_closes_anything() {
    let mut world = World::start().await;
    world.human("c").await;
    world.node.stop().await;
    assert!(world.store.put_settings("acme".into(), 0, off()).await.unwrap());
    world.pass(61);
    world.node = adjourn::actors::node::start(world.store.clone(), world.steady.clone(), options());
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 0);
}

/// The state machine, but for conversations that cannot be woken.
fn sleepers(key: &ConversationKey, before: Conversation, input: &Input, settings: &Settings, now: Timestamp) -> Step {
    assert!(!(key.conversation().starts_with("sleeper") && *input == Input::WakeUp), "a wake-up that nobody survives");
    step(key, before, input, settings, now)
}

#[actix::test]
async fn d4_a_page_of_wake_ups_that_fail_does_not_hide_those_behind_it() {
    quiet_panics();
    let wall = ManualClock::at(minute(0));
    let store = MemoryStore::new(one(), wall.clone());
    let world = World::on(store, wall, NodeOptions { due_batch: 2, ..options() }, sleepers);
    for sleeper in ["sleeper-1", "sleeper-2", "sleeper-3"] {
        world.human(sleeper).await;
    }
    world.pass(1);
    world.human("c").await;
    world.pass(62);
    eventually("the close behind them", async || world.closes("c").await == 1).await;
}

/// Real clocks, no tick within the hour: only the actor can ring.
async fn closes_by_the_actors_own_timer(horizon: Span) {
    let store = MemoryStore::new(one(), Arc::new(WallClock));
    let mut lonely = NodeOptions { tick: Duration::from_secs(3_600), horizon, ..options() };
    lonely.defaults.period = Span::from_millis(40);
    let node = adjourn::actors::node::start(store, Arc::new(SteadyClock::start()), lonely);
    let mut feed = node.follow();
    let sent = WallClock.now();
    node.ingest(vec![message("m", "c", sent, MessageSource::User)]).await.unwrap();
    let closed = async {
        loop {
            let Fed::Notifications(told) = feed.next().await.unwrap() else { continue };
            match told.last().map(|told| told.notice.clone()) {
                Some(Notice::Conversation(last)) if last.kind == NoticeKind::Closed => return last,
                _ => {}
            }
        }
    };
    let closed = tokio::time::timeout(PATIENCE, closed).await.expect("the timer of the actor itself");
    assert!(closed.snapshot.closed_at.unwrap() >= sent.plus(Span::from_millis(40)));
}

#[actix::test]
async fn an_actor_rings_by_itself_be_its_deadline_within_the_horizon_or_beyond() {
    closes_by_the_actors_own_timer(options().horizon).await;
    closes_by_the_actors_own_timer(Span::from_millis(10)).await;
}

#[actix::test]
async fn a_subscriber_who_stood_at_the_beginning_hears_that_it_missed_something() {
    let wall = ManualClock::at(minute(0));
    let store = MemoryStore::new(one(), wall.clone());
    let world = World::on(store, wall, NodeOptions { notifications_kept: 2, ..options() }, step);
    let cursor = world.node.follow().cursor().clone();
    for conversation in ["a", "b", "c"] {
        world.human(conversation).await;
    }
    assert_eq!(world.node.follow_from(cursor).next().await.unwrap(), Fed::Reset);
    assert!(matches!(world.node.follow_from_oldest().next().await.unwrap(), Fed::Notifications(_)), "who never was there missed nothing");
}
