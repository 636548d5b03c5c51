//! D9 where no door looked: what comes by the log alone is looked at when it is applied.

use adjourn::domain::event::MessageSource;
use adjourn::domain::{Event, EventKind, NoticeKind, Timestamp};
use adjourn::store::{DeadLetterAction, Entry, LogId, Store};

use crate::patience::eventually;
use crate::world::{PATIENCE, World, event, key, message, minute};

/// As a producer does that writes to the log by itself.
async fn append(world: &World, event: Event) -> LogId {
    let partition = event.conversation.partition(world.store.partitions());
    world.store.append(vec![(partition, Entry::Event(event))]).await.unwrap()[0]
}

fn seconds(past_start: i64) -> Timestamp {
    Timestamp::from_millis(minute(0).as_millis() + past_start * 1_000)
}

#[actix::test]
async fn d9_a_stamp_too_far_ahead_goes_to_the_dead_letters_and_holds_no_timer() {
    let world = World::start().await;
    world.human("c").await;
    let ahead = append(&world, message("ahead", "c", seconds(301), MessageSource::Contact)).await;
    append(&world, message("near", "d", seconds(300), MessageSource::User)).await;
    world.human("d").await;
    let letters = world.node.dead_letters(10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| (letter.id, &letter.conversation)).collect::<Vec<_>>(), [(ahead, &None)]);
    assert!(letters[0].reason.contains("301 s ahead"), "{}", letters[0].reason);
    assert_eq!(world.snapshot("c").await.messages.incoming, 0);
    assert_eq!(world.snapshot("d").await.messages.outgoing, 2);
    world.pass(61);
    eventually("the close", async || world.closes("c").await == 1).await;
}

#[actix::test]
async fn d9_a_replay_is_looked_at_by_the_time_of_the_replay() {
    let world = World::start().await;
    world.human("c").await;
    let id = append(&world, message("ahead", "c", minute(10), MessageSource::Contact)).await;
    let partition = key("c").partition(world.store.partitions());
    let replay = async || world.node.act_on_dead_letter(partition, id, DeadLetterAction::Replay, PATIENCE).await.unwrap();
    eventually("the letter", async || !world.node.dead_letters(10).await.unwrap().is_empty()).await;
    assert!(replay().await);
    assert_eq!(world.node.dead_letters(10).await.unwrap().len(), 1, "its time has not come");
    world.pass(10);
    assert!(replay().await);
    assert_eq!(world.node.dead_letters(10).await.unwrap(), []);
    assert_eq!(*world.kinds("c").await.last().unwrap(), NoticeKind::Cancelled, "the contact spoke last, at minute 10");
    assert_eq!(world.snapshot("c").await.last_contact_message_at, Some(minute(10)));
    world.pass(600);
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 0);
}

#[actix::test]
async fn a_snooze_that_is_too_long_is_refused_however_it_came() {
    let world = World::start().await;
    world.human("c").await;
    append(&world, event("snooze", "c", minute(0), EventKind::Snoozed { until: minute(367 * 24 * 60) })).await;
    world.human("c").await;
    let letters = world.node.dead_letters(10).await.unwrap();
    assert!(letters.len() == 1 && letters[0].reason.contains("longest snooze"), "{letters:?}");
    assert_eq!(world.snapshot("c").await.snoozed_until, None);
}
