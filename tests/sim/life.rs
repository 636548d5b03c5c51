//! Who lives and who rests; what settings do to those who run.

use std::time::Duration;

use adjourn::actors::{ListQuery, NodeOptions};
use adjourn::domain::{NoticeKind, Span, step};

use crate::patience::eventually;
use crate::world::{World, minute, options};

#[actix::test]
async fn quiet_conversations_rest_and_come_back_in_time() {
    let idle = NodeOptions { idle: Duration::ZERO, horizon: Span::from_mins(5), ..options() };
    let world = World::start_with(idle, step).await;
    world.human("c").await;
    world.steady.jump(1);
    eventually("the actor to rest", async || world.node.live_actors() == 0).await;
    world.pass(57);
    eventually("the look-ahead to bring it back", async || world.node.live_actors() == 1).await;
    world.pass(4);
    eventually("the close", async || world.closes("c").await == 1).await;
}

#[actix::test]
async fn a_full_node_shrinks_its_horizon_and_still_closes() {
    let full = NodeOptions { idle: Duration::from_secs(3_600), live_max: 1, ..options() };
    let world = World::start_with(full, step).await;
    for i in 0..20 {
        world.human(&format!("c{i}")).await;
    }
    eventually("the node to make room", async || world.node.live_actors() <= 1).await;
    world.pass(61);
    for i in 0..20 {
        eventually("every close", async || world.closes(&format!("c{i}")).await == 1).await;
    }
}

#[actix::test]
async fn t22_switching_off_cancels_and_nothing_closes_after_the_answer() {
    let world = World::start().await;
    world.human("c").await;
    world.switch(false).await;
    assert_eq!(world.snapshot("c").await.scheduled_close_at, None);
    eventually("the cancellation", async || world.kinds("c").await.last() == Some(&NoticeKind::Cancelled)).await;
    world.pass(600);
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 0);
    world.switch(true).await;
    world.human("c").await;
    assert_eq!(world.snapshot("c").await.scheduled_close_at, None, "T21: never again in that episode");
}

#[actix::test]
async fn t21_a_later_episode_closes() {
    let world = World::start().await;
    world.switch(false).await;
    world.human("c").await;
    world.switch(true).await;
    world.human("c").await;
    world.pass(120);
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 0);
    let close = adjourn::domain::EventKind::Closed { source: adjourn::domain::event::ClosingSource::User, by: None, note: None };
    world.take(vec![crate::world::event("close", "c", minute(121), close)]).await;
    world.pass(2);
    world.human("c").await;
    world.pass(61);
    eventually("the auto-close", async || world.closes("c").await == 2).await;
}

#[actix::test]
async fn retention_takes_what_is_old() {
    let short = NodeOptions { retention: Span::from_hours(2), idle: Duration::ZERO, ..options() };
    let world = World::start_with(short, step).await;
    world.human("c").await;
    world.pass(61);
    eventually("the close", async || world.closes("c").await == 1).await;
    world.pass(121);
    eventually("the row to go", async || {
        world.node.list("acme", &ListQuery { limit: 10, ..ListQuery::default() }).await.unwrap().items.is_empty()
    })
    .await;
    world.human("c").await;
    assert_eq!(world.snapshot("c").await.episode, 1);
}
