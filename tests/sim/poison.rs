//! Events nobody can apply, records nobody can read: set aside with their reason, and the rest goes on.

use adjourn::actors::NodeOptions;
use adjourn::domain::{Conversation, ConversationKey, Input, Settings, Step, Timestamp, step};
use adjourn::store::testing::StoreInTests;
use adjourn::store::{DeadLetterAction, Store};

use crate::patience::eventually;
use crate::world::{PATIENCE, World, key, minute, options};

/// The state machine, but for one event.
pub fn poisoned(key: &ConversationKey, before: Conversation, input: &Input, settings: &Settings, now: Timestamp) -> Step {
    if let Input::Event(accepted) = input {
        assert!(!accepted.event.name.id().starts_with("poison"), "an event that nobody can apply");
    }
    step(key, before, input, settings, now)
}

pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

#[actix::test]
async fn an_event_that_makes_the_step_panic_is_set_aside_and_holds_its_timer() {
    quiet_panics();
    let world = World::start_with(options(), poisoned).await;
    world.human("c").await;
    world.human("d").await;
    let poison = crate::world::message("poison-1", "c", minute(0), adjourn::domain::event::MessageSource::Contact);
    world.take(vec![poison, world.says("c", adjourn::domain::event::MessageSource::User)]).await;
    let letters = world.node.dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].conversation, Some(key("c")));
    assert!(letters[0].reason.contains("nobody can apply"), "{}", letters[0].reason);
    assert_eq!(world.snapshot("c").await.messages.outgoing, 2, "its neighbours were applied");
    world.pass(61);
    eventually("the other conversation's close", async || world.closes("d").await == 1).await;
    assert_eq!(world.closes("c").await, 0, "it might have been the reply");

    let letter = &letters[0];
    assert!(world.node.act_on_dead_letter(letter.partition, letter.id, DeadLetterAction::Replay, PATIENCE).await.unwrap());
    assert_eq!(world.node.dead_letters(10).await.unwrap().len(), 1, "it still cannot be applied");
    assert_eq!(world.closes("c").await, 0);
    assert!(world.node.act_on_dead_letter(letter.partition, letter.id, DeadLetterAction::Dismiss, PATIENCE).await.unwrap());
    eventually("the close that was held", async || world.closes("c").await == 1).await;
    assert!(world.node.dead_letters(10).await.unwrap().is_empty());
}

#[actix::test]
async fn a_replayed_reply_cancels_the_timer() {
    quiet_panics();
    let mut world = World::start_with(options(), poisoned).await;
    world.human("c").await;
    let poison = crate::world::message("poison-2", "c", minute(0), adjourn::domain::event::MessageSource::Contact);
    world.take(vec![poison]).await;
    world.restart().await; // with a state machine that can apply it
    world.pass(61);
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 0);
    let letter = world.node.dead_letters(10).await.unwrap().remove(0);
    assert!(world.node.act_on_dead_letter(letter.partition, letter.id, DeadLetterAction::Replay, PATIENCE).await.unwrap());
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 0, "the contact spoke last");
    assert_eq!(world.snapshot("c").await.messages.incoming, 1);
    assert!(world.node.dead_letters(10).await.unwrap().is_empty());
}

#[actix::test]
async fn a_record_nobody_can_read_costs_only_its_own_conversation() {
    let idle = NodeOptions { idle: std::time::Duration::ZERO, ..options() };
    let world = World::start_with(idle, step).await;
    world.human("broken").await;
    world.human("fine").await;
    world.steady.jump(1);
    eventually("both to rest", async || world.node.live_actors() == 0).await;
    world.store.faults().corrupt_row(&key("broken"));
    world.take(vec![world.says("broken", adjourn::domain::event::MessageSource::User)]).await;
    assert_eq!(world.node.dead_letters(10).await.unwrap().len(), 1);
    assert!(world.node.conversation(&key("broken")).await.is_err());
    world.pass(61);
    eventually("the other's close", async || world.closes("fine").await == 1).await;
}

/// As when a build that cannot read a newer one's rows had the partition for a while.
#[actix::test]
async fn d2_a_reply_whose_row_could_not_be_read_holds_the_timer_all_the_same() {
    let idle = NodeOptions { idle: std::time::Duration::ZERO, ..options() };
    let mut world = World::start_with(idle, step).await;
    world.human("c").await;
    world.steady.jump(1);
    eventually("it to rest", async || world.node.live_actors() == 0).await;
    world.store.faults().corrupt_row(&key("c"));
    world.contact("c").await;
    let letters = world.node.dead_letters(10).await.unwrap();
    assert!(letters.len() == 1 && letters[0].reason.contains("cannot be read"), "{letters:?}");
    world.store.faults().mend_row(&key("c"));
    for _ in 0..2 {
        world.pass(61);
        world.ticks(12).await;
        assert_eq!(world.closes("c").await, 0, "the reply waits in the dead letters");
        world.restart().await;
    }
    let (partition, id) = (letters[0].partition, letters[0].id);
    assert!(world.node.act_on_dead_letter(partition, id, DeadLetterAction::Replay, PATIENCE).await.unwrap());
    world.pass(61);
    world.ticks(1).await;
    assert_eq!((world.closes("c").await, world.snapshot("c").await.messages.incoming), (0, 1), "the contact spoke last");
    world.human("c").await;
    world.pass(61);
    eventually("its close", async || world.closes("c").await == 1).await;
}

#[actix::test]
async fn an_entry_nobody_can_read_is_set_aside() {
    let world = World::start().await;
    world.human("c").await;
    world.store.faults().stall_commits(1);
    world.accept(vec![world.says("c", adjourn::domain::event::MessageSource::User)]).await;
    eventually("the commit to hang", async || world.store.faults().stalled() == 1).await;
    let broken = world.accept(vec![world.says("c", adjourn::domain::event::MessageSource::User)]).await;
    world.store.faults().corrupt_entry(broken[0].partition, broken[0].id);
    world.store.faults().release_stalled();
    world.human("c").await;
    let letters = world.node.dead_letters(10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.id).collect::<Vec<_>>(), [broken[0].id]);
    assert_eq!(world.snapshot("c").await.messages.outgoing, 3);
}

#[actix::test]
async fn an_entry_that_kills_its_owner_is_found_and_set_aside() {
    // Owners that die are claims without a commit; here they are made by hand, as a process that died would leave them.
    let mut world = World::start().await;
    world.human("c").await;
    world.node.stop().await;
    let partition = key("c").partition(world.store.partitions());
    let fatal = crate::world::message("fatal", "c", minute(0), adjourn::domain::event::MessageSource::User);
    let id = world.store.append(vec![(partition, adjourn::store::Entry::Event(fatal))]).await.unwrap()[0];
    let mut claim = world.store.seize(partition, adjourn::store::Member::default()).await.unwrap();
    for _ in 0..2 {
        claim = world.store.seize(partition, adjourn::store::Member::default()).await.unwrap();
    }
    assert!(claim.attempts >= 3);
    let mut mark = adjourn::store::Batch::new(claim.head, claim.checkpoint);
    mark.trying = Some((id, 3));
    world.store.commit(claim.lease, mark).await.unwrap();
    let options = world.node.options().clone();
    world.node = adjourn::actors::node::start(world.store.clone(), world.steady.clone(), options);
    eventually("the letter", async || world.node.dead_letters(10).await.unwrap().len() == 1).await;
    assert!(world.node.dead_letters(10).await.unwrap()[0].reason.contains("died"));
    world.human("c").await;
    assert_eq!(world.snapshot("c").await.messages.outgoing, 2);
}

#[actix::test]
async fn a_replay_tells_nothing_of_what_is_long_over() {
    use adjourn::domain::NoticeKind;
    quiet_panics();
    let mut world = World::start_with(options(), poisoned).await;
    world.human("c").await;
    let poison = crate::world::message("poison-3", "c", minute(0), adjourn::domain::event::MessageSource::Bot);
    world.take(vec![poison]).await;
    let snooze = adjourn::domain::EventKind::Snoozed { until: minute(10) };
    world.take(vec![crate::world::event("snooze", "c", minute(0), snooze)]).await;
    world.pass(11);
    eventually("its end", async || world.kinds("c").await.contains(&NoticeKind::Unsnoozed)).await;
    world.restart().await; // with a state machine that can apply it
    let told = world.kinds("c").await;
    let letter = world.node.dead_letters(10).await.unwrap().remove(0);
    assert!(world.node.act_on_dead_letter(letter.partition, letter.id, DeadLetterAction::Replay, PATIENCE).await.unwrap());
    world.ticks(2).await;
    assert_eq!(world.snapshot("c").await.messages.outgoing, 2);
    assert_eq!(world.kinds("c").await, told, "a bot's message changes no timer, and the snooze ended before the replay");
}

#[actix::test]
async fn a_letter_dismissed_twice_releases_once() {
    quiet_panics();
    let world = World::start_with(options(), poisoned).await;
    world.human("c").await;
    for poison in ["poison-a", "poison-b"] {
        world.take(vec![crate::world::message(poison, "c", minute(0), adjourn::domain::event::MessageSource::Contact)]).await;
    }
    let letters = world.node.dead_letters(10).await.unwrap();
    let (first, second) = (&letters[0], &letters[1]);
    // Two operators press the same button: both entries come with one page of the log.
    let dismiss = || (first.partition, adjourn::store::Entry::DeadLetter { id: first.id, action: DeadLetterAction::Dismiss });
    world.store.append(vec![dismiss(), dismiss()]).await.unwrap();
    world.human("c").await;
    assert_eq!(world.node.dead_letters(10).await.unwrap().len(), 1);
    world.pass(61);
    world.ticks(2).await;
    assert_eq!(world.closes("c").await, 0, "the other one might have been the reply");
    assert!(world.node.act_on_dead_letter(second.partition, second.id, DeadLetterAction::Dismiss, PATIENCE).await.unwrap());
    eventually("the close that was held", async || world.closes("c").await == 1).await;
}

#[actix::test]
async fn an_entry_is_not_blamed_for_answers_that_were_lost() {
    let mut world = World::start().await;
    world.human("c").await;
    world.node.stop().await;
    let partition = key("c").partition(world.store.partitions());
    let innocent = crate::world::message("innocent", "c", minute(0), adjourn::domain::event::MessageSource::User);
    world.store.append(vec![(partition, adjourn::store::Entry::Event(innocent))]).await.unwrap();
    for _ in 0..3 {
        world.store.seize(partition, adjourn::store::Member::default()).await.unwrap(); // owners that died: from now on entries are tried alone
    }
    world.store.faults().lose_commit_answers(6);
    let options = world.node.options().clone();
    world.node = adjourn::actors::node::start(world.store.clone(), world.steady.clone(), options);
    eventually("the entry to be applied", async || world.node.stats().await.unwrap().iter().all(|p| p.backlog == 0)).await;
    assert_eq!(world.node.dead_letters(10).await.unwrap(), [], "nobody died of it");
    assert_eq!(world.snapshot("c").await.messages.outgoing, 2);
}
