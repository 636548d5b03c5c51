//! D1, D2: two clocks, a barrier, and what was accepted before it.

use adjourn::domain::event::MessageSource;
use adjourn::domain::notice::Status;
use adjourn::domain::{NoticeKind, invariant};

use crate::patience::eventually;
use crate::world::{World, key, message, minute};

#[actix::test]
async fn t6_closes_when_both_clocks_have_passed() {
    let world = World::start().await;
    world.human("c").await;
    assert_eq!(world.snapshot("c").await.scheduled_close_at, Some(minute(60)));
    world.pass(60);
    world.ticks(2).await;
    assert_eq!(world.snapshot("c").await.status, Status::Open, "at the deadline itself an event may still be accepted");
    world.wall.jump(1);
    world.steady.jump(1);
    world.ticks(2).await;
    let told = world.told("c").await;
    assert_eq!(told.iter().map(|t| t.kind).collect::<Vec<_>>(), [NoticeKind::Opened, NoticeKind::Armed, NoticeKind::Closed]);
    assert!(told.iter().all(invariant::never_closes_early));
}

#[actix::test]
async fn d1_the_stores_clock_alone_closes_nothing() {
    let world = World::start().await;
    world.human("c").await;
    world.wall.jump(3_600_000 * 2);
    world.ticks(3).await;
    assert_eq!(world.closes("c").await, 0);
    world.wall.jump(-3_600_000 * 2);
    world.pass(61);
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 1, "nothing is stuck after the jump back");
}

#[actix::test]
async fn d1_the_nodes_clock_alone_closes_nothing() {
    let world = World::start().await;
    world.human("c").await;
    world.steady.jump(3_600_000 * 2);
    world.ticks(3).await;
    assert_eq!(world.closes("c").await, 0);
    world.steady.jump(-3_600_000 * 2);
    world.pass(61);
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 1);
}

#[actix::test]
async fn d1_clocks_that_went_back_an_hour_delay_and_never_lose() {
    let world = World::start().await;
    world.human("before").await;
    world.wall.jump(-3_600_000);
    world.human("during").await;
    world.pass(61);
    world.ticks(2).await;
    assert_eq!(world.closes("before").await, 0, "the store's clock is at minute 1");
    world.wall.jump(3_600_000);
    world.ticks(2).await;
    assert_eq!(world.closes("before").await, 1);
    world.pass(5);
    world.ticks(2).await;
    assert_eq!(world.closes("during").await, 1);
}

#[actix::test]
async fn d1_a_jump_forward_and_back_closes_nothing_early_and_nothing_sticks() {
    let world = World::start().await;
    world.human("c").await;
    world.wall.jump(3_600_000);
    // Accepted an hour in the future by the store's clock; its own time is right.
    world.take(vec![message("m2", "c", minute(0), MessageSource::User)]).await;
    world.wall.jump(-3_600_000);
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 0);
    world.pass(63);
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 1);
    assert!(world.told("c").await.iter().all(invariant::never_closes_early));
}

#[actix::test]
async fn d2_a_reply_accepted_in_time_wins_over_a_timer_that_came_due_first() {
    let world = World::start().await;
    world.human("c").await;
    // A commit that hangs keeps the shard from applying the reply, while the deadline passes.
    world.store.faults().stall_commits(1);
    let partition_mate = (0..100).map(|i| format!("x{i}")).find(|c| {
        use adjourn::store::Store;
        key(c).partition(world.store.partitions()) == key("c").partition(world.store.partitions())
    });
    world.accept(vec![world.says(&partition_mate.unwrap(), MessageSource::User)]).await;
    eventually("the commit to hang", async || world.store.faults().stalled() == 1).await;
    world.pass(60);
    world.accept(vec![world.says("c", MessageSource::Contact)]).await; // stamped exactly at the deadline
    world.pass(30);
    world.store.faults().release_stalled();
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 0);
    assert_eq!(*world.kinds("c").await.last().unwrap(), NoticeKind::Cancelled);
}

#[actix::test]
async fn d4_overdue_after_a_restart_fires_at_once() {
    let mut world = World::start().await;
    for i in 0..50 {
        world.human(&format!("c{i}")).await;
    }
    world.pass(600);
    world.restart().await;
    world.ticks(2).await;
    for i in 0..50 {
        assert_eq!(world.closes(&format!("c{i}")).await, 1, "c{i}");
    }
}
